//! Ops: what a node of the tape can compute.
//!
//! An op is one place: `src/ops/<op>.rs` holds its shape rule, its backward rule, what it launches on
//! the GPU, and its reference in plain Rust; `shaders/<op>/` holds its WGSL; `docs/ops/<op>.md` derives
//! it. The tape, the devices, the tests and the benches go through [`Op`] and [`ALL`] and name none.
//!
//! Dimension letters, here and in every shader: N images, H and W rows and columns, C channels,
//! Ci and Co input and output channels, KH and KW a kernel's or window's rows and columns.

use std::any::Any;
use std::fmt::Debug;

use crate::tape::{ElementType, Node, NodeIo, Tape, Value, ValueId};

pub mod adam;
pub mod add;
pub mod augment;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod case;
pub mod channel_sum;
pub mod clip_grad_norm;
pub mod concat;
pub mod conv2d;
pub mod cross_entropy;
pub mod ema;
pub mod fill;
pub mod finite_check;
pub mod flatten;
pub mod launch;
pub mod linear;
pub mod max_pool2d;
pub mod metrics;
pub mod real;
pub mod reference;
pub mod relu;
pub mod running_statistics;
pub mod scale;
pub mod window;

pub use case::{Case, OpEntry};
pub use launch::{Binding, Constant, Dispatch, Kernels, Launch, Shader, Target, Tile, grid};
pub use real::Real;
pub use reference::{Args, DynReference, Reference, Runs, Slice, SliceMut};
pub use window::Window;

/// What a node makes, before it is a value.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputSpec {
    /// `y`, `d_weight`, `index`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
}

impl OutputSpec {
    /// An output of real numbers.
    pub fn real(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::F32 }
    }

    /// An output of 32-bit words.
    pub fn words(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::U32 }
    }
}

/// What a node of the tape computes. Its reference is a supertrait: there is no op without one.
pub trait Op: DynReference + Any + Debug + Send + Sync {
    /// `conv2d.forward`: the stem, and which of its nodes this is.
    fn name(&self) -> &'static str;

    /// What listings show behind the name: `3x3, stride 1, padding 1`.
    fn attributes(&self) -> String {
        String::new()
    }

    /// The shape rule.
    ///
    /// # Panics
    /// When the inputs do not fit the op, naming it and the shapes.
    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec>;

    /// Pairs of an output and the input that it updates in place.
    fn aliases(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// The backward rule: appends the nodes that compute the gradients of the inputs from those of
    /// the outputs, and returns one (or none) for each input.
    ///
    /// # Panics
    /// For an op that is no part of a forward pass.
    fn backward(
        &self,
        _tape: &mut Tape,
        _node: &Node,
        _d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        panic!("{} has no backward rule", self.name());
    }

    /// Additions and multiplications of real numbers that the formula needs.
    fn flops(&self, io: &NodeIo<'_>) -> u64;

    /// How its product can be cut on a GPU, where it is one; [`Target::tile`] says which way to launch.
    fn tiles(&self, _io: &NodeIo<'_>) -> &'static [Tile] {
        &[]
    }

    /// What it launches on a GPU.
    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch;
}

/// Every op, for the tests and benches.
pub const ALL: &[OpEntry] = &[
    adam::ENTRY,
    add::ENTRY,
    augment::ENTRY,
    avg_pool2d::ENTRY,
    batch_norm::ENTRY,
    channel_sum::ENTRY,
    clip_grad_norm::ENTRY,
    concat::ENTRY,
    conv2d::ENTRY,
    cross_entropy::ENTRY,
    ema::ENTRY,
    fill::ENTRY,
    finite_check::ENTRY,
    flatten::ENTRY,
    linear::ENTRY,
    max_pool2d::ENTRY,
    metrics::ENTRY,
    relu::ENTRY,
    running_statistics::ENTRY,
    scale::ENTRY,
];

/// The product of all axes but the last: the rows of a matrix whose columns are channels.
pub(crate) fn n_rows(shape: &[usize]) -> usize {
    shape[..shape.len() - 1].iter().product()
}

/// The last axis: channels.
pub(crate) fn n_channels(shape: &[usize]) -> usize {
    *shape.last().expect("a value has at least one axis")
}

/// `[N, H, W, C]`.
///
/// # Panics
/// When there are not four axes.
pub(crate) fn nhwc(op: &str, shape: &[usize]) -> [usize; 4] {
    shape.try_into().unwrap_or_else(|_| panic!("{op}: {shape:?} is not [N, H, W, C]"))
}
