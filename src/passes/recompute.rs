//! Recomputation, also called activation checkpointing: the backward pass computes values of the forward pass again, in
//! place of keeping them (Chen et al., *Training Deep Nets with Sublinear Memory Cost*, 2016).
//!
//! ```text
//! kept           x0 ─► forward of segment 0 ─► x1 ─► forward of segment 1 ─► x2 ─► forward of segment 2 ─► loss
//! backward of 2      reads what the forward pass has just computed
//! backward of 1      x1 ─► the nodes of segment 1 again ─► their values ─► the gradients of segment 1
//! backward of 0      x0 ─► the nodes of segment 0 again ─► their values ─► the gradients of segment 0
//! ```
//!
//! The forward pass is cut into segments. A value that crosses a cut is kept. A value inside a segment is free after its
//! last reader in the forward pass; in front of the first node of the backward pass that reads such a value, copies of
//! the segment's nodes compute it again. A copy has the same op and the same inputs as its node, so it gives the same
//! bits. The last segment has no copies, because the backward pass begins with it.
//!
//! The function `cuts` chooses the segments: those with the smallest estimate of the largest memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::tape::{Node, Phase, Storage, Tape, ValueId};

/// Rewrites a tape with a forward and a backward pass so that the backward pass recomputes values. Returns the number of
/// copied nodes: 0 if no cut makes the memory smaller.
///
/// # Panics
/// If the nodes of the forward pass are not the first nodes of the tape.
pub fn recompute(tape: &mut Tape) -> usize {
    let forward = Forward::new(tape);
    let cuts = cuts(&forward);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let segments: Vec<_> = starts.zip(&cuts).map(|(start, &end)| start..end).collect();
    let n_nodes = tape.nodes().len();
    // The copies of each segment, and the node in front of which they run.
    let mut copies: BTreeMap<usize, Range<usize>> = BTreeMap::new();
    for segment in segments {
        let nodes = forward.nodes_again(tape, &segment);
        let Some(reader) = forward.first_reader(tape, &segment) else { continue };
        let first = tape.nodes().len();
        let mut again = BTreeMap::new();
        for ix in nodes {
            copy(tape, ix, &mut again);
            again.retain(|id, _| forward.is_inside(*id, &segment));
        }
        tape.redirect(forward.n_nodes..n_nodes, &again);
        copies.insert(reader, first..tape.nodes().len());
    }
    let n_copies = tape.nodes().len() - n_nodes;
    let mut order = Vec::with_capacity(tape.nodes().len());
    for ix in 0..n_nodes {
        order.extend(copies.get(&ix).cloned().unwrap_or_default());
        order.push(ix);
    }
    tape.reorder(&order);
    n_copies
}

/// Appends a copy of the node `ix`. `again` is a map from values to those that copies compute: the copy reads the latter,
/// and its outputs are added to the map.
fn copy(tape: &mut Tape, ix: usize, again: &mut BTreeMap<ValueId, ValueId>) {
    let Node { op, inputs, outputs, scope, .. } = tape.nodes()[ix].clone();
    let inputs: Vec<_> = inputs.iter().map(|id| again.get(id).copied().unwrap_or(*id)).collect();
    let made = tape.scoped(&scope, |tape| {
        tape.in_phase(Phase::Backward, |tape| tape.push_shared(op, &inputs))
    });
    again.extend(outputs.into_iter().zip(made));
}

/// The values of a forward pass, and the nodes that compute and read them.
struct Forward {
    /// Number of nodes of the forward pass.
    n_nodes: usize,
    values: Vec<Use>,
}

/// The values of which so many have the size of the largest value are small. They are kept, such as the means of a batch
/// norm: a copy of the node that computes them would take the time of a whole tensor.
const SMALL: u64 = 1024;

/// The nodes of a value. A value of the state, an input, a value that the host reads, and a small value are never
/// computed again, so they have no maker here.
#[derive(Clone, Copy, Default)]
struct Use {
    /// The node of the forward pass that computes the value.
    maker: Option<usize>,
    /// The last node of the forward pass that reads the value.
    last_reader: usize,
    /// The first node behind the forward pass that reads the value.
    later_reader: Option<usize>,
    bytes: u64,
}

impl Forward {
    fn new(tape: &Tape) -> Self {
        let is_forward = |node: &Node| node.phase == Phase::Forward;
        let n_nodes = tape.nodes().iter().take_while(|node| is_forward(node)).count();
        let is_split = tape.nodes()[n_nodes..].iter().any(is_forward);
        assert!(!is_split, "recompute: the forward pass must be the first part of the tape");
        let mut values = vec![Use::default(); tape.values().len()];
        for (ix, node) in tape.nodes().iter().enumerate() {
            for input in &node.inputs {
                let value = &mut values[input.index()];
                match ix < n_nodes {
                    true => value.last_reader = ix,
                    false => _ = value.later_reader.get_or_insert(ix),
                }
            }
        }
        let outputs = |ix: usize| tape.nodes()[ix].outputs.iter().map(move |&id| (ix, id));
        let outputs: Vec<_> = (0..n_nodes).flat_map(outputs).collect();
        let largest = outputs.iter().map(|&(_, id)| tape.value(id).bytes()).max().unwrap_or(0);
        for (ix, output) in outputs {
            let value = tape.value(output);
            let is_small = value.bytes() < largest / SMALL;
            if value.storage == Storage::Transient && !value.keep && !is_small {
                let made = &mut values[output.index()];
                (made.maker, made.bytes) = (Some(ix), value.bytes());
            }
        }
        Self { n_nodes, values }
    }

    /// Returns true for a value that the nodes of a segment compute and that does not cross the end of the segment.
    fn is_inside(&self, id: ValueId, segment: &Range<usize>) -> bool {
        let value = &self.values[id.index()];
        value.maker.is_some_and(|maker| segment.contains(&maker)) && value.last_reader < segment.end
    }

    /// Returns the nodes of a segment that run again, in order: those that compute values inside of it which the
    /// backward pass reads, and those that compute their inputs.
    fn nodes_again(&self, tape: &Tape, segment: &Range<usize>) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut again = BTreeSet::new();
        for ix in segment.clone().rev() {
            let node = &tape.nodes()[ix];
            let is_needed = |id: &ValueId| {
                let is_read = self.values[id.index()].later_reader.is_some();
                self.is_inside(*id, segment) && (is_read || needed.contains(id))
            };
            if node.outputs.iter().any(is_needed) {
                needed.extend(node.inputs.iter().copied());
                again.insert(ix);
            }
        }
        again
    }

    /// Returns the first node behind the forward pass that reads a value inside a segment.
    fn first_reader(&self, tape: &Tape, segment: &Range<usize>) -> Option<usize> {
        let outputs = tape.nodes()[segment.clone()].iter().flat_map(|node| &node.outputs);
        let inside = outputs.filter(|id| self.is_inside(**id, segment));
        inside.filter_map(|id| self.values[id.index()].later_reader).min()
    }
}

/// The number of budgets that [`cuts`] tries.
const N_BUDGETS: u32 = 48;

/// Returns the nodes in front of which the forward pass is cut, in ascending order.
///
/// A budget is the number of bytes that the backward pass reads from one segment. For each of several budgets, from that
/// of the largest value to that of the whole pass, [`Sizes::cut`] fills segment after segment. The result is the list of
/// cuts with the least [`Sizes::peak`], without cuts if no list is better.
fn cuts(forward: &Forward) -> Vec<usize> {
    let sizes = Sizes::new(forward);
    let whole = sizes.kept[forward.n_nodes];
    let least = sizes.largest.max(1) as f64;
    let ratio = (whole as f64 / least).max(1.0);
    let budgets =
        (0..N_BUDGETS).map(|step| least * ratio.powf(f64::from(step) / f64::from(N_BUDGETS)));
    let candidates = budgets.map(|budget| sizes.cut(budget as u64));
    let best = candidates.min_by_key(|cuts| (sizes.peak(cuts), cuts.len()));
    best.filter(|cuts| sizes.peak(cuts) < sizes.peak(&[])).unwrap_or_default()
}

/// The bytes of the values of a forward pass, by position: position i lies in front of node i.
struct Sizes {
    /// Bytes of the values that are computed before a position and read by the backward pass.
    kept: Vec<u64>,
    /// Bytes of the values that are computed before a position and read behind it by the forward pass.
    crossing: Vec<u64>,
    /// Bytes of the largest value that the backward pass reads.
    largest: u64,
}

impl Sizes {
    fn new(forward: &Forward) -> Self {
        let n = forward.n_nodes;
        // First the changes from each position to the next, then their running sums.
        let (mut kept, mut crossing) = (vec![0_i64; n + 2], vec![0_i64; n + 2]);
        let mut largest = 0;
        for value in &forward.values {
            let (Some(maker), bytes) = (value.maker, value.bytes as i64) else { continue };
            if value.later_reader.is_some() {
                kept[maker + 1] += bytes;
                largest = largest.max(value.bytes);
            }
            if value.last_reader > maker {
                crossing[maker + 1] += bytes;
                crossing[value.last_reader + 1] -= bytes;
            }
        }
        let sums = |changes: Vec<i64>| {
            let mut sum = 0;
            let add = |change: i64| {
                sum += change;
                sum as u64
            };
            changes.into_iter().map(add).collect()
        };
        Self { kept: sums(kept), crossing: sums(crossing), largest }
    }

    /// Returns cuts between segments of at most `budget` kept bytes, as far as values allow it. A cut is at the position
    /// with the fewest crossing bytes in the second half of the segment that the budget allows; of equal positions at
    /// the last.
    fn cut(&self, budget: u64) -> Vec<usize> {
        let n = self.kept.len() - 2;
        let mut cuts = Vec::new();
        let mut start = 0;
        loop {
            let before = self.kept[start];
            let within = |part: u64| self.kept.partition_point(|&kept| kept <= before + part) - 1;
            let end = within(budget).max(start + 1);
            if end >= n {
                return cuts;
            }
            let half = within(budget / 2).clamp(start + 1, end);
            let best = (half..=end).rev().min_by_key(|&position| self.crossing[position]);
            start = best.expect("the range has its end");
            cuts.push(start);
        }
    }

    /// Returns an estimate of the largest number of bytes that values of the forward pass take during the backward pass:
    /// those that cross the cuts up to a segment, and those that the backward pass of this segment reads. A value that
    /// crosses several cuts counts several times.
    fn peak(&self, cuts: &[usize]) -> u64 {
        let n = self.kept.len() - 2;
        let (mut start, mut crossing, mut peak) = (0, 0, 0);
        for &end in cuts.iter().chain([&n]) {
            peak = peak.max(crossing + self.kept[end] - self.kept[start]);
            crossing += self.crossing[end];
            start = end;
        }
        peak
    }
}
