//! A residual network is an ensemble of shallow ones, so it survives the loss of a block (Veit et al. 2016).
//!
//! The study deletes blocks of trained networks by editing their weights, and measures the error without further
//! training. `docs/lessons/lesion.md` has the text.

use wgrad::base::chart::lines::{Chart, Series, Unit};
use wgrad::data::batches::epoch_order;

use super::lab::{Block, Recipe, Spread, Trained, Verdict, blocks};
use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "lesion",
    claim: "a residual network is an ensemble of shallow ones, so it survives the loss of a block",
    minutes: 3,
    text: include_str!("../../docs/lessons/lesion.md"),
    measure,
    show,
};

/// The kinds of networks: prefixes of the record, and words of the page.
const KINDS: [&str; 2] = ["residual", "plain"];

/// The numbers of deleted blocks, and of pairs of blocks that are exchanged.
const COUNTS: [usize; 7] = [1, 2, 3, 5, 8, 12, 20];

const N_SEEDS: u64 = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let recipe = |network| Recipe {
        network,
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 128, 128]),
        n_steps: lab.size([2, 80, 64_000]),
    };
    let residual = recipe(lab.size(["resnet8", "resnet20", "resnet110"]));
    let plain = recipe(lab.size(["plain8", "plain20", "plain110"]));
    for (name, network) in lab.subjects(N_SEEDS, residual)? {
        anyhow::ensure!(
            blocks(&network).iter().any(|block| block.last.is_some()),
            "lesion: {} has no residual block; choose another network, such as resnet20",
            network.network.network.name()
        );
        look_into(lab, &format!("{}/{name}", KINDS[0]), &network)?;
    }
    let network = lab.named(plain.network, plain.width);
    for (name, network) in lab.trained(N_SEEDS, network, plain)? {
        look_into(lab, &format!("{}/{name}", KINDS[1]), &network)?;
    }
    Ok(())
}

/// Measures the errors of a network with deleted and with exchanged blocks.
fn look_into(lab: &mut Lab<'_>, key: &str, network: &Trained) -> anyhow::Result<()> {
    let blocks = blocks(network);
    let (n, seed, n_draws) = (blocks.len(), lab.seed(), lab.size([1, 2, 10]));
    let mut evaluator = network.evaluator(lab)?;
    let mut error = |lab: &Lab<'_>, edit: &dyn Fn(&mut Trained)| {
        let mut edited = network.clone();
        edit(&mut edited);
        lab.check_stop()?;
        edited.error(lab, &mut evaluator, lab.images.test())
    };
    lab.measure(&format!("{key}/one"), |lab| {
        let base = error(lab, &|_| {})?;
        let errors = (0..n).map(|ix| {
            lab.report(ix, n)?;
            error(lab, &|network| network.delete(&blocks[ix]))
        });
        let errors = errors.collect::<anyhow::Result<Vec<_>>>()?;
        let chance = 1.0 - 1.0 / lab.images.n_classes() as f64;
        Ok(vec![("base", vec![base]), ("errors", errors), ("chance", vec![chance])])
    })?;
    let counts: Vec<usize> = COUNTS.into_iter().filter(|&count| 4 * count <= 3 * n).collect();
    let numbers: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
    for draw in 0..n_draws {
        let order = |count: usize, n: usize| epoch_order(seed, (1000 * draw + count) as u64, n);
        lab.measure(&format!("{key}/deleted, draw {draw}"), |lab| {
            let errors = counts.iter().map(|&count| {
                let deleted = order(count, n);
                let delete = |network: &mut Trained| {
                    deleted[..count].iter().for_each(|&ix| network.delete(&blocks[ix as usize]));
                };
                error(lab, &delete)
            });
            let errors = errors.collect::<anyhow::Result<Vec<_>>>()?;
            Ok(vec![("counts", numbers.clone()), ("errors", errors)])
        })?;
        lab.measure(&format!("{key}/exchanged, draw {draw}"), |lab| {
            let pairs = pairs_of_one_shape(network, &blocks);
            let (mut errors, mut taus) = (Vec::new(), Vec::new());
            for &count in &counts {
                // A pair may be drawn again. The order of the draws matters then.
                let drawn = (0..count).map(|ix| order(count + 100 * ix, pairs.len())[0] as usize);
                let drawn: Vec<[usize; 2]> = drawn.map(|ix| pairs[ix]).collect();
                let mut places: Vec<usize> = (0..n).collect();
                drawn.iter().for_each(|&[a, b]| places.swap(a, b));
                taus.push(kendall_tau(&places));
                let exchange = |network: &mut Trained| {
                    for &[a, b] in &drawn {
                        network.swap(&blocks[a].name, &blocks[b].name);
                    }
                };
                errors.push(error(lab, &exchange)?);
            }
            Ok(vec![("counts", numbers.clone()), ("errors", errors), ("tau", taus)])
        })?;
    }
    Ok(())
}

/// Returns all pairs of blocks whose weights have the same names and shapes.
fn pairs_of_one_shape(network: &Trained, blocks: &[Block]) -> Vec<[usize; 2]> {
    let shapes = |block: &Block| {
        let names = network.names_below(&format!("{}.", block.name)).into_iter();
        let shape = |name: &String| {
            network.layout.find(&format!("{}.{name}", block.name)).map(|(_, m)| m.shape.clone())
        };
        names.map(|name| (shape(&name), name)).collect::<Vec<_>>()
    };
    let all = (0..blocks.len()).flat_map(|b| (0..b).map(move |a| [a, b]));
    all.filter(|&[a, b]| shapes(&blocks[a]) == shapes(&blocks[b])).collect()
}

/// Returns Kendall's rank correlation of a permutation with the original order: 1 for the same order, -1 for the reverse.
pub fn kendall_tau(order: &[usize]) -> f64 {
    let pairs = || (0..order.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let n_inverted = pairs().filter(|&(a, b)| order[a] > order[b]).count();
    1.0 - 2.0 * n_inverted as f64 / pairs().count().max(1) as f64
}

/// Returns the numbers with a name of all networks of a kind; `part` is `one`, `deleted` or `exchanged`.
fn curves<'a>(record: &'a Record, kind: &'a str, part: &str, what: &str) -> Vec<&'a [f64]> {
    let of_kind = record.below(kind).filter(|(name, _)| name.contains(&format!("/{part}")));
    of_kind.filter(|(name, _)| name.ends_with(&format!("/{what}"))).map(|(_, all)| all).collect()
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |ix: usize| sorted.get(ix).copied().unwrap_or(f64::NAN);
    (middle(sorted.len() / 2) + middle(sorted.len().saturating_sub(1) / 2)) / 2.0
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
            let errors = curves(record, kind, part, "errors");
            let n = errors.first().map_or(0, |errors| errors.len());
            let xs: Vec<f64> = match curves(record, kind, part, "counts").first() {
                Some(counts) => counts.to_vec(),
                None => (1..=n).map(|ix| ix as f64).collect(),
            };
            let bases = curves(record, kind, "one", "base").into_iter().flatten().copied();
            if let (Some(base), [first, .., last]) = (Spread::of(&bases.collect::<Vec<_>>()), &xs[..]) {
                let points = vec![(*first, base.mean), (*last, base.mean)];
                let name = format!("{kind}, whole");
                series.push(Series { name, points, style: style + 7, ..Series::default() });
            }
            series.push(Spread::series(kind, style, &xs, &errors));
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
        let bases = curves(record, kind, "one", "base").concat();
        let errors = curves(record, kind, "one", "errors");
        let Some(base) = Spread::of(&bases) else { continue };
        let of_each = |f: &dyn Fn(&[f64]) -> f64| {
            Spread::of(&errors.iter().map(|errors| f(errors)).collect::<Vec<_>>())
        };
        let worst = of_each(&|errors| errors.iter().copied().fold(0.0, f64::max));
        let (Some(middle), Some(worst)) = (of_each(&median), worst) else { continue };
        let prefix = if kind == KINDS[0] { "" } else { "plain_" };
        page.figure(format!("{prefix}base_error"), base.mean);
        page.figure(format!("{prefix}median_error_one_deleted"), middle.mean);
        page.figure(format!("{prefix}worst_error_one_deleted"), worst.mean);
        let n_blocks = errors[0].len().to_string();
        let n_networks = errors.len().to_string();
        let spreads = [base, middle, worst].map(|spread| spread.percent());
        rows.push([vec![kind.to_string(), n_networks, n_blocks], spreads.to_vec()].concat());
    }
    let columns = ["network", "networks", "blocks", "whole", "median", "worst"];
    page.table("Error of the whole network, and without one block", &columns, &rows);
    judge(record, page);
}

/// Decides the parts of the claim. Damage is the way from the error of the whole network, 0, to that of a guess, 1.
fn judge(record: &Record, page: &mut Page) {
    for kind in KINDS {
        let errors = curves(record, kind, "one", "errors");
        let first = |what| curves(record, kind, "one", what).concat();
        let (bases, chances) = (first("base"), first("chance"));
        let damages: Vec<_> = (0..errors.len())
            .map(|ix| (median(errors[ix]) - bases[ix]) / (chances[ix] - bases[ix]).max(1e-3))
            .collect();
        let Some(damage) = Spread::of(&damages) else { continue };
        let (is_small, is_large) = (damage.high < 0.5, damage.low > 0.5);
        let (claim, verdict) = match kind {
            "plain" => ("a plain network does not survive it", Verdict::of(is_large, is_small)),
            _ => ("a residual network survives the loss of a block", Verdict::of(is_small, is_large)),
        };
        let damage = damage.percent();
        let text = format!(
            "In the median over the blocks of a {kind} network, one lost block takes the error {damage} of the way to that of a guess."
        );
        page.verdict(claim, verdict, &text);
    }
    for (part, what) in [("deleted", "deleted blocks"), ("exchanged", "exchanged pairs of blocks")] {
        let bases = curves(record, KINDS[0], "one", "base").concat();
        let all = curves(record, KINDS[0], part, "errors");
        let counts = curves(record, KINDS[0], part, "counts").first().map_or(vec![], |c| c.to_vec());
        let n_draws = all.len() / bases.len().max(1);
        if n_draws == 0 || counts.len() < 2 {
            continue;
        }
        let share = |(base, draws): (&f64, &[&[f64]])| {
            let mean = |ix: usize| draws.iter().map(|errors| errors[ix]).sum::<f64>() / n_draws as f64;
            let ends = [(0.0, *base)].into_iter().chain((0..counts.len()).map(|ix| (counts[ix], mean(ix))));
            let points: Vec<_> = ends.collect();
            let steps = points.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0));
            steps.fold(0.0, f64::max) / (mean(counts.len() - 1) - base).max(1e-3)
        };
        let Some(share) = Spread::of(&bases.iter().zip(all.chunks(n_draws)).map(share).collect::<Vec<_>>())
        else {
            continue;
        };
        page.verdict(
            &format!("the error of a residual network rises smoothly with the number of {what}"),
            Verdict::of(share.high < 0.5, share.low > 0.5),
            &format!("The largest rise for one more of them is {} of the whole rise.", share.percent()),
        );
    }
}
