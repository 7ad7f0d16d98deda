//! `wgrad train`

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use wgrad::base::shown::Shown;
use wgrad::device::Device;
use wgrad::report::{AtEnd, LoadedRun};
use wgrad::train::units::MaxLr;
use wgrad::train::{
    self, Display, Ended, Job, Progress, Recipe, Resumed, RunFolder, Settings, folder, resume,
};

use super::lr_find::{self, Sweep};
use super::settings::SettingsArgs;
use super::signals::{self, Signals};
use super::tui::{Dashboard, terminal};
use super::{WrongUse, hints};

/// Flags of `wgrad train`.
#[derive(clap::Args)]
#[command(after_help = "\
The folder holds report.html (the run as a page to look at), metrics.jsonl and metrics.csv (a line an
epoch), the same as events for TensorBoard (tensorboard --logdir runs), model.safetensors (the weights,
with PyTorch's names), config.toml (every setting), summary.json, and checkpoints, from which --resume
goes on. Ctrl-C ends training after the current step, and keeps what there is; a second one ends it at
once. After the last epoch it cuts the report short. SIGTERM, SIGHUP and SIGUSR2 do the same; SIGUSR1
writes a checkpoint, and training goes on. A signal that is ignored at the start (nohup) stays ignored.

Exit codes: 0 done, 1 failed, 2 wrong use (flags or settings that make no sense), 130 interrupted by
Ctrl-C, SIGTERM, SIGHUP or SIGUSR2 and saved, so that --resume goes on.")]
pub struct Args {
    /// A TOML file with any of these flags as keys (batch-size = 128); flags win
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    config: Option<PathBuf>,
    /// Go on with the run in this folder, from its latest checkpoint
    #[arg(long, value_name = "RUN", help_heading = "Recipe",
          conflicts_with_all = ["config", "out", "weights"])]
    resume: Option<PathBuf>,
    /// Begin the run in the folder that --out names, go on with it if it was stopped, and do nothing if it is
    /// finished: for jobs that are queued again with the same command
    #[arg(long, help_heading = "Recipe", conflicts_with = "resume")]
    auto_resume: bool,
    /// Begin a run with the settings of this one, from its weights: another cycle of the schedule. Flags win
    #[arg(long, value_name = "RUN", help_heading = "Recipe",
          conflicts_with_all = ["config", "resume", "weights"])]
    another_cycle: Option<PathBuf>,
    /// Show a dashboard while training: curves, progress, what each op takes on the device; q ends it
    #[arg(long, help_heading = "Output")]
    tui: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    fetch: super::fetch::Unasked,
}

/// Trains.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.tui {
        // Before minutes of other things.
        terminal::check()?;
    }
    let Signals { stop, checkpoint: asked_for } = signals::listen()?;
    let prepared = match &args.resume {
        Some(path) => Prepared::run(resumed(path, &args.settings.settings())?),
        None => prepared(args, &stop)?,
    };
    let (run, find_lr) = match prepared {
        Prepared::Run { run, find_lr } => (*run, find_lr),
        Prepared::Interrupted => return Ok(ExitCode::from(super::INTERRUPTED)),
        Prepared::Finished(words) => {
            super::print(&words)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Resumed { mut folder, mut recipe, loaded, checkpoint, weights } = run;
    let device = Device::open(&recipe.device, super::opened(recipe.open_options()))?;
    if recipe.device == "auto" {
        recipe.device = if matches!(device, Device::Cpu(_)) { "cpu" } else { "gpu" }.to_string();
    }

    if find_lr {
        let (train, sweep) = (&loaded.dataset.train, Sweep::default());
        let found = lr_find::find(&device, &recipe, train, weights.as_ref(), sweep, &stop)?;
        let Some(found) = found else { return Ok(ExitCode::from(super::INTERRUPTED)) };
        super::print(&format!("{}\n", lr_find::describe(&found)))?;
        // Without a slope the run ends here, and has no folder.
        recipe.max_lr = found.max_lr()?;
        lr_find::warn_of_disagreement(&found);
        folder.create(&recipe)?;
        found.write(folder.path()).inspect_err(|_| folder.remove())?;
    }
    let job = Job {
        recipe: &recipe,
        loaded: &loaded,
        device: &device,
        weights: weights.as_ref(),
        stop: &stop,
        checkpoint: &asked_for,
        report: &AtEnd,
    };
    let outcome = {
        let mut display: Box<dyn Display> = match args.tui {
            true => Box::new(Dashboard::open(Arc::clone(&stop))?),
            false => Box::new(Progress::default()),
        };
        train::run(job, &mut folder, checkpoint, &mut *display)?
    };
    if outcome.ended == Ended::Interrupted {
        let _ = writeln!(
            io::stderr(),
            "hint: `wgrad train --resume {}` goes on from there",
            folder.path().shown()
        );
    }
    // Asked to stop after the last epoch, it left its report short, and whoever asked is told.
    let is_interrupted = outcome.ended == Ended::Interrupted || stop.load(Ordering::Relaxed);
    Ok(if is_interrupted { ExitCode::from(super::INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// The work that the flags ask for.
enum Prepared {
    /// A run, and whether its learning rate is to be found first.
    Run { run: Box<Resumed>, find_lr: bool },
    /// The run in the folder is finished, in words.
    Finished(String),
    /// The user stopped a download.
    Interrupted,
}

impl Prepared {
    /// A run whose rate is known.
    fn run(run: Resumed) -> Self {
        Self::Run { run: Box::new(run), find_lr: false }
    }
}

/// A run that begins, or with `--auto-resume` the one in the folder.
fn prepared(args: &Args, stop: &AtomicBool) -> anyhow::Result<Prepared> {
    let flags = args.settings.settings();
    let mut settings = flags.clone();
    if let Some(path) = &args.config {
        settings = settings.or(Settings::read(path)?);
    }
    if let Some(path) = &args.another_cycle {
        settings = another_cycle(path, settings)?;
    }
    if args.auto_resume
        && let Some(prepared) = auto_resumed(args, &settings)?
    {
        return Ok(prepared);
    }
    let folder = RunFolder::choose(settings.out.as_deref())?;
    let source = settings.data.unwrap_or_default();
    if args.fetch.interrupted(source, settings.data_dir.as_deref(), stop) {
        return Ok(Prepared::Interrupted);
    }
    let weights = resume::initial_weights(&mut settings)?;
    let loaded = resume::load(&settings)
        .map_err(|error| super::of_file(error, flags.data_dir.as_deref()))?;
    let loaded = hints::advised(loaded);
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let find_lr = settings.max_lr == Some(MaxLr::Find);
    let run = Box::new(Resumed { folder, recipe, loaded, checkpoint: None, weights });
    Ok(Prepared::Run { run, find_lr })
}

/// The settings of another cycle of the schedule after a finished run: the flags, then those of the run, from its
/// weights.
fn another_cycle(path: &Path, flags: Settings) -> anyhow::Result<Settings> {
    let loaded_run = LoadedRun::read(path)?;
    let shown = path.shown();
    let refuse = |reason: String| Err(anyhow!("{shown}: {reason}"));
    if flags.out.as_deref().is_some_and(|out| same_file::is_same_file(out, path).unwrap_or(false)) {
        return refuse(
            "another cycle is a run of its own; name another folder with --out".to_string(),
        );
    }
    if RunFolder::finished(path).is_none() {
        let begin = hints::begin_from(path, "");
        return refuse(format!(
            "the run is not finished; `wgrad train --resume {shown}` goes on with it, {begin} begins a run from its \
             latest weights"
        ));
    }
    let before = Settings::read(&path.join(folder::CONFIG))?;
    let weights = loaded_run.model()?.ok_or_else(|| {
        anyhow!("{shown}: there are no weights in it to begin another cycle with")
    })?;
    // The folder, and the weights that the run itself started from, are its own.
    let before = Settings { out: None, weights: None, weights_sha256: None, ..before };
    Ok(Settings { weights: Some(weights), ..flags.or(before) })
}

/// The run in the folder that the settings name, if there is one.
fn auto_resumed(args: &Args, settings: &Settings) -> anyhow::Result<Option<Prepared>> {
    let Some(path) = settings.out.clone() else {
        let message = "--auto-resume needs the folder of the run: name it with --out".to_string();
        return Err(WrongUse(message).into());
    };
    if !path.join(folder::CONFIG).exists() {
        return Ok(None);
    }
    let (_, before) = RunFolder::reopen(&path)?;
    let mut flags = Settings { out: None, ..settings.clone() };
    if flags.max_lr == Some(MaxLr::Find) {
        // It was found when the run began.
        flags.max_lr = None;
    }
    if args.another_cycle.is_some() {
        // It began from the weights that the other run had then.
        (flags.weights, flags.weights_sha256) = (None, None);
    } else if flags.weights.as_deref().is_some_and(Path::exists) {
        // The same weights, wherever their file is now.
        resume::initial_weights(&mut flags)?;
        let is_same = flags.weights_sha256 == before.weights_sha256;
        flags.weights = if is_same { before.weights.clone() } else { flags.weights };
    } else {
        (flags.weights, flags.weights_sha256) = (None, None);
    }
    let Some(summary) = RunFolder::finished(&path) else {
        return Ok(Some(Prepared::run(resumed(&path, &flags)?)));
    };
    resume::check_finished(&path, &flags, &before)?;
    let accuracy = summary
        .test_accuracy
        .map_or(String::new(), |accuracy| format!(", test accuracy {:.2}%", 100.0 * accuracy));
    let path = path.shown();
    let words = format!("{path} is finished: {} steps{accuracy}\n", summary.n_steps);
    Ok(Some(Prepared::Finished(words)))
}

/// A run that goes on.
fn resumed(path: &Path, flags: &Settings) -> anyhow::Result<Resumed> {
    if flags.max_lr == Some(MaxLr::Find) {
        let message = "--max-lr find is for the beginning of a run; --resume goes on with its rate";
        return Err(WrongUse(message.to_string()).into());
    }
    let resumed = train::resume(path, flags)
        .map_err(|error| super::of_file(error, flags.data_dir.as_deref()))?;
    let resumed = Resumed { loaded: hints::advised(resumed.loaded), ..resumed };
    if resumed.checkpoint.is_none() {
        let path = path.shown();
        super::print(&format!(
            "{path} has no checkpoint yet, so that the run begins at its first step\n"
        ))?;
    }
    Ok(resumed)
}
