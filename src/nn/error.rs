//! Errors of reading, checking and writing files of weights.

use std::path::PathBuf;

use crate::base::files::FileError;
use crate::base::shown::Shown;

/// A file of weights that cannot be read, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The path of a file of weights leads to a folder.
    #[error("{}: a folder, not a file of weights", path.shown())]
    Folder {
        /// Path of the folder.
        path: PathBuf,
    },
    /// The file is neither a safetensors file nor a file of `torch.save` with tensors, or the record of the training data
    /// ([`ModelInfo`](super::ModelInfo)) in its metadata is damaged.
    #[error("{}: {reason}", path.shown())]
    Format {
        /// Path of the file.
        path: PathBuf,
        /// Text with the problem of the file.
        reason: String,
    },
    /// The file is valid, but has the weights of another network.
    #[error("{}: the weights do not fit the network{}{}", path.shown(), after_colon(difference.as_ref()), lines(problems))]
    Misfit {
        /// Path of the file.
        path: PathBuf,
        /// A sentence with the name or the width of two networks, the one in the file and the one that the file was
        /// loaded into; None if the networks differ in neither.
        difference: Option<String>,
        /// The name of the network in the file; None if the names of the two networks do not differ.
        in_file: Option<String>,
        /// One line of text for each tensor that does not fit.
        problems: Vec<String>,
    },
    /// An element of a tensor in the file is not finite, or a running variance is negative.
    #[error("{}: {reason}", path.shown())]
    Value {
        /// Path of the file.
        path: PathBuf,
        /// Text with the tensor's name, the element's index and value, and the problem of the value.
        reason: String,
    },
}

fn after_colon(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| format!(": {text}"))
}

fn lines(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
