//! Networks: layers that record themselves on a tape, the ResNet built of them, and their weights.
//!
//! Start with [`resnet9`](mod@resnet9), which reads like the network's description; [`layers`] is
//! what it is built of, and what a network of your own is built of. [`Weights`] are what training
//! changes: fresh ones come from a seed (`init.rs`), others from a file in PyTorch's format
//! (`weights.rs`). [`Objective`] is what a step does with a network's logits, a [`Learner`] is a
//! network on a device, and [`Model`] one of your own that is trained; `examples/small_network.rs` shows how.

mod init;
pub mod layers;
mod learner;
mod model;
mod model_info;
mod objective;
pub mod resnet9;
pub mod summary;
pub(crate) mod tensor_file;
mod weights;

pub use layers::{Conv, batch_norm, conv2d, linear};
pub use learner::{Learner, Snapshot};
pub use model::{Model, ModelConfig};
pub use model_info::ModelInfo;
pub use objective::Objective;
pub use resnet9::{ResNet9, resnet9};
pub use summary::summary;
pub use weights::{Weights, WeightsFile};
