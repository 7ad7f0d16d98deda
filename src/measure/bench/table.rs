//! The benchmark as text.

use super::{Bench, Kernel, Rates, Sample};
use crate::base::chart;
use crate::measure::figures::{giga, milliseconds, percent};

/// Width of the column of shapes, in characters. Longer shapes are cut; `bench.json` has them in full.
const SHAPES_WIDTH: usize = 34;

/// Returns the benchmark as a table: one line per kernel, the kernels with the most time first; then the step.
pub fn table(bench: &Bench) -> String {
    let mut text = head(bench);
    let op = bench.kernels.iter().map(|kernel| kernel.op.len()).max().unwrap_or(0);
    text += &line(
        op,
        ["n", "kernel", "reads", "ms each", "spread", "step"],
        ["GFLOP/s", "GB/s", "FLOP/B", "of roof", "bound by"],
    );
    for kernel in &bench.kernels {
        let share = percent(bench.part_of_step([kernel]));
        text += &kernel_line(op, kernel, &share);
    }
    text += &format!("\n{}", step(bench));
    text
}

fn head(bench: &Bench) -> String {
    let Bench { machine, settings, peak, clock, .. } = bench;
    let bend = peak.flops_per_s / peak.bytes_per_s;
    let kernels = machine.kernels(settings.kernels);
    let fused = match settings.fused() {
        "everything" => String::new(),
        part => format!(", fused: {part}"),
    };
    format!(
        "{}step      {}, width {}, {} images{kernels}{fused}\n\
         clock     {clock}\n\
         times     medians of {} steps\n\
         peak      {} GFLOP/s, {} GB/s; the roof bends at {bend:.1} FLOP a byte\n\n",
        machine.lines(),
        settings.network,
        settings.width,
        settings.batch_size,
        bench.step.seconds.n,
        giga(peak.flops_per_s),
        giga(peak.bytes_per_s),
    )
}

/// Returns one line of the table. The column of ops is `op` characters wide.
fn line(op: usize, left: [&str; 6], right: [&str; 5]) -> String {
    let [n, name, reads, each, spread, step] = left;
    let [flops, bytes, intensity, of_roof, bound] = right;
    let text = format!(
        "{n:>3}  {name:<op$}  {reads:<SHAPES_WIDTH$}  {each:>9}  {spread:>7}  {step:>6}  {flops:>8}  \
         {bytes:>7}  {intensity:>7}  {of_roof:>7}  {bound}"
    );
    format!("{}\n", text.trim_end())
}

fn kernel_line(op: usize, kernel: &Kernel, share: &str) -> String {
    let Rates { work, flops_per_s, bytes_per_s, intensity, of_roof, bound } = kernel.rates;
    let computes = |text: String| if work.flops > 0 { text } else { "-".to_string() };
    line(
        op,
        [
            &kernel.n_nodes.to_string(),
            &kernel.op,
            &shortened(&kernel.shapes()),
            &milliseconds(kernel.seconds.median),
            &spread(&kernel.seconds),
            share,
        ],
        [
            &computes(giga(flops_per_s)),
            &giga(bytes_per_s),
            &computes(format!("{intensity:.1}")),
            &percent(of_roof),
            bound.name(),
        ],
    )
}

/// Returns the lines about the whole step: the sum of the kernels' times, the time of the step by the host's clock, and
/// the sum of the kernels' least times at the device's peak rates.
fn step(bench: &Bench) -> String {
    let step = &bench.step;
    let (sum, least) = (bench.seconds_in_kernels(), step.seconds_at_roof);
    let seconds = step.seconds.median;
    format!(
        "all kernels        {:>9} ms\n\
         the whole step     {:>9} ms {} by the host's clock: {:.1} images/s, {} GFLOP/s\n\
         all at their roof  {:>9} ms: the step reaches {} of the speed at the roof\n",
        milliseconds(sum),
        milliseconds(seconds),
        spread(&step.seconds),
        step.images_per_s,
        giga(step.rates.flops_per_s),
        milliseconds(least),
        percent(least / seconds),
    )
}

/// Cuts shapes to the width of their column.
pub(super) fn shortened(shapes: &str) -> String {
    chart::svg::shortened(shapes, SHAPES_WIDTH)
}

/// Formats the spread of a sample: `±2.3%`.
pub(super) fn spread(sample: &Sample) -> String {
    match sample.spread() {
        spread if spread < 1.0 => format!("±{}", percent(spread)),
        spread => format!("±{:.0}%", 100.0 * spread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::tests::{PEAK, bench, kernel, work};

    #[test]
    fn the_table_has_a_line_per_kernel_and_the_step() {
        let mut moves = kernel("flatten.forward", &["8x4"], 1, &[0.005]);
        moves.rates = Rates::new(work(0, 10_000_000), 0.005, PEAK);
        let conv = kernel("conv2d.forward", &["8x4", "3x3"], 2, &[0.1, 0.12, 0.14]);
        let text = table(&bench(vec![conv, moves], &[0.32, 0.32, 0.48]));
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        let of = |name: &str| {
            let has = |line: &&Vec<&str>| line.get(1) == Some(&name);
            lines.iter().find(has).unwrap_or_else(|| panic!("no {name} in\n{text}")).join(" ")
        };
        // 4 GFLOP in 0.12 s are 33.3 GFLOP/s, a third of the peak of 100.
        let expected =
            "2 conv2d.forward 8x4, 3x3 120.000 ±8.3% 98.0% 33.3 0.83 40.0 33.3% arithmetic";
        assert_eq!(of("conv2d.forward"), expected);
        assert_eq!(
            of("flatten.forward"),
            "1 flatten.forward 8x4 5.000 ±0.0% 2.0% - 2.0 - 20.0% memory"
        );
        assert!(text.contains("the roof bends at 10.0 FLOP a byte"), "{text}");
        assert!(text.contains("width 4, 8 images, default kernels\n"), "{text}");
        assert!(text.contains("320.000 ms ±12.5% by the host's clock: 25.0 images/s"), "{text}");
        assert!(text.contains("the step reaches 25.0% of the speed at the roof"), "{text}");
    }

    #[test]
    fn long_shapes_are_cut() {
        assert_eq!(shortened("2x3"), "2x3");
        let cut = shortened(&"x".repeat(80));
        assert!(cut.len() == SHAPES_WIDTH && cut.ends_with("..."), "{cut}");
    }
}
