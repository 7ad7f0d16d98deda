//! The learning-rate range test: the rate grows from step to step, and where the loss falls fastest is a
//! good peak for a schedule.
//!
//! The test is Smith's ("Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3), its
//! smoothing and stopping rule are fastai's, and so is the rule of the valley. This module has the numbers;
//! [`train::lr_find`](crate::train::lr_find) runs the steps.

use serde::{Deserialize, Serialize};

/// How the rates of a sweep are spaced.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Each is the one before times a constant: all sizes get the same number of steps.
    #[default]
    Log,
    /// Each is the one before plus a constant.
    Linear,
}

/// The rates that are tried.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    /// The first rate.
    pub start: f64,
    /// The last.
    pub end: f64,
    /// How many.
    pub n_steps: usize,
    /// How they are spaced.
    pub scale: Scale,
}

impl Default for Range {
    fn default() -> Self {
        Self { start: 1e-7, end: 10.0, n_steps: 100, scale: Scale::Log }
    }
}

/// The fewest steps that slopes can be told from.
pub const MIN_STEPS: usize = 10;

impl Range {
    /// The rate of step `ix`, from 0.
    pub fn rate(&self, ix: usize) -> f64 {
        let progress = ix as f64 / (self.n_steps - 1).max(1) as f64;
        match self.scale {
            Scale::Log => self.start * (self.end / self.start).powf(progress),
            Scale::Linear => self.start + (self.end - self.start) * progress,
        }
    }

    /// Refuses numbers that make no sweep.
    ///
    /// # Errors
    /// What is wrong, in the words of the command line.
    pub fn check(&self) -> Result<(), String> {
        let Self { start, end, n_steps, .. } = *self;
        if !(start > 0.0 && start < end && end.is_finite()) {
            return Err(format!(
                "a sweep from {start} to {end}: --start-lr must be above 0 and below --end-lr"
            ));
        }
        if n_steps < MIN_STEPS {
            return Err(format!("--steps is {n_steps}, and must be at least {MIN_STEPS}"));
        }
        Ok(())
    }
}

/// The part that the smoothed loss keeps of itself at each step.
const SMOOTHING: f64 = 0.98;

/// A sweep ends when the smoothed loss has grown to so many times its smallest.
const DIVERGED: f64 = 4.0;

/// A step of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// The learning rate of the step.
    pub rate: f64,
    /// The mean loss of its batch, before the update.
    pub loss: f64,
    /// The exponential mean of the losses so far, corrected for its start at 0.
    pub smoothed: f64,
}

/// The steps of a sweep so far.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Curve {
    points: Vec<Point>,
    mean: f64,
}

impl Curve {
    /// Adds a step. Returns whether the sweep should go on: not when the loss is no number, or the
    /// smoothed loss has passed four times its smallest.
    pub fn push(&mut self, rate: f64, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        let weight = 1.0 - SMOOTHING.powi(self.points.len() as i32 + 1);
        let smoothed = self.mean / weight;
        self.points.push(Point { rate, loss, smoothed });
        let best = self.points.iter().map(|p| p.smoothed).fold(f64::INFINITY, f64::min);
        smoothed <= DIVERGED * best
    }

    /// The steps.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The points that suggestions are made from: without the first tenth, where the mean is of few losses.
    fn settled(&self) -> &[Point] {
        &self.points[self.points.len() / 10..]
    }

    /// What the curve suggests; none when it has fewer than ten points, or its loss never falls.
    pub fn suggestions(&self) -> Option<Suggestions> {
        if self.points.len() < MIN_STEPS {
            return None;
        }
        let points = self.settled();
        Some(Suggestions {
            steepest: steepest(points)?,
            minimum: minimum(points) / 10.0,
            valley: valley(points),
        })
    }
}

/// Rates to train with, by three rules.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Suggestions {
    /// The middle of the sharpest downward slope of the smoothed loss over the logarithm of the rate.
    pub steepest: f64,
    /// A tenth of the rate at which the smoothed loss is smallest.
    pub minimum: f64,
    /// Half-way through the middle third of the longest valley.
    pub valley: f64,
}

/// Which suggestion is used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Rule {
    /// The middle of the sharpest downward slope, as the middle of a cycle's rates
    #[default]
    Steepest,
    /// A tenth of the rate with the smallest loss
    Minimum,
    /// fastai's valley: within the longest stretch in which the loss falls
    Valley,
}

/// How many times its least rate a cycle's peak is.
pub const PEAK_OVER_LEAST: f64 = 10.0;

impl Suggestions {
    /// The rate by that rule.
    pub fn by(&self, rule: Rule) -> f64 {
        match rule {
            Rule::Steepest => self.steepest,
            Rule::Minimum => self.minimum,
            Rule::Valley => self.valley,
        }
    }

    /// The peak of a cycle by that rule.
    ///
    /// A cycle's rates reach from a tenth of the peak to the peak, and it is at the peak for a moment only. The
    /// middle of the slope is taken as the middle of that range, on the logarithmic axis that the slope is
    /// measured on: the peak is √10 times as high. The other rules name a peak.
    pub fn max_lr(&self, rule: Rule) -> f64 {
        match rule {
            Rule::Steepest => self.steepest * PEAK_OVER_LEAST.sqrt(),
            Rule::Minimum | Rule::Valley => self.by(rule),
        }
    }
}

/// Points on each side that a slope is measured over.
const REACH: usize = 4;

/// The slope of the smoothed loss over the logarithm of the rate at each point, by least squares over its
/// neighbourhood: the difference of two neighbours would be mostly noise.
fn slopes(points: &[Point]) -> Vec<f64> {
    let slope = |ix: usize| {
        let near = &points[ix.saturating_sub(REACH)..(ix + REACH + 1).min(points.len())];
        let n = near.len() as f64;
        let mean_x = near.iter().map(|p| p.rate.ln()).sum::<f64>() / n;
        let mean_y = near.iter().map(|p| p.smoothed).sum::<f64>() / n;
        let covariance: f64 =
            near.iter().map(|p| (p.rate.ln() - mean_x) * (p.smoothed - mean_y)).sum();
        let variance: f64 = near.iter().map(|p| (p.rate.ln() - mean_x).powi(2)).sum();
        covariance / variance
    };
    (0..points.len()).map(slope).collect()
}

/// The middle, over the logarithm of the rate, of the stretch around the steepest point in which the
/// slope is at least half as steep as there. A slope has no one point where it is steepest that another
/// batch would leave where it is; its middle stays.
fn steepest(points: &[Point]) -> Option<f64> {
    let slopes = slopes(points);
    let at = (0..slopes.len()).min_by(|&a, &b| slopes[a].total_cmp(&slopes[b]))?;
    // A curve that is level falls by its rounding.
    if slopes[at] > -1e-6 * points[at].smoothed {
        return None;
    }
    let is_steep = |ix: &usize| slopes[*ix] <= slopes[at] / 2.0;
    let first = (0..=at).rev().take_while(is_steep).last().unwrap_or(at);
    let last = (at..slopes.len()).take_while(is_steep).last().unwrap_or(at);
    Some((points[first].rate * points[last].rate).sqrt())
}

fn minimum(points: &[Point]) -> f64 {
    let smallest = points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
    smallest.map_or(f64::NAN, |point| point.rate)
}

/// The longest valley is the longest subsequence of points in which the loss falls from each to the next;
/// it is taken as ending where that does, and as long as it has points. The suggestion lies one and a half
/// thirds into it.
fn valley(points: &[Point]) -> f64 {
    // The length of the longest falling subsequence that ends at each point.
    let mut lengths = vec![1usize; points.len()];
    let mut end = 0;
    for i in 1..points.len() {
        let before = (0..i).filter(|&j| points[i].smoothed < points[j].smoothed);
        lengths[i] = 1 + before.map(|j| lengths[j]).max().unwrap_or(0);
        if lengths[i] > lengths[end] {
            end = i;
        }
    }
    let start = end.saturating_sub(lengths[end]);
    let third = (end - start) as f64 / 3.0;
    points[start + third as usize + (third / 2.0) as usize].rate
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep whose losses are `loss(log10 of the rate)`.
    fn curve(range: Range, loss: impl Fn(f64) -> f64) -> Curve {
        let mut curve = Curve::default();
        for ix in 0..range.n_steps {
            let rate = range.rate(ix);
            if !curve.push(rate, loss(rate.log10())) {
                break;
            }
        }
        curve
    }

    #[test]
    fn rates_go_from_the_first_to_the_last() {
        let range = Range::default();
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        close(range.rate(0), 1e-7);
        close(range.rate(99), 10.0);
        close(range.rate(1) / range.rate(0), range.rate(51) / range.rate(50));
        let linear = Range { scale: Scale::Linear, n_steps: 11, start: 1.0, end: 2.0 };
        close(linear.rate(5), 1.5);
        assert!(range.check().is_ok());
        assert!(Range { start: 0.0, ..range }.check().is_err());
        assert!(Range { end: 1e-8, ..range }.check().is_err());
        assert!(Range { n_steps: 9, ..range }.check().is_err());
    }

    #[test]
    fn the_mean_is_corrected_for_its_start() {
        let mut curve = Curve::default();
        for _ in 0..3 {
            curve.push(1.0, 2.5);
        }
        assert!(curve.points().iter().all(|point| (point.smoothed - 2.5).abs() < 1e-12));
        curve.push(1.0, 0.0);
        let expected = 2.5 * (1.0 - 0.02 / (1.0 - 0.98f64.powi(4)));
        assert!((curve.points()[3].smoothed - expected).abs() < 1e-12);
    }

    #[test]
    fn a_sweep_ends_when_the_loss_explodes_or_is_no_number() {
        let explodes = curve(Range::default(), |log| if log > -2.0 { 1e3 } else { 2.0 });
        let n = explodes.points().len();
        assert!((63..70).contains(&n), "{n}");
        let is_nan = curve(Range::default(), |log| if log > -2.0 { f64::NAN } else { 2.0 });
        assert!(is_nan.points().iter().all(|point| point.loss.is_finite()));
        assert_eq!(is_nan.suggestions(), None, "it never falls");
    }

    #[test]
    fn the_suggestions_lie_on_the_slope_and_before_the_minimum() {
        // Falls between 1e-4 and 1e-2, and rises behind.
        let loss = |log: f64| 2.3 - (log + 4.0).clamp(0.0, 2.0) + (log + 1.0).max(0.0) * 8.0;
        let found = curve(Range::default(), loss).suggestions().expect("it falls");
        // The mean trails the losses.
        for rate in [found.steepest, found.minimum, found.valley] {
            assert!((1e-4..1e-1).contains(&rate), "{found:?}");
        }
        let (peak, middle) = (found.max_lr(Rule::Steepest), found.steepest);
        assert!((middle / (peak / 10.0) - peak / middle).abs() < 1e-9, "it is in the middle");
        assert_eq!(found.max_lr(Rule::Valley), found.valley);
        assert!(found.steepest < 10.0 * found.minimum);
    }

    /// fastai's rule in its own words: `lds` is what its code calls the lengths.
    #[test]
    fn the_valley_is_fastais() {
        let smoothed = [5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 1.0, 1.5, 6.0, 7.0, 8.0, 9.0];
        let point = |(ix, &smoothed): (usize, &f64)| Point { rate: ix as f64, loss: 0.0, smoothed };
        let points: Vec<_> = smoothed.iter().enumerate().map(point).collect();
        // 5, 4.5, 3.5, 2, 1 (or 5, 4, 3, 2, 1): five points that end at the sixth; a third of 5 is 1.67.
        assert_eq!(valley(&points), 2.0);
    }
}
