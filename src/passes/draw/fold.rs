//! Folding: of a run of equal blocks, the drawing shows the first block.
//!
//! A block is a sequence of nodes whose scopes begin with the same names, such as `layer3.7`. Two blocks are equal if
//! they have the same ops, attributes, shapes and wiring; names and parameters differ. The blocks of a run follow each
//! other on the tape, and each reads outputs of the one before.
//!
//! In some networks each block of a stage has more channels than the one before. A long run of such blocks is folded,
//! too. Fusion depends on the number of channels, so these blocks can have different fused nodes.

use std::collections::HashMap;
use std::ops::Range;

use crate::tape::{Node, Storage, Tape, Value, ValueId};

/// The nodes of a drawing.
#[derive(Default)]
pub(super) struct Folded<'a> {
    /// The nodes that have a box, in the order of the tape.
    pub(super) nodes: Vec<&'a Node>,
    /// The runs of equal blocks. A run inside the blocks of another run comes before it.
    pub(super) runs: Vec<Run>,
    /// For an output of a node without a box, the corresponding output of the run's first block.
    shown: HashMap<ValueId, ValueId>,
}

/// A run of equal blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// The nodes of the first block, as indices in [`Folded::nodes`].
    pub(super) nodes: Range<usize>,
    /// Number of blocks.
    pub(super) n_blocks: usize,
    /// Scope of the first block.
    pub(super) first: String,
    /// Scope of the last block.
    pub(super) last: String,
    /// False if the blocks differ in their numbers of channels.
    pub(super) is_equal: bool,
}

/// Smallest number of blocks in a run whose blocks differ in their numbers of channels.
const FEWEST_UNEQUAL: usize = 4;

impl<'a> Folded<'a> {
    /// Folds the nodes of a tape.
    pub(super) fn new(tape: &Tape, nodes: &[&'a Node]) -> Self {
        let mut folded = Self::default();
        folded.level(tape, nodes, 1);
        folded
    }

    /// Returns the value that the drawing has in place of `id`: for a value in a block without boxes, the corresponding
    /// value of the run's first block.
    pub(super) fn shown(&self, id: ValueId) -> ValueId {
        self.shown.get(&id).copied().unwrap_or(id)
    }

    /// Divides the nodes into blocks by the first `depth` names of their scopes, and appends the nodes of the blocks
    /// that are shown.
    fn level(&mut self, tape: &Tape, nodes: &[&'a Node], depth: usize) {
        let blocks: Vec<_> = nodes.chunk_by(|a, b| prefix(a, depth) == prefix(b, depth)).collect();
        let wirings: Vec<_> = blocks.iter().map(|block| Wiring::new(tape, block)).collect();
        let mut ix = 0;
        while ix < blocks.len() {
            let run = |repeats: fn(&Wiring, &Wiring) -> bool| {
                let repeats = |next: &usize| repeats(&wirings[*next], &wirings[next - 1]);
                1 + (ix + 1..blocks.len()).take_while(repeats).count()
            };
            let (n_equal, n_similar) = (run(Wiring::repeats), run(Wiring::resembles));
            // The first names of scopes are those of stages, whose numbers of channels a reader must see.
            let is_equal = depth == 1 || n_similar < FEWEST_UNEQUAL.max(n_equal + 1);
            let n_blocks = if is_equal { n_equal } else { n_similar };
            let (first, last) = (blocks[ix], blocks[ix + n_blocks - 1]);
            let start = self.nodes.len();
            match first.iter().all(|node| prefix(node, depth) == node.scope) {
                true => self.nodes.extend(first),
                false => self.level(tape, first, depth + 1),
            }
            for block in &blocks[ix + 1..ix + n_blocks] {
                self.hide(block, first);
            }
            if n_blocks > 1 {
                let [first, last] = [first, last].map(|block| prefix(block[0], depth).to_string());
                let nodes = start..self.nodes.len();
                self.runs.push(Run { nodes, n_blocks, first, last, is_equal });
            }
            ix += n_blocks;
        }
    }

    /// Stores the values of `first` as those that the drawing has in place of the values of `block`. The ends of the
    /// blocks correspond, even if fusion has made fewer nodes of one block than of the other.
    fn hide(&mut self, block: &[&Node], first: &[&Node]) {
        for (hidden, first) in block.iter().rev().zip(first.iter().rev()) {
            for (&hidden, &first) in hidden.outputs.iter().zip(&first.outputs) {
                self.shown.insert(hidden, self.shown(first));
            }
        }
    }
}

/// Returns the first `depth` names of a node's scope: `layer3.7` of `layer3.7.conv1` for depth 2.
fn prefix(node: &Node, depth: usize) -> &str {
    let mut dots = node.scope.match_indices('.').map(|(at, _)| at);
    &node.scope[..dots.nth(depth - 1).unwrap_or(node.scope.len())]
}

/// The source of a node's input, without the names of values.
#[derive(PartialEq)]
enum Source {
    /// A part of the state: a parameter or running statistic.
    State,
    /// An output of a node of the block: the index of the node, and that of the output.
    Inside(usize, usize),
    /// A value from outside, as an index in [`Wiring::outside`].
    Outside(usize),
}

/// The ops and the wiring of a block.
struct Wiring {
    /// For each node, its op, attributes and shapes as text.
    signatures: Vec<String>,
    /// The ops of all nodes and the shapes of their values, except the numbers of channels, as text.
    form: String,
    /// For each node, the sources of its inputs.
    sources: Vec<Vec<Source>>,
    /// The values from outside, in the order in which the nodes read them.
    outside: Vec<ValueId>,
    /// The outputs of the nodes, with the index of the node and that of the output.
    made: HashMap<ValueId, (usize, usize)>,
}

impl Wiring {
    fn new(tape: &Tape, block: &[&Node]) -> Self {
        let mut outside = Vec::new();
        let mut made = HashMap::new();
        let mut sources = Vec::with_capacity(block.len());
        for (ix, node) in block.iter().enumerate() {
            let source = |&id: &ValueId| match made.get(&id) {
                _ if matches!(tape.value(id).storage, Storage::State { .. }) => Source::State,
                Some(&(node, output)) => Source::Inside(node, output),
                None => {
                    Source::Outside(outside.iter().position(|&v| v == id).unwrap_or_else(|| {
                        outside.push(id);
                        outside.len() - 1
                    }))
                }
            };
            sources.push(node.inputs.iter().map(source).collect());
            made.extend(node.outputs.iter().enumerate().map(|(output, &id)| (id, (ix, output))));
        }
        let signatures = block.iter().map(|node| tape.signature(node)).collect();
        Self { signatures, form: form(tape, block), sources, outside, made }
    }

    /// Returns true if this block is equal to the block `before` it and reads an output of it.
    fn repeats(&self, before: &Self) -> bool {
        self.signatures == before.signatures
            && self.sources == before.sources
            && self.continues(before)
    }

    /// Returns true if this block and the block `before` it are equal except for numbers of channels, and this block
    /// reads an output of the other.
    fn resembles(&self, before: &Self) -> bool {
        self.form == before.form && self.continues(before)
    }

    /// Returns true if this block reads an output of the block `before` it, and otherwise the same values from outside.
    /// A single node is not a block.
    fn continues(&self, before: &Self) -> bool {
        let is_made = |id| before.made.contains_key(id);
        let pairs = || self.outside.iter().zip(&before.outside);
        self.sources.len() > 1
            && self.outside.len() == before.outside.len()
            && pairs().all(|(id, other)| id == other || is_made(id))
            && pairs().any(|(id, _)| is_made(id))
    }
}

/// Returns the ops of a block and the shapes of their values as text, without numbers of channels. The name of a fused
/// op is that of its parts, so the text is the same with and without fusion. Convolutions with different kernel sizes
/// have different texts.
fn form(tape: &Tape, block: &[&Node]) -> String {
    let name = |node: &&Node| node.op.name().split('.').next().unwrap_or_default().to_string();
    let names: Vec<_> = block.iter().map(name).collect();
    let inputs = block.iter().flat_map(|node| &node.inputs).map(|&id| tape.value(id));
    let mut shapes: Vec<_> = inputs.filter_map(form_of_value).collect();
    shapes.dedup();
    format!("{} {shapes:?}", names.join("_"))
}

/// Returns the size of a plane with the number of images, or that of a kernel; None for other values.
fn form_of_value(value: &Value) -> Option<&[usize]> {
    match (value.storage, &value.shape[..]) {
        (Storage::State { .. }, [kernel @ .., _, _]) if kernel.len() == 2 => Some(kernel),
        (Storage::Input | Storage::Transient, [plane @ .., _]) if plane.len() == 3 => Some(plane),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::add, channel_pad::channel_pad, relu::relu, scale::scale};
    use crate::tape::{ElementType, Mode};

    /// Records a residual block, `x + scale(relu(x))`, and returns its output.
    fn block(tape: &mut Tape, scope: &str, x: ValueId, factor: f32) -> ValueId {
        let y = tape.scoped(&format!("{scope}.relu"), |tape| relu(tape, x));
        let y = tape.scoped(&format!("{scope}.scale"), |tape| scale(tape, y, factor));
        tape.scoped(scope, |tape| add(tape, x, y))
    }

    /// Records a tape, and returns the ops of the nodes that are shown, and the runs as texts.
    fn fold(record: impl FnOnce(&mut Tape, ValueId)) -> (Vec<&'static str>, Vec<String>) {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        record(&mut tape, x);
        let nodes: Vec<&Node> = tape.nodes().iter().collect();
        let folded = Folded::new(&tape, &nodes);
        let ops = folded.nodes.iter().map(|node| node.op.name().split('.').next().expect("a name"));
        let run = |Run { nodes, n_blocks, first, last, is_equal }: &Run| {
            let equal = if *is_equal { "equal" } else { "similar" };
            format!("{n_blocks} {equal} x {nodes:?}, {first} to {last}")
        };
        (ops.collect(), folded.runs.iter().map(run).collect())
    }

    #[test]
    fn of_equal_blocks_the_first_is_shown() {
        let (ops, runs) = fold(|tape, x| {
            let x = block(tape, "stem", x, 2.0);
            let x = (0..5).fold(x, |x, ix| block(tape, &format!("a.{ix}"), x, 3.0));
            (0..3).fold(x, |x, ix| block(tape, &format!("b.{ix}"), x, 4.0));
        });
        assert_eq!(ops, ["relu", "scale", "add"].repeat(3));
        assert_eq!(runs, ["5 equal x 3..6, a.0 to a.4", "3 equal x 6..9, b.0 to b.2"]);
    }

    #[test]
    fn a_reader_of_the_last_block_reads_the_first() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        let first = block(&mut tape, "a.0", x, 2.0);
        let last = (1..4).fold(first, |x, ix| block(&mut tape, &format!("a.{ix}"), x, 2.0));
        let nodes: Vec<&Node> = tape.nodes().iter().collect();
        let folded = Folded::new(&tape, &nodes);
        assert_eq!([x, first, last].map(|id| folded.shown(id)), [x, first, first]);
    }

    #[test]
    fn blocks_with_other_ops_attributes_or_wiring_are_shown() {
        let differs = |record: fn(&mut Tape, ValueId, ValueId) -> ValueId| {
            let (ops, runs) = fold(|tape, x| {
                let y = block(tape, "a.0", x, 2.0);
                record(tape, x, y);
            });
            assert_eq!(runs, [""; 0]);
            assert_eq!(ops.len(), 6);
        };
        // Another attribute.
        differs(|tape, _, y| block(tape, "a.1", y, 3.0));
        // The addition has its inputs in another order.
        differs(|tape, _, y| {
            let z = tape.scoped("a.1.relu", |tape| relu(tape, y));
            let z = tape.scoped("a.1.scale", |tape| scale(tape, z, 2.0));
            tape.scoped("a.1", |tape| add(tape, z, y))
        });
        // Another op.
        differs(|tape, _, y| {
            let z = tape.scoped("a.1.relu", |tape| relu(tape, y));
            let z = tape.scoped("a.1.scale", |tape| relu(tape, z));
            tape.scoped("a.1", |tape| add(tape, y, z))
        });
        // The block reads the input of the first block, so the blocks are parallel.
        differs(|tape, x, _| block(tape, "a.1", x, 2.0));
    }

    #[test]
    fn blocks_with_other_shapes_are_shown() {
        let (ops, runs) = fold(|tape, x| {
            block(tape, "a.0", x, 2.0);
            let x = tape.input("other", ElementType::F32, &[8]);
            block(tape, "a.1", x, 2.0);
        });
        assert_eq!((ops.len(), runs.len()), (6, 0));
    }

    #[test]
    fn a_block_of_a_run_can_have_runs() {
        let (ops, runs) = fold(|tape, x| {
            (0..3).fold(x, |x, outer| {
                let x = (0..4).fold(x, |x, ix| block(tape, &format!("a.{outer}.{ix}"), x, 2.0));
                tape.scoped(&format!("a.{outer}"), |tape| relu(tape, x))
            });
        });
        assert_eq!(ops, ["relu", "scale", "add", "relu"]);
        assert_eq!(runs, ["4 equal x 0..3, a.0.0 to a.0.3", "3 equal x 0..4, a.0 to a.2"]);
    }
    /// Records `n` blocks, each with one channel more than the block before.
    fn wider(tape: &mut Tape, scope: &str, x: ValueId, n: usize) -> ValueId {
        (0..n).fold(x, |x, ix| {
            tape.scoped(&format!("{scope}{ix}"), |tape| {
                let x = channel_pad(tape, x, 0, 1);
                relu(tape, x)
            })
        })
    }

    #[test]
    fn a_long_run_of_blocks_that_become_wider_is_folded_inside_a_stage() {
        let (ops, runs) = fold(|tape, x| _ = wider(tape, "a.", x, 4));
        assert_eq!(ops, ["channel_pad", "relu"]);
        assert_eq!(runs, ["4 similar x 0..2, a.0 to a.3"]);
        let (ops, runs) = fold(|tape, x| _ = wider(tape, "a.", x, 3));
        assert_eq!((ops.len(), runs.len()), (6, 0), "a short run");
        let (ops, runs) = fold(|tape, x| _ = wider(tape, "stage", x, 4));
        assert_eq!((ops.len(), runs.len()), (8, 0), "stages");
        let (ops, runs) = fold(|tape, x| {
            let x = wider(tape, "a.", x, 4);
            (4..7).fold(x, |x, ix| block(tape, &format!("a.{ix}"), x, 2.0));
        });
        assert_eq!(ops, ["channel_pad", "relu", "relu", "scale", "add"]);
        assert_eq!(runs, ["4 similar x 0..2, a.0 to a.3", "3 equal x 2..5, a.4 to a.6"]);
    }
}
