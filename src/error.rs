//! What can go wrong for a user: one enum, each cause with a hint what to do.

use std::path::PathBuf;

use crate::data::DataError;
use crate::data::fetch::FetchError;
use crate::data::image_file::ImageFileError;
use crate::tape::print::readable_bytes;

/// A failure that a user can cause or meet. Programmer's errors (shapes that do not fit) panic
/// instead, with both shapes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A GPU was asked for and no adapter was found.
    #[error("no GPU adapter was found")]
    NoAdapter,
    /// No adapter's name contains what was asked for.
    #[error("no adapter's name contains {wanted:?}; the adapters are: {}", list(.found))]
    AdapterNotFound {
        /// What was asked for.
        wanted: String,
        /// The names of what is there.
        found: Vec<String>,
    },
    /// The adapter refused to give a device.
    #[error("{adapter} gave no device: {reason}")]
    DeviceRefused {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device went away: a driver reset, a GPU unplugged, or a kernel that ran too long.
    #[error("the GPU device was lost: {reason}")]
    DeviceLost {
        /// The driver's words.
        reason: String,
    },
    /// The device has no memory left.
    #[error("the device is out of memory ({planned} planned): {reason}")]
    OutOfMemory {
        /// What the plan asks for, readable.
        planned: String,
        /// The driver's words.
        reason: String,
    },
    /// The plan needs more memory than this machine has free.
    #[error("the step needs {}, and this machine has {} of memory free", readable_bytes(*.planned), readable_bytes(*.available))]
    NotEnoughMemory {
        /// What the plan asks for, in bytes.
        planned: u64,
        /// What is free, in bytes.
        available: u64,
    },
    /// The plan needs more than `--memory-limit` allows.
    #[error("the step needs {}, more than the limit of {}", readable_bytes(*.planned), readable_bytes(*.limit))]
    MemoryLimit {
        /// What the plan asks for, in bytes.
        planned: u64,
        /// What it may take, in bytes.
        limit: u64,
    },
    /// One binding is larger than the adapter allows.
    #[error("a tensor of {} is larger than the {} that the adapter binds", readable_bytes(*.bytes), readable_bytes(*.limit))]
    BindingTooLarge {
        /// The largest binding of the plan, in bytes.
        bytes: u64,
        /// The adapter's limit, in bytes.
        limit: u64,
    },
    /// A shader did not load: a missing import, an unknown constant, text that is no WGSL.
    #[error("shader {name}: {reason}")]
    Shader {
        /// The file, below `shaders/`.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The driver refused a pipeline.
    #[error("pipeline {label}: {reason}")]
    Pipeline {
        /// The pipeline's label.
        label: String,
        /// The driver's words.
        reason: String,
    },
    /// The device reported an error while running.
    #[error("the device reported an error: {reason}")]
    Device {
        /// The driver's words.
        reason: String,
    },
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The download of a data set.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A picture.
    #[error(transparent)]
    Image(#[from] ImageFileError),
    /// A file of weights that does not fit.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The data that weights were trained on is not to be had, or has other classes.
    #[error("{}: {reason}", weights.display())]
    TrainingData {
        /// The file of weights.
        weights: PathBuf,
        /// What is missing, or differs.
        reason: String,
    },
    /// A network whose output is no prediction.
    #[error(
        "the network's output for image {image} (counted from 0) is {value}: no class can be read from it"
    )]
    LogitsNotFinite {
        /// The image, by its number in the split.
        image: usize,
        /// Its first logit that is not finite.
        value: f32,
    },
    /// A checkpoint that is damaged, or that does not fit.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run that cannot go on from where it was.
    #[error("{} cannot be resumed: {reason}", folder.display())]
    Resume {
        /// The run folder.
        folder: PathBuf,
        /// What differs from when it was written.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// A configuration that makes no sense: a wrong use of the command, and no failure of it.
    #[error("{0}")]
    Config(String),
    /// A folder that holds no run, a damaged one, or one already.
    #[error("{0}")]
    Run(String),
    /// Training, or a sweep over learning rates, that came to nothing to go on with.
    #[error("{0}")]
    Training(String),
    /// A terminal that cannot be drawn on.
    #[error("{0}")]
    Terminal(String),
    /// A loss or gradient that is no number.
    #[error(
        "by step {step} (epoch {epoch}) the loss or a gradient was not finite; the state before it was kept"
    )]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step, from 1, over the whole run; the metrics are read late, so it is the latest it can be.
        step: usize,
    },
    /// The step at which that happened, looked at again.
    #[error("step {step} (epoch {epoch}) was not finite; the state before it was kept; {first}")]
    NotFiniteAt {
        /// The epoch, from 1.
        epoch: usize,
        /// The step, from 1, over the whole run.
        step: usize,
        /// What a second look at it has found.
        first: String,
        /// What `wgrad tape --replay` shows it with.
        file: PathBuf,
    },
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Whether it was found in what was asked for, before anything was tried.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, Error::Config(_))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoAdapter => {
                "install a Vulkan driver, or train on the CPU with --device cpu:\n  \
                 Debian/Ubuntu  apt install mesa-vulkan-drivers (software, Intel, AMD); nvidia-driver for NVIDIA;\n                 \
                 on Debian 12 the one from bookworm-backports is ten times faster\n  \
                 Fedora         dnf install mesa-vulkan-drivers\n  \
                 Arch           pacman -S vulkan-swrast (software), vulkan-radeon, vulkan-intel or nvidia-utils\n  \
                 macOS          nothing to install: Metal is part of macOS 10.13 and later\n  \
                 Windows        the GPU vendor's current driver (DirectX 12 or Vulkan)"
            }
            Error::AdapterNotFound { .. } => "`wgrad devices` lists the adapters",
            Error::DeviceRefused { .. } => "update the driver, or name another --device",
            Error::DeviceLost { .. } => {
                "the driver was reset, or the adapter removed; the system log says more. \
                 A smaller --batch-size makes each kernel shorter"
            }
            Error::OutOfMemory { .. } => {
                "use a smaller --batch-size or --width, or close what else uses the GPU; \
                 `wgrad tape` prints what a step needs"
            }
            Error::NotEnoughMemory { .. } => {
                "use a smaller --batch-size or --width; `wgrad tape` prints what a step needs"
            }
            Error::MemoryLimit { .. } => {
                "use a smaller --batch-size or --width, or raise --memory-limit; \
                 `wgrad tape` prints what a step needs"
            }
            Error::BindingTooLarge { .. } => {
                "use a smaller --batch-size or --width; `wgrad devices` prints the limit"
            }
            Error::Shader { .. } | Error::Pipeline { .. } => {
                "this is a fault of wgrad or of the driver: please report it with the output of \
                 `wgrad devices`; --device cpu works meanwhile"
            }
            Error::Device { .. } => "`wgrad devices` runs a self-test of every op on the adapter",
            Error::NotFinite { .. } => "use a smaller --max-lr",
            Error::NotFiniteAt { file, .. } => {
                return Some(format!(
                    "use a smaller --max-lr; `wgrad tape --replay {}` shows the step, node by node",
                    file.display()
                ));
            }
            Error::Weights { .. } => {
                "weights are a safetensors file with PyTorch's parameter names; --width must be the \
                 one they were trained with"
            }
            Error::TrainingData { .. } => {
                "--data-dir names the folder of the data; --data and --data-dir measure on any other data, too"
            }
            Error::LogitsNotFinite { .. } => {
                "the weights are too large for f32: train again with a smaller --max-lr"
            }
            Error::Checkpoint { .. } => {
                "to resume a run without it, move the file away: the checkpoint before it is taken then"
            }
            Error::Resume { hint, .. } => return Some(hint.clone()),
            Error::Data(error) => return error.hint(),
            Error::Fetch(error) => return error.hint(),
            Error::Config(_)
            | Error::Run(_)
            | Error::Training(_)
            | Error::Terminal(_)
            | Error::Image(_)
            | Error::Io { .. } => return None,
        };
        Some(hint.to_string())
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}
