//! Ops: the computations that a node of the tape can be.
//!
//! An op is in one place: `src/ops/<op>.rs` has its shape rule, its backward rule, its GPU launches and its
//! CPU reference; `shaders/<op>/` has its WGSL; `docs/ops/<op>.md` derives it. The tape, the devices, the
//! tests and the benches use [`Op`](crate::tape::Op) and [`ALL`] and name no op.
//!
//! Dimension letters, here and in every shader: N images, H and W rows and columns, C channels, Ci and Co
//! input and output channels, KH and KW a kernel's or window's rows and columns.

pub mod adam;
pub mod add;
pub mod augment;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod case;
pub mod channel_sum;
pub mod clip_grad_norm;
pub mod concat;
pub mod conv2d;
pub mod cross_entropy;
pub mod ema;
pub mod fill;
pub mod finite_check;
pub mod flatten;
pub mod linear;
pub mod max_pool2d;
pub(crate) mod mean_m2;
pub mod metrics;
pub mod partitions;
pub mod relu;
pub mod running_statistics;
pub mod scale;
mod shape;
pub mod window;

pub use case::{Case, OpTests};
pub(crate) use shape::{n_channels, n_rows, nhwc};
pub use window::Window;

/// All ops, for tests.
pub const ALL: &[OpTests] = &[
    adam::ENTRY,
    add::ENTRY,
    augment::ENTRY,
    avg_pool2d::ENTRY,
    batch_norm::ENTRY,
    channel_sum::ENTRY,
    clip_grad_norm::ENTRY,
    concat::ENTRY,
    conv2d::ENTRY,
    cross_entropy::ENTRY,
    ema::ENTRY,
    fill::ENTRY,
    finite_check::ENTRY,
    flatten::ENTRY,
    linear::ENTRY,
    max_pool2d::ENTRY,
    metrics::ENTRY,
    relu::ENTRY,
    running_statistics::ENTRY,
    scale::ENTRY,
];
