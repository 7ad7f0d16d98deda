//! Compares a benchmark with an earlier one, and names the kernels that are faster or slower beyond the noise.

use super::table::{shortened, spread};
use super::{Bench, Kernel, Machine, Sample};
use crate::measure::MeasureError;
use crate::measure::figures::{giga, milliseconds};
use crate::nn::NetworkConfig;
use crate::train::step::StepConfig;

/// The change of a time between two measurements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The time is shorter, beyond the noise.
    Faster,
    /// The time is longer, beyond the noise.
    Slower,
    /// The difference is not larger than the noise.
    Same,
}

impl Change {
    /// Returns the change from `before` to `now`.
    pub fn between(before: &Sample, now: &Sample) -> Self {
        match (before.differs_from(now), now.median < before.median) {
            (false, _) => Change::Same,
            (true, true) => Change::Faster,
            (true, false) => Change::Slower,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Change::Faster => "faster",
            Change::Slower => "slower",
            Change::Same => "",
        }
    }
}

/// Checks that a new benchmark of the step `config` has the same network, width, batch size and number of shards as the earlier benchmark
/// `before`. Otherwise their kernels have different shapes and cannot be compared.
pub fn check(before: &Bench, config: &StepConfig) -> Result<(), MeasureError> {
    let step = |network: &str, width: usize, n: usize, shards: usize| match shards {
        1 => format!("{network}, width {width}, {n} images"),
        _ => format!("{network}, width {width}, {n} images in {shards} shards"),
    };
    let settings = &before.settings;
    let before = step(&settings.network, settings.width, settings.batch_size, settings.shards);
    let NetworkConfig { network, width, .. } = config.network;
    let now = step(network.name(), width, config.batch_size, config.update.n_shards);
    if before == now { Ok(()) } else { Err(MeasureError::OtherStep { before, now }) }
}

/// Returns the comparison as text: one line per kernel in the order of `now`, then the step, then the counts.
pub fn compare(before: &Bench, now: &Bench) -> String {
    let op = now.kernels.iter().map(|kernel| kernel.op.len()).max().unwrap_or(0);
    let mut text = head(before, now);
    text += &line(op, ["kernel", "reads", "ms before", "", "ms now", "", "ratio", ""]);
    let (mut counts, mut new) = ([0; 3], 0);
    for kernel in &now.kernels {
        match before.kernels.iter().find(|other| other.is_same_as(kernel)) {
            Some(earlier) => {
                let change = Change::between(&earlier.seconds, &kernel.seconds);
                counts[change as usize] += 1;
                text += &kernel_line(op, kernel, &earlier.seconds, change);
            }
            None => {
                new += 1;
                let (ms, spread) = (milliseconds(kernel.seconds.median), spread(&kernel.seconds));
                let shapes = shortened(&kernel.shapes());
                text += &line(op, [&kernel.op, &shapes, "-", "", &ms, &spread, "", "new"]);
            }
        }
    }
    let is_gone = |kernel: &&Kernel| !now.kernels.iter().any(|other| other.is_same_as(kernel));
    let gone: Vec<&Kernel> = before.kernels.iter().filter(is_gone).collect();
    for kernel in &gone {
        let (ms, spread) = (milliseconds(kernel.seconds.median), spread(&kernel.seconds));
        let shapes = shortened(&kernel.shapes());
        text += &line(op, [&kernel.op, &shapes, &ms, &spread, "-", "", "", "gone"]);
    }
    let [faster, slower, same] = counts;
    text += &format!("\n{}", step(before, now));
    text + &format!(
        "kernels: {faster} faster, {slower} slower, {same} the same within the noise, {new} new, {} \
         gone\n",
        gone.len()
    )
}

/// Returns the head: the differences between the two machines and settings, and the two devices' peak rates.
fn head(before: &Bench, now: &Bench) -> String {
    let (old, new) = (&before.machine, &now.machine);
    let mut text = format!("compared with {} (wgrad {})\n", old.date, old.wgrad);
    let differs = [
        ("device", old.device.clone(), new.device.clone()),
        ("driver", driver(old), driver(new)),
        ("processor", old.processor.clone(), new.processor.clone()),
        (
            "kernels",
            format!("{:?}", before.settings.kernels),
            format!("{:?}", now.settings.kernels),
        ),
        ("fusion", fused(before), fused(now)),
        ("clock", before.clock.clone(), now.clock.clone()),
    ];
    for (what, old, new) in differs.into_iter().filter(|(_, old, new)| old != new) {
        text += &format!("  {what} was {old}, is {new}\n");
    }
    let (old, new) = (before.peak, now.peak);
    let ratios = [new.flops_per_s / old.flops_per_s, new.bytes_per_s / old.bytes_per_s];
    text += &format!(
        "  the device at best: {} GFLOP/s before, {} now (x {:.2}); {} GB/s before, {} now (x {:.2})\n",
        giga(old.flops_per_s),
        giga(new.flops_per_s),
        ratios[0],
        giga(old.bytes_per_s),
        giga(new.bytes_per_s),
        ratios[1],
    );
    if ratios.into_iter().any(|ratio| !STEADY.contains(&ratio)) {
        text += "  the device's peak rates changed; this explains part of the changes below\n";
    }
    text + "\n"
}

/// Range of the ratio of two peak rates within which the device counts as unchanged.
const STEADY: std::ops::RangeInclusive<f64> = 0.9..=1.1;

fn fused(bench: &Bench) -> String {
    serde_json::to_string(&bench.settings.fusion).expect("words")
}

fn driver(machine: &Machine) -> String {
    machine.driver.clone().unwrap_or_else(|| "none".to_string())
}

fn line(op: usize, columns: [&str; 8]) -> String {
    let [name, reads, before, before_spread, now, now_spread, ratio, change] = columns;
    let text = format!(
        "{name:<op$}  {reads:<34}  {before:>10} {before_spread:>7}  {now:>10} {now_spread:>7}  {ratio:>7}  \
         {change}"
    );
    format!("{}\n", text.trim_end())
}

fn kernel_line(op: usize, kernel: &Kernel, before: &Sample, change: Change) -> String {
    let now = &kernel.seconds;
    line(
        op,
        [
            &kernel.op,
            &shortened(&kernel.shapes()),
            &milliseconds(before.median),
            &spread(before),
            &milliseconds(now.median),
            &spread(now),
            &ratio(before, now),
            change.word(),
        ],
    )
}

/// Returns the speed of `now` relative to `before`: `x 1.25`.
fn ratio(before: &Sample, now: &Sample) -> String {
    match now.median > 0.0 {
        true => format!("x {:.2}", before.median / now.median),
        false => "-".to_string(),
    }
}

fn step(before: &Bench, now: &Bench) -> String {
    let (old, new) = (&before.step.seconds, &now.step.seconds);
    let verdict = match Change::between(old, new) {
        Change::Faster => "faster, beyond the noise",
        Change::Slower => "slower, beyond the noise",
        Change::Same => "the same within the noise",
    };
    format!(
        "the whole step: {} ms {} before, {} ms {} now, {} as fast: {verdict}\n",
        milliseconds(old.median),
        spread(old),
        milliseconds(new.median),
        spread(new),
        ratio(old, new),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::tests::{bench, kernel};
    use crate::nn::ResNet9;

    #[test]
    fn changes_beyond_the_noise_have_a_word() {
        let steady = |op: &str, ms: f64| {
            kernel(op, &["2x3"], 1, &[0.99e-3 * ms, 1e-3 * ms, 1e-3 * ms, 1e-3 * ms, 1.01e-3 * ms])
        };
        let noisy = |ms: f64| kernel("noisy", &["2x3"], 1, &[0.5e-3 * ms, 1e-3 * ms, 2e-3 * ms]);
        let before = vec![steady("a", 10.0), steady("b", 10.0), noisy(10.0), steady("old", 1.0)];
        let now = vec![steady("a", 8.0), steady("b", 12.5), noisy(12.0), steady("new", 1.0)];
        let (before, now) = (bench(before, &[0.030, 0.031, 0.032]), bench(now, &[0.0300, 0.0301]));
        let text = compare(&before, &now);
        let last = |op: &str| {
            let of_op = |line: &&str| line.split_whitespace().next() == Some(op);
            let line = text.lines().find(of_op).unwrap_or_else(|| panic!("no {op} in\n{text}"));
            line.split_whitespace().rev().take(3).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(last("a"), "faster 1.25 x");
        assert_eq!(last("b"), "slower 0.80 x");
        assert_eq!(last("noisy"), "0.83 x ±37.5%");
        assert!(
            last("new").starts_with("new ±0.0%") && last("old").starts_with("gone - "),
            "{text}"
        );
        assert!(text.ends_with("1 faster, 1 slower, 1 the same within the noise, 1 new, 1 gone\n"));
        assert!(text.contains("as fast: the same within the noise"), "{text}");
        assert!(!text.contains(" was"), "the machines are the same:\n{text}");

        let mut elsewhere = before.clone();
        elsewhere.machine.driver = None;
        elsewhere.peak.flops_per_s *= 2.0;
        let text = compare(&elsewhere, &now);
        assert!(text.contains("driver was none, is driver 1.2\n"), "{text}");
        assert!(text.contains("the device's peak rates changed"), "{text}");
        assert!(text.contains("200.0 GFLOP/s before, 100.0 now (x 0.50)"), "{text}");
    }

    #[test]
    fn steps_of_another_size_are_not_compared() {
        let before = bench(Vec::new(), &[1.0]);
        let of = |batch_size| StepConfig::new(ResNet9 { width: 4, classes: 10 }, batch_size);
        assert!(check(&before, &of(8)).is_ok());
        let error = check(&before, &of(16)).expect_err("another size").to_string();
        assert!(error.contains("width 4, 8 images, this one of resnet9, width 4, 16"), "{error}");
    }
}
