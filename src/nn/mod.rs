//! Networks: layers that record themselves on a tape, the networks built of them, and their weights.
//!
//! Read [`networks::resnet9`] first: the file reads like the network's description. [`layers`] has the layers that a
//! network is built of, those of the library and yours. [`Weights`] are what training changes: fresh ones come from a
//! seed (`init.rs`), others from a file in PyTorch's format (`weights.rs`). [`Model`](crate::train::Model) trains a
//! network of your own; `examples/small_network.rs` shows how.

mod error;
mod init;
pub mod layers;
mod model_info;
pub mod networks;
pub mod summary;
pub(crate) mod tensor_file;
mod weights;

pub use error::WeightsError;
pub use layers::{Conv, batch_norm, conv2d, linear};
pub use model_info::ModelInfo;
pub use networks::resnet9::{ResNet9, resnet9};
pub use summary::summary;
pub use weights::{Weights, WeightsFile};
