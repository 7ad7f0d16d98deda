//! Adam, over the flat buffers of all parameters in one dispatch.
//!
//! ```text
//! g = gradient + weight_decay · p
//! m = beta1 · m + (1 − beta1) · g
//! v = beta2 · v + (1 − beta2) · g²
//! p = p − lr / (1 − beta1ᵗ) · m / (√v / √(1 − beta2ᵗ) + eps)
//! ```
//!
//! t is the number of the step, from 1. Kingma and Ba 2015, in the form of PyTorch's `Adam`: eps is added after the
//! bias correction of the root, and weight decay is a term of the gradient. Shaders: `shaders/adam/`. Derivation:
//! `docs/ops/adam.md`.

use rayon::prelude::*;

use super::finite_check::NOT_FINITE;
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value,
};

/// Records one step of Adam over all parameters.
pub fn adam(tape: &mut Tape, adam: Adam) {
    let groups = [
        StateBuffer::Gradients,
        StateBuffer::Control,
        StateBuffer::Parameters,
        StateBuffer::ExpAvg,
        StateBuffer::ExpAvgSq,
    ];
    let inputs = groups.map(|group| tape.whole(group));
    tape.push(adam, &inputs);
}

/// One step of Adam, in place:
/// `gradients, control, parameters, exp_avg, exp_avg_sq -> parameters, exp_avg, exp_avg_sq`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// The decay of the mean gradient, per step.
    pub beta1: f64,
    /// The decay of the mean squared gradient, per step.
    pub beta2: f64,
    /// The number that is added to the square root, against a division by 0.
    pub eps: f64,
    /// The factor of the L2 penalty: its gradient is `weight_decay · p`.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Adam {
    /// Returns the two scalars of training step `step` (from 1) at learning rate `lr` for
    /// [`StepScalars`](crate::kernel::StepScalars): `lr / (1 - beta1^step)` and `1 / sqrt(1 - beta2^step)`,
    /// computed in f64.
    pub fn scalars(&self, lr: f64, step: u64) -> (f32, f32) {
        let step = i32::try_from(step).expect("fewer than 2^31 steps");
        let correction1 = 1.0 - self.beta1.powi(step);
        let correction2 = 1.0 - self.beta2.powi(step);
        ((lr / correction1) as f32, (1.0 / correction2.sqrt()) as f32)
    }
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam.step"
    }

    fn attributes(&self) -> String {
        let Self { beta1, beta2, eps, weight_decay } = self;
        format!("betas {beta1}, {beta2}, eps {eps:e}, weight decay {weight_decay}")
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
        14 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("adam/step")
            .constant("BETA1", self.beta1 as f32)
            .constant("ONE_MINUS_BETA1", (1.0 - self.beta1) as f32)
            .constant("BETA2", self.beta2 as f32)
            .constant("ONE_MINUS_BETA2", (1.0 - self.beta2) as f32)
            .constant("EPS", self.eps as f32)
            .constant("WEIGHT_DECAY", self.weight_decay as f32);
        let (input, output) = (Binding::Input, Binding::Output);
        let bindings = [input(0), input(1), output(0), output(1), output(2), Binding::Step];
        Launch::one(shader, &bindings, grid(io.input(0).n_elements()))
    }
}

impl Reference for Adam {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (gradients, control) = (args.inputs[0].real(), args.inputs[1].real());
        if control[NOT_FINITE] != T::ZERO {
            return;
        }
        let [parameters, exp_avg, exp_avg_sq] = args.outputs else { panic!("three outputs") };
        let (beta1, rest1) = (T::from_f64(self.beta1), T::from_f64(1.0 - self.beta1));
        let (beta2, rest2) = (T::from_f64(self.beta2), T::from_f64(1.0 - self.beta2));
        let (eps, decay) = (T::from_f64(self.eps), T::from_f64(self.weight_decay));
        let step_size = T::from_f32(args.step.step_size);
        let inv_root = T::from_f32(args.step.inv_sqrt_bias_correction2);
        let moments = exp_avg.real().par_chunks_mut(CHUNK);
        let moments = moments.zip(exp_avg_sq.real().par_chunks_mut(CHUNK));
        let gradients = gradients.par_chunks(CHUNK);
        let chunks = parameters.real().par_chunks_mut(CHUNK).zip(moments).zip(gradients);
        chunks.for_each(|((parameters, (exp_avg, exp_avg_sq)), gradients)| {
            for (i, p) in parameters.iter_mut().enumerate() {
                let g = gradients[i] + decay * *p;
                let m = beta1 * exp_avg[i] + rest1 * g;
                let v = beta2 * exp_avg_sq[i] + rest2 * g * g;
                exp_avg[i] = m;
                exp_avg_sq[i] = v;
                *p -= step_size * m / (v.sqrt() * inv_root + eps);
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "adam", cases };

fn case(shapes: &'static [usize], weight_decay: f64) -> Case {
    let name = format!("parameters of {shapes:?}, weight decay {weight_decay}");
    Case::new(name, 1, move |tape, _| {
        for (ix, &n) in shapes.iter().enumerate() {
            let initializer = Initializer::Constant(0.0);
            tape.parameter(&format!("p{ix}"), &[n], Layout::Plain, initializer);
        }
        adam(tape, Adam { weight_decay, ..Adam::default() });
        Vec::new()
    })
}

fn cases() -> Vec<Case> {
    vec![case(&[5, 67, 3], 0.0), case(&[130, 1], 5e-4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_correct_the_bias() {
        let (step_size, inv_root) = Adam::default().scalars(1e-3, 1);
        assert!((step_size - 1e-2).abs() < 1e-8);
        assert!((inv_root - 31.622_776).abs() < 1e-4);
        let (step_size, inv_root) = Adam::default().scalars(1e-3, 1_000_000);
        assert_eq!((step_size, inv_root), (1e-3, 1.0));
    }
}
