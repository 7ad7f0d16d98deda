//! The curve of a sweep as SVG: losses over learning rates, with the suggestions, and the parts of the curve before and
//! after its slope.

use super::{Found, Why};
use crate::base::chart::axis::range;
use crate::base::chart::plot::Join;
use crate::base::chart::{Axis, Frame, Plot, Svg};
use crate::base::choice::Choice;
use crate::train::lr_find::curve::Rule;

const SIZE: [f64; 2] = [760.0, 420.0];
const FRAME: Frame = Frame { left: 56.0, right: 740.0, top: 24.0, bottom: 372.0 };

/// Draws a sweep: points for the losses, a line for the smoothed loss, and vertical lines for the suggestions. The line
/// of the chosen rule is solid, the others are dashed. The parts of the curve before and after its slope are shaded,
/// with the reason as text. The axis of the learning rates is logarithmic.
pub fn draw(found: &Found) -> String {
    let points = found.curve.points();
    let losses = || points.iter().flat_map(|point| [point.loss, point.smoothed]);
    let (low, high) = range(losses());
    let high = high.min(found.ceiling());
    // The axis spans at least 2% of the loss. Otherwise a nearly constant loss would look like a falling loss.
    let low = low.min(0.98 * high);
    let plot = Plot {
        x: Axis::log(points.iter().map(|point| point.rate), 1.0),
        y: Axis::from(low, high, 5, false),
        frame: FRAME,
    };
    let at = |rate: f64, loss: f64| plot.at((rate, loss.min(high)));

    let Frame { left, right, top, bottom } = FRAME;
    let mut svg = Svg::drawing(SIZE, "Loss over learning rate");
    svg.text(
        "",
        [left, 16.0],
        "loss: each step, without the noise of its batch (points), and smoothed (line)",
    );
    for part in found.left_out() {
        let (from, to) = (plot.x_at(part.rates.0), plot.x_at(part.rates.1));
        svg.rect("shade", [from, top, to - from, bottom - top], "");
    }
    plot.draw_axes(&mut svg, "learning rate");
    for point in points {
        let title = format!("rate {:.3e}, loss {:.4}", point.rate, point.loss);
        svg.circle("c6 light", at(point.rate, point.loss), 2.5, &title);
    }
    let smoothed: Vec<_> = points.iter().map(|p| (p.rate, p.smoothed.min(high))).collect();
    plot.draw_line(&mut svg, "c0", Join::Straight, &smoothed);

    let suggestions = found.suggestions();
    let rates =
        suggestions.iter().flat_map(|rates| Rule::values().map(|rule| (rule, rates.by(rule))));
    let rates: Vec<_> = rates.map(|(rule, rate)| (rule, rate, plot.x_at(rate))).collect();
    for &(rule, _, x) in &rates {
        let class = if rule == found.rule { "line c1" } else { "line c1 d1" };
        svg.path(class, format_args!("M{x:.1} {top}V{bottom}"), "");
    }
    // The names are drawn after all lines, on the side of the line that has more room.
    for (row, &(rule, rate, x)) in rates.iter().enumerate() {
        let y = top + 14.0 + 17.0 * row as f64;
        let name = format!("{} {rate:.2e}", rule.label());
        match x < (left + right) / 2.0 {
            true => svg.text("c1 coloured halo", [x + 6.0, y], &name),
            false => svg.text("c1 coloured halo end", [x - 6.0, y], &name),
        }
    }
    for part in found.left_out() {
        let why = format!("left out: {}", part.why);
        // The text may be wider than its shaded part. The text of the part after the slope therefore ends at the right
        // end of its part, the text of the part before the slope begins at the left end, and the two texts are in
        // different rows.
        match part.why {
            Why::Behind => {
                let x = plot.x_at(part.rates.1) - 6.0;
                svg.text("soft halo end", [x, bottom - 26.0], &why);
            }
            Why::Before | Why::NoSlope => {
                let x = plot.x_at(part.rates.0) + 6.0;
                svg.text("soft halo", [x, bottom - 8.0], &why);
            }
        }
    }
    svg.finish()
}
