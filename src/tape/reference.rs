//! The CPU side of an op: what a reference is given, and how it is called for both number types.

use std::sync::{Mutex, PoisonError};

use super::Op;
use crate::kernel::{Real, StepScalars};
use crate::tape::NodeIo;

/// The contents of a value that is read.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a, T> {
    /// Real numbers.
    Real(&'a [T]),
    /// Labels, indices, packed pixels.
    Words(&'a [u32]),
    /// An input that an output aliases: it is there, to be updated.
    Aliased,
}

/// The contents of a value that is made.
#[derive(Debug)]
pub enum SliceMut<'a, T> {
    /// Real numbers.
    Real(&'a mut [T]),
    /// Labels, indices.
    Words(&'a mut [u32]),
}

impl<'a, T> Slice<'a, T> {
    /// The real numbers.
    ///
    /// # Panics
    /// When it is something else: a programmer's error.
    pub fn real(&self) -> &'a [T] {
        match self {
            Slice::Real(values) => values,
            _ => panic!("an input of real numbers was expected"),
        }
    }

    /// The words.
    ///
    /// # Panics
    /// When it is something else: a programmer's error.
    pub fn words(&self) -> &'a [u32] {
        match self {
            Slice::Words(values) => values,
            _ => panic!("an input of words was expected"),
        }
    }
}

impl<T> SliceMut<'_, T> {
    /// The real numbers.
    ///
    /// # Panics
    /// When it is something else: a programmer's error.
    pub fn real(&mut self) -> &mut [T] {
        match self {
            SliceMut::Real(values) => values,
            SliceMut::Words(_) => panic!("an output of real numbers was expected"),
        }
    }

    /// The words.
    ///
    /// # Panics
    /// When it is something else: a programmer's error.
    pub fn words(&mut self) -> &mut [u32] {
        match self {
            SliceMut::Words(values) => values,
            SliceMut::Real(_) => panic!("an output of words was expected"),
        }
    }
}

/// What a reference computes with. Outputs hold whatever was there before, except those that alias
/// an input: they hold the input.
pub struct Args<'a, T> {
    /// Shapes and names.
    pub io: NodeIo<'a>,
    /// The contents of the inputs.
    pub inputs: &'a [Slice<'a, T>],
    /// The contents of the outputs, to be overwritten.
    pub outputs: &'a mut [SliceMut<'a, T>],
    /// The scalars of this step.
    pub step: &'a StepScalars,
    /// Memory to work in, at least as much as [`Reference::scratch`] said.
    pub scratch: Scratch<'a, T>,
}

/// How much memory a reference works in, in numbers: it is allocated once, when a tape is loaded, so
/// that a step allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ScratchSize {
    /// For the node as a whole: partial sums, for instance.
    pub shared: usize,
    /// For each thread that works on it: the patches of a convolution, for instance.
    pub per_thread: usize,
}

impl ScratchSize {
    /// So many numbers for the node as a whole.
    pub fn shared(n: usize) -> Self {
        Self { shared: n, per_thread: 0 }
    }

    /// Enough for either.
    pub fn max(self, other: Self) -> Self {
        Self {
            shared: self.shared.max(other.shared),
            per_thread: self.per_thread.max(other.per_thread),
        }
    }
}

/// Memory to work in. It holds anything at all.
#[derive(Debug)]
pub struct Scratch<'a, T> {
    /// The node's own.
    pub shared: &'a mut [T],
    /// Each thread's own.
    pub threads: ThreadScratch<'a, T>,
}

/// Memory to work in for each thread of the pool.
#[derive(Clone, Copy, Debug)]
pub struct ThreadScratch<'a, T> {
    parts: &'a [Mutex<Vec<T>>],
}

impl<'a, T> ThreadScratch<'a, T> {
    /// A part for each thread; there is at least one.
    pub(crate) fn new(parts: &'a [Mutex<Vec<T>>]) -> Self {
        Self { parts }
    }

    /// Runs `work` with this thread's part.
    ///
    /// Nothing within `work` may wait for other tasks of the pool: this thread could be given one that
    /// asks for the same part, and would wait for itself.
    pub fn with<R>(&self, work: impl FnOnce(&mut [T]) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0);
        // A pool with more threads than the program was loaded for shares parts: slower, but right. And
        // what a task that panicked has left is as good as anything.
        let part = self.parts[thread % self.parts.len()].lock();
        work(&mut part.unwrap_or_else(PoisonError::into_inner))
    }
}

/// An op in plain Rust: what the CPU device runs, and what the shaders are tested against.
pub trait Reference {
    /// The memory that it works in; none, unless an op says otherwise.
    fn scratch(&self, _io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::default()
    }

    /// Computes every output, and overwrites it whole.
    ///
    /// The result does not depend on the number of threads.
    fn run<T: Real>(&self, args: Args<'_, T>);
}

/// [`Reference`] without the type parameter, so that a tape can hold ops of any type. Implemented
/// for every reference.
pub trait DynReference {
    /// [`Reference::scratch`].
    fn scratch_size(&self, io: &NodeIo<'_>) -> ScratchSize;
    /// [`Reference::run`] in f32.
    fn run_f32(&self, args: Args<'_, f32>);
    /// [`Reference::run`] in f64.
    fn run_f64(&self, args: Args<'_, f64>);
}

impl<R: Reference> DynReference for R {
    fn scratch_size(&self, io: &NodeIo<'_>) -> ScratchSize {
        self.scratch(io)
    }
    fn run_f32(&self, args: Args<'_, f32>) {
        self.run(args);
    }
    fn run_f64(&self, args: Args<'_, f64>) {
        self.run(args);
    }
}

/// A number type that picks its own method of [`DynReference`].
pub trait Runs: Real {
    /// Runs `op` in this type.
    fn run_op(op: &dyn Op, args: Args<'_, Self>);
}

impl Runs for f32 {
    fn run_op(op: &dyn Op, args: Args<'_, f32>) {
        op.run_f32(args);
    }
}

impl Runs for f64 {
    fn run_op(op: &dyn Op, args: Args<'_, f64>) {
        op.run_f64(args);
    }
}
