//! Values: the tensors between the nodes of a [`Tape`](super::Tape).

use std::fmt;

/// The index of a value on its tape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// Returns the position in [`Tape::values`](super::Tape::values).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// The type of a value's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementType {
    /// Floating-point numbers of 32 bits. (For gradient checks, the CPU device computes these values in f64.)
    F32,
    /// Labels, indices of maxima, image numbers, random draws.
    U32,
    /// Pixels of 8 bits. A 32-bit word has four pixels; the first pixel is in the lowest byte.
    U8,
}

impl ElementType {
    /// Returns the bytes of `elements` elements on a device, rounded up to whole 32-bit words.
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

/// The buffers that outlive a step. Each buffer is a flat array of f32. The members of a buffer, for example
/// parameters, are views into this array that start at multiples of 256 bytes. The padding between the members stays
/// zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StateBuffer {
    /// The trained parameters.
    Parameters,
    /// The gradients, with the parameters' layout.
    Gradients,
    /// A buffer of the optimizer's state, with the parameters' layout; empty if the optimizer has fewer buffers. The
    /// buffers are numbered from 0 to [`StateBuffer::N_OPTIMIZER`] - 1.
    /// [`StateLayout::optimizer`](super::StateLayout::optimizer) has the names of the buffers.
    Optimizer(usize),
    /// Batch norm's running means and variances.
    RunningStatistics,
    /// The last batch's means and unbiased variances, with the running statistics' layout.
    BatchStatistics,
    /// The sums of losses, correct predictions and images over the steps of an epoch; see
    /// [`Metrics`](crate::ops::metrics::Metrics).
    Metrics,
    /// The moving average of the parameters, with their layout; empty unless
    /// [`Tape::average_parameters`](super::Tape::average_parameters) adds it.
    AveragedParameters,
    /// The flag that is set when a gradient or a batch statistic is infinite or NaN. While the flag is set, every
    /// update is a no-op; see [`finite_check`](crate::ops::finite_check).
    Control,
    /// The sums over one shard of a step, then over all its shards: losses, correct predictions, images. Empty in a step
    /// without shards; see [`partial_sum`](crate::ops::partial_sum).
    StepMetrics,
    /// A partial sum over the shards of a step: gradients, batch statistics and step metrics, one after another. The
    /// number is the level of the sum in the tree, below [`StateBuffer::N_PARTIAL`]; empty if a step has fewer levels.
    Partial(usize),
}

impl StateBuffer {
    /// The largest number of state buffers that an optimizer can have.
    pub const N_OPTIMIZER: usize = 2;

    /// The largest number of partial sums over the shards of a step. It is enough for 256 shards.
    pub const N_PARTIAL: usize = 8;

    /// The buffers of a step's results, which a step over shards adds up. A partial sum has them in this order.
    pub const REDUCED: [StateBuffer; 3] =
        [StateBuffer::Gradients, StateBuffer::BatchStatistics, StateBuffer::StepMetrics];

    /// All buffers of the state, in the order in which a plan lists them.
    pub const ALL: [StateBuffer; 10 + Self::N_PARTIAL] = [
        StateBuffer::Parameters,
        StateBuffer::Gradients,
        StateBuffer::Optimizer(0),
        StateBuffer::Optimizer(1),
        StateBuffer::RunningStatistics,
        StateBuffer::BatchStatistics,
        StateBuffer::Metrics,
        StateBuffer::AveragedParameters,
        StateBuffer::Control,
        StateBuffer::StepMetrics,
        StateBuffer::Partial(0),
        StateBuffer::Partial(1),
        StateBuffer::Partial(2),
        StateBuffer::Partial(3),
        StateBuffer::Partial(4),
        StateBuffer::Partial(5),
        StateBuffer::Partial(6),
        StateBuffer::Partial(7),
    ];

    /// Returns the position in [`StateBuffer::ALL`].
    pub fn index(self) -> usize {
        let position = StateBuffer::ALL.iter().position(|&buffer| buffer == self);
        position.expect("every buffer is in the list")
    }

    /// Returns the buffer's name in messages. [`StateLayout::name`](super::StateLayout::name) returns the name in
    /// labels and files, which depends on the optimizer.
    pub fn name(self) -> &'static str {
        match self {
            StateBuffer::Parameters => "parameters",
            StateBuffer::Gradients => "gradients",
            StateBuffer::Optimizer(_) => "optimizer",
            StateBuffer::RunningStatistics => "statistics",
            StateBuffer::BatchStatistics => "batch_statistics",
            StateBuffer::Metrics => "metrics",
            StateBuffer::AveragedParameters => "averaged_parameters",
            StateBuffer::Control => "control",
            StateBuffer::StepMetrics => "step_metrics",
            StateBuffer::Partial(_) => "partial_sums",
        }
    }
}

/// The place of a value's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// A buffer of its own, which the host writes between steps.
    Input,
    /// A view into a flat buffer that outlives the step.
    State {
        /// The flat buffer.
        buffer: StateBuffer,
        /// The offset of the view, in elements.
        offset: usize,
    },
    /// Memory that the plan assigns; the contents are lost after the step.
    Transient,
}

/// One value of a tape.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name in listings: `prep.0.weight` or `layer1.0.y`.
    pub name: String,
    /// The sizes of the axes; `[N, H, W, C]` for activations.
    pub shape: Vec<usize>,
    /// The element type.
    pub element: ElementType,
    /// The place of the elements.
    pub storage: Storage,
    /// True if the backward pass must compute the gradient of this value. This holds for parameters that
    /// are not frozen, for inputs with a gradient, and for every f32 value that an op with a gradient computes from such
    /// a value.
    pub requires_grad: bool,
    /// True if the value must stay valid after the step. The host can then read it.
    pub keep: bool,
}

impl Value {
    /// Returns the number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the number of bytes on a device.
    pub fn bytes(&self) -> u64 {
        self.element.bytes(self.n_elements())
    }
}
