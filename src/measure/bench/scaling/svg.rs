//! The grid as a drawing: images a second over the batch size, a line a width; and the grid below it.

use std::fmt::Write;

use super::{Cell, Scaling, table};
use crate::measure::bench::drawing::{LINE, LogAxis, head, label, text, wrapped};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 750.0;
const TOP: f64 = 108.0;
const BOTTOM: f64 = 440.0;

/// The height of the grid's lines.
const ROW: f64 = 22.0;

/// The least distance of two labels of lines.
const APART: f64 = 15.0;

/// Draws the grid as an SVG file.
pub fn draw(scaling: &Scaling) -> String {
    let reasons = table::reasons(scaling);
    let reasons: Vec<String> = reasons.iter().flat_map(|line| wrapped(line, 125)).collect();
    let grid_top = BOTTOM + 78.0;
    let notes_top = grid_top + ROW * scaling.widths.len() as f64 + 12.0;
    let height = notes_top + LINE * reasons.len() as f64 + 12.0;
    let machine = &scaling.machine;
    let driver = machine.driver.as_ref().map_or(String::new(), |driver| format!(", {driver}"));
    let below =
        [format!("{}{driver}", machine.device), format!("{}; {}", machine.processor, machine.date)];
    let mut out = head(WIDTH, height, "Training: images a second by width and batch size", &below);

    let rates = scaling.cells.iter().filter_map(|cell| cell.outcome.images_per_s());
    let x = LogAxis::around(scaling.batch_sizes.iter().map(|&n| n as f64), 1.15, [LEFT, RIGHT]);
    let y = LogAxis::around(rates, 1.25, [BOTTOM, TOP]);
    axes(&mut out, scaling, &x, &y);
    let mut ends = Vec::new();
    for (ix, &width) in scaling.widths.iter().enumerate() {
        let cells = scaling.cells.iter().filter(|cell| cell.width == width);
        let end = line(&mut out, cells, ix % 7, &x, &y);
        ends.extend(end.map(|y| (y, ix % 7, width)));
    }
    names(&mut out, &mut ends);
    text(&mut out, "soft end", [LEFT - 22.0, grid_top - ROW], "width");
    for (row, &width) in scaling.widths.iter().enumerate() {
        let at = grid_top + ROW * row as f64;
        text(&mut out, "end bold", [LEFT - 22.0, at], &width.to_string());
        for &batch_size in &scaling.batch_sizes {
            if let Some(cell) = scaling.cell(width, batch_size) {
                let class = if cell.outcome.reason().is_some() { "soft middle" } else { "middle" };
                text(&mut out, class, [x.at(batch_size as f64), at], &cell.outcome.word());
            }
        }
    }
    for (row, reason) in reasons.iter().enumerate() {
        text(&mut out, "soft", [20.0, notes_top + LINE * row as f64], reason);
    }
    out += "</svg>\n";
    out
}

fn axes(out: &mut String, scaling: &Scaling, x: &LogAxis, y: &LogAxis) {
    for &batch_size in &scaling.batch_sizes {
        let at = x.at(batch_size as f64);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
        text(out, "soft middle", [at, BOTTOM + 18.0], &batch_size.to_string());
    }
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
        text(out, "soft end", [LEFT - 8.0, at + 4.0], &label(tick));
    }
    text(out, "middle", [(LEFT + RIGHT) / 2.0, BOTTOM + 36.0], "images in a step");
    text(out, "", [20.0, TOP - 10.0], "images/s");
}

/// A width's line. Where its last point lies, from top to bottom; none where nothing was measured.
fn line<'a>(
    out: &mut String,
    cells: impl Iterator<Item = &'a Cell>,
    colour: usize,
    x: &LogAxis,
    y: &LogAxis,
) -> Option<f64> {
    let mut places = Vec::new();
    let mut dots = String::new();
    for cell in cells {
        let Some(rate) = cell.outcome.images_per_s() else { continue };
        let (cx, cy) = (x.at(cell.batch_size as f64), y.at(rate));
        places.push((cx, cy));
        let (width, batch_size, word) = (cell.width, cell.batch_size, cell.outcome.word());
        let _ = writeln!(
            dots,
            "<circle class=\"c{colour} mark\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"5\"><title>width {width}, \
             {batch_size} images: {word} images/s</title></circle>"
        );
    }
    let last = places.last().map(|place| place.1)?;
    let points: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = writeln!(out, "<path class=\"c{colour} line\" d=\"M{}\"/>", points.join("L"));
    *out += &dots;
    Some(last)
}

/// The widths behind the ends of their lines, moved apart where they would lie upon one another.
fn names(out: &mut String, ends: &mut [(f64, usize, usize)]) {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for &mut (y, colour, width) in ends {
        lowest = f64::max(y, lowest + APART);
        let name = format!("width {width}");
        let _ = writeln!(
            out,
            "<circle class=\"c{colour}\" cx=\"{:.1}\" cy=\"{lowest:.1}\" r=\"4\"/>",
            RIGHT + 14.0
        );
        text(out, "", [RIGHT + 24.0, lowest + 4.5], &name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::drawing::tests::assert_well_formed;
    use crate::measure::bench::scaling::tests::scaling;

    #[test]
    fn every_cell_is_on_the_drawing() {
        let mut scaling = scaling();
        let svg = draw(&scaling);
        assert_well_formed(&svg);
        assert!(svg.contains("<title>width 8, 64 images: 1386 images/s</title>"), "{svg}");
        assert_eq!(svg.matches("<circle class=\"c0 mark\"").count(), 2);
        for word in [">64.1<", ">1386<", ">&gt;60 s<", ">memory<"] {
            assert_eq!(svg.matches(word).count(), 1, "{word}");
        }
        assert_eq!(svg.matches(">limit<").count(), 2);
        assert!(
            svg.contains(">width 8<") && !svg.contains(">width 16<"),
            "nothing of it was measured"
        );
        scaling.cells.clear();
        assert_well_formed(&draw(&scaling));
    }

    #[test]
    fn names_do_not_lie_upon_one_another() {
        let mut out = String::new();
        names(&mut out, &mut [(100.0, 0, 8), (101.0, 1, 16), (300.0, 2, 32)]);
        for y in ["cy=\"100.0\"", "cy=\"115.0\"", "cy=\"300.0\""] {
            assert!(out.contains(y), "{y} is not in {out}");
        }
    }
}
