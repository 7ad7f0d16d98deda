//! Softmax cross-entropy with label smoothing, numerically stable, fused with its gradient.
//!
//! ```text
//! loss = 1/N Σ n −Σ k q[n, k] · log softmax(z[n])[k]      q = (1 − s) · onehot(label) + s / K
//! ```
//!
//! Here z are the logits of N images, K is the number of classes, and s is the label smoothing. Layouts: z `[N, K]`,
//! labels `[N]` in u32; loss `[1]`, losses and correct `[N]`. The mean is over all N rows. A row whose label is
//! [`IGNORED`] has loss 0 and gradient 0.
//!
//! With class weights w, `[K]`, the term of class k has the factor `w[k]`, and the mean is over the weights of the
//! labels: the sum is divided by `Σ n w[label n]` in place of N, as PyTorch's `CrossEntropyLoss(weight=w)` does it.
//!
//! Shaders: `shaders/cross_entropy/`. Derivation: `docs/ops/cross_entropy.md`.

use super::{Case, OpTests, case::Fill, scale};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, ElementType, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId,
};

/// The label of rows that do not count in the loss, such as the rows that pad the last batch.
pub const IGNORED: u32 = u32::MAX;

/// The results of [`cross_entropy`].
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    /// The mean of the losses over the rows, `[1]`.
    pub loss: ValueId,
    /// The loss of each row, `[N]`. `loss` is the mean of these numbers.
    pub losses: ValueId,
    /// 1 for each row in which the largest logit belongs to the label, otherwise 0, `[N]`.
    pub correct: ValueId,
    /// The weights of the classes, `[K]`; none without weights.
    pub class_weights: Option<ValueId>,
}

/// Records softmax cross-entropy of logits `[N, K]` and labels `[N]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn cross_entropy(
    tape: &mut Tape,
    logits: ValueId,
    labels: ValueId,
    label_smoothing: f32,
) -> CrossEntropy {
    weighted(tape, logits, labels, None, label_smoothing)
}

/// Records softmax cross-entropy as [`cross_entropy`] does, with class weights `[K]` if there are any. The weights have
/// no gradient. If the labels of a batch have the weight 0 together, the loss and its gradient are 0.
///
/// # Panics
/// If the shapes do not fit.
pub fn weighted(
    tape: &mut Tape,
    logits: ValueId,
    labels: ValueId,
    class_weights: Option<ValueId>,
    label_smoothing: f32,
) -> CrossEntropy {
    let op = SoftmaxCrossEntropy { label_smoothing, has_weights: class_weights.is_some() };
    let inputs: Vec<ValueId> = [logits, labels].into_iter().chain(class_weights).collect();
    let outputs = tape.push(op, &inputs);
    CrossEntropy { loss: outputs[0], losses: outputs[1], correct: outputs[2], class_weights }
}

/// The loss and its gradient: `logits, labels, (class weights) -> loss, losses, correct, d_logits`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropy {
    /// The share of the target probability that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f32,
    /// True if there are class weights.
    pub has_weights: bool,
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy.forward"
    }

    fn attributes(&self) -> String {
        format!("label smoothing {}", self.label_smoothing)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (logits, labels) = (&inputs[0].shape, &inputs[1].shape);
        let fits = logits.len() == 2 && labels == &logits[..1];
        assert!(fits, "cross_entropy: logits {logits:?} do not fit labels {labels:?}");
        if self.has_weights {
            let weights = &inputs[2].shape;
            let fits = weights == &logits[1..];
            assert!(fits, "cross_entropy: logits {logits:?} do not fit class weights {weights:?}");
        }
        vec![
            OutputSpec::real("loss", &[1]),
            OutputSpec::real("losses", labels),
            OutputSpec::real("correct", labels),
            OutputSpec::real("d_logits", logits),
        ]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let others = &d_outputs[1..];
        assert!(others.iter().all(Option::is_none), "cross_entropy: only the loss has a gradient");
        let (d_loss, d_logits) = (d_outputs[0].expect("the loss has a gradient"), node.outputs[3]);
        let d_logits = match tape.is_unit(d_loss) {
            true => d_logits,
            false => scale::scale_by(tape, d_logits, d_loss),
        };
        let mut d_inputs = vec![None; node.inputs.len()];
        d_inputs[0] = Some(d_logits);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        10 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let (rows, classes) = (io.input_shape(0)[0], io.input_shape(0)[1]);
        let sizes = [("ROWS", rows), ("CLASSES", classes)];
        let shader = Shader::new("cross_entropy/rows")
            .constants(&sizes)
            .constant("SMOOTHING", self.label_smoothing);
        let mean = Shader::new("cross_entropy/mean").constant("ROWS", rows);
        let (input, output, sums) = (Binding::Input, Binding::Output, Binding::Scratch(0));
        let mut bindings = vec![input(0), input(1), output(1), output(2), output(3)];
        let launch = if self.has_weights {
            bindings.extend([input(2), sums]);
            let weight_sums = Shader::new("cross_entropy/weight_sums").constants(&sizes);
            let launch = Launch::default().with_scratch(2);
            let launch = launch.then(weight_sums, &[input(1), input(2), sums], [1, 1, 1]);
            let shader = shader.import("weights", "cross_entropy/weights_some");
            launch.then(shader, &bindings, grid(rows))
        } else {
            let shader = shader.import("weights", "cross_entropy/weights_none");
            Launch::one(shader, &bindings, grid(rows))
        };
        launch.then(mean, &[output(1), output(0)], [1, 1, 1])
    }
}

impl Reference for SoftmaxCrossEntropy {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (logits, labels) = (args.inputs[0].real(), args.inputs[1].words());
        let weights = self.has_weights.then(|| args.inputs[2].real());
        let [loss, losses, correct, d_logits] = args.outputs else { panic!("four outputs") };
        let (losses, correct) = (losses.real(), correct.real());
        let classes = logits.len() / labels.len();
        let rows = T::from_count(labels.len());
        let of_label = |weights: &[T], label: u32| weights.get(label as usize).copied();
        let sum = weights.map(|w| labels.iter().filter_map(|&label| of_label(w, label)).sum::<T>());
        let over_batch = |term: T| match sum {
            None => term / rows,
            Some(sum) if sum > T::ZERO => term / sum,
            Some(_) => T::ZERO,
        };
        let d_logits = d_logits.real().chunks_mut(classes);
        for (n, (z, d_logits)) in logits.chunks(classes).zip(d_logits).enumerate() {
            let label = labels[n] as usize;
            (losses[n], correct[n]) = self.row(z, label, weights, d_logits);
            if sum.is_some() {
                losses[n] = over_batch(losses[n]) * rows;
            }
            d_logits.iter_mut().for_each(|d| *d = over_batch(*d));
        }
        loss.real()[0] = losses.iter().copied().sum::<T>() / rows;
    }
}

impl SoftmaxCrossEntropy {
    /// Returns the loss of one row, and 1 for a correct prediction or 0. Writes the gradient of the row's logits to
    /// `d_z`. Loss and gradient are not yet divided by the number of rows or by the sum of the weights.
    fn row<T: Real>(&self, z: &[T], label: usize, weights: Option<&[T]>, d_z: &mut [T]) -> (T, T) {
        if label >= z.len() {
            d_z.fill(T::ZERO);
            return (T::ZERO, T::ZERO);
        }
        let mut largest_at = 0;
        for (k, &value) in z.iter().enumerate() {
            if value > z[largest_at] {
                largest_at = k;
            }
        }
        let largest = z[largest_at];
        let exp_sum: T = z.iter().map(|&z| (z - largest).exp()).sum();
        let smoothing = T::from_f32(self.label_smoothing);
        let spread = smoothing / T::from_count(z.len());
        // The sum of the targets; without weights the targets are probabilities.
        let total = weights.map_or(T::ONE, |weights| {
            (T::ONE - smoothing) * weights[label] + spread * weights.iter().copied().sum::<T>()
        });
        let mut loss = T::ZERO;
        for (k, (&z, d_z)) in z.iter().zip(d_z).enumerate() {
            let log_p = z - largest - exp_sum.ln();
            let q = if k == label { T::ONE - smoothing + spread } else { spread };
            let wanted = weights.map_or(q, |weights| weights[k] * q);
            loss -= wanted * log_p;
            *d_z = (z - largest).exp() / exp_sum * total - wanted;
        }
        (loss, if largest_at == label { T::ONE } else { T::ZERO })
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "cross_entropy", cases };

fn case(rows: usize, classes: usize, label_smoothing: f32, n_labels: u32) -> Case {
    let name = format!("[{rows}, {classes}], smoothing {label_smoothing}, labels below {n_labels}");
    Case::new(name, rows.max(classes), move |tape, inputs| {
        let ce = cross_entropy(tape, inputs[0], inputs[1], label_smoothing);
        vec![ce.loss]
    })
    .real("logits", &[rows, classes], Fill::Normal)
    .fixed("labels", &[rows], ElementType::U32, Fill::Below(n_labels))
}

fn cases() -> Vec<Case> {
    vec![
        case(7, 10, 0.0, 10),
        case(67, 5, 0.1, 5),
        // Labels from 10 on are not a class, so their rows are ignored.
        case(9, 10, 0.2, 14),
        weighted_case(7, 10, 0.0, 10),
        weighted_case(67, 5, 0.1, 5),
        weighted_case(9, 71, 0.2, 99),
    ]
}

/// Returns a case with class weights.
fn weighted_case(rows: usize, classes: usize, label_smoothing: f32, n_labels: u32) -> Case {
    let name = format!(
        "[{rows}, {classes}], class weights, smoothing {label_smoothing}, labels below {n_labels}"
    );
    Case::new(name, rows.max(classes), move |tape, x| {
        vec![weighted(tape, x[0], x[1], Some(x[2]), label_smoothing).loss]
    })
    .real("logits", &[rows, classes], Fill::Normal)
    .fixed("labels", &[rows], ElementType::U32, Fill::Below(n_labels))
    .fixed("class_weights", &[classes], ElementType::F32, Fill::Positive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "logits [4, 10] do not fit labels [5]")]
    fn refuses_other_labels() {
        let mut tape = Tape::new("test", Mode::Train);
        let logits = tape.input("logits", ElementType::F32, &[4, 10]);
        let labels = tape.input("labels", ElementType::U32, &[5]);
        cross_entropy(&mut tape, logits, labels, 0.0);
    }

    #[test]
    #[should_panic(expected = "logits [4, 10] do not fit class weights [9]")]
    fn refuses_other_class_weights() {
        let mut tape = Tape::new("test", Mode::Train);
        let logits = tape.input("logits", ElementType::F32, &[4, 10]);
        let labels = tape.input("labels", ElementType::U32, &[4]);
        let weights = tape.input("class_weights", ElementType::F32, &[9]);
        weighted(&mut tape, logits, labels, Some(weights), 0.0);
    }
}
