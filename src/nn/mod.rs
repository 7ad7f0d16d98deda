//! Networks: functions that record layers on a tape, the networks that consist of layers, and the weights of networks.
//!
//! Read [`networks::resnet9`] first: its code has one line per block of the network. [`layers`] has the layers of every
//! network, and [`networks::FAMILIES`] lists the networks. [`Weights`] are the numbers that training changes: new
//! weights come from a seed (`init.rs`), trained weights from a file in PyTorch's format (`weights_file.rs`).
//! [`Model`](crate::train::Model) trains a network of your own; see `examples/small_network.rs`.

mod error;
mod init;
pub mod layers;
mod model_info;
pub mod networks;
#[cfg(feature = "runs")]
pub mod onnx;
pub mod summary;
pub(crate) mod tensor_file;
mod torch_file;
mod weights;
mod weights_file;

pub use error::WeightsError;
pub use layers::{Conv, batch_norm, conv2d, linear};
pub use model_info::ModelInfo;
pub use networks::resnet9::{ResNet9, resnet9};
pub use networks::{Heads, Network, NetworkConfig, NetworkEntry, NetworkRef};
pub use summary::summary;
pub use weights::Weights;
pub use weights_file::WeightsFile;
