//! Devices run tapes.
//!
//! Two devices run the same tape. [`gpu`] runs the WGSL shaders through wgpu, on hardware or software
//! adapters; [`cpu`] runs each op's reference in plain Rust. A [`Session`] is one model on one device: it
//! owns the state (parameters, moments, statistics) and any number of programs that share it.

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
pub use options::OpenOptions;
pub use pending::Pending;
use pending::block_on;
pub use session::{LoadOptions, ProgramId, Session};
pub use timing::{Clock, NodeTimes, Peaks};

/// An open device.
pub enum Device {
    /// The CPU references.
    Cpu(cpu::CpuDevice),
    /// The shaders, through wgpu.
    Gpu(gpu::GpuDevice),
}

impl Device {
    /// Opens the device for a value of `--device`: `auto` (a hardware GPU if there is one, otherwise the CPU), `gpu`
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

    /// Waits for [`Device::open_async`]. In a browser, only the CPU device can be opened this way.
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

    /// Checks a plan against the device's limits, as loading a program does, but allocates nothing. `in_use` is the
    /// memory of the session's other programs, in bytes.
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

    /// Returns true if the computation runs on a CPU: on the CPU device, or on a software adapter.
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
