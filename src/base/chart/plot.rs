//! A plot: two axes around a rectangle, and curves between them.

use super::{Axis, Svg};

/// A rectangle in a drawing, in pixels from the drawing's top left corner.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Frame {
    /// Position of the left edge.
    pub left: f64,
    /// Position of the right edge.
    pub right: f64,
    /// Position of the top edge.
    pub top: f64,
    /// Position of the bottom edge, where the horizontal axis is.
    pub bottom: f64,
}

/// Two axes and their position in a drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct Plot {
    /// Axis from left to right.
    pub x: Axis,
    /// Axis from bottom to top.
    pub y: Axis,
    /// Rectangle that the axes span.
    pub frame: Frame,
}

/// The connection between two neighbouring points of a curve.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Join {
    /// A straight line.
    #[default]
    Straight,
    /// A step: from the previous point to this point, the line has the height of this point. Before the first point,
    /// the line starts at the left edge of the plot.
    Step,
}

impl Plot {
    /// Returns the position of a number on the horizontal axis, in pixels.
    pub fn x_at(&self, value: f64) -> f64 {
        let Frame { left, right, .. } = self.frame;
        left + (right - left) * self.x.place(value)
    }

    /// Returns the position of a number on the vertical axis, in pixels.
    pub fn y_at(&self, value: f64) -> f64 {
        let Frame { top, bottom, .. } = self.frame;
        bottom + (top - bottom) * self.y.place(value)
    }

    /// Returns the position `[x, y]` of a point, in pixels.
    pub fn at(&self, (x, y): (f64, f64)) -> [f64; 2] {
        [self.x_at(x), self.y_at(y)]
    }

    /// Draws both axes with ticks and labels, and writes `x_name` below the horizontal axis.
    ///
    /// Every tick of the vertical axis has a grid line. If the horizontal axis is logarithmic, its ticks have grid
    /// lines, too.
    pub fn draw_axes(&self, svg: &mut Svg, x_name: &str) {
        let Frame { left, right, top, bottom } = self.frame;
        for &tick in &self.y.ticks {
            let at = self.y_at(tick);
            svg.path("grid", format_args!("M{left} {at:.1}H{right}"), "");
            svg.text("soft end", [left - 8.0, at + 4.0], &self.y.label(tick));
        }
        for &tick in &self.x.ticks {
            let at = self.x_at(tick);
            match self.x.is_log() {
                true => svg.path("grid", format_args!("M{at:.1} {top}V{bottom}"), ""),
                false => svg.path("axis", format_args!("M{at:.1} {bottom}v5"), ""),
            }
            svg.text("soft middle", [at, bottom + 19.0], &self.x.label(tick));
        }
        if !self.x.is_log() {
            svg.path("axis", format_args!("M{left} {bottom}H{right}"), "");
        }
        svg.text("soft middle", [(left + right) / 2.0, bottom + 37.0], x_name);
    }

    /// Draws a line through points; `class` is the CSS class of its colour. The line is visible if there are at least
    /// two points, or, with [`Join::Step`], one point.
    pub fn draw_line(&self, svg: &mut Svg, class: &str, join: Join, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (ix, &point) in points.iter().enumerate() {
            let [x, y] = self.at(point);
            path += &match (join, ix) {
                (Join::Straight, 0) => format!("M{x:.1} {y:.1}"),
                (Join::Straight, _) => format!("L{x:.1} {y:.1}"),
                (Join::Step, 0) => format!("M{:.1} {y:.1}H{x:.1}", self.frame.left),
                (Join::Step, _) => format!("V{y:.1}H{x:.1}"),
            };
        }
        svg.path(&format!("line {class}"), format_args!("{path}"), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_the_height_of_its_right_end() {
        let frame = Frame { left: 10.0, right: 110.0, top: 0.0, bottom: 100.0 };
        let (x, y) = (Axis::from(0.0, 2.0, 2, true), Axis::round(0.0, 10.0, 2));
        let plot = Plot { x, y, frame };
        let draw = |join| {
            let mut svg = Svg::inline([120.0, 100.0], "img", "");
            plot.draw_line(&mut svg, "c1", join, &[(1.0, 5.0), (2.0, 10.0)]);
            svg.finish()
        };
        let steps = draw(Join::Step);
        assert!(steps.contains("\"line c1\" d=\"M10.0 50.0H60.0V0.0H110.0\""), "{steps}");
        let straight = draw(Join::Straight);
        assert!(straight.contains("d=\"M60.0 50.0L110.0 0.0\""), "{straight}");
    }
}
