//! Test cases: small tapes that record one op each. Tests iterate over the cases of all ops, so they do not name an op.

use std::sync::Arc;

use crate::tape::{ElementType, Tape, ValueId};

/// The distribution of an input's values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fill {
    /// Standard normal.
    Normal,
    /// Standard normal, rounded to multiples of 0.5, so that ties are common.
    Coarse,
    /// Below 0.
    Negative,
    /// From 0.5 to 1.5.
    Positive,
    /// Normal with this mean and standard deviation 1.
    Around(f32),
    /// Uniform integers below this bound.
    Below(u32),
    /// Uniform integers from 1 to this bound.
    UpTo(u32),
    /// Uniform 32-bit words.
    Words,
}

/// An input of a case.
#[derive(Clone, Debug)]
pub struct CaseInput {
    /// The name of the input on the tape.
    pub name: &'static str,
    /// The shape.
    pub shape: Vec<usize>,
    /// The element type.
    pub element: ElementType,
    /// The distribution of the values.
    pub fill: Fill,
    /// True if tests check the gradient of this input.
    pub differentiate: bool,
}

type Build = Arc<dyn Fn(&mut Tape, &[ValueId]) -> Vec<ValueId> + Send + Sync>;

/// A test case: a small tape with one op.
#[derive(Clone)]
pub struct Case {
    /// The properties that distinguish the case, such as `3x3, stride 2, Ci 5, Co 7`.
    pub name: String,
    /// The inputs.
    pub inputs: Vec<CaseInput>,
    /// Function that records the op and returns its results. Tests give every result of type f32 a random gradient.
    pub build: Build,
    /// The number of terms of the longest sum; tolerances scale with it.
    pub reduction: usize,
    /// The number of places that fusion must rewrite; 0 to run the tape unfused.
    pub n_fused: usize,
    /// True if the case exists only because the CPU device computes its shape by an algorithm of its own. Tests of shaders
    /// alone leave the case out.
    pub for_cpu: bool,
}

impl Case {
    /// Returns a case without inputs. The sums of the op have at most `reduction` terms.
    pub fn new(
        name: impl Into<String>,
        reduction: usize,
        build: impl Fn(&mut Tape, &[ValueId]) -> Vec<ValueId> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            inputs: Vec::new(),
            build: Arc::new(build),
            reduction,
            n_fused: 0,
            for_cpu: false,
        }
    }

    /// Returns the case with fusion: tests apply all fusion rules to the tape, and the rules must rewrite exactly `n`
    /// places.
    pub fn fused(self, n: usize) -> Self {
        Self { n_fused: n, ..self }
    }

    /// Returns the case, marked as one that exists only for an algorithm of the CPU device.
    pub fn for_cpu(self) -> Self {
        Self { for_cpu: true, ..self }
    }

    /// Adds an f32 input whose gradient is checked.
    pub fn real(mut self, name: &'static str, shape: &[usize], fill: Fill) -> Self {
        let (shape, element) = (shape.to_vec(), ElementType::F32);
        self.inputs.push(CaseInput { name, shape, element, fill, differentiate: true });
        self
    }

    /// Adds an input without a gradient.
    pub fn fixed(
        mut self,
        name: &'static str,
        shape: &[usize],
        element: ElementType,
        fill: Fill,
    ) -> Self {
        let shape = shape.to_vec();
        self.inputs.push(CaseInput { name, shape, element, fill, differentiate: false });
        self
    }
}

/// An op's entry in [`ALL`](super::ALL): its name and its test cases.
pub struct OpTests {
    /// The name that `src/ops/`, `shaders/` and `docs/ops/` share.
    pub stem: &'static str,
    /// Function that returns the test cases, with awkward shapes such as odd numbers of channels.
    pub cases: fn() -> Vec<Case>,
}
