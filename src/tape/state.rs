//! The state that outlives a step: which parameters and running statistics there are, and where in
//! the flat buffers each lies.

use super::Group;

/// How a member's elements are ordered on the device, and so how they are permuted at the edge to
/// and from files, which speak PyTorch's layouts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// As it is in the file.
    Plain,
    /// `[KH, KW, Ci/groups, Co]` here, `[Co, Ci/groups, KH, KW]` in PyTorch.
    ConvWeight,
    /// `[in, out]` here, `[out, in]` in PyTorch.
    LinearWeight,
}

impl Layout {
    /// The shape in PyTorch's layout of a member whose shape here is `shape`.
    pub fn torch_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Layout::Plain => shape.to_vec(),
            Layout::ConvWeight => vec![shape[3], shape[2], shape[0], shape[1]],
            Layout::LinearWeight => vec![shape[1], shape[0]],
        }
    }

    /// For each element in our order, its index in PyTorch's; none where the orders are the same.
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

    /// Elements in PyTorch's order, brought into ours. `shape` is the shape here.
    pub fn from_torch(self, shape: &[usize], values: &[f32]) -> Vec<f32> {
        match self.index_map(shape) {
            None => values.to_vec(),
            Some(map) => map.into_iter().map(|ix| values[ix]).collect(),
        }
    }

    /// Elements in our order, brought into PyTorch's. `shape` is the shape here.
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

/// How a member starts, as PyTorch starts it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Initializer {
    /// Every element the same: 1 for batch norm's scale and running variance, 0 for its shift.
    Constant(f32),
    /// Uniform in ±1/√fan_in: what PyTorch's `kaiming_uniform_(a=√5)` comes to, its default for
    /// convolutions and linear layers, and for their biases.
    Uniform {
        /// Inputs that one output is summed from.
        fan_in: usize,
    },
}

/// A parameter or running statistic: a view into a flat buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// PyTorch's name, `layer1.2.running_mean`.
    pub name: String,
    /// The shape here.
    pub shape: Vec<usize>,
    /// How it relates to PyTorch's layout.
    pub layout: Layout,
    /// How it starts.
    pub initializer: Initializer,
    /// Where it starts in its flat buffer, in elements.
    pub offset: usize,
}

impl Member {
    /// The number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements of this member within its flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.n_elements()
    }
}

/// Views start at multiples of this many elements: 256 bytes, which every adapter accepts as the
/// offset of a storage binding.
pub const ALIGNMENT: usize = 64;

/// The members of the flat buffers. Two tapes of the same model (training and evaluation) have
/// equal layouts and can share one state.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct StateLayout {
    /// What is trained, in the order in which the model asked for it.
    pub parameters: Vec<Member>,
    /// Batch norm's running means and variances.
    pub statistics: Vec<Member>,
    /// Whether a moving average of the parameters is kept beside them.
    pub averaged: bool,
}

impl StateLayout {
    /// The elements of a group's flat buffer, padding included.
    pub fn n_elements(&self, group: Group) -> usize {
        match group {
            Group::Metrics => ALIGNMENT,
            _ => self.members(group).last().map_or(0, next_offset),
        }
    }

    /// The members that a group's flat buffer holds.
    pub fn members(&self, group: Group) -> &[Member] {
        match group {
            Group::Parameters | Group::Gradients | Group::ExpAvg | Group::ExpAvgSq => {
                &self.parameters
            }
            Group::AveragedParameters if self.averaged => &self.parameters,
            Group::Statistics | Group::BatchStatistics => &self.statistics,
            Group::Metrics | Group::AveragedParameters => &[],
        }
    }

    /// The member of that name, with the group that holds its current value.
    pub fn find(&self, name: &str) -> Option<(Group, &Member)> {
        let within = |group, members: &'_ [Member]| {
            members.iter().position(|m| m.name == name).map(|i| (group, i))
        };
        let (group, ix) = within(Group::Parameters, &self.parameters)
            .or_else(|| within(Group::Statistics, &self.statistics))?;
        Some((group, &self.members(group)[ix]))
    }

    /// The number of trained elements, padding not counted.
    pub fn n_parameters(&self) -> usize {
        self.parameters.iter().map(Member::n_elements).sum()
    }

    /// Adds a member and returns it; asking again for the same name returns the first.
    ///
    /// # Panics
    /// When the name is taken by a member of another shape, or `group` takes no members.
    pub(crate) fn add(
        &mut self,
        group: Group,
        name: &str,
        shape: &[usize],
        layout: Layout,
        initializer: Initializer,
    ) -> &Member {
        let members = match group {
            Group::Parameters => &mut self.parameters,
            Group::Statistics => &mut self.statistics,
            other => panic!("{} takes no members of its own", other.name()),
        };
        if let Some(ix) = members.iter().position(|m| m.name == name) {
            let found = &members[ix].shape;
            assert!(found == shape, "{name} is {found:?}, and is asked for as {shape:?}");
            return &members[ix];
        }
        let offset = members.last().map_or(0, next_offset);
        let (name, shape) = (name.to_string(), shape.to_vec());
        members.push(Member { name, shape, layout, initializer, offset });
        &members[members.len() - 1]
    }
}

fn next_offset(last: &Member) -> usize {
    last.range().end.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conv_weights_go_to_torch_and_back() {
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
        layout.add(Group::Parameters, "a", &[3], Layout::Plain, one);
        layout.add(Group::Parameters, "b", &[65], Layout::Plain, one);
        layout.add(Group::Parameters, "a", &[3], Layout::Plain, one);
        assert_eq!(layout.parameters.len(), 2);
        assert_eq!(layout.parameters[1].offset, 64);
        assert_eq!(layout.n_elements(Group::ExpAvg), 192);
        assert_eq!(layout.n_elements(Group::AveragedParameters), 0, "nobody asked for it");
        layout.averaged = true;
        assert_eq!(layout.n_elements(Group::AveragedParameters), 192);
        assert_eq!(layout.n_parameters(), 68);
    }
}
