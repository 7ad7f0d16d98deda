//! Finding a learning rate: a sweep over rates on the network's own device and images, which leaves the
//! network as it was.
//!
//! What the rates are and what the losses suggest is [`lr_finder`](crate::optim::lr_finder)'s to say.

mod drawing;

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::Trainer;
use crate::data::{Split, batches};
use crate::error::Error;
use crate::files;
use crate::optim::lr_finder::{Curve, PEAK_OVER_LEAST, Range, Rule, Suggestions};

pub use drawing::draw;

/// The points, in a folder.
pub const CSV: &str = "lr-find.csv";
/// The drawing, in a folder.
pub const SVG: &str = "lr-find.svg";
/// What a sweep has found.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The rates and losses.
    pub curve: Curve,
    /// Peaks by each of the rules.
    pub suggestions: Suggestions,
    /// The rule that was chosen.
    pub rule: Rule,
}

/// What was found, for programs: a line of JSON.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
struct Line {
    max_lr: f64,
    lr_min: f64,
    #[serde(flatten)]
    suggestions: Suggestions,
}

impl Found {
    /// The peak that was chosen, of three digits: more would say more than the curve does.
    pub fn max_lr(&self) -> f64 {
        three_digits(self.suggestions.max_lr(self.rule))
    }

    /// The rate that a schedule with that peak starts from.
    pub fn lr_min(&self) -> f64 {
        three_digits(self.max_lr() / PEAK_OVER_LEAST)
    }

    /// One line of JSON: max_lr, lr_min, steepest, minimum, valley.
    pub fn to_json(&self) -> String {
        let (max_lr, lr_min) = (self.max_lr(), self.lr_min());
        let line = Line { max_lr, lr_min, suggestions: self.suggestions };
        serde_json::to_string(&line).expect("numbers")
    }

    /// The height that a drawing ends at: what lies further above the start tells only that it explodes.
    pub fn ceiling(&self) -> f64 {
        let smoothed = || self.curve.points().iter().map(|point| point.smoothed);
        let (start, low) = (smoothed().next().unwrap_or(1.0), smoothed().fold(f64::MAX, f64::min));
        start + 0.5 * (start - low).max(0.2)
    }

    /// The points: rate, loss, smoothed loss.
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
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        files::write_whole(&folder.join(CSV), self.to_csv().as_bytes())?;
        files::write_whole(&folder.join(SVG), draw(self).as_bytes())
    }
}

fn three_digits(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

/// Takes a step of training at each rate of the range, and puts everything back as it was: parameters,
/// moments, running statistics, metrics, the count of the steps.
///
/// The batches are those of training from its first epoch on, in their order and with its augmentation.
/// None when `stop` said so on the way.
///
/// # Errors
/// When the device fails, or the loss does not fall anywhere in the range.
pub fn sweep(
    trainer: &mut Trainer,
    train: &Split,
    seed: u64,
    range: Range,
    rule: Rule,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Found>, Error> {
    range.check().map_err(Error::Config)?;
    let before = trainer.snapshot()?;
    let curve = steps(trainer, train, seed, range, stop);
    trainer.drop_metrics()?;
    trainer.restore(&before)?;
    let Some(curve) = curve? else { return Ok(None) };
    let suggestions = curve.suggestions().ok_or_else(|| {
        let (n, start, end) = (curve.points().len(), range.start, range.end);
        Error::Training(format!(
            "the loss does not fall between {start:e} and {end:e} ({n} steps): try a range further down \
             with --start-lr and --end-lr"
        ))
    })?;
    Ok(Some(Found { curve, suggestions, rule }))
}

fn steps(
    trainer: &mut Trainer,
    train: &Split,
    seed: u64,
    range: Range,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Curve>, Error> {
    let batch_size = trainer.batch_size();
    let mut curve = Curve::default();
    trainer.drop_metrics()?;
    let n_batches = train.len() / batch_size;
    let mut order = Vec::new();
    for ix in 0..range.n_steps {
        let (epoch, batch) = (ix / n_batches, ix % n_batches);
        if batch == 0 {
            order = batches::epoch_order(seed, epoch as u64, train.len());
        }
        let images = &order[batch * batch_size..][..batch_size];
        trainer.step(train, images, epoch, range.rate(ix))?;
        // Waits for each step: the next one may be one too many.
        let metrics = trainer.drop_metrics()?;
        if metrics.not_finite || !curve.push(range.rate(ix), metrics.loss()) {
            break;
        }
        if stop() {
            return Ok(None);
        }
    }
    Ok(Some(curve))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::shapes;
    use crate::device::{Device, OpenOptions};
    use crate::fingerprint::Fingerprint;
    use crate::nn::ResNet9;
    use crate::train::step::StepConfig;

    #[test]
    fn a_sweep_leaves_no_trace() {
        let train = shapes::draw_train(0, 100);
        let config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, 20);
        let device = Device::cpu(OpenOptions::default());
        let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
        // From the middle of training: moments and statistics are not at their start.
        let order = batches::in_order(20);
        for _ in 0..3 {
            trainer.step(&train, &order, 0, 1e-3).expect("a step");
        }
        let bits = |trainer: &mut Trainer| {
            let snapshot = trainer.snapshot().expect("a snapshot");
            let groups = snapshot.groups.iter().map(Vec::as_slice);
            (snapshot.n_steps, Fingerprint::of_f32(groups))
        };
        let before = bits(&mut trainer);
        // Where so small a network learns: of the whole range, most would be noise.
        let range = Range { start: 1e-4, end: 1.0, n_steps: 40, ..Range::default() };
        let mut find = || {
            let found = sweep(&mut trainer, &train, 1, range, Rule::Steepest, &|| false);
            (found.expect("it runs"), bits(&mut trainer))
        };
        let (found, after) = find();
        assert_eq!(after, before);
        assert_eq!(find().0, found, "the same again, to the bit");

        let found = found.expect("nobody stopped it");
        let json: serde_json::Value = serde_json::from_str(&found.to_json()).expect("JSON");
        for key in ["max_lr", "lr_min", "steepest", "minimum", "valley"] {
            assert!(json[key].as_f64().is_some_and(|rate| rate > 0.0), "{key} in {json}");
        }
        assert_eq!(json["lr_min"].as_f64(), Some(found.lr_min()));
        assert_eq!(found.to_csv().lines().count(), 1 + found.curve.points().len());

        let stopped = sweep(&mut trainer, &train, 1, range, Rule::Steepest, &|| true);
        assert_eq!(stopped.expect("it runs"), None);
        assert_eq!(bits(&mut trainer), before);
    }

    #[test]
    fn rates_have_three_digits() {
        assert_eq!([0.0123456, 1.0, 9.9999e-7].map(three_digits), [0.0123, 1.0, 1e-6]);
    }
}
