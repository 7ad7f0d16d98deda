//! `wgrad report`

use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::device::Device;
use wgrad::nn::Weights;
use wgrad::report::{self, PastRun};
use wgrad::train::folder::CONFIG;
use wgrad::train::{Evaluator, Recipe, Settings, console, resume};

/// Flags of `wgrad report`.
#[derive(clap::Args)]
#[command(after_help = "\
The page is one file that needs nothing else. `train` writes it, too, at the end of a run; here the test
images are evaluated once more, with the weights in the folder: the model, or before the first epoch's end the latest checkpoint.")]
pub struct Args {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Where to write the page [default: report.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder with CIFAR-10's binary files [default: where the run read them]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

/// Writes the page.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let past = PastRun::read(&args.run)?;
    let now = Settings { data_dir: args.data_dir.clone(), ..Settings::default() };
    let settings = now.or(Settings::read(&args.run.join(CONFIG))?);
    let loaded = resume::load(&settings)?;
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let device = Device::open(&args.device, super::opened(recipe.open_options()))?;
    super::print(&format!("{}\n", console::head(&loaded, &device.name())))?;

    let mut evaluator = match past.model()? {
        Some(model) => {
            let mut evaluator = Evaluator::new(&device, &recipe.step())?;
            let weights = Weights::load(evaluator.layout(), &model)?;
            evaluator.set_weights(&weights)?;
            if past.epochs.is_empty() {
                let model = model.display();
                super::print(&format!(
                    "note: no epoch is over, so the weights are those of {model}\n"
                ))?;
            }
            Some(evaluator)
        }
        None => {
            super::print("note: the run left no weights, so the page tells of its curves alone\n")?;
            None
        }
    };
    let told = report::Run {
        folder: &past.path,
        recipe: &recipe,
        loaded: &loaded,
        device: &device,
        epochs: &past.epochs,
        summary: past.summary.as_ref(),
    };
    let page = args.out.clone().unwrap_or_else(|| past.path.join(report::REPORT));
    report::write(&told, evaluator.as_mut(), &page, &|| false)?;
    super::print(&format!("report    {}\n", page.display()))?;
    Ok(ExitCode::SUCCESS)
}
