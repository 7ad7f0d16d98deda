//! Charts of metrics over epochs, and of the learning-rate schedule.

use crate::base::chart::lines::{Kind, Unit};
use crate::base::chart::{Chart, Series};
use crate::train::EpochMetrics;
use crate::train::schedule::Schedule;

/// A function that returns one metric of an epoch; None if the epoch lacks the metric.
pub type Number = fn(&EpochMetrics) -> Option<f64>;

/// Returns the curve of one metric over the epochs.
pub fn series(name: &str, style: usize, epochs: &[EpochMetrics], number: Number) -> Series {
    let point = |epoch: &EpochMetrics| Some((epoch.epoch as f64, number(epoch)?));
    let points = epochs.iter().filter_map(point).collect();
    Series { name: name.to_string(), points, style, ..Series::default() }
}

fn evaluated_on(epochs: &[EpochMetrics]) -> &'static str {
    epochs.first().map_or("test", EpochMetrics::evaluated_on)
}

/// Returns a chart of the loss on the training images, and on the validation or test images.
pub fn loss(epochs: &[EpochMetrics]) -> Chart {
    over_epochs(
        "Loss",
        Unit::Plain,
        vec![
            series("training", 0, epochs, |epoch| Some(epoch.train_loss)),
            series(evaluated_on(epochs), 1, epochs, |epoch| Some(epoch.loss())),
        ],
    )
}

/// Returns a chart of the accuracy on the training images, and on the validation or test images.
pub fn accuracy(epochs: &[EpochMetrics]) -> Chart {
    over_epochs(
        "Accuracy",
        Unit::Percent,
        vec![
            series("training", 0, epochs, |epoch| Some(epoch.train_accuracy)),
            series(evaluated_on(epochs), 1, epochs, |epoch| Some(epoch.accuracy())),
        ],
    )
}

/// Returns a chart of the training speed in images per second, a staircase with one level per epoch.
pub fn speed(epochs: &[EpochMetrics]) -> Chart {
    let speed = series("images/s", 2, epochs, |epoch| Some(epoch.images_per_s));
    let speed = Series { kind: Kind::Mean, ..speed };
    let chart = over_epochs("Training images a second", Unit::Plain, vec![speed]);
    Chart { from_zero: true, ..chart }
}

/// Returns a chart with the epochs on the x axis.
pub fn over_epochs(title: &str, y_unit: Unit, series: Vec<Series>) -> Chart {
    let (title, x_label) = (title.to_string(), "epoch".to_string());
    Chart { title, x_label, x_unit: Unit::Count, y_unit, from_zero: false, series }
}

/// The largest number of straight segments in a curve of the learning-rate schedule.
const N_RATES: usize = 120;

/// Returns a chart of the learning rate over a run of `total_steps` steps. `n_steps` is the number of trained steps. The
/// curve of later steps has another style.
pub fn schedule(
    schedule: &dyn Schedule,
    steps_per_epoch: usize,
    n_steps: usize,
    total_steps: usize,
) -> Chart {
    let n_steps = n_steps.min(total_steps);
    let curve = |name: &str, style, first: usize, last: usize| {
        let n = (last - first).clamp(1, N_RATES);
        let step = move |i: usize| first + (last - first) * i / n;
        let point = |step: usize| (step as f64 / steps_per_epoch as f64, schedule.rate(step));
        let points =
            if first < last { (0..=n).map(|i| point(step(i))).collect() } else { Vec::new() };
        Series { name: name.to_string(), points, style, kind: Kind::Computed, ..Series::default() }
    };
    // The last point of the chart is at `total_steps`, one past the index of the last step. `Schedule::rate` returns the
    // learning rate of the last step there.
    let (trained, left) =
        (curve("trained", 3, 0, n_steps), curve("not reached", 6, n_steps, total_steps));
    Chart {
        title: "Learning rate".to_string(),
        x_label: "epochs".to_string(),
        x_unit: Unit::Count,
        y_unit: Unit::Plain,
        from_zero: true,
        series: vec![trained, left],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::schedule::OneCycle;

    #[test]
    fn the_schedule_is_split_at_the_last_trained_step() {
        let one_cycle = OneCycle::linear(0.01, 1000);
        let whole = schedule(&one_cycle, 100, 1000, 1000);
        assert!(whole.series[1].points.is_empty(), "every step was trained");
        let peak = whole.series[0].points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        assert!(peak > 0.0095, "{peak}");
        let half = schedule(&one_cycle, 100, 500, 1000);
        assert_eq!(half.series[0].points.last(), half.series[1].points.first());
        assert_eq!(half.series[1].points.last().map(|(epochs, _)| *epochs), Some(10.0));
        // Runs of one step and runs of no step have a figure, too.
        for (total, done) in [(1, 1), (1, 0), (2, 1), (10, 0)] {
            schedule(&OneCycle::linear(0.01, total), 1, done, total).figure();
        }
    }
}
