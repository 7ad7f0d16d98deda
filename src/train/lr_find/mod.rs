//! The learning-rate finder: a sweep over learning rates, and its output as JSON, CSV and SVG.
//!
//! A sweep trains the network on its device and images, and restores it afterwards. [`curve`] has the learning rates of
//! a sweep, and the rules that suggest a learning rate from the losses.

pub mod curve;
mod drawing;
mod no_slope;

use std::fmt::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::{TrainError, Trainer};
use crate::Error;
use crate::base::choice::Choice;
use crate::base::files::{self, FileError};
use crate::data::{Split, batches};
use crate::train::Snapshot;
use crate::train::lr_find::curve::{
    Curve, PEAK_OVER_LEAST, Range, Reading, Rule, Still, Suggestions,
};

pub use drawing::draw;
pub use no_slope::NoSlope;

/// Name of the file with the learning rates and losses of a sweep.
pub const CSV: &str = "lr-find.csv";
/// Name of the file with the drawing of a sweep: losses over learning rates.
pub const SVG: &str = "lr-find.svg";

/// A warning is printed if the peaks that the rules suggest differ by more than this factor. A learning rate that is
/// wrong by this factor trains badly (`docs/performance/accuracy.md` has the accuracies).
const AGREEMENT: f64 = 10.0;

/// The results of a sweep.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The range of the sweep. A sweep may end before its last learning rate.
    pub range: Range,
    /// The learning rates and losses.
    pub curve: Curve,
    /// The part of the curve with a slope, and the suggestions of all rules.
    pub reading: Reading,
    /// The rule that the user chose.
    pub rule: Rule,
}

/// A part of the curve of a sweep before or after its slope, or the whole curve if it has no slope.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeftOut {
    /// The learning rates of the first and the last point of the part.
    pub rates: (f64, f64),
    /// The reason.
    pub why: Why,
}

/// The reason why a part of the curve of a sweep does not belong to the slope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The part is before the slope: the loss does not fall by more than noise yet.
    Before,
    /// The part is after the slope: the loss no longer falls by more than noise.
    Behind,
    /// The whole curve has no slope.
    NoSlope,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "no fall above noise yet",
            Self::Behind => "no fall above noise any more",
            Self::NoSlope => "no fall above noise anywhere",
        })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rates: (from, to), why } = self;
        write!(f, "{from:.2e} to {to:.2e}, {why}")
    }
}

/// The results of a sweep as a line of JSON, for programs. Every value is null if the curve has no slope.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
struct Line {
    max_lr: Option<f64>,
    lr_min: Option<f64>,
    steepest: Option<f64>,
    minimum: Option<f64>,
    valley: Option<f64>,
}

impl Found {
    fn new(range: Range, curve: Curve, rule: Rule) -> Self {
        Self { range, reading: curve.read(), curve, rule }
    }

    /// Returns the suggestions of all rules; none if the curve has no slope.
    pub fn suggestions(&self) -> Option<Suggestions> {
        self.reading.suggestions.ok()
    }

    /// Returns the peak of the learning rate by the chosen rule, rounded to three significant digits. The curve is not
    /// exact enough for more digits.
    ///
    /// # Errors
    /// If the curve has no slope.
    pub fn max_lr(&self) -> Result<f64, TrainError> {
        match self.reading.suggestions {
            Ok(suggestions) => Ok(self.peak(suggestions)),
            Err(why) => {
                let (start, end) = (self.range.start, self.range.end);
                Err(TrainError::NoRate { start, end, why })
            }
        }
    }

    /// Returns the peak that the rule in [`Found::rule`] gives, rounded to three significant digits. `suggestions` has
    /// the learning rates of all rules.
    pub fn peak(&self, suggestions: Suggestions) -> f64 {
        three_digits(suggestions.max_lr(self.rule))
    }

    /// Returns the parts of the curve before and after the slope; the whole curve if it has no slope.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let points = self.curve.points();
        let part = |from: usize, to: usize, why| {
            let rates = (points.get(from)?.rate, points.get(to)?.rate);
            (from < to).then_some(LeftOut { rates, why })
        };
        let last = points.len().saturating_sub(1);
        match &self.reading.slope {
            Some(slope) => {
                let (first, end) = (*slope.start(), *slope.end());
                let parts = [part(0, first, Why::Before), part(end, last, Why::Behind)];
                parts.into_iter().flatten().collect()
            }
            None => part(0, last, Why::NoSlope).into_iter().collect(),
        }
    }

    /// Returns the first learning rate of a schedule with this peak: a tenth, rounded to three significant digits.
    pub fn lr_min_of(max_lr: f64) -> f64 {
        three_digits(max_lr / PEAK_OVER_LEAST)
    }

    /// Returns one line of JSON with the keys `max_lr`, `lr_min`, `steepest`, `minimum` and `valley`.
    pub fn to_json(&self) -> String {
        let (max_lr, suggestions) = (self.max_lr().ok(), self.suggestions());
        let line = Line {
            max_lr,
            lr_min: max_lr.map(Self::lr_min_of),
            steepest: suggestions.map(|rates| rates.steepest),
            minimum: suggestions.map(|rates| rates.minimum),
            valley: suggestions.map(|rates| rates.valley),
        };
        serde_json::to_string(&line).expect("numbers")
    }

    /// Returns a warning if the suggestions differ by more than a factor of 10.
    pub fn disagreement(&self) -> Option<String> {
        let suggestions = self.suggestions()?;
        let spread = suggestions.spread();
        let peak = |rule: Rule| format!("{} {:.2e}", rule.label(), suggestions.max_lr(rule));
        let peaks: Vec<_> = Rule::values().map(peak).collect();
        (spread > AGREEMENT).then(|| {
            format!(
                "the rules disagree by a factor of {spread:.0} (max_lr by {}); compare the curve in {SVG}",
                peaks.join(", ")
            )
        })
    }

    /// Returns the upper end of the loss axis in a drawing. A larger loss is drawn at this end: losses far above the
    /// first one would flatten the slope.
    pub fn ceiling(&self) -> f64 {
        let smoothed = || self.curve.points().iter().map(|point| point.smoothed);
        let (start, low) = (smoothed().next().unwrap_or(1.0), smoothed().fold(f64::MAX, f64::min));
        start + 0.5 * (start - low).max(0.2)
    }

    /// Returns the points as CSV: learning rate, loss, smoothed loss.
    pub fn to_csv(&self) -> String {
        let mut text = "lr,loss,smoothed_loss\n".to_string();
        for point in self.curve.points() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:e},{},{}", point.rate, point.loss, point.smoothed);
        }
        text
    }

    /// Writes the points and the drawing into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        files::write_whole(&folder.join(CSV), self.to_csv().as_bytes())?;
        files::write_whole(&folder.join(SVG), draw(self).as_bytes())
    }
}

/// Rounds to three significant digits.
fn three_digits(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

/// Trains one step at each learning rate of the range, and then restores the training state: parameters, moments,
/// running statistics, metrics, and the count of steps.
///
/// The batches are those of training, with its order and augmentation, from the first epoch on. Before the sweep, each
/// batch has a step at learning rate 0, which does not change the parameters. [`Still`] has the losses of these steps.
/// A sweep therefore takes twice as many steps as it has learning rates. Returns none if `stop` returned true before
/// the end.
///
/// # Errors
/// If the range is not valid, the device fails, or the loss is not finite before the first update.
pub fn sweep(
    trainer: &mut Trainer,
    train: &Split,
    seed: u64,
    range: Range,
    rule: Rule,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Found>, Error> {
    range.check()?;
    let before = trainer.state.snapshot()?;
    let mut sweep = Sweep { trainer, train, seed, range, stop };
    let still = sweep.still();
    sweep.restore(&before)?;
    let Some(still) = still? else { return Ok(None) };
    let curve = sweep.curve(&still);
    sweep.restore(&before)?;
    Ok(curve?.map(|curve| Found::new(range, curve, rule)))
}

/// A sweep in progress.
struct Sweep<'a> {
    trainer: &'a mut Trainer,
    train: &'a Split,
    seed: u64,
    range: Range,
    stop: &'a dyn Fn() -> bool,
}

impl Sweep<'_> {
    /// Returns the losses of the batches on the network before the sweep, from steps at learning rate 0. None if the
    /// sweep was stopped.
    fn still(&mut self) -> Result<Option<Still>, Error> {
        let mut losses = Vec::new();
        let is_whole = self.steps(
            |_| 0.0,
            |_, loss| {
                losses.push(loss);
                loss.is_finite()
            },
        )?;
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Err(TrainError::NothingToSweep.into());
        }
        Ok(is_whole.then(|| Still::new(losses)))
    }

    /// Returns the losses at the learning rates of the range. None if the sweep was stopped.
    fn curve(&mut self, still: &Still) -> Result<Option<Curve>, Error> {
        let mut curve = Curve::new(still.mean());
        let range = self.range;
        let push = |ix, loss| curve.push(range.rate(ix), still.cleared(ix, loss));
        let is_whole = self.steps(|ix| range.rate(ix), push)?;
        Ok(is_whole.then_some(curve))
    }

    /// Runs the steps. Step `ix` has the learning rate `rate(ix)`. Calls `push(ix, loss)` after each step, and ends
    /// when `push` returns false. `loss` is NaN if the loss or a gradient is not finite. Returns false if the sweep was
    /// stopped.
    fn steps(
        &mut self,
        rate: impl Fn(usize) -> f64,
        mut push: impl FnMut(usize, f64) -> bool,
    ) -> Result<bool, Error> {
        let batch_size = self.trainer.batch_size();
        let n_batches = self.train.len() / batch_size;
        let mut order = Vec::new();
        self.trainer.state.drop_metrics()?;
        for ix in 0..self.range.n_steps {
            let (epoch, batch) = (ix / n_batches, ix % n_batches);
            if batch == 0 {
                order = batches::epoch_order(self.seed, epoch as u64, self.train.len());
            }
            let images = &order[batch * batch_size..][..batch_size];
            self.trainer.step(self.train, images, epoch, rate(ix))?;
            // The loop waits for each step, because its loss may end the sweep.
            let metrics = self.trainer.state.drop_metrics()?;
            if !push(ix, if metrics.not_finite { f64::NAN } else { metrics.loss() }) {
                break;
            }
            if (self.stop)() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn restore(&mut self, before: &Snapshot) -> Result<(), Error> {
        self.trainer.state.drop_metrics()?;
        self.trainer.state.restore(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fingerprint::Fingerprint;
    use crate::data::shapes;
    use crate::device::{Device, OpenOptions};
    use crate::nn::ResNet9;
    use crate::train::step::StepConfig;

    #[test]
    fn a_sweep_restores_every_bit_and_gives_the_same_result_again() {
        let train = shapes::draw_train(0, 100);
        let config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, 20);
        let device = Device::cpu(OpenOptions::default());
        let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
        // Three training steps, after which Adam's moments and the running statistics are not 0. Their learning rate is
        // so low that the loss hardly changes.
        let order = batches::in_order(20);
        for _ in 0..3 {
            trainer.step(&train, &order, 0, 1e-6).expect("a step");
        }
        let bits = |trainer: &mut Trainer| {
            let snapshot = trainer.state.snapshot().expect("a snapshot");
            let buffers = snapshot.buffers.iter().map(Vec::as_slice);
            (snapshot.n_steps, Fingerprint::of_f32(buffers))
        };
        let before = bits(&mut trainer);
        // This is the range in which this small network learns. In most of the default range the losses would be noise.
        let range = Range { start: 1e-4, end: 1.0, n_steps: 40, ..Range::default() };
        let mut find = || {
            let found = sweep(&mut trainer, &train, 1, range, Rule::Steepest, &|| false);
            (found.expect("it runs"), bits(&mut trainer))
        };
        let (found, after) = find();
        assert_eq!(after, before);
        assert_eq!(find().0, found, "a second sweep has the same bits");

        let found = found.expect("a sweep that was not stopped");
        let json: serde_json::Value = serde_json::from_str(&found.to_json()).expect("JSON");
        for key in ["max_lr", "lr_min", "steepest", "minimum", "valley"] {
            assert!(json[key].as_f64().is_some_and(|rate| rate > 0.0), "{key} in {json}");
        }
        let max_lr = found.max_lr().expect("a slope");
        assert_eq!(json["lr_min"].as_f64(), Some(Found::lr_min_of(max_lr)));
        assert_eq!(found.to_csv().lines().count(), 1 + found.curve.points().len());

        let stopped = sweep(&mut trainer, &train, 1, range, Rule::Steepest, &|| true);
        assert_eq!(stopped.expect("it runs"), None);
        assert_eq!(bits(&mut trainer), before);
    }

    #[test]
    fn learning_rates_are_rounded_to_three_digits() {
        assert_eq!([0.0123456, 1.0, 9.9999e-7].map(three_digits), [0.0123, 1.0, 1e-6]);
    }
}
