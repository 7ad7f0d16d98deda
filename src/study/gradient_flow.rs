//! A clean shortcut keeps the gradient alive (He et al. 2016; Balduzzi et al. 2017).
//!
//! Each network computes one pass at its initial weights. `docs/lessons/gradient_flow.md` has the text.

use wgrad::base::chart::lines::Unit;

use super::lab::flow::{self, Flow, digits, in_digits};
use super::lab::residual::{Join, Order, Residual, plain, sum};
use super::lab::{Interval, Spread, Verdict};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "gradient-flow",
    claim: "a clean shortcut keeps the gradient alive",
    minutes: 1,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/gradient_flow.md"),
    measure,
    show,
};

/// The networks: plain, residual, and residual with pre-activation; each with batch norm (true) and without.
const NETWORKS: [(&str, Order, Join<'static>, bool); 6] = [
    ("plain", Order::After, &plain, true),
    ("resnet", Order::After, &sum, true),
    ("preact", Order::Before, &sum, true),
    ("plain, no batch norm", Order::After, &plain, false),
    ("resnet, no batch norm", Order::After, &sum, false),
    ("preact, no batch norm", Order::Before, &sum, false),
];

/// All depths of the three sizes, in layers.
const DEPTHS: [usize; 7] = [8, 14, 20, 32, 44, 56, 110];

/// The depth whose blocks the charts show.
const SHOWN: usize = 56;

/// The shares of another image that are mixed into an image to make its neighbours.
const SHARES: [f32; 3] = [0.01, 0.1, 0.5];

const N_SEEDS: u64 = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let (width, n_pairs) = (lab.width(lab.size([2, 8, 16])), lab.size([4, 16, 32]));
    let (images, labels) = lab.images.first(lab.size([4, 128, 128]));
    let (near, near_labels) = flow::neighbours(lab, n_pairs, &SHARES);
    let n_pairs = near_labels.len() / (1 + SHARES.len());
    let depths: &[usize] = lab.size([&DEPTHS[..2], &[20, 56, 110], &DEPTHS[2..]]);
    let shown = depths.iter().copied().rfind(|&depth| depth <= SHOWN);
    for &depth in depths {
        for (name, order, join, has_batch_norm) in NETWORKS {
            for seed in lab.seeds(N_SEEDS) {
                lab.measure(&format!("{name}/{depth} layers/seed {seed}"), |lab| {
                    let n_blocks = (depth - 2) / 6;
                    let network = Residual { order, n_blocks, has_batch_norm, join };
                    let run = |batch| Flow::measure(lab, &network, width, seed, batch);
                    let Flow { outputs, weights, .. } = run((&images, &labels))?;
                    let ratio = vec![Flow::ratio(&outputs)];
                    let mut numbers =
                        vec![("ratio", ratio), ("outputs", outputs), ("weights", weights)];
                    if Some(depth) == shown {
                        let d_images = run((&near, &near_labels))?.d_images;
                        let (own, others) = d_images.split_at(near.len() / (1 + SHARES.len()));
                        let alike =
                            others.chunks(own.len()).map(|d| flow::mean_cosine(own, d, n_pairs));
                        numbers.push(("correlation", alike.collect()));
                    }
                    Ok(numbers)
                })?;
            }
        }
    }
    Ok(())
}

/// Returns the key of a network of some depth in the record.
fn key(ix: usize, depth: usize) -> String {
    format!("{}/{depth} layers", NETWORKS[ix].0)
}

/// Returns a curve or a row for each network. The style has a colour for each kind, and dashes without batch norm.
fn each<T>(one: impl Fn(usize, &str, usize) -> T) -> Vec<T> {
    let networks = NETWORKS.iter().enumerate();
    networks.map(|(ix, network)| one(ix, network.0, ix % 3 + 7 * (ix / 3))).collect()
}

fn show(record: &Record, page: &mut Page) {
    let is_measured = |&depth: &usize| record.spread(&key(5, depth), "ratio", 0).is_some();
    let depths: Vec<usize> = DEPTHS.into_iter().filter(is_measured).collect();
    let Some(shown) = depths.iter().copied().rfind(|&depth| depth <= SHOWN) else { return };
    let blocks: Vec<f64> = (1..=(shown - 2) / 2).map(|ix| ix as f64).collect();
    for (what, of, about) in [("outputs", "x", "output"), ("weights", "W", "two convolutions")] {
        let title = format!("Norm of d loss / d {of}, {shown} layers");
        let axis = ("block, from the images", Unit::Count);
        let curve =
            |ix, name: &str, style| record.curve(&key(ix, shown), what, name, style, &blocks);
        let caption = format!("The gradient of each block's {about}, without unit.");
        page.curves(&title, axis, Unit::Log, each(curve), &caption);
    }
    over_depth(record, page, &depths);
    correlations(record, page, shown);
    verdicts(record, page, shown);
}

fn over_depth(record: &Record, page: &mut Page, depths: &[usize]) {
    let xs: Vec<f64> = depths.iter().map(|&depth| depth as f64).collect();
    let ratios = |ix| -> Vec<Spread> {
        depths.iter().filter_map(|&depth| record.spread(&key(ix, depth), "ratio", 0)).collect()
    };
    let title = "Norm of d loss / d x at the first block over that at the last";
    let series = each(|ix, name, style| Spread::line(name, style, &xs, &ratios(ix)));
    let caption = "Above 1 the gradient grows towards the images, below 1 it vanishes.";
    page.curves(title, ("layers", Unit::Count), Unit::Log, series, caption);
    let names: Vec<String> = depths.iter().map(|depth| format!("{depth} layers")).collect();
    let columns: Vec<&str> = ["network"].into_iter().chain(names.iter().map(|n| &**n)).collect();
    let rows = each(|ix, name, _| {
        let cells = ratios(ix).into_iter().map(in_digits);
        [name.to_string()].into_iter().chain(cells).collect()
    });
    page.table(title, &columns, &rows);
    for (ix, network) in NETWORKS.iter().enumerate() {
        let name = network.0.replace(", ", "_").replace(' ', "_");
        let (kind, end) = name.split_once('_').unwrap_or((&name, ""));
        for (depth, ratio) in depths.iter().zip(ratios(ix)) {
            let figure = format!("ratio_{kind}_{depth}_{end}");
            page.figure(figure.trim_end_matches('_'), ratio.mean);
        }
    }
}

fn correlations(record: &Record, page: &mut Page, shown: usize) {
    let title = format!("Correlation of d loss / d image between neighbours, {shown} layers");
    let shares = SHARES.map(f64::from);
    let series =
        each(|ix, name, style| record.curve(&key(ix, shown), "correlation", name, style, &shares));
    let axis = ("share of another image in the neighbour", Unit::Log);
    let caption = "The cosine of the angle between the two gradients, mean over the images.";
    page.curves(&title, axis, Unit::Plain, series, caption);
    let rows = each(|ix, name, _| {
        let at = |share| record.spread(&key(ix, shown), "correlation", share);
        let cells = (0..SHARES.len()).filter_map(at).map(|spread| spread.to_string());
        [name.to_string()].into_iter().chain(cells).collect()
    });
    page.table(&title, &["network", "share 0.01", "share 0.1", "share 0.5"], &rows);
}

fn verdicts(record: &Record, page: &mut Page, depth: usize) {
    let spread = |ix: usize, what: &str, at| record.spread(&key(ix, depth), what, at);
    let difference = |a: usize, b: usize, what: &str, of: &dyn Fn(&[f64]) -> f64| {
        record.difference([&key(a, depth), &key(b, depth)], what, of)
    };
    for (first, with) in [(0, "with"), (3, "without")] {
        let ratios = [0, 1, 2].map(|kind| spread(first + kind, "ratio", 0));
        let [Some(plain), Some(v1), Some(v2)] = ratios.map(|ratio| ratio.map(in_digits)) else {
            continue;
        };
        // The size of the logarithm is 0 for a ratio of 1, and the same for 2 and for 1/2.
        let change = |ratio: &[f64]| ratio[0].ln().abs();
        let differences = [1, 2].map(|kind| difference(first + kind, first, "ratio", &change));
        let [of_v1, of_v2] = differences.map(|of| Interval::shown(of, "", digits));
        page.verdict(
            &format!("{with} batch norm, shortcuts keep the size of the gradient better than none"),
            Verdict::all(differences.map(|of| Verdict::below(of, 0.0))),
            &format!(
                "From the last block of {depth} layers to the first, the norm is multiplied by {plain} in a plain \
                 network, by {v1} with shortcuts, and by {v2} with shortcuts and pre-activation. The size of the \
                 logarithm changes by {of_v1} with shortcuts, and by {of_v2} with pre-activation too."
            ),
        );
    }
    if let Some(plain) = spread(0, "ratio", 0) {
        let logarithms: Vec<f64> =
            record.of_seeds(&key(0, depth), "ratio").iter().map(|ratio| ratio[0].ln()).collect();
        let logarithm = Interval::of(&logarithms);
        page.verdict(
            "the gradient of a plain network with batch norm vanishes towards the images",
            Verdict::below(logarithm, 0.0),
            &format!(
                "It is multiplied by {} over {depth} layers. The logarithm is {}.",
                in_digits(plain),
                Interval::shown(logarithm, "", digits)
            ),
        );
    }
    for (at, share) in SHARES.into_iter().enumerate() {
        let alike = [0, 1, 2].map(|kind| spread(kind, "correlation", at));
        let [Some(plain), Some(v1), Some(v2)] = alike else { continue };
        let differences = [1, 2].map(|kind| difference(0, kind, "correlation", &|all| all[at]));
        let [of_v1, of_v2] = differences.map(|of| Interval::shown(of, "", |of| format!("{of:.3}")));
        let share = 100.0 * share;
        page.verdict(
            &format!("with batch norm, shortcuts make gradients of neighbours at {share}% more alike"),
            Verdict::all(differences.map(|of| Verdict::below(of, 0.0))),
            &format!(
                "The correlation is {plain} in a plain network, {v1} with shortcuts, a difference of {of_v1}, and {v2} \
                 with shortcuts and pre-activation, a difference of {of_v2}."
            ),
        );
    }
}
