//! Devices: what runs a tape.
//!
//! Two devices run the same tape. [`gpu`] runs the WGSL through wgpu, on real or software adapters;
//! [`cpu`] runs each op's reference in plain Rust. A [`Session`] is one model on one device: it owns
//! the state (parameters, moments, statistics) and any number of programs that share it.

use std::sync::Arc;

use crate::error::Error;
use crate::kernel::{Kernels, StepScalars, Tile};
use crate::passes::Plan;
use crate::tape::{Group, StateLayout, Tape, ValueId};

pub mod cpu;
pub mod filling;
pub mod gpu;
mod memory;
pub mod timing;

pub use timing::{Clock, NodeTimes, Peaks};

/// The number of a program within its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramId(pub(crate) usize);

/// How a program is loaded.
#[derive(Clone, Copy, Default, Debug)]
pub struct LoadOptions {
    /// Give every value a place of its own, so that all can be read after a step.
    pub keep_all: bool,
}

/// One model on one device: its state, and the programs that work on it.
///
/// Writes, runs and reads take effect in the order in which they are called.
pub trait Session: Send {
    /// Compiles a tape into a program.
    ///
    /// # Errors
    /// When the plan passes a limit, memory is short, or the driver refuses a kernel.
    ///
    /// # Panics
    /// When the tape's state layout is not the session's.
    fn load(&mut self, tape: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, Error>;

    /// The plan of a program.
    fn plan(&self, program: ProgramId) -> &Plan;

    /// Fills an input of real numbers. It keeps its contents until it is written again.
    fn write(&mut self, program: ProgramId, input: ValueId, data: &[f32]) -> Result<(), Error>;

    /// Fills an input of words (u32, or four u8 each).
    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), Error>;

    /// Runs a program once. May return before the device is done.
    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), Error>;

    /// Runs a program once and waits for it, with a clock on every node. It computes what
    /// [`Session::run`] does, bit for bit.
    fn run_timed(&mut self, program: ProgramId, step: &StepScalars) -> Result<NodeTimes, Error>;

    /// Reads a kept value of real numbers, after everything before is done. It is there from a run of its
    /// program until another one of the session runs: they share memory.
    fn read(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<f32>, Error>;

    /// Reads a kept value of words, as [`Session::read`] does.
    fn read_words(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<u32>, Error>;

    /// Overwrites a whole flat buffer of the state, padding included.
    fn write_state(&mut self, group: Group, data: &[f32]) -> Result<(), Error>;

    /// Reads a whole flat buffer of the state, padding included.
    fn read_state(&mut self, group: Group) -> Result<Vec<f32>, Error>;

    /// Asks for a flat buffer of the state as it is after everything so far, without waiting for it.
    fn request_state(&mut self, group: Group) -> Result<(), Error>;

    /// Puts the latest buffer that was asked for and has arrived into `values`, padding included, once, and returns
    /// which it is; never waits. Allocates nothing when `values` is the vector of an earlier call.
    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<Group>, Error>;

    /// Waits until everything is done.
    fn wait(&mut self) -> Result<(), Error>;
}

/// How a device is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Which kernels to use on a GPU.
    pub kernels: Kernels,
    /// The most bytes that a program's plan may ask for; checked before anything is allocated.
    pub memory_limit: Option<u64>,
    /// How to cut every product on a GPU, instead of choosing; for tests and benches.
    pub tile: Option<Tile>,
    /// Let kernels share by no more than so many invocations of a subgroup; for tests.
    pub max_sharing: Option<usize>,
    /// Compile shaders with runtime checks: indices are clamped and loops counted. Debug builds always do.
    pub checked: bool,
    /// Is told what takes a while, a line at a time: kernels that are measured for the first time; "" at the end.
    pub tell: Option<fn(&str)>,
    /// Where shaders come from; tests put broken ones in.
    pub shaders: gpu::ShaderLibrary,
}

/// A device that is ready to run.
pub enum Device {
    /// The references in plain Rust.
    Cpu(cpu::CpuDevice),
    /// The shaders, through wgpu.
    Gpu(gpu::GpuDevice),
}

impl Device {
    /// Opens what `--device` names: `auto` (a hardware GPU if there is one, else the CPU), `gpu` (any
    /// adapter, software too, hardware first), `cpu`, or a part of an adapter's name.
    ///
    /// # Errors
    /// When there is no such adapter, or it gives no device.
    pub fn open(choice: &str, options: OpenOptions) -> Result<Self, Error> {
        match choice.to_lowercase().as_str() {
            "cpu" => Ok(Self::cpu(options)),
            "auto" => match gpu::GpuDevice::open_hardware(&options)? {
                Some(device) => Ok(Device::Gpu(device)),
                None => Ok(Self::cpu(options)),
            },
            "gpu" => gpu::GpuDevice::open(None, &options).map(Device::Gpu),
            name => gpu::GpuDevice::open(Some(name), &options).map(Device::Gpu),
        }
    }

    /// The CPU device.
    pub fn cpu(options: OpenOptions) -> Self {
        Device::Cpu(cpu::CpuDevice { memory_limit: options.memory_limit })
    }

    /// What the device is called, for people.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu(device) => device.name(),
            Device::Gpu(device) => device.name(),
        }
    }

    /// The driver and its version; none for the CPU, which needs none.
    pub fn driver(&self) -> Option<&str> {
        match self {
            Device::Cpu(_) => None,
            Device::Gpu(device) => Some(device.driver()),
        }
    }

    /// Holds a plan against the device's limits, as loading a program does, with nothing allocated.
    /// `in_use` is what other programs of the session would own.
    ///
    /// # Errors
    /// Those of [`Plan::check`]; [`Error::NotEnoughMemory`] on a processor whose memory does not hold the plan.
    pub fn check(&self, plan: &Plan, in_use: u64) -> Result<(), Error> {
        match self {
            Device::Cpu(device) => plan.check(device.memory_limit, in_use, u64::MAX)?,
            Device::Gpu(device) => device.check(plan, in_use)?,
        }
        if self.is_processor() { memory::check(plan.total_bytes() + in_use) } else { Ok(()) }
    }

    /// Measures what the device can do at best, in about a second.
    ///
    /// # Errors
    /// When the device fails, or has no memory for it.
    pub fn peaks(&self) -> Result<Peaks, Error> {
        match self {
            Device::Cpu(device) => device.peaks(),
            Device::Gpu(device) => device.peaks(),
        }
    }

    /// Whether it is a processor that computes: the CPU device, or a software adapter.
    pub fn is_processor(&self) -> bool {
        match self {
            Device::Cpu(_) => true,
            Device::Gpu(device) => device.is_software(),
        }
    }

    /// Starts a session with a zeroed state.
    ///
    /// # Errors
    /// When there is no memory for the state.
    pub fn session(&self, state: &StateLayout) -> Result<Box<dyn Session>, Error> {
        Ok(match self {
            Device::Cpu(device) => Box::new(device.session::<f32>(state)) as Box<dyn Session>,
            Device::Gpu(device) => device.session(state)?,
        })
    }
}
