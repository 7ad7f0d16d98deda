//! A block at zero is the identity, so stacking such blocks cannot hurt (He et al. 2015).
//!
//! A trained network gets twice as many additional blocks as it has, whose branches end in a batch norm with the weight 0.
//! Then both networks train on. `docs/lessons/identity.md` has the text.

use wgrad::base::chart::lines::Unit;

use super::lab::flow::percent;
use super::lab::{Blocks, Spread, Trained, Training, Verdict};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "identity",
    claim: "a block at zero is the identity, so stacking such blocks cannot hurt",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/identity.md"),
    measure,
    show,
};

const N_SEEDS: u64 = 3;

/// The parts of the additional blocks that are switched on.
const N_PARTS: usize = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let names = ["resnet8", "resnet8", "resnet20"];
    let mut shallow = Trained::given_or_trained(lab, names, [2, 100, 16_000])?;
    let n_blocks = shallow.n_blocks()?;
    let stage = |factor| -> Blocks {
        let own = (0..n_blocks).map(|ix| (Some(ix), 1.0));
        own.chain(vec![(None, factor); 2 * n_blocks]).collect()
    };
    let deep = shallow.with_blocks(lab, &[0.0; 3].map(stage))?;
    lab.measure("bits", |lab| compare(lab, &shallow, &deep))?;

    let random = shallow.with_blocks(lab, &[1.0; 3].map(stage))?;
    lab.measure("random blocks", |lab| switched_on(lab, &random, n_blocks))?;
    for seed in lab.seeds(N_SEEDS) {
        for (name, network) in [("shallow", &shallow), ("deep", &deep)] {
            lab.measure(&format!("{name}/seed {seed}"), |lab| {
                let (trained, errors) = train_on(lab, network, seed)?;
                let mut numbers =
                    vec![("test error", vec![errors[0]]), ("training error", vec![errors[1]])];
                if name == "deep" {
                    numbers.extend(switched_on(lab, &trained, n_blocks)?);
                }
                Ok(numbers)
            })?;
        }
    }
    Ok(())
}

/// Compares the logits of two networks for all test images.
fn compare(
    lab: &Lab<'_>,
    a: &Trained,
    b: &Trained,
) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let [of_a, of_b] = [a.logits(lab)?, b.logits(lab)?];
    let n_different = of_a.iter().zip(&of_b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let error =
        |network: &Trained| network.error(lab, &mut network.evaluator(lab)?, lab.images.test());
    Ok(vec![
        ("logits", vec![of_a.len() as f64]),
        ("different", vec![n_different as f64]),
        ("errors", vec![error(a)?, error(b)?]),
    ])
}

/// Trains a network on. Returns it, and its test and training error.
fn train_on(lab: &Lab<'_>, network: &Trained, seed: u64) -> anyhow::Result<(Trained, [f64; 2])> {
    let step = lab.images.step(network.network, lab.size([8, 64, 128]));
    let n_steps = lab.size([2, 28, 16_000]);
    let training = Training::new(lab, step, n_steps, 0.05);
    let training = Training { seed, every: n_steps, ..training };
    let (mut trainer, curve) =
        training.run_from(lab, |trainer| Ok(trainer.state.set_weights(&network.weights)?))?;
    let weights = trainer.state.weights()?;
    Ok((
        Trained { weights, ..network.clone() },
        [curve.last_test_error(), curve.last_train_error()],
    ))
}

/// Returns the errors of a network of which a part of the additional blocks is switched on, those next to the images
/// first: none, a third, two thirds, all.
fn switched_on(
    lab: &Lab<'_>,
    network: &Trained,
    n_blocks: usize,
) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let added: Vec<String> = (1..=3)
        .flat_map(|stage| (n_blocks..3 * n_blocks).map(move |ix| format!("layer{stage}.{ix}.bn2")))
        .collect();
    let mut evaluator = network.evaluator(lab)?;
    let (mut n_on, mut errors) = (Vec::new(), Vec::new());
    for part in 0..=N_PARTS {
        lab.report(part, N_PARTS + 1)?;
        let n = added.len() * part / N_PARTS;
        let mut changed = network.clone();
        added[n..].iter().for_each(|batch_norm| changed.scale(batch_norm, 0.0));
        n_on.push(n as f64);
        errors.push(changed.error(lab, &mut evaluator, lab.images.test())?);
    }
    Ok(vec![("blocks on", n_on), ("errors", errors)])
}

fn show(record: &Record, page: &mut Page) {
    let (Some(n_logits), Some(n_different)) =
        (record.number("bits/logits"), record.number("bits/different"))
    else {
        return;
    };
    let Some(&[shallow, deep]) = record.get("bits/errors") else { return };
    let mut series = Vec::new();
    if let (Some(on), Some(errors)) =
        (record.get("random blocks/blocks on"), record.get("random blocks/errors"))
    {
        series.push(Spread::series("blocks with new weights", 0, on, &[errors]));
    }
    if let Some(on) = record.of_seeds("deep", "blocks on").first() {
        series.push(record.curve("deep", "errors", "blocks that were trained from zero", 1, on));
    }
    let axis = ("additional blocks that are switched on", Unit::Count);
    let caption = "The test error. A block that is switched off has a branch of zero.";
    page.curves("Error as blocks are switched on", axis, Unit::Percent, series, caption);

    let mut rows = vec![
        vec!["before, without additional blocks".to_string(), percent(shallow), String::new()],
        vec!["before, with blocks of zero".to_string(), percent(deep), String::new()],
    ];
    page.figure("n_logits", n_logits);
    page.figure("n_different_logits", n_different);
    page.figure("shallow_error", shallow);
    page.figure("deep_error", deep);
    for (name, about) in
        [("shallow", "trained on, without"), ("deep", "trained on, with blocks from zero")]
    {
        let errors = ["test error", "training error"].map(|error| record.spread(name, error, 0));
        if let [Some(test), Some(train)] = errors {
            page.figure(format!("{name}_trained_error"), test.mean);
            rows.push(vec![about.to_string(), test.percent(), train.percent()]);
        }
    }
    if let Some(error) = record.get("random blocks/errors").and_then(|errors| errors.last()) {
        page.figure("random_blocks_error", *error);
        rows.push(vec!["with blocks of new weights".to_string(), percent(*error), String::new()]);
    }
    page.table(
        "Errors: mean, lowest and highest of the seeds",
        &["network", "test error", "training error"],
        &rows,
    );

    page.verdict(
        "a deeper network whose additional blocks are zero computes the same bits",
        Verdict::of(n_different == 0.0, n_different > 0.0),
        &format!(
            "Of {n_logits} logits, {n_different} differ. The errors are {} and {}.",
            percent(shallow),
            percent(deep)
        ),
    );
    for (what, claim) in
        [("training error", "trains no worse"), ("test error", "has no higher test error")]
    {
        if let [Some(shallow), Some(deep)] =
            ["shallow", "deep"].map(|name| record.spread(name, what, 0))
        {
            page.verdict(
                &format!("a network that begins with additional blocks of zero {claim} than one without them"),
                Verdict::of(!shallow.is_below(&deep), shallow.is_below(&deep)),
                &format!("The {what} is {} with them and {} without.", deep.percent(), shallow.percent()),
            );
        }
    }
}
