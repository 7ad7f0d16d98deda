//! The cost of a network: its parameters and operations, and the memory and time of a training step.

use std::time::Instant;

use wgrad::data::batches;
use wgrad::nn::NetworkConfig;
use wgrad::passes::{Plan, PlanOptions, Work};
use wgrad::train::Trainer;
use wgrad::train::step::{self, StepConfig};

use crate::study::lab::{Lab, Record, Spread};

/// The cost of a network, from a [`Record`].
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The number of parameters.
    pub parameters: f64,
    /// The number of additions and multiplications for one image, forward.
    pub operations: f64,
    /// The memory of a training step, in bytes: parameters, optimizer state, inputs, and all values that live at once.
    pub bytes: f64,
    /// The time of a training step, in seconds: the spread of the middle half of several steps, since other work on the
    /// machine makes single steps slow. None if it was not measured.
    pub seconds: Option<Spread>,
}

impl Cost {
    /// Counts parameters, operations and bytes of a network, as measurements of a record.
    pub fn counted(network: NetworkConfig, step: &StepConfig) -> Vec<(&'static str, Vec<f64>)> {
        let tape = network.tape(step.size.channels_last());
        let parameters: usize = tape.state().parameters.iter().map(|p| p.n_elements()).sum();
        let operations = Work::sum_of(&tape, |_| true).flops;
        let bytes = Plan::new(&step::training(step).tape, PlanOptions::default()).total_bytes();
        vec![
            ("parameters", vec![parameters as f64]),
            ("operations", vec![operations as f64]),
            ("bytes", vec![bytes as f64]),
        ]
    }

    /// Returns the measurements of [`Cost::counted`] under the key `counted`, with the times under the name `seconds`.
    pub fn of(record: &Record, counted: &str, seconds: &str) -> Option<Self> {
        let number = |name| record.number(&format!("{counted}/{name}"));
        Some(Self {
            parameters: number("parameters")?,
            operations: number("operations")?,
            bytes: number("bytes")?,
            seconds: record.get(seconds).and_then(middle_half),
        })
    }

    /// Returns the numbers as cells of a table: thousands of parameters, millions of operations, MiB and ms.
    pub fn cells(&self) -> Vec<String> {
        vec![
            format!("{:.1}", self.parameters / 1e3),
            format!("{:.1}", self.operations / 1e6),
            format!("{:.1}", self.bytes / f64::from(1 << 20)),
            self.seconds.map_or("-".to_string(), milliseconds),
        ]
    }
}

/// Returns the spread of the middle half of some numbers.
fn middle_half(numbers: &[f64]) -> Option<Spread> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n_left_out = sorted.len() / 4;
    Spread::of(&sorted[n_left_out..sorted.len() - n_left_out])
}

/// Returns a time as `12.3 (12.0 to 12.9)`, in ms.
fn milliseconds(seconds: Spread) -> String {
    let Spread { mean, low, high } = seconds;
    format!("{:.1} ({:.1} to {:.1})", 1e3 * mean, 1e3 * low, 1e3 * high)
}

/// Returns the times of `n` training steps of each of `steps`, in seconds. The steps take turns, so a machine that
/// becomes slower or faster affects all of them. Each first runs once without being timed.
///
/// # Errors
/// [`Stopped`](crate::study::lab::Stopped) if a signal has arrived, and if the device fails.
pub fn step_times(lab: &Lab<'_>, steps: &[StepConfig], n: usize) -> anyhow::Result<Vec<Vec<f64>>> {
    let trainers = steps.iter().map(|step| Trainer::new(lab.device, step, lab.seed()));
    let mut trainers = trainers.collect::<Result<Vec<_>, _>>()?;
    let mut times = vec![Vec::new(); steps.len()];
    let train = lab.images.train();
    for round in 0..=n {
        for (ix, trainer) in trainers.iter_mut().enumerate() {
            lab.report(round * steps.len() + ix, (n + 1) * steps.len())?;
            let images = batches::in_order(trainer.batch_size().min(train.len()));
            let begun = Instant::now();
            trainer.step(train, &images, 0, 1e-3)?;
            trainer.state.session.wait()?;
            if round > 0 {
                times[ix].push(begun.elapsed().as_secs_f64());
            }
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_step_does_not_change_the_spread_of_times() {
        let spread = middle_half(&[1.0, 9.0, 2.0, 0.5]).expect("times");
        assert_eq!((spread.mean, spread.low, spread.high), (1.5, 1.0, 2.0));
        assert!(middle_half(&[]).is_none());
    }
}
