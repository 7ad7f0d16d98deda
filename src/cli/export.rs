//! `wgrad export`

use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::base::files::write_whole;
use wgrad::base::shown::Shown;
use wgrad::base::units::readable_bytes;
use wgrad::nn::onnx::{self, Form};
use wgrad::tape::{ElementType, Mode, Tape};
use wgrad::train::units::Classes;

use super::{outputs, predict, weights};

/// Flags of `wgrad export`.
#[derive(clap::Args)]
#[command(after_help = "\
The first input of the network is `images`, [batch, channels, rows, columns] of f32: pixels from 0 to 1, minus \
the mean, divided by the standard deviation. With --with-preprocessing, it is u8 of the same shape: the bytes of \
pictures that have the size of the images. The first output is `logits`, [batch, classes] of f32. The batch can \
have any size.
The metadata has mean, std, classes and image_size (rows, columns), with commas between them.")]
pub struct Args {
    /// The weights: a file of safetensors or torch.save with PyTorch's names, or a run's folder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The ONNX file to write
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// Write a network that takes bytes and normalises them
    #[arg(long)]
    with_preprocessing: bool,
    /// Fold each batch norm that follows a convolution into its weights
    #[arg(long)]
    fold_batch_norm: bool,
    /// The names of the classes: a dataset, a name for each class with commas between them, or their number [default:
    /// those that the weights record; else those of the dataset in config.toml beside the weights; else numbers]
    #[arg(long, value_name = "NAMES")]
    classes: Option<Classes>,
    #[command(flatten)]
    recorded: weights::Recorded,
}

/// Exports the network, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (out, file) = (&args.onnx, weights::read(&args.weights)?);
    outputs::refuse_inputs(out, &[file.path()], "onnx")?;
    let network = args.recorded.network(&file)?;
    let spec = predict::spec(&file, network, &args.recorded, args.classes.as_ref())?;
    let step = weights::step(&file, network, &spec, &args.recorded, 1)?;
    let [height, width, channels] = spec.size.channels_last();

    let mut tape = Tape::new(network.network.name(), Mode::Eval);
    let x = tape.input("x", ElementType::F32, &[1, height, width, channels]);
    let logits = network.record(&mut tape, x);
    let weights = weights::fitted(&file, network, tape.state())?;
    let form = Form {
        mean: &step.mean,
        standard_deviation: &step.standard_deviation,
        classes: &spec.classes,
        preprocessing: args.with_preprocessing,
        fold_batch_norm: args.fold_batch_norm,
    };
    let bytes = onnx::export(&tape, x, logits, &weights, &form)?;
    write_whole(out, &bytes)?;

    let (size, n_classes) = (readable_bytes(bytes.len() as u64), network.classes);
    let element = if args.with_preprocessing { "u8" } else { "f32" };
    let images = format!("images [batch, {channels}, {height}, {width}] of {element}");
    super::print(&format!(
        "network   {network}\n\
         onnx      {} ({size}): {images} -> logits [batch, {n_classes}]\n",
        out.shown()
    ))?;
    Ok(ExitCode::SUCCESS)
}
