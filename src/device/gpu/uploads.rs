//! Copies a step's inputs to the device, through a ring of buffers that the host writes while earlier steps run.
//!
//! A staging buffer goes through a cycle. While the buffer is mapped, the host writes numbers into it. A copy command
//! before the step moves the numbers to their destination. After the copy, the buffer is mapped again. After the first
//! few steps, there are enough staging buffers, and no more memory is allocated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wgpu::BufferUsages;

use super::context::Context;
use crate::device::DeviceError;

const STAGING: BufferUsages = BufferUsages::MAP_WRITE.union(BufferUsages::COPY_SRC);

/// A staging buffer: the host writes the buffer, and a copy command moves its contents to another buffer.
struct Staging {
    buffer: wgpu::Buffer,
    /// True while the host may write the buffer.
    is_mapped: Arc<AtomicBool>,
}

/// The staging buffers of a session, and the copies that are not submitted yet.
#[derive(Default)]
pub(super) struct Uploads {
    /// Buffers that are mapped, or for which a mapping was requested.
    waiting: Vec<Staging>,
    /// Buffers that the host has written, and that the next submission copies to their destinations.
    written: Vec<Staging>,
    copies: Option<wgpu::CommandEncoder>,
}

impl Uploads {
    /// Copies `bytes` to `target`, from byte `offset` on. The offset and the number of bytes must be multiples of 4.
    /// The copy takes effect only when the result of [`Uploads::commands`] is submitted.
    ///
    /// # Errors
    /// If memory is short, or the device has failed.
    pub(super) fn write(
        &mut self,
        context: &Context,
        target: &wgpu::Buffer,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), DeviceError> {
        let size = bytes.len() as u64;
        if size == 0 {
            return Ok(());
        }
        let staging = self.take(context, size)?;
        let mapped = staging.buffer.get_mapped_range_mut(..size);
        let mut mapped =
            mapped.map_err(|error| DeviceError::Failed { reason: error.to_string() })?;
        mapped.copy_from_slice(bytes);
        drop(mapped);
        staging.buffer.unmap();
        staging.is_mapped.store(false, Ordering::Release);
        let copies = self.copies.get_or_insert_with(|| {
            let descriptor = wgpu::CommandEncoderDescriptor { label: Some("uploads") };
            context.device.create_command_encoder(&descriptor)
        });
        copies.copy_buffer_to_buffer(&staging.buffer, 0, target, offset, size);
        self.written.push(staging);
        Ok(())
    }

    /// Returns the smallest mapped staging buffer of at least `size` bytes, or a new staging buffer.
    fn take(&mut self, context: &Context, size: u64) -> Result<Staging, DeviceError> {
        let fits = |staging: &Staging| {
            staging.buffer.size() >= size && staging.is_mapped.load(Ordering::Acquire)
        };
        let fitting = self.waiting.iter().enumerate().filter(|(_, staging)| fits(staging));
        match fitting.min_by_key(|(_, staging)| staging.buffer.size()) {
            Some((ix, _)) => Ok(self.waiting.swap_remove(ix)),
            None => {
                let buffer = context.create_mapped_buffer("upload", size, STAGING)?;
                Ok(Staging { buffer, is_mapped: Arc::new(AtomicBool::new(true)) })
            }
        }
    }

    /// Returns the commands of all copies that are not submitted yet, if there are any. Submit these commands before
    /// the commands that read the copied data, then call [`Uploads::submitted`].
    pub(super) fn commands(&mut self) -> Option<wgpu::CommandBuffer> {
        self.copies.take().map(wgpu::CommandEncoder::finish)
    }

    /// Requests that each submitted buffer is mapped again after its copy.
    pub(super) fn submitted(&mut self) {
        for staging in self.written.drain(..) {
            let is_mapped = Arc::clone(&staging.is_mapped);
            // Mapping fails only on a failed device, which other calls report.
            staging.buffer.map_async(wgpu::MapMode::Write, .., move |result| {
                is_mapped.store(result.is_ok(), Ordering::Release);
            });
            self.waiting.push(staging);
        }
    }
}
