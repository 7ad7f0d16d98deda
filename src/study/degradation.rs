//! Deeper plain networks train worse than shallower ones, and residual networks do not (He et al. 2015).
//!
//! Each network trains from scratch with the same recipe, over several seeds. `docs/lessons/degradation.md` has the text.

use wgrad::base::chart::lines::{Chart, Unit};

use super::lab::{Spread, Training, Verdict};
use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "degradation",
    claim: "deeper plain networks train worse, which is not overfitting, and residual ones do not",
    minutes: 6,
    text: include_str!("../../docs/lessons/degradation.md"),
    measure,
    show,
};

/// The networks with their styles in charts. The last one of each kind needs `--full`.
const NETWORKS: [&str; 6] = ["plain20", "plain56", "resnet20", "resnet56", "plain110", "resnet110"];

const N_SEEDS: u64 = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let networks = &NETWORKS[..lab.size([4, 4, 6])];
    for seed in lab.seeds(N_SEEDS) {
        for name in networks {
            let width = lab.width(lab.size([2, 8, 16]));
            let n_steps = lab.size([2, 64, 64_000]);
            lab.measure(&format!("{name}/seed {seed}"), |lab| {
                let step = lab.images.step(lab.named(name, width), lab.size([8, 128, 128]));
                let training = Training { seed, ..Training::new(lab, step, n_steps, 0.1) };
                Ok(training.run(lab)?.1.measurements())
            })?;
        }
    }
    Ok(())
}

/// Returns the numbers `what` of a network, a list for each seed.
fn curves<'a>(record: &'a Record, network: &str, what: &str) -> Vec<&'a [f64]> {
    let prefix = format!("{network}/");
    let of_seeds: Vec<_> = record.below(&prefix).map(|(name, _)| name.to_string()).collect();
    let wanted = of_seeds.iter().filter(|name| name.ends_with(&format!("/{what}")));
    wanted.filter_map(|name| record.get(&format!("{prefix}{name}"))).collect()
}

/// Returns the spread of the last numbers of the seeds.
fn last(record: &Record, network: &str, what: &str) -> Option<Spread> {
    let ends: Vec<f64> =
        curves(record, network, what).iter().filter_map(|curve| curve.last().copied()).collect();
    Spread::of(&ends)
}

fn show(record: &Record, page: &mut Page) {
    for what in ["training error", "test error"] {
        let series = NETWORKS.iter().enumerate().filter_map(|(style, name)| {
            let steps = *curves(record, name, "steps").first()?;
            Some(Spread::series(name, style, steps, &curves(record, name, what)))
        });
        let chart = Chart {
            title: format!("{}{}", what[..1].to_uppercase(), &what[1..]),
            x_label: "steps of 128 images".to_string(),
            x_unit: Unit::Count,
            y_unit: Unit::Percent,
            series: series.collect(),
            ..Chart::default()
        };
        page.chart(
            &chart,
            "A band reaches from the lowest to the highest of the seeds, a line is their mean.",
        );
    }
    let mut rows = Vec::new();
    for name in NETWORKS {
        let [Some(train), Some(test)] =
            ["training error", "test error"].map(|what| last(record, name, what))
        else {
            continue;
        };
        page.figure(format!("{name}_training_error"), train.mean);
        page.figure(format!("{name}_test_error"), test.mean);
        let n_seeds = curves(record, name, "steps").len();
        rows.push(vec![name.to_string(), n_seeds.to_string(), train.percent(), test.percent()]);
    }
    let columns = ["network", "seeds", "training error", "test error"];
    page.table("Errors at the end: mean, lowest and highest of the seeds", &columns, &rows);
    for (network, kind, claim) in [("plain", "plain", "worse"), ("resnet", "residual", "no worse")]
    {
        let [Some(shallow), Some(deep)] =
            [20, 56].map(|depth| last(record, &format!("{network}{depth}"), "training error"))
        else {
            continue;
        };
        let verdict = match kind {
            "plain" => Verdict::of(shallow.is_below(&deep), deep.is_below(&shallow)),
            _ => Verdict::of(!shallow.is_below(&deep), shallow.is_below(&deep)),
        };
        let (deep, shallow) = (deep.percent(), shallow.percent());
        page.verdict(
            &format!("{kind} networks of more layers train {claim}"),
            verdict,
            &format!("The training error is {deep} with 56 layers and {shallow} with 20."),
        );
    }
}
