//! Draws the grid: images per second over the batch size, one line per width. A heat map of the cells is below the
//! lines.

use super::{Cell, Scaling, table};
use crate::base::chart::heat::{self, HeatMap};
use crate::base::chart::plot::Join;
use crate::base::chart::svg::{LINE, wrapped};
use crate::base::chart::{Axis, Frame, Plot, Svg};
use crate::base::sorting::sort_by;

const WIDTH: f64 = 860.0;
const FRAME: Frame = Frame { left: 86.0, right: 750.0, top: 108.0, bottom: 440.0 };

/// Height of a row of the heat map, in pixels.
const ROW: f64 = 24.0;

/// Smallest distance between the labels of two lines, in pixels.
const APART: f64 = 15.0;

/// Number of colours of the lines.
const N_COLOURS: usize = 7;

/// Draws the grid as an SVG file.
pub fn draw(scaling: &Scaling) -> String {
    let reasons = table::reasons(scaling);
    let reasons: Vec<String> = reasons.iter().flat_map(|line| wrapped(line, 125)).collect();
    let Frame { left, right, top, bottom } = FRAME;
    let grid_top = bottom + 76.0;
    let notes_top = grid_top + ROW * scaling.widths.len() as f64 + 22.0;
    let height = notes_top + LINE * reasons.len() as f64 + 12.0;
    let machine = &scaling.machine;
    let driver = machine.driver.as_ref().map_or(String::new(), |driver| format!(", {driver}"));
    let notes =
        [format!("{}{driver}", machine.device), format!("{}; {}", machine.processor, machine.date)];
    let title = "Training: images a second by width and batch size";
    let mut svg = Svg::drawing([WIDTH, height], title);
    svg.head(title, &notes);

    let rates = scaling.cells.iter().filter_map(|cell| cell.outcome.images_per_s());
    let mut x = Axis::log(scaling.batch_sizes.iter().map(|&n| n as f64), 1.15);
    x.ticks = scaling.batch_sizes.iter().map(|&n| n as f64).collect();
    let plot = Plot { x, y: Axis::log(rates, 1.25), frame: FRAME };
    plot.draw_axes(&mut svg, "images in a step");
    svg.text("", [20.0, top - 10.0], "images/s");
    let mut ends = Vec::new();
    for (ix, &width) in scaling.widths.iter().enumerate() {
        let cells = scaling.cells.iter().filter(|cell| cell.width == width);
        let end = line(&mut svg, cells, ix % N_COLOURS, &plot);
        ends.extend(end.map(|y| (y, ix % N_COLOURS, width)));
    }
    names(&mut svg, ends);
    grid(scaling, &plot).draw(&mut svg, [left, grid_top, right - left, ROW]);
    for (row, reason) in reasons.iter().enumerate() {
        svg.text("soft", [20.0, notes_top + LINE * row as f64], reason);
    }
    svg.finish()
}

/// Draws the line for one width of the network. Returns the vertical position of its last point in pixels; None if no
/// cell of this width was measured.
fn line<'a>(
    svg: &mut Svg,
    cells: impl Iterator<Item = &'a Cell>,
    colour: usize,
    plot: &Plot,
) -> Option<f64> {
    let cells: Vec<(&Cell, f64)> =
        cells.filter_map(|cell| Some((cell, cell.outcome.images_per_s()?))).collect();
    let point = |&(cell, rate): &(&Cell, f64)| (cell.batch_size as f64, rate);
    let points: Vec<(f64, f64)> = cells.iter().map(point).collect();
    let last = points.last()?;
    plot.draw_line(svg, &format!("c{colour}"), Join::Straight, &points);
    for ((cell, _), &point) in cells.iter().zip(&points) {
        let (width, batch_size, word) = (cell.width, cell.batch_size, cell.outcome.word());
        let title = format!("width {width}, {batch_size} images: {word} images/s");
        svg.circle(&format!("mark c{colour}"), plot.at(point), 5.0, &title);
    }
    Some(plot.y_at(last.1))
}

/// Writes the network's width at the right end of each line. Labels that would overlap are moved apart.
fn names(svg: &mut Svg, mut ends: Vec<(f64, usize, usize)>) {
    sort_by(&mut ends, |a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, colour, width) in ends {
        lowest = f64::max(y, lowest + APART);
        svg.circle(&format!("dot c{colour}"), [FRAME.right + 14.0, lowest], 4.0, "");
        svg.text("", [FRAME.right + 24.0, lowest + 4.5], &format!("width {width}"));
    }
}

/// Returns the heat map: a faster cell has a stronger colour.
fn grid(scaling: &Scaling, plot: &Plot) -> HeatMap {
    let cell = |width: usize, batch_size: usize| {
        let outcome = scaling.cell(width, batch_size).map(|cell| &cell.outcome);
        let rate = outcome.and_then(|outcome| outcome.images_per_s());
        heat::Cell {
            class: "c0",
            strength: rate.map_or(0.0, |rate| plot.y.place(rate)),
            text: outcome.map_or(String::new(), |outcome| outcome.word()),
            text_class: if rate.is_some() { "" } else { "soft" },
            title: outcome.and_then(|outcome| outcome.reason()).unwrap_or_default(),
        }
    };
    let row = |&width: &usize| {
        let cells = scaling.batch_sizes.iter().map(|&batch_size| cell(width, batch_size));
        (width.to_string(), cells.collect())
    };
    HeatMap {
        corner: "width".to_string(),
        columns: scaling.batch_sizes.iter().map(ToString::to_string).collect(),
        rows: scaling.widths.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chart::svg::tests::assert_well_formed;
    use crate::measure::bench::scaling::tests::scaling;

    #[test]
    fn every_cell_is_on_the_drawing() {
        let mut scaling = scaling();
        let svg = draw(&scaling);
        assert_well_formed(&svg);
        assert!(svg.contains("<title>width 8, 64 images: 1386 images/s</title>"), "{svg}");
        assert_eq!(svg.matches("<circle class=\"mark c0\"").count(), 2);
        for word in [">64.1<", ">1386<", ">&gt;60 s<", ">memory<"] {
            assert_eq!(svg.matches(word).count(), 1, "{word}");
        }
        assert_eq!(svg.matches(">limit<").count(), 2);
        assert!(
            svg.contains(">width 8<") && !svg.contains(">width 16<"),
            "no cell of width 16 was measured"
        );
        scaling.cells.clear();
        assert_well_formed(&draw(&scaling));
    }

    #[test]
    fn names_do_not_overlap() {
        let mut svg = Svg::drawing([WIDTH, 400.0], "names");
        names(&mut svg, vec![(100.0, 0, 8), (101.0, 1, 16), (300.0, 2, 32)]);
        let out = svg.finish();
        for y in ["cy=\"100.0\"", "cy=\"115.0\"", "cy=\"300.0\""] {
            assert!(out.contains(y), "{y} is not in {out}");
        }
    }
}
