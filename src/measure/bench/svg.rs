//! Draws the roofline: a line for the device's peak rate at each arithmetic intensity (operations per byte), and a mark
//! for each kernel below the line.

use super::table::shortened;
use super::{Bench, Kernel};
use crate::base::chart::{Axis, Frame, Plot, Svg};
use crate::base::choice::Choice;
use crate::measure::figures::{giga, milliseconds, percent};
use crate::ops::optimizers::OptimizerKind;

const WIDTH: f64 = 1180.0;
const HEIGHT: f64 = 700.0;
const FRAME: Frame = Frame { left: 66.0, right: 740.0, top: 76.0, bottom: 620.0 };

/// Position of the list of kernels, in pixels from the left.
const LIST: f64 = 776.0;

/// Height of an entry of the list, in pixels.
const ROW: f64 = 36.0;

/// Number of kernels that have a number and an entry in the list. They are the kernels with the most time.
const N_NUMBERED: usize = 16;

/// Smallest fraction of the step's time that a drawn kernel takes. Other kernels are left out.
const SMALLEST: f64 = 1e-3;

/// Colours of the ops, with their names in the legend.
const COLOURS: [(&str, &str); 6] = [
    ("c0", "convolutions"),
    ("c1", "batch norm"),
    ("c2", "pools"),
    ("c3", "linear"),
    ("c4", "optimizer"),
    ("c6", "others"),
];

/// Draws the roofline as an SVG file.
pub fn draw(bench: &Bench) -> String {
    let settings = &bench.settings;
    let title = format!(
        "{}, width {}, {} images: the kernels of a step below the roof of the device",
        settings.network, settings.width, settings.batch_size
    );
    let machine = &bench.machine;
    let driver = machine.driver.as_ref().map_or(String::new(), |driver| format!(", {driver}"));
    let below = format!("{}{driver}; {}; {}", machine.device, machine.processor, machine.date);
    let mut svg = Svg::drawing([WIDTH, HEIGHT], &title);
    svg.head(&title, &[below]);

    // Kernels without arithmetic have no position on a logarithmic axis. Kernels with almost no time may be very slow
    // and would stretch the axis.
    let is_drawn = |kernel: &&Kernel| {
        kernel.rates.flops_per_s > 0.0 && bench.part_of_step([*kernel]) >= SMALLEST
    };
    let (drawn, others): (Vec<&Kernel>, Vec<&Kernel>) = bench.kernels.iter().partition(is_drawn);
    let (numbered, small) = drawn.split_at(drawn.len().min(N_NUMBERED));
    let plot = plot(bench, &drawn);
    plot.draw_axes(&mut svg, "operations a byte");
    svg.text("halo", [FRAME.left + 8.0, FRAME.top + 14.0], "GFLOP/s");
    roof(&mut svg, bench, &plot);
    step(&mut svg, bench, &plot);
    for kernel in small {
        mark(&mut svg, kernel, place(&plot, kernel), 3.2);
    }
    for kernel in numbered {
        mark(&mut svg, kernel, place(&plot, kernel), 4.8);
    }
    numbers(&mut svg, numbered, &drawn, &plot);
    list(&mut svg, bench, numbered);
    footer(&mut svg, bench, small, &others);
    svg.finish()
}

/// Returns the plot: operations per byte from left to right, GFLOP/s from bottom to top.
fn plot(bench: &Bench, drawn: &[&Kernel]) -> Plot {
    let peak = bench.peak;
    let bend = peak.flops_per_s / peak.bytes_per_s;
    let x = drawn.iter().map(|kernel| kernel.rates.intensity).chain([bend]);
    let y = drawn.iter().map(|kernel| kernel.rates.flops_per_s).chain([peak.flops_per_s]);
    Plot { x: Axis::log(x, 1.6), y: Axis::log(y.map(|rate| rate / 1e9), 1.8), frame: FRAME }
}

fn place(plot: &Plot, kernel: &Kernel) -> [f64; 2] {
    plot.at((kernel.rates.intensity, kernel.rates.flops_per_s / 1e9))
}

/// Draws the roofline: a slope for the memory's peak rate, then a horizontal line at the arithmetic's peak rate.
fn roof(svg: &mut Svg, bench: &Bench, plot: &Plot) {
    let [flops, bytes] = [bench.peak.flops_per_s, bench.peak.bytes_per_s].map(|peak| peak / 1e9);
    let [bend, flat] = plot.at((flops / bytes, flops));
    // The slope begins at the left edge of the plot, or at the bottom edge if it crosses that edge farther right.
    let low = plot.x.low.max(plot.y.low / bytes);
    let [x, y] = plot.at((low, low * bytes));
    let right = FRAME.right;
    svg.path("rule", format_args!("M{x:.1} {y:.1}L{bend:.1} {flat:.1}H{right}"), "");
    let above = format!("multiply-adds: {} GFLOP/s", giga(bench.peak.flops_per_s));
    // The label is at the bend, because the marks of fast kernels are below the right end.
    svg.text("halo", [bend.min(right - 180.0), flat - 8.0], &above);
    let angle = (y - flat).atan2(x - bend).to_degrees() - 180.0;
    let at = [(x + 2.0 * bend) / 3.0, (y + 2.0 * flat) / 3.0 - 9.0];
    let memory = format!("memory: {} GB/s", giga(bench.peak.bytes_per_s));
    svg.turned("middle halo", at, angle, &memory);
}

/// Draws the whole step as a cross.
fn step(svg: &mut Svg, bench: &Bench, plot: &Plot) {
    let rates = bench.step.rates;
    if rates.flops_per_s <= 0.0 {
        return;
    }
    let [x, y] = plot.at((rates.intensity, rates.flops_per_s / 1e9));
    let (time, rate) = (milliseconds(bench.step.seconds.median), giga(rates.flops_per_s));
    let (left, top) = (x - 7.0, y - 7.0);
    svg.path(
        "rule",
        format_args!("M{left:.1} {y:.1}h14M{x:.1} {top:.1}v14"),
        &format!("the whole step: {time} ms, {rate} GFLOP/s"),
    );
}

/// Draws the mark of a kernel. The colour stands for its op. A circle stands for a forward kernel, a triangle for the
/// gradient of an input, and a square for all other kernels.
fn mark(svg: &mut Svg, kernel: &Kernel, [x, y]: [f64; 2], r: f64) {
    let rates = kernel.rates;
    let title = format!(
        "{} of {}: {} ms, {} GFLOP/s, {} GB/s, {} of the roof",
        kernel.op,
        kernel.shapes(),
        milliseconds(kernel.seconds.median),
        giga(rates.flops_per_s),
        giga(rates.bytes_per_s),
        percent(rates.of_roof)
    );
    let class = format!("mark {}", colour(&kernel.op));
    match kernel.op.rsplit('.').next() {
        Some("forward") => svg.circle(&class, [x, y], r, &title),
        Some("d_input" | "backward") => {
            let (top, side, height) = (y - 1.2 * r, 1.2 * r, 2.1 * r);
            let path = format_args!("M{x:.1} {top:.1}l{side:.1} {height:.1}h-{:.1}z", 2.0 * side);
            svg.path(&class, path, &title);
        }
        _ => svg.rect(&class, [x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r], &title),
    }
}

fn colour(op: &str) -> &'static str {
    match op.split('.').next().unwrap_or_default() {
        stem if stem.starts_with("conv2d") => "c0",
        stem if stem.starts_with("batch_norm") => "c1",
        stem if stem.contains("pool") => "c2",
        "linear" => "c3",
        stem if OptimizerKind::from_name(stem).is_ok() => "c4",
        _ => "c6",
    }
}

/// Draws the numbers of the kernels. A number is placed near its mark, and hides neither a mark nor another number.
fn numbers(svg: &mut Svg, numbered: &[&Kernel], drawn: &[&Kernel], plot: &Plot) {
    let marks: Vec<[f64; 2]> = drawn.iter().map(|kernel| place(plot, kernel)).collect();
    let mut taken: Vec<[f64; 2]> = Vec::new();
    for (ix, kernel) in numbered.iter().enumerate() {
        let mark = place(plot, kernel);
        let at = free_place(mark, &marks, &taken);
        taken.push(at);
        let ([x, y], [from_x, from_y]) = (at, mark);
        if (x - from_x).hypot(y - from_y) > NEAR + 1.0 {
            svg.path("leader", format_args!("M{from_x:.1} {from_y:.1}L{x:.1} {y:.1}"), "");
        }
        svg.text("bold middle halo", [x, y + 4.5], &(ix + 1).to_string());
    }
}

/// Smallest distance between a number and its mark, in pixels.
const NEAR: f64 = 14.0;

/// Returns the nearest free position around a mark. If all tried positions are taken, returns the position of the mark.
fn free_place(mark: [f64; 2], marks: &[[f64; 2]], taken: &[[f64; 2]]) -> [f64; 2] {
    let is_free = |[x, y]: [f64; 2]| {
        let clear = |others: &[[f64; 2]], dx: f64, dy: f64| {
            others.iter().all(|other| (x - other[0]).abs() > dx || (y - other[1]).abs() > dy)
        };
        let Frame { left, right, top, bottom } = FRAME;
        let inside =
            (left + 8.0..right - 8.0).contains(&x) && (top + 8.0..bottom - 6.0).contains(&y);
        inside && clear(marks, 12.0, 11.0) && clear(taken, 18.0, 14.0)
    };
    let around = |ix: usize| {
        let (ring, turn) = (ix / 16, ix % 16);
        let (distance, angle) =
            (NEAR + 10.0 * ring as f64, std::f64::consts::TAU * turn as f64 / 16.0);
        [mark[0] + distance * angle.cos(), mark[1] + distance * angle.sin()]
    };
    (0..16 * 10).map(around).find(|&place| is_free(place)).unwrap_or(mark)
}

/// Draws the list of the numbered kernels.
fn list(svg: &mut Svg, bench: &Bench, numbered: &[&Kernel]) {
    let (of_step, of_roof) = (WIDTH - 98.0, WIDTH - 20.0);
    svg.text("soft", [LIST, FRAME.top - 2.0], "the kernels with the most time");
    svg.text("soft end", [of_step, FRAME.top - 2.0], "of the step");
    svg.text("soft end", [of_roof, FRAME.top - 2.0], "of the roof");
    for (ix, kernel) in numbered.iter().enumerate() {
        let y = FRAME.top + 18.0 + ROW * ix as f64;
        svg.text("bold end", [LIST + 16.0, y], &(ix + 1).to_string());
        mark(svg, kernel, [LIST + 30.0, y - 4.0], 4.8);
        svg.text("", [LIST + 44.0, y], &kernel.op);
        let shapes = match kernel.n_nodes {
            1 => shortened(&kernel.shapes()),
            n => format!("{}, {n} times", shortened(&kernel.shapes())),
        };
        svg.text("soft", [LIST + 44.0, y + 14.0], &shapes);
        svg.text("end", [of_step, y], &percent(bench.part_of_step([*kernel])));
        svg.text("end", [of_roof, y], &percent(kernel.rates.of_roof));
    }
}

fn footer(svg: &mut Svg, bench: &Bench, small: &[&Kernel], others: &[&Kernel]) {
    let share = |kernels: &[&Kernel]| percent(bench.part_of_step(kernels.iter().copied()));
    for (row, (colour, name)) in COLOURS.into_iter().enumerate() {
        let y = FRAME.bottom - 14.0 - 18.0 * (COLOURS.len() - 1 - row) as f64;
        let x = FRAME.right - 96.0;
        svg.circle(&format!("dot {colour}"), [x, y - 4.0], 4.0, "");
        svg.text("soft halo", [x + 11.0, y], name);
    }
    let shapes = "Circles are forward, triangles gradients of inputs, squares gradients of parameters \
                  and updates; the cross is the whole step.";
    let rest = format!(
        "Without a number: {} kernels, {} of the step. Not drawn: {} that only move numbers, or \
         take less than 0.1% each, together {}.",
        small.len(),
        share(small),
        others.len(),
        share(others)
    );
    svg.text("soft", [20.0, HEIGHT - 26.0], shapes);
    svg.text("soft", [20.0, HEIGHT - 9.0], &rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chart::escape;
    use crate::base::chart::svg::tests::assert_well_formed;
    use crate::measure::bench::Rates;
    use crate::measure::bench::tests::{PEAK, bench, kernel, work};

    #[test]
    fn every_kernel_is_on_the_drawing() {
        let ops = ["conv2d.forward", "conv2d.d_input", "conv2d.d_weight", "a<b>.forward"];
        let mut kernels: Vec<Kernel> =
            ops.iter().map(|op| kernel(op, &["2x3"], 1, &[0.1, 0.2])).collect();
        let mut moves = kernel("flatten.forward", &["8x4"], 1, &[0.005]);
        moves.rates = Rates::new(work(0, 10_000_000), 0.005, PEAK);
        kernels.push(moves);
        let svg = draw(&bench(kernels, &[0.7]));
        assert_well_formed(&svg);
        for op in ops {
            // Each title appears twice: in the plot and in the list.
            let title = format!("<title>{} of 2x3: 150.000 ms", escape(op));
            assert_eq!(svg.matches(&title).count(), 2, "{op}");
        }
        assert!(!svg.contains("flatten.forward"), "a kernel without arithmetic is not drawn");
        assert!(svg.contains("Not drawn: 1 that only move numbers, or take"), "{svg}");
        assert!(svg.contains("memory: 10.0 GB/s") && svg.contains("adds: 100.0 GFLOP/s"), "{svg}");
        assert!(svg.contains("a &lt;fast&gt; GPU (Vulkan), driver 1.2"), "{svg}");
        assert_well_formed(&draw(&bench(Vec::new(), &[0.7])));
    }

    #[test]
    fn the_roof_bends_where_the_two_peaks_meet() {
        let bench = bench(vec![kernel("conv2d.forward", &["2x3"], 1, &[0.1])], &[0.7]);
        let plot = plot(&bench, &bench.kernels.iter().collect::<Vec<_>>());
        let mut svg = Svg::drawing([WIDTH, HEIGHT], "a roof");
        roof(&mut svg, &bench, &plot);
        let out = svg.finish();
        let bend = format!("L{:.1} {:.1}H{}", plot.x_at(10.0), plot.y_at(100.0), FRAME.right);
        assert!(out.contains(&bend), "{bend} is not in {out}");
        // A kernel of 40 operations per byte at 40 GFLOP/s is to the right of the roofline's bend, and below its
        // horizontal part.
        let [x, y] = place(&plot, &bench.kernels[0]);
        assert!(x > plot.x_at(10.0) && y > plot.y_at(100.0));
    }

    #[test]
    fn numbers_do_not_overlap() {
        let marks = [[200.0, 200.0], [203.0, 202.0], [206.0, 198.0]];
        let mut taken: Vec<[f64; 2]> = Vec::new();
        for mark in marks {
            let at = free_place(mark, &marks, &taken);
            let clear = |[x, y]: &[f64; 2]| (x - at[0]).abs() > 12.0 || (y - at[1]).abs() > 11.0;
            assert!(marks.iter().chain(&taken).all(clear), "{at:?} among {marks:?}, {taken:?}");
            taken.push(at);
        }
    }
}
