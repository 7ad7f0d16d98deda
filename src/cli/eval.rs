//! `wgrad eval`

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::Error;
use wgrad::base::shown::{Shown, escaped};
use wgrad::data::{Dataset, Source, Split};
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::train::confusion::ClassScores;
use wgrad::train::images::{self, Images};
use wgrad::train::settings::at_least_one;
use wgrad::train::units::{Classes, MemorySize};
use wgrad::train::{Confusion, Evaluation, Evaluator, TrainError, console, evaluation, folder};

use super::{arguments, hints, outputs, weights};

/// Flags of `wgrad eval`.
#[derive(clap::Args)]
pub struct Args {
    /// The weights: a file of safetensors or torch.save with PyTorch's names, or a run's folder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The names of the classes: a dataset, a name for each class with commas between them, or their number [default: those
    /// of the test images]
    #[arg(long, value_name = "CLASSES")]
    classes: Option<Classes>,
    #[command(flatten)]
    recorded: weights::Recorded,
    /// Images in a step
    #[arg(long, value_name = "N", default_value = "250", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: NonZeroU32,
    /// The dataset of the test images; of cifar100 the coarse labels if the network has 20 classes, else the fine labels
    /// [default: the one that the file of weights records; auto if it records none]
    #[arg(long, value_name = "SET", value_parser = arguments::Sources)]
    data: Option<Source>,
    /// The folder with the files of the dataset [default: the run's folder of data, if its images have not changed; else
    /// $WGRAD_DATA, else the dataset's own folder, for CIFAR-10 ./data/cifar-10-batches-bin]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// The kernels that a GPU runs
    #[arg(long, value_name = "KIND", default_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Kernels,
    /// Refuse a step that needs more memory than this, for example 512MiB or 2GiB
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_limit: Option<MemorySize>,
    /// Evaluate other views of each image, too, and average the probabilities of all views
    #[arg(long, value_name = "VIEWS")]
    tta: Option<Views>,
    /// Write the logits of every test image, in order, into this safetensors file: f32 of [images, classes]
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// The views of an image at test time, besides the image itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Views {
    /// The mirror image
    Flip,
}

/// Evaluates the weights, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let file = weights::read(&args.weights)?;
    let network = args.recorded.network(&file)?;
    let side = args.recorded.side();
    let Images { loaded, note } =
        images::find(&file, args.data, args.data_dir.as_deref(), network.classes, side)?;
    let mut loaded = hints::advised(loaded);
    if let Some(classes) = &args.classes {
        let names = classes.names(loaded.dataset.spec.n_classes());
        loaded.dataset.spec.classes =
            names.map_err(|must| super::WrongUse(format!("--classes: the value must {must}")))?;
    }
    if let Some(note) = note {
        super::note(&note);
    }
    if let Some(logits) = &args.logits {
        let settings = file.path().with_file_name(folder::CONFIG);
        let inputs = [Some(file.path()), Some(&settings), loaded.dataset.dir.as_deref()];
        let inputs: Vec<_> = inputs.into_iter().flatten().collect();
        outputs::refuse_inputs(logits, &inputs, "safetensors")?;
    }
    let options = OpenOptions {
        kernels: args.kernels,
        memory_limit: args.memory_limit.map(|size| size.0),
        ..OpenOptions::default()
    };
    let device = Device::open(&args.device, super::opened(options))?;

    let head = format!("{}\n", console::head(&loaded, &device.name()));
    print_unless(args.json, &head)?;

    let (n_classes, n) = (network.classes, loaded.dataset.spec.n_classes());
    if n_classes != n {
        let reason = format!("the network has {n_classes} classes, but the data has {n}");
        let weights = file.path().to_path_buf();
        return Err(Error::from(TrainError::TrainingData { weights, reason }).into());
    }
    let (test, kind) = loaded.dataset.measured();
    let batch_size = (args.batch_size.get() as usize).min(test.len());
    let source = Source::from_name(loaded.dataset.name).unwrap_or_default();
    let spec = weights::spec(&file, source, n_classes).with_side(side);
    let flags = &args.recorded;
    let mut evaluator = weights::evaluator(&device, &file, network, &spec, flags, batch_size)?;
    let line = format!("network   {network}, from {}\n\n", file.path().shown());
    print_unless(args.json, &line)?;

    let mut views = vec![logits(&mut evaluator, test)?];
    if let Some(path) = &args.logits {
        evaluation::write_logits(path, &views[0], network.classes)?;
    }
    let plain = Evaluation::of(&views, &test.labels, network.classes);
    let with_views = match args.tta {
        Some(Views::Flip) => {
            views.push(logits(&mut evaluator, &test.mirrored())?);
            Some(Evaluation::of(&views, &test.labels, network.classes))
        }
        None => None,
    };
    let classes = loaded.dataset.spec.classes.iter().map(|name| escaped(name).into_owned());
    let classes: &Vec<_> = &classes.collect();
    let text = match args.json {
        true => format!("{}\n", json(args, &loaded.dataset, &plain, with_views.as_ref())),
        false => text(kind, classes, &plain, with_views.as_ref()),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_unless(json: bool, text: &str) -> anyhow::Result<()> {
    if json { Ok(()) } else { super::print(text) }
}

fn logits(evaluator: &mut Evaluator, split: &Split) -> anyhow::Result<Vec<f32>> {
    Ok(evaluator.logits(split, &|| false)?.expect("no interruption"))
}

/// Returns a table of the classes, lines with loss and accuracy over the `kind` images, and with more than five classes
/// the top-5 accuracy.
fn text(
    kind: &str,
    classes: &[String],
    plain: &Evaluation,
    with_views: Option<&Evaluation>,
) -> String {
    let shown = with_views.unwrap_or(plain);
    let n_images = shown.confusion.n_images();
    let line = |evaluation: &Evaluation| {
        let (loss, accuracy) = (evaluation.loss, 100.0 * evaluation.accuracy());
        format!("{kind} loss {loss:.4}, {kind} accuracy {accuracy:.2}% of {n_images} images")
    };
    let mut text = table(classes, &shown.confusion);
    if let Some(top5) = shown.top5 {
        text += &format!("top-5 accuracy {:.2}%\n", 100.0 * top5);
    }
    text += &match with_views {
        None => format!("{}\n", line(plain)),
        Some(both) => format!(
            "one view:   {}\ntwo views:  {} (the mean over each image and its mirror image)\n",
            line(plain),
            line(both)
        ),
    };
    text
}

fn table(classes: &[String], confusion: &Confusion) -> String {
    let width = classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let percent =
        |part: Option<f64>| part.map_or("-".into(), |part| format!("{:.2}%", 100.0 * part));
    let mut table = format!(
        "{:width$}  {:>7}  {:>9}  {:>7}  {:>9}  {:>7}  {:>7}  most often taken for\n",
        "class", "images", "predicted", "right", "precision", "recall", "f1"
    );
    let mistakes = confusion.mistakes();
    for (class, (name, scores)) in classes.iter().zip(confusion.all_scores()).enumerate() {
        let other = mistakes.iter().find(|(truth, ..)| *truth == class);
        let other = other.map_or("-".into(), |(_, p, n)| format!("{} ({n})", classes[*p]));
        table += &format!(
            "{name:width$}  {:>7}  {:>9}  {:>7}  {:>9}  {:>7}  {:>7}  {other}\n",
            scores.n_images,
            scores.n_predicted,
            confusion.at(class, class),
            percent(scores.precision),
            percent(scores.recall),
            percent(scores.f1),
        );
    }
    table + "\n"
}

/// Returns the evaluation as JSON. Without `--tta`, `one_view` has the same numbers as the top level. `top5` is null if
/// there are at most five classes.
fn json(
    args: &Args,
    dataset: &Dataset,
    plain: &Evaluation,
    with_views: Option<&Evaluation>,
) -> serde_json::Value {
    let shown = with_views.unwrap_or(plain);
    let confusion = &shown.confusion;
    let n = confusion.n_classes();
    let per_class = |(name, scores): (&String, ClassScores)| {
        serde_json::json!({
            "class": name,
            "images": scores.n_images,
            "predicted": scores.n_predicted,
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
        })
    };
    let row = |truth| (0..n).map(|prediction| confusion.at(truth, prediction)).collect::<Vec<_>>();
    serde_json::json!({
        "weights": args.weights.to_string_lossy(),
        "dataset": dataset.name,
        "images": confusion.n_images(),
        "views": if with_views.is_some() { 2 } else { 1 },
        "loss": shown.loss,
        "accuracy": shown.accuracy(),
        "top5": shown.top5,
        "one_view": { "loss": plain.loss, "accuracy": plain.accuracy(), "top5": plain.top5 },
        "classes": dataset.spec.classes.iter().zip(confusion.all_scores()).map(per_class).collect::<Vec<_>>(),
        "confusion": (0..n).map(row).collect::<Vec<_>>(),
    })
}
