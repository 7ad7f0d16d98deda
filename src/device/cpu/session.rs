//! A session on the CPU: the plan's buffers as vectors, and a loop over the nodes.

use std::future::ready;
use std::mem;
use std::sync::Arc;

use super::replay::{Buffer, Prepared, elements};
use super::scratch::{KeptTransform, ScratchMemory, StateVersions};
use crate::base::clock::Instant;
use crate::device::{
    Clock, DeviceError, LoadOptions, NodeTimes, Pending, ProgramId, Session, memory,
};
use crate::kernel::StepScalars;
use crate::kernel::cpu::aligned::AlignedVec;
use crate::passes::plan::{BufferKind, Placement};
use crate::passes::{Plan, PlanOptions};
use crate::tape::{Node, Precision, ScratchSize, StateBuffer, StateLayout, Tape, ValueId};

/// A model on the CPU, in f32 or f64; see [`Session`].
pub struct CpuSession<T> {
    layout: StateLayout,
    /// The state's flat buffers, in the order of [`StateBuffer::ALL`]; empty before the first program is loaded.
    state: Vec<Buffer<T>>,
    versions: StateVersions,
    programs: Vec<Program<T>>,
    /// The memory of transient values, shared by all programs; see [`Plan::slots`].
    slots: Vec<Buffer<T>>,
    /// The scratch memory of the node that runs now.
    scratch: ScratchMemory<T>,
    memory_limit: Option<u64>,
    /// The flat buffer that the latest call of `request_state` has copied to `late_values`; None without a call, or if
    /// `poll_state` has returned this copy already.
    late: Option<StateBuffer>,
    late_values: Vec<f32>,
}

struct Program<T> {
    tape: Arc<Tape>,
    plan: Plan,
    /// The data that is computed for each node when the program is loaded.
    prepared: Vec<Prepared>,
    /// For each node, the transform that the program keeps.
    kept: Vec<Option<KeptTransform<T>>>,
    /// The program's buffers, in the order of [`Plan::buffers`]. For a buffer of the state and for a slot, this list
    /// has a placeholder. Only during a run, the session's buffer is in the list instead of the placeholder.
    buffers: Vec<Buffer<T>>,
}

impl<T: Precision> CpuSession<T> {
    pub(super) fn new(layout: &StateLayout, memory_limit: Option<u64>) -> Self {
        Self {
            layout: layout.clone(),
            state: Vec::new(),
            versions: StateVersions::default(),
            programs: Vec::new(),
            slots: Vec::new(),
            scratch: ScratchMemory::default(),
            memory_limit,
            late: None,
            late_values: Vec::new(),
        }
    }

    /// Allocates a state of zeros, unless the state exists.
    fn ensure_state(&mut self) {
        if self.state.is_empty() {
            let zeros = |buffer| Buffer::Real(AlignedVec::zeros(self.layout.n_elements(buffer)));
            self.state = StateBuffer::ALL.map(zeros).into();
        }
    }

    /// Writes an input like [`Session::write`], but in the session's own number type.
    pub fn write_real(&mut self, program: ProgramId, input: ValueId, data: &[T]) {
        self.real_mut(program, input).copy_from_slice(data);
    }

    /// Reads a value like [`Session::read`], but in the session's own number type.
    pub fn read_real(&self, program: ProgramId, value: ValueId) -> Vec<T> {
        match self.place(program, value) {
            (Buffer::Real(values), placement) => values[elements(placement)].to_vec(),
            (Buffer::Words(_), _) => panic!("{value} holds words"),
        }
    }

    fn real_mut(&mut self, program: ProgramId, value: ValueId) -> &mut [T] {
        match self.place_mut(program, value) {
            (Buffer::Real(values), placement) => &mut values[elements(placement)],
            (Buffer::Words(_), _) => panic!("{value} holds words"),
        }
    }

    /// Returns the buffer of a value, and the value's place in the buffer.
    fn place(&self, program: ProgramId, value: ValueId) -> (&Buffer<T>, Placement) {
        let program = &self.programs[program.0];
        let placement = program.placement(value);
        let buffer = match program.plan.buffers[placement.buffer].kind {
            BufferKind::State(buffer) => &self.state[buffer.index()],
            BufferKind::Slot(ix) => &self.slots[ix],
            BufferKind::Input => &program.buffers[placement.buffer],
        };
        (buffer, placement)
    }

    fn place_mut(&mut self, program: ProgramId, value: ValueId) -> (&mut Buffer<T>, Placement) {
        let program = &mut self.programs[program.0];
        let placement = program.placement(value);
        let buffer = match program.plan.buffers[placement.buffer].kind {
            BufferKind::State(buffer) => {
                self.versions.count_write(buffer);
                &mut self.state[buffer.index()]
            }
            BufferKind::Slot(ix) => &mut self.slots[ix],
            BufferKind::Input => &mut program.buffers[placement.buffer],
        };
        (buffer, placement)
    }

    /// Runs every node, and calls `after_node` after each node.
    fn replay(
        &mut self,
        program: ProgramId,
        step: &StepScalars,
        mut after_node: impl FnMut() + Send,
    ) {
        let (program, scratch) = (&mut self.programs[program.0], &mut self.scratch);
        let versions = &mut self.versions;
        // For the run, the session's vectors are moved into the program's list of buffers. No element is copied.
        program.swap(&mut self.state, &mut self.slots);
        // The whole step runs inside the thread pool. To enter the pool once is faster than to enter it for every
        // parallel loop.
        rayon::scope(|_| {
            let nodes = program.tape.nodes().iter().zip(&program.prepared);
            for ((node, prepared), kept) in nodes.zip(&mut program.kept) {
                let io = program.tape.io(node);
                let scratch = scratch.lend(kept.as_mut(), versions);
                prepared.run(node, io, &mut program.buffers, step, scratch);
                prepared.written_state.iter().for_each(|&buffer| versions.count_write(buffer));
                after_node();
            }
        });
        program.swap(&mut self.state, &mut self.slots);
    }

    fn state_mut(&mut self, buffer: StateBuffer) -> &mut [T] {
        self.ensure_state();
        match &mut self.state[buffer.index()] {
            Buffer::Real(values) => values,
            Buffer::Words(_) => unreachable!("the state holds real numbers"),
        }
    }
}

impl<T: Precision> Program<T> {
    /// Returns the number of bytes that no other program uses.
    fn own_bytes(&self) -> u64 {
        let kept = self.kept.iter().flatten().map(KeptTransform::bytes);
        self.plan.own_bytes() + kept.sum::<u64>()
    }

    /// Swaps the session's buffers with the placeholders in the program's list of buffers. A second call undoes the
    /// first.
    fn swap(&mut self, state: &mut [Buffer<T>], slots: &mut [Buffer<T>]) {
        for (planned, buffer) in self.plan.buffers.iter().zip(&mut self.buffers) {
            match planned.kind {
                BufferKind::State(kind) => mem::swap(buffer, &mut state[kind.index()]),
                BufferKind::Slot(ix) => mem::swap(buffer, &mut slots[ix]),
                BufferKind::Input => {}
            }
        }
    }

    fn placement(&self, value: ValueId) -> Placement {
        self.plan.placements[value.index()].unwrap_or_else(|| {
            panic!("{value}: no node of the program reads or computes this value")
        })
    }
}

/// Returns the transform that a program keeps for each of its nodes. Only a program that a step runs once for each shard
/// keeps transforms: all shards have the same weights.
fn kept_transforms<T: Precision>(
    tape: &Tape,
    plan: &Plan,
    prepared: &[Prepared],
) -> Vec<Option<KeptTransform<T>>> {
    let is_of_shard = tape.is_of_shard();
    let of_node = |(node, prepared): (&Node, &Prepared)| {
        is_of_shard.then(|| KeptTransform::new(plan, node, prepared.scratch)).flatten()
    };
    tape.nodes().iter().zip(prepared).map(of_node).collect()
}

impl<T: Precision> Session for CpuSession<T> {
    fn load(&mut self, tape: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, DeviceError> {
        assert!(
            *tape.state() == self.layout,
            "load: the tape's state layout differs from the session's"
        );
        let slots = self.programs.last().map_or(Vec::new(), |last| last.plan.slots());
        let how =
            PlanOptions { keep_all: options.keep_all, slots: &slots, ..PlanOptions::default() };
        let plan = Plan::new(tape, how);
        let prepared: Vec<_> =
            tape.nodes().iter().map(|node| Prepared::new(tape, &plan, node)).collect();
        let scratch =
            prepared.iter().map(|node| node.scratch).fold(ScratchSize::default(), ScratchSize::max);
        let mut kept = kept_transforms(tape, &plan, &prepared);
        let kept_bytes = kept.iter().flatten().map(KeptTransform::bytes).sum::<u64>();
        let scratch_bytes = self.scratch.bytes_after(scratch) + kept_bytes;
        let in_use = self.programs.iter().map(Program::own_bytes).sum::<u64>() + scratch_bytes;
        plan.check(self.memory_limit, in_use, u64::MAX)?;
        // If the state is allocated already, the free memory does not include it, so its bytes are not counted again.
        let planned = if self.state.is_empty() { plan.total_bytes() } else { plan.own_bytes() };
        memory::check(planned + scratch_bytes)?;
        self.ensure_state();
        self.scratch.grow(scratch);
        kept.iter_mut().flatten().for_each(KeptTransform::allocate);
        let zeros = |real, bytes: u64| {
            let n = (bytes / 4) as usize;
            if real { Buffer::Real(AlignedVec::zeros(n)) } else { Buffer::Words(vec![0; n]) }
        };
        let new_slots = plan.slots().into_iter().skip(self.slots.len());
        self.slots.extend(new_slots.map(|slot| zeros(slot.real, slot.bytes)));
        let buffers = plan.buffers.iter().map(|planned| match planned.kind {
            BufferKind::Input => zeros(planned.real, planned.bytes),
            _ => Buffer::TAKEN,
        });
        let buffers = buffers.collect();
        self.programs.push(Program { tape: Arc::clone(tape), plan, prepared, kept, buffers });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn plan(&self, program: ProgramId) -> &Plan {
        &self.programs[program.0].plan
    }

    fn write(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[f32],
    ) -> Result<(), DeviceError> {
        let target = self.real_mut(program, input);
        assert_eq!(target.len(), data.len(), "{input} has another number of elements");
        target.iter_mut().zip(data).for_each(|(to, &from)| *to = T::from_f32(from));
        Ok(())
    }

    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), DeviceError> {
        match self.place_mut(program, input) {
            (Buffer::Words(words), placement) => words[elements(placement)].copy_from_slice(data),
            (Buffer::Real(_), _) => panic!("{input} holds real numbers"),
        }
        Ok(())
    }

    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), DeviceError> {
        self.replay(program, step, || ());
        Ok(())
    }

    fn run_timed(
        &mut self,
        program: ProgramId,
        step: &StepScalars,
    ) -> Result<NodeTimes, DeviceError> {
        let mut ends = vec![Instant::now()];
        self.replay(program, step, || ends.push(Instant::now()));
        let seconds = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        Ok(NodeTimes { seconds, clock: Clock::Host })
    }

    fn read_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<f32>> {
        let values = self.read_real(program, value).into_iter().map(T::to_f32).collect();
        Box::pin(ready(Ok(values)))
    }

    fn read_words_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<u32>> {
        let words = match self.place(program, value) {
            (Buffer::Words(words), placement) => words[elements(placement)].to_vec(),
            (Buffer::Real(_), _) => panic!("{value} holds real numbers"),
        };
        Box::pin(ready(Ok(words)))
    }

    fn write_state(&mut self, buffer: StateBuffer, data: &[f32]) -> Result<(), DeviceError> {
        self.versions.count_write(buffer);
        let target = self.state_mut(buffer);
        assert_eq!(target.len(), data.len(), "{} has another size", buffer.name());
        target.iter_mut().zip(data).for_each(|(to, &from)| *to = T::from_f32(from));
        Ok(())
    }

    fn read_state_async(&mut self, buffer: StateBuffer) -> Pending<'_, Vec<f32>> {
        let values = self.state_mut(buffer).iter().map(|v| v.to_f32()).collect();
        Box::pin(ready(Ok(values)))
    }

    fn request_state(&mut self, buffer: StateBuffer) -> Result<(), DeviceError> {
        let mut values = mem::take(&mut self.late_values);
        values.clear();
        values.extend(self.state_mut(buffer).iter().map(|value| value.to_f32()));
        (self.late, self.late_values) = (Some(buffer), values);
        Ok(())
    }

    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<StateBuffer>, DeviceError> {
        let buffer = self.late.take();
        if buffer.is_some() {
            mem::swap(values, &mut self.late_values);
        }
        Ok(buffer)
    }

    /// Returns at once, because on the CPU [`Session::run`] returns only after the run is complete. The trait's default
    /// method would allocate a future.
    fn wait(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn wait_async(&mut self) -> Pending<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}
