//! Measures a training step and each of its kernels.

use super::{Bench, BenchSettings, FORMAT, Kernel, Rates, Step, VERSION};
use crate::Error;
use crate::base::sorting::sort_by;
use crate::device::{Device, Peaks};
use crate::kernel::Kernels;
use crate::measure::sampler::{Timed, TimedSteps, time_steps};
use crate::measure::timed::roof;
use crate::measure::{Effort, Machine, Sample};
use crate::passes::Work;
use crate::passes::print::shape;
use crate::tape::{Node, Tape};
use crate::train::step::StepConfig;

/// Measures a training step on built-in images, and each of its kernels. `command` and `kernels` are only recorded in
/// the result. `progress` receives one line per stage. Returns None if `stop`, which is called between steps, returned
/// true.
///
/// # Errors
/// If the step exceeds a limit of the device, or the device fails.
pub fn measure(
    device: &Device,
    config: &StepConfig,
    kernels: Kernels,
    effort: Effort,
    command: &str,
    progress: &dyn Fn(&str),
    stop: &dyn Fn() -> bool,
) -> Result<Option<Bench>, Error> {
    let timed = time_steps(device, config, Timed::BuiltIn, None, effort, progress, stop)?;
    let Some(timed) = timed else { return Ok(None) };
    let settings = BenchSettings {
        network: timed.tape.name().to_string(),
        width: config.network.width,
        batch_size: config.batch_size,
        shards: config.update.n_shards,
        kernels,
        fusion: config.update.fusion,
    };
    Ok(Some(evaluate(timed, settings, Machine::here(device, command))))
}

/// Computes the benchmark from the times.
fn evaluate(timed: TimedSteps, settings: BenchSettings, machine: Machine) -> Bench {
    let TimedSteps { tape, clock, peak, nodes, whole, .. } = timed;
    let kernels = group(&tape, &nodes, peak);
    let at_roof = |kernel: &Kernel| kernel.n_nodes as f64 * roof(kernel.rates.work, peak).1;
    let seconds = Sample::new(whole);
    let step = Step {
        rates: Rates::new(Work::of_step(&tape), seconds.median, peak),
        images_per_s: settings.batch_size as f64 / seconds.median,
        seconds_at_roof: kernels.iter().map(at_roof).sum(),
        seconds,
    };
    let (format, clock) = (FORMAT.to_string(), clock.name().to_string());
    Bench { format, version: VERSION, machine, settings, clock, peak, step, kernels }
}

/// Returns the kernels of a tape, those with the most time first. Nodes with the same op, attributes and shapes are one
/// kernel. `times[node][step]` is the time of all runs of a node in a step, in seconds.
fn group(tape: &Tape, times: &[Vec<f64>], peak: Peaks) -> Vec<Kernel> {
    let mut kernels: Vec<(Kernel, Vec<usize>)> = Vec::new();
    for (ix, node) in tape.nodes().iter().enumerate() {
        let kernel = kernel(tape, node);
        match kernels.iter_mut().find(|(other, _)| other.is_same_as(&kernel)) {
            Some((_, nodes)) => nodes.push(ix),
            None => kernels.push((kernel, vec![ix])),
        }
    }
    let timed = |(kernel, nodes): (Kernel, Vec<usize>)| {
        let n_runs = nodes.iter().map(|&ix| tape.n_runs(&tape.nodes()[ix])).sum();
        let mean = |step: usize| {
            let sum: f64 = nodes.iter().map(|&ix| times[ix][step]).sum();
            sum / n_runs as f64
        };
        let seconds = Sample::new((0..times[nodes[0]].len()).map(mean).collect());
        let rates = Rates::new(kernel.rates.work, seconds.median, peak);
        Kernel { n_nodes: n_runs, seconds, rates, ..kernel }
    };
    let mut kernels: Vec<Kernel> = kernels.into_iter().map(timed).collect();
    sort_by(&mut kernels, |a, b| b.seconds_in_step().total_cmp(&a.seconds_in_step()));
    kernels
}

/// Returns the description of a node's kernel. The times in it are 0, because the caller fills them in.
fn kernel(tape: &Tape, node: &Node) -> Kernel {
    let shapes = |ids: &[_]| ids.iter().map(|&id| shape(tape.value(id))).collect();
    let nothing = Peaks { flops_per_s: 1.0, bytes_per_s: 1.0 };
    Kernel {
        op: node.op.name().to_string(),
        attributes: node.op.attributes(),
        reads: shapes(&node.inputs),
        makes: shapes(&node.outputs),
        n_nodes: 1,
        seconds: Sample::new(vec![0.0]),
        rates: Rates::new(Work::of(tape, node), 0.0, nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Clock;
    use crate::measure::bench::tests::PEAK;
    use crate::ops::{add, relu};
    use crate::tape::Mode;

    #[test]
    fn nodes_of_the_same_shape_are_one_kernel() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", crate::tape::ElementType::F32, &[2, 3]);
        let small = tape.input("small", crate::tape::ElementType::F32, &[3]);
        let a = relu::relu(&mut tape, x);
        let b = tape.scoped("elsewhere", |tape| relu::relu(tape, a));
        let c = relu::relu(&mut tape, small);
        let d = add::add(&mut tape, a, b);
        tape.keep(c);
        tape.keep(d);
        let times = vec![vec![1.0, 2.0, 3.0], vec![3.0, 4.0, 11.0], vec![9.0; 3], vec![0.5; 3]];
        let kernels = group(&tape, &times, PEAK);
        let got: Vec<_> = kernels.iter().map(|k| (k.op.as_str(), k.shapes(), k.n_nodes)).collect();
        let expected = [
            ("relu.forward", "3".to_string(), 1),
            ("relu.forward", "2x3".to_string(), 2),
            ("add.forward", "2 of 2x3".to_string(), 1),
        ];
        assert_eq!(got, expected);
        // In the three steps, the mean times of the two nodes are 2, 3 and 7 seconds.
        let Sample { n, median, min, max, .. } = kernels[1].seconds;
        assert_eq!((n, median, min, max, kernels[1].seconds_in_step()), (3, 3.0, 2.0, 7.0, 6.0));

        let (peak, clock) = (PEAK, Clock::Host);
        let work = Work::sum_of(&tape, |_| true);
        let timed = TimedSteps {
            tape,
            n_own_shards: 1,
            clock,
            peak,
            nodes: times,
            whole: vec![16.0, 20.0, 18.0],
            waits: Vec::new(),
            reductions: Vec::new(),
        };
        let bench = super::super::tests::bench(Vec::new(), &[1.0]);
        let bench = evaluate(timed, bench.settings, bench.machine);
        assert_eq!(bench.step.rates.work, work);
        assert_eq!((bench.step.seconds.median, bench.step.images_per_s), (18.0, 8.0 / 18.0));
        assert_eq!(bench.seconds_in_kernels(), 15.5);
        // With these peaks, memory bounds every kernel.
        let least = work.bytes as f64 / PEAK.bytes_per_s;
        assert!((bench.step.seconds_at_roof / least - 1.0).abs() < 1e-12);
    }
}
