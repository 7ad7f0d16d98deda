//! Weight averaging: an exponential moving average of all parameters, updated after the optimizer.
//!
//! ```text
//! average = decay · average + (1 − decay) · p,  and at the first step  average = p
//! ```
//!
//! Polyak and Juditsky 1992, with an exponential weight: PyTorch's `AveragedModel` with
//! `get_ema_multi_avg_fn(decay)`. Shaders: `shaders/ema/`. Derivation: `docs/ops/ema.md`.

use super::finite_check::NOT_FINITE;
use super::segments::alike;
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value,
};

/// Records an update of the average of all parameters, and adds the average's buffer to the state. Call this function
/// after the optimizer's update is recorded.
///
/// # Panics
/// If `decay` is not in 0..1.
pub fn ema(tape: &mut Tape, decay: f64) {
    assert!((0.0..1.0).contains(&decay), "ema: the decay {decay} is not in 0..1");
    tape.average_parameters();
    let buffers = [StateBuffer::Parameters, StateBuffer::Control, StateBuffer::AveragedParameters];
    let inputs = buffers.map(|buffer| tape.whole(buffer));
    tape.push_one(Ema { decay }, &inputs);
}

/// The update of the averages, in place: `parameters, control, averages -> averages`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ema {
    /// The weight of the old average, per step.
    pub decay: f64,
}

impl Op for Ema {
    fn name(&self) -> &'static str {
        "ema.update"
    }

    fn attributes(&self) -> String {
        format!("decay {}", self.decay)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (parameters, averages) = (&inputs[0].shape, &inputs[2].shape);
        assert_eq!(parameters, averages, "ema: the flat buffers differ in length");
        vec![OutputSpec::real("averages", averages)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let shader = Shader::new("ema/update").constant("WEIGHT", (1.0 - self.decay) as f32);
        alike(io, 0, target.max_segment).fold(Launch::default(), |launch, segment| {
            let bindings = [segment.input(0), Binding::Input(1), segment.output(0), Binding::Step];
            launch.then(shader.clone(), &bindings, grid(segment.n_elements()))
        })
    }
}

impl Reference for Ema {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (parameters, control) = (args.inputs[0].real(), args.inputs[1].real());
        let averages = args.outputs[0].real();
        if control[NOT_FINITE] != T::ZERO {
            return;
        }
        if args.step.step == 1 {
            averages.copy_from_slice(parameters);
            return;
        }
        let weight = T::from_f64(1.0 - self.decay);
        // The formula has two forms, which are equal without rounding. Like PyTorch's `lerp`, the code uses the form
        // that rounds less at this weight.
        let small = weight < T::from_f64(0.5);
        for_each_chunk(averages, CHUNK, &|ix, averages| {
            for (average, &p) in averages.iter_mut().zip(chunk(parameters, ix, CHUNK)) {
                let difference = p - *average;
                *average = match small {
                    true => *average + weight * difference,
                    false => p - (T::ONE - weight) * difference,
                };
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "ema", cases };

fn case(shapes: &'static [usize], decay: f64) -> Case {
    Case::new(format!("parameters of {shapes:?}, decay {decay}"), 1, move |tape, _| {
        for (ix, &n) in shapes.iter().enumerate() {
            let initializer = Initializer::Constant(0.0);
            tape.parameter(&format!("p{ix}"), &[n], Layout::Plain, initializer);
        }
        ema(tape, decay);
        Vec::new()
    })
}

fn cases() -> Vec<Case> {
    vec![case(&[5, 67, 3], 0.75), case(&[130, 1], 0.25)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn only_ema_adds_the_buffer_of_averages() {
        let mut tape = Tape::new("test", Mode::Train);
        tape.parameter("p", &[3], Layout::Plain, Initializer::Constant(0.0));
        assert_eq!(tape.state().n_elements(StateBuffer::AveragedParameters), 0);
        ema(&mut tape, 0.9);
        assert_eq!(tape.state().n_elements(StateBuffer::AveragedParameters), 64);
    }

    #[test]
    #[should_panic(expected = "the decay 1 is not in 0..1")]
    fn refuses_a_decay_of_one() {
        ema(&mut Tape::new("test", Mode::Train), 1.0);
    }
}
