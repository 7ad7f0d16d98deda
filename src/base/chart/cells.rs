//! Maps of many cells: square matrices with too many cells for a text in each. Only cells with a number are drawn.
//!
//! The cells of one colour and one strength are one path, so a cell takes about seven bytes of the drawing.

use std::fmt::Write;

use super::Svg;
use super::svg::shortened;

/// The largest number of rows and columns, each at least one pixel high and wide.
pub const MAX_CELLS: usize = 1000;

/// Side of the largest cells, in pixels.
const LARGEST: usize = 16;

/// Side of the smallest cells that show their titles on hover, in pixels.
const SMALLEST_WITH_TITLE: usize = 4;

/// Space for the names of the rows, and for those of the columns above the cells, in pixels.
const NAMES: usize = 100;

/// Height of a line of names, in pixels.
const LINE: usize = 10;

/// Numbers of rows between two lines, for cells with and without titles.
const RULES: [usize; 2] = [10, 100];

/// The number of different strengths of a colour.
const N_LEVELS: usize = 6;

/// Opacity of the weakest cells, for cells with and without titles. With the lower opacity, a cell of one pixel would be
/// invisible.
const WEAKEST: [f64; 2] = [0.2, 0.5];

/// A cell with a number.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Row, from 0.
    pub row: usize,
    /// Column, from 0.
    pub column: usize,
    /// CSS class of the cell's colour, such as `c0`.
    pub class: &'static str,
    /// Strength of the colour, from 0 to 1.
    pub strength: f64,
}

/// A square matrix of small cells. Rows and columns have the same names.
#[derive(Clone, PartialEq, Debug)]
pub struct CellMap<'a> {
    /// Names of the rows and of the columns.
    pub names: &'a [String],
    /// The cells that are drawn, sorted by row, then by column.
    pub cells: &'a [Cell],
    /// Texts that cells show on hover: row, column, text.
    pub titles: &'a [(usize, usize, String)],
}

impl CellMap<'_> {
    /// Returns the side of a cell in pixels, for a map of `n` rows.
    fn side(n: usize) -> usize {
        (MAX_CELLS / n.max(1)).clamp(1, LARGEST)
    }

    /// Returns true if the cells of a map of `n` rows show titles on hover. Smaller cells are too small for a pointer.
    pub fn has_titles(n: usize) -> bool {
        Self::side(n) >= SMALLEST_WITH_TITLE
    }

    /// Returns the distance between two named rows of a map of `n` rows, at which the names do not overlap.
    pub fn step(n: usize) -> usize {
        let side = Self::side(n);
        [1, 2, 5].into_iter().find(|step| step * side >= LINE).unwrap_or(LINE)
    }

    /// Returns the map as a drawing to embed in a page. `label` is its text for screen readers.
    pub fn figure(&self, label: &str) -> String {
        let n = self.names.len();
        let side = Self::side(n);
        let size = (NAMES + n * side) as f64;
        let mut svg = Svg::sized([size, size], "img", label);
        let at = |ix: usize| (NAMES + ix * side) as f64;
        svg.rect("shade", [at(0), at(0), (n * side) as f64, (n * side) as f64], "");
        let step = Self::step(n);
        for (ix, name) in self.names.iter().enumerate().step_by(step) {
            let middle = at(ix) + side as f64 / 2.0 + 3.5;
            let short = shortened(name, 17);
            let edge = NAMES as f64 - 6.0;
            svg.named("tiny end", format_args!("x=\"{edge}\" y=\"{middle}\""), &short, name);
            let turn = format_args!("transform=\"translate({middle} {edge}) rotate(-90)\"");
            svg.named("tiny", turn, &short, name);
        }
        let rule = if Self::has_titles(n) { RULES[0] } else { RULES[1] };
        for at_rule in (0..=n).step_by(rule).map(at) {
            let (start, end) = (NAMES - 4, at(n));
            svg.path(
                "between",
                format_args!("M{start} {at_rule}H{end}M{at_rule} {start}V{end}"),
                "",
            );
        }
        self.draw(&mut svg, side);
        for (row, column, title) in self.titles {
            let [x, y] = [at(*column), at(*row)];
            svg.path("hit", format_args!("M{x} {y}h{side}v{side}h-{side}z"), title);
        }
        svg.finish()
    }

    /// Draws the cells. `side` is their side in pixels.
    fn draw(&self, svg: &mut Svg, side: usize) {
        // A path is the middle line of its cells, and the line is one cell wide.
        let weakest = if side >= SMALLEST_WITH_TITLE { WEAKEST[0] } else { WEAKEST[1] };
        let (x, y) = (NAMES, NAMES as f64 + side as f64 / 2.0);
        svg.open(
            format_args!("class=\"cells\" transform=\"translate({x} {y}) scale({side})\""),
            "",
        );
        let level = |cell: &Cell| (cell.strength * (N_LEVELS - 1) as f64).round() as usize;
        let mut kinds: Vec<_> = self.cells.iter().map(|cell| (cell.class, level(cell))).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let (class, strength) = (kind.0, kind.1 as f64 / (N_LEVELS - 1) as f64);
            let opacity = weakest + (1.0 - weakest) * strength;
            let cells = self.cells.iter().filter(|cell| (cell.class, level(cell)) == kind);
            let path = path(cells);
            let attributes = format_args!("stroke-opacity=\"{opacity:.2}\" d=\"{path}\"");
            svg.element("path", class, attributes, "");
        }
        svg.close();
    }
}

/// Returns the path through these cells, in units of a cell. Each move is relative to the end of the cell before it.
fn path<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut path = String::new();
    let mut end = [0_i64; 2];
    for cell in cells {
        let [x, y] = [cell.column as i64, cell.row as i64];
        // A write to a string cannot fail.
        let _ = write!(path, "m{} {}h1", x - end[0], y - end[1]);
        end = [x + 1, y];
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chart::svg::tests::assert_well_formed;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|ix| format!("<class {ix}>")).collect()
    }

    #[test]
    fn cells_of_one_colour_and_strength_are_one_path() {
        let cell = |row, column, class, strength| Cell { row, column, class, strength };
        let cells = [
            cell(0, 0, "c0", 1.0),
            cell(0, 2, "c1", 0.01),
            cell(1, 1, "c0", 1.0),
            cell(2, 0, "c1", 0.0),
            cell(2, 1, "c1", 0.5),
            cell(2, 2, "c0", 1.0),
        ];
        let titles = [(2, 1, "1 of <2>".to_string())];
        let map = CellMap { names: &names(3), cells: &cells, titles: &titles };
        let svg = map.figure("a map");
        assert_well_formed(&svg);
        assert!(
            svg.contains("<path class=\"c0\" stroke-opacity=\"1.00\" d=\"m0 0h1m0 1h1m0 1h1\"/>"),
            "{svg}"
        );
        assert!(
            svg.contains("<path class=\"c1\" stroke-opacity=\"0.20\" d=\"m2 0h1m-3 2h1\"/>"),
            "{svg}"
        );
        assert_eq!(svg.matches("<path class=\"c").count(), 3, "{svg}");
        assert!(svg.contains("d=\"M116 132h16v16h-16z\"><title>1 of &lt;2&gt;</title>"), "{svg}");
        assert_eq!(svg.matches("<title>&lt;class 1&gt;</title>").count(), 2, "{svg}");
    }

    #[test]
    fn maps_of_any_size_have_legible_names_and_fit_a_page() {
        for (n, step, has_titles) in [
            (41, 1, true),
            (100, 1, true),
            (150, 2, true),
            (250, 5, true),
            (251, 5, false),
            (1000, 10, false),
        ] {
            assert_eq!((CellMap::step(n), CellMap::has_titles(n)), (step, has_titles), "{n}");
            let names = names(n);
            let svg = CellMap { names: &names, cells: &[], titles: &[] }.figure("a map");
            assert_well_formed(&svg);
            assert_eq!(svg.matches("<text ").count(), 2 * n.div_ceil(step), "{n}");
            let width = svg.split("width=\"").nth(1).and_then(|rest| rest.split('"').next());
            let width: usize = width.expect("a width").parse().expect("a number");
            assert!((700..=1100).contains(&width), "{width} for {n}");
        }
    }
}
