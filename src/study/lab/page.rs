//! The page of a study: figures, charts, tables, pictures and findings.

use std::collections::BTreeMap;
use std::fmt::Write;

use wgrad::base::chart::escape;
use wgrad::base::chart::lines::{Chart, Series, Unit};
use wgrad::report::html;
use wgrad::report::picture::Picture;

use super::Verdict;

/// The caption of a chart with bands over seeds.
pub const BAND: &str =
    "A band reaches from the lowest to the highest of the seeds, a line is their mean.";

/// The contents of a page that come from measurements. The text of the lesson surrounds them.
#[derive(Default)]
pub struct Page {
    figures: BTreeMap<String, f64>,
    pictures: String,
    numbers: String,
    printed: String,
    findings: Vec<Finding>,
}

/// A sentence that the numbers have decided.
pub struct Finding {
    /// The claim and its verdict; none for a sentence without a claim.
    pub claim: Option<(String, Verdict)>,
    /// The sentence.
    pub text: String,
}

impl Page {
    /// Adds a number to the figures of `study.json`. A number that is not finite is left out.
    pub fn figure(&mut self, name: impl Into<String>, number: f64) {
        if number.is_finite() {
            self.figures.insert(name.into(), number);
        }
    }

    /// Adds a chart. `caption` is a sentence under it.
    pub fn chart(&mut self, chart: &Chart, caption: &str) {
        let figure = chart.figure();
        if !figure.is_empty() {
            let note = html::note(caption);
            let _ = writeln!(self.pictures, "<div class=\"study-chart\">{figure}{note}</div>");
        }
    }

    /// Adds a chart of curves. `x` is the name of the horizontal axis and the kind of its numbers, `y` the kind of the
    /// numbers on the vertical axis. A sentence about bands follows the caption if a curve has one.
    pub fn curves(
        &mut self,
        title: &str,
        x: (&str, Unit),
        y: Unit,
        series: impl IntoIterator<Item = Series>,
        caption: &str,
    ) {
        let series: Vec<Series> = series.into_iter().collect();
        let has_band = series.iter().any(|series| !series.band.is_empty());
        let (title, x_label) = (title.to_string(), x.0.to_string());
        let chart = Chart { title, x_label, x_unit: x.1, y_unit: y, series, ..Chart::default() };
        let band = match has_band {
            true => format!(" {BAND}"),
            false => String::new(),
        };
        self.chart(&chart, &format!("{caption}{band}"));
    }

    /// Adds a row of pictures with a heading. Each picture has a name, in plain text.
    pub fn row(&mut self, heading: &str, pictures: &[(Picture, String)], caption: &str) {
        if pictures.is_empty() {
            return;
        }
        let heading = escape(heading);
        let open = "<div class=\"study-row\">";
        let _ = write!(self.pictures, "{open}<h3>{heading}</h3>\n<div class=\"pictures\">");
        for (picture, name) in pictures {
            let (element, name) = (picture.element(name, name), escape(name));
            let _ =
                write!(self.pictures, "<figure>{element}<figcaption>{name}</figcaption></figure>");
        }
        let _ = write!(self.pictures, "</div>\n{}</div>\n", html::note(caption));
    }

    /// Adds a table, to the page and to the text that the command prints. All cells are plain text. Adds nothing without
    /// rows.
    pub fn table(&mut self, heading: &str, columns: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let cells = |row: &Vec<String>| row.iter().map(|cell| escape(cell)).collect::<Vec<_>>();
        let escaped: Vec<_> = rows.iter().map(cells).collect();
        let table = html::table("plain", columns, &escaped);
        let _ = write!(self.numbers, "<h3>{}</h3>\n{table}", escape(heading));
        let _ = write!(self.printed, "{heading}\n\n{}\n", printed(columns, rows));
    }

    /// Adds a sentence that follows from the numbers.
    pub fn finding(&mut self, text: impl Into<String>) {
        self.findings.push(Finding { claim: None, text: text.into() });
    }

    /// Adds a claim, its verdict, and a sentence with the numbers that decide it. `claim` is a sentence without its full
    /// stop.
    pub fn verdict(&mut self, claim: &str, verdict: Verdict, text: &str) {
        self.findings
            .push(Finding { claim: Some((claim.to_string(), verdict)), text: text.to_string() });
    }

    /// Removes all findings and verdicts: without all measurements, they can be wrong.
    pub fn drop_findings(&mut self) {
        self.findings.clear();
    }

    /// Returns the figures.
    pub fn figures(&self) -> &BTreeMap<String, f64> {
        &self.figures
    }

    /// Returns charts and pictures as HTML.
    pub fn pictures(&self) -> &str {
        &self.pictures
    }

    /// Returns the tables as HTML.
    pub fn numbers(&self) -> &str {
        &self.numbers
    }

    /// Returns the findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the tables and findings as text for a terminal.
    pub fn printed(&self) -> String {
        let line = |finding: &Finding| match &finding.claim {
            Some((claim, verdict)) => {
                format!("The claim that {claim} {}. {}\n", verdict.words(), finding.text)
            }
            None => format!("{}\n", finding.text),
        };
        let findings: String = self.findings.iter().map(line).collect();
        format!("{}{findings}", self.printed)
    }
}

/// Returns a table as lines of text. The first column is aligned left, the others right.
fn printed(columns: &[&str], rows: &[Vec<String>]) -> String {
    let width = |ix: usize| {
        let cells = rows.iter().filter_map(|row| row.get(ix)).map(String::as_str);
        cells.chain([columns[ix]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |cells: Vec<&str>| {
        let cell = |(ix, cell): (usize, &str)| match ix {
            0 => format!("{cell:0$}", width(0)),
            _ => format!("  {cell:>0$}", width(ix)),
        };
        let line: String = cells.into_iter().enumerate().map(cell).collect();
        format!("{}\n", line.trim_end())
    };
    let body: String =
        rows.iter().map(|row| line(row.iter().map(String::as_str).collect())).collect();
    line(columns.to_vec()) + &body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_printed_in_columns() {
        let mut page = Page::default();
        page.table("Errors", &["net", "error"], &[vec!["a & b".into(), "7%".into()]]);
        page.finding("The claim holds.");
        assert_eq!(page.printed(), "Errors\n\nnet    error\na & b     7%\n\nThe claim holds.\n");
        assert!(page.numbers().contains("a &amp; b"), "{}", page.numbers());
    }

    #[test]
    fn figures_are_finite() {
        let mut page = Page::default();
        page.figure("a", f64::NAN);
        page.figure("b", 1.0);
        assert_eq!(page.figures().keys().collect::<Vec<_>>(), ["b"]);
    }
}
