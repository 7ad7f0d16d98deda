//! Training runs that differ in one setting: the arms of a comparison, each with several seeds.
//!
//! The record has a run as `ARM/seed N/...`, with the parts of a [`Training`]'s curve.

use wgrad::base::chart::lines::{Chart, Series, Unit};

use crate::study::lab::{Interval, Lab, MARGIN, Page, Record, Spread, Training, Verdict};

/// Returns the seeds of each arm: three, or one in a tiny study.
pub fn seeds(lab: &Lab<'_>) -> impl Iterator<Item = u64> + use<> {
    lab.seeds(lab.size([1, 3, 3]))
}

/// Measures the run of each arm, with each of the [`seeds`]. `training` returns the settings of the run of an arm.
///
/// # Errors
/// As for [`Lab::measure`].
pub fn measure(
    lab: &mut Lab<'_>,
    arms: &[&str],
    training: impl Fn(&Lab<'_>, &str) -> Training,
) -> anyhow::Result<()> {
    for seed in seeds(lab) {
        for arm in arms {
            lab.measure(&format!("{arm}/seed {seed}"), |lab| {
                let training = Training { seed, ..training(lab, arm) };
                Ok(training.run(lab)?.1.measurements())
            })?;
        }
    }
    Ok(())
}

/// Returns a chart of the numbers `what` of some arms, over steps. The style of a curve is its place in the list.
pub fn chart(record: &Record, arms: &[&str], what: &str, title: &str, x_label: &str) -> Chart {
    let series = arms.iter().enumerate().filter_map(|(style, arm)| {
        let steps = *record.of_seeds(arm, "steps").first()?;
        Some(Spread::series(arm, style, steps, &record.of_seeds(arm, what)))
    });
    Chart {
        title: title.to_string(),
        x_label: x_label.to_string(),
        x_unit: Unit::Count,
        y_unit: Unit::Percent,
        series: series.collect(),
        ..Chart::default()
    }
}

/// Returns the spreads of the last number `what` over a number of each arm, as a curve of this name.
pub fn over(record: &Record, arms: &[(f64, &str)], what: &str, style: usize) -> Series {
    let spreads: Vec<_> =
        arms.iter().filter_map(|&(x, arm)| Some((x, record.last(arm, what)?))).collect();
    Series {
        name: what.to_string(),
        points: spreads.iter().map(|(x, spread)| (*x, spread.mean)).collect(),
        band: spreads.iter().map(|(_, spread)| (spread.low, spread.high)).collect(),
        style,
        ..Series::default()
    }
}

/// Returns a chart over a logarithmic axis: the numbers at `xs` of each of `lines`, which are a name, a key, and the name
/// of the numbers.
pub fn lines(
    record: &Record,
    title: &str,
    (x_label, xs): (&str, &[f64]),
    y_unit: Unit,
    lines: &[(&str, &str, &str)],
) -> Chart {
    let series = lines.iter().enumerate().map(|(style, (name, key, what))| {
        Spread::series(name, style, xs, &record.of_seeds(key, what))
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

/// Returns the name of a figure of an arm: `last_rate_over_100_test_error`.
pub fn figure(arm: &str, what: &str) -> String {
    format!("{}_{what}", arm.replace(" / ", "_over_").replace(", ", "_").replace(' ', "_"))
}

/// Adds the verdict on a claim that the test error of the first arm is below that of each other arm.
pub fn is_lowest(record: &Record, page: &mut Page, claim: &str, arms: &[&str]) {
    compare(record, page, claim, arms, 0.0);
}

/// Adds the verdict on a claim that the test error of the first arm is at most [`MARGIN`] above that of each other arm.
pub fn is_no_higher(record: &Record, page: &mut Page, claim: &str, arms: &[&str]) {
    compare(record, page, claim, arms, MARGIN);
}

/// Adds the verdict on a claim that the test error of the first arm, minus that of each other arm, is below `limit`.
/// Adds nothing if an arm was not measured.
fn compare(record: &Record, page: &mut Page, claim: &str, arms: &[&str], limit: f64) {
    let errors = arms.iter().map(|arm| record.last(arm, "test error"));
    let Some(errors) = errors.collect::<Option<Vec<Spread>>>() else { return };
    let differences =
        arms[1..].iter().map(|arm| record.difference_at_end([arms[0], arm], "test error"));
    let differences: Vec<_> = differences.collect();
    let parts = arms[1..].iter().zip(&errors[1..]).zip(&differences).map(|((arm, error), of)| {
        format!("{arm} {}, a difference of {}", error.percent(), Interval::points(*of))
    });
    let others = parts.collect::<Vec<_>>().join("; ");
    let text = format!("Test errors: {} {}; {others}.", arms[0], errors[0].percent());
    let verdicts = differences.into_iter().map(|of| Verdict::below(of, limit));
    page.verdict(claim, Verdict::all(verdicts), &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_decided_by_the_differences_of_the_seeds() {
        let mut record = Record::default();
        for (arm, errors) in [
            ("low", [0.10, 0.20, 0.30]),
            // The range overlaps with that of the first, and each seed is higher.
            ("above", [0.15, 0.26, 0.35]),
            ("noisy", [0.35, 0.10, 0.40]),
            ("equal", [0.10, 0.201, 0.299]),
        ] {
            for (seed, error) in errors.into_iter().enumerate() {
                record.insert(format!("{arm}/seed {seed}/test error"), vec![error]);
            }
        }
        use Verdict::{Fails, Holds, Open};
        for (arms, lowest, no_higher) in [
            (&["low", "above"][..], Holds, Holds),
            (&["low", "noisy"], Open, Open),
            (&["low", "equal"], Open, Holds),
            (&["above", "low"], Fails, Fails),
            (&["low", "above", "noisy"], Open, Open),
        ] {
            let mut page = Page::default();
            is_lowest(&record, &mut page, "a", arms);
            is_no_higher(&record, &mut page, "b", arms);
            is_lowest(&record, &mut page, "c", &["low", "absent"]);
            let found = page.findings().iter().map(|finding| finding.claim.clone());
            let expected = [Some(("a".into(), lowest)), Some(("b".into(), no_higher))];
            assert_eq!(found.collect::<Vec<_>>(), expected, "{arms:?}");
        }
        let mut page = Page::default();
        is_lowest(&record, &mut page, "a", &["low", "above"]);
        let text = "Test errors: low 20.0% (10.0 to 30.0); above 25.3% (15.0 to 35.0), a difference of -5.3 points (-6.3 \
                    to -4.4).";
        assert_eq!(page.findings()[0].text, text);
    }
}
