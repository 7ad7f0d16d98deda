//! Errors of an export to ONNX.

use crate::base::units::readable_bytes;

/// A network that cannot be written as an ONNX file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// An op of the network has no translation.
    #[error("{op}: this op cannot be written as an operator of ONNX; export a network without it")]
    Op {
        /// The op's name and attributes.
        op: String,
    },
    /// The name of a class has a comma.
    #[error(
        "class {class:?}: commas separate the names in the metadata of the file; choose a name without a comma"
    )]
    Class {
        /// The name.
        class: String,
    },
    /// The file would be larger than a message of Protocol Buffers.
    #[error("the file would have {}, and a file of ONNX has less than 2 GiB; choose a narrower network", readable_bytes(*bytes))]
    TooLarge {
        /// The number of bytes.
        bytes: u64,
    },
}
