//! A sweep over learning rates: logarithmic steps cover better than linear ones, augmentation smooths the curve, and the
//! middle of the slope is the rate to take.
//!
//! `docs/lessons/lr_finder.md` has the text.

use std::collections::BTreeMap;

use wgrad::base::chart::lines::{Chart, Kind, Series, Unit};
use wgrad::ops::augment::AugmentFlags;
use wgrad::train::lr_find::curve::{Range, Scale};

use super::lab::arms;
use super::lab::{Interval, Lab, Training, Verdict, difference, spread, sweep};
use super::{Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "lr-finder",
    claim: "logarithmic steps cover better than linear ones, augmentation smooths the curve, and the middle of its slope \
            is the rate to take",
    minutes: 2,
    subject: Subject::Network,
    text: include_str!("../../docs/lessons/lr_finder.md"),
    measure,
    show,
};

/// The sweeps: name, spacing of the learning rates, and true with crop and flip.
const SWEEPS: [(&str, Scale, bool); 4] = [
    ("log", Scale::Log, true),
    ("log, not augmented", Scale::Log, false),
    ("linear", Scale::Linear, true),
    ("linear, not augmented", Scale::Linear, false),
];

/// The arms that train: name, sweep, and the name of the peak among the numbers of the sweep.
const ARMS: [(&str, &str, &str); 7] = [
    ("middle of the slope", "log", "steepest"),
    ("start of the slope", "log", "start"),
    ("end of the slope", "log", "end"),
    ("minimum / 10", "log", "minimum"),
    ("valley", "log", "valley"),
    ("middle, not augmented", "log, not augmented", "steepest"),
    ("middle, linear", "linear", "steepest"),
];

fn training(lab: &Lab<'_>, seed: u64, peak: f64) -> Training {
    let n_steps = lab.size([2, 120, 24 * 97]);
    let mut training = Training { seed, ..Training::adam(lab, usize::MAX, n_steps, peak) };
    training.step.batch_size = lab.size([8, 32, 512]);
    training
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    for seed in arms::seeds(lab) {
        for (name, scale, is_augmented) in SWEEPS {
            let range = Range { scale, n_steps: lab.size([30, 100, 100]), ..Range::default() };
            let mut training = training(lab, seed, range.end);
            if !is_augmented {
                training.step.augmentation = AugmentFlags::NONE;
            }
            let key = format!("{name}/seed {seed}");
            lab.measure(&key, |lab| sweep::found(lab, &training, range))?;
            if scale == Scale::Log {
                let key = format!("{name}, losses/seed {seed}");
                lab.measure(&key, |lab| sweep::losses(lab, &training, range))?;
            }
        }
        for (arm, sweep, peak) in ARMS {
            let peak = lab.record.number(&format!("{sweep}/seed {seed}/{peak}"));
            let Some(peak) = peak else { continue };
            lab.measure(&format!("{arm}/seed {seed}"), |lab| {
                let mut numbers = training(lab, seed, peak).run(lab)?.1.measurements();
                numbers.push(("peak", vec![peak]));
                Ok(numbers)
            })?;
        }
    }
    Ok(())
}

/// Returns the number of learning rates of a sweep that are on the slope of the logarithmic sweep, for each seed.
pub(super) fn on_slope(record: &Record, sweep: &str) -> BTreeMap<u64, f64> {
    let count = |(seed, rates): (u64, &[f64])| {
        let end = |end: &str| record.number(&format!("log/seed {seed}/{end}"));
        let slope = end("start")?..=end("end")?;
        Some((seed, rates.iter().filter(|rate| slope.contains(*rate)).count() as f64))
    };
    record.by_seed(sweep, "rates").into_iter().filter_map(count).collect()
}

/// Returns the curve of a sweep of the first seed, without losses that are far above the first one.
fn curve(record: &Record, sweep: &str, what: &str, style: usize) -> Option<Series> {
    let [rates, losses] = ["rates", what].map(|what| record.of_seeds(sweep, what).first().copied());
    let (rates, losses) = (rates?, losses?);
    let points = rates.iter().copied().zip(losses.iter().copied());
    let points = points.filter(|(_, loss)| *loss < 1.2 * losses[0]).collect();
    Some(Series { name: sweep.to_string(), points, style, ..Series::default() })
}

/// Returns a vertical line at the peak of an arm, over the height of the smoothed curve of the first seed.
fn mark(record: &Record, (name, sweep, peak): (&str, &str, &str), style: usize) -> Option<Series> {
    let peak = *record.of_seeds(sweep, peak).first()?.first()?;
    let points = curve(record, sweep, "smoothed", 0)?.points;
    let losses = points.iter().map(|(_, loss)| *loss);
    let ends = [losses.clone().reduce(f64::min)?, losses.reduce(f64::max)?];
    let points = ends.map(|end| (peak, end)).to_vec();
    Some(Series {
        name: name.to_string(),
        points,
        style,
        kind: Kind::Computed,
        ..Series::default()
    })
}

/// Returns the test errors of an arm over its peaks.
fn trained(record: &Record, name: &str, style: usize) -> Series {
    let [peaks, errors] = ["peak", "test error"].map(|what| record.of_seeds(name, what));
    let point = |(peak, error): (&&[f64], &[f64])| Some((*peak.last()?, *error.last()?));
    let mut points: Vec<_> = peaks.iter().zip(errors).filter_map(point).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Series { name: name.to_string(), points, style, ..Series::default() }
}

fn show(record: &Record, page: &mut Page) {
    let mut chart = |title: &str, y_unit, series: Vec<Series>, caption: &str| {
        let (title, x_label, x_unit) = (title.to_string(), "learning rate".to_string(), Unit::Log);
        page.chart(&Chart { title, x_label, x_unit, y_unit, series, ..Chart::default() }, caption);
    };
    let pair = |of: [&str; 2], what: &str| {
        of.iter().enumerate().filter_map(|(ix, of)| curve(record, of, what, ix)).collect::<Vec<_>>()
    };
    let losses = pair(["log, losses", "log, not augmented, losses"], "losses");
    let caption = "The loss of each step, first seed.";
    chart("Losses of a logarithmic sweep", Unit::Plain, losses, caption);
    let mut smoothed = pair(["log", "log, not augmented"], "smoothed");
    let marks = ARMS[..5].iter().enumerate();
    smoothed.extend(marks.filter_map(|(ix, arm)| mark(record, *arm, ix + 2)));
    let caption = "The losses of the first seed without the noise of their batches, smoothed. A vertical line is \
                   a peak of the learning rate with which a network trains.";
    chart("The finder's curve and suggestions", Unit::Plain, smoothed, caption);
    let linear = pair(["linear", "linear, not augmented"], "losses");
    let caption = "The losses of the first seed without the noise of their batches.";
    chart("Losses of a linear sweep", Unit::Plain, linear, caption);
    let runs = ARMS.iter().enumerate().map(|(style, (name, ..))| trained(record, name, style));
    let caption = "Each point is a run with the peak that the sweep of its seed suggests.";
    chart("Test error over the peak", Unit::Percent, runs.collect(), caption);

    let mut rows = Vec::new();
    for (name, ..) in SWEEPS {
        let [_, ..] = record.of_seeds(name, "rates")[..] else { continue };
        let steps = spread(&on_slope(record, name)).map(|steps| steps.mean);
        let [raw, cleared] = [&format!("{name}, losses"), name].map(|sweep| {
            spread(&sweep::noises(record, sweep)).map_or("-".to_string(), |of| of.to_string())
        });
        let n_found = record.of_seeds(name, "steepest").len().to_string();
        page.figure(arms::figure(name, "steps_on_slope"), steps.unwrap_or(f64::NAN));
        let steps = steps.map_or("-".to_string(), |steps| format!("{steps:.1}"));
        rows.push(vec![name.to_string(), steps, n_found, raw, cleared]);
    }
    let columns = ["sweep", "steps on the slope", "suggestions", "noise", "noise, cleared"];
    page.table("Sweeps of three seeds", &columns, &rows);
    let mut rows = Vec::new();
    for (name, ..) in ARMS {
        let [peak, test] = ["peak", "test error"].map(|what| record.last(name, what));
        let (Some(peak), Some(test)) = (peak, test) else { continue };
        page.figure(arms::figure(name, "test_error"), test.mean);
        let rates = format!("{:.1e} to {:.1e}", peak.low, peak.high);
        rows.push(vec![name.to_string(), rates, test.percent()]);
    }
    page.table("Training with the peaks of three seeds", &["peak", "rates", "test error"], &rows);

    let [log, linear] = ["log", "linear"].map(|name| on_slope(record, name));
    if let [Some(of_log), Some(of_linear)] = [&log, &linear].map(spread) {
        let of = difference(&linear, &log);
        let shown = Interval::shown(of, "", |steps| format!("{steps:.1}"));
        let [of_log, of_linear] = [of_log.mean, of_linear.mean];
        let text = format!(
            "On the slope are {of_log:.1} steps of the first and {of_linear:.1} of the second, a difference of {shown}."
        );
        let claim = "logarithmic steps cover the slope better than linear ones";
        page.verdict(claim, Verdict::below(of, 0.0), &text);
    }
    let names = ["log, losses", "log, not augmented, losses"];
    let [augmented, bare] = names.map(|name| sweep::noises(record, name));
    if let [Some(with), Some(without)] = [&augmented, &bare].map(spread) {
        page.figure("noise_augmented", with.mean);
        page.figure("noise_not_augmented", without.mean);
        let of = difference(&augmented, &bare);
        let text = format!(
            "The noise of the losses is {with} with crop and flip and {without} without, a difference of {}.",
            Interval::shown(of, "", |noise| format!("{noise:.4}"))
        );
        page.verdict("augmentation smooths the curve", Verdict::below(of, 0.0), &text);
    }
    let names = ARMS.map(|(name, ..)| name);
    let claim = "the middle of the slope trains better than its start and its end";
    arms::is_lowest(record, page, claim, &names[..3]);
    let claim = "the middle of the slope gives an error at most 2 points above that of the finder's other rules";
    arms::is_no_higher(record, page, claim, &[names[0], names[3], names[4]]);
}
