//! Errors of devices.

use crate::base::units::readable_bytes;
use crate::passes::PlanError;

/// An error of a device: the device is not found, cannot be opened, or fails.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The machine has no GPU adapter.
    #[error("no GPU adapter was found")]
    NoAdapter,
    /// No adapter's name contains the requested text.
    #[error("no adapter's name contains {wanted:?}; the adapters are: {}", list(.found))]
    AdapterNotFound {
        /// Requested part of an adapter's name.
        wanted: String,
        /// Names of all adapters.
        found: Vec<String>,
    },
    /// The adapter cannot be opened.
    #[error("{adapter}: the adapter cannot be opened: {reason}")]
    Refused {
        /// Name of the adapter.
        adapter: String,
        /// Message of the driver.
        reason: String,
    },
    /// The device is lost: the driver was reset, the GPU was unplugged, or a kernel ran too long.
    #[error("the GPU device was lost: {reason}")]
    Lost {
        /// Message of the driver.
        reason: String,
    },
    /// The device has no memory left.
    #[error("the device is out of memory ({} planned): {reason}", readable_bytes(*.planned))]
    OutOfMemory {
        /// Bytes of the plan.
        planned: u64,
        /// Message of the driver.
        reason: String,
    },
    /// The plan needs more memory than this machine has free.
    #[error("the step needs {}, and this machine has {} of memory free", readable_bytes(*.planned), readable_bytes(*.available))]
    NotEnoughMemory {
        /// Bytes that the step needs.
        planned: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The plan exceeds a limit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A shader cannot be loaded: a file is missing, or an import or a constant does not fit the file.
    #[error("shader {name}: {reason}")]
    Shader {
        /// Name of the file, below `shaders/`.
        name: String,
        /// Reason, in words.
        reason: String,
    },
    /// The text of a shader is not valid WGSL, or the driver rejects the pipeline.
    #[error("pipeline {label}: {reason}")]
    Pipeline {
        /// Label of the pipeline.
        label: String,
        /// Message of the driver.
        reason: String,
    },
    /// The device reported an error while it ran.
    #[error("the device reported an error: {reason}")]
    Failed {
        /// Message of the driver.
        reason: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}
