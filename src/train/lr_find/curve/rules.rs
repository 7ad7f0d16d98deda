//! Suggestions from the curve of a sweep: the part of the curve that has a slope, and the rules that suggest a peak.

use std::ops::RangeInclusive;

use super::{Curve, MIN_STEPS, Point};
use crate::base::choice::Choice;
use crate::train::lr_find::NoSlope;

/// The width of the window in which a slope is measured, in decades of learning rates. The window of a point ends at
/// the point, since a loss is the result of the steps before it. A loss falls over about two decades. In 49 sweeps,
/// this width gave the smallest spread of the suggestions among widths from 1.2 to 2.
const WINDOW: f64 = 2.0;

/// A slope is significant if it is more than this number of its standard errors. A sweep has many windows: of 300
/// sweeps of pure noise, 15 have a slope of more than 3.5 standard errors, and 41 have a slope of more than 3.
const SIGNIFICANT: f64 = 3.5;

/// A slope is noticeable if the loss changes in the window by more than this share of the loss before the sweep. Since
/// the noise of the batches is removed from a curve, even a fall by 0.001% can be significant, although the network
/// learns nothing.
const NOTICEABLE: f64 = 0.005;

/// The steepest range of the curve ends where the slope is less than this share of the steepest slope.
const STEEP: f64 = 1.0 / 3.0;

/// The peak of a schedule divided by its first learning rate.
pub const PEAK_OVER_LEAST: f64 = 10.0;

/// The suggested learning rates of the three rules.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Suggestions {
    /// The middle of the range in which the loss falls steepest over the logarithm of the learning rate.
    pub steepest: f64,
    /// A tenth of the learning rate with the smallest smoothed loss.
    pub minimum: f64,
    /// The middle of the longest valley of the smoothed loss: see [`Rule::Valley`].
    pub valley: f64,
}

/// A rule that suggests a learning rate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Rule {
    /// The middle of the range in which the loss falls steepest. It becomes the middle of a schedule's learning rates.
    #[default]
    Steepest,
    /// A tenth of the learning rate with the smallest smoothed loss.
    Minimum,
    /// fastai's valley: the middle of the longest range in which the smoothed loss falls, except for noise.
    Valley,
}

impl Choice for Rule {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Steepest,
            "steepest",
            "The learning rate at which the loss falls fastest becomes the middle of the schedule's range",
        ),
        (Self::Minimum, "minimum", "A tenth of the learning rate with the smallest loss"),
        (
            Self::Valley,
            "valley",
            "fastai's valley: a learning rate within the longest range over which the loss falls",
        ),
    ];
}

impl Rule {
    /// Returns the name of the rule in listings and drawings. The name contains the factor of the rule: `minimum/10`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Minimum => "minimum/10",
            Self::Steepest | Self::Valley => self.name(),
        }
    }
}

impl Suggestions {
    /// Returns the suggestion of a rule.
    pub fn by(&self, rule: Rule) -> f64 {
        match rule {
            Rule::Steepest => self.steepest,
            Rule::Minimum => self.minimum,
            Rule::Valley => self.valley,
        }
    }

    /// Returns the peak of a schedule that a rule suggests.
    ///
    /// The learning rates of a schedule reach from a tenth of the peak to the peak. The suggestion of
    /// [`Rule::Steepest`] is the middle of this range on a logarithmic axis, so the peak is √10 times as high. The
    /// suggestions of the other rules are the peak itself.
    pub fn max_lr(&self, rule: Rule) -> f64 {
        match rule {
            Rule::Steepest => self.steepest * PEAK_OVER_LEAST.sqrt(),
            Rule::Minimum | Rule::Valley => self.by(rule),
        }
    }

    /// Returns the largest of the three peaks that the rules suggest, divided by the smallest.
    pub fn spread(&self) -> f64 {
        let peaks = Rule::values().map(|rule| self.max_lr(rule));
        peaks.clone().fold(f64::MIN, f64::max) / peaks.fold(f64::MAX, f64::min)
    }
}

/// The result of [`Curve::read`]: the points with a slope, and the suggestions of the rules.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The range of points around the steepest point in which the loss falls by more than noise; none if the loss never
    /// falls by more than noise.
    pub slope: Option<RangeInclusive<usize>>,
    /// The suggestions of all rules, or the reason why there are none.
    pub suggestions: Result<Suggestions, NoSlope>,
}

impl Curve {
    /// Returns the slope of the curve and the suggestions.
    pub fn read(&self) -> Reading {
        let nothing = |why| Reading { slope: None, suggestions: Err(why) };
        let points = self.points();
        if points.len() < MIN_STEPS {
            return nothing(NoSlope::TooShort(points.len()));
        }
        let falls: Vec<_> = (0..points.len()).map(|ix| self.fall(ix)).collect();
        let Some(first) = falls.iter().position(Fall::is_sure) else {
            return nothing(no_slope(&falls));
        };
        // A fall after a rise does not count: high learning rates caused the rise, and the loss only returns from it.
        let end = (first..falls.len()).find(|&ix| falls[ix].is_rise()).unwrap_or(falls.len());
        // The uncertainty of each slope is subtracted before the comparison. Otherwise the steepest slope could be only
        // the noisiest one.
        let least = |ix: &usize| falls[*ix].least_slope();
        let sure = (first..end).filter(|&ix| falls[ix].is_sure());
        let at = sure.max_by(|a, b| least(a).total_cmp(&least(b))).unwrap_or(first);
        let slope = around(at, &falls, Fall::is_sure);
        let steep =
            around(at, &falls, |fall| fall.is_sure() && fall.slope >= STEEP * falls[at].slope);
        let suggestions = Suggestions {
            steepest: (points[*steep.start()].rate * points[*steep.end()].rate).sqrt(),
            minimum: minimum(&points[..=*slope.end()]) / 10.0,
            valley: valley(&points[slope.clone()]),
        };
        Reading { slope: Some(slope), suggestions: Ok(suggestions) }
    }

    /// Fits a straight line to the losses of the window that ends at point `ix`, by least squares.
    fn fall(&self, ix: usize) -> Fall {
        let to = self.points()[ix].rate;
        let points = &self.points()[..=ix];
        // The 1e-9 keeps a point at the edge inside the window, in spite of rounding.
        let from = points.partition_point(|point| (to / point.rate).log10() > WINDOW + 1e-9);
        let window = &points[from..];
        let n = window.len() as f64;
        let x = |point: &Point| point.rate.log10();
        let mean_x = window.iter().map(x).sum::<f64>() / n;
        let mean_loss = window.iter().map(|point| point.loss).sum::<f64>() / n;
        let covariance: f64 = window.iter().map(|point| (x(point) - mean_x) * point.loss).sum();
        let variance: f64 = window.iter().map(|point| (x(point) - mean_x).powi(2)).sum();
        let slope = -covariance / variance;
        Fall {
            n_points: window.len(),
            depth: self.start() - (mean_loss - slope * (x(&points[ix]) - mean_x)),
            slope,
            error: (noise(window) / variance).sqrt(),
            decades: x(&points[ix]) - x(&window[0]),
            noticeable: NOTICEABLE * self.start(),
        }
    }
}

/// Returns the variance of the noise in the losses: half the mean square of the differences between neighbours (von
/// Neumann and others, "The Mean Square Successive Difference", 1941). A slope hardly changes this variance, since
/// neighbours on a slope differ little.
fn noise(points: &[Point]) -> f64 {
    let squares = points.windows(2).map(|pair| (pair[1].loss - pair[0].loss).powi(2));
    squares.sum::<f64>() / 2.0 / (points.len() - 1) as f64
}

/// The straight line through the losses of the window that ends at a point.
#[derive(Clone, Copy, Debug)]
struct Fall {
    /// The number of points in the window.
    n_points: usize,
    /// The mean loss before the sweep minus the line's loss at the end of the window.
    depth: f64,
    /// The fall of the loss in a decade of learning rates; negative if the loss rises.
    slope: f64,
    /// The standard error of the slope.
    error: f64,
    /// The width of the window in decades.
    decades: f64,
    /// A change of the loss in the window counts only if it is larger than this number, even in losses without noise.
    noticeable: f64,
}

impl Fall {
    /// Returns the slope minus its uncertainty, [`SIGNIFICANT`] standard errors.
    fn least_slope(&self) -> f64 {
        self.slope - SIGNIFICANT * self.error
    }

    /// Returns the fall of the loss in the window; negative if the loss rises.
    fn height(&self) -> f64 {
        self.slope * self.decades
    }

    /// Returns the height that a fall must exceed to count as a slope.
    fn needed(&self) -> f64 {
        (SIGNIFICANT * self.error * self.decades).max(self.noticeable)
    }

    /// Returns whether the window has enough points for a slope.
    fn is_measured(&self) -> bool {
        self.n_points >= MIN_STEPS
    }

    /// Returns whether the loss falls by more than noise, and below the mean loss before the sweep.
    fn is_sure(&self) -> bool {
        self.is_measured() && self.height() > self.needed() && self.depth > 0.0
    }

    /// Returns whether the loss rises by more than noise.
    fn is_rise(&self) -> bool {
        self.is_measured() && -self.height() > self.needed()
    }
}

/// Returns the longest range of points around point `at` in which `holds` is true for every point.
fn around(at: usize, falls: &[Fall], holds: impl Fn(&Fall) -> bool) -> RangeInclusive<usize> {
    let holds = |ix: &usize| holds(&falls[*ix]);
    let from = (0..=at).rev().take_while(holds).last().unwrap_or(at);
    let to = (at..falls.len()).take_while(holds).last().unwrap_or(at);
    from..=to
}

/// Returns the reason why a curve without a significant fall has no slope.
fn no_slope(falls: &[Fall]) -> NoSlope {
    let measured = falls.iter().filter(|fall| fall.is_measured());
    let highest = measured.max_by(|a, b| a.height().total_cmp(&b.height()));
    match highest {
        Some(fall) if !falls.iter().any(Fall::is_rise) => {
            NoSlope::Level { fall: fall.height().max(0.0), needed: fall.needed() }
        }
        _ => NoSlope::Rises,
    }
}

/// Returns the learning rate with the smallest smoothed loss.
fn minimum(points: &[Point]) -> f64 {
    let smallest = points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
    smallest.map_or(f64::NAN, |point| point.rate)
}

/// Returns the suggestion of fastai's rule. The longest falling subsequence of the smoothed losses determines the
/// valley. The valley ends at the last point of the subsequence, and its length is the number of points of the
/// subsequence. The suggestion is the middle of the valley. Its distance from the start of the valley is a third plus a
/// sixth of the length, each rounded down.
pub(super) fn valley(points: &[Point]) -> f64 {
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
