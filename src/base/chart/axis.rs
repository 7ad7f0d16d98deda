//! Axes of a chart: a range of numbers on a linear or logarithmic scale, with round numbers as ticks.

/// An axis of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// Number at the low end.
    pub low: f64,
    /// Number at the high end.
    pub high: f64,
    /// Numbers that have a label, in ascending order.
    pub ticks: Vec<f64>,
    unit: &'static str,
    scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Scale {
    /// Ticks are `step` apart.
    Linear { step: f64 },
    /// Decades (factors of ten) have the same length. Labels are `1e-3` instead of `0.001` if `has_exponents` is true.
    Log { has_exponents: bool },
}

/// Tolerance of comparisons with a tick, as a fraction of the step between ticks. Divisions round, so an exact
/// comparison would miss ticks.
const SLACK: f64 = 1e-6;

/// If the ratio of the high end to the low end is above this number, a logarithmic axis has ticks at powers of ten
/// only.
const MANY_DECADES: f64 = 2e3;

impl Axis {
    /// Returns a linear axis that covers `low` to `high`, with ticks at both ends and about `n` intervals between
    /// ticks.
    ///
    /// If an end is not finite, the axis covers 0 to 1. If both ends are equal, it covers a range around them.
    pub fn round(low: f64, high: f64, n: usize) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / n as f64);
        let (first, last) = (low / step, high / step);
        Self::from_steps((first + SLACK).floor(), (last - SLACK).ceil(), step)
    }

    /// Returns a linear axis that ends exactly at `low` and `high`, with about `n` intervals between ticks. Such an
    /// axis shows epochs, steps or minutes. If `whole` is true, all ticks are whole numbers.
    pub fn from(low: f64, high: f64, n: usize, whole: bool) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / n as f64);
        let step = if whole { step.max(1.0).round() } else { step };
        let (first, last) = (low / step, high / step);
        let axis = Self::from_steps((first - SLACK).ceil(), (last + SLACK).floor(), step);
        Self { low, high, ..axis }
    }

    fn from_steps(first: f64, last: f64, step: f64) -> Self {
        let n = (last - first).max(0.0) as usize;
        let ticks = (0..=n).map(|i| (first + i as f64) * step).collect();
        let (low, high) = (first * step, last * step);
        Self { low, high, ticks, unit: "", scale: Scale::Linear { step } }
    }

    /// Returns a logarithmic axis over `values`. At both ends the axis extends beyond the values by the factor `room`.
    /// Values without a logarithm (zero, negative, not finite) are ignored.
    ///
    /// Ticks are 1, 2 and 5 times the powers of ten. If the ratio of the two ends is above 2,000, ticks are at the
    /// powers of ten only.
    pub fn log(values: impl IntoIterator<Item = f64>, room: f64) -> Self {
        let drawable = values.into_iter().filter(|value| value.is_normal() && *value > 0.0);
        let (low, high) = range(drawable);
        // Without values, 1 is the middle of the axis. Around a single value, the axis extends by a factor of at least
        // 2 to both sides.
        let (low, high) = if low <= high { (low, high) } else { (1.0, 1.0) };
        let room = if low < high { room } else { room.max(2.0) };
        let (low, high) = (low / room, high * room);
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let factors: &[f64] = if high / low > MANY_DECADES { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = powers.flat_map(|power| factors.iter().map(move |f| f * 10_f64.powi(power)));
        // A power of ten below 1 is rounded, so a tick at an end of the axis can be computed slightly outside the axis.
        // The tolerance keeps such a tick.
        let within = low * (1.0 - 1e-9)..=high * (1.0 + 1e-9);
        let ticks = ticks.filter(|tick| within.contains(tick)).collect();
        let has_exponents = low < 1e-4 || high > 1e7;
        Self { low, high, ticks, unit: "", scale: Scale::Log { has_exponents } }
    }

    /// Returns the axis with `unit` after each label.
    pub fn with_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Returns the position of a number on the axis, from 0 at the low end to 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear { .. } => (value - self.low) / (self.high - self.low),
            Scale::Log { .. } => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Returns true for a logarithmic axis.
    pub fn is_log(&self) -> bool {
        matches!(self.scale, Scale::Log { .. })
    }

    /// Returns a tick's label, with enough digits to distinguish the tick from its neighbours.
    pub fn label(&self, tick: f64) -> String {
        let text = match self.scale {
            Scale::Linear { step } => linear_label(tick, step),
            Scale::Log { has_exponents: true } => format!("{tick:.0e}"),
            Scale::Log { has_exponents: false } => {
                let digits = (-(tick.log10() + SLACK).floor()).clamp(0.0, 12.0);
                format!("{tick:.*}", digits as usize)
            }
        };
        text + self.unit
    }

    /// Returns the labels of all ticks.
    pub fn labels(&self) -> Vec<String> {
        self.ticks.iter().map(|&tick| self.label(tick)).collect()
    }
}

fn linear_label(tick: f64, step: f64) -> String {
    let power = (step.log10() + SLACK).floor();
    if (-4.0..6.0).contains(&power) {
        // Adding 0 turns -0 into 0.
        return format!("{:.*}", (-power).max(0.0) as usize, tick + 0.0);
    }
    if tick == 0.0 {
        return "0".to_string();
    }
    let digits = (tick.abs().log10() + SLACK).floor() - power;
    format!("{tick:.*e}", digits.max(0.0) as usize)
}

/// Returns the smallest and the largest number; (infinity, -infinity) without numbers.
pub fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    values.into_iter().fold(ends, |(low, high), value| (low.min(value), high.max(value)))
}

fn widened(low: f64, high: f64) -> (f64, f64) {
    match (low.is_finite() && high.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, true) => (low, high),
        (true, false) if low == 0.0 => (0.0, 1.0),
        (true, false) => (low - low.abs() / 2.0, low + low.abs() / 2.0),
    }
}

/// Returns the smallest number that is at least `least` and is 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= least * 0.999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_numbers() {
        let labels = |low, high, n| Axis::round(low, high, n).labels();
        assert_eq!(labels(0.13, 2.25, 5), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(labels(34.0, 96.35, 5), ["20", "40", "60", "80", "100"]);
        assert_eq!(labels(95.1, 96.2, 5), ["95.0", "95.5", "96.0", "96.5"]);
        assert_eq!(labels(0.0, 0.01, 5), ["0.000", "0.002", "0.004", "0.006", "0.008", "0.010"]);
        assert_eq!(labels(0.0, 3e-7, 3), ["0", "1e-7", "2e-7", "3e-7"]);
        let percent = Axis::round(0.0, 100.0, 2).with_unit("%");
        assert_eq!(percent.labels(), ["0%", "50%", "100%"]);
    }

    #[test]
    fn axes_of_epochs_and_minutes_keep_their_ends() {
        let epochs = Axis::from(1.0, 24.0, 6, true);
        assert_eq!(epochs.labels(), ["5", "10", "15", "20"]);
        assert_eq!((epochs.place(1.0), epochs.place(24.0)), (0.0, 1.0));
        assert_eq!(Axis::from(0.0, 3.0, 6, true).labels(), ["0", "1", "2", "3"]);
        let minutes = Axis::from(0.0, 1.2, 6, false);
        assert_eq!(minutes.labels(), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]);
        assert_eq!(Axis::from(1.37, 2.61, 6, false).labels(), ["1.5", "2.0", "2.5"]);
    }

    #[test]
    fn any_range_makes_an_axis_with_few_ticks() {
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
                let labels = axis.labels();
                assert!(labels.iter().all(|label| label.len() < 12), "{labels:?}");
            }
        }
    }

    #[test]
    fn decades_have_the_same_length() {
        let axis = Axis::log([1.0, 100.0, f64::NAN, 0.0], 10.0);
        let places = [0.1, 1.0, 10.0, 1000.0].map(|value| (400.0 * axis.place(value)).round());
        assert_eq!(places, [0.0, 100.0, 200.0, 400.0]);
        assert_eq!(axis.labels(), ["0.1", "1", "10", "100", "1000"]);
        assert_eq!(Axis::log([3.0, 30.0], 1.2).labels(), ["5", "10", "20"]);
        assert_eq!(Axis::log([0.04, 0.3], 1.0).labels(), ["0.05", "0.1", "0.2"]);
        assert_eq!(Axis::log([1e-7, 1e-3], 1.0).labels(), ["1e-7", "1e-6", "1e-5", "1e-4", "1e-3"]);
        let nothing = Axis::log([], 2.0);
        assert_eq!((nothing.low, nothing.high, nothing.place(1.0)), (0.5, 2.0, 0.5));
        let alone = Axis::log([3.0], 1.0);
        assert_eq!((alone.place(3.0), alone.ticks.len()), (0.5, 2));
    }
}
