//! The limits that a plan can exceed.

use crate::base::units::readable_bytes;

/// The limit that a plan exceeds. Plans are compared with the limits before memory is allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// The plan and the session's other programs need more memory than the session may take.
    #[error("the step needs {}, more than the limit of {}", readable_bytes(*.planned), readable_bytes(*.limit))]
    MemoryLimit {
        /// Bytes of the plan and of the session's other programs.
        planned: u64,
        /// Bytes that the session may take.
        limit: u64,
    },
    /// A parameter is larger than the largest binding of the adapter. A smaller batch size does not help.
    #[error("a parameter of {} is larger than the {} that the adapter binds", readable_bytes(*.bytes), readable_bytes(*.limit))]
    ParameterTooLarge {
        /// Bytes of the parameter.
        bytes: u64,
        /// Size of the adapter's largest binding, in bytes.
        limit: u64,
    },
    /// A flat buffer, which has all parameters, is larger than the largest buffer of the adapter. A smaller batch size
    /// does not help.
    #[error("all parameters together take {}, more than the {} of the adapter's largest buffer", readable_bytes(*.bytes), readable_bytes(*.limit))]
    StateTooLarge {
        /// Bytes of the flat buffer.
        bytes: u64,
        /// Size of the adapter's largest buffer, in bytes.
        limit: u64,
    },
    /// A tensor, or the scratch memory of a node, is larger than the largest binding of the adapter.
    #[error("a tensor of {} is larger than the {} that the adapter binds", readable_bytes(*.bytes), readable_bytes(*.limit))]
    BindingTooLarge {
        /// Bytes of the tensor or of the scratch memory.
        bytes: u64,
        /// Size of the adapter's largest binding, in bytes.
        limit: u64,
        /// Largest number of rows with which the tensor fits. The rows of an activation are the images of the batch.
        /// None if no number fits, or for scratch memory.
        fits: Option<u64>,
    },
}
