//! The curve of a sweep, as SVG: losses over rates, with the suggestions marked and the parts that are left
//! out shaded.

use std::fmt::Write;

use super::{Found, Why};
use crate::train::lr_find::curve::Rule;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 52.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#222}\
.ground{fill:#fff}.left-out{fill:#e9e9ee}.grid{stroke:#ddd}.loss{fill:#888;opacity:.6}.smoothed{fill:none;stroke:#0072b2;stroke-width:2.5}\
.mark{stroke:#d55e00;stroke-dasharray:5 4}.chosen{stroke:#d55e00;stroke-width:2.5}.name{fill:#b34700;stroke:#fff;stroke-width:5px;paint-order:stroke}\
.why{fill:#555;stroke:#e9e9ee;stroke-width:4px;paint-order:stroke}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.ground{fill:#16181c}.left-out{fill:#26292f}.grid{stroke:#3a3d44}.loss{fill:#999}\
.smoothed{stroke:#56b4e9}.mark,.chosen{stroke:#ff9e4a}.name{fill:#ffb478;stroke:#16181c}\
.why{fill:#aaa;stroke:#26292f}}";

/// Draws the sweep: a point for each loss, a line for the smoothed one, and the suggested rates; the one
/// that was chosen is drawn through. What is left out is shaded, and the reason stands in it. The axis of the
/// rates is logarithmic.
pub fn draw(found: &Found) -> String {
    let points = found.curve.points();
    let logs = || points.iter().map(|point| point.rate.log10());
    let (first, last) = (logs().fold(f64::INFINITY, f64::min), logs().fold(f64::MIN, f64::max));
    let x = |rate: f64| LEFT + (rate.log10() - first) / (last - first) * (RIGHT - LEFT);
    let losses = || points.iter().flat_map(|point| [point.loss, point.smoothed]);
    let high = losses().fold(f64::MIN, f64::max).min(found.ceiling());
    // A loss that does not move is not drawn as large as one that does.
    let low = losses().fold(f64::INFINITY, f64::min).min(0.98 * high);
    let y = |loss: f64| BOTTOM - (loss.min(high) - low) / (high - low) * (BOTTOM - TOP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Loss over learning rate\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    // Writing to a string does not fail. The reasons stand in front of all points, as names do.
    let mut names = String::new();
    for part in found.left_out() {
        let (from, to) = (x(part.rates.0), x(part.rates.1));
        let _ = writeln!(
            svg,
            "<rect class=\"left-out\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>",
            to - from,
            BOTTOM - TOP
        );
        // Each at its end of the axis and in a row of its own: a part may be narrower than its reason.
        let (text_x, text_y, anchor) = match part.why {
            Why::Behind => (to - 6.0, BOTTOM - 26.0, "end"),
            Why::Before | Why::NoSlope => (from + 6.0, BOTTOM - 8.0, "start"),
        };
        let _ = writeln!(
            names,
            "<text class=\"why\" x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"{anchor}\">left \
             out: {}</text>",
            part.why
        );
    }
    for power in first.ceil() as i32..=last.floor() as i32 {
        let at = x(10f64.powi(power));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">1e{power}</text>",
            BOTTOM + 18.0
        );
    }
    for tick in ticks(low, high) {
        let at = y(tick);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.2}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for point in points {
        let (rate, loss) = (point.rate, point.loss);
        let _ = writeln!(
            svg,
            "<circle class=\"loss\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>rate {rate:.3e}, loss \
             {loss:.4}</title></circle>",
            x(rate),
            y(loss)
        );
    }
    let line: Vec<_> = points
        .iter()
        .map(|point| format!("{:.1} {:.1}", x(point.rate), y(point.smoothed)))
        .collect();
    let _ = writeln!(svg, "<path class=\"smoothed\" d=\"M{}\"/>", line.join("L"));

    let suggestions = found.suggestions();
    let rates = suggestions.iter().flat_map(|rates| Rule::ALL.map(|rule| (rule, rates.by(rule))));
    // Behind all lines, so that none runs through a name.
    for (row, (rule, rate)) in rates.enumerate() {
        let class = if rule == found.rule { "chosen" } else { "mark" };
        let (at, text_y) = (x(rate), TOP + 14.0 + 17.0 * row as f64);
        // The names stand on the side where there is room.
        let (text_x, anchor) =
            if at < (LEFT + RIGHT) / 2.0 { (at + 6.0, "start") } else { (at - 6.0, "end") };
        let _ = writeln!(
            names,
            "<text class=\"name\" x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"{anchor}\">{} \
             {rate:.2e}</text>",
            rule.name()
        );
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
    }
    svg += &names;
    let middle = (LEFT + RIGHT) / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">learning rate</text>\
         <text x=\"{LEFT}\" y=\"16\">loss: each step, cleared of its batch (points), and smoothed (line)</text>\n</svg>",
        HEIGHT - 12.0
    );
    svg
}

/// Round losses between the two.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let power = 10f64.powf(((high - low) / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| (high - low) / step <= 6.0).unwrap_or(power);
    let count = |at: f64| (at / step) as usize;
    (count(low) + 1..=count(high)).map(|n| n as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let ticks = ticks(1.37, 2.61);
        let expected = [1.5, 2.0, 2.5];
        assert_eq!(ticks.len(), 3, "{ticks:?}");
        assert!(ticks.iter().zip(expected).all(|(tick, value)| (tick - value).abs() < 1e-9));
    }
}
