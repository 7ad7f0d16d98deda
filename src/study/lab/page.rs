//! The page of a study: figures, charts, tables, pictures and findings.

use std::collections::BTreeMap;
use std::fmt::Write;

use wgrad::base::chart::escape;
use wgrad::base::chart::lines::Chart;
use wgrad::report::html;
use wgrad::report::picture::Picture;

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

/// The relation of the numbers to a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The numbers support the claim by more than their spread.
    Holds,
    /// The numbers contradict the claim by more than their spread.
    Fails,
    /// The difference is smaller than the spread.
    Open,
}

impl Verdict {
    /// Returns the verdict of numbers that support a claim, contradict it, or do neither by more than their spread.
    pub fn of(supports: bool, contradicts: bool) -> Self {
        match (supports, contradicts) {
            (true, _) => Self::Holds,
            (false, true) => Self::Fails,
            (false, false) => Self::Open,
        }
    }

    /// Returns the verdict as words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "does not hold",
            Self::Open => "is not decided by these numbers",
        }
    }
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
    /// stop. A difference counts only if it is larger than the spread over seeds.
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
