//! A wgpu device with its queue. Every failure becomes a [`DeviceError`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::adapter::Opened;
#[cfg(target_arch = "wasm32")]
use super::arrival::Arrival;
use super::fault::{Fault, Faults};
use super::panic_hook;
use crate::device::DeviceError;
use crate::passes::PlanError;

/// The part of a device that sessions, programs and readbacks share.
pub(super) struct Context {
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
    pub(super) limits: wgpu::Limits,
    faults: Arc<Faults>,
    /// The bytes of the largest plan so far, for the message of an out-of-memory error.
    planned: AtomicU64,
}

impl Context {
    /// Wraps an opened device, and registers callbacks for its errors and for its loss.
    pub(super) fn new(opened: Opened) -> Self {
        let Opened { name, driver, is_software, min_subgroup_size, device, queue } = opened;
        let faults = Arc::new(Faults::default());
        let uncaptured = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| uncaptured.report(Fault::new(&error))));
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, words| lost.report_lost(reason, &words));
        let limits = device.limits();
        let planned = AtomicU64::new(0);
        Self {
            name,
            driver,
            is_software,
            min_subgroup_size,
            device,
            queue,
            limits,
            faults,
            planned,
        }
    }

    /// Runs the callbacks of wgpu that are due, and fails if a fault was reported.
    ///
    /// # Errors
    /// The first fault so far.
    pub(super) fn check(&self) -> Result<(), DeviceError> {
        self.poll(wgpu::PollType::Poll)
    }

    /// Waits for a submission; for the last submission if `submission` is None.
    ///
    /// # Errors
    /// The first fault so far.
    pub(super) fn wait(
        &self,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<(), DeviceError> {
        self.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None })
    }

    /// Waits until all submissions are done.
    ///
    /// # Errors
    /// The first fault so far.
    pub(super) async fn idle(&self) -> Result<(), DeviceError> {
        #[cfg(target_arch = "wasm32")]
        {
            let idle = Arrival::default();
            let here = idle.clone();
            self.queue.on_submitted_work_done(move || here.set(()));
            idle.there().await;
        }
        self.wait(None)
    }

    fn poll(&self, how: wgpu::PollType) -> Result<(), DeviceError> {
        self.fault().map_or(Ok(()), |fault| Err(self.error(fault)))?;
        self.try_poll(how);
        self.fault().map_or(Ok(()), |fault| Err(self.error(fault)))
    }

    /// Polls the device. If the device is lost during a poll, wgpu 30 calls the callback for a lost device and then
    /// panics, so the panic is caught. A lost device is not polled again.
    fn try_poll(&self, how: wgpu::PollType) {
        let poll = || catch_unwind(AssertUnwindSafe(|| self.device.poll(how)));
        match panic_hook::without_panic_message(poll) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.faults.report(Fault::Other(error.to_string())),
            Err(panic) => self.faults.report(Fault::Lost(panic_hook::message(&*panic))),
        }
    }

    /// Returns the first fault; a loss of the device replaces other faults. A device that is being lost rejects
    /// commands at once, but reports the loss only when it is idle. So if the fault is not a loss, the function first
    /// waits for the device.
    fn fault(&self) -> Option<Fault> {
        let fault = self.faults.first()?;
        if !matches!(fault, Fault::Lost(_)) {
            self.try_poll(wgpu::PollType::wait_indefinitely());
        }
        self.faults.first()
    }

    pub(super) fn error(&self, fault: Fault) -> DeviceError {
        fault.into_error(self.planned.load(Ordering::Relaxed))
    }

    /// Runs `create` and returns its result. Code in a browser cannot wait for the end of an error scope, so if
    /// `create` causes an error, a later call reports this error.
    ///
    /// # Errors
    /// The first fault so far.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn scoped<T>(&self, create: impl FnOnce(&wgpu::Device) -> T) -> Result<T, Fault> {
        let created = create(&self.device);
        self.fault().map_or(Ok(created), Err)
    }

    /// Runs `create` and returns its result, unless the device reports an error.
    ///
    /// # Errors
    /// The device's error, including failures that wgpu reports as a lost device; for example, a Vulkan
    /// driver that cannot create a pipeline.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn scoped<T>(&self, create: impl FnOnce(&wgpu::Device) -> T) -> Result<T, Fault> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        // Each guard is an error scope. Dropping a guard would discard the errors of its scope, so each guard is
        // popped, the innermost first.
        let guards = [OutOfMemory, Internal, Validation].map(|f| self.device.push_error_scope(f));
        let created = create(&self.device);
        let caught = guards.into_iter().rev().map(|guard| pollster::block_on(guard.pop()));
        let caught: Vec<_> = caught.collect();
        match caught.iter().flatten().next() {
            Some(error) => {
                self.try_poll(wgpu::PollType::wait_indefinitely());
                let lost = self.faults.first().filter(|fault| matches!(fault, Fault::Lost(_)));
                Err(lost.unwrap_or_else(|| Fault::new(error)))
            }
            None => self.fault().map_or(Ok(created), Err),
        }
    }

    /// Creates the bind group of a pipeline, with the n-th of `resources` at `@group(0) @binding(n)`.
    ///
    /// # Errors
    /// If the resources do not match the pipeline's layout.
    pub(super) fn create_bind_group<'a>(
        &self,
        label: &str,
        pipeline: &wgpu::ComputePipeline,
        resources: impl Iterator<Item = wgpu::BindingResource<'a>>,
    ) -> Result<wgpu::BindGroup, Fault> {
        let entries = (0..).zip(resources);
        let entries = entries.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
        let entries: Vec<_> = entries.collect();
        self.scoped(|device| {
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(label),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })
    }

    /// Creates a buffer of zeros, of at least 256 bytes. A buffer without bytes could not be bound.
    ///
    /// # Errors
    /// If the buffer is larger than the device's limit, or memory is short. `planned` is the size in bytes of all
    /// buffers that the caller creates together, for the error message.
    pub(super) fn create_buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        planned: u64,
    ) -> Result<wgpu::Buffer, DeviceError> {
        self.planned.fetch_max(planned, Ordering::Relaxed);
        // The plan's check has compared every input, transient value and parameter with the adapter's largest binding,
        // which is not larger than its largest buffer. It does not compare the flat buffers of the state, because
        // kernels bind them in parts. So only a flat buffer of the state can be too large here.
        let limit = self.limits.max_buffer_size;
        if bytes > limit {
            return Err(PlanError::StateTooLarge { bytes, limit }.into());
        }
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(256),
            usage,
            mapped_at_creation: false,
        };
        self.scoped(|device| device.create_buffer(&descriptor)).map_err(|fault| self.error(fault))
    }

    /// Creates a buffer that is mapped, so the host can write it at once.
    ///
    /// # Errors
    /// If memory is short.
    pub(super) fn create_mapped_buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(256),
            usage,
            mapped_at_creation: true,
        };
        self.scoped(|device| device.create_buffer(&descriptor)).map_err(|fault| self.error(fault))
    }
}

impl Drop for Context {
    /// Leaks the handles of a failed device. Dropping the queue would wait for the device, and wgpu 30 panics if this
    /// wait fails.
    fn drop(&mut self) {
        if self.faults.first().is_some() {
            std::mem::forget((self.device.clone(), self.queue.clone()));
        }
    }
}
