//! A residual block is a step of Euler's method: x + h f(x) with h = 1 (E 2017; Chang et al. 2018).
//!
//! The branch f of each block of a trained network is used with other steps h, without more training. Blocks that change
//! the shape of x stay as they are. `docs/lessons/euler.md` has the text.

use wgrad::base::chart::lines::{Series, Unit};
use wgrad::tape::Mode;

use super::lab::flow::{norm, percent};
use super::lab::residual::{Order, Residual, sum};
use super::lab::{Blocks, Probe, Spread, Trained, Verdict};
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
    let names = ["resnet14", "resnet20", "resnet56"];
    let mut trained = Trained::given_or_trained(lab, names, [2, 180, 16_000])?;
    let n_blocks = trained.n_blocks()?;
    lab.measure("sizes", |lab| sizes(lab, &trained, n_blocks))?;
    let one_step = STEPS.map(|h| (format!("step/{h}"), 1, vec![h]));
    let parts = PARTS.map(|n| (format!("parts/{n}"), 1, vec![1.0 / n as f32; n]));
    let half = [1.0, 2.0].map(|h| (format!("half/{h}"), 2, vec![h]));
    for (key, every, steps) in one_step.into_iter().chain(parts).chain(half) {
        lab.measure(&key, |lab| {
            let stages = [0, 1, 2].map(|stage| blocks(stage, n_blocks, every, &steps));
            let changed = trained.with_blocks(lab, &stages)?;
            let test = lab.images.test();
            let error = changed.error(lab, &mut changed.evaluator(lab)?, test)?;
            Ok(vec![("error", vec![error]), ("images", vec![test.len() as f64])])
        })?;
    }
    Ok(())
}

/// Returns the blocks of a stage: a block that changes the shape, and then every `every`-th other block, once for each
/// of the steps.
pub fn blocks(stage: usize, n_blocks: usize, every: usize, steps: &[f32]) -> Blocks {
    let first = usize::from(stage > 0);
    let kept = (first..n_blocks).skip(every - 1).step_by(every);
    let with_steps = kept.flat_map(|ix| steps.iter().map(move |&h| (Some(ix), h)));
    (0..first).map(|ix| (Some(ix), 1.0)).chain(with_steps).collect()
}

/// Measures the norm of f(x) divided by that of x, a mean over test images, for each block that keeps the shape.
fn sizes(
    lab: &Lab<'_>,
    trained: &Trained,
    n_blocks: usize,
) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let n_images = lab.size([4, 128, 256]);
    let [h, w, c] = lab.images.size().channels_last();
    let network = Residual { order: Order::After, n_blocks, has_batch_norm: true, join: &sum };
    let mut numbers = Vec::new();
    let mut probe = Probe::new(lab.device, Mode::Eval, &[n_images, h, w, c], |tape, x, _| {
        let recorded = network.record(tape, x, trained.network.width, trained.network.classes);
        let pairs = recorded.states.into_iter().zip(recorded.branches).enumerate();
        let keeps_shape = |(_, (x, f)): &(usize, _)| tape.shape(*x) == tape.shape(*f);
        let kept: Vec<_> = pairs.filter(keeps_shape).collect();
        numbers = kept.iter().map(|(ix, _)| (ix + 1) as f64).collect();
        kept.into_iter().flat_map(|(_, (x, f))| [x, f]).collect()
    })?;
    probe.set_weights(&trained.weights)?;
    let images: Vec<u32> = (0..n_images).map(|ix| (ix % lab.images.test().len()) as u32).collect();
    let (x, labels) = lab.images.arrays(lab.images.test(), &images);
    let values = probe.run(&x, &labels)?;
    let size = |pair: &[Vec<f32>]| {
        let [x, f] = [0, 1].map(|ix| pair[ix].chunks(pair[ix].len() / n_images).map(norm));
        f.zip(x).map(|(f, x)| f / x.max(f64::MIN_POSITIVE)).sum::<f64>() / n_images as f64
    };
    Ok(vec![("blocks", numbers), ("ratios", values.chunks(2).map(size).collect())])
}

fn show(record: &Record, page: &mut Page) {
    let error = |key: &str| record.number(&format!("{key}/error"));
    let (Some(blocks), Some(ratios)) = (record.get("sizes/blocks"), record.get("sizes/ratios"))
    else {
        return;
    };
    let curve = |name: &str, style, points: Vec<(f64, f64)>| Series {
        name: name.to_string(),
        points,
        style,
        ..Series::default()
    };
    let points = blocks.iter().copied().zip(ratios.iter().copied()).collect();
    let caption =
        "The norm of f(x) over that of x, a mean over test images. Two blocks change the shape.";
    page.curves(
        "Size of a block's step",
        ("block, from the images", Unit::Count),
        Unit::Plain,
        [curve("f / x", 0, points)],
        caption,
    );
    let of_steps =
        STEPS.iter().filter_map(|h| Some((f64::from(*h), error(&format!("step/{h}"))?))).collect();
    let caption =
        "The test error if each block computes x + h f(x). The network was trained with h = 1.";
    page.curves(
        "Error over the size of the step",
        ("step h", Unit::Plain),
        Unit::Percent,
        [curve("one step", 0, of_steps)],
        caption,
    );
    let of_parts =
        PARTS.iter().filter_map(|n| Some((*n as f64, error(&format!("parts/{n}"))?))).collect();
    let caption = "The test error if each block takes n steps of h = 1/n with the same f.";
    page.curves(
        "Error over the number of steps",
        ("steps in place of one", Unit::Count),
        Unit::Percent,
        [curve("n steps of 1/n", 0, of_parts)],
        caption,
    );

    let n_images = record.number("step/1/images").unwrap_or(1.0);
    let keys = STEPS
        .iter()
        .map(|h| (format!("one step, h = {h}"), format!("step/{h}"), format!("step_{h}_error")));
    let keys = keys.chain([
        ("two half steps".into(), "parts/2".into(), "two_half_steps_error".into()),
        ("four quarter steps".into(), "parts/4".into(), "four_quarter_steps_error".into()),
        ("half the blocks, h = 1".into(), "half/1".into(), "half_the_blocks_error".into()),
        (
            "half the blocks, h = 2".into(),
            "half/2".into(),
            "half_the_blocks_double_step_error".into(),
        ),
    ]);
    let mut rows = Vec::new();
    for (name, key, figure) in keys {
        let Some(error) = error(&key) else { continue };
        page.figure(figure, error);
        rows.push(vec![name, percent(error), percent(standard_error(error, n_images))]);
    }
    page.table(
        "Errors of the network with other steps",
        &["steps", "test error", "its standard error"],
        &rows,
    );
    let row = |(block, ratio): (&f64, &f64)| vec![block.to_string(), format!("{ratio:.2}")];
    let rows: Vec<_> = blocks.iter().zip(ratios).map(row).collect();
    page.table("Size of f(x) by block", &["block", "norm of f(x) over norm of x"], &rows);

    if let Some(sizes) = Spread::of(ratios) {
        page.verdict(
            "a step is smaller than x: the norm of f(x) is below that of x",
            Verdict::of(sizes.high < 1.0, sizes.low > 1.0),
            &format!(
                "It is {:.2} of it, a mean over blocks; {:.2} to {:.2}.",
                sizes.mean, sizes.low, sizes.high
            ),
        );
    }
    let (Some(base), Some(two)) = (error("step/1"), error("parts/2")) else { return };
    page.figure("base_error", base);
    page.figure("n_images", n_images);
    let margin = |a: f64, b: f64| {
        2.0 * (standard_error(a, n_images).powi(2) + standard_error(b, n_images).powi(2)).sqrt()
    };
    page.verdict(
        "two half steps in place of each step do not raise the error",
        Verdict::of(two - base <= margin(base, two), two - base > margin(base, two)),
        &format!(
            "The error is {} with one step, {} with two half steps. A difference counts above {}.",
            percent(base),
            percent(two),
            percent(margin(base, two))
        ),
    );
    let Some(coarse) = error("half/2") else { return };
    page.verdict(
        "finer steps change the network less than coarser ones",
        Verdict::of(coarse - two > margin(coarse, two), two - coarse > margin(coarse, two)),
        &format!("With half of the blocks and double steps, the error is {}.", percent(coarse)),
    );
}

/// Returns the standard error of an error that was measured on `n` images.
fn standard_error(error: f64, n: f64) -> f64 {
    (error * (1.0 - error) / n).sqrt()
}
