//! Reading a rate off the curve of a sweep: which part of it is a slope, and the rules that suggest a rate.

use std::ops::RangeInclusive;

use super::{Curve, MIN_STEPS, Point};
use crate::train::lr_find::NoSlope;

/// The decades of rates that a slope is measured over: those up to the rate that it is the slope at. A step's loss is
/// the work of the steps before it, and fastai's mean trails its losses by as much. Of the windows from 1.2 to 2
/// decades this one left the suggestions of 49 sweeps closest together; a fall of the loss is about as long.
const WINDOW: f64 = 2.0;

/// A slope counts when it is so many of its standard errors. The windows of a sweep are many: of 300 sweeps of nothing but
/// noise 15 have such a slope, and 41 one of three standard errors.
const SIGNIFICANT: f64 = 3.5;

/// A slope counts when the loss falls by this part of the untouched network's in the window, too. Cleared of its
/// batches a loss that falls by a hundred-thousandth is above its noise, and nothing is learned.
const NOTICEABLE: f64 = 0.005;

/// The steep stretch ends where the slope is no longer this part of the steepest.
const STEEP: f64 = 1.0 / 3.0;

/// How many times its least rate a cycle's peak is.
pub const PEAK_OVER_LEAST: f64 = 10.0;

/// Rates to train with, by three rules.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Suggestions {
    /// The middle of the sharpest downward slope of the smoothed loss over the logarithm of the rate.
    pub steepest: f64,
    /// A tenth of the rate at which the smoothed loss is smallest.
    pub minimum: f64,
    /// Half-way through the middle third of the longest valley.
    pub valley: f64,
}

/// Which suggestion is used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Rule {
    /// The middle of the sharpest downward slope, as the middle of a cycle's rates
    #[default]
    Steepest,
    /// A tenth of the rate with the smallest loss
    Minimum,
    /// fastai's valley: within the longest stretch in which the loss falls
    Valley,
}

impl Rule {
    /// All rules, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Steepest, Self::Minimum, Self::Valley];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steepest => "steepest",
            Self::Minimum => "minimum",
            Self::Valley => "valley",
        }
    }

    /// Returns the name in listings and drawings, which has the factor of the rule in it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Minimum => "minimum/10",
            Self::Steepest | Self::Valley => self.name(),
        }
    }
}

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

    /// The largest peak of a cycle by any rule over the smallest.
    pub fn spread(&self) -> f64 {
        let peaks = Rule::ALL.map(|rule| self.max_lr(rule)).into_iter();
        peaks.clone().fold(f64::MIN, f64::max) / peaks.fold(f64::MAX, f64::min)
    }
}

/// A curve, read: the points that count, and their suggestions.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The points around the steepest at which the loss falls by more than noise. Those before and behind are
    /// left out. None when there is no slope before the first rise by more than noise.
    pub slope: Option<RangeInclusive<usize>>,
    /// Rates by each rule, or why there are none.
    pub suggestions: Result<Suggestions, NoSlope>,
}

impl Curve {
    /// Reads the curve.
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
        // Behind a rise the loss comes back from a height that the rates themselves have made.
        let end = (first..falls.len()).find(|&ix| falls[ix].is_rise()).unwrap_or(falls.len());
        // The steepest of which one can be sure, rather than the one that noise has made the steepest.
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

    /// The straight line through the losses of the window that ends at point `ix`, by least squares.
    fn fall(&self, ix: usize) -> Fall {
        let to = self.points()[ix].rate;
        let points = &self.points()[..=ix];
        // A rate at the window's very edge is in it, rounded or not.
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

/// The variance of the losses about their course: half the mean square of the differences between neighbours
/// (von Neumann and others, "The Mean Square Successive Difference", 1941). A slope hardly enters it, since it changes
/// little from a step to the next.
fn noise(points: &[Point]) -> f64 {
    let squares = points.windows(2).map(|pair| (pair[1].loss - pair[0].loss).powi(2));
    squares.sum::<f64>() / 2.0 / (points.len() - 1) as f64
}

/// How the loss falls in the window that ends at a point.
#[derive(Clone, Copy, Debug)]
struct Fall {
    n_points: usize,
    /// The end of the line below the loss of the untouched network; below 0 where it lies above.
    depth: f64,
    /// The fall of the loss in a decade of rates; below 0 where it rises.
    slope: f64,
    /// The standard error of the slope.
    error: f64,
    /// The width of the window.
    decades: f64,
    /// The change of the loss that is large enough to count.
    noticeable: f64,
}

impl Fall {
    /// The slope that is at least there, as far as noise lets one say.
    fn least_slope(&self) -> f64 {
        self.slope - SIGNIFICANT * self.error
    }

    /// The fall of the loss in the window.
    fn height(&self) -> f64 {
        self.slope * self.decades
    }

    /// The height from which on a fall counts.
    fn needed(&self) -> f64 {
        (SIGNIFICANT * self.error * self.decades).max(self.noticeable)
    }

    fn is_measured(&self) -> bool {
        self.n_points >= MIN_STEPS
    }

    /// Whether the loss falls by more than noise, and below the untouched network's.
    fn is_sure(&self) -> bool {
        self.is_measured() && self.height() > self.needed() && self.depth > 0.0
    }

    /// Whether the loss rises by more than noise.
    fn is_rise(&self) -> bool {
        self.is_measured() && -self.height() > self.needed()
    }
}

/// The longest stretch around a point in which the condition holds.
fn around(at: usize, falls: &[Fall], holds: impl Fn(&Fall) -> bool) -> RangeInclusive<usize> {
    let holds = |ix: &usize| holds(&falls[*ix]);
    let from = (0..=at).rev().take_while(holds).last().unwrap_or(at);
    let to = (at..falls.len()).take_while(holds).last().unwrap_or(at);
    from..=to
}

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

/// The rate with the smallest smoothed loss.
fn minimum(points: &[Point]) -> f64 {
    let smallest = points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
    smallest.map_or(f64::NAN, |point| point.rate)
}

/// The longest valley is the longest subsequence of points in which the loss falls from each to the next;
/// it is taken as ending where that does, and as long as it has points. The suggestion lies one and a half
/// thirds into it.
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
