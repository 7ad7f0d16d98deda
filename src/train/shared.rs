//! The work that a trainer shares with other ranks: the sum over their shards, and the metrics of their batches.

use std::ops::Range;
use std::rc::Rc;

use super::TrainState;
use crate::Error;
use crate::distributed::{Ranks, Reduction, Sums};
use crate::ops::metrics::Metrics;
use crate::tape::StateBuffer;

/// The reductions over ranks so far.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct ReductionTimes {
    /// Seconds from the copies of the finished sums to the copy of the total, the waits for other ranks included. The copy
    /// of a sum waits until the device has computed it.
    pub seconds: f64,
    /// The part of these seconds in which this rank waited until the others had begun the reduction.
    pub wait_seconds: f64,
    /// Bytes that this rank sent to all others.
    pub n_sent_bytes: u64,
}

impl ReductionTimes {
    /// Returns the times since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            seconds: self.seconds - earlier.seconds,
            wait_seconds: self.wait_seconds - earlier.wait_seconds,
            n_sent_bytes: self.n_sent_bytes - earlier.n_sent_bytes,
        }
    }
}

/// The ranks that share the shards of a step, and the buffers of their sum.
pub(super) struct Shared {
    pub(super) ranks: Rc<dyn Ranks>,
    reduction: Reduction,
    /// The sums that this rank has finished in the present step.
    finished: Sums,
    /// The total over all ranks: gradients, batch statistics, step metrics.
    total: Vec<f32>,
    pub(super) times: ReductionTimes,
}

impl Shared {
    /// Returns the ranks with room for a total of `n` elements.
    pub(super) fn new(ranks: Rc<dyn Ranks>, n: usize) -> Self {
        let (reduction, finished) = (Reduction::default(), Sums::new());
        let times = ReductionTimes::default();
        Self { ranks, reduction, finished, total: vec![0.0; n], times }
    }

    /// Copies a sum that this rank has finished from the device.
    pub(super) fn finish(
        &mut self,
        state: &mut TrainState,
        shards: Range<usize>,
    ) -> Result<(), Error> {
        let begun = self.ranks.seconds();
        let mut sum = Vec::with_capacity(self.total.len());
        for buffer in StateBuffer::REDUCED {
            sum.extend(state.session.read_state(buffer)?);
        }
        self.finished.push((shards, sum));
        self.times.seconds += self.ranks.seconds() - begun;
        Ok(())
    }

    /// Adds the sums of all ranks, and writes the total to the device.
    pub(super) fn reduce(&mut self, state: &mut TrainState, n_shards: usize) -> Result<(), Error> {
        let Self { ranks, reduction, finished, total, times } = self;
        let (begun, traffic) = (ranks.seconds(), ranks.traffic());
        reduction.sum(&**ranks, n_shards, finished, total);
        finished.clear();
        let mut rest = &total[..];
        for buffer in StateBuffer::REDUCED {
            let (values, tail) = rest.split_at(state.layout.n_elements(buffer));
            if !values.is_empty() {
                state.session.write_state(buffer, values)?;
            }
            rest = tail;
        }
        let (wait_seconds, n_sent_bytes) = ranks.traffic();
        times.seconds += ranks.seconds() - begun;
        times.wait_seconds += wait_seconds - traffic.0;
        times.n_sent_bytes += n_sent_bytes - traffic.1;
        Ok(())
    }
}

/// Returns the metrics of the batches of all ranks, in the order of the batches, and whether every rank has evaluated all
/// of its batches.
pub(super) fn gather(ranks: &dyn Ranks, own: &[Metrics], is_whole: bool) -> (Vec<Metrics>, bool) {
    let numbers = own.iter().flat_map(|m| [m.loss_sum, m.n_correct, m.n_images]);
    let numbers: Vec<f64> = [f64::from(is_whole)].into_iter().chain(numbers).collect();
    let (mut all, mut are_whole) = (Vec::new(), true);
    for bytes in ranks.all_gather(bytemuck::cast_slice(&numbers)) {
        let numbers: Vec<f64> = bytemuck::pod_collect_to_vec(&bytes);
        are_whole &= numbers[0] == 1.0;
        all.extend(numbers[1..].chunks_exact(3).map(|of| Metrics {
            loss_sum: of[0],
            n_correct: of[1],
            n_images: of[2],
            ..Metrics::default()
        }));
    }
    (all, are_whole)
}
