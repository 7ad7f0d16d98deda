//! A block at zero is the identity, so stacking such blocks cannot hurt (He et al. 2015).
//!
//! A trained network gets twice as many additional blocks as it has, whose branches end in a batch norm with the weight 0.
//! Then both networks train on. `docs/lessons/identity.md` has the text.

use wgrad::base::chart::lines::Unit;
use wgrad::data::batches::in_order;

use super::lab::flow::percent;
use super::lab::{Blocks, Interval, MARGIN, Recipe, Spread, Trained, Training, Verdict, n_blocks};
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

/// The largest number of training images whose error is measured.
const N_TRAIN: usize = 1000;

/// The parts of the additional blocks that are switched on.
const N_PARTS: usize = 3;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let recipe = Recipe {
        network: lab.size(["resnet8", "resnet8", "resnet20"]),
        width: lab.size([2, 8, 16]),
        batch_size: lab.size([8, 64, 128]),
        n_steps: lab.size([2, 100, 16_000]),
    };
    let n_blocks = n_blocks(lab.subject(recipe)?)?;
    let mut shallow = lab.one_subject(recipe)?;
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

/// Trains a network on. Returns it, and its errors over the test images and over the first of the training images.
fn train_on(lab: &Lab<'_>, network: &Trained, seed: u64) -> anyhow::Result<(Trained, [f64; 2])> {
    let step = lab.images.step(network.network, lab.size([8, 64, 128]));
    let n_steps = lab.size([2, 28, 16_000]);
    let training = Training::new(lab, step, n_steps, 0.05);
    let training = Training { seed, every: n_steps, ..training };
    let (mut trainer, curve) =
        training.run_from(lab, |trainer| Ok(trainer.state.set_weights(&network.weights)?))?;
    let trained = Trained { weights: trainer.state.weights()?, ..network.clone() };
    let train = lab.images.train();
    let few = train.select(&in_order(train.len().min(N_TRAIN)));
    let train_error = trained.error(lab, &mut trained.evaluator(lab)?, &few)?;
    Ok((trained, [curve.last_test_error(), train_error]))
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
    blocks_on(record, page);
    let (Some(n_logits), Some(n_different)) =
        (record.number("bits/logits"), record.number("bits/different"))
    else {
        return;
    };
    let Some(&[shallow, deep]) = record.get("bits/errors") else { return };
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
    for what in ["training error", "test error"] {
        let errors = ["shallow", "deep"].map(|name| record.spread(name, what, 0));
        let [Some(shallow), Some(deep)] = errors else { continue };
        let difference = record.difference_at_end(["deep", "shallow"], what);
        page.verdict(
            &format!(
                "additional blocks that begin at zero raise the {what} after training by at most 2 points"
            ),
            Verdict::below(difference, MARGIN),
            &format!(
                "It is {} with them and {} without, a difference of {}.",
                deep.percent(),
                shallow.percent(),
                Interval::points(difference)
            ),
        );
    }
}

/// Shows the test error as the additional blocks are switched on.
fn blocks_on(record: &Record, page: &mut Page) {
    let [on, random] =
        ["blocks on", "errors"].map(|what| record.get(&format!("random blocks/{what}")));
    let (Some(on), Some(random)) = (on, random) else { return };
    let series = [
        Spread::series("blocks with new weights", 0, on, &[random]),
        record.curve("deep", "errors", "blocks that were trained from zero", 1, on),
    ];
    let axis = ("additional blocks that are switched on", Unit::Count);
    let title = "Test error as blocks are switched on";
    let caption = "A block that is switched off has a branch of zero.";
    page.curves(title, axis, Unit::Percent, series, caption);
    let row = |(ix, (n, random)): (usize, (&f64, &f64))| {
        let trained = record.spread("deep", "errors", ix);
        let trained = trained.map_or_else(|| "-".to_string(), |error| error.percent());
        vec![n.to_string(), percent(*random), trained]
    };
    let rows: Vec<_> = on.iter().zip(random).enumerate().map(row).collect();
    page.figure("random_blocks_error", random.last().copied().unwrap_or(f64::NAN));
    page.table(title, &["blocks on", "new weights", "trained from zero"], &rows);
}
