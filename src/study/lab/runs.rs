//! Measurements over several seeds, as a record has them: `KEY/seed 1/test error`.

use wgrad::base::chart::lines::{Chart, Unit};

use super::{Record, Spread};

/// The sentence under a chart of [`chart`].
pub const CAPTION: &str =
    "A band reaches from the lowest to the highest of the seeds, a line is their mean.";

/// Returns the numbers `what` of the runs `key`, a list for each seed.
pub fn curves<'a>(record: &'a Record, key: &str, what: &str) -> Vec<&'a [f64]> {
    let prefix = format!("{key}/seed ");
    let of_seeds: Vec<String> = record.below(&prefix).map(|(name, _)| name.to_string()).collect();
    let wanted = of_seeds.iter().filter(|name| name.ends_with(&format!("/{what}")));
    wanted.filter_map(|name| record.get(&format!("{prefix}{name}"))).collect()
}

/// Returns the spread of the last numbers of the seeds.
pub fn last(record: &Record, key: &str, what: &str) -> Option<Spread> {
    let curves = curves(record, key, what);
    let ends: Vec<f64> = curves.iter().filter_map(|curve| curve.last().copied()).collect();
    Spread::of(&ends)
}

/// Returns the spread of the `ix`-th numbers of the seeds.
pub fn at(record: &Record, key: &str, what: &str, ix: usize) -> Option<Spread> {
    let curves = curves(record, key, what);
    let numbers: Vec<f64> = curves.iter().filter_map(|curve| curve.get(ix).copied()).collect();
    Spread::of(&numbers)
}

/// Returns a chart of the numbers `what`, fractions of 1, over the steps of the runs `keys`.
pub fn chart(record: &Record, title: &str, what: &str, keys: &[&str]) -> Chart {
    let series = keys.iter().enumerate().filter_map(|(style, key)| {
        let steps = *curves(record, key, "steps").first()?;
        Some(Spread::series(key, style, steps, &curves(record, key, what)))
    });
    Chart {
        title: title.to_string(),
        x_label: "steps".to_string(),
        x_unit: Unit::Count,
        y_unit: Unit::Percent,
        series: series.collect(),
        ..Chart::default()
    }
}

/// Returns a chart over a logarithmic axis: the numbers at `xs` of each of `lines`, which are a name, a key, and the name
/// of the numbers.
pub fn over(
    record: &Record,
    title: &str,
    (x_label, xs): (&str, &[f64]),
    y_unit: Unit,
    lines: &[(&str, &str, &str)],
) -> Chart {
    let series = lines.iter().enumerate().map(|(style, (name, key, what))| {
        Spread::series(name, style, xs, &curves(record, key, what))
    });
    Chart {
        title: title.to_string(),
        x_label: x_label.to_string(),
        x_unit: Unit::Log,
        y_unit,
        series: series.collect(),
        ..Chart::default()
    }
}
