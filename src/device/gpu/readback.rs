//! Reading from the device: at once, waiting; and late, through a ring, never waiting.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytemuck::Pod;
use wgpu::{BufferAsyncError, BufferUsages};

use super::context::Context;
use crate::error::Error;

const STAGING: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// A copy of a range on its way to the host.
struct Download {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    /// Set when the staging buffer is mapped, or will never be.
    arrived: Arc<OnceLock<Result<(), BufferAsyncError>>>,
}

impl Download {
    /// Copies `bytes` at `offset` of `source`, behind everything that was submitted, and asks for
    /// the copy to be mapped.
    fn start(
        context: &Context,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
        staging: wgpu::Buffer,
    ) -> Self {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("readback") };
        let mut encoder = context.device.create_command_encoder(&descriptor);
        encoder.copy_buffer_to_buffer(source, offset, &staging, 0, bytes);
        let submission = context.queue.submit([encoder.finish()]);
        let arrived = Arc::new(OnceLock::new());
        let here = Arc::clone(&arrived);
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            let _ = here.set(result);
        });
        Self { staging, bytes, submission, arrived }
    }

    /// Waits for the copy.
    fn wait(&self, context: &Context) -> Result<(), Error> {
        context.wait(Some(self.submission.clone()))
    }

    /// The elements, and the staging buffer for the next download. Only once it has arrived.
    fn finish<T: Pod>(self) -> Result<(Vec<T>, wgpu::Buffer), Error> {
        let device_error = |reason: String| Error::Device { reason };
        match self.arrived.get() {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(device_error(error.to_string())),
            None => return Err(device_error("a readback did not arrive".to_string())),
        }
        let mapped = self.staging.get_mapped_range(..self.bytes);
        let mapped = mapped.map_err(|error| device_error(error.to_string()))?;
        let elements = bytemuck::pod_collect_to_vec(&mapped);
        drop(mapped);
        self.staging.unmap();
        Ok((elements, self.staging))
    }
}

/// Reads ranges of buffers, waiting for each. It keeps the staging buffer of the largest so far.
#[derive(Default)]
pub(super) struct Reader {
    staging: Option<wgpu::Buffer>,
}

impl Reader {
    /// Reads `bytes` at `offset` of `source` after everything before is done.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn read<T: Pod>(
        &mut self,
        context: &Context,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<T>, Error> {
        context.check()?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = match self.staging.take().filter(|staging| staging.size() >= bytes) {
            Some(staging) => staging,
            None => context.create_buffer("readback", bytes, STAGING, bytes)?,
        };
        let download = Download::start(context, source, offset, bytes, staging);
        download.wait(context)?;
        let (elements, staging) = download.finish()?;
        self.staging = Some(staging);
        Ok(elements)
    }
}

/// Downloads of one small buffer that may be under way at the same time.
const RING: usize = 4;

/// Reads one small buffer again and again without waiting for it.
#[derive(Default)]
pub(super) struct Ring {
    under_way: VecDeque<Download>,
    free: Vec<wgpu::Buffer>,
    latest: Option<Vec<f32>>,
}

impl Ring {
    /// Asks for `source` as it is after everything submitted so far. Waits only when the ring is
    /// full, which the limit on steps in flight keeps from happening.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn request(
        &mut self,
        context: &Context,
        source: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<(), Error> {
        if self.under_way.len() == RING {
            self.under_way[0].wait(context)?;
        }
        self.collect(context)?;
        let staging = match self.free.pop() {
            Some(staging) => staging,
            None => context.create_buffer("metrics readback", bytes, STAGING, bytes)?,
        };
        self.under_way.push_back(Download::start(context, source, 0, bytes, staging));
        Ok(())
    }

    /// The latest contents that have arrived, once.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn poll(&mut self, context: &Context) -> Result<Option<Vec<f32>>, Error> {
        self.collect(context)?;
        Ok(self.latest.take())
    }

    fn collect(&mut self, context: &Context) -> Result<(), Error> {
        context.check()?;
        while let Some(first) = self.under_way.pop_front() {
            if first.arrived.get().is_none() {
                self.under_way.push_front(first);
                break;
            }
            let (elements, staging) = first.finish()?;
            self.latest = Some(elements);
            self.free.push(staging);
        }
        Ok(())
    }
}
