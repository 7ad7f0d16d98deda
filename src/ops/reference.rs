//! The CPU side of an op: what a reference is given, and how it is called for both number types.

use super::{Op, Real};
use crate::device::StepScalars;
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
}

/// An op in plain Rust: what the CPU device runs, and what the shaders are tested against.
pub trait Reference {
    /// Computes every output, and overwrites it whole.
    ///
    /// The result does not depend on the number of threads.
    fn run<T: Real>(&self, args: Args<'_, T>);
}

/// [`Reference`] without the type parameter, so that a tape can hold ops of any type. Implemented
/// for every reference.
pub trait DynReference {
    /// [`Reference::run`] in f32.
    fn run_f32(&self, args: Args<'_, f32>);
    /// [`Reference::run`] in f64.
    fn run_f64(&self, args: Args<'_, f64>);
}

impl<R: Reference> DynReference for R {
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
