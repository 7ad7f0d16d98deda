//! Draws a profile. The upper part is a flame chart with time from left to right: one row each for the step, its
//! phases, their layers and their nodes. The width of a box is its time. The lower part has a bar for each op, the
//! longest first.

use std::fmt::Write;

use super::{NodeProfile, Profile, Total, totals};
use crate::base::chart::bars::{self, Bar, Bars};
use crate::base::chart::{Axis, Svg};
use crate::measure::TimedWork;
use crate::measure::figures::{giga, percent, short_milliseconds as milliseconds};
use crate::measure::timed::roof;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 20.0;
const FLAME_TOP: f64 = 72.0;
const ROW: f64 = 30.0;
const BARS_TOP: f64 = FLAME_TOP + 4.0 * ROW + 86.0;

/// Upper bound on the width of a character in a box, in pixels.
const LETTER: f64 = 7.6;

/// Colours of the ops that take the most time.
const COLOURS: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c7", "c8"];

/// Colour of all other ops.
const OTHER: &str = "c6";

/// Fraction of the step's time below which ops are drawn together as one bar.
const SMALL: f64 = 0.004;

/// Draws a profile as an SVG file.
pub fn draw(profile: &Profile) -> String {
    let bars = bars(profile);
    let height = BARS_TOP + bars::ROW * bars.bars.len() as f64 + 14.0;
    let Profile { network, width, batch_size, device, peak, n_steps, .. } = profile;
    let title = format!("{network}, width {width}, a step of {batch_size} images on {device}");
    let mut svg = Svg::drawing([WIDTH, height], &title);
    let (sum, step) = (milliseconds(profile.sum.timed.seconds), milliseconds(profile.step_seconds));
    let (flops, bytes) = (giga(peak.flops_per_s), giga(peak.bytes_per_s));
    let reduction = profile.reduction.map_or(String::new(), |reduction| {
        format!(
            ", {} the reduction over {} ranks",
            milliseconds(reduction.seconds),
            reduction.n_ranks
        )
    });
    let note = format!(
        "{sum} in all nodes (medians of {n_steps}){reduction}, {step} a whole step by the host's clock · the device \
         at best: {flops} GFLOP/s, {bytes} GB/s"
    );
    svg.head(&title, &[note]);
    flame(&mut svg, profile);
    let note = "by op; the dark part is the time at the device's peak rates";
    svg.text("soft", [MARGIN, BARS_TOP - 14.0], note);
    bars.draw(&mut svg, BARS_TOP);
    svg.finish()
}

/// Draws the step, its phases, their layers and their nodes, one row each, and the time axis below.
fn flame(svg: &mut Svg, profile: &Profile) {
    let sum = profile.sum.timed.seconds.max(f64::MIN_POSITIVE);
    let axis = Axis::from(0.0, 1e3 * sum, 10, false);
    let x_at = |seconds: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * axis.place(1e3 * seconds);
    let mut frame =
        |row: usize, begin: f64, name: &str, note: &str, timed: TimedWork, class: &str| {
            let (left, right) = (x_at(begin), x_at(begin + timed.seconds));
            let title = format!("{note}: {}", milliseconds(timed.seconds));
            let y = FLAME_TOP + ROW * row as f64;
            svg.open(format_args!("class=\"{class}\""), &title);
            // Boxes have a gap of one pixel between them, except boxes that are too narrow.
            let width = right - left;
            let shown = if width > 3.0 { width - 1.0 } else { width };
            svg.rect("light", [left, y, shown, ROW - 2.0], "");
            let fits = |name: &&str| LETTER * name.len() as f64 + 4.0 < width;
            let name = [name, short(name)].into_iter().find(fits).unwrap_or_default();
            svg.text("middle", [(left + right) / 2.0, y + 18.0], name);
            svg.close();
        };
    let mut at = 0.0;
    frame(0, at, "step", "a step", profile.sum.timed, OTHER);
    for phase in profile.nodes.chunk_by(|a, b| a.phase == b.phase) {
        let total = &totals(phase, |node| node.phase)[0];
        frame(1, at, &total.name, &total.name, total.timed, OTHER);
        for layer in phase.chunk_by(|a, b| a.layer == b.layer) {
            let total = &totals(layer, |node| &node.layer)[0];
            let note = format!("{}, {}", total.name, layer[0].phase);
            frame(2, at, &total.name, &note, total.timed, OTHER);
            for node in layer {
                let note = describe(profile, node);
                frame(3, at, node.op, &note, node.timed, colour(profile, node.op));
                at += node.timed.seconds;
            }
        }
    }
    let y = FLAME_TOP + 4.0 * ROW + 2.0;
    for &tick in &axis.ticks {
        let x = x_at(1e-3 * tick);
        svg.path("axis", format_args!("M{x:.2} {y}v5"), "");
        // A label that would exceed the drawing is left out.
        if x < WIDTH - 2.0 * MARGIN {
            svg.text("soft", [x, y + 19.0], &format!("{} ms", axis.label(tick)));
        }
    }
}

/// Returns the part of an op's name that is drawn if the whole name does not fit: `conv2d` for `conv2d.forward`,
/// `d_weight` for `conv2d.d_weight`.
fn short(op: &str) -> &str {
    match op.split_once('.') {
        Some((stem, "forward")) => stem,
        Some((_, what)) => what,
        None => "",
    }
}

fn describe(profile: &Profile, node: &NodeProfile) -> String {
    let mut text = format!("{} {}", node.ix, node.node);
    let peak = profile.peak;
    if let Some(rate) = node.timed.flops_per_s() {
        let _ = write!(text, ", {} GFLOP/s ({})", giga(rate), percent(rate / peak.flops_per_s));
    }
    if let Some(rate) = node.timed.bytes_per_s() {
        let _ = write!(text, ", {} GB/s ({})", giga(rate), percent(rate / peak.bytes_per_s));
    }
    text
}

/// Returns one bar per op, and one bar for all small ops together.
fn bars(profile: &Profile) -> Bars {
    let is_large = |op: &&Total| op.timed.seconds >= SMALL * profile.sum.timed.seconds;
    let (large, small): (Vec<&Total>, Vec<&Total>) = profile.ops.iter().partition(is_large);
    let mut bars: Vec<Bar> = large
        .iter()
        .map(|op| bar(profile, &op.name, op.timed, colour(profile, &op.name)))
        .collect();
    if !small.is_empty() {
        let timed = small.iter().map(|op| op.timed).sum();
        bars.push(bar(profile, &format!("{} others", small.len()), timed, OTHER));
    }
    let right = WIDTH - MARGIN;
    let columns = [
        (right - 392.0, "of step"),
        (right - 312.0, "time"),
        (right - 222.0, "GFLOP/s"),
        (right - 152.0, "of best"),
        (right - 70.0, "GB/s"),
        (right, "of best"),
    ];
    Bars { left: MARGIN + 212.0, width: 488.0, columns: columns.to_vec(), bars }
}

fn bar(profile: &Profile, name: &str, timed: TimedWork, class: &str) -> Bar {
    let (flops, bytes) = (timed.flops_per_s(), timed.bytes_per_s());
    let rate = |rate: Option<f64>| rate.map_or(String::new(), giga);
    let share = |rate: Option<f64>, peak: f64| rate.map_or(String::new(), |r| percent(r / peak));
    Bar {
        name: name.to_string(),
        class: class.to_string(),
        length: timed.seconds,
        // The dark part is the time at the device's peak rates, at most the measured time.
        dark: roof(timed.work, profile.peak).1.min(timed.seconds),
        figures: vec![
            percent(timed.seconds / profile.sum.timed.seconds),
            milliseconds(timed.seconds),
            rate(flops),
            share(flops, profile.peak.flops_per_s),
            rate(bytes),
            share(bytes, profile.peak.bytes_per_s),
        ],
    }
}

/// Returns the colour of an op. The eight ops with the most time have different colours; all others share one colour.
fn colour(profile: &Profile, op: &str) -> &'static str {
    let rank = profile.ops.iter().position(|total| total.name == op);
    rank.and_then(|rank| COLOURS.get(rank)).copied().unwrap_or(OTHER)
}
