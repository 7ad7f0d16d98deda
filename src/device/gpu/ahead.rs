//! Compiling ahead of the first step, on every core.
//!
//! Mesa's llvmpipe makes machine code of a pipeline when this is first dispatched: one after the other, on one
//! core, while the others wait. On an empty cache that is most of the time until the first step is done. But
//! it keeps the code on disk, for whoever comes next with the same shader, and every device compiles by itself. So
//! a few more devices are opened for a moment, and they and the session's own share the pipelines out: each
//! dispatches those it takes over no workgroups at all. What another device compiled the session's then reads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::adapter;
use super::context::Context;
use super::pipelines::Pipelines;
use crate::error::Error;
use crate::ops::{self, Binding};

/// Opening a device for fewer pipelines than these gains nothing.
const PIPELINES_PER_DEVICE: usize = 4;

/// As many devices at most: with more, all wait for the longest pipeline.
const MAX_DEVICES: usize = 8;

/// The pipelines of a device that compiles when they are first dispatched.
pub(super) struct Ahead {
    adapter: wgpu::Adapter,
    /// Those that have been dispatched.
    compiled: Mutex<HashSet<wgpu::ComputePipeline>>,
}

/// A dispatch, on the session's device and in words that any device understands.
pub(super) struct Job<'a> {
    /// `resnet9.layer1.conv2d.d_weight`
    pub(super) label: String,
    pub(super) pipeline: &'a wgpu::ComputePipeline,
    pub(super) bind_group: &'a wgpu::BindGroup,
    pub(super) dispatch: &'a ops::Dispatch,
}

impl Ahead {
    /// None where the driver compiles when a pipeline is made, as those of hardware do.
    pub(super) fn new(adapter: &wgpu::Adapter) -> Option<Self> {
        let is_lazy = adapter.get_info().driver == "llvmpipe";
        is_lazy.then(|| Self { adapter: adapter.clone(), compiled: Mutex::default() })
    }

    /// Compiles the pipelines of `jobs` that have not been dispatched, on `context` and on devices of their own.
    ///
    /// What fails on another device is left to the first dispatch that counts.
    ///
    /// # Errors
    /// When `context`'s device fails.
    pub(super) fn compile<'a>(
        &self,
        context: &Context,
        pipelines: &Pipelines,
        jobs: impl Iterator<Item = Job<'a>>,
    ) -> Result<(), Error> {
        let jobs = self.new_ones(jobs);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        match cores.min(jobs.len() / PIPELINES_PER_DEVICE).min(MAX_DEVICES) {
            0 | 1 => Ok(()),
            n_devices => {
                let next = AtomicUsize::new(0);
                let next = || jobs.get(next.fetch_add(1, Ordering::Relaxed));
                self.share_out(context, pipelines, n_devices, next)
            }
        }
    }

    /// Those of `jobs` whose pipelines have not been dispatched, each once.
    fn new_ones<'a>(&self, jobs: impl Iterator<Item = Job<'a>>) -> Vec<Job<'a>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.filter(|job| compiled.insert(job.pipeline.clone())).collect()
    }

    /// Compiles the jobs that `next` gives out, on so many devices.
    fn share_out<'a>(
        &self,
        context: &Context,
        pipelines: &Pipelines,
        n_devices: usize,
        next: impl Fn() -> Option<&'a Job<'a>> + Sync,
    ) -> Result<(), Error> {
        thread::scope(|scope| {
            for _ in 1..n_devices {
                scope.spawn(|| {
                    if let Err(error) = help(&self.adapter, pipelines, &next) {
                        tracing::debug!(%error, "a device that was to help compiling");
                    }
                });
            }
            while let Some(job) = next() {
                job.run(context, job.pipeline, job.bind_group)?;
            }
            Ok(())
        })
    }
}

/// Compiles the jobs that `next` gives out, on a device of its own.
fn help<'a>(
    adapter: &wgpu::Adapter,
    pipelines: &Pipelines,
    next: impl Fn() -> Option<&'a Job<'a>>,
) -> Result<(), Error> {
    let context = Context::new(adapter::open(adapter)?);
    while let Some(job) = next() {
        let pipeline = pipelines.compile(&context, &job.label, &job.dispatch.shader)?;
        let bind_group = job.stand_in(&context, &pipeline)?;
        job.run(&context, &pipeline, &bind_group)?;
    }
    Ok(())
}

impl Job<'_> {
    /// Dispatches a pipeline over no workgroups, and waits until that is done.
    fn run(
        &self,
        context: &Context,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let mut encoder = context.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(0, 0, 0);
        }
        let submission = context.queue.submit([encoder.finish()]);
        context.wait(Some(submission))?;
        let seconds = begun.elapsed().as_secs_f64();
        tracing::debug!(label = self.label, seconds, "compiled ahead");
        Ok(())
    }

    /// A bind group for a pipeline on another device, with a small buffer at each binding.
    fn stand_in(
        &self,
        context: &Context,
        pipeline: &wgpu::ComputePipeline,
    ) -> Result<wgpu::BindGroup, Error> {
        let buffer = |binding: &Binding| {
            let usage = match binding {
                Binding::Step => wgpu::BufferUsages::UNIFORM,
                _ => wgpu::BufferUsages::STORAGE,
            };
            context.create_buffer(&self.label, 0, usage, 0)
        };
        let buffers = self.dispatch.bindings.iter().map(buffer);
        let buffers = buffers.collect::<Result<Vec<_>, Error>>()?;
        let resources = buffers.iter().map(wgpu::Buffer::as_entire_binding);
        let bind_group = context.create_bind_group(&self.label, pipeline, resources);
        bind_group.map_err(|fault| context.error(fault))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;
    use crate::device::gpu::session::GpuSession;
    use crate::device::gpu::{GpuDevice, ShaderLibrary};
    use crate::device::{LoadOptions, OpenOptions, ProgramId, Session, StepScalars};
    use crate::ops::Target;
    use crate::ops::ema::ema;
    use crate::ops::scale::scale;
    use crate::tape::{ElementType, Group, Initializer, Layout, Mode, Tape, ValueId};

    /// Each is a constant of a shader, and so a pipeline; the last is there already.
    const FACTORS: [f32; 8] = [2.0, -1.0, 0.5, 3.0, 4.0, -0.25, 1.5, 2.0];
    /// And the average's.
    const N_PIPELINES: usize = FACTORS.len();

    struct Loaded {
        session: GpuSession,
        program: ProgramId,
        x: ValueId,
        y: ValueId,
    }

    impl Loaded {
        fn new(device: &GpuDevice) -> Self {
            let mut tape = Tape::new("test", Mode::Train);
            let x = tape.input("x", ElementType::F32, &[4]);
            let y = FACTORS.iter().fold(x, |y, &factor| scale(&mut tape, y, factor));
            tape.keep(y);
            tape.parameter("p", &[4], Layout::Plain, Initializer::Constant(0.0));
            ema(&mut tape, 0.5);
            let tape = Arc::new(tape);
            let (context, pipelines) = (Arc::clone(&device.context), Arc::clone(&device.pipelines));
            let state = tape.state();
            let mut session =
                GpuSession::new(context, pipelines, Target::default(), None, None, state);
            let program = session.load(&tape, LoadOptions::default()).expect("it loads");
            Self { session, program, x, y }
        }

        fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
            self.session.programs[0].jobs()
        }

        /// Runs a step, and looks at what it computes.
        fn check(&mut self) {
            let (session, program) = (&mut self.session, self.program);
            session.write(program, self.x, &[1.0, 2.0, -3.0, 0.0]).expect("written");
            session.write_state(Group::Parameters, &[5.0; 64]).expect("written");
            let first = StepScalars { step: 1, ..StepScalars::default() };
            session.run(program, &first).expect("it runs");
            let factor: f32 = FACTORS.iter().product();
            let expected = [factor, 2.0 * factor, -3.0 * factor, 0.0];
            assert_eq!(session.read(program, self.y).expect("read"), expected);
            let averages = session.read_state(Group::AveragedParameters).expect("read");
            assert_eq!(averages[..4], [5.0; 4]);
        }
    }

    fn open() -> (wgpu::Adapter, GpuDevice) {
        let adapters = adapter::adapters();
        let adapter = adapter::choose(&adapters, None).expect("an adapter").clone();
        let device = GpuDevice::new(&adapter, &OpenOptions::default()).expect("it opens");
        (adapter, device)
    }

    /// On two devices, which begin together, so that neither is done before the other is there.
    fn share_out_in_step(
        ahead: &Ahead,
        context: &Context,
        pipelines: &Pipelines,
        jobs: &[Job<'_>],
    ) {
        let (n_calls, both, left) = (AtomicUsize::new(0), Barrier::new(2), Mutex::new(jobs.iter()));
        let next = || {
            if n_calls.fetch_add(1, Ordering::Relaxed) < 2 {
                both.wait();
            }
            left.lock().expect("no panic").next()
        };
        ahead.share_out(context, pipelines, 2, next).expect("nothing fails here");
    }

    #[test]
    fn another_device_can_compile_everything() {
        let (adapter, device) = open();
        let loaded = Loaded::new(&device);
        let jobs: Vec<_> = loaded.jobs().collect();
        let left = Mutex::new(jobs.iter());
        let next = || left.lock().expect("no panic").next();
        help(&adapter, &device.pipelines, next).expect("it compiles");
        assert!(next().is_none());
    }

    #[test]
    fn a_pipeline_is_compiled_once() {
        let (adapter, device) = open();
        let ahead = Ahead { adapter, compiled: Mutex::default() };
        let loaded = Loaded::new(&device);
        assert_eq!(loaded.jobs().count(), N_PIPELINES + 1);
        assert_eq!(ahead.new_ones(loaded.jobs()).len(), N_PIPELINES);
        assert_eq!(ahead.new_ones(Loaded::new(&device).jobs()).len(), 0);
    }

    /// Whether the others can compile or not.
    #[test]
    fn the_step_computes_the_same() {
        let (adapter, device) = open();
        let library = ShaderLibrary::default().with_override("scale/forward", "no shader");
        let broken = Pipelines::new(library, true, None, None);
        for pipelines in [&device.pipelines, &broken] {
            let ahead = Ahead { adapter: adapter.clone(), compiled: Mutex::default() };
            let mut loaded = Loaded::new(&device);
            let jobs = ahead.new_ones(loaded.jobs());
            share_out_in_step(&ahead, &device.context, pipelines, &jobs);
            drop(jobs);
            loaded.check();
        }
    }
}
