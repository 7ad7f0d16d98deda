//! Training steps on built-in images, timed: what [`measure`](super::measure()) and
//! [`bench`](crate::measure::bench) both start from.

use std::time::Instant;

use crate::data::{Split, batches, shapes};
use crate::device::{Clock, Device, NodeTimes, Peaks};
use crate::error::Error;
use crate::tape::Tape;
use crate::train::Trainer;
use crate::train::recipe::SHAPES_SEED;
use crate::train::step::StepConfig;

/// Steps before the first that is timed: kernels are loaded, clocks rise, pages come in.
const WARM_UP_STEPS: usize = 2;

/// The most ordinary steps behind each that is timed. There are two at least, so that the host prepares one while
/// the device runs another; but of steps that take longer than a second, in which that is lost, one will do.
const LONGEST_ROW: usize = 16;

/// A row of ordinary steps is about this long, in seconds: then waiting for its end is lost in it.
const ROW_SECONDS: f64 = 0.25;

/// Too low a rate for the network to change much while it is timed.
const LR: f64 = 1e-5;

/// How many steps are timed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effort {
    /// So many, if somebody says so.
    pub n_steps: Option<usize>,
    /// Else as many as fit into this time, in seconds.
    pub seconds: f64,
    /// But no fewer, and no more, than these.
    pub bounds: [usize; 2],
}

/// Steps, timed.
#[derive(Clone, Debug)]
pub struct TimedSteps {
    /// The step.
    pub tape: Tape,
    /// What measured the nodes.
    pub clock: Clock,
    /// What the device was seen to do at best, before and after.
    pub peak: Peaks,
    /// The time of each node, in seconds, by node and timed step.
    pub nodes: Vec<Vec<f64>>,
    /// The time of an ordinary step, in seconds, by the host's clock: the mean of the row behind each timed
    /// one, in ascending order.
    pub whole: Vec<f64>,
}

/// Times training steps. `told` hears what is going on; `stop` is asked between steps. None when it was
/// stopped.
///
/// # Errors
/// When the step passes a limit of the device, or the device fails.
pub fn time_steps(
    device: &Device,
    config: &StepConfig,
    effort: Effort,
    told: &dyn Fn(&str),
    stop: &dyn Fn() -> bool,
) -> Result<Option<TimedSteps>, Error> {
    told("measuring what the device can do at best");
    let peak = device.peaks()?;
    told("compiling the step");
    // The images of a step that no memory holds are not drawn.
    let mut trainer = Trainer::new(device, config, 0)?;
    let split = shapes::draw_train(SHAPES_SEED, config.batch_size);
    let images = batches::in_order(split.len());
    trainer.warm_up()?;
    let step = row(&mut trainer, &split, &images, WARM_UP_STEPS)? / WARM_UP_STEPS as f64;
    let fewest = if step < 1.0 { 2 } else { 1 };
    let n_row = ((ROW_SECONDS / step) as usize).clamp(fewest, LONGEST_ROW);
    trainer.state.take_metrics()?;

    let begun = Instant::now();
    let mut rounds = vec![time_round(&mut trainer, &split, &images, n_row)?];
    let that_fit = (effort.seconds / begun.elapsed().as_secs_f64()) as usize;
    let n_steps = effort.n_steps.unwrap_or(that_fit.clamp(effort.bounds[0], effort.bounds[1]));
    told(&format!("timing {n_steps} steps"));
    for _ in 1..n_steps {
        if stop() {
            return Ok(None);
        }
        rounds.push(time_round(&mut trainer, &split, &images, n_row)?);
    }
    trainer.state.take_metrics()?;
    // Once more: what else a busy machine did the first time may be over.
    let peak = peak.max(device.peaks()?);
    let tape = trainer.tape().clone();
    let clock = rounds[0].0.clock;
    let of_node = |ix: usize| rounds.iter().map(|(times, _)| times.seconds[ix]).collect();
    let nodes = (0..tape.nodes().len()).map(of_node).collect();
    let mut whole: Vec<f64> = rounds.iter().map(|(_, whole)| *whole).collect();
    whole.sort_by(f64::total_cmp);
    Ok(Some(TimedSteps { tape, clock, peak, nodes, whole }))
}

/// A step with a clock on every node; and the seconds of an ordinary one, by the host's clock, of a row
/// behind it: turn by turn, so that a machine that grows faster or slower does so for both.
fn time_round(
    trainer: &mut Trainer,
    split: &Split,
    images: &[u32],
    n_row: usize,
) -> Result<(NodeTimes, f64), Error> {
    let times = trainer.timed_step(split, images, 0, LR)?;
    Ok((times, row(trainer, split, images, n_row)? / n_row as f64))
}

/// The seconds of some ordinary steps in a row, by the host's clock.
pub fn row(
    trainer: &mut Trainer,
    split: &Split,
    images: &[u32],
    n_steps: usize,
) -> Result<f64, Error> {
    let begun = Instant::now();
    for _ in 0..n_steps {
        trainer.step(split, images, 0, LR)?;
    }
    trainer.state.session.wait()?;
    Ok(begun.elapsed().as_secs_f64())
}
