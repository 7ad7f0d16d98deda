//! The roofline as a drawing: what the device can do at each number of operations a byte, and where each
//! kernel stands below that.

use std::fmt::Write;

use super::drawing::{LogAxis, head, label, text};
use super::table::{milliseconds, shortened};
use super::{Bench, Kernel};
use crate::measure::profile::table::{giga, percent};
use crate::passes::draw::escape;

const WIDTH: f64 = 1180.0;
const HEIGHT: f64 = 700.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 740.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 620.0;

/// Where the list begins.
const LIST: f64 = 776.0;

/// The height of its lines.
const ROW: f64 = 36.0;

/// The kernels that have numbers: those with the most time.
const N_NUMBERED: usize = 16;

/// Kernels that take a smaller part of the step than this are not drawn.
const SMALLEST: f64 = 1e-3;

/// What the colours mean.
const COLOURS: [(&str, &str); 6] = [
    ("c0", "convolutions"),
    ("c1", "batch norm"),
    ("c2", "pools"),
    ("c3", "linear"),
    ("c4", "Adam"),
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
    let mut out = head(WIDTH, HEIGHT, &title, &[below]);

    // What only moves numbers has no place on a logarithmic axis; what takes next to no time, which need
    // not be fast, would make the axis long.
    let is_drawn = |kernel: &&Kernel| {
        kernel.work.flops_per_s > 0.0 && bench.part_of_step([*kernel]) >= SMALLEST
    };
    let (drawn, others): (Vec<&Kernel>, Vec<&Kernel>) = bench.kernels.iter().partition(is_drawn);
    let (numbered, small) = drawn.split_at(drawn.len().min(N_NUMBERED));
    let axes = Axes::new(bench, &drawn);
    axes.draw(&mut out);
    roof(&mut out, bench, &axes);
    step(&mut out, bench, &axes);
    for kernel in small {
        mark(&mut out, kernel, axes.place(kernel), 3.2);
    }
    for kernel in numbered {
        mark(&mut out, kernel, axes.place(kernel), 4.8);
    }
    numbers(&mut out, numbered, &drawn, &axes);
    list(&mut out, bench, numbered);
    footer(&mut out, bench, small, &others);
    out += "</svg>\n";
    out
}

/// Operations a byte from left to right, operations a second from bottom to top.
struct Axes {
    x: LogAxis,
    y: LogAxis,
}

impl Axes {
    fn new(bench: &Bench, drawn: &[&Kernel]) -> Self {
        let peak = bench.peak;
        let bend = peak.flops_per_s / peak.bytes_per_s;
        let x = drawn.iter().map(|kernel| kernel.work.intensity).chain([bend]);
        let y = drawn.iter().map(|kernel| kernel.work.flops_per_s).chain([peak.flops_per_s]);
        let x = LogAxis::around(x, 1.6, [LEFT, RIGHT]);
        Self { x, y: LogAxis::around(y, 1.8, [BOTTOM, TOP]) }
    }

    fn place(&self, kernel: &Kernel) -> [f64; 2] {
        [self.x.at(kernel.work.intensity), self.y.at(kernel.work.flops_per_s)]
    }

    fn draw(&self, out: &mut String) {
        for tick in self.x.ticks() {
            let at = self.x.at(tick);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
            text(out, "soft middle", [at, BOTTOM + 18.0], &label(tick));
        }
        for tick in self.y.ticks() {
            let at = self.y.at(tick);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
            text(out, "soft end", [LEFT - 7.0, at + 4.0], &label(tick / 1e9));
        }
        let middle = (LEFT + RIGHT) / 2.0;
        text(out, "middle", [middle, BOTTOM + 38.0], "operations a byte");
        text(out, "halo", [LEFT + 8.0, TOP + 14.0], "GFLOP/s");
    }
}

/// The roof: as steep as the memory is fast, up to the arithmetic's peak.
fn roof(out: &mut String, bench: &Bench, axes: &Axes) {
    let peak = bench.peak;
    let bend = peak.flops_per_s / peak.bytes_per_s;
    let (flat, bend) = (axes.y.at(peak.flops_per_s), axes.x.at(bend));
    // The slope goes to the left end of the drawing, or to its bottom.
    let low = axes.x.ends[0].max(axes.y.ends[0] / peak.bytes_per_s);
    let (x, y) = (axes.x.at(low), axes.y.at(low * peak.bytes_per_s));
    let _ =
        writeln!(out, "<path class=\"roof\" d=\"M{x:.1} {y:.1}L{bend:.1} {flat:.1}H{RIGHT}\"/>");
    let above = format!("multiply-adds: {} GFLOP/s", giga(peak.flops_per_s));
    // At the bend, for good kernels crowd below the other end.
    text(out, "halo", [bend.min(RIGHT - 180.0), flat - 8.0], &above);
    let angle = (y - flat).atan2(x - bend).to_degrees() - 180.0;
    let (x, y) = ((x + 2.0 * bend) / 3.0, (y + 2.0 * flat) / 3.0 - 9.0);
    let memory = format!("memory: {} GB/s", giga(peak.bytes_per_s));
    let _ = writeln!(
        out,
        "<text class=\"middle halo\" transform=\"translate({x:.1} {y:.1}) rotate({angle:.1})\">\
         {memory}</text>"
    );
}

/// The whole step, as a cross.
fn step(out: &mut String, bench: &Bench, axes: &Axes) {
    let work = bench.step.work;
    if work.flops_per_s <= 0.0 {
        return;
    }
    let (x, y) = (axes.x.at(work.intensity), axes.y.at(work.flops_per_s));
    let _ = writeln!(
        out,
        "<path class=\"roof\" d=\"M{:.1} {y:.1}h14M{x:.1} {:.1}v14\"><title>the whole step: {} ms, {} \
         GFLOP/s</title></path>",
        x - 7.0,
        y - 7.0,
        milliseconds(bench.step.seconds.median),
        giga(work.flops_per_s)
    );
}

/// A kernel: a colour for its op, a shape for its direction.
fn mark(out: &mut String, kernel: &Kernel, [x, y]: [f64; 2], r: f64) {
    let colour = colour(&kernel.op);
    let shape = match kernel.op.rsplit('.').next() {
        Some("forward") => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\""),
        Some("d_input" | "backward") => {
            let (top, side, height) = (y - 1.2 * r, 1.2 * r, 2.1 * r);
            format!("<path d=\"M{x:.1} {top:.1}l{side:.1} {height:.1}h-{:.1}z\"", 2.0 * side)
        }
        _ => {
            let (x, y, side) = (x - 0.9 * r, y - 0.9 * r, 1.8 * r);
            format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"")
        }
    };
    let work = kernel.work;
    let note = format!(
        "{} of {}: {} ms, {} GFLOP/s, {} GB/s, {} of the roof",
        kernel.op,
        kernel.shapes(),
        milliseconds(kernel.seconds.median),
        giga(work.flops_per_s),
        giga(work.bytes_per_s),
        percent(work.of_roof)
    );
    let note = escape(&note);
    let _ = writeln!(out, "{shape} class=\"{colour} mark\"><title>{note}</title>{}", end(&shape));
}

/// The end of the element that begins so.
fn end(shape: &str) -> String {
    let name: String = shape[1..].chars().take_while(|c| *c != ' ').collect();
    format!("</{name}>")
}

fn colour(op: &str) -> &'static str {
    match op.split('.').next().unwrap_or_default() {
        stem if stem.starts_with("conv2d") => "c0",
        stem if stem.starts_with("batch_norm") => "c1",
        stem if stem.contains("pool") => "c2",
        "linear" => "c3",
        "adam" => "c4",
        _ => "c6",
    }
}

/// The numbers of the kernels, each where it hides no mark and no other number.
fn numbers(out: &mut String, numbered: &[&Kernel], drawn: &[&Kernel], axes: &Axes) {
    let marks: Vec<[f64; 2]> = drawn.iter().map(|kernel| axes.place(kernel)).collect();
    let mut taken: Vec<[f64; 2]> = Vec::new();
    for (ix, kernel) in numbered.iter().enumerate() {
        let mark = axes.place(kernel);
        let at = free_place(mark, &marks, &taken);
        taken.push(at);
        let [x, y] = at;
        if (x - mark[0]).hypot(y - mark[1]) > NEAR + 1.0 {
            let [from_x, from_y] = mark;
            let _ = writeln!(
                out,
                "<path class=\"leader\" d=\"M{from_x:.1} {from_y:.1}L{x:.1} {y:.1}\"/>"
            );
        }
        text(out, "bold middle halo", [x, y + 4.5], &(ix + 1).to_string());
    }
}

/// How far a number is from its mark where there is room.
const NEAR: f64 = 14.0;

/// The nearest place around a mark that is free, of those that are looked at.
fn free_place(mark: [f64; 2], marks: &[[f64; 2]], taken: &[[f64; 2]]) -> [f64; 2] {
    let is_free = |[x, y]: [f64; 2]| {
        let clear = |others: &[[f64; 2]], dx: f64, dy: f64| {
            others.iter().all(|other| (x - other[0]).abs() > dx || (y - other[1]).abs() > dy)
        };
        let inside =
            (LEFT + 8.0..RIGHT - 8.0).contains(&x) && (TOP + 8.0..BOTTOM - 6.0).contains(&y);
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

/// What the numbers stand for.
fn list(out: &mut String, bench: &Bench, numbered: &[&Kernel]) {
    let (of_step, of_roof) = (WIDTH - 98.0, WIDTH - 20.0);
    text(out, "soft", [LIST, TOP - 2.0], "the kernels with the most time");
    text(out, "soft end", [of_step, TOP - 2.0], "of the step");
    text(out, "soft end", [of_roof, TOP - 2.0], "of the roof");
    for (ix, kernel) in numbered.iter().enumerate() {
        let y = TOP + 18.0 + ROW * ix as f64;
        text(out, "bold end", [LIST + 16.0, y], &(ix + 1).to_string());
        mark(out, kernel, [LIST + 30.0, y - 4.0], 4.8);
        text(out, "", [LIST + 44.0, y], &kernel.op);
        let shapes = match kernel.n_nodes {
            1 => shortened(&kernel.shapes()),
            n => format!("{}, {n} times", shortened(&kernel.shapes())),
        };
        text(out, "soft", [LIST + 44.0, y + 14.0], &shapes);
        text(out, "end", [of_step, y], &percent(bench.part_of_step([*kernel])));
        text(out, "end", [of_roof, y], &percent(kernel.work.of_roof));
    }
}

fn footer(out: &mut String, bench: &Bench, small: &[&Kernel], others: &[&Kernel]) {
    let share = |kernels: &[&Kernel]| percent(bench.part_of_step(kernels.iter().copied()));
    for (row, (colour, name)) in COLOURS.into_iter().enumerate() {
        let y = BOTTOM - 14.0 - 18.0 * (COLOURS.len() - 1 - row) as f64;
        let x = RIGHT - 96.0;
        let _ = writeln!(out, "<circle class=\"{colour}\" cx=\"{x}\" cy=\"{}\" r=\"4\"/>", y - 4.0);
        text(out, "soft halo", [x + 11.0, y], name);
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
    text(out, "soft", [20.0, HEIGHT - 26.0], shapes);
    text(out, "soft", [20.0, HEIGHT - 9.0], &rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::Work;
    use crate::measure::bench::drawing::tests::assert_well_formed;
    use crate::measure::bench::tests::{PEAK, bench, kernel};

    #[test]
    fn every_kernel_is_on_the_drawing() {
        let ops = ["conv2d.forward", "conv2d.d_input", "conv2d.d_weight", "a<b>.forward"];
        let mut kernels: Vec<Kernel> =
            ops.iter().map(|op| kernel(op, &["2x3"], 1, &[0.1, 0.2])).collect();
        let mut moves = kernel("flatten.forward", &["8x4"], 1, &[0.005]);
        moves.work = Work::new(0, 10_000_000, 0.005, PEAK);
        kernels.push(moves);
        let svg = draw(&bench(kernels, &[0.7]));
        assert_well_formed(&svg);
        for op in ops {
            // Once in the plot, once in the list.
            let title = format!("<title>{} of 2x3: 150.000 ms", escape(op));
            assert_eq!(svg.matches(&title).count(), 2, "{op}");
        }
        assert!(!svg.contains("flatten.forward"), "it has no place");
        assert!(svg.contains("Not drawn: 1 that only move numbers, or take"), "{svg}");
        assert!(svg.contains("memory: 10.0 GB/s") && svg.contains("adds: 100.0 GFLOP/s"), "{svg}");
        assert!(svg.contains("a &lt;fast&gt; GPU (Vulkan), driver 1.2"), "{svg}");
        assert_well_formed(&draw(&bench(Vec::new(), &[0.7])));
    }

    #[test]
    fn the_roof_bends_where_the_two_peaks_meet() {
        let bench = bench(vec![kernel("conv2d.forward", &["2x3"], 1, &[0.1])], &[0.7]);
        let axes = Axes::new(&bench, &bench.kernels.iter().collect::<Vec<_>>());
        let mut out = String::new();
        roof(&mut out, &bench, &axes);
        let bend = format!("L{:.1} {:.1}H{RIGHT}", axes.x.at(10.0), axes.y.at(100e9));
        assert!(out.contains(&bend), "{bend} is not in {out}");
        // A kernel of 40 operations a byte at 40 GFLOP/s is right of the bend, and below the roof.
        let [x, y] = axes.place(&bench.kernels[0]);
        assert!(x > axes.x.at(10.0) && y > axes.y.at(100e9));
    }

    #[test]
    fn numbers_keep_apart() {
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
