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

/// Index in [`StateBuffer::Metrics`] of the sum of losses.
pub const LOSS_SUM: usize = 0;
/// Index in [`StateBuffer::Metrics`] of the number of correct predictions.
pub const N_CORRECT: usize = 1;
/// Index in [`StateBuffer::Metrics`] of the number of images.
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

/// The addition of a batch's results to the metrics, in place: `losses, correct, labels, control, metrics -> metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate;

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "metrics.accumulate"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (losses, correct, labels) = (&inputs[0].shape, &inputs[1].shape, &inputs[2].shape);
        let fits = losses == correct && losses == labels;
        assert!(
            fits,
            "metrics: losses {losses:?}, correct {correct:?} and labels {labels:?} are not all [N]"
        );
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
        let (losses, correct) = (args.inputs[0].real(), args.inputs[1].real());
        let labels = args.inputs[2].words();
        let flag = args.inputs[3].real()[NOT_FINITE];
        let metrics = args.outputs[0].real();
        metrics[FLAG] = flag;
        if flag == T::from_f32(SKIPPED) {
            metrics[N_SKIPPED] += T::ONE;
        }
        if flag != T::ZERO {
            return;
        }
        let n_images = labels.iter().filter(|&&label| label != IGNORED).count();
        metrics[LOSS_SUM] += losses.iter().copied().sum();
        metrics[N_CORRECT] += correct.iter().copied().sum();
        metrics[N_IMAGES] += T::from_count(n_images);
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "metrics", cases };

fn cases() -> Vec<Case> {
    let case = |rows: usize| {
        Case::new(format!("{rows} rows"), rows, |tape, inputs| {
            let [losses, correct] = [inputs[0], inputs[1]];
            let result = CrossEntropy { loss: losses, losses, correct, class_weights: None };
            accumulate(tape, &result, inputs[2]);
            Vec::new()
        })
        .fixed("losses", &[rows], ElementType::F32, Fill::Positive)
        .fixed("correct", &[rows], ElementType::F32, Fill::Positive)
        .fixed("labels", &[rows], ElementType::U32, Fill::Below(10))
    };
    vec![case(7), case(130)]
}
