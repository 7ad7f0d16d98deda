//! Compilation on every core before the first step.
//!
//! Mesa's llvmpipe compiles a pipeline to machine code at its first dispatch: one pipeline after another, on one core.
//! With an empty cache, the compilation takes most of the time of the first step. But llvmpipe keeps the code on disk,
//! by the text of the shader, and several devices of one adapter can compile at the same time. So the precompiler opens
//! a few more devices for a short time, and divides the pipelines among all devices. Each device dispatches its
//! pipelines over zero workgroups, which compiles them. Later, the session's device finds on disk the code that the
//! other devices compiled.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::context::Context;
use super::pipelines::Pipelines;
use super::{adapter, panic_hook};
use crate::base::clock::Instant;
use crate::device::DeviceError;
use crate::device::pending::block_on;
use crate::kernel::Binding;

/// Smallest number of pipelines for each device. Opening a device takes time. With fewer pipelines, this time is longer
/// than the time that the device saves.
const PIPELINES_PER_DEVICE: usize = 4;

/// Largest number of devices. It is an estimate and was not measured. With more devices, the total time would not be
/// shorter, because the few pipelines that compile longest would determine it.
const MAX_DEVICES: usize = 8;

/// Compiles the pipelines of a device's programs before their first step.
pub(super) struct Precompiler {
    /// The adapter on which the session's device and the additional devices are opened.
    adapter: wgpu::Adapter,
    /// The pipelines of all programs that the precompiler has processed so far; they are not compiled again.
    seen: Mutex<HashSet<wgpu::ComputePipeline>>,
}

/// A pipeline to compile.
pub(super) struct Job<'a> {
    /// The pipeline's label, such as `resnet9.layer1.conv2d.d_weight`.
    pub(super) label: String,
    /// The pipeline on the session's device.
    pub(super) pipeline: &'a wgpu::ComputePipeline,
    /// The bind group on the session's device.
    pub(super) bind_group: &'a wgpu::BindGroup,
    /// The dispatch, from which another device makes its own pipeline and bind group.
    pub(super) dispatch: &'a crate::kernel::Dispatch,
}

impl Precompiler {
    /// Returns a precompiler for llvmpipe, and None for other drivers. Only llvmpipe is known to compile at the first
    /// dispatch.
    pub(super) fn new(adapter: &wgpu::Adapter) -> Option<Self> {
        let is_lazy = adapter.get_info().driver == "llvmpipe";
        is_lazy.then(|| Self { adapter: adapter.clone(), seen: Mutex::default() })
    }

    /// Compiles those pipelines of `jobs` that were not compiled before, on the device of `context` and on other
    /// devices of the same adapter. `pipelines` creates the pipelines of the other devices.
    ///
    /// A pipeline whose compilation fails on another device is compiled at its first dispatch in the session.
    ///
    /// # Errors
    /// If `context`'s device fails.
    pub(super) fn compile<'a>(
        &self,
        context: &Context,
        pipelines: &Pipelines,
        jobs: impl Iterator<Item = Job<'a>>,
    ) -> Result<(), DeviceError> {
        let jobs = self.new_ones(jobs);
        let threads = rayon::current_num_threads();
        match threads.min(jobs.len() / PIPELINES_PER_DEVICE).min(MAX_DEVICES) {
            0 | 1 => Ok(()),
            n_devices => {
                let next = AtomicUsize::new(0);
                let next = || jobs.get(next.fetch_add(1, Ordering::Relaxed));
                self.share_out(context, pipelines, n_devices, next)
            }
        }
    }

    /// Returns one job for each pipeline that is not in `seen`, and adds these pipelines to `seen`.
    fn new_ones<'a>(&self, jobs: impl Iterator<Item = Job<'a>>) -> Vec<Job<'a>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.filter(|job| seen.insert(job.pipeline.clone())).collect()
    }

    /// Compiles the jobs that `next` returns, on `n_devices` devices: the device of `context` and others that the
    /// function opens. When the device of `context` fails, the other devices stop.
    fn share_out<'a>(
        &self,
        context: &Context,
        pipelines: &Pipelines,
        n_devices: usize,
        next: impl Fn() -> Option<&'a Job<'a>> + Sync,
    ) -> Result<(), DeviceError> {
        let has_failed = AtomicBool::new(false);
        let next = || if has_failed.load(Ordering::Relaxed) { None } else { next() };
        thread::scope(|scope| {
            for _ in 1..n_devices {
                scope.spawn(|| help(&self.adapter, pipelines, next));
            }
            while let Some(job) = next() {
                let compiled = job.compile(context, job.pipeline, job.bind_group);
                compiled.inspect_err(|_| has_failed.store(true, Ordering::Relaxed))?;
            }
            Ok(())
        })
    }
}

/// Opens another device, and compiles on this device the jobs that `next` returns.
fn help<'a>(
    adapter: &wgpu::Adapter,
    pipelines: &Pipelines,
    next: impl Fn() -> Option<&'a Job<'a>>,
) {
    let help = || -> Result<(), DeviceError> {
        let context = Context::new(block_on(adapter::open(adapter))?);
        while let Some(job) = next() {
            if let Err(error) = job.compile_elsewhere(&context, pipelines) {
                log::debug!("{} is not precompiled: {error}", job.label);
                // If not only the job but the whole device has failed, this function stops.
                context.check()?;
            }
        }
        Ok(())
    };
    // wgpu panics in some cases of a lost device, so a panic is caught and only logged.
    let helped = panic_hook::without_panic_message(|| catch_unwind(AssertUnwindSafe(help)));
    match helped {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("a device has stopped precompiling: {error}"),
        Err(panic) => {
            let error = panic_hook::message(&*panic);
            log::debug!("a device has stopped precompiling: {error}");
        }
    }
}

impl Job<'_> {
    /// Dispatches a pipeline over zero workgroups, which compiles the pipeline, and waits until the dispatch is done.
    fn compile(
        &self,
        context: &Context,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
    ) -> Result<(), DeviceError> {
        let begun = Instant::now();
        let submission = context.queue.submit([self.encode(context, pipeline, bind_group)?]);
        context.wait(Some(submission))?;
        let seconds = begun.elapsed().as_secs_f64();
        log::debug!("precompiled {} in {seconds:.3} s", self.label);
        Ok(())
    }

    fn encode(
        &self,
        context: &Context,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
    ) -> Result<wgpu::CommandBuffer, DeviceError> {
        let commands = context.scoped(|device| {
            let mut encoder = device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(0, 0, 0);
            }
            encoder.finish()
        });
        commands.map_err(|fault| context.error(fault))
    }

    /// Compiles the job's shader on the device of `context`, which is not the session's device.
    fn compile_elsewhere(
        &self,
        context: &Context,
        pipelines: &Pipelines,
    ) -> Result<(), DeviceError> {
        let (pipeline, bind_group) = self.stand_in(context, pipelines)?;
        self.compile(context, &pipeline, &bind_group)
    }

    /// Returns a pipeline of the job's shader on another device, and a bind group with a small buffer at each binding.
    fn stand_in(
        &self,
        context: &Context,
        pipelines: &Pipelines,
    ) -> Result<(wgpu::ComputePipeline, wgpu::BindGroup), DeviceError> {
        let pipeline = pipelines.compile(context, &self.label, &self.dispatch.shader)?;
        let buffer = |binding: &Binding| {
            let usage = match binding.is_uniform() {
                true => wgpu::BufferUsages::UNIFORM,
                false => wgpu::BufferUsages::STORAGE,
            };
            context.create_buffer(&self.label, 0, usage, 0)
        };
        let buffers = self.dispatch.bindings.iter().map(buffer);
        let buffers = buffers.collect::<Result<Vec<_>, DeviceError>>()?;
        let resources = buffers.iter().map(wgpu::Buffer::as_entire_binding);
        let bind_group = context.create_bind_group(&self.label, &pipeline, resources);
        Ok((pipeline, bind_group.map_err(|fault| context.error(fault))?))
    }
}

#[cfg(test)]
mod tests;
