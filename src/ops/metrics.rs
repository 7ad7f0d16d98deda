//! Sums over the steps of an epoch, on the device: losses, correct predictions, images. The host reads them
//! with a delay and resets them between epochs.
//!
//! Shaders: `shaders/metrics/`. Derivation: `docs/ops/metrics.md`.

use super::cross_entropy::{CrossEntropy, IGNORED};
use super::finite_check::{NOT_FINITE, SKIPPED, STOPPED};
use super::{Case, OpTests, case::Fill};
use crate::kernel::{Binding, Launch, Real, Shader, Target};
use crate::tape::{
    Args, ElementType, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value, ValueId,
};

/// Index in [`StateBuffer::Metrics`] and [`StateBuffer::StepMetrics`] of the sum of losses.
pub const LOSS_SUM: usize = 0;
/// Index in both buffers of the number of correct predictions.
pub const N_CORRECT: usize = 1;
/// Index in both buffers of the number of images.
pub const N_IMAGES: usize = 2;
/// Index in [`StateBuffer::Metrics`] of a copy of the flag of [`finite_check`](super::finite_check). Every step writes
/// the copy, so one readback has the sums and the flag of the same step.
pub const FLAG: usize = 3;
/// Index in [`StateBuffer::Metrics`] of the number of skipped steps.
pub const N_SKIPPED: usize = 4;

/// The sums of an epoch, on the host.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Metrics {
    /// The sum of the losses of all images, in nats.
    pub loss_sum: f64,
    /// The number of images for which the largest logit belongs to the label.
    pub n_correct: f64,
    /// The number of images, without those of skipped steps.
    pub n_images: f64,
    /// The number of steps that were skipped because of a number that is not finite; see
    /// [`OnNonFinite::Skip`](super::finite_check::OnNonFinite::Skip).
    pub n_skipped: f64,
    /// True if a number that is not finite has stopped the updates; no step has changed the state since.
    pub not_finite: bool,
}

impl Metrics {
    /// Reads the contents of [`StateBuffer::Metrics`].
    pub fn from_slice(metrics: &[f32]) -> Self {
        Self::from_fn(|ix| metrics[ix])
    }

    /// Reads the elements of [`StateBuffer::Metrics`]. `metric` returns the element with a given index.
    pub fn from_fn(metric: impl Fn(usize) -> f32) -> Self {
        Self {
            loss_sum: f64::from(metric(LOSS_SUM)),
            n_correct: f64::from(metric(N_CORRECT)),
            n_images: f64::from(metric(N_IMAGES)),
            n_skipped: f64::from(metric(N_SKIPPED)),
            not_finite: metric(FLAG) == STOPPED,
        }
    }

    /// Writes the metrics to a buffer of zeros; the inverse of [`Metrics::from_slice`].
    pub fn write(&self, metrics: &mut [f32]) {
        metrics[LOSS_SUM] = self.loss_sum as f32;
        metrics[N_CORRECT] = self.n_correct as f32;
        metrics[N_IMAGES] = self.n_images as f32;
        metrics[N_SKIPPED] = self.n_skipped as f32;
        metrics[FLAG] = if self.not_finite { STOPPED } else { 0.0 };
    }

    /// Returns the sums over the steps of both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            loss_sum: self.loss_sum + other.loss_sum,
            n_correct: self.n_correct + other.n_correct,
            n_images: self.n_images + other.n_images,
            n_skipped: self.n_skipped + other.n_skipped,
            not_finite: self.not_finite || other.not_finite,
        }
    }

    /// Returns the mean loss per image, in nats.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.n_images
    }

    /// Returns the share of correct predictions, from 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.n_correct / self.n_images
    }
}

/// Records the addition of a batch's losses and correct predictions to [`StateBuffer::Metrics`].
pub fn accumulate(tape: &mut Tape, result: &CrossEntropy, labels: ValueId) {
    let [control, metrics] =
        [StateBuffer::Control, StateBuffer::Metrics].map(|buffer| tape.whole(buffer));
    tape.push_one(Accumulate, &[result.losses, result.correct, labels, control, metrics]);
}

/// Records the sums over a shard: its losses, correct predictions and images, in [`StateBuffer::StepMetrics`].
pub fn sum_shard(tape: &mut Tape, result: &CrossEntropy, labels: ValueId) {
    let step_metrics = tape.whole(StateBuffer::StepMetrics);
    tape.push_one(SumShard, &[result.losses, result.correct, labels, step_metrics]);
}

/// Records the addition of the sums over all shards of a step to [`StateBuffer::Metrics`].
pub fn accumulate_shards(tape: &mut Tape) {
    let buffers = [StateBuffer::StepMetrics, StateBuffer::Control, StateBuffer::Metrics];
    let inputs = buffers.map(|buffer| tape.whole(buffer));
    tape.push_one(AccumulateShards, &inputs);
}

/// The sums over a shard, in place: `losses, correct, labels, step_metrics -> step_metrics`.
#[derive(Clone, Copy, Debug)]
pub struct SumShard;

impl Op for SumShard {
    fn name(&self) -> &'static str {
        "metrics.sum_shard"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        assert_rows(inputs);
        vec![OutputSpec::real("step_metrics", &inputs[3].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 3)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("metrics/sum_shard").constant("ROWS", io.input(0).n_elements());
        let input = Binding::Input;
        Launch::one(shader, &[input(0), input(1), input(2), Binding::Output(0)], [1, 1, 1])
    }
}

impl Reference for SumShard {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [loss_sum, n_correct, n_images] = sums(&args);
        let step_metrics = args.outputs[0].real();
        step_metrics[LOSS_SUM] = loss_sum;
        step_metrics[N_CORRECT] = n_correct;
        step_metrics[N_IMAGES] = n_images;
    }
}

/// The addition of a step's sums to the metrics, in place: `step_metrics, control, metrics -> metrics`.
#[derive(Clone, Copy, Debug)]
pub struct AccumulateShards;

impl Op for AccumulateShards {
    fn name(&self) -> &'static str {
        "metrics.accumulate_shards"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("metrics", &inputs[2].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        3
    }

    fn launch(&self, _: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(Shader::new("metrics/accumulate_shards"), &bindings, [1, 1, 1])
    }
}

impl Reference for AccumulateShards {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let step_metrics = args.inputs[0].real();
        let flag = args.inputs[1].real()[NOT_FINITE];
        let sums = [LOSS_SUM, N_CORRECT, N_IMAGES].map(|ix| step_metrics[ix]);
        add(args.outputs[0].real(), flag, sums);
    }
}

/// The addition of a batch's results to the metrics, in place: `losses, correct, labels, control, metrics -> metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate;

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "metrics.accumulate"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        assert_rows(inputs);
        vec![OutputSpec::real("metrics", &inputs[4].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 4)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let rows = io.input(0).n_elements();
        let shader = Shader::new("metrics/accumulate").constant("ROWS", rows);
        let input = Binding::Input;
        let bindings = [input(0), input(1), input(2), input(3), Binding::Output(0)];
        Launch::one(shader, &bindings, [1, 1, 1])
    }
}

impl Reference for Accumulate {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let flag = args.inputs[3].real()[NOT_FINITE];
        let sums = sums(&args);
        add(args.outputs[0].real(), flag, sums);
    }
}

/// Panics if losses, correct predictions and labels, the first inputs, are not all `[N]`.
fn assert_rows(inputs: &[&Value]) {
    let (losses, correct, labels) = (&inputs[0].shape, &inputs[1].shape, &inputs[2].shape);
    let fits = losses == correct && losses == labels;
    assert!(
        fits,
        "metrics: losses {losses:?}, correct {correct:?} and labels {labels:?} are not all [N]"
    );
}

/// Returns the sums over the rows of the first three inputs: losses, correct predictions, images.
fn sums<T: Real>(args: &Args<'_, T>) -> [T; 3] {
    let (losses, correct) = (args.inputs[0].real(), args.inputs[1].real());
    let labels = args.inputs[2].words();
    let n_images = labels.iter().filter(|&&label| label != IGNORED).count();
    let [loss_sum, n_correct] = [losses, correct].map(|rows| rows.iter().copied().sum());
    [loss_sum, n_correct, T::from_count(n_images)]
}

/// Adds the sums of a step to the metrics while the flag is 0, and records the flag.
fn add<T: Real>(metrics: &mut [T], flag: T, [loss_sum, n_correct, n_images]: [T; 3]) {
    metrics[FLAG] = flag;
    if flag == T::from_f32(SKIPPED) {
        metrics[N_SKIPPED] += T::ONE;
    }
    if flag == T::ZERO {
        metrics[LOSS_SUM] += loss_sum;
        metrics[N_CORRECT] += n_correct;
        metrics[N_IMAGES] += n_images;
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "metrics", cases };

fn cases() -> Vec<Case> {
    let case = |name: &str, rows: usize, n_shards: usize| {
        Case::new(format!("{name}{rows} rows"), rows, move |tape, inputs| {
            tape.divide_into_shards(n_shards);
            let [losses, correct, labels] = [inputs[0], inputs[1], inputs[2]];
            let result = CrossEntropy { loss: losses, losses, correct, class_weights: None };
            if n_shards > 1 {
                sum_shard(tape, &result, labels);
                accumulate_shards(tape);
            } else {
                accumulate(tape, &result, labels);
            }
            Vec::new()
        })
        .fixed("losses", &[rows], ElementType::F32, Fill::Positive)
        .fixed("correct", &[rows], ElementType::F32, Fill::Positive)
        .fixed("labels", &[rows], ElementType::U32, Fill::Below(10))
    };
    vec![case("", 7, 1), case("", 130, 1), case("a shard of ", 130, 2)]
}
