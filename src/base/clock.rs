//! The type `Instant`, a point in time. The standard library has no clock in a browser, so there `web_time` reads the
//! clock of the page.

#[cfg(not(target_arch = "wasm32"))]
pub use std::time::Instant;
#[cfg(target_arch = "wasm32")]
pub use web_time::Instant;
