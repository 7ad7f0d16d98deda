//! `wgrad train`

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use wgrad::base::shown::Shown;
use wgrad::data::Stop;
use wgrad::device::{Device, OpenOptions};
use wgrad::distributed::World;
use wgrad::report::{AtEnd, LoadedRun};
use wgrad::train::display::Silent;
use wgrad::train::recipe::Published;
use wgrad::train::units::MaxLr;
use wgrad::train::{
    self, Display, Ended, Job, Progress, Recipe, Resumed, RunFolder, Settings, fine_tuning, folder,
    resume,
};

use super::lr_find::{self, Sweep};
use super::ranks::RankArgs;
use super::settings::SettingsArgs;
use super::signals::{self, Signals};
use super::tui::{Dashboard, terminal};
use super::{WrongUse, arguments, hints, ranks};

/// Flags of `wgrad train`.
#[derive(clap::Args)]
#[command(after_help = "\
The run's folder holds report.html (a page about the run), metrics.jsonl and metrics.csv (one line per epoch), \
the same metrics as events for TensorBoard (tensorboard --logdir runs), model.safetensors (the weights, with \
PyTorch's names), config.toml (every setting), summary.json, and checkpoints for --resume.
Ctrl-C saves a checkpoint and ends the run after the current step; a second Ctrl-C ends it at once. After the \
last epoch, Ctrl-C shortens the report. SIGTERM, SIGHUP and SIGUSR2 act like Ctrl-C. SIGUSR1 writes a \
checkpoint, and training continues. A signal that is ignored at the start (nohup) stays ignored.

Exit codes: 0 success, 1 failure, 2 wrong use (flags or settings that are invalid or contradict each other), 130 \
interrupted by Ctrl-C, SIGTERM, SIGHUP or SIGUSR2 and saved, so that --resume can continue.")]
pub struct Args {
    /// A TOML file with any of these flags as keys (batch-size = 128); flags override the file
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    config: Option<PathBuf>,
    /// Take the settings of a paper for CIFAR; flags and --config override them, and milestones scale with --epochs
    #[arg(long, value_name = "PAPER", help_heading = "Recipe", conflicts_with_all = ["resume", "another_cycle"],
          value_parser = arguments::one_of::<Published>())]
    recipe: Option<Published>,
    /// Continue the run in this folder from its latest checkpoint
    #[arg(long, value_name = "RUN", help_heading = "Recipe",
          conflicts_with_all = ["config", "out", "weights"])]
    resume: Option<PathBuf>,
    /// Start the run in the folder of --out, continue it if it was stopped, and do nothing if it is finished: for
    /// jobs that are queued again with the same command
    #[arg(long, help_heading = "Recipe", conflicts_with = "resume")]
    auto_resume: bool,
    /// Start a new run from the settings and weights of this finished run: another cycle of the schedule. Flags
    /// override the settings
    #[arg(long, value_name = "RUN", help_heading = "Recipe",
          conflicts_with_all = ["config", "resume", "weights"])]
    another_cycle: Option<PathBuf>,
    /// Show a dashboard during training: curves, progress and the device time of each op; q ends the run
    #[arg(long, help_heading = "Output")]
    tui: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    ranks: RankArgs,
    #[command(flatten)]
    fetch: super::fetch::AutoFetch,
}

impl Args {
    /// Returns the time after which a rank that does not answer ends all.
    pub fn rank_timeout(&self) -> Duration {
        self.ranks.timeout()
    }
}

/// Trains, and returns the exit code.
pub fn run(args: &Args, world: &Rc<World>) -> anyhow::Result<ExitCode> {
    if args.tui && world.is_first() {
        // This check comes first, because a download or a sweep below takes minutes.
        terminal::check()?;
    }
    let Signals { stop, checkpoint: asked_for } = signals::listen()?;
    world.stops_with(&stop);
    let is_first = world.is_first();
    let prepared = ranks::in_turns(world, || match &args.resume {
        Some(path) => {
            resumed(path, &args.settings.settings.clone(), &stop, is_first).map(Prepared::run)
        }
        None => prepared(args, &stop, is_first),
    });
    let prepared = match prepared {
        Err(error) if super::is_interrupted(&error) => Ok(Prepared::Interrupted),
        prepared => prepared,
    };
    let prepared = ranks::agreed(world, prepared)?;
    // If the ranks see other files, such as a run that only one of them finds, they must not part.
    let outcomes = world.all_numbers(prepared.number());
    if outcomes.contains(&Prepared::Interrupted.number()) {
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    if outcomes.iter().any(|outcome| *outcome != outcomes[0]) {
        let message = "the ranks see other states of the run; its folder must be on a file system that all share";
        world.refuse(message, super::FAILED);
    }
    let (mut run, find_lr) = match prepared {
        Prepared::Run { run, find_lr } => (*run, find_lr),
        Prepared::Interrupted => return Ok(ExitCode::from(super::INTERRUPTED)),
        Prepared::Finished(words) => {
            super::print(&words)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    if stop.load(Ordering::Relaxed) && world.size() == 1 {
        // Nothing was trained, so there is nothing to save.
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    let options = OpenOptions { nth_adapter: world.local_rank(), ..run.recipe.open_options() };
    let device = Device::open(&run.recipe.device, super::opened(options));
    let device = ranks::agreed(world, device)?;
    if run.recipe.device == "auto" {
        let is_cpu = matches!(device, Device::Cpu(_));
        run.recipe.device = if is_cpu { "cpu" } else { "gpu" }.to_string();
    }
    ranks::check(world, &run, &device);
    let ranks = ranks::shared(world);
    let Resumed { mut folder, mut recipe, loaded, checkpoint, weights } = run;

    if find_lr {
        let (train, sweep) = (&loaded.dataset.train, Sweep::default());
        let found =
            lr_find::find(&device, &recipe, train, weights.as_ref(), sweep, &stop, ranks.as_ref())?;
        let Some(found) = found else { return Ok(ExitCode::from(super::INTERRUPTED)) };
        super::print(&format!("{}\n", lr_find::describe(&found)))?;
        // `max_lr` is an error if the sweep's loss curve gives no suggestion. Then the run's folder is not created.
        recipe.max_lr = found.max_lr()?;
        lr_find::warn_of_disagreement(&found);
        if is_first {
            folder.create(&recipe)?;
            found.write(folder.path()).inspect_err(|_| folder.remove())?;
        }
    }
    let job = Job {
        recipe: &recipe,
        loaded: &loaded,
        device: &device,
        weights: weights.as_ref(),
        stop: &stop,
        checkpoint: &asked_for,
        ranks: ranks.as_ref(),
        report: &AtEnd,
    };
    let outcome = {
        let mut display: Box<dyn Display> = match args.tui {
            _ if !is_first => Box::new(Silent),
            true => Box::new(Dashboard::open(Arc::clone(&stop))?),
            false => Box::new(Progress::default()),
        };
        train::run(job, &mut folder, checkpoint, &mut *display)?
    };
    if outcome.ended == Ended::Interrupted && is_first {
        let _ = writeln!(
            io::stderr(),
            "hint: `wgrad train --resume {}` continues the run",
            folder.path().in_command()
        );
    }
    // A signal after the last epoch interrupts only the work for the report. The exit code is then that of an
    // interruption, too.
    let is_interrupted = outcome.ended == Ended::Interrupted || stop.load(Ordering::Relaxed);
    Ok(if is_interrupted { ExitCode::from(super::INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// The result of the preparation: a run to train, or the reason to train no run.
enum Prepared {
    /// A run to train. If `find_lr` is true, a sweep finds its learning rate first.
    Run { run: Box<Resumed>, find_lr: bool },
    /// The run in the folder is already finished, and no step is left. The text is the message for the user.
    Finished(String),
    /// The download of the dataset was interrupted.
    Interrupted,
}

impl Prepared {
    /// Returns the number of the kind of outcome, which must be the same on all ranks.
    fn number(&self) -> u64 {
        match self {
            Self::Run { .. } => 0,
            Self::Finished(_) => 1,
            Self::Interrupted => 2,
        }
    }

    /// Returns a run whose learning rate is known.
    fn run(run: Resumed) -> Self {
        Self::Run { run: Box::new(run), find_lr: false }
    }
}

/// Returns a new run or, with `--auto-resume`, the run that exists in the folder of `--out`.
fn prepared(args: &Args, stop: &AtomicBool, is_first: bool) -> anyhow::Result<Prepared> {
    let flags = args.settings.settings.clone();
    let mut settings = flags.clone();
    if let Some(path) = &args.config {
        settings = settings.or(Settings::read(path)?);
    }
    if let Some(recipe) = args.recipe {
        settings = recipe.complete(settings);
    }
    if let Some(path) = &args.another_cycle {
        settings = another_cycle(path, settings)?;
    }
    if args.auto_resume
        && let Some(prepared) = auto_resumed(args, &settings, stop, is_first)?
    {
        return Ok(prepared);
    }
    let folder = RunFolder::choose(settings.out.as_deref())?;
    // A wrong setting is refused before a download, which may take minutes.
    Recipe::check_ranges(&settings)?;
    let source = settings.data.unwrap_or_default();
    if args.fetch.interrupted(source, settings.data_dir.as_deref(), stop) {
        return Ok(Prepared::Interrupted);
    }
    let weights = resume::initial_weights(&mut settings)?;
    let is_stopped = || stop.load(Ordering::Relaxed);
    let loaded = resume::load(&settings, Some(Stop(&is_stopped)))
        .map_err(|error| super::of_file(error, flags.data_dir.as_deref()))?;
    let loaded = hints::advised(loaded);
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    fine_tuning::note(&recipe).iter().for_each(|note| super::note(note));
    let find_lr = settings.max_lr == Some(MaxLr::Find);
    let run = Box::new(Resumed { folder, recipe, loaded, checkpoint: None, weights });
    Ok(Prepared::Run { run, find_lr })
}

/// Returns the settings of a run that trains for another cycle of the schedule. They are the settings of the finished
/// run in `path`, overridden by `flags`. The new run starts from the finished run's weights.
fn another_cycle(path: &Path, flags: Settings) -> anyhow::Result<Settings> {
    let loaded_run = LoadedRun::read(path)?;
    let shown = path.shown();
    let refuse = |reason: String| Err(anyhow!("{shown}: {reason}"));
    if flags.out.as_deref().is_some_and(|out| same_file::is_same_file(out, path).unwrap_or(false)) {
        return refuse("another cycle is a new run; name another folder with --out".to_string());
    }
    if RunFolder::finished(path).is_none() {
        let (name, begin) = (path.in_command(), hints::begin_from(path, ""));
        return refuse(format!(
            "the run is not finished; `wgrad train --resume {name}` continues it, {begin} starts a new run from \
             its latest weights"
        ));
    }
    let before = Settings::of_run(&path.join(folder::CONFIG))?;
    let weights = loaded_run.model()?.ok_or_else(|| {
        anyhow!("{shown}: the folder has no weights; name the folder of another run")
    })?;
    // The finished run's folder and initial weights are not those of the new run.
    let before = Settings { out: None, weights: None, weights_sha256: None, ..before };
    Ok(Settings { weights: Some(weights), ..flags.or(before) })
}

/// Returns the run in the folder `settings.out`; None if the folder contains no run.
///
/// # Errors
/// [`WrongUse`] if the settings name no folder. Other errors if the run cannot be read or continued.
fn auto_resumed(
    args: &Args,
    settings: &Settings,
    stop: &AtomicBool,
    is_first: bool,
) -> anyhow::Result<Option<Prepared>> {
    let Some(path) = settings.out.clone() else {
        let message =
            "--auto-resume: the run's folder is not given; name it with --out".to_string();
        return Err(WrongUse(message).into());
    };
    if !path.join(folder::CONFIG).exists() {
        return Ok(None);
    }
    let (_, before) = RunFolder::reopen(&path, is_first)?;
    let mut flags = Settings { out: None, ..settings.clone() };
    if flags.max_lr == Some(MaxLr::Find) {
        // The sweep was made when the run began. The run keeps the learning rate that the sweep found.
        flags.max_lr = None;
    }
    if args.another_cycle.is_some() {
        // The run that continues already has its initial weights. Its settings thus ignore the present weights in the
        // folder of --another-cycle.
        (flags.weights, flags.weights_sha256) = (None, None);
    } else if flags.weights.as_deref().is_some_and(Path::exists) {
        // The file of weights may have another path than at the beginning of the run. If its SHA-256 is the same, the
        // setting counts as unchanged.
        resume::initial_weights(&mut flags)?;
        let is_same = flags.weights_sha256 == before.weights_sha256;
        flags.weights = if is_same { before.weights.clone() } else { flags.weights };
    } else {
        (flags.weights, flags.weights_sha256) = (None, None);
    }
    let Some(summary) = RunFolder::finished(&path) else {
        return Ok(Some(Prepared::run(resumed(&path, &flags, stop, is_first)?)));
    };
    resume::check_finished(&path, &flags, &before)?;
    let accuracy = summary
        .test_accuracy
        .map_or(String::new(), |accuracy| format!(", test accuracy {:.2}%", 100.0 * accuracy));
    let path = path.shown();
    let words = format!("{path} is finished: {} steps{accuracy}\n", summary.n_steps);
    Ok(Some(Prepared::Finished(words)))
}

/// Returns the run in a folder, ready to continue from its latest checkpoint. The first rank locks the folder.
fn resumed(
    path: &Path,
    flags: &Settings,
    stop: &AtomicBool,
    is_first: bool,
) -> anyhow::Result<Resumed> {
    if flags.max_lr == Some(MaxLr::Find) {
        let message = "--max-lr find: a resumed run keeps its learning rate; leave --max-lr out";
        return Err(WrongUse(message.to_string()).into());
    }
    let is_stopped = || stop.load(Ordering::Relaxed);
    let resumed = train::resume(path, flags, is_first, Some(Stop(&is_stopped)))
        .map_err(|error| super::of_file(error, flags.data_dir.as_deref()))?;
    let resumed = Resumed { loaded: hints::advised(resumed.loaded), ..resumed };
    if resumed.checkpoint.is_none() {
        let path = path.shown();
        super::print(&format!(
            "{path}: the run has no checkpoint yet and begins at its first step\n"
        ))?;
    }
    Ok(resumed)
}
