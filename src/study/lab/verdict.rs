//! The interval of a mean over a few runs, and the verdict that it gives on a claim.

/// The margin of a claim that one error is not above another: 2 points. Errors over 1,000 test images have a standard
/// error of up to 1.6 points, so a lesson cannot show less.
pub const MARGIN: f64 = 0.02;

/// The rule of the verdicts, for a page.
pub const RULE: &str = "A claim about two kinds of runs is decided by their differences, one for each seed. In parentheses \
     behind a difference is the 90% interval of its mean, from Student's t. The claim holds if the whole interval agrees with \
     it, and does not hold if the whole interval contradicts it. Otherwise the numbers do not decide it.";

/// The quantile of 95% of Student's t, for 1 to 9 degrees of freedom. The last one serves for more, too: it is at most a
/// tenth too large.
const T: [f64; 9] = [6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833];

/// The quantile of 95% of the normal distribution.
const Z: f64 = 1.645;

/// The relation of the numbers to a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The numbers support the claim by more than their spread.
    Holds,
    /// The numbers contradict the claim by more than their spread.
    Fails,
    /// The difference is smaller than the spread, or the spread is not known.
    Open,
}

impl Verdict {
    /// Returns the verdict of numbers that support a claim, contradict it, or do neither by more than their spread.
    pub fn of(supports: bool, contradicts: bool) -> Self {
        match (supports, contradicts) {
            (true, _) => Self::Holds,
            (false, true) => Self::Fails,
            (false, false) => Self::Open,
        }
    }

    /// Returns the verdict on a claim that a number is below `limit`. Without an interval it is open.
    pub fn below(number: Option<Interval>, limit: f64) -> Self {
        number.map_or(Self::Open, |of| Self::of(of.high < limit, of.low > limit))
    }

    /// Returns the verdict on a claim that all of some claims hold.
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let all: Vec<Self> = verdicts.into_iter().collect();
        let holds = !all.is_empty() && all.iter().all(|verdict| *verdict == Self::Holds);
        Self::of(holds, all.contains(&Self::Fails))
    }

    /// Returns the verdict on the opposite of a claim.
    pub fn opposite(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            Self::Open => Self::Open,
        }
    }

    /// Returns the verdict as words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "does not hold",
            Self::Open => "is not decided by these numbers",
        }
    }
}

/// The mean of some numbers, and the interval that contains the mean of all possible ones with a confidence of 90%. So
/// each end is passed by chance in one of twenty cases.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Returns the interval of some numbers by Student's t; none without numbers. That of a single number has no ends.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let t = match numbers.len() {
            0 => return None,
            1 => return Some(Self { mean, low: f64::NEG_INFINITY, high: f64::INFINITY }),
            n => T[(n - 2).min(T.len() - 1)],
        };
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let half = t * (squares / (n - 1.0) / n).sqrt();
        Some(Self { mean, low: mean - half, high: mean + half })
    }

    /// Returns the interval of a number whose standard error is known.
    pub fn around(mean: f64, standard_error: f64) -> Self {
        let half = Z * standard_error;
        Self { mean, low: mean - half, high: mean + half }
    }

    /// Returns a difference between fractions in points: `-1.2 points (-2.0 to -0.4)`, as [`Interval::shown`] does.
    pub fn points(difference: Option<Self>) -> String {
        Self::shown(difference, " points", |part| format!("{:.1}", 100.0 * part))
    }

    /// Returns a number with its interval: `1.2 (0.9 to 1.5)`, or `1.2 (one run)` for an interval without ends. `show`
    /// formats each number.
    pub fn shown(number: Option<Self>, unit: &str, show: impl Fn(f64) -> String) -> String {
        let Some(Self { mean, low, high }) = number else {
            return "not measured".to_string();
        };
        if low == f64::NEG_INFINITY {
            return format!("{}{unit} (one run)", show(mean));
        }
        format!("{}{unit} ({} to {})", show(mean), show(low), show(high))
    }
}

/// Returns the standard error of an error, a fraction of 1, that was measured on `n` images. One image more of each kind
/// is counted, so that an error of 0 on a few images is not exact.
pub fn standard_error(error: f64, n: f64) -> f64 {
    let error = (error * n + 1.0) / (n + 2.0);
    (error * (1.0 - error) / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Fails, Holds, Open};
    use super::*;

    #[test]
    fn an_interval_is_that_of_students_t() {
        // The standard deviation is 1, so the standard error is 1 / √3.
        let interval = Interval::of(&[1.0, 2.0, 3.0]).expect("numbers");
        let half = 2.920 / 3.0_f64.sqrt();
        assert!((interval.low - (2.0 - half)).abs() < 1e-12, "{interval:?}");
        assert!((interval.high - (2.0 + half)).abs() < 1e-12, "{interval:?}");
        assert_eq!(Interval::of(&[]), None);
        let one = Interval::of(&[0.01]);
        assert_eq!(Interval::points(one), "1.0 points (one run)");
        assert_eq!(Verdict::below(one, 9.0), Open);
        let many = Interval::of(&[0.0, 1.0].repeat(50)).expect("numbers");
        assert!((many.high - 0.5 - 1.833 * (25.0 / 99.0_f64 / 100.0).sqrt()).abs() < 1e-12);
        assert_eq!(Interval::points(Interval::of(&[0.01; 2])), "1.0 points (1.0 to 1.0)");
    }

    #[test]
    fn a_claim_is_open_while_its_limit_is_in_the_interval() {
        let interval = |low, high| Some(Interval { mean: 0.0, low, high });
        assert_eq!(Verdict::below(interval(-2.0, -1.0), 0.0), Holds);
        assert_eq!(Verdict::below(interval(1.0, 2.0), 0.0), Fails);
        // No difference is no proof that there is none.
        assert_eq!(Verdict::below(interval(-3.0, 3.0), 2.0), Open);
        assert_eq!(Verdict::below(interval(-1.0, 1.0), 2.0), Holds);
        assert_eq!(Verdict::below(None, 2.0), Open);
        assert_eq!(Verdict::below(interval(f64::NAN, f64::NAN), 2.0), Open);
        assert_eq!(Verdict::all([Holds, Open]), Open);
        assert_eq!(Verdict::all([Holds, Open, Fails]), Fails);
        assert_eq!(Verdict::all([Holds, Holds]), Holds);
        assert_eq!(Verdict::all([]), Open);
    }
}
