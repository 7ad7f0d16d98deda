//! `wgrad study`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wgrad::base::choice::unknown;
use wgrad::base::shown::Shown;
use wgrad::data::{self, ReadOptions, Source};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::networks::DEFAULT;
use wgrad::nn::{NetworkConfig, WeightsFile};
use wgrad::train::console;
use wgrad::train::images;
use wgrad::train::step::StepConfig;

use super::{WrongUse, arguments, hints, weights};
use crate::study::lab::{self, Images, Settings, Setup, Size};
use crate::study::{STUDIES, Study, Subject};

/// The name that stands for all studies.
const ALL: &str = "all";

/// The folder of the studies for which the user gave no path.
const FOLDER: &str = "studies";

/// Flags of `wgrad study`.
#[derive(clap::Args)]
#[command(after_help = "\
Without a name, the command lists the studies. Each study prints its table, and writes study.html (a page with \
pictures) and study.json (the numbers). The numbers depend on the seed, the images and the device alone. Ctrl-C \
leaves a page of the measurements so far, and --resume goes on.")]
pub struct Args {
    /// The study, or all
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The folder for the page and the numbers [default: studies/NAME; of all studies: studies]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compute the published size; without it, a size for two cores
    #[arg(long)]
    full: bool,
    /// Compute a few steps, in a second or two, to try a study that you write; the numbers mean nothing
    #[arg(long, conflicts_with = "full")]
    tiny: bool,
    /// Go on with the measurements of a study that was stopped
    #[arg(long)]
    resume: bool,
    /// The seed of weights, order and augmentation; a study with several seeds begins at this one
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Trained weights for the studies that look into a network: a file of safetensors or torch.save with PyTorch's
    /// names, or a run's folder [default: a small network is trained first]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    recorded: weights::Recorded,
    /// The dataset [default: the one that the file of weights records; without weights auto, which is CIFAR-10, or the
    /// built-in shapes where it is not found]
    #[arg(long, value_name = "SET", value_parser = arguments::Sources)]
    data: Option<Source>,
    /// The folder with the files of the dataset [default: $WGRAD_DATA, else the dataset's own folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

/// Runs a study or all of them, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(name) = &args.name else {
        super::print(&list())?;
        return Ok(ExitCode::SUCCESS);
    };
    let is_all = name == ALL;
    let studies: Vec<&'static Study> =
        STUDIES.iter().copied().filter(|study| is_all || study.name == name).collect();
    if studies.is_empty() {
        let names: Vec<_> = STUDIES.iter().map(|study| study.name).chain([ALL]).collect();
        return Err(WrongUse(format!("study {}", unknown(name, &names))).into());
    }
    if let [study] = studies[..] {
        refuse_without_effect(args, study)?;
    }
    let stop = super::signals::listen()?.stop;
    let file = args.weights.as_deref().map(weights::read).transpose()?;
    let images = images(args, file.as_ref())?;
    let device = Device::open(&args.device, super::opened(OpenOptions::default()))?;
    super::print(&format!("{}\n", console::head(&images.loaded, &device.name())))?;
    let (network, width) = args.recorded.named();
    let dataset = &images.loaded.dataset;
    let settings = Settings {
        seed: args.seed,
        size: size(args),
        data: format!("{} ({})", dataset.description, dataset.fingerprint()),
        network: network.map(|network| network.name().to_string()),
        width,
        normalisation: [images.mean.clone(), images.standard_deviation.clone()],
        weights: file.as_ref().map(WeightsFile::sha256),
    };
    let folder = args.out.clone().unwrap_or_else(|| FOLDER.into());
    let mut code = ExitCode::SUCCESS;
    for study in &studies {
        let out = match &args.out {
            Some(out) if !is_all => out.clone(),
            _ => folder.join(study.name),
        };
        if is_all {
            super::print(&format!("\n{}: {}\n\n", study.name, study.claim))?;
        }
        let mut setup = Setup {
            device: &device,
            images: &images,
            settings: settings.clone(),
            network,
            weights: file.as_ref(),
            resume: args.resume,
            stop: &stop,
            command: command(args, study.name, &device),
        };
        if study.subject == Subject::Own {
            (setup.network, setup.settings.network) = (None, None);
        }
        if study.subject != Subject::Weights {
            (setup.weights, setup.settings.weights) = (None, None);
        }
        match lab::run(study, &setup, &out) {
            Ok(Some(text)) => super::print(&format!("\n{text}"))?,
            Ok(None) => {
                super::note(&format!(
                    "{}: interrupted; {} has the measurements so far, and --resume goes on",
                    study.name,
                    out.shown()
                ));
                code = ExitCode::from(super::INTERRUPTED);
                break;
            }
            // One study that refuses its network does not end the others.
            Err(error) if is_all => {
                super::note(&format!("{}: {error:#}", study.name));
                code = ExitCode::FAILURE;
            }
            Err(error) => return Err(error),
        }
    }
    if is_all {
        let page = lab::index(&studies, &folder)?;
        super::print(&format!("index written to {}\n", page.shown()))?;
    }
    Ok(code)
}

/// Refuses flags that have no effect on a study.
fn refuse_without_effect(args: &Args, study: &Study) -> anyhow::Result<()> {
    let (network, _) = args.recorded.named();
    let flag = match study.subject {
        Subject::Own if network.is_some() => "--network",
        Subject::Own | Subject::Network if args.weights.is_some() => "--weights",
        _ => return Ok(()),
    };
    let name = study.name;
    let problem =
        format!("{flag}: the study {name} trains networks of its own; leave the flag out");
    Err(WrongUse(problem).into())
}

fn size(args: &Args) -> Size {
    match (args.tiny, args.full) {
        (true, _) => Size::Tiny,
        (false, true) => Size::Full,
        (false, false) => Size::Default,
    }
}

/// Returns the names of all studies with their claims and times.
fn list() -> String {
    let width = STUDIES.iter().map(|study| study.name.len()).max().unwrap_or(0);
    let line = |study: &&Study| {
        format!("{:width$}  {:>2} min  {}\n", study.name, study.minutes, study.claim)
    };
    let lines: String = STUDIES.iter().map(line).collect();
    format!("{lines}\nwgrad study NAME runs a study; wgrad study all runs them one after another\n")
}

/// Returns the images of the studies, with the mean and the standard deviation that flags, the file of weights or the
/// dataset name, in this order.
fn images(args: &Args, file: Option<&WeightsFile>) -> anyhow::Result<Images> {
    let (loaded, network) = match file {
        Some(file) => {
            let network = args.recorded.network(file)?;
            let (dir, side) = (args.data_dir.as_deref(), args.recorded.side());
            let found = images::find(file, args.data, dir, network.classes, side)?;
            if let Some(note) = found.note {
                super::note(&note);
            }
            (found.loaded, Some(network))
        }
        None => {
            let source = args.data.unwrap_or_default();
            let options = ReadOptions { side: args.recorded.side(), ..ReadOptions::default() };
            let loaded = data::load(source, args.data_dir.as_deref(), options);
            (loaded.map_err(wgrad::Error::from)?, None)
        }
    };
    let loaded = hints::advised(loaded);
    let dataset = &loaded.dataset;
    let step = match (file, network) {
        (Some(file), Some(network)) => {
            let source = Source::from_name(dataset.name).unwrap_or_default();
            let spec = weights::spec(file, source, network.classes).with_side(args.recorded.side());
            weights::step(file, network, &spec, &args.recorded, 1)?
        }
        _ => {
            let network = NetworkConfig::new(DEFAULT, 1, dataset.spec.n_classes());
            let mut step = StepConfig::new(network, 1).for_images(&dataset.spec);
            args.recorded.normalise(&mut step)?;
            step
        }
    };
    let StepConfig { mean, standard_deviation, .. } = step;
    Ok(Images { loaded, mean, standard_deviation })
}

/// Returns the command that computes the same numbers, for a shell.
fn command(args: &Args, name: &str, device: &Device) -> String {
    let path = |path: &Path| path.in_command().to_string();
    let mut flags = vec![("--seed", args.seed.to_string())];
    flags.extend(args.recorded.flags());
    flags.extend(args.weights.as_deref().map(|file| ("--weights", path(file))));
    flags.extend(args.data.map(|data| ("--data", path(Path::new(data.name())))));
    flags.extend(args.data_dir.as_deref().map(|dir| ("--data-dir", path(dir))));
    let device = if matches!(device, Device::Cpu(_)) { "cpu" } else { "gpu" };
    flags.push(("--device", device.to_string()));
    let flags: String = flags.iter().map(|(flag, value)| format!(" {flag} {value}")).collect();
    let size = match size(args) {
        Size::Tiny => " --tiny",
        Size::Default => "",
        Size::Full => " --full",
    };
    format!("wgrad study {name}{flags}{size}")
}
