//! The members of a tape's state: parameters, running statistics, and the buffers that updates need.

use super::state::{Initializer, Layout, StateEntry};
use super::{ElementType, Mode, StateBuffer, Storage, Tape, ValueId};

impl Tape {
    /// Returns the parameter with this name (PyTorch's); the first call adds it.
    ///
    /// # Panics
    /// If a parameter with this name has another shape.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        layout: Layout,
        initializer: Initializer,
    ) -> ValueId {
        self.member(StateBuffer::Parameters, name, shape, layout, initializer)
    }

    /// Returns the running statistic with this name (PyTorch's); the first call adds it.
    ///
    /// # Panics
    /// If a statistic with this name has another shape.
    pub fn statistic(&mut self, name: &str, shape: &[usize], start: f32) -> ValueId {
        let initializer = Initializer::Constant(start);
        self.member(StateBuffer::RunningStatistics, name, shape, Layout::Plain, initializer)
    }

    fn member(
        &mut self,
        buffer: StateBuffer,
        name: &str,
        shape: &[usize],
        layout: Layout,
        initializer: Initializer,
    ) -> ValueId {
        let offset = self.state.add(buffer, name, shape, layout, initializer).offset;
        if let Some(&id) = self.members.get(name) {
            return id;
        }
        let storage = Storage::State { buffer, offset };
        let trained =
            buffer == StateBuffer::Parameters && self.mode == Mode::Train && !self.is_frozen(name);
        let id = self.new_value(name, shape, ElementType::F32, storage, trained);
        self.members.insert(name.to_string(), id);
        id
    }

    /// Returns the parameter or running statistic with this name; None if it is not on the tape.
    pub fn find_member(&self, name: &str) -> Option<ValueId> {
        self.members.get(name).copied()
    }

    /// Adds a value for a whole flat buffer, padding included. The value has one axis.
    pub fn whole(&mut self, buffer: StateBuffer) -> ValueId {
        let shape = [self.state.n_elements(buffer)];
        let storage = Storage::State { buffer, offset: 0 };
        self.new_value(self.state.name(buffer), &shape, ElementType::F32, storage, false)
    }

    /// Adds a value for the part of a partial sum that belongs to the buffer `of`, one of [`StateBuffer::REDUCED`].
    ///
    /// # Panics
    /// If `of` is another buffer.
    pub fn partial(&mut self, level: usize, of: StateBuffer) -> ValueId {
        let found = StateBuffer::REDUCED.iter().position(|&buffer| buffer == of);
        let position = found.unwrap_or_else(|| panic!("partial: {} is not reduced", of.name()));
        let before = StateBuffer::REDUCED[..position].iter();
        let offset = before.map(|&buffer| self.state.n_elements(buffer)).sum();
        let shape = [self.state.n_elements(of)];
        let storage = Storage::State { buffer: StateBuffer::Partial(level), offset };
        let name = format!("partial_{level}");
        self.new_value(&name, &shape, ElementType::F32, storage, false)
    }

    /// Divides a training step into shards, and adds the buffers of their partial sums.
    ///
    /// # Panics
    /// If there are no shards, or more than 2^[`StateBuffer::N_PARTIAL`].
    pub fn divide_into_shards(&mut self, n_shards: usize) {
        let most = 1 << StateBuffer::N_PARTIAL;
        assert!((1..=most).contains(&n_shards), "{n_shards} shards: at most {most} are possible");
        self.state.n_shards = n_shards;
    }

    /// Adds the state buffers of an optimizer, one for each name in `names`. Labels and files use the names.
    ///
    /// # Panics
    /// If there are more than [`StateBuffer::N_OPTIMIZER`] names.
    pub fn optimizer_state(&mut self, names: &'static [&'static str]) {
        let (n, most) = (names.len(), StateBuffer::N_OPTIMIZER);
        assert!(n <= most, "the optimizer has {n} state buffers, but at most {most} are allowed");
        self.state.optimizer = names;
    }

    /// Adds a buffer of moving averages of the parameters; [`ema`](crate::ops::ema) updates it.
    pub fn average_parameters(&mut self) {
        self.state.averaged = true;
    }

    /// Changes every value that is a view into the flat buffer `from`: it becomes a view into the buffer `to`, at the
    /// same offset.
    ///
    /// # Panics
    /// If the two buffers differ in length.
    pub(crate) fn relocate(&mut self, from: StateBuffer, to: StateBuffer) {
        let lengths = [from, to].map(|buffer| self.state.n_elements(buffer));
        assert_eq!(
            lengths[0],
            lengths[1],
            "relocate: {} and {} differ in length",
            from.name(),
            to.name()
        );
        for value in &mut self.values {
            if let Storage::State { buffer, .. } = &mut value.storage
                && *buffer == from
            {
                *buffer = to;
            }
        }
    }

    /// Places a transient value in a flat buffer, at the offset of member `name`.
    ///
    /// # Panics
    /// If the value is not transient, or if the value and the member differ in the number of elements.
    pub(crate) fn place(&mut self, id: ValueId, buffer: StateBuffer, name: &str) {
        let (_, member) = self.state.find(name).unwrap_or_else(|| panic!("{name}: no such member"));
        let (offset, expected) = (member.offset, member.n_elements());
        let value = &mut self.values[id.index()];
        assert_eq!(value.storage, Storage::Transient, "{}: it already has a place", value.name);
        assert_eq!(value.n_elements(), expected, "{}: {name} differs in size", value.name);
        value.storage = Storage::State { buffer, offset };
    }

    /// Returns the member (parameter or statistic) that a value is a view of; None for other values.
    pub fn member_of(&self, id: ValueId) -> Option<&StateEntry> {
        match self.value(id).storage {
            Storage::State { buffer, offset } => {
                // Members are in the order of their offsets. Members without elements share an offset.
                let (shape, members) = (self.shape(id), self.state.members(buffer));
                let first = members.partition_point(|m| m.offset < offset);
                let mut here = members[first..].iter().take_while(|m| m.offset == offset);
                here.find(|m| m.shape == shape)
            }
            _ => None,
        }
    }
}
