//! A residual block is a step of Euler's method: x + h f(x) with h = 1 (E 2017; Chang et al. 2018).
//!
//! The branch f of each block of a trained network is used with other steps h, without more training. Blocks that change
//! the shape of x stay as they are. `docs/lessons/euler.md` has the text.

use wgrad::base::chart::lines::{Series, Unit};

use super::lab::flow::percent;
use super::lab::{
    Blocks, Interval, MARGIN, Recipe, Spread, Trained, Verdict, branch_sizes, n_blocks,
    standard_error,
};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "euler",
    claim: "a residual block is a step of Euler's method, x + f(x)",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/euler.md"),
    measure,
    show,
};

/// The sizes h of the step.
const STEPS: [f32; 7] = [0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5];

/// The numbers of steps in place of one; each has the size 1 divided by their number.
const PARTS: [usize; 3] = [1, 2, 4];

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let recipe = Recipe {
        network: lab.size(["resnet14", "resnet20", "resnet56"]),
        width: lab.size([2, 8, 16]),
        batch_size: lab.size([8, 64, 128]),
        n_steps: lab.size([2, 180, 16_000]),
    };
    let n_blocks = n_blocks(lab.subject(recipe)?)?;
    let mut trained = lab.one_subject(recipe)?;
    if n_blocks > 1 {
        lab.measure("sizes", |lab| branch_sizes(lab, &trained))?;
    }
    let one_step = STEPS.map(|h| (format!("step/{h}"), 1, vec![h]));
    let parts = PARTS.map(|n| (format!("parts/{n}"), 1, vec![1.0 / n as f32; n]));
    // A stage of one block has no half.
    let half = [1.0, 2.0].map(|h| (format!("half/{h}"), 2, vec![h])).into_iter();
    let half = half.filter(|_| n_blocks > 1);
    let right = is_right(lab, &trained)?;
    for (key, every, steps) in one_step.into_iter().chain(parts).chain(half) {
        lab.measure(&key, |lab| {
            let stages = [0, 1, 2].map(|stage| blocks(stage, n_blocks, every, &steps));
            let changed = is_right(lab, &trained.with_blocks(lab, &stages)?)?;
            let count = |is: fn(bool, bool) -> bool| {
                right.iter().zip(&changed).filter(|(a, b)| is(**a, **b)).count() as f64
            };
            let n_images = right.len() as f64;
            Ok(vec![
                ("error", vec![count(|_, changed| !changed) / n_images]),
                ("images", vec![n_images]),
                ("lost", vec![count(|right, changed| right && !changed)]),
                ("gained", vec![count(|right, changed| !right && changed)]),
            ])
        })?;
    }
    Ok(())
}

/// Returns for each test image whether a network predicts its class.
fn is_right(lab: &Lab<'_>, network: &Trained) -> anyhow::Result<Vec<bool>> {
    let test = lab.images.test();
    let predictions = network.predictions(lab, test)?;
    let classes = test.labels.iter().enumerate();
    Ok(classes.map(|(ix, &class)| predictions.class(ix) == usize::from(class)).collect())
}

/// Returns the blocks of a stage: a block that changes the shape, and then every `every`-th other block, once for each
/// of the steps.
pub fn blocks(stage: usize, n_blocks: usize, every: usize, steps: &[f32]) -> Blocks {
    let first = usize::from(stage > 0);
    let kept = (first..n_blocks).skip(every - 1).step_by(every);
    let with_steps = kept.flat_map(|ix| steps.iter().map(move |&h| (Some(ix), h)));
    (0..first).map(|ix| (Some(ix), 1.0)).chain(with_steps).collect()
}

/// Returns the error of a variant.
fn error(record: &Record, key: &str) -> Option<f64> {
    record.number(&format!("{key}/error"))
}

/// Returns the error of a variant minus that of the network, with the interval that the number of test images gives:
/// both are measured on the same images, so only those count that one of them predicts and the other does not.
pub fn rise(record: &Record, key: &str) -> Option<Interval> {
    let number = |name: &str| record.number(&format!("{key}/{name}"));
    let (n, lost, gained) = (number("images")?, number("lost")?, number("gained")?);
    let mean = (lost - gained) / n;
    // One image more is counted, so that no difference on a few images is not exact.
    let square = (lost + gained + 1.0) / n;
    Some(Interval::around(mean, ((square - mean * mean) / n).sqrt()))
}

fn show(record: &Record, page: &mut Page) {
    charts(record, page);
    let keys = STEPS
        .iter()
        .map(|h| (format!("one step, h = {h}"), format!("step/{h}"), format!("step_{h}_error")));
    let keys = keys.chain(
        [
            ("two half steps", "parts/2", "two_half_steps_error"),
            ("four quarter steps", "parts/4", "four_quarter_steps_error"),
            ("half the blocks, h = 1", "half/1", "half_the_blocks_error"),
            ("half the blocks, h = 2", "half/2", "half_the_blocks_double_step_error"),
        ]
        .map(|(name, key, figure)| (name.to_string(), key.to_string(), figure.to_string())),
    );
    let mut rows = Vec::new();
    for (name, key, figure) in keys {
        let (Some(error), Some(rise)) = (error(record, &key), rise(record, &key)) else { continue };
        page.figure(figure, error);
        rows.push(vec![name, percent(error), Interval::points(Some(rise))]);
    }
    let columns = ["steps", "test error", "rise (its interval)"];
    page.table("Errors of the network with other steps", &columns, &rows);
    verdicts(record, page);
}

fn charts(record: &Record, page: &mut Page) {
    let curve = |name: &str, points: Vec<(f64, f64)>| Series {
        name: name.to_string(),
        points,
        ..Series::default()
    };
    if let [Some(blocks), Some(ratios)] =
        ["blocks", "ratios"].map(|what| record.get(&format!("sizes/{what}")))
    {
        let points = blocks.iter().copied().zip(ratios.iter().copied()).collect();
        let caption = "The norm of f(x) over that of x, a mean over test images. Two blocks change the shape.";
        let axis = ("block, from the images", Unit::Count);
        page.curves("Size of a block's step", axis, Unit::Plain, [curve("f / x", points)], caption);
        let row = |(block, ratio): (&f64, &f64)| vec![block.to_string(), format!("{ratio:.2}")];
        let rows: Vec<_> = blocks.iter().zip(ratios).map(row).collect();
        page.table("Size of f(x) by block", &["block", "norm of f(x) over norm of x"], &rows);
    }
    let of_steps =
        STEPS.iter().filter_map(|h| Some((f64::from(*h), error(record, &format!("step/{h}"))?)));
    let caption =
        "The test error if each block computes x + h f(x). The network was trained with h = 1.";
    let (title, axis) = ("Error over the size of the step", ("step h", Unit::Plain));
    page.curves(title, axis, Unit::Percent, [curve("one step", of_steps.collect())], caption);
    let of_parts =
        PARTS.iter().filter_map(|n| Some((*n as f64, error(record, &format!("parts/{n}"))?)));
    let caption = "The test error if each block takes n steps of h = 1/n with the same f.";
    let (title, axis) = ("Error over the number of steps", ("steps in place of one", Unit::Count));
    page.curves(title, axis, Unit::Percent, [curve("n steps of 1/n", of_parts.collect())], caption);
}

fn verdicts(record: &Record, page: &mut Page) {
    if let Some(sizes) = record.get("sizes/ratios").and_then(Spread::of) {
        page.verdict(
            "a step is smaller than x in every block: the norm of f(x) is below that of x",
            Verdict::of(sizes.high < 1.0, sizes.high >= 1.0),
            &format!(
                "It is {:.2} of it, a mean over blocks; {:.2} to {:.2}.",
                sizes.mean, sizes.low, sizes.high
            ),
        );
    }
    let (Some(base), Some(two)) = (error(record, "step/1"), error(record, "parts/2")) else {
        return;
    };
    let n_images = record.number("step/1/images").unwrap_or(f64::NAN);
    page.figure("base_error", base);
    page.figure("n_images", n_images);
    let of_two = rise(record, "parts/2");
    page.verdict(
        "two half steps in place of each step raise the error by at most 2 points",
        Verdict::below(of_two, MARGIN),
        &format!(
            "The error is {} with one step and {} with two half steps, a difference of {}. This is one network: the \
             interval is that of its {n_images} test images.",
            percent(base),
            percent(two),
            Interval::points(of_two)
        ),
    );
    let Some(coarse) = error(record, "half/2") else { return };
    // The images that both variants predict are not counted, so the interval is wider than it has to be.
    let errors = [two, coarse].map(|error| standard_error(error, n_images));
    let difference = Interval::around(two - coarse, errors[0].hypot(errors[1]));
    page.verdict(
        "finer steps change the error less than coarser ones",
        Verdict::below(Some(difference), 0.0),
        &format!(
            "With half of the blocks and double steps, the error is {}. Two half steps have a difference of {} to it.",
            percent(coarse),
            Interval::points(Some(difference))
        ),
    );
}
