//! The state that outlives a step: the parameters and running statistics, and their offsets in flat buffers. A member
//! of a buffer is one parameter, or one running statistic.

use std::collections::HashMap;

use super::StateBuffer;

/// The order of a member's elements on the device. Files have PyTorch's order; reading and writing a file permutes the
/// elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The same order on the device and in PyTorch.
    Plain,
    /// `[KH, KW, Ci/groups, Co]` on the device, `[Co, Ci/groups, KH, KW]` in PyTorch.
    ConvWeight,
    /// `[in, out]` on the device, `[out, in]` in PyTorch.
    LinearWeight,
}

impl Layout {
    /// Returns the shape in PyTorch of a member with the device shape `shape`.
    pub fn torch_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Layout::Plain => shape.to_vec(),
            Layout::ConvWeight => vec![shape[3], shape[2], shape[0], shape[1]],
            Layout::LinearWeight => vec![shape[1], shape[0]],
        }
    }

    /// Returns the index in PyTorch's order of each element, with the elements in device order; None if the two orders
    /// are the same.
    fn index_map(self, shape: &[usize]) -> Option<Vec<usize>> {
        match self {
            Layout::Plain => None,
            Layout::ConvWeight => {
                let [kh, kw, ci, co] = [shape[0], shape[1], shape[2], shape[3]];
                let mut map = Vec::with_capacity(kh * kw * ci * co);
                for y in 0..kh {
                    for x in 0..kw {
                        for i in 0..ci {
                            map.extend((0..co).map(|o| ((o * ci + i) * kh + y) * kw + x));
                        }
                    }
                }
                Some(map)
            }
            Layout::LinearWeight => {
                let [n_in, n_out] = [shape[0], shape[1]];
                let index = |i| (0..n_out).map(move |o| o * n_in + i);
                Some((0..n_in).flat_map(index).collect())
            }
        }
    }

    /// Permutes elements from PyTorch's order to device order. `shape` is the device shape.
    pub fn from_torch(self, shape: &[usize], values: &[f32]) -> Vec<f32> {
        match self.index_map(shape) {
            None => values.to_vec(),
            Some(map) => map.into_iter().map(|ix| values[ix]).collect(),
        }
    }

    /// Permutes elements from device order to PyTorch's order. `shape` is the device shape.
    pub fn to_torch(self, shape: &[usize], values: &[f32]) -> Vec<f32> {
        match self.index_map(shape) {
            None => values.to_vec(),
            Some(map) => {
                let mut out = vec![0.0; values.len()];
                for (value, ix) in values.iter().zip(map) {
                    out[ix] = *value;
                }
                out
            }
        }
    }
}

/// The distribution of a member's initial values, which is the same as in PyTorch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Initializer {
    /// One value for all elements: 1 for batch norm's scale and running variance, 0 for its shift.
    Constant(f32),
    /// Uniform in ±1/√fan_in. This is PyTorch's default for convolutions, linear layers and their biases, which PyTorch
    /// writes as `kaiming_uniform_(a=√5)`.
    Uniform {
        /// The number of products that are summed for one output element.
        fan_in: usize,
    },
    /// Normal with mean 0: PyTorch's `normal_`, and `kaiming_normal_` with √(2/fan).
    Normal {
        /// The standard deviation.
        standard_deviation: f64,
    },
}

/// A parameter or running statistic: a view into a flat buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct StateEntry {
    /// PyTorch's name, `layer1.2.running_mean`.
    pub name: String,
    /// The shape on the device.
    pub shape: Vec<usize>,
    /// The order of the elements on the device.
    pub layout: Layout,
    /// The initial values.
    pub initializer: Initializer,
    /// The offset in its flat buffer, in elements.
    pub offset: usize,
}

impl StateEntry {
    /// Returns the number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the range of elements in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.n_elements()
    }
}

/// The alignment of members in elements: 256 bytes, which every adapter accepts as the offset of a storage
/// binding.
pub const ALIGNMENT: usize = 64;

/// The members of the flat buffers. Two tapes of one model (training and evaluation) have equal layouts and
/// can share one state.
#[derive(Clone, PartialEq, Debug)]
pub struct StateLayout {
    /// The trained parameters, in the order of recording.
    pub parameters: Vec<StateEntry>,
    /// Batch norm's running means and variances.
    pub running_statistics: Vec<StateEntry>,
    /// The names of the optimizer's state buffers in labels and files; empty without an optimizer.
    pub optimizer: &'static [&'static str],
    /// True if the state has a moving average of the parameters.
    pub averaged: bool,
    /// The number of shards of a training step; 1 if the step is not divided.
    pub n_shards: usize,
    /// True if no step trains: the buffers of gradients, optimizer state and batch statistics are then empty.
    pub inference_only: bool,
    /// The buffer of each member's values and the member's index in it, by the member's name.
    places: HashMap<String, (StateBuffer, usize)>,
}

impl Default for StateLayout {
    /// Returns a layout without members, for steps that are not divided into shards.
    fn default() -> Self {
        Self {
            parameters: Vec::new(),
            running_statistics: Vec::new(),
            optimizer: &[],
            averaged: false,
            n_shards: 1,
            inference_only: false,
            places: HashMap::new(),
        }
    }
}

impl StateLayout {
    /// Returns the number of elements of a flat buffer, padding included.
    pub fn n_elements(&self, buffer: StateBuffer) -> usize {
        match buffer {
            StateBuffer::Metrics | StateBuffer::Control => ALIGNMENT,
            StateBuffer::StepMetrics if self.n_levels() > 0 => ALIGNMENT,
            StateBuffer::Partial(level) if level < self.n_levels() => self.n_reduced(),
            _ => self.members(buffer).last().map_or(0, next_offset),
        }
    }

    /// Returns the number of partial sums that a step over shards keeps: the number of binary digits of its last shard's
    /// number, 3 for 8 shards. 0 if the step is not divided, or no step trains.
    pub fn n_levels(&self) -> usize {
        match self.inference_only {
            true => 0,
            false => (usize::BITS - (self.n_shards - 1).leading_zeros()) as usize,
        }
    }

    /// Returns the number of elements of the results of a step together, padding included; see
    /// [`StateBuffer::REDUCED`].
    pub fn n_reduced(&self) -> usize {
        StateBuffer::REDUCED.iter().map(|&buffer| self.n_elements(buffer)).sum()
    }

    /// Returns the members of a flat buffer; empty for a buffer without elements.
    pub fn members(&self, buffer: StateBuffer) -> &[StateEntry] {
        match buffer {
            StateBuffer::Gradients | StateBuffer::Optimizer(_) | StateBuffer::BatchStatistics
                if self.inference_only =>
            {
                &[]
            }
            StateBuffer::Parameters | StateBuffer::Gradients => &self.parameters,
            StateBuffer::Optimizer(ix) if ix < self.optimizer.len() => &self.parameters,
            StateBuffer::AveragedParameters if self.averaged => &self.parameters,
            StateBuffer::RunningStatistics | StateBuffer::BatchStatistics => {
                &self.running_statistics
            }
            StateBuffer::Optimizer(_)
            | StateBuffer::Metrics
            | StateBuffer::AveragedParameters
            | StateBuffer::Control
            | StateBuffer::StepMetrics
            | StateBuffer::Partial(_) => &[],
        }
    }

    /// Returns a buffer's name in labels and files, such as `exp_avg` for the first buffer of Adam.
    pub fn name(&self, buffer: StateBuffer) -> &'static str {
        match buffer {
            StateBuffer::Optimizer(ix) => self.optimizer.get(ix).copied().unwrap_or(buffer.name()),
            _ => buffer.name(),
        }
    }

    /// Returns the member with this name, and the buffer of its values: parameters or running statistics.
    pub fn find(&self, name: &str) -> Option<(StateBuffer, &StateEntry)> {
        let &(buffer, ix) = self.places.get(name)?;
        Some((buffer, &self.members(buffer)[ix]))
    }

    /// Returns the number of trained elements, without padding.
    pub fn n_parameters(&self) -> usize {
        self.parameters.iter().map(StateEntry::n_elements).sum()
    }

    /// Adds a member and returns it; a second call with the same name returns the first member.
    ///
    /// # Panics
    /// If a member with this name has another shape or is in another buffer, or `buffer` has no members.
    pub fn add(
        &mut self,
        buffer: StateBuffer,
        name: &str,
        shape: &[usize],
        layout: Layout,
        initializer: Initializer,
    ) -> &StateEntry {
        let members = match buffer {
            StateBuffer::Parameters => &mut self.parameters,
            StateBuffer::RunningStatistics => &mut self.running_statistics,
            other => panic!("{}: this buffer has no members of its own", other.name()),
        };
        if let Some(&(of, ix)) = self.places.get(name) {
            assert!(of == buffer, "{name}: the name belongs to another buffer");
            let found = &members[ix].shape;
            assert!(found == shape, "{name}: its shape is {found:?}, not {shape:?}");
            return &members[ix];
        }
        let (ix, offset) = (members.len(), members.last().map_or(0, next_offset));
        self.places.insert(name.to_string(), (buffer, ix));
        let (name, shape) = (name.to_string(), shape.to_vec());
        members.push(StateEntry { name, shape, layout, initializer, offset });
        &members[ix]
    }
}

fn next_offset(last: &StateEntry) -> usize {
    last.range().end.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conv_weights_convert_to_torch_and_back() {
        let shape = [2, 3, 4, 5];
        let values: Vec<f32> = (0..120).map(|v| v as f32).collect();
        let torch = Layout::ConvWeight.to_torch(&shape, &values);
        // Element (ky 1, kx 2, ci 3, co 4) is [co 4, ci 3, ky 1, kx 2] in PyTorch.
        assert_eq!(torch[((4 * 4 + 3) * 2 + 1) * 3 + 2], values[((3 + 2) * 4 + 3) * 5 + 4]);
        assert_eq!(Layout::ConvWeight.from_torch(&shape, &torch), values);
        assert_eq!(Layout::ConvWeight.torch_shape(&shape), [5, 4, 2, 3]);
    }

    #[test]
    fn members_are_aligned_and_named_once() {
        let mut layout = StateLayout::default();
        let one = Initializer::Constant(1.0);
        layout.add(StateBuffer::Parameters, "a", &[3], Layout::Plain, one);
        layout.add(StateBuffer::Parameters, "b", &[65], Layout::Plain, one);
        layout.add(StateBuffer::Parameters, "a", &[3], Layout::Plain, one);
        assert_eq!(layout.parameters.len(), 2);
        assert_eq!(layout.parameters[1].offset, 64);
        assert_eq!(layout.n_elements(StateBuffer::Gradients), 192);
        assert_eq!(layout.n_elements(StateBuffer::Optimizer(0)), 0, "the tape has no optimizer");
        layout.optimizer = &["momentum_buffer"];
        let sizes = [0, 1].map(|ix| layout.n_elements(StateBuffer::Optimizer(ix)));
        assert_eq!(sizes, [192, 0]);
        assert_eq!(layout.name(StateBuffer::Optimizer(0)), "momentum_buffer");
        assert_eq!(
            layout.n_elements(StateBuffer::AveragedParameters),
            0,
            "the tape has no moving average"
        );
        layout.averaged = true;
        assert_eq!(layout.n_elements(StateBuffer::AveragedParameters), 192);
        assert_eq!(layout.n_parameters(), 68);
    }

    #[test]
    fn an_inference_layout_has_no_buffers_for_training() {
        let mut layout = StateLayout::default();
        layout.add(StateBuffer::Parameters, "a", &[64], Layout::Plain, Initializer::Constant(1.0));
        layout.add(
            StateBuffer::RunningStatistics,
            "b",
            &[64],
            Layout::Plain,
            Initializer::Constant(1.0),
        );
        layout.inference_only = true;
        layout.optimizer = &["exp_avg", "exp_avg_sq"];
        let sizes = |buffers: &[StateBuffer]| -> Vec<usize> {
            buffers.iter().map(|&buffer| layout.n_elements(buffer)).collect()
        };
        assert_eq!(
            sizes(&[StateBuffer::Parameters, StateBuffer::RunningStatistics, StateBuffer::Metrics]),
            [64; 3]
        );
        let training = [
            StateBuffer::Gradients,
            StateBuffer::Optimizer(0),
            StateBuffer::Optimizer(1),
            StateBuffer::BatchStatistics,
        ];
        assert_eq!(sizes(&training), [0; 4]);
    }
}
