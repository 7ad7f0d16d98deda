//! `wgrad predict`

use std::io::{self, Write};
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wgrad::base::shown::{Shown, escaped, escaped_lines};
use wgrad::data::{N_CLASSES, Source, Split, image_file};
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::nn::WeightsFile;
use wgrad::train::settings::at_least_one;
use wgrad::train::units::MemorySize;
use wgrad::train::{Predictions, Settings, TrainError, folder};

use super::{arguments, weights};

/// The largest number of pictures that are classified in one step.
const MAX_BATCH_SIZE: usize = 250;

/// Flags of `wgrad predict`.
#[derive(clap::Args)]
#[command(after_help = "\
The network reads the central square of a picture, scaled to 32x32. The picture is turned upright as its
orientation tag states, and transparent pixels are blended with white. If a picture cannot be read, the command
prints an error, classifies the others, and ends with exit code 1.")]
pub struct Args {
    /// The weights: a safetensors file with PyTorch's names, as a run writes it, or the run's folder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Pictures: PNG or JPEG, of any size
    #[arg(value_name = "IMG", required = true)]
    images: Vec<PathBuf>,
    /// Print the N most probable classes of each picture
    #[arg(long, value_name = "N", default_value = "5", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroUsize>)]
    top: NonZeroUsize,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// The names of the classes: cifar10, shapes, or ten names with commas between them [default: those that
    /// the weights record; else those of the dataset in config.toml beside the weights; else cifar10]
    #[arg(long, value_name = "NAMES")]
    classes: Option<String>,
    /// Channels of the network's first layer [default: as many as the weights have]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: Option<NonZeroU16>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// The kernels that a GPU runs
    #[arg(long, value_name = "KIND", default_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Kernels,
    /// Refuse a step that needs more memory than this, for example 512MiB or 2GiB
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_limit: Option<MemorySize>,
}

/// Predicts the classes of pictures, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let weights = weights::read(&args.weights)?;
    let classes = class_names(args, &weights)?;
    let (mut files, mut split) = (Vec::new(), Split::default());
    for path in &args.images {
        match image_file::read(path) {
            Ok(image) => {
                files.push(path);
                split.images.extend(image);
                split.labels.push(0); // The label is unknown. No code reads it.
            }
            Err(error) => print_error(&escaped_lines(&format!("error: {error}\n"))),
        }
    }
    // This call runs even if no picture can be read. It then reports errors in the weights, too.
    let predictions = predict(args, &weights, &split)?;
    let text = match args.json {
        true => format!("{}\n", json(&files, &classes, &predictions, args.top.get())),
        false => text(&files, &classes, &predictions, args.top.get()),
    };
    super::print(&text)?;
    let all = files.len() == args.images.len();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a text on the standard error. A failure to print it is ignored.
fn print_error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn predict(args: &Args, weights: &WeightsFile, split: &Split) -> anyhow::Result<Predictions> {
    let options = OpenOptions {
        kernels: args.kernels,
        memory_limit: args.memory_limit.map(|size| size.0),
        ..OpenOptions::default()
    };
    let device = Device::open(&args.device, super::opened(options))?;
    let batch_size = split.len().clamp(1, MAX_BATCH_SIZE);
    let (mut evaluator, _) = weights::evaluator(&device, weights, args.width, batch_size)?;
    let logits = evaluator.logits(split, &|| false)?.expect("no interruption");
    Ok(Predictions::from_logits(&logits, N_CLASSES))
}

/// Returns the names of the classes from the first source that has them: the flag, the record in the file of weights,
/// the dataset in the run's settings, or CIFAR-10.
fn class_names(args: &Args, weights: &WeightsFile) -> anyhow::Result<Vec<String>> {
    let source = match args.classes.as_deref() {
        Some("cifar10") => Some(Source::Cifar10),
        Some("shapes") => Some(Source::Shapes),
        Some(names) => {
            let names: Vec<String> = names.split(',').map(|name| name.trim().to_string()).collect();
            let n = names.len();
            let refused = format!(
                "--classes: {n} names, and the network has {N_CLASSES} classes; give cifar10, shapes, or \
                 {N_CLASSES} names"
            );
            return if n == N_CLASSES { Ok(names) } else { Err(super::WrongUse(refused).into()) };
        }
        None => match weights.info() {
            Some(info) if info.classes.len() == N_CLASSES => return Ok(info.classes.clone()),
            Some(info) => {
                let n = info.classes.len();
                let reason =
                    format!("the record names {n} classes, and the network has {N_CLASSES}");
                let weights = weights.path().to_path_buf();
                return Err(TrainError::TrainingData { weights, reason }.into());
            }
            None => Settings::read(&config_beside(weights.path())).ok().and_then(|s| s.data),
        },
    };
    let source = source.unwrap_or_else(|| {
        super::note(&format!(
            "neither {} nor a {} beside it names the classes; the names are CIFAR-10's (--classes sets \
             others)",
            weights.path().shown(),
            folder::CONFIG
        ));
        Source::Cifar10
    });
    Ok(source.classes())
}

fn config_beside(weights: &Path) -> PathBuf {
    weights.with_file_name(folder::CONFIG)
}

fn text(files: &[&PathBuf], classes: &[String], predictions: &Predictions, top: usize) -> String {
    let classes: Vec<_> = classes.iter().map(|name| escaped(name)).collect();
    let width = classes.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (image, file) in files.iter().enumerate() {
        text += &format!("{}\n", file.shown());
        for (class, probability) in predictions.top(image, top) {
            let (name, percent) = (&classes[class], 100.0 * probability);
            text += &format!("  {name:width$}  {percent:6.2}%\n");
        }
    }
    text
}

/// Returns the predictions as JSON: a list of the pictures in the order of the command line.
fn json(
    files: &[&PathBuf],
    classes: &[String],
    predictions: &Predictions,
    top: usize,
) -> serde_json::Value {
    let of_image = |(image, file): (usize, &&PathBuf)| {
        let top = predictions.top(image, top).into_iter().map(|(label, probability)| {
            serde_json::json!({
                "class": classes[label], "label": label, "probability": probability
            })
        });
        serde_json::json!({ "file": file.to_string_lossy(), "top": top.collect::<Vec<_>>() })
    };
    files.iter().enumerate().map(of_image).collect()
}
