//! Values: what flows between the nodes of a [`Tape`](super::Tape).

use std::fmt;

/// The number of a value on its tape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// The position of the value in [`Tape::values`](super::Tape::values).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// The type of a value's elements. It belongs to the value, not to the engine, so that mixed
/// precision is one more variant here and not a second engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementType {
    /// Real numbers. (The CPU device can also run them in f64, for gradient checks.)
    F32,
    /// Labels, indices of maxima, image numbers, random draws.
    U32,
    /// Pixels: four to a 32-bit word, little endian.
    U8,
}

impl ElementType {
    /// Bytes that `elements` of this type take on a device; whole 32-bit words always.
    pub fn bytes(self, elements: usize) -> u64 {
        match self {
            ElementType::F32 | ElementType::U32 => 4 * elements as u64,
            ElementType::U8 => 4 * elements.div_ceil(4) as u64,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElementType::F32 => "f32",
            ElementType::U32 => "u32",
            ElementType::U8 => "u8",
        })
    }
}

/// The buffers that outlive a step. Each is one flat run of f32; its members are views that start
/// at multiples of 256 bytes, and the padding between them stays zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Group {
    /// Everything that is trained.
    Parameters,
    /// The gradients, laid out as the parameters are.
    Gradients,
    /// Adam's first moments, laid out as the parameters are.
    ExpAvg,
    /// Adam's second moments, laid out as the parameters are.
    ExpAvgSq,
    /// Batch norm's running means and variances.
    Statistics,
    /// The last batch's means and unbiased variances, laid out as the running ones are.
    BatchStatistics,
    /// What is summed over the steps of an epoch; see [`Metrics`](crate::ops::metrics::Metrics).
    Metrics,
    /// The moving average of the parameters, laid out as they are; empty unless the tape asks for it
    /// (see [`ema`](crate::ops::ema)).
    AveragedParameters,
}

impl Group {
    /// Every group, in the order in which devices keep them.
    pub const ALL: [Group; 8] = [
        Group::Parameters,
        Group::Gradients,
        Group::ExpAvg,
        Group::ExpAvgSq,
        Group::Statistics,
        Group::BatchStatistics,
        Group::Metrics,
        Group::AveragedParameters,
    ];

    /// The position in [`Group::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name that buffers and messages use.
    pub fn name(self) -> &'static str {
        match self {
            Group::Parameters => "parameters",
            Group::Gradients => "gradients",
            Group::ExpAvg => "exp_avg",
            Group::ExpAvgSq => "exp_avg_sq",
            Group::Statistics => "statistics",
            Group::BatchStatistics => "batch_statistics",
            Group::Metrics => "metrics",
            Group::AveragedParameters => "averaged_parameters",
        }
    }
}

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// Written by the host between steps, in a buffer of its own.
    Input,
    /// A view into a flat buffer that outlives the step.
    State {
        /// The flat buffer.
        group: Group,
        /// Where the view starts, in elements.
        offset: usize,
    },
    /// Made and used up within a step; the plan finds it a place.
    Transient,
}

/// One value of a tape.
#[derive(Clone, Debug)]
pub struct Value {
    /// What the value is called in listings, `prep.0.weight` or `layer1.0.y`.
    pub name: String,
    /// Sizes of the axes; activations are `[N, H, W, C]`.
    pub shape: Vec<usize>,
    /// The type of an element.
    pub element: ElementType,
    /// Where it lives.
    pub storage: Storage,
    /// Whether a gradient is wanted for it, or for something it was computed from.
    pub requires_grad: bool,
    /// Whether it must still be there after the step, to be read by the host.
    pub keep: bool,
}

impl Value {
    /// The number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The bytes it takes on a device.
    pub fn bytes(&self) -> u64 {
        self.element.bytes(self.n_elements())
    }
}
