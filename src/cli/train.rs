//! `wgrad train`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use wgrad::data;
use wgrad::device::Device;
use wgrad::train::{self, Display, Ended, Progress, Recipe, RunFolder, Settings, recipe, screen};

use super::tui::{Dashboard, terminal};

/// Flags of `wgrad train`.
#[derive(clap::Args)]
#[command(after_help = "\
The folder holds config.toml (every setting), metrics.jsonl (a line an epoch) and model.safetensors
(the weights, with PyTorch's names). Ctrl-C ends training after the current step, and keeps what there is.")]
pub struct Args {
    /// A TOML file with any of these flags as keys (batch-size = 128); flags win
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    config: Option<PathBuf>,
    /// Show a dashboard while training: curves, progress, what each op takes on the device; q ends it
    #[arg(long, help_heading = "Output")]
    tui: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Trains.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.settings.clone();
    if let Some(path) = &args.config {
        settings = settings.or(Settings::read(path)?);
    }
    let mut folder = RunFolder::choose(settings.out.as_deref())?;
    let source = settings.data.unwrap_or_default();
    let loaded = data::load(source, settings.data_dir.as_deref(), recipe::SHAPES_SEED)
        .map_err(wgrad::Error::from)?;
    let mut recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let device = Device::open(&recipe.device, recipe.open_options())?;
    if recipe.device == "auto" {
        recipe.device = if matches!(device, Device::Cpu(_)) { "cpu" } else { "gpu" }.to_string();
    }

    let stop = stop_on_ctrl_c()?;
    let outcome = {
        let mut display: Box<dyn Display> = match args.tui {
            true => Box::new(Dashboard::open(Arc::clone(&stop))?),
            false => Box::new(Progress::default()),
        };
        train::run(&recipe, &loaded, &device, &mut folder, &mut *display, &stop)?
    };
    Ok(match outcome.ended {
        Ended::Finished => ExitCode::SUCCESS,
        Ended::Interrupted => ExitCode::from(super::INTERRUPTED),
    })
}

/// A signal this soon after the first is the same Ctrl-C: wrappers such as `timeout` signal their
/// child and then its group.
const SAME_CTRL_C: Duration = Duration::from_secs(1);

/// What becomes true on Ctrl-C. A second one ends the process on the spot.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let mut first: Option<Instant> = None;
    let on_signal = move || {
        match first {
            Some(first) if first.elapsed() < SAME_CTRL_C => return,
            Some(_) => {
                terminal::give_back();
                std::process::exit(i32::from(super::INTERRUPTED));
            }
            None => first = Some(Instant::now()),
        }
        asked.store(true, Ordering::Relaxed);
        screen::note("\nstopping after this step; Ctrl-C again ends at once");
    };
    ctrlc::set_handler(on_signal).context("Ctrl-C cannot be caught")?;
    Ok(stop)
}
