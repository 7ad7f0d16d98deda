//! Adam and AdamW, over the flat buffers of all parameters in one dispatch.
//!
//! ```text
//! p = (1 − lr · weight_decay) · p            AdamW
//! g = gradient + weight_decay · p            Adam; g = gradient in AdamW
//! m = beta1 · m + (1 − beta1) · g
//! v = beta2 · v + (1 − beta2) · g²
//! p = p − lr / (1 − beta1ᵗ) · m / (√v / √(1 − beta2ᵗ) + eps)
//! ```
//!
//! t is the number of the step, from 1. Kingma and Ba 2015, in the form of PyTorch's `Adam`: eps is added after the
//! bias correction of the root, and weight decay is a term of the gradient. AdamW (Loshchilov and Hutter 2019) decays
//! the parameters themselves. Shaders: `shaders/adam/`. Derivation: `docs/ops/adam.md`.

use super::finite_check::NOT_FINITE;
use super::lr_scale::LrScale;
use super::optimizer::{Hyperparameters, Optimizer, WeightDecay};
use super::updates::{Updates, case, fine_tuning_case};
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk_of_three};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value};

/// Adam, with weight decay as an L2 penalty.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// The decay of the mean gradient, per step.
    pub beta1: f64,
    /// The decay of the mean squared gradient, per step.
    pub beta2: f64,
    /// The number that is added to the square root, against a division by 0.
    pub eps: f64,
    /// The weight decay. In `Adam` it is the factor of an L2 penalty, whose gradient is `rate · p`. In [`AdamW`] it
    /// does not enter the gradient: each step multiplies p by `1 − lr · rate`.
    pub weight_decay: WeightDecay,
}

/// Adam with decoupled weight decay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamW(pub Adam);

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: WeightDecay::default() }
    }
}

impl From<Hyperparameters> for Adam {
    fn from(of: Hyperparameters) -> Self {
        Self { weight_decay: of.weight_decay, ..Self::default() }
    }
}

impl From<Hyperparameters> for AdamW {
    fn from(of: Hyperparameters) -> Self {
        Self(of.into())
    }
}

impl Optimizer for Adam {
    fn description(&self) -> String {
        format!("Adam{}", self.weight_decay.words(0.0))
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    /// Returns `lr / (1 - beta1^step)` and `1 / sqrt(1 - beta2^step)`.
    fn scalars(&self, lr: f64, step: u64) -> [f32; 4] {
        let step = i32::try_from(step).expect("fewer than 2^31 steps");
        let correction1 = 1.0 - self.beta1.powi(step);
        let correction2 = 1.0 - self.beta2.powi(step);
        [(lr / correction1) as f32, (1.0 / correction2.sqrt()) as f32, 0.0, 0.0]
    }

    fn record_scaled(&self, tape: &mut Tape, lr_scale: &LrScale) {
        record(tape, *self, false, lr_scale);
    }
}

impl Optimizer for AdamW {
    fn description(&self) -> String {
        format!("AdamW{}", self.0.weight_decay.words(0.01))
    }

    fn state(&self) -> &'static [&'static str] {
        self.0.state()
    }

    /// Returns the two scalars of [`Adam`], then the factor `1 - lr * rate` of the weight decay, then `lr * rate`.
    fn scalars(&self, lr: f64, step: u64) -> [f32; 4] {
        let [step_size, inv_root, ..] = self.0.scalars(lr, step);
        let decay = lr * self.0.weight_decay.rate;
        [step_size, inv_root, (1.0 - decay) as f32, decay as f32]
    }

    fn record_scaled(&self, tape: &mut Tape, lr_scale: &LrScale) {
        record(tape, self.0, true, lr_scale);
    }
}

/// Records one step of Adam, or of AdamW with `is_decoupled`, over all parameters that are not frozen, and adds the
/// optimizer's buffers to the state.
fn record(tape: &mut Tape, adam: Adam, is_decoupled: bool, lr_scale: &LrScale) {
    tape.optimizer_state(adam.state());
    let buffers = [
        StateBuffer::Gradients,
        StateBuffer::Control,
        StateBuffer::Parameters,
        StateBuffer::Optimizer(0),
        StateBuffer::Optimizer(1),
    ];
    let inputs = buffers.map(|buffer| tape.whole(buffer));
    let updates = Updates::new(tape, adam.weight_decay, lr_scale);
    tape.push(AdamStep { adam, is_decoupled, updates }, &inputs);
}

/// One step of Adam or AdamW, in place:
/// `gradients, control, parameters, exp_avg, exp_avg_sq -> parameters, exp_avg, exp_avg_sq`.
#[derive(Clone, PartialEq, Debug)]
struct AdamStep {
    adam: Adam,
    /// True for AdamW, whose weight decay is decoupled from the gradient; false for Adam.
    is_decoupled: bool,
    updates: Updates,
}

impl Op for AdamStep {
    fn name(&self) -> &'static str {
        "adam.step"
    }

    fn attributes(&self) -> String {
        let Adam { beta1, beta2, eps, weight_decay } = self.adam;
        let (form, of) = match (self.is_decoupled, weight_decay.is_partial) {
            (false, false) => ("", ""),
            (false, true) => ("", " of weights"),
            (true, false) => ("decoupled ", ""),
            (true, true) => ("decoupled ", " of weights"),
        };
        let rate = weight_decay.rate;
        let part = self.updates.words();
        format!("betas {beta1}, {beta2}, eps {eps:e}, {form}weight decay {rate}{of}{part}")
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let shape = &inputs[0].shape;
        let equal = inputs[2..].iter().all(|v| &v.shape == shape);
        assert!(equal, "adam: the flat buffers differ in length");
        ["parameters", "exp_avg", "exp_avg_sq"].map(|name| OutputSpec::real(name, shape)).into()
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2), (1, 3), (2, 4)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        14 * self.updates.n_elements(io) as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let Adam { beta1, beta2, eps, .. } = self.adam;
        let mut launch = Launch::default();
        for segment in self.updates.segments(io, target.max_segment) {
            let rate = segment.group.weight_decay;
            let is_decoupled = self.is_decoupled && rate != 0.0;
            let shader = Shader::new("adam/step")
                .constant("BETA1", beta1 as f32)
                .constant("ONE_MINUS_BETA1", (1.0 - beta1) as f32)
                .constant("BETA2", beta2 as f32)
                .constant("ONE_MINUS_BETA2", (1.0 - beta2) as f32)
                .constant("EPS", eps as f32)
                .constant("WEIGHT_DECAY", if is_decoupled { 0.0 } else { rate as f32 })
                .constant("IS_DECOUPLED", is_decoupled)
                .constant("LR_FACTOR", segment.group.lr_factor as f32);
            let [gradients, control] = [segment.input(0), Binding::Input(1)];
            let [p, m, v] = [0, 1, 2].map(|ix| segment.output(ix));
            let bindings = [gradients, control, Binding::Step, p, m, v];
            launch = launch.then(shader, &bindings, grid(segment.n_elements()));
        }
        launch
    }
}

impl Reference for AdamStep {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (gradients, control) = (args.inputs[0].real(), args.inputs[1].real());
        if control[NOT_FINITE] != T::ZERO {
            return;
        }
        let [parameters, exp_avg, exp_avg_sq] = args.outputs else { panic!("three outputs") };
        let Adam { beta1, beta2, eps, .. } = self.adam;
        let (beta1, rest1) = (T::from_f64(beta1), T::from_f64(1.0 - beta1));
        let (beta2, rest2) = (T::from_f64(beta2), T::from_f64(1.0 - beta2));
        let eps = T::from_f64(eps);
        let [step_size, inv_root, factor, decoupled] = args.step.optimizer.map(T::from_f32);
        for segment in self.updates.segments(&args.io, None) {
            let here = segment.span.start..segment.span.end;
            let rate = segment.group.weight_decay;
            let is_decoupled = self.is_decoupled && rate != 0.0;
            let lr_factor = T::from_f64(segment.group.lr_factor);
            let step_size = lr_factor * step_size;
            let factor = if lr_factor == T::ONE { factor } else { T::ONE - lr_factor * decoupled };
            let decay = T::from_f64(if is_decoupled { 0.0 } else { rate });
            let gradients = &gradients[here.clone()];
            let parameters = (&mut parameters.real()[here.clone()], CHUNK);
            let exp_avg = (&mut exp_avg.real()[here.clone()], CHUNK);
            let exp_avg_sq = (&mut exp_avg_sq.real()[here], CHUNK);
            for_each_chunk_of_three(
                parameters,
                exp_avg,
                exp_avg_sq,
                &|ix, parameters, exp_avg, exp_avg_sq| {
                    let gradients = chunk(gradients, ix, CHUNK);
                    for (i, p) in parameters.iter_mut().enumerate() {
                        if is_decoupled {
                            *p *= factor;
                        }
                        let g = gradients[i] + decay * *p;
                        let m = beta1 * exp_avg[i] + rest1 * g;
                        let v = beta2 * exp_avg_sq[i] + rest2 * g * g;
                        exp_avg[i] = m;
                        exp_avg_sq[i] = v;
                        *p -= step_size * m / (v.sqrt() * inv_root + eps);
                    }
                },
            );
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "adam", cases };

fn cases() -> Vec<Case> {
    let with = |weight_decay| Adam { weight_decay, ..Adam::default() };
    let large = WeightDecay::of_all(0.25);
    let mixed: &[&[usize]] = &[&[5], &[7], &[3, 30], &[2, 2], &[70]];
    vec![
        case(&[&[5], &[67], &[3]], Adam::default()),
        case(&[&[130], &[1]], with(WeightDecay::of_all(5e-4))),
        case(mixed, with(large.partial())),
        case(&[&[130], &[1]], AdamW(with(large))),
        case(mixed, AdamW(with(large.partial()))),
        fine_tuning_case(with(large)),
        fine_tuning_case(AdamW(with(large))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_correct_the_bias() {
        let [step_size, inv_root, ..] = Adam::default().scalars(1e-3, 1);
        assert!((step_size - 1e-2).abs() < 1e-8);
        assert!((inv_root - 31.622_776).abs() < 1e-4);
        assert_eq!(Adam::default().scalars(1e-3, 1_000_000), [1e-3, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_factor_of_decoupled_decay_follows_the_learning_rate() {
        let weight_decay = WeightDecay::of_all(0.5);
        let [.., factor, _] = AdamW(Adam { weight_decay, ..Adam::default() }).scalars(0.25, 3);
        assert_eq!(factor, 0.875);
    }
}
