//! `wgrad report`

use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::base::files::FileError;
use wgrad::base::shown::Shown;
use wgrad::device::Device;
use wgrad::nn::WeightsFile;
use wgrad::report::{self, LoadedRun};
use wgrad::train::folder::CONFIG;
use wgrad::train::images::{self, Images};
use wgrad::train::{Evaluator, Recipe, Settings, TrainError, console, resume};

/// Flags of `wgrad report`.
#[derive(clap::Args)]
#[command(after_help = "\
The page is one file without links to other files. `wgrad train` writes it at the end of a run. This command \
evaluates the test images again, with the weights in the folder: model.safetensors or, before the end of the \
first epoch, the latest checkpoint.")]
pub struct Args {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file of the page [default: report.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder with the files of the dataset [default: the run's folder of data, or another with the same
    /// images]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

/// Writes the page, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded_run = LoadedRun::read(&args.run)?;
    let config = args.run.join(CONFIG);
    let now = Settings { data_dir: args.data_dir.clone(), ..Settings::default() };
    let settings = now.or(Settings::of_run(&config)?);
    let file = loaded_run.model()?.map(|model| WeightsFile::read(&model)).transpose()?;
    let of_file = |error| super::of_file(error, args.data_dir.as_deref());
    let info = file.as_ref().and_then(WeightsFile::info);
    let n_classes = info.map_or(0, |info| info.classes.len());
    let Images { loaded, note } = match &file {
        // The file of weights records a hash of the training images. The search finds the images with this hash even
        // in another folder than that of the run.
        Some(file) if file.info().is_some() && args.data_dir.is_none() => {
            images::find(file, None, None, n_classes, None)?
        }
        Some(file) => {
            images::find(file, settings.data, settings.data_dir.as_deref(), n_classes, None)
                .map_err(of_file)?
        }
        None => Images { loaded: resume::load(&settings, None).map_err(of_file)?, note: None },
    };
    let mut loaded = super::hints::advised(loaded);
    if let Some(note) = &note {
        super::note(note);
    }
    let are_others = info.is_some() && note.is_some();
    let recipe = if are_others {
        // The loaded images are not those of the run. So the recipe comes from config.toml alone, and does not depend
        // on the images.
        let text = std::fs::read_to_string(&config).map_err(FileError::at(&config))?;
        Recipe::parse(&text).map_err(|reason| TrainError::Damaged { path: config, reason })?
    } else {
        if loaded.dataset.validation.is_empty() {
            resume::hold_out(&mut loaded.dataset, &settings)?;
        }
        Recipe::resolve(&settings, &loaded.dataset)?
    };
    let page = args.out.clone().unwrap_or_else(|| loaded_run.path.join(report::REPORT));
    let inputs = [Some(loaded_run.path.as_path()), loaded.dataset.dir.as_deref()];
    let inputs: Vec<_> = inputs.into_iter().flatten().collect();
    super::outputs::refuse_inputs(&page, &inputs, "html")?;
    let device = Device::open(&args.device, super::opened(recipe.open_options()))?;
    super::print(&format!("{}\n", console::head(&loaded, &device.name())))?;

    let mut evaluated = match &file {
        Some(file) => {
            let mut config = recipe.step();
            if let Some(info) = info {
                config.mean.clone_from(&info.mean);
                config.standard_deviation.clone_from(&info.standard_deviation);
            }
            let mut evaluator = Evaluator::new(&device, &config)?;
            let (weights, _) = file.weights(evaluator.layout())?;
            evaluator.set_weights(&weights)?;
            if loaded_run.epochs.is_empty() {
                let model = file.path().shown();
                super::print(&format!(
                    "note: no epoch has ended yet; the weights are those of {model}\n"
                ))?;
            }
            Some((evaluator, weights))
        }
        None => {
            super::print("note: the folder has no weights; the page shows only the curves\n")?;
            None
        }
    };
    let run = report::Run {
        folder: &loaded_run.path,
        recipe: &recipe,
        loaded: &loaded,
        other_data: note.as_deref().filter(|_| are_others),
        device: &device,
        epochs: &loaded_run.epochs,
        summary: loaded_run.summary.as_ref(),
    };
    let outputs = evaluated.as_mut().map(|(evaluator, weights)| {
        let logits = evaluator.logits(run.evaluated().0, &|| false);
        report::Outputs { layout: evaluator.layout(), weights, logits }
    });
    report::write(&run, outputs, &page)?;
    super::print(&format!("report    {}\n", page.shown()))?;
    Ok(ExitCode::SUCCESS)
}
