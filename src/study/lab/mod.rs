//! The tools of the studies.
//!
//! | file | content |
//! |---|---|
//! | `lab.rs` | [`Lab`]: the device, images, seed and record of a study that runs |
//! | `record.rs` | [`Record`]: the measurements as named lists of numbers, and their file `study.json` |
//! | `images.rs` | [`Images`]: the images of a study, and their normalisation |
//! | `page.rs` | [`Page`]: the figures, charts, tables and findings of a study |
//! | `lesson.rs` | the text of `docs/lessons/NAME.md` as parts of the page |
//! | `training.rs` | [`Training`]: a short training run with its errors |
//! | `probe.rs` | [`Probe`]: values and gradients inside a network |
//! | `network.rs` | [`Trained`]: a network with weights that a study may edit |
//! | `seeds.rs` | measurements of several seeds in a record |
//! | `spread.rs` | means and spreads over seeds |
//! | `residual.rs` | [`residual::Residual`]: residual networks whose joints a study may change |
//! | `change.rs` | [`change::Change`]: shortcuts that are scaled, projected or gated |
//! | `deeper.rs` | [`Trained::with_blocks`]: a network with more blocks than another, or fewer |
//! | `flow.rs` | [`flow::Flow`]: the gradients inside a network at initialisation |
//! | `gated.rs` | [`gated::Paths`]: a residual network whose gates select paths for the backward pass |
//! | `run.rs` | [`run`](fn@run): a study from its settings to its files |

pub mod change;
mod deeper;
pub mod flow;
pub mod gated;
mod images;
#[allow(clippy::module_inception)]
mod lab;
mod lesson;
mod network;
mod page;
mod probe;
mod record;
pub mod residual;
mod run;
mod seeds;
mod spread;
mod training;

pub use deeper::Blocks;
pub use images::Images;
pub use lab::{Lab, Settings, Size, Stopped};
#[cfg(test)]
pub use lesson::section;
pub use network::Trained;
pub use page::{Page, Verdict};
pub use probe::{Probe, value_of};
pub use record::Record;
pub use run::{Setup, index, open, run};
pub use spread::Spread;
pub use training::{Curve, Training};
