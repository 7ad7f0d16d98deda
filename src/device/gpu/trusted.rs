//! The one place where shaders are compiled without runtime checks, and drivers given what they compiled before.
#![allow(unsafe_code)]

/// Compiles a module.
///
/// With `checked`, every index is clamped and every loop counted, at a price of up to a hundredfold
/// in a hot loop. Without it only text from [`ShaderLibrary`](super::ShaderLibrary)s that are
/// [trusted](super::ShaderLibrary::is_trusted) may come here.
pub(super) fn create_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
    checked: bool,
) -> wgpu::ShaderModule {
    if checked {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: Trusted is the text of the files that were built into this crate, with constants that
    // the ops put in. Without checks an index out of bounds or an endless loop would be undefined
    // behaviour. In these files every access to a buffer or to workgroup memory is bounded by
    // `arrayLength` or by the sizes that the op specialises the shader for, which are those of the
    // ranges it binds, and every loop has a constant or specialised bound. Where an index comes from
    // another invocation of the subgroup, it is held against the size again. Development builds and
    // libraries with replaced files run with checks.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}

/// Makes a pipeline cache, of `data` that [`wgpu::PipelineCache::get_data`] returned to an earlier process.
pub(super) fn create_pipeline_cache(
    device: &wgpu::Device,
    data: Option<&[u8]>,
) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("wgrad"), data, fallback: true };
    // SAFETY: `data` is what `get_data` returned, unchanged: its checksum was compared. wgpu itself refuses that
    // of another adapter or driver, and starts with an empty cache then.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
