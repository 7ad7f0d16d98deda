//! `wgrad predict`

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wgrad::base::files::write_whole;
use wgrad::base::shown::{Shown, escaped};
use wgrad::base::units::readable_bytes;
use wgrad::data::image_file::{Background, ImageFileError};
use wgrad::data::{ImageSpec, Source, image_file};
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::nn::{NetworkConfig, WeightsFile};
use wgrad::report::gallery::Gallery;
use wgrad::report::thumbnail;
use wgrad::train::settings::at_least_one;
use wgrad::train::units::{Classes, MemorySize};
use wgrad::train::{Predictions, Settings, TrainError, folder};

use super::{arguments, outputs, weights};

mod results;

use results::{Model, Results};

/// The argument for a picture from the standard input.
const STANDARD_INPUT: &str = "-";

/// The largest number of pictures that are classified in one step.
const MAX_BATCH_SIZE: usize = 250;

/// Flags of `wgrad predict`.
#[derive(clap::Args)]
#[command(after_help = "\
The network reads the central part of a picture, scaled to the size of its inputs (--image-size); a picture of \
this size stays as it is. The picture is turned upright as its orientation tag states, and transparent pixels \
are blended with --background. In a folder and below it, the files with the endings png, jpg, jpeg, jpe, jfif, \
webp, bmp, gif, tif and tiff are pictures, in the order of the bytes of their paths; hidden files are left out. \
If a picture cannot be read, the command prints an error, classifies the others, and ends with exit code 1.

The page of --out is one file without links to other files. It has a thumbnail of each picture.")]
pub struct Args {
    /// The weights: a file of safetensors or torch.save with PyTorch's names, or a run's folder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Pictures of any size (PNG, JPEG, WebP, BMP, TIFF, the first frame of a GIF), folders of pictures, or - for a
    /// picture from the standard input
    #[arg(value_name = "IMG", required = true)]
    images: Vec<PathBuf>,
    /// The colour behind transparent pixels: red, green and blue from 0 to 255
    #[arg(long, value_name = "R,G,B", default_value = "255,255,255")]
    background: Background,
    /// Print the N most probable classes of each picture
    #[arg(long, value_name = "N", default_value = "5", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroUsize>)]
    top: NonZeroUsize,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// Write a page with the pictures and their classes instead of printing the classes
    #[arg(long, value_name = "PAGE.HTML")]
    out: Option<PathBuf>,
    /// Colour the positions of each picture on the page that speak for its most probable class (Grad-CAM)
    #[arg(long, requires = "out")]
    explain: bool,
    /// The names of the classes: a dataset, a name for each class with commas between them, or their number [default:
    /// those that the weights record; else those of the dataset in config.toml beside the weights; else numbers]
    #[arg(long, value_name = "NAMES")]
    classes: Option<Classes>,
    #[command(flatten)]
    recorded: weights::Recorded,
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
    let network = args.recorded.network(&weights)?;
    let spec = spec(&weights, network, &args.recorded, args.classes.as_ref())?;
    if let Some(out) = &args.out {
        let inputs = args.images.iter().map(PathBuf::as_path).chain([weights.path()]);
        outputs::refuse_inputs(out, &inputs.collect::<Vec<_>>(), "html")?;
    }
    let paths = files(&args.images);
    let n_paths = paths.len();
    let batch_size = n_paths.clamp(1, MAX_BATCH_SIZE);
    // The model is compiled even if no picture can be read. An error in the weights is reported in any case.
    let device = device(args)?;
    let mut model = Model::new(&device, args, &weights, network, &spec, batch_size)?;
    let side = args.out.as_ref().map(|_| thumbnail::side(n_paths));
    let mut results = Results::default();
    let mut paths = paths.into_iter();
    loop {
        // Only the pictures of one batch are in memory.
        let batch: Vec<_> = paths.by_ref().take(batch_size).collect();
        if batch.is_empty() {
            break;
        }
        results.add(batch, args, &spec, side, &mut model)?;
    }
    let Results { files, thumbnails, errors, logits, explained } = results;
    if args.json {
        super::print(&format!("{}\n", json(&files, &spec.classes, &logits, args.top.get())))?;
    } else if args.out.is_none() {
        super::print(&text(&files, &spec.classes, &logits, args.top.get()))?;
    }
    if let Some(out) = &args.out {
        let gallery = Gallery {
            pictures: &thumbnails,
            predictions: &Predictions::from_logits(&logits, spec.classes.len()),
            explained: explained.as_ref(),
            unreadable: &errors,
            classes: &spec.classes,
            top: args.top.get(),
            size: spec.size,
            network: network.network.name(),
            weights: weights.path(),
            device: &device.name(),
        };
        let page = gallery.page();
        write_whole(out, page.as_bytes())?;
        if !args.json {
            let size = readable_bytes(page.len() as u64);
            super::print(&format!("page      {} ({size})\n", out.shown()))?;
        }
    }
    let all = files.len() == n_paths;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the files of the pictures that the arguments name: an argument itself, or the pictures in a folder, or an
/// error for a folder that has none.
fn files(arguments: &[PathBuf]) -> Vec<Result<PathBuf, ImageFileError>> {
    let of_folder = |folder: &PathBuf| match image_file::pictures_below(folder) {
        Ok(files) if files.is_empty() => {
            let reason = "no picture is in this folder".to_string();
            vec![Err(ImageFileError::Unusable { path: folder.clone(), reason })]
        }
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(source) => vec![Err(ImageFileError::Io { path: folder.clone(), source })],
    };
    let of_argument = |path: &PathBuf| match path.is_dir() {
        true => of_folder(path),
        false => vec![Ok(path.clone())],
    };
    arguments.iter().flat_map(of_argument).collect()
}

/// Opens the device.
fn device(args: &Args) -> anyhow::Result<Device> {
    let options = OpenOptions {
        kernels: args.kernels,
        memory_limit: args.memory_limit.map(|size| size.0),
        ..OpenOptions::default()
    };
    Ok(Device::open(&args.device, super::opened(options))?)
}

/// Returns the format of the pictures that the network of a file reads, and the names of its classes.
///
/// # Errors
/// If `names` or the names in the file have another number of classes than the network.
pub fn spec(
    weights: &WeightsFile,
    network: NetworkConfig,
    recorded: &weights::Recorded,
    names: Option<&Classes>,
) -> anyhow::Result<ImageSpec> {
    let classes = class_names(names, weights, network.classes)?;
    let spec = weights::spec(weights, source(weights), network.classes);
    let side = recorded.side().or_else(|| published_side(weights, network));
    Ok(ImageSpec { classes, ..spec.with_side(side) })
}

/// Returns the dataset to whose image format the pictures are converted: the one that the file of weights records, else
/// the one in the run's settings beside the file, else CIFAR-10.
fn source(weights: &WeightsFile) -> Source {
    let recorded = weights.info().and_then(|info| Source::from_name(&info.data).ok());
    recorded.or_else(|| source_beside(weights)).unwrap_or(Source::CIFAR10)
}

/// Returns the number of rows of the images for which the network was published, if neither the file of weights nor
/// settings beside it determine the size.
fn published_side(weights: &WeightsFile, network: NetworkConfig) -> Option<usize> {
    let is_recorded = weights.info().is_some() || source_beside(weights).is_some();
    (!is_recorded).then(|| network.network.default_image()[0])
}

/// Returns the dataset in the run's settings, the file `config.toml` beside the file of weights, if there is one.
fn source_beside(weights: &WeightsFile) -> Option<Source> {
    Settings::read(&config_beside(weights.path())).ok().and_then(|settings| settings.data)
}

/// Returns the names of the `n` classes from the first source that has them: the flag `--classes`, the record in the
/// file of weights, the dataset in the run's settings. If no source has them, the names are the numbers of the classes.
fn class_names(
    names: Option<&Classes>,
    weights: &WeightsFile,
    n: usize,
) -> anyhow::Result<Vec<String>> {
    match names {
        None => class_names_of_weights(weights, n),
        Some(classes) => classes
            .names(n)
            .map_err(|must| super::WrongUse(format!("--classes: the value must {must}")).into()),
    }
}

fn class_names_of_weights(weights: &WeightsFile, n: usize) -> anyhow::Result<Vec<String>> {
    let path = weights.path();
    if let Some(info) = weights.info() {
        let n_names = info.classes.len();
        let reason = format!("the record names {n_names} classes, and the network has {n}");
        let refused = TrainError::TrainingData { weights: path.to_path_buf(), reason };
        return if n_names == n { Ok(info.classes.clone()) } else { Err(refused.into()) };
    }
    if let Some(source) = source_beside(weights) {
        let dataset = source.dataset();
        let names = dataset.spec(dataset.options(n)).classes;
        if names.len() == n {
            return Ok(names);
        }
    }
    super::note(&format!(
        "neither {} nor a {} beside it names the classes; their names are numbers (--classes sets others)",
        path.shown(),
        folder::CONFIG
    ));
    Ok((0..n).map(|class| class.to_string()).collect())
}

fn config_beside(weights: &Path) -> PathBuf {
    weights.with_file_name(folder::CONFIG)
}

fn text(files: &[PathBuf], classes: &[String], logits: &[f32], top: usize) -> String {
    let predictions = Predictions::from_logits(logits, classes.len());
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

/// Returns the predictions as JSON: a list with one entry for each picture, in the order of the command line. An entry
/// has the picture's logits of all classes, in the order of the labels.
fn json(files: &[PathBuf], classes: &[String], logits: &[f32], top: usize) -> serde_json::Value {
    let predictions = Predictions::from_logits(logits, classes.len());
    let of_image = |(image, file): (usize, &PathBuf)| {
        let top = predictions.top(image, top).into_iter().map(|(label, probability)| {
            serde_json::json!({
                "class": classes[label], "label": label, "probability": probability
            })
        });
        let logits = &logits[image * classes.len()..][..classes.len()];
        serde_json::json!({
            "file": file.to_string_lossy(), "top": top.collect::<Vec<_>>(), "logits": logits
        })
    };
    files.iter().enumerate().map(of_image).collect()
}
