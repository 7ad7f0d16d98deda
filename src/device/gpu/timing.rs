//! Measures the time of every node of a program.
//!
//! If the device can write timestamps inside a compute pass, it writes one between two nodes, and the step stays one
//! compute pass. Apple's GPUs write a timestamp only at the beginning and at the end of a compute pass, so each node
//! gets a compute pass of its own. On a device without timestamps, the host submits each node alone, and waits for it.

use wgpu::{BufferUsages, Features};

use super::context::Context;
use super::program::Program;
use super::readback::Reader;
use crate::base::clock::Instant;
use crate::device::pending::block_on;
use crate::device::{Clock, DeviceError, NodeTimes};

/// The buffers for the timestamps of one program.
struct Queries {
    set: wgpu::QuerySet,
    n: u32,
    /// The timestamps in ticks of the device's clock, `[n]` u64.
    ticks: wgpu::Buffer,
}

/// Times the programs of a session. It allocates nothing before its first use.
#[derive(Default)]
pub(super) struct Timer {
    queries: Option<Queries>,
}

impl Timer {
    /// Runs a program once, and waits for the end of the run. Call this function only after the scalars of the step are
    /// written to the device. The device must support `clock`.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn run(
        &mut self,
        context: &Context,
        program: &Program,
        reader: &mut Reader,
        clock: Clock,
    ) -> Result<NodeTimes, DeviceError> {
        let n_nodes = program.tape.nodes().len();
        let n_queries = match clock {
            Clock::BetweenNodes => n_nodes + 1,
            Clock::AroundPasses => 2 * n_nodes,
            Clock::Host | Clock::SubmitAndWait => {
                let seconds = submit_and_wait(context, program)?;
                return Ok(NodeTimes { seconds, clock });
            }
        };
        let queries = self.queries(context, n_queries as u32)?;
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("timed step") };
        let mut encoder = context.device.create_command_encoder(&descriptor);
        match clock {
            Clock::BetweenNodes => between_nodes(&mut encoder, program, &queries.set),
            _ => around_passes(&mut encoder, program, &queries.set),
        }
        encoder.resolve_query_set(&queries.set, 0..n_queries as u32, &queries.ticks, 0);
        context.queue.submit([encoder.finish()]);
        let ticks = reader.read(context, &queries.ticks, 0, 8 * n_queries as u64);
        let ticks: Vec<u64> = block_on(ticks)?;
        let intervals: Vec<[u64; 2]> = match clock {
            Clock::BetweenNodes => ticks.windows(2).map(|pair| [pair[0], pair[1]]).collect(),
            _ => ticks.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect(),
        };
        let tick = f64::from(context.queue.get_timestamp_period()) * 1e-9;
        // A device clock with few bits can overflow and start again from 0 during a step. An interval that is negative
        // for this reason counts as 0.
        let seconds = intervals.iter().map(|[from, to]| tick * to.saturating_sub(*from) as f64);
        Ok(NodeTimes { seconds: seconds.collect(), clock })
    }

    fn queries(&mut self, context: &Context, n: u32) -> Result<&Queries, DeviceError> {
        let queries = match self.queries.take().filter(|queries| queries.n >= n) {
            Some(queries) => queries,
            None => {
                let usage = BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC;
                let bytes = 8 * u64::from(n);
                let ticks = context.create_buffer("timestamps", bytes, usage, bytes)?;
                let set = context.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: n,
                });
                Queries { set, n, ticks }
            }
        };
        Ok(self.queries.insert(queries))
    }
}

/// Returns the best clock for a program of `n_nodes` nodes on a device with these features.
pub(super) fn best_clock(features: Features, n_nodes: usize) -> Clock {
    let fits = |n_queries: usize| n_queries <= wgpu::QUERY_SET_MAX_QUERIES as usize;
    if features.contains(Features::TIMESTAMP_QUERY_INSIDE_PASSES) && fits(n_nodes + 1) {
        Clock::BetweenNodes
    } else if features.contains(Features::TIMESTAMP_QUERY) && fits(2 * n_nodes) {
        Clock::AroundPasses
    } else {
        Clock::SubmitAndWait
    }
}

/// Encodes one compute pass, as in a step without a clock, with a timestamp before the first node and after each node.
/// The device writes a timestamp after all earlier work.
fn between_nodes(encoder: &mut wgpu::CommandEncoder, program: &Program, set: &wgpu::QuerySet) {
    let descriptor = wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes: None };
    let mut pass = encoder.begin_compute_pass(&descriptor);
    pass.write_timestamp(set, 0);
    for node_ix in 0..program.tape.nodes().len() {
        for dispatch in program.dispatches_of(node_ix) {
            dispatch.encode(&mut pass);
        }
        pass.write_timestamp(set, node_ix as u32 + 1);
    }
}

/// Encodes one compute pass per node, with a timestamp at the beginning and at the end of the compute pass.
fn around_passes(encoder: &mut wgpu::CommandEncoder, program: &Program, set: &wgpu::QuerySet) {
    for node_ix in 0..program.tape.nodes().len() {
        let first = 2 * node_ix as u32;
        let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
            query_set: set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        });
        let descriptor = wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        for dispatch in program.dispatches_of(node_ix) {
            dispatch.encode(&mut pass);
        }
    }
}

/// Submits each node alone, and returns the time from each submission until the device is idle, in seconds.
fn submit_and_wait(context: &Context, program: &Program) -> Result<Vec<f64>, DeviceError> {
    context.wait(None)?;
    let time = |node_ix: usize| {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("timed node") };
        let mut encoder = context.device.create_command_encoder(&descriptor);
        {
            let descriptor =
                wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes: None };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for dispatch in program.dispatches_of(node_ix) {
                dispatch.encode(&mut pass);
            }
        }
        let commands = encoder.finish();
        let begun = Instant::now();
        context.queue.submit([commands]);
        context.wait(None)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    (0..program.tape.nodes().len()).map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_best_that_the_device_has() {
        let all = Features::TIMESTAMP_QUERY | Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        assert_eq!(best_clock(all, 81), Clock::BetweenNodes);
        assert_eq!(best_clock(Features::TIMESTAMP_QUERY, 81), Clock::AroundPasses);
        assert_eq!(best_clock(Features::empty(), 81), Clock::SubmitAndWait);
        // A query set holds at most 4,096 timestamps. 4,096 nodes need 4,097: one before the first node, and one after
        // each node.
        assert_eq!(best_clock(all, 4096), Clock::SubmitAndWait);
        assert_eq!(best_clock(all, 4095), Clock::BetweenNodes);
    }
}
