//! A program: a tape's plan on the device, ready to be replayed.
//!
//! Loading does all the work: buffers, pipelines, bind groups. A replay only encodes dispatches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;

use wgpu::BufferUsages;

use super::context::Context;
use super::fault::Fault;
use super::pipelines::{Pipelines, Wanted};
use super::precompile::Job;
use super::readable_bytes;
use crate::device::DeviceError;
use crate::kernel::{Binding, Span};
use crate::passes::Plan;
use crate::passes::plan::{BufferKind, Placement};
use crate::tape::{Tape, ValueId};

/// The usage of buffers that shaders bind.
pub(super) const STORAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

/// The session's buffers that programs bind.
pub(super) struct Memory<'a> {
    /// The state's flat buffers, in the order of [`StateBuffer::ALL`](crate::tape::StateBuffer::ALL).
    pub(super) state: &'a [wgpu::Buffer],
    /// The buffer with the step's scalars, which shaders bind.
    pub(super) step: &'a wgpu::Buffer,
    /// The slots (buffers for transient values) that earlier programs of the session have added.
    pub(super) slots: &'a [wgpu::Buffer],
}

/// A loaded tape.
pub(super) struct Program {
    pub(super) tape: Arc<Tape>,
    pub(super) plan: Plan,
    /// The plan's buffers. The buffers of the state and of the shared slots belong to the session.
    buffers: Vec<wgpu::Buffer>,
    /// The dispatches, in the order of the nodes.
    dispatches: Vec<Dispatch>,
    /// The label of the compute passes, such as `resnet9 step`.
    label: String,
    /// True after the first call of [`Program::prepare`].
    is_prepared: bool,
}

/// A dispatch, ready to be encoded.
pub(super) struct Dispatch {
    node_ix: usize,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Dispatch {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// A dispatch of the plan, with its node and its label.
struct Planned<'a> {
    node_ix: usize,
    label: String,
    dispatch: &'a crate::kernel::Dispatch,
}

impl Program {
    /// Creates the buffers, pipelines and bind groups of a plan. The caller must check the plan against the device's
    /// limits first.
    ///
    /// # Errors
    /// If memory is short, or the device rejects a kernel or its bindings.
    pub(super) fn load(
        context: &Context,
        pipelines: &Pipelines,
        memory: &Memory<'_>,
        tape: &Arc<Tape>,
        plan: Plan,
    ) -> Result<Self, DeviceError> {
        let planned: Vec<Planned<'_>> = planned(tape, &plan).collect();
        let wanted: Vec<_> = planned
            .iter()
            .map(|p| Wanted { label: p.label.clone(), shader: &p.dispatch.shader })
            .collect();
        let pipelines = pipelines.get(context, &wanted)?;
        let buffers = buffers(context, memory, tape.name(), &plan)?;
        let numbers = numbers(context, tape.name(), &plan)?;
        let bind = |(planned, pipeline): (&Planned<'_>, wgpu::ComputePipeline)| {
            let resource =
                |binding| resource(tape, &plan, &buffers, &numbers, memory, planned, binding);
            let resources = planned.dispatch.bindings.iter().map(resource);
            let bindings = context.create_bind_group(&planned.label, &pipeline, resources);
            let bindings = bindings.map_err(|fault| refused(&planned.label, fault))?;
            let (node_ix, workgroups) = (planned.node_ix, planned.dispatch.workgroups);
            Ok(Dispatch { node_ix, pipeline, bindings, workgroups })
        };
        let dispatches = planned.iter().zip(pipelines).map(bind);
        let dispatches = dispatches.collect::<Result<Vec<_>, DeviceError>>()?;
        let label = format!("{} step", tape.name());
        let program =
            Self { tape: Arc::clone(tape), plan, buffers, dispatches, label, is_prepared: false };
        // Encodes a step once without submitting it. An invalid dispatch then fails at loading and not in the first
        // step.
        let rehearsal = context.scoped(|_| program.encode(context));
        rehearsal.map_err(|fault| refused(&program.label, fault))?;
        Ok(program)
    }

    /// Calls [`Pipelines::precompile`] for this program. Only the first call has an effect.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn prepare(
        &mut self,
        context: &Context,
        pipelines: &Pipelines,
    ) -> Result<(), DeviceError> {
        match mem::replace(&mut self.is_prepared, true) {
            true => Ok(()),
            false => pipelines.precompile(context, self.jobs()),
        }
    }

    /// Returns a job of the precompiler for each dispatch.
    pub(super) fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
        planned(&self.tape, &self.plan).zip(&self.dispatches).map(|(planned, dispatch)| Job {
            label: planned.label,
            pipeline: &dispatch.pipeline,
            bind_group: &dispatch.bindings,
            dispatch: planned.dispatch,
        })
    }

    /// Encodes one step as one compute pass.
    pub(super) fn encode(&self, context: &Context) -> wgpu::CommandBuffer {
        let label = Some(self.label.as_str());
        let descriptor = wgpu::CommandEncoderDescriptor { label };
        let mut encoder = context.device.create_command_encoder(&descriptor);
        {
            let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes: None };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for dispatch in &self.dispatches {
                dispatch.encode(&mut pass);
            }
        }
        encoder.finish()
    }

    /// Returns the session's slots, including those that this program added.
    pub(super) fn slots(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        let buffers = self.plan.buffers.iter().zip(&self.buffers);
        buffers
            .filter(|(planned, _)| matches!(planned.kind, BufferKind::Slot(_)))
            .map(|(_, buffer)| buffer)
    }

    /// Returns the dispatches of a node.
    pub(super) fn dispatches_of(&self, node_ix: usize) -> &[Dispatch] {
        let start = self.dispatches.partition_point(|dispatch| dispatch.node_ix < node_ix);
        let end = self.dispatches.partition_point(|dispatch| dispatch.node_ix <= node_ix);
        &self.dispatches[start..end]
    }

    /// Returns the buffer of a value, and the value's place in the buffer.
    ///
    /// # Panics
    /// If no node reads or computes the value.
    pub(super) fn place(&self, value: ValueId) -> (&wgpu::Buffer, Placement) {
        let placement = self.plan.placements[value.index()];
        let placement = placement.unwrap_or_else(|| {
            panic!("{value}: no node of the program reads or computes this value")
        });
        (&self.buffers[placement.buffer], placement)
    }
}

fn refused(label: &str, fault: Fault) -> DeviceError {
    match fault {
        Fault::Lost(reason) => DeviceError::Lost { reason },
        _ => DeviceError::Pipeline {
            label: label.to_string(),
            reason: fault.reason().trim().to_string(),
        },
    }
}

/// Returns the plan's dispatches in order. Labels start with the network's name. If a node has several dispatches,
/// their labels end with a number.
fn planned<'a>(tape: &'a Tape, plan: &'a Plan) -> impl Iterator<Item = Planned<'a>> {
    plan.launches.iter().enumerate().flat_map(move |(node_ix, launch)| {
        let node = format!("{}.{}", tape.name(), tape.nodes()[node_ix].label());
        launch.dispatches.iter().enumerate().map(move |(ix, dispatch)| {
            let label = match launch.dispatches.len() {
                1 => node.clone(),
                _ => format!("{node}.{ix}"),
            };
            Planned { node_ix, label, dispatch }
        })
    })
}

/// Returns the plan's buffers. The buffers of the state and the slots of earlier programs exist already; the function
/// creates the other buffers.
fn buffers(
    context: &Context,
    memory: &Memory<'_>,
    network: &str,
    plan: &Plan,
) -> Result<Vec<wgpu::Buffer>, DeviceError> {
    let total = plan.total_bytes();
    log::debug!("allocating {} for {network}", readable_bytes(total));
    let buffer = |planned: &crate::passes::plan::PlannedBuffer| match planned.kind {
        BufferKind::State(buffer) => Ok(memory.state[buffer.index()].clone()),
        BufferKind::Slot(ix) if planned.is_shared => Ok(memory.slots[ix].clone()),
        BufferKind::Input | BufferKind::Slot(_) => {
            let label = format!("{network}.{}", planned.label);
            context.create_buffer(&label, planned.bytes, STORAGE, total)
        }
    };
    plan.buffers.iter().map(buffer).collect()
}

/// Returns a uniform buffer for each number that a dispatch of the plan binds.
fn numbers(
    context: &Context,
    network: &str,
    plan: &Plan,
) -> Result<HashMap<u32, wgpu::Buffer>, DeviceError> {
    let mut numbers = HashMap::new();
    let dispatches = plan.launches.iter().flat_map(|launch| &launch.dispatches);
    for binding in dispatches.flat_map(|dispatch| &dispatch.bindings) {
        if let Binding::Number(number) = *binding
            && let Entry::Vacant(vacant) = numbers.entry(number)
        {
            let usage = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);
            let label = format!("{network}.number {number}");
            let buffer = context.create_buffer(&label, 4, usage, plan.total_bytes())?;
            context.queue.write_buffer(&buffer, 0, bytemuck::bytes_of(&number));
            vacant.insert(buffer);
        }
    }
    Ok(numbers)
}

/// Returns the resource at a binding of a dispatch.
fn resource<'a>(
    tape: &Tape,
    plan: &Plan,
    buffers: &'a [wgpu::Buffer],
    numbers: &'a HashMap<u32, wgpu::Buffer>,
    memory: &Memory<'a>,
    planned: &Planned<'_>,
    binding: &Binding,
) -> wgpu::BindingResource<'a> {
    let node = &tape.nodes()[planned.node_ix];
    let value = |id: ValueId| plan.placements[id.index()].expect("a value on a node has a place");
    let scratch = |ix: usize| plan.scratch[planned.node_ix][ix];
    let part = |whole: Placement, Span { start, end }| {
        let (start, bytes) = (4 * start as u64, 4 * (end - start) as u64);
        Placement { offset: whole.offset + start, bytes, ..whole }
    };
    let placement = match *binding {
        Binding::Input(input) => value(node.inputs[input]),
        Binding::Output(output) => value(node.outputs[output]),
        Binding::InputPart(input, span) => part(value(node.inputs[input]), span),
        Binding::OutputPart(output, span) => part(value(node.outputs[output]), span),
        Binding::Scratch(ix) => scratch(ix),
        Binding::ScratchPart(ix, span) => part(scratch(ix), span),
        Binding::Step => return memory.step.as_entire_binding(),
        Binding::Number(number) => return numbers[&number].as_entire_binding(),
    };
    // A value without elements is bound as 16 bytes, which is enough for any element type.
    let size = NonZeroU64::new(placement.bytes).or(NonZeroU64::new(16));
    let (buffer, offset) = (&buffers[placement.buffer], placement.offset);
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
}
