//! Finds an adapter and opens it.

use wgpu::{Backend, DeviceType, Features};

use crate::base::sorting::sort_by_key;
use crate::device::DeviceError;
use crate::device::pending::block_on;

/// An opened adapter.
pub(super) struct Opened {
    /// The adapter's name and backend.
    pub(super) name: String,
    /// The driver's name and version.
    pub(super) driver: String,
    /// True for a software adapter.
    pub(super) is_software: bool,
    /// The smallest subgroup size in invocations; 0 if kernels cannot use subgroups.
    pub(super) min_subgroup_size: usize,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
}

/// Returns all adapters, the best first.
pub(super) async fn adapters() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN
        | wgpu::Backends::METAL
        | wgpu::Backends::DX12
        | wgpu::Backends::BROWSER_WEBGPU;
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        // The driver's validation layers are off: they write to stderr, and wgpu itself validates the calls.
        // WGPU_VALIDATION=1 switches the layers on.
        flags: wgpu::InstanceFlags::empty().with_env(),
        // If the driver reports a memory budget, an allocation above 95 % of the budget is an error. Otherwise, the
        // system would start to swap.
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(95),
            for_device_loss: None,
        },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = instance.enumerate_adapters(backends).await;
    adapters.retain(|adapter| {
        let flags = adapter.get_downlevel_capabilities().flags;
        flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    sort_by_key(&mut adapters, |adapter| {
        let info = adapter.get_info();
        (rank(info.device_type), info.backend != Backend::Vulkan)
    });
    adapters
}

/// Calls [`adapters`], and waits for its result. In a browser, the result is empty.
pub(super) fn adapters_now() -> Vec<wgpu::Adapter> {
    block_on(async { Ok(adapters().await) }).unwrap_or_default()
}

/// Returns the rank of a device type; lower is better.
fn rank(device_type: DeviceType) -> u8 {
    match device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

/// Returns hardware adapter number `nth`, from 0, if there is a hardware adapter; see [`OpenOptions::nth_adapter`].
///
/// [`OpenOptions::nth_adapter`]: crate::device::OpenOptions::nth_adapter
pub(super) fn hardware(adapters: &[wgpu::Adapter], nth: usize) -> Option<&wgpu::Adapter> {
    let is_hardware = |adapter: &&wgpu::Adapter| adapter.get_info().device_type != DeviceType::Cpu;
    let all: Vec<_> = adapters.iter().filter(is_hardware).collect();
    nth_of(&all, nth)
}

/// Returns element `nth` of a list that begins anew after its end; none of an empty list.
fn nth_of<'a>(all: &[&'a wgpu::Adapter], nth: usize) -> Option<&'a wgpu::Adapter> {
    all.get(nth.checked_rem(all.len())?).copied()
}

/// Returns adapter number `nth` of those whose name contains `part`; upper and lower case are equal. Without `part`, those
/// are the hardware adapters, or all adapters of a machine without hardware adapters.
///
/// # Errors
/// [`DeviceError::NoAdapter`] without any adapter, [`DeviceError::AdapterNotFound`] if no name contains `part`.
pub(super) fn choose<'a>(
    adapters: &'a [wgpu::Adapter],
    part: Option<&str>,
    nth: usize,
) -> Result<&'a wgpu::Adapter, DeviceError> {
    let Some(part) = part else {
        let all: Vec<_> = adapters.iter().collect();
        let found = hardware(adapters, nth).or_else(|| nth_of(&all, nth));
        return found.ok_or(DeviceError::NoAdapter);
    };
    if adapters.is_empty() {
        return Err(DeviceError::NoAdapter);
    }
    let wanted = part.trim().to_lowercase();
    // Every name contains the empty text, so an empty `part` matches no adapter.
    let is_it = |a: &&wgpu::Adapter| {
        !wanted.is_empty() && a.get_info().name.to_lowercase().contains(&wanted)
    };
    let all: Vec<_> = adapters.iter().filter(is_it).collect();
    nth_of(&all, nth).ok_or_else(|| DeviceError::AdapterNotFound {
        wanted: part.to_string(),
        found: adapters.iter().map(|a| a.get_info().name).collect(),
    })
}

/// Features that are enabled if the adapter has them: timestamps to measure kernels, subgroups for kernels
/// that use them, a cache of compiled pipelines.
const FEATURES: Features = Features::TIMESTAMP_QUERY
    .union(Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    .union(Features::SUBGROUP)
    .union(Features::PIPELINE_CACHE);

/// Opens an adapter with its own limits; wgpu's default limits are the smallest that WebGPU guarantees.
///
/// # Errors
/// [`DeviceError::Refused`] if the driver does not open the adapter.
pub(super) async fn open(adapter: &wgpu::Adapter) -> Result<Opened, DeviceError> {
    let info = adapter.get_info();
    let (name, is_software) = (describe(&info), info.device_type == DeviceType::Cpu);
    let has_subgroups = adapter.features().contains(Features::SUBGROUP);
    let min_subgroup_size = if has_subgroups { info.subgroup_min_size as usize } else { 0 };
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_string();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("wgrad"),
        required_features: adapter.features() & FEATURES,
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::Performance,
        ..Default::default()
    };
    match adapter.request_device(&descriptor).await {
        Ok((device, queue)) => {
            Ok(Opened { name, driver, is_software, min_subgroup_size, device, queue })
        }
        Err(error) => Err(DeviceError::Refused { adapter: name, reason: error.to_string() }),
    }
}

/// Returns a text that identifies the adapter and its driver. Measurements of kernels are valid only for the same text.
pub(super) fn identity(adapter: &wgpu::Adapter) -> String {
    let i = adapter.get_info();
    format!(
        "{} {:?} {:04x}:{:04x} {} {}",
        i.name, i.backend, i.vendor, i.device, i.driver, i.driver_info
    )
}

/// Returns the adapter's name for users, such as `NVIDIA H100 (Vulkan)` or `llvmpipe (Vulkan, software)`.
fn describe(info: &wgpu::AdapterInfo) -> String {
    let software = if info.device_type == DeviceType::Cpu { ", software" } else { "" };
    let backend = match info.backend {
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "DirectX 12",
        other => other.to_str(),
    };
    format!("{} ({backend}{software})", info.name)
}
