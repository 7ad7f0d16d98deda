//! An adapter's peak rates: memory bandwidth by a copy, arithmetic by multiply-adds.

use super::context::Context;
use super::pipelines::{Pipelines, Wanted};
use super::program::STORAGE;
use crate::base::clock::Instant;
use crate::device::DeviceError;
use crate::device::timing::{Peaks, fastest};
use crate::kernel::{Shader, grid};

/// The amount of work in one dispatch of a measurement.
struct Size {
    /// The number of copied bytes, which is more than most caches hold. The adapter's largest binding limits it.
    copied_bytes: u64,
    /// The number of invocations of the multiply-add kernel.
    n_invocations: usize,
}

/// The work of one dispatch on a hardware GPU. The number of invocations is several times the number that the largest
/// GPU runs at a time.
const HARDWARE: Size = Size { copied_bytes: 256 << 20, n_invocations: 1 << 20 };

/// The work of one dispatch on a software adapter. A dispatch is so small that it finishes within one time slice of a
/// CPU.
const SOFTWARE: Size = Size { copied_bytes: 64 << 20, n_invocations: 1 << 12 };

/// The number of multiply-adds that an invocation computes for each of its sums.
const DEPTH: usize = 1 << 11;

/// The number of independent sums that an invocation of the shader `peak/multiply_add` computes.
const SUMS: usize = 8;

/// The number of bytes that an invocation of the shader `peak/copy` copies.
const BYTES_PER_INVOCATION: u64 = 4 * 16;

/// Measures the memory bandwidth and the rate of arithmetic.
///
/// # Errors
/// If the device fails or has too little memory for the copied array.
pub(super) fn measure(context: &Context, pipelines: &Pipelines) -> Result<Peaks, DeviceError> {
    let Size { copied_bytes, n_invocations } =
        if context.is_software { SOFTWARE } else { HARDWARE };
    let limits = &context.limits;
    let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let bytes = copied_bytes.min(largest) / BYTES_PER_INVOCATION * BYTES_PER_INVOCATION;
    let shader = Shader::new("peak/copy");
    let n_copying = (bytes / BYTES_PER_INVOCATION) as usize;
    let copy = Kernel::new(context, pipelines, &shader, [bytes; 2], n_copying)?;
    let bytes_per_s = 2.0 * bytes as f64 / fastest(|n| copy.time(context, n))?;
    drop(copy);

    let shader = Shader::new("peak/multiply_add").constant("DEPTH", DEPTH);
    let sizes = [256, 4 * n_invocations as u64];
    let multiply_add = Kernel::new(context, pipelines, &shader, sizes, n_invocations)?;
    let flops = 2 * SUMS * DEPTH * n_invocations;
    let flops_per_s = flops as f64 / fastest(|n| multiply_add.time(context, n))?;
    Ok(Peaks { flops_per_s, bytes_per_s })
}

/// A kernel that reads one buffer and writes another, ready to be dispatched.
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Kernel {
    fn new(
        context: &Context,
        pipelines: &Pipelines,
        shader: &Shader,
        sizes: [u64; 2],
        n_invocations: usize,
    ) -> Result<Self, DeviceError> {
        let label = shader.path;
        let wanted = Wanted { label: label.to_string(), shader };
        let pipeline = pipelines.get(context, &[wanted])?.remove(0);
        let planned = sizes.iter().sum();
        let create = |bytes| context.create_buffer(label, bytes, STORAGE, planned);
        let [x, y] = [create(sizes[0])?, create(sizes[1])?];
        // The kernel repeats s = s * factor + term. With the factor 0.5 and the term 1, each s converges to 2. It does
        // not converge to 0, because arithmetic on zeros could be faster.
        context.queue.write_buffer(&x, 0, bytemuck::cast_slice(&[0.5_f32, 1.0]));
        let resources = [&x, &y].into_iter().map(wgpu::Buffer::as_entire_binding);
        let bindings = context.create_bind_group(label, &pipeline, resources);
        let bindings = bindings.map_err(|fault| context.error(fault))?;
        Ok(Self { pipeline, bindings, workgroups: grid(n_invocations) })
    }

    /// Returns the time of `n` dispatches in seconds, from their submission until the device is idle.
    fn time(&self, context: &Context, n: usize) -> Result<f64, DeviceError> {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bindings, &[]);
            let [x, y, z] = self.workgroups;
            (0..n).for_each(|_| pass.dispatch_workgroups(x, y, z));
        }
        let commands = encoder.finish();
        context.wait(None)?;
        let begun = Instant::now();
        context.queue.submit([commands]);
        context.wait(None)?;
        Ok(begun.elapsed().as_secs_f64())
    }
}
