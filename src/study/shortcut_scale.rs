//! A shortcut that is multiplied by λ lets the gradient explode or vanish (He et al. 2016).
//!
//! Every shortcut is x, scaled or gated. `docs/lessons/shortcut_scale.md` has the text.

use wgrad::base::chart::lines::{Kind, Series, Unit};
use wgrad::tape::Tape;

use super::lab::change::Change::{self, Convolution, Gate, Scale};
use super::lab::flow::{Flow, digits, in_digits, slope};
use super::lab::residual::{Join, Joint, Order, Residual};
use super::lab::{Custom, Interval, Training, Verdict, arms, transposed};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "shortcut-scale",
    claim: "a shortcut scaled by more than 1 lets the gradient explode, and by less than 1 vanish",
    minutes: 1,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/shortcut_scale.md"),
    measure,
    show,
};

/// The factors λ, and the other changes.
const CHANGES: [(&str, Change); 9] = [
    ("0.5", Scale(0.5)),
    ("0.8", Scale(0.8)),
    ("0.9", Scale(0.9)),
    ("1", Scale(1.0)),
    ("1.1", Scale(1.1)),
    ("1.25", Scale(1.25)),
    ("2", Scale(2.0)),
    ("1x1 convolution", Convolution),
    ("gate", Gate),
];

/// The factors of the networks that train.
const TRAINED: [&str; 3] = ["0.5", "1", "2"];

const N_SEEDS: u64 = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let (width, n_images) = (lab.width(lab.size([2, 8, 16])), lab.size([4, 32, 128]));
    let n_blocks = lab.size([1, 9, 18]);
    let n_train = lab.images.train().len() as u32;
    let numbers: Vec<u32> = (0..n_images).map(|ix| ix % n_train).collect();
    let (images, labels) = lab.images.arrays(lab.images.train(), &numbers);
    for (name, change) in CHANGES {
        for seed in lab.seeds(N_SEEDS) {
            lab.measure(&format!("{name}/seed {seed}"), |lab| {
                let flow = |alone| {
                    let join =
                        move |tape: &mut Tape, joint: &Joint<'_>| change.join(tape, joint, alone);
                    let (order, has_batch_norm) = (Order::Before, true);
                    let network = Residual { order, n_blocks, has_batch_norm, join: &join };
                    Flow::measure(lab, &network, width, seed, (&images, &labels))
                };
                let (all, alone) = (flow(false)?.outputs, flow(true)?.outputs);
                Ok(vec![
                    ("ratio", vec![Flow::ratio(&all)]),
                    ("ratio alone", vec![Flow::ratio_in_stages(&alone)]),
                    ("all", all),
                    ("alone", alone),
                ])
            })?;
        }
    }
    for (name, change) in CHANGES.into_iter().filter(|(name, _)| TRAINED.contains(name)) {
        let join = move |tape: &mut Tape, joint: &Joint<'_>| change.join(tape, joint, false);
        let join: Join<'static> = Box::leak(Box::new(join));
        for seed in lab.seeds(N_SEEDS) {
            lab.measure(&format!("trained {name}/seed {seed}"), |lab| {
                let n_blocks = lab.size([1, 3, 18]);
                let network =
                    Residual { order: Order::Before, n_blocks, has_batch_norm: true, join };
                let network = Custom::new(name, move |tape, x, sizes| {
                    network.record(tape, x, sizes.width, sizes.classes).logits
                });
                let network = lab.config(network, width);
                let step = lab.images.step(network, lab.size([8, 64, 128]));
                let n_steps = lab.size([2, 32, 64_000]);
                let training = Training::new(lab, step, n_steps, 0.1);
                let training = Training { seed, every: n_steps, ..training };
                Ok(vec![("test error", vec![training.run(lab)?.1.last_test_error()])])
            })?;
        }
    }
    Ok(())
}

/// Returns the names of the measured factors with their numbers.
fn factors(record: &Record) -> Vec<(&'static str, f64)> {
    let factor = |(name, change): (&'static str, Change)| match change {
        Scale(factor) => record.spread(name, "ratio", 0).map(|_| (name, f64::from(factor))),
        _ => None,
    };
    CHANGES.into_iter().filter_map(factor).collect()
}

fn show(record: &Record, page: &mut Page) {
    let factors = factors(record);
    let Some(&(first, _)) = factors.first() else { return };
    let n_stage = record.of_seeds(first, "all")[0].len() / 3;
    let blocks: Vec<f64> = (1..=3 * n_stage).map(|ix| ix as f64).collect();
    let axis = ("block, from the images", Unit::Count);
    let names = CHANGES.iter().map(|change| change.0).enumerate();
    let all = names.map(|(style, name)| record.curve(name, "all", name, style, &blocks));
    let caption = "The gradient of each block's output, without unit. A number is the factor λ.";
    page.curves("Norm of d loss / d x by block", axis, Unit::Log, all, caption);
    let mut alone = Vec::new();
    for (style, (name, factor)) in factors.iter().enumerate() {
        let measured = record.curve(name, "alone", name, style, &blocks);
        // The law for each stage begins at the stage's last block.
        let law = |(ix, (block, _)): (usize, &(f64, f64))| {
            let last = (ix / n_stage + 1) * n_stage - 1;
            Some((*block, measured.points.get(last)?.1 * factor.powf((last - ix) as f64)))
        };
        let points = measured.points.iter().enumerate().filter_map(law).collect();
        let (name, kind, style) = (format!("law for {name}"), Kind::Computed, style + 7);
        alone.extend([measured, Series { name, points, style, kind, ..Series::default() }]);
    }
    let caption =
        "Without the gradient of the branches, beside the law for each of the three stages.";
    page.curves("The same through the shortcuts alone", axis, Unit::Log, alone, caption);

    let n = 3.0 * (n_stage as f64 - 1.0);
    let row = |(name, change): &(&str, Change)| {
        let [all, alone] = ["ratio", "ratio alone"].map(|what| record.spread(name, what, 0));
        let law = match change {
            Scale(factor) => digits(f64::from(*factor).powf(n)),
            _ => String::new(),
        };
        let trained = record.spread(&format!("trained {name}"), "test error", 0);
        let trained = trained.map_or_else(String::new, |error| error.percent());
        Some(vec![name.to_string(), in_digits(all?), in_digits(alone?), law, trained])
    };
    let columns = ["shortcut", "all", "shortcuts alone, in stages", "law", "test error"];
    let rows: Vec<_> = CHANGES.iter().filter_map(row).collect();
    page.table(
        "Gradient at the first block over that at the last, and test error",
        &columns,
        &rows,
    );
    for (name, _) in CHANGES {
        let name_of = name.replace(' ', "_");
        if let Some(ratio) = record.spread(name, "ratio", 0) {
            page.figure(format!("ratio_{name_of}"), ratio.mean);
        }
    }
    verdicts(record, page, &factors, n);
}

fn verdicts(record: &Record, page: &mut Page, factors: &[(&str, f64)], n: f64) {
    let seeds = factors.iter().map(|(name, _)| record.of_seeds(name, "ratio alone"));
    let seeds = transposed(&seeds.map(|all| all.concat()).collect::<Vec<_>>());
    let power = |ratios: &Vec<f64>| {
        let points =
            factors.iter().zip(ratios).map(|((_, factor), ratio)| (factor.ln(), ratio.ln()));
        slope(&points.collect::<Vec<_>>())
    };
    let powers: Vec<f64> = seeds.iter().map(power).collect();
    let off: Vec<f64> = powers.iter().map(|power| (power / n - 1.0).abs()).collect();
    page.figure("power_of_law", n);
    page.figure("power_of_shortcuts", powers.iter().sum::<f64>() / powers.len() as f64);
    page.verdict(
        "through the shortcuts alone, the gradient follows the power law to a tenth of its power",
        Verdict::below(Interval::of(&off), 0.1),
        &format!(
            "The law is λ^{n}. The ratio of the norms grows as λ to the power of {}.",
            Interval::shown(Interval::of(&powers), "", |power| format!("{power:.1}"))
        ),
    );
    let of = |name: &str| record.spread(name, "ratio", 0);
    let of_logarithm = |ratio: &[f64]| ratio[0].ln();
    for (factor, change, [low, high]) in
        [("2", "explodes", ["1", "2"]), ("0.5", "vanishes", ["0.5", "1"])]
    {
        let [Some(scaled), Some(clean)] = [of(factor), of("1")] else { continue };
        let difference = record.difference([low, high], "ratio", of_logarithm);
        let sign = if factor == "2" { -1.0 } else { 1.0 };
        let ends = record.of_seeds(factor, "ratio").into_iter().map(|all| sign * of_logarithm(all));
        let ends: Vec<f64> = ends.collect();
        let [from_clean, from_one] =
            [difference, Interval::of(&ends)].map(|of| Verdict::below(of, 0.0));
        page.verdict(
            &format!("with shortcuts scaled by {factor}, the gradient {change} towards the images"),
            Verdict::all([from_clean, from_one]),
            &format!(
                "The norm is multiplied by {}, and by {} with clean shortcuts. The logarithms of {low} and {high} have a \
                 difference of {}.",
                in_digits(scaled),
                in_digits(clean),
                Interval::shown(difference, "", digits)
            ),
        );
    }
    let arms = ["trained 1", "trained 0.5", "trained 2"];
    let claim = "a network with scaled shortcuts trains worse than one with clean shortcuts";
    arms::is_lowest(record, page, claim, &arms);
}
