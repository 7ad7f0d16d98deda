//! Ops: the kinds of computation of a tape's nodes.
//!
//! An op is in one place: `src/ops/<op>.rs` has its shape rule, its backward rule, its GPU launches and its CPU
//! reference; `shaders/<op>/` has its WGSL; `docs/ops/<op>.md` derives it. The tape, the devices, the tests and the
//! benches use [`Op`](crate::tape::Op) and [`ALL`]; they do not name a single op.
//!
//! Letters of dimensions, here and in every shader: N is the number of images, H and W are the rows and columns of an
//! image, OH and OW those of an output, C is the number of channels, Ci and Co are the input and output channels, KH
//! and KW are the rows and columns of a kernel or window.

pub mod adam;
pub mod add;
pub mod augment;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod blur_pool;
pub mod case;
pub mod channel_pad;
pub mod channel_slice;
pub mod channel_sum;
pub mod clip_grad_norm;
pub mod concat;
pub mod conv2d;
pub mod cross_entropy;
pub mod detach;
pub mod dropout;
pub mod ema;
pub mod fill;
pub mod finite_check;
pub mod flatten;
pub mod leaky_relu;
pub mod linear;
pub mod lr_scale;
pub mod max_pool2d;
pub(crate) mod mean_m2;
pub mod metrics;
pub mod mul;
pub mod optimizer;
pub mod optimizers;
pub mod partial_sum;
pub mod partitions;
pub mod philox;
pub mod pool;
pub mod random_box;
pub mod random_erasing;
pub mod random_resized_crop;
pub mod relu;
pub mod resize;
pub mod running_statistics;
pub mod scale;
mod segments;
pub mod sgd;
mod shape;
pub mod sigmoid;
pub mod space_to_depth;
mod updates;
pub mod window;

pub use case::{Case, OpTests};
pub use pool::Pool;
pub(crate) use shape::{mirrored, n_channels, n_rows, nhwc};
pub use window::Window;

/// The names and test cases of all ops.
pub const ALL: &[OpTests] = &[
    adam::ENTRY,
    add::ENTRY,
    augment::ENTRY,
    avg_pool2d::ENTRY,
    batch_norm::ENTRY,
    blur_pool::ENTRY,
    channel_pad::ENTRY,
    channel_slice::ENTRY,
    channel_sum::ENTRY,
    clip_grad_norm::ENTRY,
    concat::ENTRY,
    conv2d::ENTRY,
    cross_entropy::ENTRY,
    dropout::ENTRY,
    detach::ENTRY,
    ema::ENTRY,
    fill::ENTRY,
    finite_check::ENTRY,
    flatten::ENTRY,
    leaky_relu::ENTRY,
    linear::ENTRY,
    max_pool2d::ENTRY,
    metrics::ENTRY,
    mul::ENTRY,
    partial_sum::ENTRY,
    random_erasing::ENTRY,
    random_resized_crop::ENTRY,
    relu::ENTRY,
    resize::ENTRY,
    running_statistics::ENTRY,
    scale::ENTRY,
    sgd::ENTRY,
    sigmoid::ENTRY,
    space_to_depth::ENTRY,
];
