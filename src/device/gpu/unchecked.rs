//! The only unsafe calls of the GPU device: one compiles shaders without runtime checks, the other passes stored
//! compiled pipelines to the driver.
#![allow(unsafe_code)]

/// Compiles a shader module.
///
/// With `checked`, the compiled shader clamps every index and counts the iterations of every loop, which makes hot
/// loops up to a hundred times slower. Without `checked`, the text must come from a
/// [trusted](super::ShaderLibrary::is_trusted) [`ShaderLibrary`](super::ShaderLibrary).
pub(super) fn create_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
    checked: bool,
) -> wgpu::ShaderModule {
    if checked {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: trusted text consists of the files built into this crate, with constants from the ops. Without checks, an
    // index out of bounds or an endless loop would be undefined behaviour. In these files every access to a buffer or
    // to workgroup memory is bounded by `arrayLength` or by the sizes that the op inserts, which are those of the bound
    // ranges, and every loop has a constant or inserted bound. An index that comes from another invocation of the
    // subgroup is compared with the size before its use. Development builds and libraries with replaced files run with
    // checks.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}

/// Creates a pipeline cache from data that [`wgpu::PipelineCache::get_data`] returned to an earlier process.
pub(super) fn create_pipeline_cache(
    device: &wgpu::Device,
    data: Option<&[u8]>,
) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("wgrad"), data, fallback: true };
    // SAFETY: `data` is unchanged since `get_data` returned it: the caller has compared the checksum. wgpu rejects data
    // of another adapter or driver, and then starts with an empty cache.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
