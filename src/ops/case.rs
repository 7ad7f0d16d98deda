//! Cases: small graphs that every op offers to the tests and benches, so that those name no op.

use std::sync::Arc;

use crate::tape::{ElementType, Tape, ValueId};

/// What an input of a case is filled with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fill {
    /// Standard normal.
    Normal,
    /// Normal, rounded to halves: ties are common.
    Coarse,
    /// Below zero everywhere.
    Negative,
    /// Between 0.5 and 1.5.
    Positive,
    /// Normal with this mean and standard deviation 1.
    Around(f32),
    /// Words below this bound.
    Below(u32),
    /// Any word at all.
    Words,
}

/// An input of a case.
#[derive(Clone, Debug)]
pub struct CaseInput {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
    /// What it holds.
    pub fill: Fill,
    /// Whether its gradient is checked.
    pub differentiate: bool,
}

type Build = Arc<dyn Fn(&mut Tape, &[ValueId]) -> Vec<ValueId> + Send + Sync>;

/// A small graph around one op.
#[derive(Clone)]
pub struct Case {
    /// What is special about it: `3x3, stride 2, Ci 5, Co 7`.
    pub name: String,
    /// What it reads.
    pub inputs: Vec<CaseInput>,
    /// Records the op and returns its results. Those of type f32 are given an upstream gradient.
    pub build: Build,
    /// The terms of the longest sum in it, which tolerances scale with.
    pub reduction: usize,
    /// Places that fusion rewrites; a case with none runs as it is recorded.
    pub n_fused: usize,
}

impl Case {
    /// A case without inputs yet, with sums of at most `reduction` terms.
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
        }
    }

    /// Lets every rule of fusion rewrite what is recorded, in `n` places.
    pub fn fused(self, n: usize) -> Self {
        Self { n_fused: n, ..self }
    }

    /// Adds an input of real numbers whose gradient is checked.
    pub fn real(mut self, name: &'static str, shape: &[usize], fill: Fill) -> Self {
        let (shape, element) = (shape.to_vec(), ElementType::F32);
        self.inputs.push(CaseInput { name, shape, element, fill, differentiate: true });
        self
    }

    /// Adds an input that is constant for the gradient.
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

/// What an op is to the tests: its stem and its cases.
pub struct OpEntry {
    /// The stem that `src/ops/`, `shaders/`, and `docs/ops/` share.
    pub stem: &'static str,
    /// Small graphs, awkward on purpose, for correctness.
    pub cases: fn() -> Vec<Case>,
    /// The network's real shapes at a width and batch size, for the benches.
    pub bench_cases: fn(width: usize, batch: usize) -> Vec<Case>,
}
