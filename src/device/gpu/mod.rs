//! The GPU device: runs the shaders through wgpu on Vulkan, Metal and DirectX 12, on hardware and software adapters.
//!
//! The modules, in the order of their use: `adapter` finds an adapter and opens it. `context` is the open device; it
//! converts every failure to a [`DeviceError`]. [`shader`] assembles a module's text from the files below `shaders/`.
//! `pipelines` compiles each text once, and `pipeline_cache` keeps the compiled pipelines on disk. For a driver that
//! compiles at the first dispatch, `precompile` compiles earlier, on every core. `program` is a tape with buffers and
//! bind groups, ready to be replayed; `session` replays it. `uploads` copies inputs to the device and `readback` copies
//! results back. `timing` measures the time of every node of a program, and `peaks` measures the adapter's peak rates.
//! [`tuning`] measures the kernels of each matrix product, and chooses the fastest. [`info`] describes the adapters for
//! `wgrad devices`.

use std::collections::BTreeMap;
use std::sync::Arc;

mod adapter;
mod arrival;
mod context;
mod fault;
pub mod info;
mod panic_hook;
mod peaks;
mod pipeline_cache;
mod pipelines;
mod precompile;
mod program;
mod readback;
mod session;
pub mod shader;
mod timing;
pub mod tuning;
mod unchecked;
mod uploads;

pub use shader::ShaderLibrary;

use super::pending::block_on;
use super::{OpenOptions, Peaks, Session};
use crate::base::files;
use crate::base::units::readable_bytes;
use crate::device::DeviceError;
use crate::kernel::{Kernels, Target};
use crate::passes::{Plan, PlanError};
use crate::tape::{StateLayout, Tape};
use context::Context;
use info::AdapterReport;
use pipeline_cache::PipelineCache;
use pipelines::Pipelines;
use precompile::Precompiler;
use session::TileSource;
use tuning::{Tuned, Tuner};

/// An open adapter.
pub struct GpuDevice {
    context: Arc<Context>,
    pipelines: Arc<Pipelines>,
    target: Target,
    tuner: Arc<Tuner>,
    memory_limit: Option<u64>,
}

impl GpuDevice {
    /// Opens the best hardware adapter; `None` if there is no hardware adapter.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if the adapter cannot be opened.
    pub async fn open_hardware(options: &OpenOptions) -> Result<Option<Self>, DeviceError> {
        match adapter::hardware(&adapter::adapters().await, options.nth_adapter) {
            Some(adapter) => Self::new(adapter, options).await.map(Some),
            None => Ok(None),
        }
    }

    /// Opens the best adapter, hardware before software. If `part` is given, only adapters with `part` in their names
    /// count; upper and lower case are equal.
    ///
    /// # Errors
    /// [`DeviceError::NoAdapter`], [`DeviceError::AdapterNotFound`], or [`DeviceError::Refused`].
    pub async fn open_async(
        part: Option<&str>,
        options: &OpenOptions,
    ) -> Result<Self, DeviceError> {
        let adapters = adapter::adapters().await;
        Self::new(adapter::choose(&adapters, part, options.nth_adapter)?, options).await
    }

    /// Calls [`GpuDevice::open_async`], and waits for its result.
    ///
    /// # Errors
    /// The errors of [`GpuDevice::open_async`].
    pub fn open(part: Option<&str>, options: &OpenOptions) -> Result<Self, DeviceError> {
        block_on(Self::open_async(part, options))
    }

    /// Opens every adapter, in the order of [`info::adapters`].
    pub fn open_each(options: &OpenOptions) -> Vec<(AdapterReport, Result<Self, DeviceError>)> {
        let open = |adapter| (info::report(adapter), block_on(Self::new(adapter, options)));
        adapter::adapters_now().iter().map(open).collect()
    }

    async fn new(adapter: &wgpu::Adapter, options: &OpenOptions) -> Result<Self, DeviceError> {
        let context = Context::new(adapter::open(adapter).await?);
        log::debug!("opened {}", context.name);
        let target = Target {
            kernels: options.kernels,
            is_software: context.is_software,
            min_subgroup_size: options
                .max_sharing
                .map_or(context.min_subgroup_size, |most| most.min(context.min_subgroup_size)),
            max_segment: Some(
                options.max_segment.unwrap_or(context.limits.max_storage_buffer_binding_size),
            ),
            tile: options.tile,
        };
        let (info, folder) = (adapter.get_info(), files::cache_folder());
        let cache = PipelineCache::open(&context.device, &info, folder);
        let tuner =
            Tuner::new(&adapter::identity(adapter), files::cache_folder(), options.on_progress);
        let precompiler = Precompiler::new(adapter);
        let pipelines =
            Pipelines::new(options.shaders.clone(), options.checked, cache, precompiler);
        Ok(Self {
            context: Arc::new(context),
            pipelines: Arc::new(pipelines),
            target,
            tuner: Arc::new(tuner),
            memory_limit: options.memory_limit,
        })
    }

    /// Returns the name, such as `NVIDIA H100 (Vulkan)`.
    pub fn name(&self) -> String {
        self.context.name.clone()
    }

    /// Returns the driver's name and version, such as `llvmpipe Mesa 25.0.7`.
    pub fn driver(&self) -> &str {
        &self.context.driver
    }

    /// Checks a plan against the adapter's limits and the memory limit; see [`Plan::check`].
    ///
    /// # Errors
    /// The errors of [`Plan::check`].
    pub fn check(&self, plan: &Plan, in_use: u64) -> Result<(), PlanError> {
        let max_binding = self.context.limits.max_storage_buffer_binding_size;
        plan.check(self.memory_limit, in_use, max_binding)
    }

    /// Returns true for a software adapter.
    pub fn is_software(&self) -> bool {
        self.context.is_software
    }

    /// Measures the adapter's peak rates.
    ///
    /// # Errors
    /// If the device fails or has too little memory.
    pub fn peaks(&self) -> Result<Peaks, DeviceError> {
        peaks::measure(&self.context, &self.pipelines)
    }

    /// Starts a session with a state of zeros. The state's memory is allocated later, when the first program is loaded
    /// and its plan does not exceed the limits.
    ///
    /// # Errors
    /// If the device has failed before.
    pub fn session(&self, state: &StateLayout) -> Result<Box<dyn Session>, DeviceError> {
        self.context.check()?;
        let (context, pipelines) = (Arc::clone(&self.context), Arc::clone(&self.pipelines));
        let (target, limit) = (self.target, self.memory_limit);
        let tuner = self.is_tuned().then(|| Arc::clone(&self.tuner) as Arc<dyn TileSource>);
        Ok(Box::new(session::GpuSession::new(context, pipelines, target, tuner, limit, state)))
    }

    /// Returns the properties by which ops choose kernels for this device.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns true if the tuner measures the tiles of matrix products on this device.
    fn is_tuned(&self) -> bool {
        // Code in a browser cannot wait for a measurement.
        let can_wait = cfg!(not(target_arch = "wasm32"));
        let is_given = self.target.tile.is_some() || self.is_software();
        can_wait && self.target.kernels == Kernels::Tuned && !is_given
    }

    /// Returns the measurements of each matrix product of a tape, by [`Tape::signature`]. Products without measurements
    /// are measured now. If the device does not measure tiles, as on a software adapter, every entry is None.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn tune(&self, tape: &Tape) -> Result<BTreeMap<String, Option<Tuned>>, DeviceError> {
        if self.is_tuned() {
            self.tuner.tiles(&self.context, &self.pipelines, tape)?;
        }
        let products = tape.nodes().iter().filter(|n| n.op.tiles(&tape.io(n)).len() > 1);
        let known = |signature: &String| match self.is_tuned() {
            true => self.tuner.known(signature),
            false => None,
        };
        let signatures = products.map(|node| tape.signature(node));
        Ok(signatures.map(|signature| (signature.clone(), known(&signature))).collect())
    }

    /// Destroys the device, as a reset of the driver does. Only tests call this function.
    #[doc(hidden)]
    pub fn simulate_loss(&self) {
        self.context.device.destroy();
    }
}
