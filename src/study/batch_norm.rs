//! Batch norm smooths the loss surface and tolerates higher learning rates.
//!
//! A plain network trains with and without batch norm, at several learning rates. Before and after the training, the loss
//! and its gradient are computed along the direction of the gradient. The trained network with batch norm is then
//! evaluated with the statistics of small batches. `docs/lessons/batch_norm.md` has the text.

use wgrad::base::chart::lines::Unit;
use wgrad::nn::NetworkConfig;

use super::lab::batch_statistics::statistics;
use super::lab::plain::plain8;
use super::lab::surface::line;
use super::lab::{BAND, Interval, Trained, Training, Verdict, arms};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "batch-norm",
    claim: "batch norm smooths the loss surface and tolerates higher learning rates",
    minutes: 1,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/batch_norm.md"),
    measure,
    show,
};

const NETWORKS: [&str; 2] = ["batch norm", "no norm"];

/// The peaks of the learning rate.
const RATES: [f64; 6] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// The index of the learning rate in the training between the two looks at the loss surface.
const LOOK: usize = 1;

/// The looks at the loss surface.
const LOOKS: [&str; 2] = ["before training", "after training"];

/// The numbers of images in a batch whose statistics are compared with those of all images.
const SIZES: [usize; 7] = [1, 2, 5, 10, 20, 50, 100];

/// The layers whose statistics are compared: the first and the last convolution.
const LAYERS: [&str; 2] = ["conv1", "conv7"];

/// A network has learned if its error is at least this much below that of a guess.
const LEARNED: f64 = 0.05;

const N_SEEDS: u64 = 3;

/// Returns the distances along the gradient, as learning rates.
fn distances() -> Vec<f64> {
    (-6..6).map(|power| 2.0_f64.powi(power)).collect()
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let width = lab.width(lab.size([2, 8, 64]));
    for (name, has_batch_norm) in NETWORKS.into_iter().zip([true, false]) {
        let network = lab.config(plain8(has_batch_norm), width);
        for seed in lab.seeds(N_SEEDS) {
            lab.measure(&format!("{name}/seed {seed}"), |lab| run(lab, network, seed))?;
        }
    }
    Ok(())
}

type Found = Vec<(String, Vec<f64>)>;

/// Trains a network at each learning rate. At one of them, looks at the loss surface and at the statistics.
fn run(lab: &Lab<'_>, network: NetworkConfig, seed: u64) -> anyhow::Result<Found> {
    let step = lab.images.step(network, lab.size([8, 32, 128]));
    let every = lab.size([2, 80, 4000]);
    let learned = 1.0 - 1.0 / network.classes as f64 - LEARNED;
    let (mut found, mut errors, mut highest) = (Vec::new(), Vec::new(), 0.0);
    for (ix, &lr) in lab.size([&RATES[..2], &RATES, &RATES]).iter().enumerate() {
        let training = Training { seed, every, ..Training::new(lab, step.clone(), every, lr) };
        let mut before = None;
        let (mut trainer, curve) = training.run_from(lab, |trainer| {
            before = Some(trainer.state.weights()?);
            Ok(())
        })?;
        let (before, error) = (before.expect("initial weights"), curve.last_test_error());
        errors.push(error);
        highest = if error <= learned { lr } else { highest };
        if ix == LOOK {
            let after = trainer.state.weights()?;
            for (look, weights) in LOOKS.into_iter().zip([&before, &after]) {
                let line = line(lab, network, weights, &distances())?;
                let falls = line.falls_until(&distances());
                let keeps = line.keeps_direction_until(&distances());
                found.push((format!("{look}/loss falls until"), vec![falls]));
                found.push((format!("{look}/direction until"), vec![keeps]));
                found.push((format!("{look}/loss"), line.losses));
                found.push((format!("{look}/cosine"), line.cosines));
            }
            let trained = Trained { weights: after, ..Trained::empty(lab, network)? };
            found.extend(statistics(lab, &trained, &LAYERS, &SIZES)?);
        }
    }
    found.push(("test error".to_string(), errors));
    found.push(("highest rate".to_string(), vec![highest]));
    Ok(found)
}

fn show(record: &Record, page: &mut Page) {
    for look in LOOKS {
        let axis = ("distance from the weights, in gradients", &distances()[..]);
        for (what, title, y_unit) in [
            ("loss", "Loss along the gradient", Unit::Log),
            ("cosine", "Cosine of the angle to the first gradient", Unit::Plain),
        ] {
            let (title, what) = (format!("{title}, {look}"), format!("{look}/{what}"));
            let lines = NETWORKS.map(|network| (network, network, what.as_str()));
            page.chart(&arms::lines(record, &title, axis, y_unit, &lines), BAND);
        }
        for (what, claim, text) in [
            ("loss falls until", "lowers the loss for longer steps", "the loss falls"),
            ("direction until", "keeps the gradient's direction longer", "the angle is below 60°"),
        ] {
            let claim = format!("batch norm {claim} {look}");
            let text = format!("Along the gradient, {text} up to a distance of");
            compare(record, page, &format!("{look}/{what}"), &claim, &text);
        }
    }
    let lines = NETWORKS.map(|network| (network, network, "test error"));
    let title = "Test error after training, by the peak of the learning rate";
    let axis = ("peak of the learning rate", &RATES[..]);
    page.chart(&arms::lines(record, title, axis, Unit::Percent, &lines), BAND);
    let claim = "batch norm tolerates higher learning rates";
    let text = "The highest learning rate with an error five points below that of a guess is";
    compare(record, page, "highest rate", claim, text);
    let rows = RATES.iter().enumerate().filter_map(|(ix, rate)| {
        let [with, without] = NETWORKS.map(|network| record.spread(network, "test error", ix));
        Some(vec![rate.to_string(), with?.percent(), without?.percent()])
    });
    let columns = ["peak", NETWORKS[0], NETWORKS[1]];
    page.table(title, &columns, &rows.collect::<Vec<_>>());
    show_statistics(record, page);
}

/// Adds the verdict whether a number is larger with batch norm than without, and the figures.
fn compare(record: &Record, page: &mut Page, what: &str, claim: &str, text: &str) {
    let [Some(with), Some(without)] = NETWORKS.map(|network| record.last(network, what)) else {
        return;
    };
    for (network, spread) in NETWORKS.iter().zip([with, without]) {
        page.figure(format!("{what}_{network}").replace([' ', '/'], "_"), spread.mean);
    }
    let difference = record.difference_at_end([NETWORKS[1], NETWORKS[0]], what);
    let text = format!(
        "{text} {with:.3} with batch norm and {without:.3} without, a difference of {}.",
        Interval::shown(difference, "", |of| format!("{of:.3}"))
    );
    page.verdict(claim, Verdict::below(difference, 0.0), &text);
}

fn show_statistics(record: &Record, page: &mut Page) {
    let (network, sizes) = (NETWORKS[0], SIZES.map(|size| size as f64));
    let axis = ("images in a batch", &sizes[..]);
    let title = "Test error with the statistics of a batch";
    let line = [("statistics of the batch", network, "error by size")];
    page.chart(&arms::lines(record, title, axis, Unit::Percent, &line), BAND);
    let parts =
        LAYERS.map(|layer| [format!("{layer}/means"), format!("{layer}/variances")]).concat();
    let lines: Vec<_> = parts.iter().map(|part| (&part[..], network, &part[..])).collect();
    let title = "Deviation of the statistics of a batch from those of all images";
    let caption =
        "Root mean squares: means in standard deviations, variances relative to the variance.";
    page.chart(&arms::lines(record, title, axis, Unit::Log, &lines), caption);
    let rows = SIZES.iter().enumerate().filter_map(|(ix, size)| {
        let mut row =
            vec![size.to_string(), record.spread(network, "error by size", ix)?.percent()];
        let deviations = parts.iter().filter_map(|part| record.spread(network, part, ix));
        row.extend(deviations.map(|spread| format!("{:.3}", spread.mean)));
        Some(row)
    });
    let mut columns = vec!["images in a batch", "test error"];
    columns.extend(parts.iter().map(String::as_str));
    page.table("Statistics of a batch in the trained network", &columns, &rows.collect::<Vec<_>>());
    let [Some(two), Some(running)] = [("error by size", 1), ("test error", LOOK)]
        .map(|(what, ix)| record.spread(network, what, ix))
    else {
        return;
    };
    page.figure("error_of_two", two.mean);
    page.figure("error_of_running_statistics", running.mean);
    let (of_two, of_running) = (two.percent(), running.percent());
    let [of_running_at, of_two_at] = [("test error", LOOK), ("error by size", 1)]
        .map(|(what, ix)| record.by_seed(network, what).into_values().map(move |all| all[ix]));
    let differences = of_running_at.zip(of_two_at).map(|(running, two)| running - two);
    let difference = Interval::of(&differences.collect::<Vec<_>>());
    page.verdict(
        "the statistics of small batches cost accuracy",
        Verdict::below(difference, 0.0),
        &format!(
            "The test error is {of_running} with the running statistics and {of_two} with those of two images, a \
             difference of {}.",
            Interval::points(difference)
        ),
    );
}
