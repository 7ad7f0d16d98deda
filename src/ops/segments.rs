//! Segments of a flat buffer of the state: consecutive members that one dispatch binds.
//!
//! A member is a parameter or running statistic, or the elements of another buffer that belong to it. A kernel over a
//! whole flat buffer is dispatched once for each segment. The buffer has one segment if the adapter can bind the whole
//! buffer and the kernel treats all members alike. Otherwise it may have several. The segments together have every
//! element once, padding included, in the order of the buffer. Kernels compute the same bits with one segment or many.

use crate::kernel::{Binding, Span};
use crate::tape::{NodeIo, Storage};

/// Consecutive members of a flat buffer, which one dispatch binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<G = ()> {
    /// The range of the segment's elements in the flat buffer, with the padding after each member.
    pub span: Span,
    /// True if the segment is the whole buffer.
    pub is_whole: bool,
    /// The result of the function that groups the members, an argument of `segments`. It is the same for all members
    /// of the segment.
    pub group: G,
}

impl<G> Segment<G> {
    /// Returns the number of elements in the segment, padding included.
    pub fn n_elements(self) -> usize {
        self.span.end - self.span.start
    }

    /// Returns a binding of the part of the node's input `i` that the segment covers.
    pub fn input(&self, i: usize) -> Binding {
        if self.is_whole { Binding::Input(i) } else { Binding::InputPart(i, self.span) }
    }

    /// Returns a binding of the part of the node's output `i` that the segment covers.
    pub fn output(&self, i: usize) -> Binding {
        if self.is_whole { Binding::Output(i) } else { Binding::OutputPart(i, self.span) }
    }
}

/// Returns the segments of the node's input `i`. All members of a segment have the same result of `group`, whose
/// argument is the number of a member in the layout. A
/// segment has at most `max_bytes` bytes; only a single member that is larger exceeds this. An input that is not a flat
/// buffer is one segment.
///
/// The iterator allocates no memory, so the implementations of ops on the CPU may use it during a step.
pub(super) fn segments<'a, G: Copy + PartialEq + Default + 'a>(
    io: &NodeIo<'a>,
    i: usize,
    max_bytes: Option<u64>,
    group: impl Fn(usize) -> G + 'a,
) -> impl Iterator<Item = Segment<G>> + 'a {
    let value = io.input(i);
    let n_elements = value.n_elements();
    let members = match value.storage {
        Storage::State { buffer, .. } => io.state().members(buffer),
        _ => &[],
    };
    let most = max_bytes.map_or(usize::MAX, |bytes| (bytes / 4) as usize);
    let (mut next, mut start) = (0, 0);
    let mut is_done = false;
    std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let first = if members.is_empty() { G::default() } else { group(next) };
        let end_of = |ix: usize| members.get(ix + 1).map_or(n_elements, |member| member.offset);
        let fits = |&ix: &usize| group(ix) == first && end_of(ix) - start <= most;
        // A segment has at least one member, even if the member alone is larger than the limit.
        let last = next + (next + 1..members.len()).take_while(fits).count();
        let span = Span { start, end: end_of(last) };
        next = last + 1;
        (start, is_done) = (span.end, next >= members.len());
        Some(Segment { span, is_whole: span == Span { start: 0, end: n_elements }, group: first })
    })
}

/// Returns the segments of the node's input `i` for a kernel that treats all members alike; see [`segments`].
pub(super) fn alike(
    io: &NodeIo<'_>,
    i: usize,
    max_bytes: Option<u64>,
) -> impl Iterator<Item = Segment> {
    segments(io, i, max_bytes, |_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::clip_grad_norm::norm;
    use crate::tape::{Initializer, Layout, Mode, Tape};

    /// Returns start, end and group of each segment of a flat buffer with five members, of which the third is large.
    /// With `by_rank`, the members of rank 1 are in another group than the others.
    fn of_members(max_bytes: Option<u64>, by_rank: bool) -> Vec<(usize, usize, bool)> {
        let mut tape = Tape::new("test", Mode::Train);
        let shapes: [&[usize]; 5] = [&[3, 5], &[64, 1], &[1000], &[65], &[2, 2]];
        for (ix, shape) in shapes.iter().enumerate() {
            tape.parameter(&format!("p{ix}"), shape, Layout::Plain, Initializer::Constant(0.0));
        }
        norm(&mut tape);
        let node = &tape.nodes()[0];
        let found =
            segments(&tape.io(node), 0, max_bytes, move |ix| !by_rank || shapes[ix].len() > 1);
        found.map(|segment| (segment.span.start, segment.span.end, segment.group)).collect()
    }

    #[test]
    fn segments_have_whole_members_of_one_group() {
        let all = 64 + 64 + 1024 + 128 + 64;
        assert_eq!(of_members(None, false), [(0, all, true)]);
        assert_eq!(of_members(None, true), [(0, 128, true), (128, 1280, false), (1280, all, true)]);
        let small = [(0, 128, true), (128, 1152, true), (1152, all, true)];
        assert_eq!(of_members(Some(4 * 200), false), small);
        let each = [(0, 64), (64, 128), (128, 1152), (1152, 1280), (1280, all)];
        assert_eq!(of_members(Some(1), false), each.map(|(start, end)| (start, end, true)));
    }

    #[test]
    fn a_tape_without_parameters_has_one_empty_segment() {
        let mut tape = Tape::new("test", Mode::Train);
        norm(&mut tape);
        let found: Vec<_> = alike(&tape.io(&tape.nodes()[0]), 0, Some(256)).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_whole && found[0].n_elements() == 0);
    }
}
