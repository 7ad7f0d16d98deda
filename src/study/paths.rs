//! The gradient of a residual network comes from its short paths (Veit et al. 2016).
//!
//! A path passes each block through its branch or through its shortcut, and its length is its number of branches. Two
//! gates in each block select a path for the backward pass; the forward pass is that of the network.
//! `docs/lessons/paths.md` has the text.

use wgrad::base::chart::lines::{Series, Unit};
use wgrad::data::batches;

use super::lab::flow::{digits, in_digits};
use super::lab::gated::Paths;
use super::lab::{Interval, Recipe, Spread, Verdict};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "paths",
    claim: "the gradient of a residual network comes from its short paths",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/paths.md"),
    measure,
    show,
};

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let recipe = Recipe {
        network: lab.size(["resnet8", "resnet32", "resnet56"]),
        width: lab.size([2, 8, 16]),
        batch_size: lab.size([8, 64, 128]),
        n_steps: lab.size([2, 120, 16_000]),
    };
    Paths::blocks(lab.subject(recipe)?)?;
    let trained = lab.one_subject(recipe)?;
    let (n_images, n_draws) = (lab.size([2, 4, 32]), lab.size([2, 16, 64]));
    let mut paths = Paths::new(lab, trained, n_images)?;
    let n_blocks = paths.names.len();
    lab.measure("network", |_| Ok(vec![("blocks", vec![n_blocks as f64])]))?;
    for length in 0..=n_blocks {
        lab.measure(&format!("length/{length:03}"), |lab| {
            let norms = (0..n_draws).map(|draw| {
                lab.report(draw, n_draws)?;
                let order =
                    batches::epoch_order(lab.seed(), (1000 * draw + length) as u64, n_blocks);
                let on_branch: Vec<bool> =
                    (0..n_blocks).map(|block| order[..length].contains(&(block as u32))).collect();
                paths.select(&on_branch);
                paths.mean_norm(lab, draw)
            });
            Ok(vec![("norms", norms.collect::<anyhow::Result<_>>()?)])
        })?;
    }
    Ok(())
}

/// Returns the number of paths of each length through `n` blocks: the binomial coefficients.
pub fn n_paths(n: usize) -> Vec<f64> {
    let next = |count: &mut f64, k: usize| {
        let own = *count;
        *count *= (n - k) as f64 / (k + 1) as f64;
        Some(own)
    };
    (0..=n).scan(1.0, next).collect()
}

/// The gradient of the paths of each length.
struct Lengths<'a> {
    /// The lengths, from 0 to the number of blocks.
    lengths: Vec<f64>,
    /// The number of paths of each length.
    counts: Vec<f64>,
    /// The norms of the gradients of some random paths of each length.
    norms: Vec<&'a [f64]>,
}

impl Lengths<'_> {
    /// Returns the share of the gradient that each length has: the number of paths times the norm of each.
    fn shares(&self, norm: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let parts = self.counts.iter().zip(&self.norms).map(|(count, norms)| count * norm(norms));
        let parts: Vec<f64> = parts.collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|part| part / sum).collect()
    }

    /// Returns the mean length of the paths, each counted with its share of the gradient.
    fn mean_length(&self, norm: impl Fn(&[f64]) -> f64) -> f64 {
        self.shares(norm).iter().zip(&self.lengths).map(|(share, length)| share * length).sum()
    }
}

fn show(record: &Record, page: &mut Page) {
    let norms: Vec<&[f64]> = record.below("length/").map(|(_, norms)| norms).collect();
    let n_blocks = record.number("network/blocks").unwrap_or_default() as usize;
    if n_blocks == 0 || norms.len() != n_blocks + 1 {
        // The shares need the gradients of all lengths.
        return;
    }
    let lengths = (0..=n_blocks).map(|k| k as f64).collect();
    let all = Lengths { lengths, counts: n_paths(n_blocks), norms };
    let means: Vec<Spread> = all.norms.iter().filter_map(|norms| Spread::of(norms)).collect();
    let shares = all.shares(|norms| norms.iter().sum());
    let of_paths: Vec<f64> = all.counts.iter().map(|n| n / 2_f64.powi(n_blocks as i32)).collect();
    let curve = |name: &str, style, numbers: &[f64]| {
        let points = all.lengths.iter().copied().zip(numbers.iter().copied()).collect();
        Series { name: name.to_string(), points, style, ..Series::default() }
    };
    let axis = ("length of the path, in branches", Unit::Count);
    let series = [curve("paths", 0, &of_paths), curve("gradient", 1, &shares)];
    let caption =
        "The share of each length in all paths, and in the sum of their gradients' norms.";
    page.curves("Paths and gradient by length", axis, Unit::Percent, series, caption);
    let mut line = Spread::line("gradient", 1, &all.lengths, &means);
    let title = "Norm of the gradient of one path by length";
    let caption =
        "The gradient of the loss at the images, without unit: the mean over random paths.";
    line.band.clear();
    page.curves(title, axis, Unit::Log, [line], caption);
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    let row = |k: usize| {
        let [paths, share] = [of_paths[k], shares[k]].map(percent);
        vec![k.to_string(), digits(all.counts[k]), paths, in_digits(means[k]), share]
    };
    let columns = [
        "length",
        "paths",
        "share of paths",
        "norm of one (lowest to highest)",
        "share of gradient",
    ];
    page.table("Paths by length", &columns, &(0..=n_blocks).map(row).collect::<Vec<_>>());

    let peak = (0..=n_blocks).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
    let n_draws = all.norms.iter().map(|norms| norms.len()).min().unwrap_or(0);
    let of_draws: Vec<f64> =
        (0..n_draws).map(|draw| all.mean_length(|norms| norms[draw])).collect();
    let length = Interval::of(&of_draws);
    let half = n_blocks as f64 / 2.0;
    // The lengths that leave out the last 2.5% of the gradient at each end.
    let below = |part: f64| {
        let sums = shares.iter().scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        sums.take_while(|sum| *sum < part).count()
    };
    let (first, last) = (below(0.025), below(0.975).min(n_blocks));
    let inside: f64 = of_paths[first..=last].iter().sum();
    page.figure("n_blocks", n_blocks as f64);
    page.figure("peak_length", peak as f64);
    page.figure("mean_length", all.mean_length(|norms| norms.iter().sum()));
    page.figure("share_of_paths_with_95_percent_of_gradient", inside);
    page.finding(format!(
        "The lengths {first} to {last} have at least 95% of the gradient and {} of the paths.",
        percent(inside)
    ));
    page.verdict(
        "the gradient comes from paths that are shorter than the mean path",
        Verdict::below(length, half),
        &format!(
            "The mean path passes {half} of {n_blocks} branches. Counted with their gradients, paths of this network \
             pass {} in {n_draws} draws of paths and images, and the length with the largest share is {peak}.",
            Interval::shown(length, "", |length| format!("{length:.1}"))
        ),
    );
    let (shortest, longest) = (all.norms[0], all.norms[n_blocks]);
    // The draws have the same images at each length.
    let falls = longest.iter().zip(shortest).map(|(longest, shortest)| (longest / shortest).ln());
    let fall = Interval::of(&falls.collect::<Vec<_>>());
    page.verdict(
        "the gradient of a path falls with its length",
        Verdict::below(fall, 0.0),
        &format!(
            "Its norm is {} through all shortcuts, and {} through all branches. The logarithm of their ratio is {}.",
            in_digits(means[0]),
            in_digits(means[n_blocks]),
            Interval::shown(fall, "", digits)
        ),
    );
}
