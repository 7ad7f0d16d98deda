//! The sections of a run's page.

use std::fs;

use super::html::{Page, note, table, tiles};
use super::pixels::AugmentedBatch;
use super::{Run, confusion, curves, loaded_run, picture, worst};
use crate::Error;
use crate::base::chart::{Chart, escape};
use crate::base::sorting::sort_by;
use crate::base::units::thousands;
use crate::device::Device;
use crate::device::gpu::info;
use crate::train::console::duration;
use crate::train::folder::LayerTime;
use crate::train::metrics::best;
use crate::train::{EpochMetrics, Evaluation, lr_find, step};

/// The contents of a run's page. Sections without contents are left out.
pub struct Contents<'a> {
    /// The run.
    pub run: Run<'a>,
    /// An augmented batch; None if the training images are not available.
    pub batch: Option<AugmentedBatch>,
    /// The results on the images of the [evaluated split](Run::evaluated); None without a complete evaluation.
    pub evaluation: Option<Evaluation>,
    /// The error that prevented predictions with the saved weights; None without an error.
    pub no_predictions: Option<Error>,
    /// The filters of the first convolution, as HTML.
    pub filters: String,
}

/// Returns the page as HTML.
pub fn page(contents: &Contents<'_>) -> String {
    let Contents { run, batch, evaluation, no_predictions, filters } = contents;
    let dataset = &run.loaded.dataset;
    let mut page = Page::new(&name(run), lead(run));
    page.section("Summary", summary(run, evaluation.as_ref()));
    page.section("Curves", charts(run));
    if let Some(evaluation) = evaluation {
        let ((split, kind), names) = (run.evaluated(), &dataset.spec.classes);
        page.section("Confusion matrix", confusion::section(evaluation, names, kind));
        page.section(
            "Worst errors",
            worst::section(evaluation, split, dataset.dir.as_deref(), names, kind),
        );
    }
    if let Some(reason) = no_predictions {
        page.section("Confusion matrix", note(&reason.to_string()));
    }
    page.section("Learning-rate finder", lr_finder(run));
    let batch = batch.as_ref().map(|batch| batch.section(&dataset.spec.classes));
    page.section("Augmented batch", batch.unwrap_or_default());
    page.section("First filters", filters.clone());
    let layers = run.summary.map_or(&[][..], |summary| &summary.layer_times);
    page.section("Time of a step", time_of_step(layers));
    page.section("Configuration", configuration(run));
    page.section("Device and versions", device(run));
    page.finish()
}

/// Returns the name of the run's folder: `2026-11-22-075444`.
fn name(run: &Run<'_>) -> String {
    // Paths such as `.` and `runs/..` do not end with the folder's name; the canonical path does.
    let folder = run.folder.canonicalize().unwrap_or_else(|_| run.folder.to_path_buf());
    folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

fn lead(run: &Run<'_>) -> String {
    let dataset = &run.loaded.dataset;
    let mut out = format!("<p>{}</p>\n", escape(&dataset.description));
    let notice = run.loaded.notice.iter().map(ToString::to_string);
    for words in notice.chain(dataset.warnings.iter().cloned()) {
        out += &format!("<p class=\"warning\">{}</p>\n", escape(words.trim_end()));
    }
    if let Some(other) = run.other_data {
        out += &format!(
            "<p class=\"warning\">{}. Predictions on this page are of these images. The figures, the curves and the \
             settings are those of the training; the schedule and the augmented batch are left out.</p>\n",
            escape(&sentence_case(other))
        );
    }
    out
}

/// Capitalises the first letter.
fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Returns the tiles with key figures. `evaluated` has the results of the saved weights. A run can have saved weights,
/// in a checkpoint, before its first epoch is finished.
fn summary(run: &Run<'_>, evaluated: Option<&Evaluation>) -> String {
    let percent = |epoch: &EpochMetrics| format!("{:.2}%", 100.0 * epoch.accuracy());
    let in_all = run.recipe.epochs;
    let how = run.summary.map_or("not finished", |summary| &summary.ended);
    let n_epochs = (format!("{} of {in_all}", run.epochs.len()), how.to_string());
    let (Some(last), Some(best)) = (run.epochs.last(), best(run.epochs)) else {
        let what_there_is = match evaluated.is_some() {
            true => " The sections below show the latest saved weights.",
            false => "",
        };
        return tiles(&[("epochs", n_epochs.0, n_epochs.1)])
            + &note(&format!("No epoch was finished: there are no curves yet.{what_there_is}"));
    };
    let training: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    let evaluation: f64 = run.epochs.iter().map(|epoch| epoch.eval_seconds).sum();
    let n_images: f64 = run.epochs.iter().map(|epoch| epoch.images_per_s * epoch.seconds).sum();
    let speed = thousands((n_images / training).round() as usize);
    let config = run.recipe.step();
    let n_parameters = step::evaluation(&config).tape.state().n_parameters();
    let (accuracy, loss) = match last.evaluated_on() {
        "validation" => ("validation accuracy", "validation loss"),
        _ => ("test accuracy", "test loss"),
    };
    let mut shown = vec![
        (accuracy, percent(last), format!("after epoch {}", last.epoch)),
        (
            "best accuracy",
            percent(best),
            format!("epoch {}, chosen on the {} images", best.epoch, best.evaluated_on()),
        ),
        (loss, format!("{:.4}", last.loss()), format!("training {:.4}", last.train_loss)),
        ("epochs", n_epochs.0, n_epochs.1),
        ("training", duration(training), format!("evaluation {}", duration(evaluation))),
        ("speed", format!("{speed}/s"), "training images".to_string()),
        ("parameters", thousands(n_parameters), config.network.to_string()),
    ];
    // If the run has a validation split, the test accuracy has a tile of its own.
    if let Some(test) = run.summary.and_then(|summary| summary.test_accuracy)
        && last.test_accuracy.is_none()
    {
        let tested = ("test accuracy", format!("{:.2}%", 100.0 * test), "at the end".to_string());
        shown.insert(0, tested);
    }
    // The tiles have the results of the training, and other images are not part of it.
    let of_run = evaluated.filter(|_| run.other_data.is_none());
    if let Some(top5) = of_run.and_then(|evaluation| evaluation.top5) {
        let images = format!("{} images", run.evaluated().1);
        shown.insert(1, ("top-5 accuracy", format!("{:.2}%", 100.0 * top5), images));
    }
    tiles(&shown)
}

fn charts(run: &Run<'_>) -> String {
    let n_images = run.loaded.dataset.train.len();
    let steps_per_epoch = run.recipe.steps_per_epoch(n_images);
    let finished = run.summary.map_or(0, |summary| summary.n_steps);
    let n_steps = finished.max(run.epochs.len() * steps_per_epoch);
    let schedule = || {
        let (schedule, total) = (run.recipe.schedule(n_images), run.recipe.n_steps(n_images));
        curves::schedule(&*schedule, steps_per_epoch, n_steps, total)
    };
    let charts = [
        Some(curves::loss(run.epochs)),
        Some(curves::accuracy(run.epochs)),
        run.other_data.is_none().then(schedule),
        Some(curves::speed(run.epochs)),
    ];
    let figures: String = charts.iter().flatten().map(Chart::figure).collect();
    let mut out = format!("<div class=\"charts\">\n{figures}</div>\n");
    if !run.epochs.is_empty() {
        let headings = [
            "epoch",
            "rate at its end",
            "training loss",
            "accuracy",
            if run.epochs[0].evaluated_on() == "test" { "test loss" } else { "validation loss" },
            "accuracy",
            "seconds",
            "evaluation",
            "images/s",
        ];
        let rows: Vec<_> = run.epochs.iter().map(numbers).collect();
        out += "<details><summary>All numbers, epoch by epoch</summary>\n";
        out += &table("epochs", &headings, &rows);
        out += "</details>\n";
    }
    out
}

/// Returns the drawing of the learning-rate sweep; empty for a run without a sweep.
fn lr_finder(run: &Run<'_>) -> String {
    let Ok(drawing) = fs::read(run.folder.join(lr_find::SVG)) else { return String::new() };
    let uri = picture::data_uri("image/svg+xml", &drawing);
    format!(
        "<img class=\"drawing\" src=\"{uri}\" alt=\"loss over learning rate, with the suggestions\">\n"
    )
}

fn numbers(epoch: &EpochMetrics) -> Vec<String> {
    vec![
        epoch.epoch.to_string(),
        format!("{:.6}", epoch.lr),
        format!("{:.4}", epoch.train_loss),
        format!("{:.2}%", 100.0 * epoch.train_accuracy),
        format!("{:.4}", epoch.loss()),
        format!("{:.2}%", 100.0 * epoch.accuracy()),
        format!("{:.1}", epoch.seconds),
        format!("{:.1}", epoch.eval_seconds),
        format!("{:.0}", epoch.images_per_s),
    ]
}

/// Returns the time of each layer in a training step, with its percentage. The longest time comes first.
fn time_of_step(layers: &[LayerTime]) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let in_all: f64 = layers.iter().map(|layer| layer.seconds).sum();
    let longest = layers.iter().map(|layer| layer.seconds).fold(0.0, f64::max);
    let milliseconds = |seconds: f64| format!("{:.2} ms", 1e3 * seconds);
    let mut sorted: Vec<&LayerTime> = layers.iter().collect();
    sort_by(&mut sorted, |a, b| b.seconds.total_cmp(&a.seconds));
    let row = |LayerTime { name, seconds }: &&LayerTime| {
        let part_of = |whole: f64| if whole > 0.0 { seconds / whole } else { 0.0 };
        let (share, bar) = (part_of(in_all), confusion::bar(part_of(longest)));
        vec![escape(name), milliseconds(*seconds), confusion::percent(Some(share)), bar]
    };
    let rows: Vec<Vec<String>> = sorted.iter().map(row).collect();
    note(&format!(
        "All layers together take {}: medians over several steps after the last epoch, timed node by node. \
         wgrad profile measures in more detail.",
        milliseconds(in_all)
    )) + &in_two(&rows, |rows| table("layers", &["layer", "time", "share", ""], rows))
}

/// Returns two tables side by side, if the page is wide enough.
fn in_two(rows: &[Vec<String>], table: impl Fn(&[Vec<String>]) -> String) -> String {
    let half = rows.len().div_ceil(2).max(1);
    let tables: String = rows.chunks(half).map(table).collect();
    format!("<div class=\"two\">{tables}</div>\n")
}

fn configuration(run: &Run<'_>) -> String {
    let settings = loaded_run::settings(&run.recipe.to_toml()).expect("valid settings");
    let rows: Vec<Vec<String>> =
        settings.iter().map(|(key, value)| vec![escape(key), escape(value)]).collect();
    note("The settings in config.toml. A run with this file repeats this run.")
        + &in_two(&rows, |rows| table("facts", &[], rows))
}

fn device(run: &Run<'_>) -> String {
    let (name, version) = (run.device.name(), env!("CARGO_PKG_VERSION"));
    let trained = run.summary.map(|summary| (summary.device.as_str(), summary.version.as_str()));
    let mut facts = vec![match trained {
        Some((device, _)) if device == name => ("trained on", name.clone()),
        _ => ("evaluated on", name.clone()),
    }];
    if let Some((device, _)) = trained.filter(|(device, _)| *device != name) {
        facts.insert(0, ("trained on", device.to_string()));
    }
    if let Some(ranks) = EpochMetrics::ranks(run.epochs) {
        facts.push(("ranks", ranks));
    }
    if let Device::Gpu(_) = run.device {
        // `run.device` has no details of its driver. The list of adapters has these details.
        let adapters = info::adapters();
        if let Some(adapter) = adapters.iter().find(|adapter| name.starts_with(&adapter.name)) {
            facts.push(("adapter", format!("{}, {}", adapter.kind, adapter.backend)));
            facts.push(("driver", format!("{} {}", adapter.driver, adapter.driver_info)));
        }
    }
    let system = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
    facts.push(("system", system));
    facts.push(("wgrad", version.to_string()));
    if let Some((_, before)) = trained.filter(|(_, before)| *before != version) {
        facts.push(("trained by wgrad", before.to_string()));
    }
    facts.push(("page written", jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()));
    let rows: Vec<_> = facts.iter().map(|(fact, text)| vec![escape(fact), escape(text)]).collect();
    table("facts", &[], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_sorted_by_their_time() {
        let layer = |name: &str, seconds| LayerTime { name: name.to_string(), seconds };
        let html = time_of_step(&[layer("b", 0.001), layer("a", 0.003)]);
        assert!(html.find(">a<").expect("there") < html.find(">b<").expect("there"), "{html}");
        assert!(html.contains("3.00 ms") && html.contains("75.0%") && html.contains("4.00 ms"));
        assert_eq!(time_of_step(&[]), "");
    }
}
