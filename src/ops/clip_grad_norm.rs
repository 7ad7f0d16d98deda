//! Gradient clipping by global norm: if the L2 norm over all gradients exceeds `max_norm`, one factor scales all
//! gradients, and their norm becomes `max_norm`. The direction of the gradient does not change.
//!
//! ```text
//! norm      = √ Σ gradient²                           over all parameters together
//! gradient *= min(1, max_norm / (norm + 1e-6))
//! ```
//!
//! Pascanu, Mikolov and Bengio 2013, as in PyTorch's `clip_grad_norm_`. Shaders: `shaders/clip_grad_norm/`.
//! Derivation: `docs/ops/clip_grad_norm.md`.

use super::finite_check::{NOT_FINITE, OnNonFinite, finite_check};
use super::segments::alike;
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, ScratchSize, StateBuffer, Tape,
    Value, ValueId,
};

/// The number that PyTorch adds to the norm, against a division by 0.
const EPS: f32 = 1e-6;

/// Records the L2 norm of all gradients, `[1]`.
pub fn norm(tape: &mut Tape) -> ValueId {
    let gradients = tape.whole(StateBuffer::Gradients);
    tape.push_one(GradNorm, &[gradients])
}

/// Records the clipping of all gradients by their `norm`, `[1]`.
///
/// Call this function after [`finite_check`], and give the norm to that check. An infinite norm would turn all
/// gradients into zeros, and a later check would accept them.
///
/// # Panics
/// If `max_norm` is not above 0.
pub fn clip(tape: &mut Tape, norm: ValueId, max_norm: f32) {
    assert!(max_norm > 0.0, "clip_grad_norm: the maximum {max_norm} is not above 0");
    let [control, gradients] =
        [StateBuffer::Control, StateBuffer::Gradients].map(|buffer| tape.whole(buffer));
    tape.push_one(ClipGradNorm { max_norm }, &[norm, control, gradients]);
}

/// The L2 norm of all gradients: `gradients -> norm`.
#[derive(Clone, Copy, Debug)]
pub struct GradNorm;

/// Number of elements that one invocation sums. The number is constant, so the number of partial sums depends on the
/// number of gradients alone.
const ELEMENTS_PER_PARTIAL: usize = 256;

impl Op for GradNorm {
    fn name(&self) -> &'static str {
        "clip_grad_norm.norm"
    }

    fn outputs(&self, _: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("grad_norm", &[1])]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        2 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let n_partials = io.input(0).n_elements().div_ceil(ELEMENTS_PER_PARTIAL).max(1);
        let shader = |path| Shader::new(path).constant("N_PARTIALS", n_partials);
        let scratch = Binding::Scratch(0);
        let mut launch = Launch::default().with_scratch(n_partials);
        // The dispatches of the segments run in order, and each continues the partial sums of the one before. So a
        // partial sum has the same terms in the same order for any division into segments.
        for segment in alike(io, 0, target.max_segment) {
            let partials = shader("clip_grad_norm/partials").constant("START", segment.span.start);
            launch = launch.then(partials, &[segment.input(0), scratch], grid(n_partials));
        }
        launch.then(shader("clip_grad_norm/norm"), &[scratch, Binding::Output(0)], [1, 1, 1])
    }
}

impl Reference for GradNorm {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::shared(io.input(0).n_elements().div_ceil(ELEMENTS_PER_PARTIAL))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let gradients = args.inputs[0].real();
        let square = |chunk: &[T]| chunk.iter().map(|&g| g * g).sum::<T>();
        // Chunks have a fixed size and are added in order, so any number of threads gives the same bits.
        let n_chunks = gradients.len().div_ceil(ELEMENTS_PER_PARTIAL);
        let partials = &mut args.scratch.shared[..n_chunks];
        for_each_chunk(partials, 1, &|ix, partial| {
            partial[0] = square(chunk(gradients, ix, ELEMENTS_PER_PARTIAL));
        });
        args.outputs[0].real()[0] = partials.iter().copied().sum::<T>().sqrt();
    }
}

/// The clipping, in place: `norm, control, gradients -> gradients`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClipGradNorm {
    /// The largest norm that clipping leaves unchanged.
    pub max_norm: f32,
}

impl Op for ClipGradNorm {
    fn name(&self) -> &'static str {
        "clip_grad_norm.clip"
    }

    fn attributes(&self) -> String {
        format!("norm up to {}", self.max_norm)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let norm = &inputs[0].shape;
        assert_eq!(norm, &[1], "clip_grad_norm: the norm has shape {norm:?}, not [1]");
        vec![OutputSpec::real("gradients", &inputs[2].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.input(2).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let shader = Shader::new("clip_grad_norm/clip")
            .constant("MAX_NORM", self.max_norm)
            .constant("EPS", EPS);
        alike(io, 2, target.max_segment).fold(Launch::default(), |launch, segment| {
            let bindings = [Binding::Input(0), Binding::Input(1), segment.output(0)];
            launch.then(shader.clone(), &bindings, grid(segment.n_elements()))
        })
    }
}

impl Reference for ClipGradNorm {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (norm, control) = (args.inputs[0].real()[0], args.inputs[1].real());
        let coefficient = T::from_f32(self.max_norm) / (norm + T::from_f32(EPS));
        if coefficient < T::ONE && control[NOT_FINITE] == T::ZERO {
            for_each_chunk(args.outputs[0].real(), CHUNK, &|_, gradients| {
                gradients.iter_mut().for_each(|g| *g *= coefficient);
            });
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "clip_grad_norm", cases };

fn case(shapes: &'static [usize], max_norm: f32) -> Case {
    let n = shapes.iter().sum();
    let name = format!("parameters of {shapes:?}, norm up to {max_norm}");
    Case::new(name, n, move |tape, _| {
        for (ix, &n) in shapes.iter().enumerate() {
            let initializer = Initializer::Constant(0.0);
            tape.parameter(&format!("p{ix}"), &[n], Layout::Plain, initializer);
        }
        let norm = norm(tape);
        finite_check(tape, &[norm], OnNonFinite::Stop);
        clip(tape, norm, max_norm);
        Vec::new()
    })
}

fn cases() -> Vec<Case> {
    // The norm of n random gradients is about √n. Of the three cases, the first and the last clip.
    vec![case(&[5, 67, 3], 0.5), case(&[130, 1], 1e3), case(&[40_000, 77], 150.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn a_norm_is_one_number() {
        let mut tape = Tape::new("test", Mode::Train);
        tape.parameter("p", &[3, 5], Layout::Plain, Initializer::Constant(0.0));
        let norm = norm(&mut tape);
        assert_eq!(tape.shape(norm), [1]);
    }

    #[test]
    #[should_panic(expected = "the maximum 0 is not above 0")]
    fn refuses_a_maximum_of_zero() {
        let mut tape = Tape::new("test", Mode::Train);
        let norm = norm(&mut tape);
        clip(&mut tape, norm, 0.0);
    }
}
