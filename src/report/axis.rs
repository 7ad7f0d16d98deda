//! Axes: a range of numbers, and round ones in it to label.

/// One axis of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// The least number that it shows.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Round numbers, from low to high.
    pub ticks: Vec<f64>,
    step: f64,
}

/// Steps that a number may lie beside a tick and still be on it: quotients are rounded.
const SLACK: f64 = 1e-6;

impl Axis {
    /// For numbers from `low` to `high`, with about `n` steps: the ends are round, too.
    ///
    /// Numbers that are not finite, or all the same, get a range around them.
    pub fn round(low: f64, high: f64, n: usize) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / n as f64);
        let (first, last) = (low / step, high / step);
        Self::from_steps((first + SLACK).floor(), (last - SLACK).ceil(), step)
    }

    /// The same with `low` and `high` as its ends, for what starts and ends with them: epochs, steps,
    /// minutes. `whole` numbers have no ticks between them.
    pub fn from(low: f64, high: f64, n: usize, whole: bool) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / n as f64);
        let step = if whole { step.max(1.0).round() } else { step };
        let (first, last) = (low / step, high / step);
        let mut axis = Self::from_steps((first - SLACK).ceil(), (last + SLACK).floor(), step);
        (axis.low, axis.high) = (low, high);
        axis
    }

    fn from_steps(first: f64, last: f64, step: f64) -> Self {
        let n = (last - first).max(0.0) as usize;
        let ticks: Vec<f64> = (0..=n).map(|i| (first + i as f64) * step).collect();
        Self { low: first * step, high: last * step, ticks, step }
    }

    /// Where a number lies, from 0 at the low end to 1 at the high one.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// A tick's label, with as many digits as the steps need.
    pub fn label(&self, tick: f64) -> String {
        let power = self.step.log10().floor();
        if (-4.0..6.0).contains(&power) {
            // Adding 0 makes 0 of -0.
            return format!("{:.*}", (-power).max(0.0) as usize, tick + 0.0);
        }
        if tick == 0.0 {
            return "0".to_string();
        }
        let digits = (tick.abs().log10() + SLACK).floor() - power;
        format!("{tick:.*e}", digits.max(0.0) as usize)
    }
}

fn widened(low: f64, high: f64) -> (f64, f64) {
    match (low.is_finite() && high.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, true) => (low, high),
        (true, false) if low == 0.0 => (0.0, 1.0),
        (true, false) => (low - low.abs() / 2.0, low + low.abs() / 2.0),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is no smaller than this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= least * 0.999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_enclose_the_numbers() {
        assert_eq!(labels(&Axis::round(0.13, 2.25, 5)), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(labels(&Axis::round(34.0, 96.35, 5)), ["20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::round(95.1, 96.2, 5)), ["95.0", "95.5", "96.0", "96.5"]);
        assert_eq!(
            labels(&Axis::round(0.0, 0.01, 5)),
            ["0.000", "0.002", "0.004", "0.006", "0.008", "0.010"]
        );
        assert_eq!(labels(&Axis::round(0.0, 3e-7, 3)), ["0", "1e-7", "2e-7", "3e-7"]);
    }

    #[test]
    fn counts_keep_their_ends() {
        let epochs = Axis::from(1.0, 24.0, 6, true);
        assert_eq!(labels(&epochs), ["5", "10", "15", "20"]);
        assert_eq!((epochs.place(1.0), epochs.place(24.0)), (0.0, 1.0));
        assert_eq!(labels(&Axis::from(0.0, 3.0, 6, true)), ["0", "1", "2", "3"]);
        assert_eq!(
            labels(&Axis::from(0.0, 1.2, 6, false)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]
        );
    }

    #[test]
    fn any_numbers_make_an_axis() {
        for (low, high) in [
            (0.0, 0.0),
            (2.0, 2.0),
            (-3.0, -3.0),
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
            (1e30, 2e30),
            (0.0, 5e-324),
        ] {
            for axis in [Axis::round(low, high, 5), Axis::from(low.max(0.0), high, 5, true)] {
                assert!(axis.ticks.len() < 30, "{low} to {high}: {axis:?}");
                assert!(labels(&axis).iter().all(|label| label.len() < 12), "{:?}", labels(&axis));
            }
        }
    }
}
