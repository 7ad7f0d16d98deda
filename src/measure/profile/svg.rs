//! A profile as a drawing: on top the step from left to right, with its phases, their layers, and their
//! nodes below each other, as wide as they take long; under it the ops, the longest first.
//!
//! The file stands alone and has no background: the boxes bring their own, and what lies outside them is
//! of a grey that light and dark pages both show.

use std::fmt::Write;

use super::table::{giga, percent};
use super::{NodeProfile, Profile, Total, Work, totals};
use crate::passes::draw::escape;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 20.0;
const FLAME_TOP: f64 = 76.0;
const ROW: f64 = 30.0;
const BAR_ROW: f64 = 25.0;
const NAME_WIDTH: f64 = 200.0;
const BAR_WIDTH: f64 = 500.0;

/// What a letter takes of the font of the boxes, a little too much.
const LETTER: f64 = 6.4;

/// The colours of the ops that take the most time: of the box, and of the part within that could not be
/// left out.
const COLOURS: [[&str; 2]; 8] = [
    ["#a9caff", "#4c86e0"],
    ["#fbc590", "#dd7f1c"],
    ["#a5dfb8", "#3fa367"],
    ["#d3c0f8", "#8a63d2"],
    ["#f5b5c4", "#d1496b"],
    ["#f1dc86", "#b98d0c"],
    ["#9bdbe0", "#2592a0"],
    ["#d6c4aa", "#92744a"],
];

/// The colour of all others.
const OTHER: [&str; 2] = ["#cbd2da", "#7b8794"];

/// Ops below this part of the step are drawn as one.
const SMALL: f64 = 0.004;

/// Draws a profile as an SVG file.
pub fn draw(profile: &Profile) -> String {
    let (large, small): (Vec<&Total>, Vec<&Total>) =
        profile.ops.iter().partition(|op| op.work.seconds >= SMALL * profile.sum.work.seconds);
    let bars_top = FLAME_TOP + 4.0 * ROW + 86.0;
    let n_bars = large.len() + usize::from(!small.is_empty());
    let height = bars_top + BAR_ROW * n_bars as f64 + 34.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
    );
    let name = escape(&profile.network);
    let _ = writeln!(out, "<title>{name}: where the time of a step goes</title>\n{STYLE}");
    header(&mut out, profile);
    flame(&mut out, profile);
    bars_head(&mut out, bars_top - 14.0);
    for (ix, op) in large.iter().enumerate() {
        bar(&mut out, profile, op, colours(profile, &op.name), bars_top + BAR_ROW * ix as f64);
    }
    if !small.is_empty() {
        let others = Total {
            name: format!("{} others", small.len()),
            n_nodes: small.iter().map(|op| op.n_nodes).sum(),
            work: small.iter().fold(Work::default(), |sum, op| sum.plus(op.work)),
        };
        bar(&mut out, profile, &others, OTHER, bars_top + BAR_ROW * large.len() as f64);
    }
    out += "</svg>\n";
    out
}

const STYLE: &str = "<style>
  text { font-family: system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif; \
font-size: 12px; fill: #808b98; }
  .title { font-size: 19px; font-weight: 650; }
  .box { fill: #1c2530; font-size: 11.5px; text-anchor: middle; }
  .end { text-anchor: end; }
  .axis { stroke: #808b98; stroke-opacity: 0.6; }
</style>";

fn header(out: &mut String, profile: &Profile) {
    let Profile { network, width, batch_size, device, peak, n_steps, .. } = profile;
    let (network, device) = (escape(network), escape(device));
    let (sum, step) = (milliseconds(profile.sum.work.seconds), milliseconds(profile.step_seconds));
    let _ = writeln!(
        out,
        r#"<text class="title" x="{MARGIN}" y="30">{network}, width {width}, a step of {batch_size} images on {device}</text>"#
    );
    let (flops, bytes) = (giga(peak.flops_per_s), giga(peak.bytes_per_s));
    let _ = writeln!(
        out,
        r#"<text x="{MARGIN}" y="54">{sum} in all nodes (medians of {n_steps}), {step} a whole step by the host's clock · the device at best: {flops} GFLOP/s, {bytes} GB/s</text>"#
    );
}

fn flame(out: &mut String, profile: &Profile) {
    let sum = profile.sum.work;
    let scale = (WIDTH - 2.0 * MARGIN) / sum.seconds.max(f64::MIN_POSITIVE);
    let mut at = MARGIN;
    frame(out, 0, at, scale, "step", "a step", sum, "#b4bdc8");
    for phase in profile.nodes.chunk_by(|a, b| a.phase == b.phase) {
        let total = &totals(phase, |node| node.phase)[0];
        frame(out, 1, at, scale, &total.name, &total.name, total.work, "#cbd2da");
        for layer in phase.chunk_by(|a, b| a.layer == b.layer) {
            let total = &totals(layer, |node| &node.layer)[0];
            let (name, note) = (&total.name, format!("{}, {}", total.name, layer[0].phase));
            frame(out, 2, at, scale, name, &note, total.work, "#e2e6eb");
            for node in layer {
                let [fill, _] = colours(profile, node.op);
                let note = describe(profile, node);
                frame(out, 3, at, scale, node.op, &note, node.work, fill);
                at += scale * node.work.seconds;
            }
        }
    }
    axis(out, sum.seconds, scale);
}

/// A box of the flame: `name` in it if there is room, `note` when it is pointed at.
#[allow(clippy::too_many_arguments)] // Each is another thing about one box.
fn frame(
    out: &mut String,
    row: usize,
    x: f64,
    scale: f64,
    name: &str,
    note: &str,
    work: Work,
    fill: &str,
) {
    let (y, width) = (FLAME_TOP + ROW * row as f64, scale * work.seconds);
    // A gap between boxes, as long as something of the box is left.
    let (shown, height) = (if width > 3.0 { width - 1.0 } else { width }, ROW - 2.0);
    let (name, note) = (escape(name), escape(note));
    let time = milliseconds(work.seconds);
    let _ = writeln!(
        out,
        r#"<g><title>{note}: {time}</title><rect x="{x:.2}" y="{y}" width="{shown:.2}" height="{height}" fill="{fill}"/>"#
    );
    // What is left of an op's name where the whole has no room: `conv2d` of `conv2d.forward`, `d_weight` of
    // `conv2d.d_weight`.
    let short = match name.split_once('.') {
        Some((stem, "forward")) => stem,
        Some((_, what)) => what,
        None => "",
    };
    let fits = |name: &&str| !name.is_empty() && LETTER * name.len() as f64 + 4.0 < width;
    if let Some(name) = [&*name, short].into_iter().find(fits) {
        let (centre, baseline) = (x + width / 2.0, y + 18.0);
        let _ = writeln!(out, r#"<text class="box" x="{centre:.2}" y="{baseline}">{name}</text>"#);
    }
    *out += "</g>\n";
}

fn describe(profile: &Profile, node: &NodeProfile) -> String {
    let mut text = format!("{} {}", node.ix, node.node);
    let peak = profile.peak;
    if let Some(rate) = node.work.flops_per_s() {
        let _ = write!(text, ", {} GFLOP/s ({})", giga(rate), percent(rate / peak.flops_per_s));
    }
    if let Some(rate) = node.work.bytes_per_s() {
        let _ = write!(text, ", {} GB/s ({})", giga(rate), percent(rate / peak.bytes_per_s));
    }
    text
}

/// The time below the flame, in round steps.
fn axis(out: &mut String, seconds: f64, scale: f64) {
    let y = FLAME_TOP + 4.0 * ROW + 2.0;
    let (end, text_y) = (y + 5.0, y + 19.0);
    let tick = tick(seconds);
    let mut n = 0;
    while n as f64 * tick <= seconds {
        let at = n as f64 * tick;
        let x = MARGIN + scale * at;
        let _ = writeln!(out, r#"<path class="axis" d="M{x:.2} {y} V{end}"/>"#);
        // A label that would leave the drawing is left out.
        if x < WIDTH - 2.0 * MARGIN {
            let digits = (-(1e3 * tick).log10().floor()).max(0.0) as usize;
            let label = 1e3 * at;
            let _ = writeln!(out, r#"<text x="{x:.2}" y="{text_y}">{label:.digits$} ms</text>"#);
        }
        n += 1;
    }
}

/// 1, 2 or 5 times a power of ten, such that there are about ten ticks.
fn tick(seconds: f64) -> f64 {
    let rough = seconds.max(1e-9) / 10.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

fn bars_head(out: &mut String, y: f64) {
    let _ = writeln!(
        out,
        r#"<text x="{MARGIN}" y="{y}">by op; the dark part is what it would take at the device's best</text>"#
    );
    for (x, text) in
        figures().into_iter().zip(["of step", "time", "GFLOP/s", "of best", "GB/s", "of best"])
    {
        let _ = writeln!(out, r#"<text class="end" x="{x}" y="{y}">{text}</text>"#);
    }
}

/// Where the figures of a bar end.
fn figures() -> [f64; 6] {
    let right = WIDTH - MARGIN;
    [right - 392.0, right - 312.0, right - 222.0, right - 152.0, right - 70.0, right]
}

/// An op, as long as it takes.
fn bar(out: &mut String, profile: &Profile, op: &Total, [fill, edge]: [&str; 2], y: f64) {
    let longest = profile.ops[0].work.seconds.max(f64::MIN_POSITIVE);
    let x = MARGIN + NAME_WIDTH;
    let width = |seconds: f64| (BAR_WIDTH * seconds / longest).min(BAR_WIDTH);
    let (shown, least) = (width(op.work.seconds), width(least(profile, op.work)));
    let (name, baseline, height) = (escape(&op.name), y + 15.0, BAR_ROW - 5.0);
    let name_x = x - 8.0;
    let _ = writeln!(out, r#"<text class="end" x="{name_x}" y="{baseline}">{name}</text>"#);
    let _ = writeln!(
        out,
        r#"<rect x="{x}" y="{y}" width="{shown:.2}" height="{height}" fill="{fill}"/>"#
    );
    let _ = writeln!(
        out,
        r#"<rect x="{x}" y="{y}" width="{least:.2}" height="{height}" fill="{edge}"/>"#
    );
    let (flops, bytes) = (op.work.flops_per_s(), op.work.bytes_per_s());
    let rate = |rate: Option<f64>| rate.map_or(String::new(), giga);
    let share = |rate: Option<f64>, peak: f64| rate.map_or(String::new(), |r| percent(r / peak));
    let texts = [
        percent(op.work.seconds / profile.sum.work.seconds),
        milliseconds(op.work.seconds),
        rate(flops),
        share(flops, profile.peak.flops_per_s),
        rate(bytes),
        share(bytes, profile.peak.bytes_per_s),
    ];
    for (x, text) in figures().into_iter().zip(texts) {
        let _ = writeln!(out, r#"<text class="end" x="{x}" y="{baseline}">{text}</text>"#);
    }
}

/// The seconds that the work takes at the device's best, and no more than it took.
fn least(profile: &Profile, work: Work) -> f64 {
    let computing = work.flops as f64 / profile.peak.flops_per_s;
    let moving = work.bytes as f64 / profile.peak.bytes_per_s;
    computing.max(moving).min(work.seconds)
}

/// The colours of an op: those with the most time have their own.
fn colours(profile: &Profile, op: &str) -> [&'static str; 2] {
    let rank = profile.ops.iter().position(|total| total.name == op);
    rank.and_then(|rank| COLOURS.get(rank)).copied().unwrap_or(OTHER)
}

/// `12.3 ms`, `0.046 ms`, `1234 ms`.
fn milliseconds(seconds: f64) -> String {
    let value = 1e3 * seconds;
    match value {
        0.0 => "0 ms".to_string(),
        ..1.0 => format!("{value:.3} ms"),
        ..1000.0 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (seconds, expected) in [(1.0, 0.1), (0.0123, 0.002), (0.345, 0.05), (9.9, 1.0)] {
            assert!((tick(seconds) / expected - 1.0_f64).abs() < 1e-9, "{}", tick(seconds));
        }
    }

    #[test]
    fn times_have_the_digits_that_matter() {
        let texts = [0.0, 4.6e-5, 0.0123, 1.234].map(milliseconds);
        assert_eq!(texts, ["0 ms", "0.046 ms", "12.3 ms", "1234 ms"]);
    }
}
