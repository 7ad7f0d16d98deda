//! Stochastic gradient descent with momentum, over the flat buffers of all parameters in one dispatch.
//!
//! ```text
//! g = gradient + weight_decay · p
//! b = momentum · b + g                       only with momentum
//! p = p − lr · d        d = g + momentum · b with Nesterov's form, otherwise d = b; d = g without momentum
//! ```
//!
//! This is PyTorch's `SGD` without dampening. Nesterov's form is that of Sutskever et al. 2013. Shaders:
//! `shaders/sgd/`. Derivation: `docs/ops/sgd.md`.

use super::finite_check::NOT_FINITE;
use super::lr_scale::LrScale;
use super::optimizer::{Hyperparameters, Optimizer, WeightDecay};
use super::updates::{Updates, case, fine_tuning_case};
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk, for_each_chunk_of_two};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value};

/// Stochastic gradient descent.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Sgd {
    /// The factor of the momentum buffer before a step adds the gradient to it, in 0..1. With 0, the optimizer has no
    /// momentum and no momentum buffer.
    pub momentum: f64,
    /// True for Nesterov's form of momentum.
    pub nesterov: bool,
    /// The weight decay, an L2 penalty: its gradient is `rate · p`.
    pub weight_decay: WeightDecay,
}

impl From<Hyperparameters> for Sgd {
    fn from(of: Hyperparameters) -> Self {
        Self { momentum: of.momentum, nesterov: of.nesterov, weight_decay: of.weight_decay }
    }
}

impl Optimizer for Sgd {
    fn description(&self) -> String {
        let momentum = match (self.momentum, self.nesterov) {
            (0.0, _) => String::new(),
            (momentum, true) => format!(", Nesterov momentum {momentum}"),
            (momentum, false) => format!(", momentum {momentum}"),
        };
        format!("SGD{momentum}{}", self.weight_decay.words(0.0))
    }

    fn state(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn scalars(&self, lr: f64, _step: u64) -> [f32; 4] {
        [lr as f32, 0.0, 0.0, 0.0]
    }

    fn record_scaled(&self, tape: &mut Tape, lr_scale: &LrScale) {
        tape.optimizer_state(self.state());
        let buffers = [
            StateBuffer::Gradients,
            StateBuffer::Control,
            StateBuffer::Parameters,
            StateBuffer::Optimizer(0),
        ];
        let inputs = buffers.map(|buffer| tape.whole(buffer));
        let updates = Updates::new(tape, self.weight_decay, lr_scale);
        tape.push(SgdStep { sgd: *self, updates }, &inputs[..3 + self.state().len()]);
    }
}

/// One step of stochastic gradient descent, in place: `gradients, control, parameters -> parameters`, and with momentum
/// `gradients, control, parameters, momentum_buffer -> parameters, momentum_buffer`.
#[derive(Clone, PartialEq, Debug)]
struct SgdStep {
    sgd: Sgd,
    updates: Updates,
}

impl Op for SgdStep {
    fn name(&self) -> &'static str {
        "sgd.step"
    }

    fn attributes(&self) -> String {
        self.sgd.description() + &self.updates.words()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let shape = &inputs[0].shape;
        let equal = inputs[2..].iter().all(|v| &v.shape == shape);
        assert!(equal, "sgd: the flat buffers differ in length");
        let names = ["parameters", "momentum_buffer"].into_iter().take(inputs.len() - 2);
        names.map(|name| OutputSpec::real(name, shape)).collect()
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        if self.sgd.momentum == 0.0 { &[(0, 2)] } else { &[(0, 2), (1, 3)] }
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        let of_element = 4 + 2 * self.sgd.state().len() + 2 * usize::from(self.sgd.nesterov);
        (of_element * self.updates.n_elements(io)) as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let Sgd { momentum, nesterov, .. } = self.sgd;
        let path = if momentum == 0.0 { "sgd/step" } else { "sgd/momentum" };
        let mut launch = Launch::default();
        for segment in self.updates.segments(io, target.max_segment) {
            let mut shader = Shader::new(path)
                .constant("WEIGHT_DECAY", segment.group.weight_decay as f32)
                .constant("LR_FACTOR", segment.group.lr_factor as f32);
            let mut bindings =
                vec![segment.input(0), Binding::Input(1), Binding::Step, segment.output(0)];
            if momentum != 0.0 {
                shader =
                    shader.constant("MOMENTUM", momentum as f32).constant("NESTEROV", nesterov);
                bindings.push(segment.output(1));
            }
            launch = launch.then(shader, &bindings, grid(segment.n_elements()));
        }
        launch
    }
}

impl Reference for SgdStep {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (gradients, control) = (args.inputs[0].real(), args.inputs[1].real());
        if control[NOT_FINITE] != T::ZERO {
            return;
        }
        let lr = T::from_f32(args.step.optimizer[0]);
        let Sgd { momentum, nesterov, .. } = self.sgd;
        let momentum = T::from_f64(momentum);
        let (parameters, buffer) = args.outputs.split_first_mut().expect("the parameters");
        let (parameters, mut buffer) = (parameters.real(), buffer.first_mut());
        for segment in self.updates.segments(&args.io, None) {
            let here = segment.span.start..segment.span.end;
            let decay = T::from_f64(segment.group.weight_decay);
            let lr = lr * T::from_f64(segment.group.lr_factor);
            let gradients = &gradients[here.clone()];
            let parameters = &mut parameters[here.clone()];
            match &mut buffer {
                None => for_each_chunk(parameters, CHUNK, &|ix, parameters| {
                    let gradients = chunk(gradients, ix, CHUNK);
                    for (p, &gradient) in parameters.iter_mut().zip(gradients) {
                        *p -= lr * (gradient + decay * *p);
                    }
                }),
                Some(buffer) => {
                    let buffer = (&mut buffer.real()[here], CHUNK);
                    for_each_chunk_of_two(
                        (parameters, CHUNK),
                        buffer,
                        &|ix, parameters, buffer| {
                            let gradients = chunk(gradients, ix, CHUNK);
                            for (i, p) in parameters.iter_mut().enumerate() {
                                let g = gradients[i] + decay * *p;
                                let b = momentum * buffer[i] + g;
                                buffer[i] = b;
                                *p -= lr * if nesterov { g + momentum * b } else { b };
                            }
                        },
                    );
                }
            }
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "sgd", cases };

fn cases() -> Vec<Case> {
    let (momentum, shapes): (_, &[&[usize]]) = (0.9, &[&[5], &[67], &[3, 30]]);
    let weight_decay = WeightDecay::of_all(0.25);
    vec![
        case(&[&[5], &[67], &[3]], Sgd::default()),
        case(&[&[130], &[1]], Sgd { weight_decay, ..Sgd::default() }),
        case(shapes, Sgd { momentum, ..Sgd::default() }),
        case(shapes, Sgd { momentum, nesterov: true, weight_decay }),
        case(
            &[&[5], &[7], &[3, 30], &[2, 2], &[70]],
            Sgd { momentum, nesterov: false, weight_decay: weight_decay.partial() },
        ),
        fine_tuning_case(Sgd { weight_decay, ..Sgd::default() }),
        fine_tuning_case(Sgd { momentum, nesterov: false, weight_decay }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Initializer, Layout, Mode};

    #[test]
    fn only_momentum_has_a_state_buffer() {
        for (momentum, n_elements) in [(0.0, 0), (0.9, 64)] {
            let mut tape = Tape::new("test", Mode::Train);
            tape.parameter("p", &[3], Layout::Plain, Initializer::Constant(0.0));
            Sgd { momentum, ..Sgd::default() }.record(&mut tape);
            assert_eq!(tape.state().n_elements(StateBuffer::Optimizer(0)), n_elements);
            assert_eq!(tape.state().n_elements(StateBuffer::Optimizer(1)), 0);
        }
    }
}
