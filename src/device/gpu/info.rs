//! Descriptions of adapters, for people and for bug reports.

use wgpu::{Backend, CooperativeScalarType, DeviceType, Features};

use super::adapter;

/// An adapter with its relevant limits and features.
#[derive(Clone, PartialEq, Debug)]
pub struct AdapterReport {
    /// The adapter's name as the driver reports it.
    pub name: String,
    /// `discrete GPU`, `integrated GPU`, `virtual GPU`, `software`, `other`.
    pub kind: &'static str,
    /// `vulkan`, `metal`, `dx12`.
    pub backend: &'static str,
    /// The driver's name.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// The limits.
    pub limits: AdapterLimits,
    /// The features.
    pub features: AdapterFeatures,
}

/// The limits of an adapter that determine the size of the largest network, and the speed.
#[derive(Clone, PartialEq, Debug)]
pub struct AdapterLimits {
    /// The largest binding of a kernel, in bytes. A tensor is one binding, so no tensor can be larger.
    pub max_binding_bytes: u64,
    /// The largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// The memory of a workgroup, in bytes.
    pub workgroup_memory_bytes: u32,
    /// The largest workgroup, in invocations.
    pub workgroup_invocations: u32,
    /// The largest number of storage buffers of a kernel.
    pub storage_buffers: u32,
}

/// The features that kernels can use.
#[derive(Clone, PartialEq, Debug)]
pub struct AdapterFeatures {
    /// The smallest and the largest subgroup size, if kernels can use subgroups.
    pub subgroup_sizes: Option<[u32; 2]>,
    /// True if kernels can be timed on the device.
    pub timestamp_queries: bool,
    /// True if kernels can compute in 16-bit floats.
    pub f16: bool,
    /// The shapes and types of the matrix products that the GPU's matrix units (tensor cores) compute, such as
    /// `16x16x16 f16 -> f32`; empty without matrix units.
    pub cooperative_matrices: Vec<String>,
}

/// Returns all adapters, the best first.
pub fn adapters() -> Vec<AdapterReport> {
    adapter::adapters_now().iter().map(report).collect()
}

/// Returns the description of an adapter.
pub(super) fn report(adapter: &wgpu::Adapter) -> AdapterReport {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let subgroup_sizes = [info.subgroup_min_size, info.subgroup_max_size];
    let cooperative = features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let matrices = if cooperative { adapter.cooperative_matrix_properties() } else { Vec::new() };
    AdapterReport {
        name: info.name,
        kind: match info.device_type {
            DeviceType::DiscreteGpu => "discrete GPU",
            DeviceType::IntegratedGpu => "integrated GPU",
            DeviceType::VirtualGpu => "virtual GPU",
            DeviceType::Cpu => "software",
            DeviceType::Other => "other",
        },
        backend: match info.backend {
            Backend::Vulkan => "vulkan",
            Backend::Metal => "metal",
            Backend::Dx12 => "dx12",
            other => other.to_str(),
        },
        driver: info.driver,
        driver_info: info.driver_info,
        limits: AdapterLimits {
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        },
        features: AdapterFeatures {
            subgroup_sizes: features.contains(Features::SUBGROUP).then_some(subgroup_sizes),
            timestamp_queries: features.contains(Features::TIMESTAMP_QUERY_INSIDE_PASSES),
            f16: features.contains(Features::SHADER_F16),
            cooperative_matrices: matrices.iter().map(matrix).collect(),
        },
    }
}

fn matrix(shape: &wgpu::CooperativeMatrixProperties) -> String {
    let name = |scalar| match scalar {
        CooperativeScalarType::F32 => "f32",
        CooperativeScalarType::F16 => "f16",
        CooperativeScalarType::I32 => "i32",
        CooperativeScalarType::U32 => "u32",
    };
    let (from, to) = (name(shape.ab_type), name(shape.cr_type));
    format!("{}x{}x{} {from} -> {to}", shape.m_size, shape.n_size, shape.k_size)
}
