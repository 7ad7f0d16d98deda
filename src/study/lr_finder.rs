//! A sweep over learning rates: logarithmic steps cover better than linear ones, augmentation smooths the curve, and the
//! middle of the slope is the rate to take.
//!
//! `docs/lessons/lr_finder.md` has the text.

use wgrad::base::chart::lines::{Chart, Series, Unit};
use wgrad::data::batches;
use wgrad::ops::augment::AugmentFlags;
use wgrad::train::Trainer;
use wgrad::train::lr_find::{
    self,
    curve::{Range, Rule, Scale},
};

use super::lab::arms::{self, curves, last};
use super::lab::{Lab, Spread, Stopped, Training, Verdict};
use super::{Page, Record, Study};

pub static STUDY: Study = Study {
    name: "lr-finder",
    claim: "logarithmic steps cover better than linear ones, augmentation smooths the curve, and the middle of the slope is \
            the rate to take",
    minutes: 5,
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

/// The arms that train: name, sweep, and the place of the peak in the numbers of a sweep.
const ARMS: [(&str, usize, &str); 7] = [
    ("middle of the slope", 0, "steepest"),
    ("start of the slope", 0, "start"),
    ("end of the slope", 0, "end"),
    ("minimum / 10", 0, "minimum"),
    ("valley", 0, "valley"),
    ("middle, not augmented", 1, "steepest"),
    ("middle, linear", 2, "steepest"),
];

/// The upper end of the rates at which the noise is measured. Above it the weights change much in a step.
const CALM: f64 = 0.01;

fn training(lab: &Lab<'_>, seed: u64, is_augmented: bool, peak: f64) -> Training {
    let (n_images, n_epochs) = (lab.size([16, 5000, usize::MAX]), lab.size([1, 2, 24]));
    let mut training = Training { seed, ..Training::adam(lab, n_images, n_epochs, peak) };
    if !is_augmented {
        training.step.augmentation = AugmentFlags::NONE;
    }
    training
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    for seed in lab.seeds(3) {
        for (name, scale, is_augmented) in SWEEPS {
            let range = Range { scale, n_steps: lab.size([40, 100, 100]), ..Range::default() };
            lab.measure(&format!("{name}/seed {seed}"), |lab| {
                sweep(lab, seed, range, is_augmented)
            })?;
            if scale == Scale::Log {
                let losses = |lab: &mut Lab<'_>| losses(lab, seed, range, is_augmented);
                lab.measure(&format!("{name}, losses/seed {seed}"), losses)?;
            }
        }
        for (arm, sweep, place) in ARMS {
            let peak = format!("{}/seed {seed}/{place}", SWEEPS[sweep].0);
            let Some(peak) = lab.record.number(&peak) else { continue };
            lab.measure(&format!("{arm}/seed {seed}"), |lab| {
                let mut numbers = training(lab, seed, true, peak).run(lab)?.1.measurements();
                numbers.push(("peak", vec![peak]));
                Ok(numbers)
            })?;
        }
    }
    Ok(())
}

/// The numbers of a measurement, with their names.
type Numbers = Vec<(&'static str, Vec<f64>)>;

/// Runs the finder of `wgrad lr-find`. Returns its curve, the ends of its slope, and the peaks of all rules.
fn sweep(lab: &Lab<'_>, seed: u64, range: Range, is_augmented: bool) -> anyhow::Result<Numbers> {
    let training = training(lab, seed, is_augmented, CALM);
    let mut trainer = Trainer::new(lab.device, &training.step, seed)?;
    let train = lab.images.train();
    let stop = || lab.is_stopped();
    let found = lr_find::sweep(&mut trainer, train, seed, range, Rule::Steepest, &stop)?;
    let found = found.ok_or(Stopped)?;
    let points = found.curve.points();
    let mut numbers = vec![
        ("rates", points.iter().map(|point| point.rate).collect()),
        ("losses", points.iter().map(|point| point.loss).collect()),
        ("smoothed", points.iter().map(|point| point.smoothed).collect()),
    ];
    if let (Some(slope), Some(rates)) = (&found.reading.slope, found.suggestions()) {
        numbers.push(("start", vec![points[*slope.start()].rate]));
        numbers.push(("end", vec![points[*slope.end()].rate]));
        let rules =
            [("steepest", Rule::Steepest), ("minimum", Rule::Minimum), ("valley", Rule::Valley)];
        numbers.extend(rules.map(|(name, rule)| (name, vec![rates.max_lr(rule)])));
    }
    Ok(numbers)
}

/// Returns the losses of the steps of a sweep as they are. The finder subtracts from each loss the loss that the untrained
/// network has on the same batch, and so removes most of the noise.
fn losses(lab: &Lab<'_>, seed: u64, range: Range, is_augmented: bool) -> anyhow::Result<Numbers> {
    let training = training(lab, seed, is_augmented, CALM);
    let (train, batch_size) = (lab.images.train(), training.step.batch_size);
    let mut trainer = Trainer::new(lab.device, &training.step, seed)?;
    let (mut rates, mut losses, n_batches) = (Vec::new(), Vec::new(), train.len() / batch_size);
    for ix in 0..range.n_steps {
        lab.report(ix, range.n_steps)?;
        let (epoch, batch) = (ix / n_batches, ix % n_batches);
        let order = batches::epoch_order(seed, epoch as u64, train.len());
        trainer.step(train, &order[batch * batch_size..][..batch_size], epoch, range.rate(ix))?;
        let metrics = trainer.state.drop_metrics()?;
        if metrics.not_finite {
            break;
        }
        rates.push(range.rate(ix));
        losses.push(metrics.loss());
    }
    Ok(vec![("rates", rates), ("losses", losses)])
}

/// Returns the noise of a curve at low rates: the root of the mean squared second difference of neighbouring losses, over
/// the square root of 6. For independent noise it is the standard deviation, and a straight slope adds nothing.
pub(super) fn noise(rates: &[f64], losses: &[f64]) -> Option<f64> {
    let n = rates.iter().take_while(|rate| **rate <= CALM).count();
    let squares = losses[..n].windows(3).map(|of| (of[0] - 2.0 * of[1] + of[2]).powi(2));
    let n_squares = n.checked_sub(2).filter(|n| *n > 0)?;
    Some((squares.sum::<f64>() / n_squares as f64 / 6.0).sqrt())
}

/// Returns the noise of the curves of a sweep, over the seeds.
fn noise_of(record: &Record, sweep: &str) -> Option<Spread> {
    let [rates, losses] = ["rates", "losses"].map(|what| curves(record, sweep, what));
    let noises = rates.iter().zip(losses).filter_map(|(rates, losses)| noise(rates, losses));
    Spread::of(&noises.collect::<Vec<_>>())
}

/// Returns the number of learning rates of a sweep that are on the slope of the logarithmic sweep, over the seeds.
fn on_slope(record: &Record, sweep: &str) -> Option<Spread> {
    let count = |(name, rates): (&str, &[f64])| {
        let seed = name.strip_suffix("/rates")?;
        let end = |end: &str| record.number(&format!("{}/{seed}/{end}", SWEEPS[0].0));
        let slope = end("start")?..=end("end")?;
        Some(rates.iter().filter(|rate| slope.contains(*rate)).count() as f64)
    };
    Spread::of(&record.below(&format!("{sweep}/")).filter_map(count).collect::<Vec<_>>())
}

/// Returns a curve over the rates of the first seed. Losses far above the first one are left out.
fn curve(record: &Record, sweep: &str, what: &str, style: usize) -> Option<Series> {
    let [rates, losses] = ["rates", what].map(|what| curves(record, sweep, what).first().copied());
    let points = rates?.iter().copied().zip(losses?.iter().copied());
    let highest = 1.2 * losses?.first()?;
    let points = points.filter(|(_, loss)| *loss < highest).collect();
    Some(Series { name: sweep.to_string(), points, style, ..Series::default() })
}

/// Returns the peak that a rule suggests, as a point on the smoothed curve of the first seed.
fn mark(
    record: &Record,
    (style, (name, sweep, place)): (usize, &(&str, usize, &str)),
) -> Option<Series> {
    let peak = *curves(record, SWEEPS[*sweep].0, place).first()?.first()?;
    let curve = curve(record, SWEEPS[*sweep].0, "smoothed", 0)?;
    let point = curve.points.iter().find(|(rate, _)| *rate >= peak).or(curve.points.last())?;
    Some(Series {
        name: name.to_string(),
        points: vec![*point],
        style: style + 2,
        ..Series::default()
    })
}

fn show(record: &Record, page: &mut Page) {
    let chart = |title: &str, y_unit, series: Vec<Option<Series>>| Chart {
        title: title.to_string(),
        x_label: "learning rate".to_string(),
        x_unit: Unit::Log,
        y_unit,
        series: series.into_iter().flatten().collect(),
        ..Chart::default()
    };
    let of_sweeps = |sweeps: [&str; 2], what: &str| -> Vec<Option<Series>> {
        (0..2).map(|ix| curve(record, sweeps[ix], what, ix)).collect()
    };
    let raw = of_sweeps(["log, losses", "log, not augmented, losses"], "losses");
    let caption = "The loss of each step, first seed.";
    page.chart(&chart("Losses of a logarithmic sweep", Unit::Plain, raw), caption);
    let mut smoothed = of_sweeps([SWEEPS[0].0, SWEEPS[1].0], "smoothed");
    smoothed.extend(ARMS[..5].iter().enumerate().map(|arm| mark(record, arm)));
    let caption = "The curve of the finder, first seed: the losses without the noise of their batches, smoothed. A point is \
                   a peak of the learning rate that a rule suggests.";
    page.chart(&chart("Curve and suggestions", Unit::Plain, smoothed), caption);
    let linear = of_sweeps([SWEEPS[2].0, SWEEPS[3].0], "losses");
    let caption = "The same with linear steps: all rates but the first are above 0.1.";
    page.chart(&chart("Losses of a linear sweep", Unit::Plain, linear), caption);
    let trained = ARMS.iter().enumerate().map(|(style, (name, ..))| {
        let [peaks, errors] = ["peak", "test error"].map(|what| curves(record, name, what));
        let ends = peaks
            .iter()
            .zip(errors)
            .filter_map(|(peak, error)| Some((*peak.last()?, *error.last()?)));
        let mut points: Vec<_> = ends.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(Series { name: name.to_string(), points, style, ..Series::default() })
    });
    let caption = "A point is a run with the peak that the sweep of its seed suggests.";
    page.chart(
        &chart("Test error of a training run with each peak", Unit::Percent, trained.collect()),
        caption,
    );

    let mut rows = Vec::new();
    for (name, ..) in SWEEPS {
        let Some(steps) = on_slope(record, name) else { continue };
        let cell = |noise: Option<Spread>| noise.map_or("-".to_string(), |noise| noise.to_string());
        let n_found = curves(record, name, "steepest").len();
        let [raw, cleared] =
            [format!("{name}, losses"), name.to_string()].map(|of| noise_of(record, &of));
        rows.push(vec![
            name.to_string(),
            format!("{:.0}", steps.mean),
            n_found.to_string(),
            cell(raw),
            cell(cleared),
        ]);
        page.figure(
            format!("{}_steps_on_slope", name.replace(", ", "_").replace(' ', "_")),
            steps.mean,
        );
    }
    let columns =
        ["sweep", "steps on the slope", "suggestions", "noise of losses", "of the finder's curve"];
    page.table(
        "Sweeps: means over the seeds, and the number of seeds with a suggestion",
        &columns,
        &rows,
    );
    let mut rows = Vec::new();
    for (name, ..) in ARMS {
        let (Some(peak), Some(test)) =
            (last(record, name, "peak"), last(record, name, "test error"))
        else {
            continue;
        };
        rows.push(vec![
            name.to_string(),
            format!("{:.1e} ({:.1e} to {:.1e})", peak.mean, peak.low, peak.high),
            test.percent(),
        ]);
        page.figure(
            format!(
                "{}_test_error",
                name.replace(" / ", "_over_").replace(", ", "_").replace(' ', "_")
            ),
            test.mean,
        );
    }
    page.table(
        "Training with the suggested peaks",
        &["peak", "learning rate", "test error"],
        &rows,
    );

    if let (Some(log), Some(linear)) =
        (on_slope(record, SWEEPS[0].0), on_slope(record, SWEEPS[2].0))
    {
        let text = format!(
            "Of the steps, {:.0} of the logarithmic sweep and {:.0} of the linear one are on the slope.",
            log.mean, linear.mean
        );
        let verdict = Verdict::of(linear.is_below(&log), log.is_below(&linear));
        page.verdict("logarithmic steps cover the slope better than linear ones", verdict, &text);
    }
    if let [Some(with), Some(without)] =
        [0, 1].map(|ix| noise_of(record, &format!("{}, losses", SWEEPS[ix].0)))
    {
        page.figure("noise_augmented", with.mean);
        page.figure("noise_not_augmented", without.mean);
        let text =
            format!("The noise of the losses is {with} with crop and flip, and {without} without.");
        page.verdict(
            "augmentation smooths the curve",
            Verdict::of(with.is_below(&without), without.is_below(&with)),
            &text,
        );
    }
    let names = ARMS.map(|(name, ..)| name);
    arms::is_lowest(
        record,
        page,
        "the middle of the slope trains better than its start and its end",
        &names[..3],
    );
    arms::is_no_higher(
        record,
        page,
        "no other rule finds a better peak",
        &[names[0], names[3], names[4]],
    );
}
