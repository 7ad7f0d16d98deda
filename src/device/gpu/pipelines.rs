//! Compute pipelines, each compiled once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::ahead::{Ahead, Job};
use super::context::Context;
use super::pipeline_cache::PipelineCache;
use super::shader::ShaderLibrary;
use super::trusted;
use crate::error::Error;
use crate::kernel::Shader;

/// The pipelines of a device, by the text of their shader: programs and sessions share them.
pub(super) struct Pipelines {
    library: ShaderLibrary,
    /// Whether runtime checks are compiled in.
    checked: bool,
    cache: Option<PipelineCache>,
    /// Where the driver leaves compiling to the first dispatch.
    ahead: Option<Ahead>,
    compiled: Mutex<HashMap<String, wgpu::ComputePipeline>>,
}

/// A shader that is wanted, and what its pipeline is called if it is new.
pub(super) struct Wanted<'a> {
    /// `resnet9.layer1.conv2d.d_weight`
    pub(super) label: String,
    pub(super) shader: &'a Shader,
}

impl Pipelines {
    /// Without `checked`, shaders run without runtime checks where every file of the library is built in.
    pub(super) fn new(
        library: ShaderLibrary,
        checked: bool,
        cache: Option<PipelineCache>,
        ahead: Option<Ahead>,
    ) -> Self {
        let checked = checked || cfg!(debug_assertions) || !library.is_trusted();
        Self { library, checked, cache, ahead, compiled: Mutex::default() }
    }

    /// A pipeline for each of `wanted`, in their order. What is not compiled yet is, on every core.
    ///
    /// # Errors
    /// [`Error::Shader`] for text that is wrong before the device sees it, [`Error::Pipeline`] for
    /// what the device refuses; the first in the order of `wanted`.
    pub(super) fn get(
        &self,
        context: &Context,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<wgpu::ComputePipeline>, Error> {
        let texts = wanted.iter().map(|wanted| self.library.load(wanted.shader));
        let texts = texts.collect::<Result<Vec<String>, Error>>()?;
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: Vec<(&str, &String)> = Vec::new();
        for (wanted, text) in wanted.iter().zip(&texts) {
            if !compiled.contains_key(text) && !missing.iter().any(|(_, t)| *t == text) {
                missing.push((&wanted.label, text));
            }
        }
        let checked = self.checked;
        let cache = self.cache.as_ref();
        let handle = cache.map(PipelineCache::handle);
        let compile =
            |(label, text): &(&str, &String)| compile(context, label, text, checked, handle);
        let new: Vec<Result<_, Error>> = missing.par_iter().map(compile).collect();
        if let Some(cache) = cache.filter(|_| !new.is_empty()) {
            cache.save();
        }
        for ((_, text), pipeline) in missing.into_iter().zip(new) {
            compiled.insert(text.clone(), pipeline?);
        }
        Ok(texts.iter().map(|text| compiled[text].clone()).collect())
    }

    /// A pipeline for another device.
    ///
    /// # Errors
    /// Those of [`Pipelines::get`].
    pub(super) fn compile(
        &self,
        context: &Context,
        label: &str,
        shader: &Shader,
    ) -> Result<wgpu::ComputePipeline, Error> {
        compile(context, label, &self.library.load(shader)?, self.checked, None)
    }

    /// Before a program's first run, compiles on every core what the driver would compile during it on one.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn compile_ahead<'a>(
        &self,
        context: &Context,
        jobs: impl Iterator<Item = Job<'a>>,
    ) -> Result<(), Error> {
        match &self.ahead {
            Some(ahead) => ahead.compile(context, self, jobs),
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
) -> Result<wgpu::ComputePipeline, Error> {
    let create = |device: &wgpu::Device| {
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(label), source };
        let module = trusted::create_module(device, descriptor, checked);
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            // The bindings are in the shader; each pipeline's layout is read off it.
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions {
                // Our kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache,
        })
    };
    let begun = Instant::now();
    let pipeline = context.scoped(create).map_err(|fault| Error::Pipeline {
        label: label.to_string(),
        reason: fault.reason().trim().to_string(),
    });
    tracing::debug!(label, seconds = begun.elapsed().as_secs_f64(), "compiled");
    pipeline
}
