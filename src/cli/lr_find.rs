//! `wgrad lr-find`

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use wgrad::base::choice::Choice;
use wgrad::base::shown::Shown;
use wgrad::data::Stop;
use wgrad::device::Device;
use wgrad::distributed::Ranks;
use wgrad::nn::WeightsFile;
use wgrad::train::lr_find::curve::{Range, Rule, Scale, Suggestions};
use wgrad::train::lr_find::{self, CSV, Found, SVG};
use wgrad::train::{Recipe, RunFolder, Settings, Trainer, console, fine_tuning, resume, screen};

use super::settings::SettingsArgs;
use super::{arguments, plot};

/// Flags of `wgrad lr-find`.
#[derive(clap::Args)]
#[command(after_help = "\
The folder holds the points (lr-find.csv), the curve (lr-find.svg) and the settings (config.toml).
`wgrad train --max-lr find` sweeps first, and trains with the suggested learning rate.")]
pub struct Args {
    #[command(flatten)]
    sweep: Sweep,
    /// Sweep without crop, flip, cutout and jitter, for comparison
    #[arg(long, help_heading = "Sweep")]
    no_augment: bool,
    /// Print one line of JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// A TOML file with any of these flags as keys (batch-size = 128); flags override the file
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    fetch: super::fetch::AutoFetch,
}

/// Flags for the learning rates of a sweep, and for the rule that suggests a learning rate.
#[derive(clap::Args, Clone, Copy)]
pub struct Sweep {
    /// The first learning rate
    #[arg(long, value_name = "RATE", default_value_t = Range::default().start, help_heading = "Sweep",
          allow_negative_numbers = true)]
    start_lr: f64,
    /// The last learning rate
    #[arg(long, value_name = "RATE", default_value_t = Range::default().end, help_heading = "Sweep",
          allow_negative_numbers = true)]
    end_lr: f64,
    /// The number of learning rates from the first to the last; each takes two steps
    #[arg(long, value_name = "N", default_value_t = Range::default().n_steps, help_heading = "Sweep")]
    steps: usize,
    /// The spacing of the learning rates
    #[arg(long, default_value = "log", help_heading = "Sweep", value_parser = arguments::one_of::<Scale>())]
    scale: Scale,
    /// The rule that suggests the learning rate
    #[arg(long, value_name = "RULE", default_value = "steepest", help_heading = "Sweep", value_parser = arguments::one_of::<Rule>())]
    suggest: Rule,
}

impl Sweep {
    /// Returns the range of learning rates.
    fn range(&self) -> Range {
        let Self { start_lr: start, end_lr: end, steps: n_steps, scale, .. } = *self;
        Range { start, end, n_steps, scale }
    }
}

impl Default for Sweep {
    fn default() -> Self {
        let Range { start: start_lr, end: end_lr, n_steps: steps, scale } = Range::default();
        Self { start_lr, end_lr, steps, scale, suggest: Rule::default() }
    }
}

/// Flags of `wgrad train` that have no effect on a sweep. The help of `wgrad lr-find` hides them.
pub const NOT_OF_A_SWEEP: [&str; 14] = [
    "max_lr",
    "epochs",
    "patience",
    "unfreeze_at",
    "checkpoint_every",
    "pct_start",
    "div_factor",
    "final_div_factor",
    "anneal",
    "schedule",
    "milestones",
    "gamma",
    "min_lr",
    "warmup_epochs",
];

/// Refuses flags that have no effect on a sweep. A file of settings may have these settings, because the training after
/// the sweep uses them.
fn refuse_what_is_not_of_a_sweep(settings: &Settings) -> anyhow::Result<()> {
    let mut settings_of_training =
        Settings::ALL.iter().filter(|it| NOT_OF_A_SWEEP.contains(&it.field));
    match settings_of_training.find(|setting| (setting.is_given)(settings)) {
        Some(setting) => {
            let flag = setting.key;
            let message = format!("--{flag}: not a setting of a sweep; give it to `wgrad train`");
            Err(super::WrongUse(message).into())
        }
        None => Ok(()),
    }
}

/// Finds a learning rate, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let flags = args.settings.settings.clone();
    refuse_what_is_not_of_a_sweep(&flags)?;
    let mut settings = flags.clone();
    if let Some(path) = &args.config {
        settings = settings.or(Settings::read(path)?);
    }
    if args.no_augment {
        settings = settings.without_augmentation();
    }
    let mut folder = RunFolder::choose(settings.out.as_deref())?;
    let stop = super::signals::listen()?.stop;
    // A wrong setting is refused before a download, which may take minutes.
    Recipe::check_ranges(&settings)?;
    let source = settings.data.unwrap_or_default();
    if args.fetch.interrupted(source, settings.data_dir.as_deref(), &stop) {
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    let weights = resume::initial_weights(&mut settings)?;
    let is_stopped = || stop.load(Ordering::Relaxed);
    let loaded = resume::load(&settings, Some(Stop(&is_stopped)))
        .map_err(|error| super::of_file(error, flags.data_dir.as_deref()))?;
    let loaded = super::hints::advised(loaded);
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    fine_tuning::note(&recipe).iter().for_each(|note| super::note(note));
    let device = Device::open(&recipe.device, super::opened(recipe.open_options()))?;
    if !args.json {
        super::print(&format!("{}\n", console::head(&loaded, &device.name())))?;
    }
    let (train, weights) = (&loaded.dataset.train, weights.as_ref());
    let Some(found) = find(&device, &recipe, train, weights, args.sweep, &stop, None)? else {
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    let max_lr = found.max_lr();
    let recipe = Recipe { max_lr: *max_lr.as_ref().unwrap_or(&recipe.max_lr), ..recipe };
    folder.create_for_sweep(&recipe)?;
    found.write(folder.path()).inspect_err(|_| folder.remove())?;
    if args.json {
        super::print(&format!("{}\n", found.to_json()))?;
    } else {
        super::print(&describe(&found))?;
        let folder = folder.path().shown();
        super::print(&format!("written to {folder}/{SVG} and {folder}/{CSV}\n"))?;
    }
    // `max_lr` is an error if the loss curve of the sweep gives no suggestion. The error is returned after the curve is
    // printed, because the curve shows the reason.
    max_lr?;
    warn_of_disagreement(&found);
    Ok(ExitCode::SUCCESS)
}

/// Prints a warning on the standard error if the rules suggest very different learning rates.
pub fn warn_of_disagreement(found: &Found) {
    if let Some(message) = found.disagreement() {
        screen::note(&format!("warning: {message}"));
    }
}

/// Runs the sweep over learning rates with a new network. The network has the weights of the file `weights`, or random
/// weights without a file. The ranks share the steps. Returns None after an interruption.
pub fn find(
    device: &Device,
    recipe: &Recipe,
    train: &wgrad::data::Split,
    weights: Option<&WeightsFile>,
    sweep: Sweep,
    stop: &AtomicBool,
    ranks: Option<&Rc<dyn Ranks>>,
) -> anyhow::Result<Option<Found>> {
    let range = sweep.range();
    range.check()?;
    let mut trainer = Trainer::new(device, &recipe.step().for_sizes(train), recipe.seed)?;
    if let Some(ranks) = ranks {
        trainer.share(Rc::clone(ranks));
    }
    if let Some(file) = weights {
        let (network, layout) = (recipe.network(), &trainer.state.layout);
        let (weights, notes) = file.weights_of(&network, layout, recipe.new_head, recipe.seed)?;
        notes.iter().for_each(|note| super::note(&format!("{}: {note}", file.path().shown())));
        trainer.state.set_weights(&weights)?;
    }
    if io::stderr().is_terminal() && !screen::is_mute() {
        let (start, end, n) = (range.start, range.end, range.n_steps);
        let _ = writeln!(io::stderr(), "sweeping from {start:e} to {end:e} in {n} steps");
    }
    // The sweep calls it once for each step, so all ranks agree after the same step.
    let stop = || {
        let stops = stop.load(Ordering::Relaxed);
        ranks.map_or(stops, |ranks| ranks.any(u64::from(stops)) > 0)
    };
    Ok(lr_find::sweep(&mut trainer, train, recipe.seed, range, sweep.suggest, &stop)?)
}

/// Returns the curve and the suggestions as text for a terminal.
pub fn describe(found: &Found) -> String {
    let points = found.curve.points();
    let height = |loss: f64| loss.min(found.ceiling());
    let curve: Vec<_> = points.iter().map(|p| (p.rate.log10(), height(p.smoothed))).collect();
    let suggestions = found.suggestions();
    let marks: Vec<_> = suggestions.iter().map(|rates| rates.by(found.rule).log10()).collect();
    let plot = plot::curve(&curve, &marks, "log10(rate)", "smoothed loss");
    let left_out: String =
        found.left_out().iter().map(|part| format!("  left out: {part}\n")).collect();
    format!("\n{plot}\n{left_out}{}", suggestions.map_or(String::new(), |rates| list(found, rates)))
}

/// Returns a line for the learning rate that each rule suggests, and a line for the peak learning rate of the schedule.
fn list(found: &Found, suggestions: Suggestions) -> String {
    let line = |rule: Rule| {
        let chosen = match rule {
            _ if rule != found.rule => "",
            Rule::Steepest => "  <- the middle from LRMIN to max_lr",
            Rule::Minimum | Rule::Valley => "  <- max_lr",
        };
        format!("  {:<12} {:<9.2e}{chosen}\n", rule.label(), suggestions.by(rule))
    };
    let (max_lr, n) = (found.peak(suggestions), found.curve.points().len());
    let lr_min = Found::lr_min_of(max_lr);
    let lines: String = Rule::values().map(line).collect();
    format!("{lines}\nmax_lr {max_lr:e} (LRMIN = max_lr/10 = {lr_min:e}), from {n} steps\n")
}
