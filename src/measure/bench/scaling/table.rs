//! The grid as text.

use super::{Outcome, Scaling};

/// Returns the grid as text: one line per width, one column per batch size. The reasons for missing measurements are
/// below the grid.
pub fn table(scaling: &Scaling) -> String {
    let mut text = format!(
        "{}step      {}{}; images a second, from medians, by the host's clock\n\n",
        scaling.machine.lines(),
        scaling.network,
        scaling.machine.kernels(scaling.kernels),
    );
    let columns = |first: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("{cell:>9}")).collect();
        format!("{first:<16}{cells}").trim_end().to_string() + "\n"
    };
    text += &columns("width \\ images", &mut scaling.batch_sizes.iter().map(ToString::to_string));
    for &width in &scaling.widths {
        let word = |&batch_size: &usize| {
            let cell = scaling.cell(width, batch_size);
            cell.map_or(String::new(), |cell| cell.outcome.word())
        };
        text += &columns(&width.to_string(), &mut scaling.batch_sizes.iter().map(word));
    }
    let reasons = reasons(scaling);
    if reasons.is_empty() { text } else { format!("{text}\n{}\n", reasons.join("\n")) }
}

/// Returns the reasons for missing measurements: one line per kind of outcome, with the first cell that has this
/// outcome.
pub fn reasons(scaling: &Scaling) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for cell in &scaling.cells {
        let (word, reason) = (cell.outcome.word(), cell.outcome.reason());
        let Some(reason) = reason.filter(|_| !kinds.contains(&word)) else { continue };
        let meaning = match cell.outcome {
            Outcome::Limit { .. } => "the step exceeds a limit",
            Outcome::TooLong { .. } => "not run, predicted from a smaller cell",
            Outcome::Memory { .. } => "not enough memory",
            Outcome::Measured { .. } | Outcome::Failed { .. } => "the device failed",
        };
        let (width, batch_size) = (cell.width, cell.batch_size);
        lines.push(format!(
            "{word}: {meaning}; first at width {width}, {batch_size} images: {reason}"
        ));
        kinds.push(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::scaling::tests::scaling;

    #[test]
    fn every_cell_has_a_figure_or_a_reason() {
        let text = table(&scaling());
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for line in [
            "width \\ images 32 64 128",
            "8 64.1 1386 >60 s",
            "16 limit limit memory",
            ">60 s: not run, predicted from a smaller cell; first at width 8, 128 images: a step would take about \
             71 s",
            "limit: the step exceeds a limit; first at width 16, 32 images: a tensor is \"too\" large",
            "memory: not enough memory; first at width 16, 128 images: it needs 3.0 GiB, and 1.5 GiB \
             are free",
        ] {
            assert!(lines.contains(&line.to_string()), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn an_interrupted_grid_has_empty_cells() {
        let mut scaling = scaling();
        scaling.cells.truncate(2);
        let text = table(&scaling);
        assert!(text.ends_with("\n8                    64.1     1386\n16\n"), "{text}");
    }
}
