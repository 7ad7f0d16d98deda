//! The contract of a session: one model on one device.

use std::sync::Arc;

use super::error::DeviceError;
use super::pending::{Pending, block_on};
use super::timing::NodeTimes;
use crate::kernel::StepScalars;
use crate::passes::Plan;
use crate::tape::{StateBuffer, Tape, ValueId};

/// The index of a program in its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramId(pub(crate) usize);

/// Options for loading a program.
#[derive(Clone, Copy, Default, Debug)]
pub struct LoadOptions {
    /// Gives every value a place of its own, so that all can be read after a step.
    pub keep_all: bool,
}

/// One model on one device: its state, and the programs that use it.
///
/// Writes, runs and reads take effect in the order of their calls.
///
/// Reading and waiting have two forms: an async form, and a form that waits for the async one. In a browser nothing can
/// wait, so there the waiting form is an error, except for a session of the CPU device.
pub trait Session: Send {
    /// Compiles a tape into a program.
    ///
    /// # Errors
    /// If the plan exceeds a limit, memory is short, or the driver rejects a kernel.
    ///
    /// # Panics
    /// If the tape's state layout differs from the session's.
    fn load(&mut self, tape: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, DeviceError>;

    /// Returns the plan of a program.
    fn plan(&self, program: ProgramId) -> &Plan;

    /// Writes an f32 input, which keeps its contents until the next write.
    fn write(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[f32],
    ) -> Result<(), DeviceError>;

    /// Writes an input of words (u32, or four u8 each).
    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), DeviceError>;

    /// Runs a program once. It may return before the device has finished.
    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), DeviceError>;

    /// Runs a program once with a clock on every node, and waits for it. The results equal those of
    /// [`Session::run`] bit for bit.
    fn run_timed(
        &mut self,
        program: ProgramId,
        step: &StepScalars,
    ) -> Result<NodeTimes, DeviceError>;

    /// Reads a kept f32 value after all earlier work. The value is valid until another program of the session runs,
    /// because programs share memory.
    fn read_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<f32>>;

    /// Waits for [`Session::read_async`].
    fn read(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<f32>, DeviceError> {
        block_on(self.read_async(program, value))
    }

    /// Reads a kept value of words, like [`Session::read_async`].
    fn read_words_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<u32>>;

    /// Waits for [`Session::read_words_async`].
    fn read_words(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<u32>, DeviceError> {
        block_on(self.read_words_async(program, value))
    }

    /// Overwrites a whole flat buffer of the state, padding included.
    fn write_state(&mut self, group: StateBuffer, data: &[f32]) -> Result<(), DeviceError>;

    /// Reads a whole flat buffer of the state, padding included.
    fn read_state_async(&mut self, group: StateBuffer) -> Pending<'_, Vec<f32>>;

    /// Waits for [`Session::read_state_async`].
    fn read_state(&mut self, group: StateBuffer) -> Result<Vec<f32>, DeviceError> {
        block_on(self.read_state_async(group))
    }

    /// Requests a flat buffer of the state, as it is after all earlier work, without waiting.
    fn request_state(&mut self, group: StateBuffer) -> Result<(), DeviceError>;

    /// Moves the latest requested buffer that has arrived to `values`, padding included, and returns the buffer's
    /// group. Each request is returned at most once. The function never waits. It allocates nothing if `values` is the
    /// vector of an earlier call.
    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<StateBuffer>, DeviceError>;

    /// Waits until all work is done. In a browser, callers must await it every few steps, because nothing else limits
    /// the number of steps in flight there.
    fn wait_async(&mut self) -> Pending<'_, ()>;

    /// Waits for [`Session::wait_async`].
    fn wait(&mut self) -> Result<(), DeviceError> {
        block_on(self.wait_async())
    }
}
