//! Reads from the device in two ways. `Reader` copies data to the host and waits for the copy. `Ring` starts copies
//! without waiting, and a later call collects the copies that are done.

use std::collections::VecDeque;

use bytemuck::Pod;
use wgpu::{BufferAsyncError, BufferUsages};

use super::arrival::Arrival;
use super::context::Context;
use crate::device::DeviceError;
use crate::tape::StateBuffer;

const STAGING: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// A reusable buffer that the host can read.
struct Staging {
    buffer: wgpu::Buffer,
    /// Set when the buffer is mapped, or when mapping has failed.
    mapped: Arrival<Result<(), BufferAsyncError>>,
}

impl Staging {
    fn new(context: &Context, label: &str, bytes: u64) -> Result<Self, DeviceError> {
        let buffer = context.create_buffer(label, bytes, STAGING, bytes)?;
        Ok(Self { buffer, mapped: Arrival::default() })
    }
}

/// A copy of a range of a buffer, on its way to the host.
struct Download {
    staging: Staging,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
}

impl Download {
    /// Submits a copy of `bytes` bytes of `source`, from byte `offset` on, to `staging`. The copy is made after all
    /// work that was submitted earlier. Then requests that `staging` is mapped, so that the host can read the copy.
    fn start(
        context: &Context,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
        staging: Staging,
    ) -> Self {
        let mapped = staging.mapped.clone();
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("readback") };
        let mut encoder = context.device.create_command_encoder(&descriptor);
        encoder.copy_buffer_to_buffer(source, offset, &staging.buffer, 0, bytes);
        let submission = context.queue.submit([encoder.finish()]);
        staging.buffer.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            mapped.set(result);
        });
        Self { staging, bytes, submission }
    }

    /// Blocks until the copy is done.
    fn wait(&self, context: &Context) -> Result<(), DeviceError> {
        context.wait(Some(self.submission.clone()))
    }

    /// Waits until the host can read the copy. In a browser, the function first returns to the page's event loop,
    /// because the event loop completes the mapping.
    async fn arrive(&self, context: &Context) -> Result<(), DeviceError> {
        #[cfg(target_arch = "wasm32")]
        self.staging.mapped.there().await;
        self.wait(context)
    }

    fn has_arrived(&self) -> bool {
        self.staging.mapped.is_there()
    }

    /// Calls `read` with the copied bytes. Returns the result of `read`, and the staging buffer for reuse by the next
    /// download. Call this function only after the copy has arrived.
    fn finish<R>(self, read: impl FnOnce(&[u8]) -> R) -> Result<(R, Staging), DeviceError> {
        let device_error = |reason: String| DeviceError::Failed { reason };
        match self.staging.mapped.take() {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(device_error(error.to_string())),
            None => return Err(device_error("a readback did not arrive".to_string())),
        }
        let buffer = &self.staging.buffer;
        let mapped = buffer.get_mapped_range(..self.bytes);
        let mapped = mapped.map_err(|error| device_error(error.to_string()))?;
        let made = read(&mapped);
        drop(mapped);
        buffer.unmap();
        Ok((made, self.staging))
    }
}

/// Reads ranges of buffers, and waits for each range. The reader keeps its largest staging buffer for reuse.
#[derive(Default)]
pub(super) struct Reader {
    staging: Option<Staging>,
}

impl Reader {
    /// Reads `bytes` bytes of `source`, from byte `offset` on, after all earlier work is done.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) async fn read<T: Pod>(
        &mut self,
        context: &Context,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<T>, DeviceError> {
        context.check()?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = match self.staging.take().filter(|staging| staging.buffer.size() >= bytes) {
            Some(staging) => staging,
            None => Staging::new(context, "readback", bytes)?,
        };
        let download = Download::start(context, source, offset, bytes, staging);
        download.arrive(context).await?;
        let (elements, staging) = download.finish(bytemuck::pod_collect_to_vec)?;
        self.staging = Some(staging);
        Ok(elements)
    }
}

/// The largest number of downloads of a [`Ring`] that are in flight.
const RING: usize = 4;

/// Reads buffers of the state without waiting, through reusable staging buffers.
#[derive(Default)]
pub(super) struct Ring {
    under_way: VecDeque<(StateBuffer, Download)>,
    free: Vec<Staging>,
    latest: Option<StateBuffer>,
    values: Vec<f32>,
}

impl Ring {
    /// Requests a copy of the first `bytes` bytes of a buffer, after all work that was submitted so far. The function
    /// waits only if the ring is full. With one request per step, the ring is never full: at most 3 steps are in
    /// flight, and the ring has 4 places.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn request(
        &mut self,
        context: &Context,
        buffer: StateBuffer,
        source: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<(), DeviceError> {
        if self.under_way.len() == RING {
            self.under_way[0].1.wait(context)?;
        }
        self.collect(context)?;
        let fits = self.free.iter().position(|staging| staging.buffer.size() >= bytes);
        let staging = match fits {
            Some(ix) => self.free.swap_remove(ix),
            None => Staging::new(context, "late readback", bytes)?,
        };
        let download = Download::start(context, source, 0, bytes, staging);
        self.under_way.push_back((buffer, download));
        Ok(())
    }

    /// Moves the newest copy that has arrived into `values`, and returns the copied buffer. Returns None if no copy has
    /// arrived since the last call.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn poll(
        &mut self,
        context: &Context,
        values: &mut Vec<f32>,
    ) -> Result<Option<StateBuffer>, DeviceError> {
        self.collect(context)?;
        let buffer = self.latest.take();
        if buffer.is_some() {
            std::mem::swap(values, &mut self.values);
        }
        Ok(buffer)
    }

    fn collect(&mut self, context: &Context) -> Result<(), DeviceError> {
        context.check()?;
        while let Some((buffer, first)) = self.under_way.pop_front() {
            if !first.has_arrived() {
                self.under_way.push_front((buffer, first));
                break;
            }
            let values = &mut self.values;
            let ((), staging) = first.finish(|bytes| {
                values.clear();
                let (words, _) = bytes.as_chunks();
                values.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
            })?;
            self.latest = Some(buffer);
            self.free.push(staging);
        }
        Ok(())
    }
}
