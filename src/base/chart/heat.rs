//! Heat maps: matrices of cells. Each cell has a text, and a colour that is stronger for a larger number.
//!
//! For a screen reader, a heat map is a table with headings of rows and columns.

use super::Svg;
use super::svg::shortened;

/// Opacity of the strongest cells. With a higher opacity, the text of the cells would be hard to read.
const STRONGEST: f64 = 0.62;

/// A cell of a heat map.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// CSS class of the cell's colour, such as `c0`.
    pub class: &'static str,
    /// Strength of the colour, from 0 to 1.
    pub strength: f64,
    /// Text in the cell.
    pub text: String,
    /// CSS classes of the cell's text, such as `bold`.
    pub text_class: &'static str,
    /// Text shown on hover.
    pub title: String,
}

/// A matrix of cells with names for its rows and columns.
#[derive(Clone, PartialEq, Debug)]
pub struct HeatMap {
    /// Text above the names of the rows.
    pub corner: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Name and cells of each row.
    pub rows: Vec<(String, Vec<Cell>)>,
}

/// The largest number of columns of a drawing that fits beside other contents of a page.
pub const MAX_BESIDE: usize = 12;

/// Width of a drawing with at most [`MAX_BESIDE`] columns, in pixels.
const WIDTH: f64 = 540.0;

/// Largest width of the cells of a drawing with more columns, in pixels.
const WIDEST: f64 = 34.0;

/// Largest width of all columns of a drawing with more columns, in pixels.
const MAX_WIDTH: f64 = 980.0;

/// Width of the space for the rows' names, in pixels.
const NAMES: f64 = 110.0;

/// Height of the space for the columns' names, in pixels: for turned names, and for names that fit their columns.
const HEADINGS: [f64; 2] = [96.0, 28.0];

/// Height of a row, in pixels.
const ROW: f64 = 34.0;

/// Height of a row of a drawing with more than [`MAX_BESIDE`] columns, in pixels.
const LOW_ROW: f64 = 24.0;

impl HeatMap {
    /// Returns the heat map as a drawing to embed in a page. `label` is its text for screen readers. A drawing with more
    /// than [`MAX_BESIDE`] columns takes the whole width of a page and has a fixed size.
    pub fn figure(&self, label: &str) -> String {
        let n = self.columns.len();
        let is_small = n <= MAX_BESIDE;
        let row = if is_small { ROW } else { LOW_ROW };
        let columns = if is_small { WIDTH - NAMES } else { (WIDEST * n as f64).min(MAX_WIDTH) };
        let headings = HEADINGS[usize::from(!self.is_turned(columns))];
        let size = [NAMES + columns, headings + row * self.rows.len() as f64];
        let mut svg = match is_small {
            true => Svg::inline(size, "table", label),
            false => Svg::sized(size, "table", label),
        };
        self.draw(&mut svg, [NAMES, headings, columns, row]);
        svg.finish()
    }

    /// Returns true if the names of the columns are turned, because one is too long for a column. `width` is the width of
    /// all columns, in pixels.
    fn is_turned(&self, width: f64) -> bool {
        let cell_width = width / self.columns.len().max(1) as f64;
        self.columns.iter().any(|name| 7.5 * name.len() as f64 > cell_width)
    }

    /// Draws the heat map. `left` and `top` are the corner of the first cell, `width` is the width of all columns, and
    /// `row` is the height of a row, in pixels. The names of the rows are left of the cells, and the names of the
    /// columns are above them.
    pub fn draw(&self, svg: &mut Svg, [left, top, width, row]: [f64; 4]) {
        let cell_width = width / self.columns.len().max(1) as f64;
        let is_turned = self.is_turned(width);
        svg.open(format_args!("role=\"row\""), "");
        heading(svg, "columnheader", "", |svg| {
            svg.text("soft end", [left - 8.0, top - 8.0], &self.corner);
        });
        for (ix, name) in self.columns.iter().enumerate() {
            let x = left + cell_width * (ix as f64 + 0.5);
            heading(svg, "columnheader", name, |svg| match is_turned {
                true => svg.turned("", [x + 4.5, top - 8.0], -90.0, &shortened(name, 13)),
                false => svg.text("middle", [x, top - 8.0], name),
            });
        }
        svg.close();
        for (ix, (name, cells)) in self.rows.iter().enumerate() {
            let y = top + row * ix as f64;
            let baseline = y + row / 2.0 + 4.5;
            svg.open(format_args!("role=\"row\""), "");
            heading(svg, "rowheader", name, |svg| {
                svg.text("end", [left - 8.0, baseline], &shortened(name, 15));
            });
            for (ix, cell) in cells.iter().enumerate() {
                let x = left + cell_width * ix as f64;
                svg.open(format_args!("role=\"cell\" class=\"{}\"", cell.class), &cell.title);
                let at = [x, y, cell_width - 1.0, row - 1.0];
                svg.rect("shade", at, "");
                let [x, y, width, height] = at;
                svg.element(
                    "rect",
                    "dot",
                    format_args!(
                        "x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill-opacity=\"{:.2}\"",
                        STRONGEST * cell.strength
                    ),
                    "",
                );
                let class = format!("middle {}", cell.text_class);
                svg.text(&class, [x + width / 2.0, baseline], &cell.text);
                svg.close();
            }
            svg.close();
        }
    }
}

/// Draws a heading as a group with the ARIA role `role`. `name` is shown on hover, because the drawn name may be
/// shortened.
fn heading(svg: &mut Svg, role: &str, name: &str, draw: impl FnOnce(&mut Svg)) {
    svg.open(format_args!("role=\"{role}\""), name);
    draw(svg);
    svg.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chart::svg::tests::assert_well_formed;

    #[test]
    fn every_cell_has_its_text_its_title_and_its_strength() {
        let cell = |n: usize| Cell {
            class: "c1",
            strength: n as f64 / 2.0,
            text: n.to_string(),
            text_class: "bold",
            title: format!("{n} of 2"),
        };
        let names = ["a name that is far too long to stand there", "b"].map(str::to_string);
        let map = HeatMap {
            corner: "truth".to_string(),
            columns: names.to_vec(),
            rows: names.iter().map(|name| (name.clone(), vec![cell(1), cell(2)])).collect(),
        };
        let svg = map.figure("a matrix");
        assert_well_formed(&svg);
        assert_eq!(svg.matches("role=\"cell\"").count(), 4, "{svg}");
        assert_eq!(svg.matches("<title>2 of 2</title>").count(), 2, "{svg}");
        assert!(svg.contains("fill-opacity=\"0.31\"") && svg.contains("fill-opacity=\"0.62\""));
        assert!(svg.contains("<title>a name that is far too long to stand there</title>"), "{svg}");
        assert!(svg.contains(">a name that ...</text>") && svg.contains("rotate(-90.0)"));
        assert!(svg.contains("viewBox=\"0 0 540 164\""), "{svg}");
        let short = HeatMap { columns: ["a", "b"].map(str::to_string).to_vec(), ..map };
        let svg = short.figure("a matrix");
        assert!(svg.contains("viewBox=\"0 0 540 96\"") && !svg.contains("rotate"), "{svg}");
    }
}
