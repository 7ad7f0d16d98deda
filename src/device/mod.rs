//! Devices run tapes.
//!
//! Two devices run the same tape. [`gpu`] runs the WGSL shaders through wgpu, on hardware or software
//! adapters; [`cpu`] runs each op's reference in plain Rust. A [`Session`] is one model on one device: it
//! owns the state (parameters, moments, statistics) and any number of programs that share it.

use std::sync::Arc;

use crate::kernel::{Kernels, StepScalars, Tile};
use crate::passes::Plan;
use crate::tape::{Group, StateLayout, Tape, ValueId};

pub mod cpu;
mod error;
pub mod filling;
pub mod gpu;
mod memory;
mod pending;
pub mod timing;

pub use error::DeviceError;
pub use pending::Pending;
use pending::block_on;
pub use timing::{Clock, NodeTimes, Peaks};

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
/// Reading and waiting have two forms. The async form works everywhere. The other form waits for it; in a browser, where
/// nothing can wait, it gives an error unless the session is the CPU's.
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

    /// Reads a kept f32 value after all earlier work. The value is valid until another program of the session
    /// runs, because programs share memory.
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
    fn write_state(&mut self, group: Group, data: &[f32]) -> Result<(), DeviceError>;

    /// Reads a whole flat buffer of the state, padding included.
    fn read_state_async(&mut self, group: Group) -> Pending<'_, Vec<f32>>;

    /// Waits for [`Session::read_state_async`].
    fn read_state(&mut self, group: Group) -> Result<Vec<f32>, DeviceError> {
        block_on(self.read_state_async(group))
    }

    /// Requests a flat buffer of the state, as it is after all earlier work, without waiting.
    fn request_state(&mut self, group: Group) -> Result<(), DeviceError>;

    /// Moves the latest requested buffer that has arrived to `values`, padding included, once, and returns
    /// which buffer it is. It never waits. It allocates nothing if `values` is the vector of an earlier call.
    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<Group>, DeviceError>;

    /// Waits until all work is done. A page awaits it every few steps, since there nothing else limits the number of
    /// steps in flight.
    fn wait_async(&mut self) -> Pending<'_, ()>;

    /// Waits for [`Session::wait_async`].
    fn wait(&mut self) -> Result<(), DeviceError> {
        block_on(self.wait_async())
    }
}

/// Options for opening a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The kernels of a GPU.
    pub kernels: Kernels,
    /// The limit on a program's planned memory, in bytes; checked before anything is allocated.
    pub memory_limit: Option<u64>,
    /// The tiling of all products on a GPU, for tests and benches; None to choose.
    pub tile: Option<Tile>,
    /// The largest number of invocations of a subgroup that share reads, for tests.
    pub max_sharing: Option<usize>,
    /// Compiles shaders with runtime checks: indices are clamped and loops counted. Debug builds always do.
    pub checked: bool,
    /// Receives progress of slow work, one line at a time: kernels that are measured for the first time; ""
    /// at the end.
    pub tell: Option<fn(&str)>,
    /// The source of shaders; tests insert broken ones.
    pub shaders: gpu::ShaderLibrary,
}

/// An open device.
pub enum Device {
    /// The CPU references.
    Cpu(cpu::CpuDevice),
    /// The shaders, through wgpu.
    Gpu(gpu::GpuDevice),
}

impl Device {
    /// Opens the device for a `--device`: `auto` (a hardware GPU if there is one, otherwise the CPU), `gpu`
    /// (any adapter, hardware first), `cpu`, or a part of an adapter's name.
    ///
    /// # Errors
    /// If there is no such adapter, or it cannot be opened.
    pub async fn open_async(choice: &str, options: OpenOptions) -> Result<Self, DeviceError> {
        match choice.to_lowercase().as_str() {
            "cpu" => Ok(Self::cpu(options)),
            "auto" => match gpu::GpuDevice::open_hardware(&options).await? {
                Some(device) => Ok(Device::Gpu(device)),
                None => Ok(Self::cpu(options)),
            },
            "gpu" => gpu::GpuDevice::open_async(None, &options).await.map(Device::Gpu),
            name => gpu::GpuDevice::open_async(Some(name), &options).await.map(Device::Gpu),
        }
    }

    /// Waits for [`Device::open_async`]. In a browser only the CPU device opens this way.
    ///
    /// # Errors
    /// Those of [`Device::open_async`].
    pub fn open(choice: &str, options: OpenOptions) -> Result<Self, DeviceError> {
        block_on(Self::open_async(choice, options))
    }

    /// Returns the CPU device.
    pub fn cpu(options: OpenOptions) -> Self {
        Device::Cpu(cpu::CpuDevice { memory_limit: options.memory_limit })
    }

    /// Returns the device's name for users.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu(device) => device.name(),
            Device::Gpu(device) => device.name(),
        }
    }

    /// Returns the driver's name and version; None for the CPU.
    pub fn driver(&self) -> Option<&str> {
        match self {
            Device::Cpu(_) => None,
            Device::Gpu(device) => Some(device.driver()),
        }
    }

    /// Checks a plan against the device's limits, like loading a program, without allocating. `in_use` is the
    /// memory of the session's other programs in bytes.
    ///
    /// # Errors
    /// Those of [`Plan::check`]; [`DeviceError::NotEnoughMemory`] on a CPU with too little free memory.
    pub fn check(&self, plan: &Plan, in_use: u64) -> Result<(), DeviceError> {
        match self {
            Device::Cpu(device) => plan.check(device.memory_limit, in_use, u64::MAX)?,
            Device::Gpu(device) => device.check(plan, in_use)?,
        }
        if self.is_processor() { memory::check(plan.total_bytes() + in_use) } else { Ok(()) }
    }

    /// Measures the device's peak rates, in about a second.
    ///
    /// # Errors
    /// If the device fails or has too little memory.
    pub fn peaks(&self) -> Result<Peaks, DeviceError> {
        match self {
            Device::Cpu(device) => device.peaks(),
            Device::Gpu(device) => device.peaks(),
        }
    }

    /// Returns true if a CPU computes: the CPU device, or a software adapter.
    pub fn is_processor(&self) -> bool {
        match self {
            Device::Cpu(_) => true,
            Device::Gpu(device) => device.is_software(),
        }
    }

    /// Starts a session with a zeroed state.
    ///
    /// # Errors
    /// If there is no memory for the state.
    pub fn session(&self, state: &StateLayout) -> Result<Box<dyn Session>, DeviceError> {
        Ok(match self {
            Device::Cpu(device) => Box::new(device.session::<f32>(state)) as Box<dyn Session>,
            Device::Gpu(device) => device.session(state)?,
        })
    }
}
