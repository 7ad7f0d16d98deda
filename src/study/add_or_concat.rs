//! Inception concatenates where a residual network adds.
//!
//! The same network trains with both ends of its blocks. `docs/lessons/add_or_concat.md` has the text.

use wgrad::nn::Weights;
use wgrad::tape::StateLayout;
use wgrad::train::step::StepConfig;

use super::lab::{BAND, Cost, Training, Verdict, arms, step_times};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "add-or-concat",
    claim: "Inception concatenates where a residual network adds",
    minutes: 1,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/add_or_concat.md"),
    measure,
    show,
};

/// The runs. The last two are of the same network, and differ in the initial weights of the 1x1 convolutions behind the
/// concatenations.
const RUNS: [&str; 3] = ["add", "concat", "concat, sum at first"];
const SUM_AT_FIRST: usize = 2;

/// The end of the names of the weights behind a concatenation.
pub const MERGE: &str = ".merge.weight";

const N_SEEDS: u64 = 3;

/// Returns the step of the `ix`-th run.
pub(super) fn step(lab: &Lab<'_>, ix: usize) -> StepConfig {
    let depth = lab.size([8, 14, 20]);
    let name = if ix == 0 { format!("resnet{depth}") } else { format!("resnet{depth}-concat") };
    let network = lab.named(&name, lab.width(lab.size([2, 8, 16])));
    Training::new(lab, lab.images.step(network, lab.size([8, 64, 128])), 1, 0.1).step
}

/// Overwrites the weights behind each concatenation of y and s, `[1, 1, 2C, C]`, by `[I I]`. The convolution is then the
/// sum y + s.
pub fn begin_as_sum(layout: &StateLayout, weights: &mut Weights) {
    for entry in layout.parameters.iter().filter(|entry| entry.name.ends_with(MERGE)) {
        let n_channels = entry.shape[3];
        for (ix, weight) in weights.parameters[entry.range()].iter_mut().enumerate() {
            let (from, to) = (ix / n_channels, ix % n_channels);
            *weight = if from % n_channels == to { 1.0 } else { 0.0 };
        }
    }
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    for (ix, run) in RUNS.iter().enumerate() {
        let step = step(lab, ix);
        lab.measure(&format!("cost/{run}"), |_| Ok(Cost::counted(step.network, &step)))?;
        for seed in lab.seeds(N_SEEDS) {
            lab.measure(&format!("{run}/seed {seed}"), |lab| {
                let n_steps = lab.size([2, 80, 64_000]);
                let training = Training::new(lab, step.clone(), n_steps, 0.1);
                let training = Training { seed, every: n_steps.div_ceil(4), ..training };
                let (_, curve) = training.run_from(lab, |trainer| {
                    let mut weights = trainer.state.weights()?;
                    if ix == SUM_AT_FIRST {
                        begin_as_sum(&trainer.state.layout, &mut weights);
                    }
                    Ok(trainer.state.set_weights(&weights)?)
                })?;
                Ok(curve.measurements())
            })?;
        }
    }
    lab.measure("time", |lab| {
        let times = step_times(lab, &[step(lab, 0), step(lab, 1)], lab.size([2, 20, 20]))?;
        let named = RUNS.iter().zip(times);
        Ok(named.map(|(run, times)| (format!("{run}/seconds"), times)).collect())
    })
}

fn show(record: &Record, page: &mut Page) {
    for (title, what) in [("Training error", "training error"), ("Test error", "test error")] {
        page.chart(&arms::chart(record, &RUNS, what, title, "steps"), BAND);
    }
    let mut rows = Vec::new();
    let mut found: [Option<Cost>; 3] = [None; 3];
    for (ix, run) in RUNS.iter().enumerate() {
        let times = format!("time/{}/seconds", RUNS[ix.min(1)]);
        let (Some(cost), Some(error), Some(train)) = (
            Cost::of(record, &format!("cost/{run}"), &times),
            record.last(run, "test error"),
            record.last(run, "training error"),
        ) else {
            continue;
        };
        let key = run.replace(", ", "_").replace(' ', "_");
        page.figure(format!("{key}_test_error"), error.mean);
        page.figure(format!("{key}_parameters"), cost.parameters);
        page.figure(format!("{key}_bytes"), cost.bytes);
        page.figure(format!("{key}_step_seconds"), cost.seconds.map_or(f64::NAN, |s| s.mean));
        let mut row = vec![run.to_string()];
        row.extend(cost.cells());
        row.extend([train.percent(), error.percent()]);
        rows.push(row);
        found[ix] = Some(cost);
    }
    let columns = [
        "end of a block",
        "parameters (k)",
        "operations (M)",
        "memory (MiB)",
        "step (ms)",
        "training error",
        "test error",
    ];
    page.table("The same network with both ends of its blocks", &columns, &rows);

    for (run, is) in [(1, "concatenation"), (SUM_AT_FIRST, "concatenation that begins as the sum")]
    {
        let claim = format!("{is} gives a lower error than addition");
        arms::is_lowest(record, page, &claim, &[RUNS[run], RUNS[0]]);
    }
    let [Some(add), Some(concat), _] = found else { return };
    let ratio = concat.bytes / add.bytes;
    let sizes = format!(
        "It takes {ratio:.2} times the memory, and has {:.2} times the parameters.",
        concat.parameters / add.parameters
    );
    let more_memory = Verdict::of(ratio > 1.0, ratio < 1.0);
    page.verdict("concatenation takes more memory than addition", more_memory, &sizes);
    if let (Some(adding), Some(other)) = (add.seconds, concat.seconds) {
        page.verdict(
            "concatenation takes more time than addition",
            Verdict::of(adding.is_below(&other), other.is_below(&adding)),
            &format!("A step takes {:.2} times as long.", other.mean / adding.mean),
        );
    }
}
