//! Devices, which run tapes.
//!
//! There are two devices, and each can run every tape. [`gpu`] runs the WGSL shaders through wgpu, on hardware or
//! software adapters; [`cpu`] runs each op's reference in plain Rust. A [`Session`] is one model on one device: it owns
//! the state (parameters, the optimizer's state, running statistics) and any number of programs that share it.

use crate::passes::Plan;
use crate::tape::StateLayout;

pub mod cpu;
mod error;
pub mod gpu;
mod memory;
mod options;
mod pending;
mod session;
pub mod synthetic_inputs;
pub mod timing;

pub use error::DeviceError;
pub use memory::free_memory;
pub use options::OpenOptions;
pub use pending::Pending;
use pending::block_on;
pub use session::{LoadOptions, ProgramId, Session};
pub use timing::{Clock, NodeTimes, Peaks};

/// An open device.
pub enum Device {
    /// The CPU, which runs the reference of each op: plain Rust.
    Cpu(cpu::CpuDevice),
    /// A GPU or a software adapter, which runs the WGSL shaders through wgpu.
    Gpu(gpu::GpuDevice),
}

impl Device {
    /// Opens the device that `choice`, a value of `--device`, selects: `auto` (a hardware GPU if the machine has one,
    /// otherwise the CPU), `gpu` (any adapter, hardware before software), `cpu`, or a part of an adapter's name.
    ///
    /// # Errors
    /// If no adapter matches `choice`, or the adapter cannot be opened.
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

    /// Calls [`Device::open_async`], and waits for its result. In a browser, this function can open only the CPU
    /// device.
    ///
    /// # Errors
    /// The errors of [`Device::open_async`].
    pub fn open(choice: &str, options: OpenOptions) -> Result<Self, DeviceError> {
        block_on(Self::open_async(choice, options))
    }

    /// Returns the CPU device.
    pub fn cpu(options: OpenOptions) -> Self {
        Device::Cpu(cpu::CpuDevice { memory_limit: options.memory_limit })
    }

    /// Returns the device's name for display, such as `cpu (16 threads)`.
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

    /// Checks a plan against the device's limits, and allocates nothing. Loading a program makes the same check.
    /// `in_use` is the memory of the session's other programs, in bytes.
    ///
    /// # Errors
    /// The errors of [`Plan::check`], and [`DeviceError::NotEnoughMemory`] if the computation runs on a CPU and its
    /// free memory is too small.
    pub fn check(&self, plan: &Plan, in_use: u64) -> Result<(), DeviceError> {
        match self {
            Device::Cpu(device) => plan.check(device.memory_limit, in_use, u64::MAX)?,
            Device::Gpu(device) => device.check(plan, in_use)?,
        }
        if self.runs_on_cpu() { memory::check(plan.total_bytes() + in_use) } else { Ok(()) }
    }

    /// Measures the device's peak rates of arithmetic and of memory. It takes between one and two seconds.
    ///
    /// # Errors
    /// If the device fails or has too little memory.
    pub fn peaks(&self) -> Result<Peaks, DeviceError> {
        match self {
            Device::Cpu(device) => device.peaks(),
            Device::Gpu(device) => device.peaks(),
        }
    }

    /// Returns true if the computation runs on a CPU: on the CPU device, or on a software adapter.
    pub fn runs_on_cpu(&self) -> bool {
        match self {
            Device::Cpu(_) => true,
            Device::Gpu(device) => device.is_software(),
        }
    }

    /// Starts a session with a state of zeros. The state's memory is allocated later, when the first program is loaded.
    ///
    /// # Errors
    /// If a GPU device has failed before.
    pub fn session(&self, state: &StateLayout) -> Result<Box<dyn Session>, DeviceError> {
        Ok(match self {
            Device::Cpu(device) => Box::new(device.session::<f32>(state)) as Box<dyn Session>,
            Device::Gpu(device) => device.session(state)?,
        })
    }
}
