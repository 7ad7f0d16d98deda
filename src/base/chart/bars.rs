//! Bars from left to right, with a name before and figures behind each.

use super::Svg;

/// Height of a row, in pixels.
pub const ROW: f64 = 25.0;

/// A bar.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// Name.
    pub name: String,
    /// Class of its colour: `c3`.
    pub class: String,
    /// Length, in any unit.
    pub length: f64,
    /// Length of the part of it that is darker, in that unit.
    pub dark: f64,
    /// Texts behind it, one for each column.
    pub figures: Vec<String>,
}

/// Bars, one below the other, and their place in a drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct Bars {
    /// Place where bars begin and names end, in pixels.
    pub left: f64,
    /// Length of the longest bar, in pixels.
    pub width: f64,
    /// Columns of figures: the place of the right edge, in pixels, and the heading.
    pub columns: Vec<(f64, &'static str)>,
    /// Bars from top to bottom.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// Draws all, the first bar at `top` and the headings above it.
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
