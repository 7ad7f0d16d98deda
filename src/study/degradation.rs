//! Deeper plain networks train worse than shallower ones, and residual networks do not (He et al. 2015).
//!
//! Each network trains from scratch with the same recipe, over several seeds. `docs/lessons/degradation.md` has the text.

use super::lab::arms;
use super::lab::{BAND, Training, Verdict};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "degradation",
    claim: "deeper plain networks train worse, which is not overfitting, and residual ones do not",
    minutes: 6,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/degradation.md"),
    measure,
    show,
};

/// The networks with their styles in charts. The last one of each kind needs `--full`.
const NETWORKS: [&str; 6] = ["plain20", "plain56", "resnet20", "resnet56", "plain110", "resnet110"];

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_steps = lab.size([2, 64, 64_000]);
    arms::measure(lab, &NETWORKS[..lab.size([4, 4, 6])], |lab, name| {
        let network = lab.named(name, lab.width(lab.size([2, 8, 16])));
        Training::new(lab, lab.images.step(network, lab.size([8, 128, 128])), n_steps, 0.1)
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
    for (network, kind, claim) in [("plain", "plain", "worse"), ("resnet", "residual", "no worse")]
    {
        let [Some(shallow), Some(deep)] =
            [20, 56].map(|depth| record.last(&format!("{network}{depth}"), "training error"))
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
    let deep = ["plain56", "resnet56"].map(|network| record.last(network, "training error"));
    let [Some(plain), Some(residual)] = deep else { return };
    page.verdict(
        "of 56 layers, those with shortcuts train better",
        Verdict::of(residual.is_below(&plain), plain.is_below(&residual)),
        &format!(
            "The training error is {} with shortcuts and {} without.",
            residual.percent(),
            plain.percent()
        ),
    );
}
