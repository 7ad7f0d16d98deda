//! A residual network is an ensemble of shallow ones, so it survives the loss of a block (Veit et al. 2016).
//!
//! The study deletes blocks of trained networks by editing their weights, and measures the error without further
//! training. `docs/lessons/lesion.md` has the text.

use wgrad::base::chart::lines::{Chart, Series, Unit};
use wgrad::data::batches::epoch_order;

use super::lab::{Recipe, Spread, Trained, Verdict, blocks, median, pairs_of_one_shape};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "lesion",
    claim: "a residual network is an ensemble of shallow ones, so it survives the loss of a block",
    minutes: 3,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/lesion.md"),
    measure,
    show,
};

/// The kinds of networks: prefixes of the record, and words of the page.
const KINDS: [&str; 2] = ["residual", "plain"];

/// The numbers of deleted blocks, and of pairs of blocks that are exchanged.
const COUNTS: [usize; 6] = [1, 2, 4, 8, 12, 20];

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_seeds = lab.size([1, 3, 3]);
    let recipe = |network| Recipe {
        network,
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 32, 128]),
        n_steps: lab.size([2, 96, 64_000]),
    };
    let residual = recipe(lab.size(["resnet8", "resnet20", "resnet110"]));
    let plain = recipe(lab.size(["plain8", "plain20", "plain110"]));
    for (name, network) in lab.subjects(n_seeds, residual)? {
        anyhow::ensure!(
            blocks(&network).iter().any(|block| block.last.is_some()),
            "lesion: {} has no block that the study can delete; choose another network, such as resnet20",
            network.network.network.name()
        );
        look_into(lab, KINDS[0], &name, &network)?;
    }
    let network = lab.named(plain.network, lab.width(plain.width));
    for (name, network) in lab.trained(n_seeds, network, plain)? {
        look_into(lab, KINDS[1], &name, &network)?;
    }
    Ok(())
}

/// Measures the errors of a network with deleted and with exchanged blocks.
fn look_into(lab: &mut Lab<'_>, kind: &str, name: &str, network: &Trained) -> anyhow::Result<()> {
    let blocks = blocks(network);
    let (n, seed, n_draws) = (blocks.len(), lab.seed(), lab.size([1, 2, 10]));
    let mut evaluator = network.evaluator(lab)?;
    let mut error = |lab: &Lab<'_>, edit: &dyn Fn(&mut Trained)| {
        let mut edited = network.clone();
        edit(&mut edited);
        lab.check_stop()?;
        edited.error(lab, &mut evaluator, lab.images.test())
    };
    lab.measure(&format!("{kind} one/{name}"), |lab| {
        let base = error(lab, &|_| {})?;
        let chance = 1.0 - 1.0 / lab.images.n_classes() as f64;
        let mut errors = Vec::new();
        for block in &blocks {
            lab.report(errors.len(), n)?;
            errors.push(error(lab, &|network| network.delete(block))?);
        }
        let numbers = (1..=n).map(|ix| ix as f64).collect();
        let base = [("base", vec![base]), ("chance", vec![chance])];
        Ok([("counts", numbers), ("errors", errors)].into_iter().chain(base).collect())
    })?;
    let counts: Vec<usize> = COUNTS.into_iter().filter(|&count| 4 * count <= 3 * n).collect();
    let pairs = pairs_of_one_shape(network, &blocks);
    let parts = if kind == KINDS[0] { &["deleted", "exchanged"][..] } else { &[] };
    for &part in parts {
        lab.measure(&format!("{kind} {part}/{name}"), |lab| {
            let mut numbers =
                vec![("counts".to_string(), counts.iter().map(|&c| c as f64).collect())];
            let mut draws = Vec::new();
            for draw in 0..n_draws {
                lab.report(draw, n_draws)?;
                let errors = counts.iter().map(|&count| {
                    let order = |n: usize| epoch_order(seed, (100 * draw + count) as u64, n);
                    error(lab, &|network| match part {
                        "deleted" => {
                            order(n)[..count]
                                .iter()
                                .for_each(|&ix| network.delete(&blocks[ix as usize]));
                        }
                        _ => {
                            for ix in order(pairs.len()).into_iter().cycle().take(count) {
                                let [a, b] = pairs[ix as usize].map(|ix| &blocks[ix].name);
                                network.swap(a, b);
                            }
                        }
                    })
                });
                draws.push(errors.collect::<anyhow::Result<Vec<f64>>>()?);
            }
            let sum = |ix: usize| draws.iter().map(|errors| errors[ix]).sum::<f64>();
            let mean = (0..counts.len()).map(|ix| sum(ix) / n_draws as f64).collect();
            numbers.push(("mean".to_string(), mean));
            numbers.extend(
                draws.into_iter().enumerate().map(|(ix, all)| (format!("{ix} errors"), all)),
            );
            Ok(numbers)
        })?;
    }
    Ok(())
}

fn show(record: &Record, page: &mut Page) {
    let parts = [
        ("one", "Error without one block", "number of the deleted block"),
        ("deleted", "Error without several blocks", "deleted blocks"),
        ("exchanged", "Error with exchanged blocks", "exchanged pairs of blocks"),
    ];
    for (part, title, x_label) in parts {
        let mut series = Vec::new();
        for (style, kind) in KINDS.into_iter().enumerate() {
            let all = |what| record.all(&format!("{kind} {part}/"), what);
            let Some(xs) = all("/counts").first().copied() else { continue };
            series.push(Spread::series(kind, style, xs, &all("errors")));
            let base = record.all(&format!("{kind} one/"), "/base").concat();
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
    let mut rows = Vec::new();
    for kind in KINDS {
        let [bases, chances, errors] = ["base", "chance", "errors"]
            .map(|what| record.all(&format!("{kind} one/"), &format!("/{what}")));
        let of_each =
            |f: &dyn Fn(usize) -> f64| Spread::of(&(0..errors.len()).map(f).collect::<Vec<_>>());
        let worst = of_each(&|ix| errors[ix].iter().copied().fold(0.0, f64::max));
        // The way from the error of the whole network, 0, to that of a guess, 1.
        let damage = of_each(&|ix| {
            (median(errors[ix]) - bases[ix][0]) / (chances[ix][0] - bases[ix][0]).max(1e-3)
        });
        let [Some(base), Some(middle), Some(worst), Some(damage)] =
            [of_each(&|ix| bases[ix][0]), of_each(&|ix| median(errors[ix])), worst, damage]
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
        let (is_small, is_large) = (damage.high < 0.5, damage.low > 0.5);
        let (claim, verdict) = match kind {
            "plain" => {
                ("a plain network does not survive a lost block", Verdict::of(is_large, is_small))
            }
            _ => ("a residual network survives a lost block", Verdict::of(is_small, is_large)),
        };
        let text = format!(
            "In the median over its blocks, a lost block takes the error {} of the way to that of a guess.",
            damage.percent()
        );
        page.verdict(claim, verdict, &text);
    }
    let columns = ["network", "networks", "blocks", "whole", "median", "worst"];
    page.table("Error of the whole network, and without one block", &columns, &rows);
    for (part, what) in [("deleted", "deleted blocks"), ("exchanged", "exchanged pairs of blocks")]
    {
        let of = |part, what| record.all(&format!("{} {part}/", KINDS[0]), what);
        let (bases, counts, means) = (of("one", "/base"), of(part, "/counts"), of(part, "/mean"));
        let share = |(ix, mean): (usize, &&[f64])| {
            let points = [(0.0, bases[ix][0])].into_iter();
            let points: Vec<_> =
                points.chain(counts[ix].iter().copied().zip(mean.iter().copied())).collect();
            let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
            let steepest = points.windows(2).map(slope).fold(0.0, f64::max);
            steepest / (mean[mean.len() - 1] - bases[ix][0]).max(1e-3)
        };
        let shares: Vec<f64> = means.iter().enumerate().map(share).collect();
        let Some(share) = Spread::of(&shares) else { continue };
        page.verdict(
            &format!("the error of a residual network rises smoothly with the number of {what}"),
            Verdict::of(share.high < 0.5, share.low > 0.5),
            &format!(
                "The steepest part rises by {} of the whole rise for one more.",
                share.percent()
            ),
        );
    }
}
