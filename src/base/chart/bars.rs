//! Horizontal bars, one below the other. Each bar has its name on the left, and its numbers as text on the right.

use super::Svg;

/// Height of a row, in pixels.
pub const ROW: f64 = 25.0;

/// A horizontal bar, with its name and its texts.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// Name on the left of the bar.
    pub name: String,
    /// CSS class of the bar's colour, such as `c3`.
    pub class: String,
    /// Length of the bar, in any unit that all bars share.
    pub length: f64,
    /// Length of the bar's darker part, from the left end, in the unit of `length`.
    pub dark: f64,
    /// Texts to the right of the bar, one per column.
    pub figures: Vec<String>,
}

/// Bars, one below the other, and their position in a drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct Bars {
    /// Position where bars begin and names end, in pixels from the left.
    pub left: f64,
    /// Length of the longest bar, in pixels.
    pub width: f64,
    /// Columns of the texts on the right: for each column its right edge, in pixels from the left, and its heading.
    pub columns: Vec<(f64, &'static str)>,
    /// Bars from top to bottom.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// Draws all bars: the first one at `top`, and the headings above it.
    pub fn draw(&self, svg: &mut Svg, top: f64) {
        for &(x, heading) in &self.columns {
            svg.text("soft end", [x, top - 14.0], heading);
        }
        let longest = self.bars.iter().map(|bar| bar.length).fold(f64::MIN_POSITIVE, f64::max);
        for (row, bar) in self.bars.iter().enumerate() {
            let y = top + ROW * row as f64;
            let width = |length: f64| (self.width * length / longest).min(self.width);
            svg.text("end", [self.left - 8.0, y + 15.0], &bar.name);
            let mut part = |class: &str, length: f64| {
                let class = format!("{} {class}", bar.class);
                svg.rect(&class, [self.left, y, width(length), ROW - 5.0], "");
            };
            part("light", bar.length);
            part("dot", bar.dark);
            for (&(x, _), figure) in self.columns.iter().zip(&bar.figures) {
                svg.text("end", [x, y + 15.0], figure);
            }
        }
    }
}
