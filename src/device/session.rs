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
    /// True if every value has memory of its own. The host can then read all values after a step.
    pub keep_all: bool,
}

/// One model on one device: its state, and the programs that use it.
///
/// Writes, runs and reads take effect in the order of their calls.
///
/// Each read and each wait has two forms: an async function, and a function that blocks until the async function is
/// done. Code in a browser cannot block, so the blocking function returns an error in a browser, except for a session
/// of the CPU device.
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

    /// Writes an f32 input. The input keeps these contents until the next write.
    fn write(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[f32],
    ) -> Result<(), DeviceError>;

    /// Writes an input of 32-bit words. A word is one u32, or four u8.
    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), DeviceError>;

    /// Runs a program once. The call may return before the device has finished the run.
    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), DeviceError>;

    /// Runs a program once, measures the time of every node, and waits for the end of the run. The results equal those
    /// of [`Session::run`] bit for bit.
    fn run_timed(
        &mut self,
        program: ProgramId,
        step: &StepScalars,
    ) -> Result<NodeTimes, DeviceError>;

    /// Reads an f32 value after all earlier work is done. A transient value can be read only if it was kept with
    /// [`Tape::keep`] or [`LoadOptions::keep_all`]. Read the value before another program of the session runs, because
    /// programs share memory.
    fn read_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<f32>>;

    /// Calls [`Session::read_async`], and waits for its result.
    fn read(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<f32>, DeviceError> {
        block_on(self.read_async(program, value))
    }

    /// Reads a value of 32-bit words. All conditions of [`Session::read_async`] except the element type hold for this
    /// function, too.
    fn read_words_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<u32>>;

    /// Calls [`Session::read_words_async`], and waits for its result.
    fn read_words(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<u32>, DeviceError> {
        block_on(self.read_words_async(program, value))
    }

    /// Overwrites a whole flat buffer of the state, padding included.
    fn write_state(&mut self, buffer: StateBuffer, data: &[f32]) -> Result<(), DeviceError>;

    /// Reads a whole flat buffer of the state, padding included.
    fn read_state_async(&mut self, buffer: StateBuffer) -> Pending<'_, Vec<f32>>;

    /// Calls [`Session::read_state_async`], and waits for its result.
    fn read_state(&mut self, buffer: StateBuffer) -> Result<Vec<f32>, DeviceError> {
        block_on(self.read_state_async(buffer))
    }

    /// Requests a copy of a flat buffer of the state. The copy is made after all earlier work, and the function does
    /// not wait for the copy. A later call of [`Session::poll_state`] returns the copy.
    fn request_state(&mut self, buffer: StateBuffer) -> Result<(), DeviceError>;

    /// Moves the newest copy that has arrived after [`Session::request_state`] into `values`, padding included, and
    /// returns the copied buffer. Returns None if no copy has arrived since the last call. The function never waits. It
    /// allocates nothing if `values` is the vector of an earlier call.
    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<StateBuffer>, DeviceError>;

    /// Waits until all work is done. In a browser, callers must await this function every few steps, because a session
    /// in a browser does not limit the number of submitted, unfinished steps.
    fn wait_async(&mut self) -> Pending<'_, ()>;

    /// Blocks until [`Session::wait_async`] is done.
    fn wait(&mut self) -> Result<(), DeviceError> {
        block_on(self.wait_async())
    }
}
