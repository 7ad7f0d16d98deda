//! Hints: the flags and commands with which a user can fix an error.

mod data;
mod resume;

use wgrad::Error;
use wgrad::base::shown::Shown;
use wgrad::data::{LoadError, fetch::FetchError, image_file::ImageFileError};
use wgrad::device::DeviceError;
use wgrad::measure::MeasureError;
use wgrad::nn::{WeightsError, onnx::OnnxError};
use wgrad::passes::PlanError;
use wgrad::train::lr_find::NoSlope;
use wgrad::train::{ConfigError, StepError, TrainError};

pub use data::{advised, hint_of_fetch, space_of_archives};
pub use resume::begin_from;

/// Converts the error type of one module (device, data, train, ...) into [`Error`], the enum of the errors of all
/// modules. Returns other errors unchanged.
pub fn summed(error: anyhow::Error) -> anyhow::Error {
    let summed = error
        .downcast::<DeviceError>()
        .map(Error::from)
        .or_else(|error| error.downcast::<WeightsError>().map(Error::from))
        .or_else(|error| error.downcast::<OnnxError>().map(Error::from))
        .or_else(|error| error.downcast::<LoadError>().map(Error::from))
        .or_else(|error| error.downcast::<FetchError>().map(Error::from))
        .or_else(|error| error.downcast::<ImageFileError>().map(Error::from))
        .or_else(|error| error.downcast::<ConfigError>().map(Error::from))
        .or_else(|error| error.downcast::<StepError>().map(Error::from))
        .or_else(|error| error.downcast::<TrainError>().map(Error::from))
        .or_else(|error| error.downcast::<MeasureError>().map(Error::from));
    summed.map_or_else(|error| error, anyhow::Error::from)
}

/// Returns the hint for an error of a command. `has("--width")` is true if the command has the flag `--width`. The hint
/// names only flags that the command has.
pub fn hint(error: &Error, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let hint = match error {
        Error::File(_) | Error::Image(_) | Error::World(_) => None,
        Error::Device(error) => Some(of_device(error, has)),
        Error::Weights(error) => of_weights(error, has),
        Error::Onnx(OnnxError::Class { .. }) => {
            has("--classes").then(|| "--classes sets other names".to_string())
        }
        Error::Onnx(_) => None,
        Error::Data(error) => Some(data::hint_of_data(error, has)),
        Error::Fetch(error) => hint_of_fetch(error),
        Error::Config(error) => of_config(error, has),
        Error::Step(error) => Some(of_step(error, has).to_string()),
        Error::Train(error) => of_training(error, has),
        Error::Measure(error) => of_measurement(error).map(String::from),
    };
    hint.filter(|hint| !hint.is_empty())
}

fn of_device(error: &DeviceError, has: &dyn Fn(&str) -> bool) -> String {
    let with = |flag: &str, words: &'static str| has(flag).then_some(words);
    let needs = Some("`wgrad tape` prints what a step needs");
    match error {
        DeviceError::NoAdapter => {
            let or_the_cpu = with("--device", ", or use the CPU with --device cpu");
            format!("install a Vulkan driver{}:\n{DRIVERS}", or_the_cpu.unwrap_or_default())
        }
        DeviceError::AdapterNotFound { .. } => "`wgrad devices` lists the adapters".to_string(),
        DeviceError::Refused { .. } => {
            either([Some("update the driver"), with("--device", "name another --device")])
        }
        DeviceError::Lost { .. } => sentences([
            Some("the driver was reset, or the adapter was removed; the system log has details"),
            with("--batch-size", "a smaller --batch-size makes each kernel shorter"),
        ]),
        DeviceError::OutOfMemory { .. } => {
            let close = Some("close other programs that use the GPU");
            sentences([Some(&either([smaller(has), close])), needs])
        }
        DeviceError::NotEnoughMemory { .. } => sentences([smaller(has), needs]),
        DeviceError::Plan(PlanError::MemoryLimit { .. }) => {
            let raise = match has("--memory-limit") {
                true => "raise --memory-limit",
                false => "raise memory-limit in the run's config.toml",
            };
            sentences([Some(&either([smaller(has), Some(raise)])), needs])
        }
        DeviceError::Plan(PlanError::BindingTooLarge { fits, .. }) => {
            let another = with("--device", "name another --device");
            let limit = Some("`wgrad devices` prints the limits");
            let or_width = with("--width", " or a smaller --width").unwrap_or_default();
            let batch = fits.filter(|_| has("--batch-size"));
            let batch = batch.map(|n| format!("use --batch-size {n}{or_width}"));
            sentences([Some(&either([batch.as_deref().or(smaller(has)), another])), limit])
        }
        DeviceError::Plan(
            PlanError::ParameterTooLarge { .. } | PlanError::StateTooLarge { .. },
        ) => {
            let smaller = with("--width", "use a smaller --width");
            let another = with("--device", "name another --device");
            sentences([
                Some(&either([smaller, another])),
                Some("`wgrad devices` prints the limits"),
            ])
        }
        DeviceError::Shader { .. } | DeviceError::Pipeline { .. } => sentences([
            Some(
                "this is an error of wgrad or of the driver; report it with the output of `wgrad devices`",
            ),
            with("--device", "until it is fixed, use --device cpu"),
        ]),
        DeviceError::Failed { .. } => "`wgrad devices` tests every op on the adapter".to_string(),
    }
}

fn of_weights(error: &WeightsError, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let hint = match error {
        WeightsError::Misfit { in_file: Some(name), .. } if has("--network") => {
            return Some(format!(
                "use --network {name}; weights of wgrad need neither --network nor --width"
            ));
        }
        WeightsError::Misfit { difference: Some(_), .. } if has("--network") => {
            Some("leave out --width; the width follows from the weights")
        }
        WeightsError::Format { .. } | WeightsError::Misfit { .. } => Some(
            "weights have PyTorch's parameter names: a safetensors file, such as a run's model.safetensors, or a \
             state dict that torch.save(model.state_dict(), ...) has written",
        ),
        WeightsError::File(_) => {
            Some("name a .safetensors, .pt, .pth or .th file, or the folder of a run")
        }
        WeightsError::Folder { .. } | WeightsError::Value { .. } => None,
    };
    hint.map(String::from)
}

fn of_config(error: &ConfigError, has: &dyn Fn(&str) -> bool) -> Option<String> {
    match error {
        ConfigError::Range { .. } => has("--start-lr").then(|| {
            "--start-lr is the first learning rate, and --end-lr is the last one".to_string()
        }),
        ConfigError::File { .. }
        | ConfigError::Restricted { .. }
        | ConfigError::Value { .. }
        | ConfigError::FewerThanABatch { .. }
        | ConfigError::Validation { .. } => None,
    }
}

fn of_step(error: &StepError, has: &dyn Fn(&str) -> bool) -> &'static str {
    match error {
        StepError::LogitsNotFinite { .. } => {
            "the weights, or the mean and standard deviation in their record, are too large for f32"
        }
        StepError::NotFinite { .. } => smaller_rate(has),
        StepError::Features { .. } => "",
    }
}

fn of_training(error: &TrainError, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let with = |flag: &str, words: &'static str| has(flag).then_some(words);
    Some(match error {
        TrainError::Occupied { .. } => with("--out", "name another folder with --out")?.to_string(),
        TrainError::Checkpoint { .. } => {
            "to resume without this checkpoint, move its file away: the run then continues from the previous \
             checkpoint or, without one, begins again"
                .to_string()
        }
        TrainError::Resume { folder, cause } => resume::hint_of_resume(folder, cause, has)?,
        TrainError::TrainingData { .. } => sentences([
            with("--data-dir", "name the folder of the data with --data-dir"),
            with("--data", "to evaluate on other data, give --data or --data-dir"),
        ]),
        TrainError::EvaluationNotFinite { .. }
        | TrainError::NoFiniteStep { .. } => smaller_rate(has).to_string(),
        TrainError::NotFiniteAt { file, .. } => {
            let (rate, file) = (smaller_rate(has), file.in_command());
            format!("{rate}; `wgrad tape --replay {file}` prints the outputs of each node of the step")
        }
        TrainError::NoRate { .. } if !has("--start-lr") => {
            "`wgrad lr-find` sweeps over other learning rates and draws the curve".to_string()
        }
        TrainError::NoRate { why, .. } => match why {
            NoSlope::TooShort(_) => "lower --start-lr",
            NoSlope::Rises => "lower --start-lr and --end-lr",
            NoSlope::Level { .. } => {
                "raise --end-lr if all steps are too small, or raise --steps and --batch-size if noise hides the slope"
            }
        }
        .to_string(),
        TrainError::NoRun { .. }
        | TrainError::Busy { .. }
        | TrainError::Damaged { .. }
        | TrainError::Replay { .. }
        | TrainError::OtherWeights { .. }
        | TrainError::NothingToSweep => return None,
    })
}

fn of_measurement(error: &MeasureError) -> Option<&'static str> {
    match error {
        MeasureError::File { .. } => None,
        MeasureError::OtherStep { .. } => Some(
            "leave --network, --width and --batch-size out; the earlier benchmark's values are the default",
        ),
    }
}

/// Returns the hint for a step that needs too much memory; None if the command has neither `--batch-size` nor
/// `--width`.
fn smaller(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    match (has("--batch-size"), has("--width")) {
        (true, true) => Some("use a smaller --batch-size or --width"),
        (true, false) => Some("use a smaller --batch-size"),
        (false, true) => Some("use a smaller --width"),
        (false, false) => None,
    }
}

/// Packages with Vulkan drivers, one line per operating system.
const DRIVERS: &str = "  \
     Debian/Ubuntu  apt install mesa-vulkan-drivers (software, Intel, AMD); nvidia-driver for NVIDIA;\n                 \
     on Debian 12, the package from bookworm-backports is ten times faster\n  \
     Fedora         dnf install mesa-vulkan-drivers\n  \
     Arch           pacman -S vulkan-swrast (software), vulkan-radeon, vulkan-intel or nvidia-utils\n  \
     macOS          nothing to install: Metal is part of macOS 10.13 and later\n  \
     Windows        the GPU vendor's current driver (DirectX 12 or Vulkan)";

/// Returns the hint for a learning rate that is too high. `wgrad train` has `--max-lr`, and a sweep has `--end-lr`. A
/// resumed run has neither flag, because it keeps its learning rate.
fn smaller_rate(has: &dyn Fn(&str) -> bool) -> &'static str {
    match (has("--max-lr"), has("--end-lr")) {
        (true, _) => "use a smaller --max-lr",
        (false, true) => "use a smaller --end-lr",
        (false, false) => "start a new run with a smaller --max-lr",
    }
}

/// Joins alternatives with "or".
fn either<const N: usize>(ways: [Option<&str>; N]) -> String {
    ways.into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

/// Joins sentences with semicolons.
fn sentences<const N: usize>(all: [Option<&str>; N]) -> String {
    all.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const LIMIT: PlanError = PlanError::MemoryLimit { planned: 2, limit: 1 };

    fn all() -> Vec<Error> {
        let words = || "words".to_string();
        let path = || PathBuf::from("file");
        let large = PlanError::BindingTooLarge { bytes: 2 << 20, limit: 1 << 20, fits: Some(7) };
        let rate = |why| TrainError::NoRate { start: 1.0, end: 2.0, why };
        vec![
            DeviceError::NoAdapter.into(),
            DeviceError::AdapterNotFound { wanted: words(), found: Vec::new() }.into(),
            DeviceError::Refused { adapter: words(), reason: words() }.into(),
            DeviceError::Lost { reason: words() }.into(),
            DeviceError::OutOfMemory { planned: 1, reason: words() }.into(),
            DeviceError::NotEnoughMemory { planned: 2, available: 1 }.into(),
            DeviceError::Plan(LIMIT).into(),
            DeviceError::Plan(large).into(),
            DeviceError::Plan(PlanError::ParameterTooLarge { bytes: 2, limit: 1 }).into(),
            DeviceError::Plan(PlanError::StateTooLarge { bytes: 2, limit: 1 }).into(),
            DeviceError::Shader { name: words(), reason: words() }.into(),
            DeviceError::Pipeline { label: words(), reason: words() }.into(),
            DeviceError::Failed { reason: words() }.into(),
            WeightsError::Format { path: path(), reason: words() }.into(),
            misfit(None, None),
            misfit(Some("words"), None),
            misfit(Some("words"), Some("resnet20")),
            ConfigError::Range { start: 2.0, end: 1.0 }.into(),
            TrainError::Occupied { path: path(), problem: "holds a run already" }.into(),
            TrainError::Checkpoint { path: path(), reason: words() }.into(),
            TrainError::TrainingData { weights: path(), reason: words() }.into(),
            StepError::LogitsNotFinite { image: 0, value: f32::NAN }.into(),
            StepError::NotFinite { epoch: 1, step: 1 }.into(),
            TrainError::NotFiniteAt { epoch: 1, step: 1, first: words(), file: path() }.into(),
            TrainError::EvaluationNotFinite { epoch: 1 }.into(),
            TrainError::NoFiniteStep { epoch: 1 }.into(),
            rate(NoSlope::TooShort(3)).into(),
            rate(NoSlope::Rises).into(),
            rate(NoSlope::Level { fall: 0.0, needed: 1.0 }).into(),
        ]
    }

    fn misfit(difference: Option<&str>, in_file: Option<&str>) -> Error {
        let [difference, in_file] = [difference, in_file].map(|text| text.map(str::to_string));
        let (path, problems) = (PathBuf::from("file"), Vec::new());
        WeightsError::Misfit { path, difference, in_file, problems }.into()
    }

    #[test]
    fn hints_name_no_flag_that_the_command_lacks() {
        for error in all() {
            let none = hint(&error, &|_| false).unwrap_or_default();
            // Flags of other commands may stand between backticks, or in a hint that begins with "start a new run". So
            // the test reads only the words outside of backticks.
            let named = none.split('`').step_by(2).flat_map(str::split_whitespace);
            let flags: Vec<_> = named.filter(|word| word.starts_with("--")).collect();
            let is_of_another_run = none.starts_with("start a new run");
            assert!(flags.is_empty() || is_of_another_run, "{error}: {none}");
            let every = hint(&error, &|_| true).expect("a hint");
            for wrong in ["; ;", ", or ;", "  ;"] {
                assert!(!none.contains(wrong) && !every.contains(wrong), "{none}");
            }
        }
    }

    #[test]
    fn hints_name_the_flags_that_the_command_has() {
        let error = DeviceError::from(LIMIT).into();
        let hint = |flags: &[&str]| hint(&error, &|flag| flags.contains(&flag)).expect("a hint");
        let needs = "; `wgrad tape` prints what a step needs";
        assert_eq!(
            hint(&["--batch-size", "--width", "--memory-limit"]),
            format!("use a smaller --batch-size or --width, or raise --memory-limit{needs}")
        );
        assert_eq!(hint(&["--memory-limit"]), format!("raise --memory-limit{needs}"));
    }

    #[test]
    fn a_summed_error_has_the_hint_of_its_layer() {
        let error = summed(DeviceError::NoAdapter.into());
        let error = error.downcast_ref::<Error>().expect("the sum");
        assert!(hint(error, &|_| false).expect("a hint").contains("Vulkan"));
    }
}
