//! The scratch memory of the ops' references. The session allocates it when a program is loaded. It is large enough for
//! each node of all programs, because only one node runs at a time.
//!
//! A program that a step runs once for each shard keeps the transforms of weights, which are the same for all shards.

use std::sync::{Mutex, PoisonError};

use crate::kernel::Real;
use crate::kernel::cpu::aligned::AlignedVec;
use crate::passes::Plan;
use crate::passes::plan::BufferKind;
use crate::tape::{Node, Scratch, ScratchSize, StateBuffer, ThreadScratch, Transform, ValueId};

/// A session's scratch memory.
#[derive(Default)]
pub(super) struct ScratchMemory<T> {
    shared: AlignedVec<T>,
    threads: Vec<Mutex<AlignedVec<T>>>,
    /// For a transform that is not kept.
    transform: AlignedVec<T>,
}

impl<T: Real> ScratchMemory<T> {
    /// Returns the number of bytes of the scratch memory after a call of [`ScratchMemory::grow`] with this size. Each
    /// element counts as four bytes, as in a plan, even in a session of f64.
    pub fn bytes_after(&self, size: ScratchSize) -> u64 {
        let of_node =
            self.shared.len().max(size.shared) + self.transform.len().max(size.transform.n);
        4 * (of_node + n_threads() * self.per_thread(size)) as u64
    }

    fn per_thread(&self, size: ScratchSize) -> usize {
        let parts = self.threads.iter();
        let parts = parts.map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len());
        parts.max().unwrap_or(0).max(size.per_thread)
    }

    /// Grows the memory to at least this size.
    pub fn grow(&mut self, size: ScratchSize) {
        let per_thread = self.per_thread(size);
        self.shared.grow(size.shared);
        self.transform.grow(size.transform.n);
        self.threads.resize_with(n_threads(), Mutex::default);
        for part in &mut self.threads {
            part.get_mut().unwrap_or_else(PoisonError::into_inner).grow(per_thread);
        }
    }

    /// Returns the scratch memory for the run of one node. `kept` is the transform of the node, if the program keeps it.
    pub fn lend<'a>(
        &'a mut self,
        kept: Option<&'a mut KeptTransform<T>>,
        versions: &StateVersions,
    ) -> Scratch<'a, T> {
        let transform = match kept {
            Some(kept) => kept.lend(versions),
            None => Transform::new(&mut self.transform, false),
        };
        Scratch { shared: &mut self.shared, threads: ThreadScratch::new(&self.threads), transform }
    }
}

/// For each flat buffer of the state, the number of times that a node or the host has written it.
#[derive(Default)]
pub(super) struct StateVersions([u64; StateBuffer::ALL.len()]);

impl StateVersions {
    /// Counts a write.
    pub fn count_write(&mut self, buffer: StateBuffer) {
        self.0[buffer.index()] += 1;
    }
}

/// The transform of a part of the state, which a program keeps until a node or the host writes the state.
pub(super) struct KeptTransform<T> {
    /// Empty before [`KeptTransform::allocate`].
    values: AlignedVec<T>,
    n: usize,
    /// The flat buffer that has the input.
    buffer: StateBuffer,
    /// The version of the buffer that was transformed; None before the first run.
    version: Option<u64>,
}

impl<T: Real> KeptTransform<T> {
    /// Returns the transform of a node, without its memory; None if the node has no transform, or if its input is not a
    /// part of the state.
    pub fn new(plan: &Plan, node: &Node, size: ScratchSize) -> Option<Self> {
        if size.transform.n == 0 {
            return None;
        }
        let buffer = state_buffer(plan, node.inputs[size.transform.input])?;
        Some(Self { values: AlignedVec::default(), n: size.transform.n, buffer, version: None })
    }

    pub fn allocate(&mut self) {
        self.values = AlignedVec::zeros(self.n);
    }

    /// Returns the number of bytes of the transform, four for each element.
    pub fn bytes(&self) -> u64 {
        4 * self.n as u64
    }

    /// Returns the transform for a run of the node. The run computes the transform if it is not that of the present state.
    fn lend(&mut self, versions: &StateVersions) -> Transform<'_, T> {
        let present = Some(versions.0[self.buffer.index()]);
        let is_kept = self.version == present;
        self.version = present;
        Transform::new(&mut self.values, is_kept)
    }
}

/// Returns the flat buffer of the state that has a value; None for a value that is not a part of the state.
pub(super) fn state_buffer(plan: &Plan, value: ValueId) -> Option<StateBuffer> {
    match plan.buffers[plan.placements[value.index()]?.buffer].kind {
        BufferKind::State(buffer) => Some(buffer),
        BufferKind::Input | BufferKind::Slot(_) => None,
    }
}

fn n_threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_computed_once_until_its_buffer_is_written() {
        let mut kept = KeptTransform {
            values: AlignedVec::zeros(2),
            n: 2,
            buffer: StateBuffer::Parameters,
            version: None,
        };
        let mut versions = StateVersions::default();
        let mut n_computed = 0;
        for (written, expected) in [
            (None, 1),
            (None, 1),
            (Some(StateBuffer::Gradients), 1),
            (Some(StateBuffer::Parameters), 2),
            (None, 2),
        ] {
            written.into_iter().for_each(|buffer| versions.count_write(buffer));
            let values = kept.lend(&versions).get(2, |values: &mut [f32]| {
                n_computed += 1;
                values.fill(n_computed as f32);
            });
            assert_eq!(values, [expected as f32; 2], "{written:?} is written");
        }
    }
}
