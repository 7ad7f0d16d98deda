//! The blocks of a network, and their deletion.

use wgrad::tape::{Node, Tape, ValueId};

use crate::study::lab::Trained;

/// A block of a network.
#[derive(Clone, Debug)]
pub struct Block {
    /// The name, such as `layer1.0`.
    pub name: String,
    /// The last layer with weights of the residual branch, such as `layer1.0.bn2`; none for a block of a plain network.
    pub last: Option<String>,
}

/// The ops that return zero for an input of zero. A branch may end in some of them.
const KEEP_ZERO: [&str; 4] = ["relu.forward", "leaky_relu.forward", "mul.forward", "scale.forward"];

/// Returns the blocks of a network, in order. Those of a residual network are its additions of a branch that is zero if
/// its last layer with weights is. Those of a plain network are its pairs of convolutions.
pub fn blocks(network: &Trained) -> Vec<Block> {
    let config = network.network;
    let tape = config.tape(config.network.default_image());
    let additions = tape.nodes().iter().filter(|node| node.op.name() == "add.forward");
    let residual = additions.filter_map(|addition| {
        let mut last = node_of(&tape, branch_of(&tape, addition))?;
        while KEEP_ZERO.contains(&last.op.name()) {
            last = node_of(&tape, last.inputs[0])?;
        }
        network.layout.find(&format!("{}.weight", last.scope))?;
        Some(Block { name: addition.scope.clone(), last: Some(last.scope.clone()) })
    });
    let residual: Vec<_> = residual.collect();
    if !residual.is_empty() {
        return residual;
    }
    let first = network.layout.parameters.iter();
    let names = first.filter_map(|entry| entry.name.strip_suffix(".conv1.weight"));
    names.map(|name| Block { name: name.to_string(), last: None }).collect()
}

/// Returns the node that computes a value; none for an input.
fn node_of(tape: &Tape, value: ValueId) -> Option<&Node> {
    tape.nodes().iter().find(|node| node.outputs.contains(&value))
}

/// Returns the branch among the two values that a block adds: the second one if it is computed from the first, which then
/// is the shortcut, else the first.
pub fn branch_of(tape: &Tape, addition: &Node) -> ValueId {
    let [first, second] = [addition.inputs[0], addition.inputs[1]];
    let mut from_first = vec![false; tape.values().len()];
    from_first[first.index()] = true;
    for node in tape.nodes() {
        let reads = node.inputs.iter().any(|input| from_first[input.index()]);
        node.outputs.iter().for_each(|output| from_first[output.index()] |= reads);
    }
    if from_first[second.index()] { second } else { first }
}

/// Returns all pairs of blocks whose weights have the same names and shapes.
pub fn pairs_of_one_shape(network: &Trained, blocks: &[Block]) -> Vec<[usize; 2]> {
    let shapes = |ix: usize| {
        let prefix = format!("{}.", blocks[ix].name);
        let members = network.layout.parameters.iter();
        let own =
            members.filter_map(|entry| Some((entry.name.strip_prefix(&prefix)?, &entry.shape)));
        own.collect::<Vec<_>>()
    };
    let all = (0..blocks.len()).flat_map(|b| (0..b).map(move |a| [a, b]));
    all.filter(|&[a, b]| shapes(a) == shapes(b)).collect()
}

impl Trained {
    /// Deletes a block: its shortcut takes its place. In a plain network, which has no shortcuts, it is the shortcut of
    /// the residual network: x, or every second row and column of x with channels of zeros.
    pub fn delete(&mut self, block: &Block) {
        match &block.last {
            Some(last) => {
                for part in self.names_below(&format!("{last}.")) {
                    if part == "weight" || part == "bias" {
                        self.member(&format!("{last}.{part}")).fill(0.0);
                    }
                }
            }
            None => {
                for layer in ["1", "2"] {
                    self.pass(&format!("{}.conv{layer}.weight", block.name));
                    let bn = format!("{}.bn{layer}", block.name);
                    // The batch norm divides by the root of the variance plus eps.
                    let numbers = [("weight", (1.0 + 1e-5_f32).sqrt()), ("running_var", 1.0)];
                    for (part, value) in
                        numbers.into_iter().chain([("bias", 0.0), ("running_mean", 0.0)])
                    {
                        self.member(&format!("{bn}.{part}")).fill(value);
                    }
                }
            }
        }
    }

    /// Makes a convolution copy the pixel in the middle of each window, into the middle channels.
    fn pass(&mut self, weight: &str) {
        let (_, entry) =
            self.layout.find(weight).unwrap_or_else(|| panic!("{weight}: no such weight"));
        let &[height, width, ci, co] = &entry.shape[..] else { panic!("{weight}: no convolution") };
        let (middle, before) = (height / 2 * width + width / 2, (co - ci) / 2);
        let weights = self.member(weight);
        weights.fill(0.0);
        (0..ci).for_each(|c| weights[(middle * ci + c) * co + before + c] = 1.0);
    }
}
