//! A residual network is an ensemble of shallow ones, so it survives the loss of a block (Veit et al. 2016).
//!
//! The study deletes blocks of trained networks by editing their weights, and measures the error without further
//! training. `docs/lessons/lesion.md` has the text.

use wgrad::base::chart::lines::{Chart, Series, Unit};

use super::lab::{
    Interval, Recipe, Spread, Trained, Verdict, blocks, lesions, median, standard_error,
};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "lesion",
    claim: "a residual network is an ensemble of shallow ones, so it survives the loss of a block",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/lesion.md"),
    measure,
    show,
};

/// The kinds of networks: prefixes of the record, and words of the page.
const KINDS: [&str; 2] = ["residual", "plain"];

/// The lesions of several blocks: names in the record, words of the page, and name of an axis.
const LESIONS: [(&str, &str, &str); 2] = [
    (lesions::LESIONS[0], "Error without several blocks", "deleted blocks"),
    (lesions::LESIONS[1], "Error with exchanged blocks", "exchanged pairs of blocks"),
];

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_seeds = lab.size([1, 3, 3]);
    let recipe = |network| Recipe {
        network,
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 32, 128]),
        n_steps: lab.size([2, 96, 64_000]),
    };
    let residual = recipe(lab.size(["resnet8", "resnet20", "resnet110"]));
    let plain = recipe(lab.size(["plain14", "plain20", "plain110"]));
    let empty = Trained::empty(lab, lab.subject(residual)?)?;
    anyhow::ensure!(
        blocks(&empty).iter().any(|block| block.last.is_some()),
        "network {}: it has no residual block that the study can delete; choose another one, such as resnet20",
        empty.network.network.name()
    );
    for (seed, network) in lab.subjects(n_seeds, residual)? {
        lesions::measure(lab, KINDS[0], seed, &network)?;
    }
    let network = lab.named(plain.network, lab.width(plain.width));
    for (seed, network) in lab.trained(n_seeds, network, plain)? {
        lesions::measure(lab, KINDS[1], seed, &network)?;
    }
    Ok(())
}

fn show(record: &Record, page: &mut Page) {
    let one = ("one", "Error without one block", "number of the deleted block");
    for (lesion, title, x_label) in [one, LESIONS[0], LESIONS[1]] {
        let mut series = Vec::new();
        for (style, kind) in KINDS.into_iter().enumerate() {
            let key = format!("{kind} {lesion}");
            let Some(xs) = record.of_seeds(&key, "counts").first().copied() else { continue };
            series.push(Spread::series(kind, style, xs, &record.all(&format!("{key}/"), "errors")));
            let base = record.of_seeds(&format!("{kind} one"), "base").concat();
            let whole = vec![base; xs.len()];
            let name = format!("{kind}, whole");
            series.push(Series { band: vec![], ..Spread::series_at(&name, style + 7, xs, &whole) });
        }
        let (title, x_label) = (title.to_string(), x_label.to_string());
        let units = Chart { x_unit: Unit::Count, y_unit: Unit::Percent, ..Chart::default() };
        page.chart(
            &Chart { title, x_label, from_zero: true, series, ..units },
            "A band reaches from the lowest to the highest of the networks and draws, a line is their mean.",
        );
    }
    one_deleted(record, page);
    several(record, page);
}

/// Shows the errors without one block.
fn one_deleted(record: &Record, page: &mut Page) {
    let mut rows = Vec::new();
    for kind in KINDS {
        let of = |what| record.of_seeds(&format!("{kind} one"), what);
        let (bases, chances, errors) = (of("base").concat(), of("chance").concat(), of("errors"));
        let middles: Vec<f64> = errors.iter().map(|errors| median(errors)).collect();
        let worsts: Vec<f64> =
            errors.iter().map(|errors| errors.iter().copied().fold(0.0, f64::max)).collect();
        let [Some(base), Some(middle), Some(worst)] =
            [&bases, &middles, &worsts].map(|all| Spread::of(all))
        else {
            continue;
        };
        let prefix = if kind == KINDS[0] { "" } else { "plain_" };
        page.figure(format!("{prefix}base_error"), base.mean);
        page.figure(format!("{prefix}median_error_one_deleted"), middle.mean);
        page.figure(format!("{prefix}worst_error_one_deleted"), worst.mean);
        let counts = [errors.len(), errors[0].len()].map(|count| count.to_string());
        let spreads = [base, middle, worst].map(|spread| spread.percent());
        rows.push([&[kind.to_string()][..], &counts, &spreads].concat());

        // The way from the error of the whole network, 0, to that of a guess, 1.
        let ways: Vec<f64> =
            bases.iter().zip(chances).map(|(base, of)| (of - base).max(1e-3)).collect();
        let damages = middles
            .iter()
            .zip(&bases)
            .zip(&ways)
            .map(|((middle, base), way)| (middle - base) / way);
        let damages: Vec<f64> = damages.collect();
        let n_images = of("images").concat();
        let (damage, source) = match damages[..] {
            [damage] => {
                let errors = [bases[0], middles[0]].map(|error| standard_error(error, n_images[0]));
                let interval = Interval::around(damage, errors[0].hypot(errors[1]) / ways[0]);
                (
                    Some(interval),
                    format!(
                        " This is one network: the interval is that of its {} test images.",
                        n_images[0]
                    ),
                )
            }
            _ => (Interval::of(&damages), String::new()),
        };
        let half = Verdict::below(damage, 0.5);
        let (claim, verdict) = match kind {
            "plain" => ("a plain network does not survive a lost block", half.opposite()),
            _ => ("a residual network survives a lost block", half),
        };
        let damage = Interval::shown(damage, "", |part| format!("{:.1}%", 100.0 * part));
        let text = format!(
            "In the median over its blocks, a lost block takes the error {damage} of the way to that of a guess.{source}"
        );
        page.verdict(claim, verdict, &text);
    }
    let columns = ["network", "networks", "blocks", "whole", "median", "worst"];
    page.table("Error of the whole network, and without one block", &columns, &rows);
}

/// Shows the errors with several lesions.
fn several(record: &Record, page: &mut Page) {
    for (lesion, title, what) in LESIONS {
        let mut rows = Vec::new();
        for kind in KINDS {
            let key = format!("{kind} {lesion}");
            let Some(counts) = record.of_seeds(&key, "counts").first().copied() else { continue };
            let errors = (0..counts.len()).filter_map(|ix| record.spread(&key, "mean", ix));
            let row = |(count, error): (&f64, Spread)| {
                vec![kind.to_string(), count.to_string(), error.percent()]
            };
            rows.extend(counts.iter().zip(errors).map(row));
        }
        page.table(title, &["network", what, "test error, mean of the draws"], &rows);
        let key = format!("{} {lesion}", KINDS[0]);
        let bases = record.of_seeds(&format!("{} one", KINDS[0]), "base");
        let [counts, means] = ["counts", "mean"].map(|what| record.of_seeds(&key, what));
        let share = |((base, counts), means): ((&&[f64], &[f64]), &[f64])| {
            let points = [(0.0, base[0])].into_iter();
            let points: Vec<_> =
                points.chain(counts.iter().copied().zip(means.iter().copied())).collect();
            let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
            let steepest = points.windows(2).map(slope).fold(0.0, f64::max);
            steepest / (points[points.len() - 1].1 - base[0]).max(1e-3)
        };
        let shares = bases.iter().zip(counts).zip(means).map(share);
        let shares: Vec<f64> = shares.collect();
        if shares.is_empty() {
            continue;
        }
        let share = Interval::of(&shares);
        page.verdict(
            &format!("the error of a residual network rises smoothly with the number of {what}"),
            Verdict::below(share, 0.5),
            &format!(
                "The steepest part rises, for one more, by this part of the whole rise: {}.",
                Interval::shown(share, "", |share| format!("{:.1}%", 100.0 * share))
            ),
        );
    }
}
