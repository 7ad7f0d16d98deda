//! Compares several runs: the settings that differ, the results, and the curves.

use std::path::Path;

use super::LoadedRun;
use super::curves::{self, Number};
use super::html::{Page, note, table};
use crate::base::chart::lines::{Unit, style_of_many};
use crate::base::chart::{Chart, Series, escape};
use crate::base::shown::{Shown, escaped};
use crate::base::units::thousands;
use crate::train::EpochMetrics;
use crate::train::console::duration;
use crate::train::folder::Summary;
use crate::train::metrics::best;

/// The text of a cell without a value.
const NOTHING: &str = "–";

/// A row of the table: its label, and a cell for each run.
struct Row {
    label: String,
    cells: Vec<String>,
    /// True for the best cells of the row.
    best: Vec<bool>,
}

impl Row {
    fn plain(label: impl Into<String>, cells: Vec<String>) -> Self {
        let best = vec![false; cells.len()];
        Self { label: label.into(), cells, best }
    }

    /// Returns a row of numbers, one per run, formatted by `show`. The largest number is the best with `factor` 1, the
    /// smallest with `factor` -1.
    fn ranked(
        label: &str,
        runs: &[LoadedRun],
        factor: f64,
        number: impl Fn(&LoadedRun) -> Option<f64>,
        show: impl Fn(f64) -> String,
    ) -> Self {
        let numbers: Vec<Option<f64>> = runs.iter().map(number).collect();
        let ranks = numbers.iter().flatten().map(|number| factor * number);
        let top = ranks.fold(f64::NEG_INFINITY, f64::max);
        let cell = |number: &Option<f64>| number.map_or(NOTHING.to_string(), &show);
        let cells: Vec<String> = numbers.iter().map(cell).collect();
        let best: Vec<bool> =
            numbers.iter().map(|number| number.is_some_and(|n| factor * n == top)).collect();
        // If the number of every run is the best, no cell is marked as the best.
        let all = best.iter().all(|best| *best);
        Self { label: label.to_string(), best: best.iter().map(|b| *b && !all).collect(), cells }
    }
}

/// Returns the table as text with one column per run.
pub fn text(runs: &[LoadedRun]) -> String {
    let mut rows = vec![Row::plain("", names(runs))];
    let settings = settings(runs);
    if settings.is_empty() {
        rows.push(Row::plain("settings", vec!["the same".to_string(); runs.len()]));
    }
    rows.extend(settings);
    rows.push(Row::plain("", vec![String::new(); runs.len()]));
    rows.extend(results(runs));

    let width = |column: &mut dyn Iterator<Item = &str>| {
        column.map(|cell| escaped(cell).chars().count()).max().unwrap_or(0)
    };
    let label_width = width(&mut rows.iter().map(|row| row.label.as_str()));
    let widths: Vec<usize> = (0..runs.len())
        .map(|run| width(&mut rows.iter().map(|row| row.cells[run].as_str())))
        .collect();
    let line = |row: &Row| {
        let mut line = format!("{:label_width$}", escaped(&row.label));
        for (cell, width) in row.cells.iter().zip(&widths) {
            line += &format!("   {:>width$}", escaped(cell));
        }
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// Returns the page as HTML.
pub fn page(runs: &[LoadedRun]) -> String {
    let names = names(runs);
    let folders: Vec<_> = runs.iter().map(|run| run.path.shown()).collect();
    let mut page = Page::new(
        &format!("{} runs", runs.len()),
        format!("<p>{}</p>", escape(&folders.join(", "))),
    );
    let settings = settings(runs);
    let settings = match settings.is_empty() {
        true => note("All settings are the same."),
        false => html_table(&names, &settings),
    };
    let results = html_table(&names, &results(runs));
    let both = format!(
        "<div><h3>Results</h3>\n{results}</div>\n<div><h3>Settings that differ</h3>\n{settings}</div>"
    );
    page.section("Results and settings", format!("<div class=\"two\">{both}</div>\n"));
    let charts = charts(runs);
    page.section(
        "Curves",
        match charts.is_empty() {
            true => note("No run has finished an epoch."),
            false => format!("<div class=\"charts\">\n{charts}</div>\n"),
        },
    );
    page.finish()
}

fn html_table(names: &[String], rows: &[Row]) -> String {
    let headings: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let cell = |(cell, best): (&String, &bool)| match best {
        true => format!("<b>{}</b>", escape(cell)),
        false => escape(cell),
    };
    let row = |row: &Row| {
        let cells = row.cells.iter().zip(&row.best).map(cell);
        std::iter::once(escape(&row.label)).chain(cells).collect()
    };
    table("compare", &headings, &rows.iter().map(row).collect::<Vec<_>>())
}

/// Returns the runs' names: their folders' names, or the whole paths if two runs have the same name.
fn names(runs: &[LoadedRun]) -> Vec<String> {
    let short: Vec<String> = runs
        .iter()
        .map(|run| match run.path.file_name() {
            Some(name) => Path::new(name).shown(),
            None => run.path.shown(),
        })
        .collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    match short.iter().all(is_unique) {
        true => short,
        false => runs.iter().map(|run| run.path.shown()).collect(),
    }
}

/// Returns a row for each setting that differs between the runs. The rows have the order of the settings in the runs'
/// files.
fn settings(runs: &[LoadedRun]) -> Vec<Row> {
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in runs.iter().flat_map(|run| &run.settings) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |run: &LoadedRun, key: &String| {
        let setting = run.settings.iter().find(|(other, _)| other == key);
        setting.map_or(NOTHING.to_string(), |(_, value)| value.clone())
    };
    let row = |key: &&String| Row::plain(*key, runs.iter().map(|run| value(run, key)).collect());
    let differs = |row: &Row| row.cells.iter().any(|cell| *cell != row.cells[0]);
    keys.iter().map(row).filter(differs).collect()
}

fn results(runs: &[LoadedRun]) -> Vec<Row> {
    let percent = |part: f64| format!("{:.2}%", 100.0 * part);
    let best_epoch =
        |run: &LoadedRun| best(&run.epochs).map_or(NOTHING.into(), |e| e.epoch.to_string());
    let sum = |number: fn(&EpochMetrics) -> f64| {
        move |run: &LoadedRun| match run.epochs.is_empty() {
            true => None,
            false => Some(run.epochs.iter().map(number).sum::<f64>()),
        }
    };
    // Times are not ranked, because a run of fewer epochs is not better.
    let time = |label: &str, seconds: fn(&EpochMetrics) -> f64| {
        let cell = |run| sum(seconds)(run).map_or(NOTHING.to_string(), duration);
        Row::plain(label, runs.iter().map(cell).collect())
    };
    let speed = |run: &LoadedRun| {
        let n_images = sum(|epoch| epoch.images_per_s * epoch.seconds)(run)?;
        Some(n_images / sum(|epoch| epoch.seconds)(run)?)
    };
    let last = |number: Number| move |run: &LoadedRun| run.epochs.last().and_then(number);
    let best_accuracy = |run: &LoadedRun| best(&run.epochs).and_then(accuracy);
    let mut rows = vec![
        Row::plain("evaluated on", runs.iter().map(|run| evaluated_on(run).to_string()).collect()),
        Row::ranked("best accuracy", runs, 1.0, best_accuracy, percent),
        Row::plain("  after epoch", runs.iter().map(best_epoch).collect()),
        Row::ranked("final accuracy", runs, 1.0, last(accuracy), percent),
        Row::ranked("final loss", runs, -1.0, last(loss), |loss| format!("{loss:.4}")),
        Row::plain("epochs", runs.iter().map(|run| run.epochs.len().to_string()).collect()),
        time("time of training", |epoch| epoch.seconds),
        time("time of evaluation", |epoch| epoch.eval_seconds),
        Row::ranked("images/s", runs, 1.0, speed, |speed| thousands(speed.round() as usize)),
    ];
    let step = |run: &LoadedRun| {
        let layers = &run.summary.as_ref()?.layer_times;
        (!layers.is_empty()).then(|| layers.iter().map(|layer| layer.seconds).sum::<f64>())
    };
    if runs.iter().any(|run| step(run).is_some()) {
        let cell = |run| step(run).map_or(NOTHING.to_string(), |s| format!("{:.1} ms", 1e3 * s));
        rows.push(Row::plain("time of a step", runs.iter().map(cell).collect()));
    }
    rows.extend(words("device", runs, |summary| &summary.device));
    rows.extend(words("ended", runs, |summary| &summary.ended));
    // If a run has validation images, the rows above have its accuracy on these images. The test accuracy then has a
    // separate row.
    if runs.iter().any(|run| evaluated_on(run) == "validation") {
        let tested = |run: &LoadedRun| run.summary.as_ref()?.test_accuracy;
        rows.push(Row::ranked("test accuracy", runs, 1.0, tested, percent));
    }
    if runs[1..].iter().any(|run| n_same(&runs[0], run) > 0) {
        let same = runs[1..].iter().map(|run| n_same(&runs[0], run).to_string());
        let cells = std::iter::once(NOTHING.to_string()).chain(same).collect();
        rows.push(Row::plain("epochs with the first run's bits", cells));
    }
    rows
}

/// Returns a row with the text that `word` selects from each run's summary; None if no run has a summary.
fn words(label: &str, runs: &[LoadedRun], word: fn(&Summary) -> &str) -> Option<Row> {
    let cell = |run: &LoadedRun| run.summary.as_ref().map_or(NOTHING, word).to_string();
    let any = runs.iter().any(|run| run.summary.is_some());
    any.then(|| Row::plain(label, runs.iter().map(cell).collect()))
}

fn accuracy(epoch: &EpochMetrics) -> Option<f64> {
    Some(epoch.accuracy())
}

fn loss(epoch: &EpochMetrics) -> Option<f64> {
    Some(epoch.loss())
}

/// Returns the split that a run's epochs are evaluated on: test or validation.
fn evaluated_on(run: &LoadedRun) -> &'static str {
    run.epochs.first().map_or(NOTHING, EpochMetrics::evaluated_on)
}

/// Returns the number of epochs, counted from the first, after which both runs still have the same weights bit for bit.
fn n_same(a: &LoadedRun, b: &LoadedRun) -> usize {
    let pairs = a.epochs.iter().zip(&b.epochs);
    pairs.take_while(|(a, b)| (a.epoch, a.weights) == (b.epoch, b.weights)).count()
}

fn charts(runs: &[LoadedRun]) -> String {
    let names = names(runs);
    let each = |title: &str, unit, number: Number| {
        let series = runs.iter().zip(&names).enumerate();
        let series = series
            .map(|(ix, (run, name))| curves::series(name, style_of_many(ix), &run.epochs, number));
        curves::over_epochs(title, unit, series.collect())
    };
    [
        each("Accuracy", Unit::Percent, accuracy),
        over_time(runs, &names),
        each("Loss", Unit::Plain, loss),
        each("Training loss", Unit::Plain, |epoch| Some(epoch.train_loss)),
        each("Training accuracy", Unit::Percent, |epoch| Some(epoch.train_accuracy)),
        each("Learning rate at the epoch's end", Unit::Plain, |epoch| Some(epoch.lr)),
    ]
    .iter()
    .map(Chart::figure)
    .collect()
}

/// Returns a chart of the accuracy over the time of training and evaluation.
fn over_time(runs: &[LoadedRun], names: &[String]) -> Chart {
    let longest = runs.iter().map(|run| minutes(&run.epochs).last().copied().unwrap_or(0.0));
    let (label, factor) = match longest.fold(0.0, f64::max) {
        longest if longest < 2.0 => ("seconds", 60.0),
        longest if longest > 180.0 => ("hours", 1.0 / 60.0),
        _ => ("minutes", 1.0),
    };
    let series = |(ix, (run, name)): (usize, (&LoadedRun, &String))| {
        let times = minutes(&run.epochs).into_iter().map(|minutes| factor * minutes);
        let points = times.zip(&run.epochs).filter_map(|(t, epoch)| Some((t, accuracy(epoch)?)));
        Series {
            name: name.clone(),
            points: points.collect(),
            style: style_of_many(ix),
            ..Series::default()
        }
    };
    Chart {
        title: "Accuracy over time".to_string(),
        x_label: format!("{label} of training and evaluation"),
        x_unit: Unit::Plain,
        y_unit: Unit::Percent,
        from_zero: false,
        series: runs.iter().zip(names).enumerate().map(series).collect(),
    }
}

/// Returns the minutes of training and evaluation from the start of the run to the end of each epoch.
fn minutes(epochs: &[EpochMetrics]) -> Vec<f64> {
    let add = |total: &mut f64, epoch: &EpochMetrics| {
        *total += (epoch.seconds + epoch.eval_seconds) / 60.0;
        Some(*total)
    };
    epochs.iter().scan(0.0, add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, width: &str, accuracies: &[f64]) -> LoadedRun {
        let setting = |(key, value): (&str, &str)| (key.to_string(), value.to_string());
        let epoch = |(ix, &accuracy): (usize, &f64)| EpochMetrics {
            seconds: 50.0,
            eval_seconds: 10.0,
            ..EpochMetrics::example(ix + 1, accuracy)
        };
        LoadedRun {
            path: name.into(),
            settings: [("seed", "0"), ("width", width)].map(setting).to_vec(),
            epochs: accuracies.iter().enumerate().map(epoch).collect(),
            summary: None,
        }
    }

    #[test]
    fn the_table_has_the_differing_settings_and_the_results() {
        let mut runs = [run("a/x", "8", &[0.5, 0.75, 0.625]), run("a/y", "16", &[0.25])];
        runs[1].settings.push(("validation".into(), "100".into()));
        let text = text(&runs);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["width", "8", "16"]);
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["validation", "–", "100"]);
        assert!(!text.contains("seed"), "{text}");
        let cells = |label: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(label)).expect(label);
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(cells("best accuracy"), ["75.00%", "25.00%"]);
        assert_eq!(cells("  after epoch"), ["2", "1"]);
        assert_eq!(cells("final accuracy"), ["62.50%", "25.00%"]);
        assert_eq!(cells("time of training"), ["2m 30s", "50.0s"]);
        assert_eq!(cells("epochs with the first run's bits"), ["–", "1"]);
        let page = page(&runs);
        assert!(page.contains("<b>75.00%</b>") && !page.contains("<b>25.00%</b>"), "{page}");
        assert!(page.contains("minutes of training and evaluation"), "{page}");
    }

    #[test]
    fn runs_without_epochs_and_of_the_same_name_are_compared() {
        let runs = [run("a/x", "8", &[]), run("b/x", "8", &[])];
        let text = text(&runs);
        assert!(text.contains("a/x") && text.contains("the same"), "{text}");
        assert!(page(&runs).contains("No run has finished an epoch"));
    }

    #[test]
    fn equal_results_have_no_best() {
        let runs = [run("x", "8", &[0.5]), run("y", "8", &[0.5])];
        assert!(results(&runs).iter().all(|row| row.best.iter().all(|best| !best)));
    }
}
