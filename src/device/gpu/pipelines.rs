//! Compute pipelines. Each shader text is compiled once per device.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::context::Context;
use super::pipeline_cache::PipelineCache;
use super::precompile::{Job, Precompiler};
use super::shader::ShaderLibrary;
use super::unchecked;
use crate::base::clock::Instant;
use crate::device::DeviceError;
use crate::kernel::Shader;

/// The pipelines of a device, by the text of their shader. Programs and sessions share them.
pub(super) struct Pipelines {
    library: ShaderLibrary,
    /// True if shaders are compiled with runtime checks.
    checked: bool,
    cache: Option<PipelineCache>,
    /// The precompiler, for a driver that otherwise compiles a pipeline at its first dispatch.
    precompiler: Option<Precompiler>,
    compiled: Mutex<HashMap<String, wgpu::ComputePipeline>>,
}

/// A requested shader, with the label of its pipeline.
pub(super) struct Wanted<'a> {
    /// The pipeline's label, such as `resnet9.layer1.conv2d.d_weight`.
    pub(super) label: String,
    pub(super) shader: &'a Shader,
}

impl Pipelines {
    /// Creates an empty collection. Shaders are compiled without runtime checks if `checked` is false, the build is a
    /// release build, and every file of the library is a built-in file.
    pub(super) fn new(
        library: ShaderLibrary,
        checked: bool,
        cache: Option<PipelineCache>,
        precompiler: Option<Precompiler>,
    ) -> Self {
        let checked = checked || cfg!(debug_assertions) || !library.is_trusted();
        Self { library, checked, cache, precompiler, compiled: Mutex::default() }
    }

    /// Returns a pipeline for each shader in `wanted`, in order. Missing pipelines are compiled on every core.
    ///
    /// # Errors
    /// [`DeviceError::Shader`] if a shader cannot be loaded, [`DeviceError::Pipeline`] if its text is not valid WGSL or
    /// the device rejects the pipeline. If several shaders fail, the function returns the error of the first in the
    /// order of `wanted`.
    pub(super) fn get(
        &self,
        context: &Context,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<wgpu::ComputePipeline>, DeviceError> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        // The layers of a deep network have few different shaders, so each text is assembled once.
        let mut texts: HashMap<&Shader, String> = HashMap::new();
        let mut missing: Vec<(&str, String)> = Vec::new();
        for Wanted { label, shader } in wanted {
            let Entry::Vacant(place) = texts.entry(shader) else { continue };
            let text = place.insert(self.library.load(shader)?);
            if !compiled.contains_key(text) && missing.iter().all(|(_, other)| other != text) {
                missing.push((label, text.clone()));
            }
        }
        let checked = self.checked;
        let cache = self.cache.as_ref();
        let handle = cache.map(PipelineCache::handle);
        let compile =
            |(label, text): &(&str, String)| compile(context, label, text, checked, handle);
        let new: Vec<Result<_, DeviceError>> = missing.par_iter().map(compile).collect();
        if let Some(cache) = cache.filter(|_| !new.is_empty()) {
            cache.save();
        }
        for ((_, text), pipeline) in missing.into_iter().zip(new) {
            compiled.insert(text, pipeline?);
        }
        Ok(wanted.iter().map(|wanted| compiled[&texts[wanted.shader]].clone()).collect())
    }

    /// Compiles a pipeline for a device other than that of the collection, and returns the pipeline. The collection
    /// does not keep it.
    ///
    /// # Errors
    /// The errors of [`Pipelines::get`].
    pub(super) fn compile(
        &self,
        context: &Context,
        label: &str,
        shader: &Shader,
    ) -> Result<wgpu::ComputePipeline, DeviceError> {
        compile(context, label, &self.library.load(shader)?, self.checked, None)
    }

    /// Compiles pipelines on every core before a program's first run, if the collection has a precompiler. The driver
    /// would otherwise compile the pipelines during the run, on one core.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn precompile<'a>(
        &self,
        context: &Context,
        jobs: impl Iterator<Item = Job<'a>>,
    ) -> Result<(), DeviceError> {
        match &self.precompiler {
            Some(precompiler) => precompiler.compile(context, self, jobs),
            None => Ok(()),
        }
    }
}

fn compile(
    context: &Context,
    label: &str,
    text: &str,
    checked: bool,
    cache: Option<&wgpu::PipelineCache>,
) -> Result<wgpu::ComputePipeline, DeviceError> {
    let create = |device: &wgpu::Device| {
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(label), source };
        let module = unchecked::create_module(device, descriptor, checked);
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            // The layout is derived from the bindings in the shader.
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions {
                // wgpu need not fill workgroup memory with zeros, because the kernels of this crate write workgroup
                // memory before they read it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache,
        })
    };
    let begun = Instant::now();
    let pipeline = context.scoped(create).map_err(|fault| DeviceError::Pipeline {
        label: label.to_string(),
        reason: fault.reason().trim().to_string(),
    });
    log::debug!("compiled {label} in {:.3} s", begun.elapsed().as_secs_f64());
    pipeline
}
