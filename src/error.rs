//! What can go wrong for a user: one enum, each cause with a hint what to do.

use std::path::PathBuf;

use crate::base::files::FileError;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::DataError;
use crate::data::fetch::FetchError;
use crate::data::image_file::ImageFileError;

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
    #[error("{}: {reason}", path.shown())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of weights of the right form that cannot be used.
    #[error("{}: {reason}", path.shown())]
    UnusableWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong with its contents.
        reason: String,
    },
    /// The data that weights were trained on is not to be had, or has other classes.
    #[error("{}: {reason}", weights.shown())]
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
    #[error("{}: {reason}", path.shown())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that holds no step to run again.
    #[error("{}: {reason}", path.shown())]
    Replay {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run that cannot go on from where it was.
    #[error("{} cannot be resumed: {reason}", folder.shown())]
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
    #[error(transparent)]
    Io(#[from] FileError),
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io(FileError { path, source })
    }

    /// Whether it was found in what was asked for, before anything was tried.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, Error::Config(_))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        self.hint_with(&|_| true)
    }

    /// What to do about it with a command that has these flags (`has("--width")`): no other is named.
    pub fn hint_with(&self, has: &dyn Fn(&str) -> bool) -> Option<String> {
        let with = |flag: &str, words: &'static str| has(flag).then_some(words);
        let smaller = match (has("--batch-size"), has("--width")) {
            (true, true) => Some("use a smaller --batch-size or --width"),
            (true, false) => Some("use a smaller --batch-size"),
            (false, true) => Some("use a smaller --width"),
            (false, false) => None,
        };
        let needs = Some("`wgrad tape` prints what a step needs");
        let hint = match self {
            Error::NoAdapter => {
                let or_the_cpu = with("--device", ", or use the CPU with --device cpu");
                format!("install a Vulkan driver{}:\n{DRIVERS}", or_the_cpu.unwrap_or_default())
            }
            Error::AdapterNotFound { .. } => "`wgrad devices` lists the adapters".to_string(),
            Error::DeviceRefused { .. } => {
                either([Some("update the driver"), with("--device", "name another --device")])
            }
            Error::DeviceLost { .. } => sentences([
                Some("the driver was reset, or the adapter removed; the system log says more"),
                with("--batch-size", "a smaller --batch-size makes each kernel shorter"),
            ]),
            Error::OutOfMemory { .. } => {
                let others = Some("close what else uses the GPU");
                sentences([Some(&either([smaller, others])), needs])
            }
            Error::NotEnoughMemory { .. } => sentences([smaller, needs]),
            Error::MemoryLimit { .. } => {
                let raise = match has("--memory-limit") {
                    true => "raise --memory-limit",
                    false => "raise memory-limit in the run's config.toml",
                };
                sentences([Some(&either([smaller, Some(raise)])), needs])
            }
            Error::BindingTooLarge { .. } => {
                let another = with("--device", "name another --device");
                let limit = Some("`wgrad devices` prints the limits");
                sentences([Some(&either([smaller, another])), limit])
            }
            Error::Shader { .. } | Error::Pipeline { .. } => sentences([
                Some(
                    "this is a fault of wgrad or of the driver: please report it with the output of \
                     `wgrad devices`",
                ),
                with("--device", "--device cpu works meanwhile"),
            ]),
            Error::Device { .. } => {
                "`wgrad devices` runs a self-test of every op on the adapter".to_string()
            }
            Error::NotFinite { .. } => smaller_rate(has).to_string(),
            Error::NotFiniteAt { file, .. } => {
                let (rate, file) = (smaller_rate(has), file.shown());
                format!("{rate}; `wgrad tape --replay {file}` shows the step, node by node")
            }
            Error::Weights { .. } => "weights are a safetensors file with PyTorch's parameter names, as \
                                      a run leaves it in model.safetensors"
                .to_string(),
            Error::TrainingData { .. } => sentences([
                with("--data-dir", "--data-dir names the folder of the data"),
                with("--data", "--data and --data-dir measure on any other data, too"),
            ]),
            Error::LogitsNotFinite { .. } => {
                "f32 is too small for the weights, or for the mean and deviation in their record"
                    .to_string()
            }
            Error::Checkpoint { .. } => {
                "to resume the run without it, move the file away: the checkpoint before it is taken \
                 then, and without one the run begins anew"
                    .to_string()
            }
            Error::Resume { hint, .. } => return Some(hint.clone()),
            Error::Data(error) => return error.hint(),
            Error::Fetch(error) => return error.hint(),
            Error::Config(_)
            | Error::Run(_)
            | Error::Training(_)
            | Error::UnusableWeights { .. }
            | Error::Terminal(_)
            | Error::Replay { .. }
            | Error::Image(_)
            | Error::Io(_) => return None,
        };
        Some(hint).filter(|hint| !hint.is_empty())
    }
}

/// Where drivers come from.
const DRIVERS: &str = "  \
     Debian/Ubuntu  apt install mesa-vulkan-drivers (software, Intel, AMD); nvidia-driver for NVIDIA;\n                 \
     on Debian 12 the one from bookworm-backports is ten times faster\n  \
     Fedora         dnf install mesa-vulkan-drivers\n  \
     Arch           pacman -S vulkan-swrast (software), vulkan-radeon, vulkan-intel or nvidia-utils\n  \
     macOS          nothing to install: Metal is part of macOS 10.13 and later\n  \
     Windows        the GPU vendor's current driver (DirectX 12 or Vulkan)";

/// A run that goes on keeps its rate, and a sweep has a last one in place of a peak.
fn smaller_rate(has: &dyn Fn(&str) -> bool) -> &'static str {
    match (has("--max-lr"), has("--end-lr")) {
        (true, _) => "use a smaller --max-lr",
        (false, true) => "use a smaller --end-lr",
        (false, false) => "begin a run of its own with a smaller --max-lr",
    }
}

/// What can be done, one or the other.
fn either<const N: usize>(ways: [Option<&str>; N]) -> String {
    ways.into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

/// One thing and then another.
fn sentences<const N: usize>(all: [Option<&str>; N]) -> String {
    all.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_no_flag_that_the_command_lacks() {
        let words = || "words".to_string();
        let (path, [planned, limit]) = (|| PathBuf::from("file"), [2 << 20, 1 << 20]);
        let source = || std::io::Error::other("words");
        for error in [
            Error::NoAdapter,
            Error::AdapterNotFound { wanted: words(), found: Vec::new() },
            Error::DeviceRefused { adapter: words(), reason: words() },
            Error::DeviceLost { reason: words() },
            Error::OutOfMemory { planned: words(), reason: words() },
            Error::MemoryLimit { planned, limit },
            Error::BindingTooLarge { bytes: planned, limit },
            Error::Shader { name: words(), reason: words() },
            Error::Pipeline { label: words(), reason: words() },
            Error::Device { reason: words() },
            Error::Weights { path: path(), reason: words() },
            Error::Checkpoint { path: path(), reason: words() },
            Error::Replay { path: path(), reason: words() },
            Error::NotFinite { epoch: 1, step: 1 },
            Error::NotFiniteAt { epoch: 1, step: 1, first: words(), file: path() },
            Error::Io(FileError { path: path(), source: source() }),
        ] {
            let hint = error.hint_with(&|_| false).unwrap_or_default();
            // Of another command, which it names, it may.
            let named = hint.split('`').step_by(2).flat_map(str::split_whitespace);
            let flags: Vec<_> = named.filter(|word| word.starts_with("--")).collect();
            let allowed: &[&str] = match error {
                Error::NotFinite { .. } | Error::NotFiniteAt { .. } => &["--max-lr", "--max-lr;"],
                _ => &[],
            };
            assert!(flags.iter().all(|flag| allowed.contains(flag)), "{error}: {hint}");
            let all = error.hint().unwrap_or_default();
            assert!(all.len() >= hint.len() || !flags.is_empty(), "{error}: {all}");
            for wrong in ["; ;", ", or ;", "  ;"] {
                assert!(!hint.contains(wrong) && !all.contains(wrong), "{hint}");
            }
        }
    }

    #[test]
    fn hints_name_the_flags_that_the_command_has() {
        let error = Error::MemoryLimit { planned: 2, limit: 1 };
        let hint = |flags: &[&str]| error.hint_with(&|flag| flags.contains(&flag)).expect("a hint");
        let needs = "; `wgrad tape` prints what a step needs";
        assert_eq!(
            hint(&["--batch-size", "--width", "--memory-limit"]),
            format!("use a smaller --batch-size or --width, or raise --memory-limit{needs}")
        );
        assert_eq!(hint(&["--memory-limit"]), format!("raise --memory-limit{needs}"));
    }
}
