//! Deeper plain networks train worse than shallower ones, and residual networks do not (He et al. 2015).
//!
//! Each network trains from scratch with the same recipe, over several seeds. `docs/lessons/degradation.md` has the text.

use wgrad::train::schedule::{MultiStep, Schedule};

use super::lab::arms;
use super::lab::{BAND, Interval, MARGIN, Training, Verdict};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "degradation",
    claim: "deeper plain networks train worse, which is not overfitting, and residual ones do not",
    minutes: 4,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/degradation.md"),
    measure,
    show,
};

/// The networks with their styles in charts. The last one of each kind needs `--full`.
const NETWORKS: [&str; 6] = ["plain20", "plain56", "resnet20", "resnet56", "plain110", "resnet110"];

/// The highest learning rate.
const MAX_LR: f64 = 0.1;

/// Returns the schedule of the paper, for a number of steps: a tenth of the rate after 1/2 of them, and a hundredth after
/// 3/4. The recipe `he2015` of the library has the same.
pub(super) fn published(n_steps: usize) -> Box<dyn Schedule> {
    let milestones = vec![n_steps / 2, n_steps * 3 / 4];
    Box::new(MultiStep { max_lr: MAX_LR, milestones, gamma: 0.1 })
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_steps = lab.size([2, 64, 64_000]);
    arms::measure(lab, &NETWORKS[..lab.size([4, 4, 6])], |lab, name| {
        let network = lab.named(name, lab.width(lab.size([2, 8, 16])));
        let step = lab.images.step(network, lab.size([8, 128, 128]));
        let training = Training::new(lab, step, n_steps, MAX_LR);
        match lab.size([false, false, true]) {
            true => Training { schedule: published(n_steps), ..training },
            false => training,
        }
    })
}

fn show(record: &Record, page: &mut Page) {
    for what in ["training error", "test error"] {
        let title = format!("{}{}", what[..1].to_uppercase(), &what[1..]);
        let chart = arms::chart(record, &NETWORKS, what, &title, "steps of 128 images");
        page.chart(&chart, BAND);
    }
    let mut rows = Vec::new();
    for name in NETWORKS {
        let [Some(train), Some(test)] =
            ["training error", "test error"].map(|what| record.last(name, what))
        else {
            continue;
        };
        page.figure(format!("{name}_training_error"), train.mean);
        page.figure(format!("{name}_test_error"), test.mean);
        let n_seeds = record.of_seeds(name, "steps").len();
        rows.push(vec![name.to_string(), n_seeds.to_string(), train.percent(), test.percent()]);
    }
    let columns = ["network", "seeds", "training error", "test error"];
    page.table("Errors at the end: mean, lowest and highest of the seeds", &columns, &rows);
    for (claim, [low, high], limit) in [
        ("plain networks of more layers train worse", ["plain20", "plain56"], 0.0),
        (
            "residual networks of more layers train worse by at most 2 points",
            ["resnet56", "resnet20"],
            MARGIN,
        ),
        ("of 56 layers, those with shortcuts train better", ["resnet56", "plain56"], 0.0),
    ] {
        let errors = [low, high].map(|name| record.last(name, "training error"));
        let [Some(of_low), Some(of_high)] = errors else { continue };
        let difference = record.difference_at_end([low, high], "training error");
        let text = format!(
            "The training error is {} for {low} and {} for {high}, a difference of {}.",
            of_low.percent(),
            of_high.percent(),
            Interval::points(difference)
        );
        page.verdict(claim, Verdict::below(difference, limit), &text);
    }
}
