//! A part of a network's tape as a tape of its own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use wgrad::tape::{Node, Tape, ValueId};

/// A tape with a part of a network.
pub struct Slice {
    /// The nodes of the part, and the parameters that they read.
    pub tape: Tape,
    /// The input of the part, with a gradient.
    pub x: ValueId,
    /// The output of the part.
    pub y: ValueId,
}

/// Copies a part of a network to a new tape: `layer1.0` are the nodes of the module with this path, `<layer1` are the
/// nodes before those of `layer1`, and `>layer4` are the nodes behind those of `layer4`. The input has `batch` images.
///
/// # Panics
/// If the part has no nodes, or reads or makes more than one value that other nodes make or read.
pub fn slice(network: &Tape, part: &str, batch: usize) -> Slice {
    let range = range(network.nodes(), part);
    assert!(!range.is_empty(), "{part}: no node of {} belongs to it", network.name());
    let (nodes, later) = (&network.nodes()[range.clone()], &network.nodes()[range.end..]);
    let mut tape = Tape::new(part, network.mode());
    let mut ids: HashMap<ValueId, ValueId> = HashMap::new();
    let mut x = None;
    for node in nodes {
        for &id in &node.inputs {
            if ids.contains_key(&id) {
                continue;
            }
            let copy = match network.member_of(id) {
                Some(member) => {
                    let start = member.initializer;
                    tape.parameter(&member.name, &member.shape, member.layout, start)
                }
                None => {
                    let name = &network.value(id).name;
                    assert!(x.is_none(), "{part}: {name} is a second input");
                    let mut shape = network.shape(id).to_vec();
                    shape[0] = batch;
                    *x.insert(tape.input_with_grad("x", &shape))
                }
            };
            ids.insert(id, copy);
        }
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| ids[id]).collect();
        let outputs =
            tape.scoped(&node.scope, |tape| tape.push_shared(Arc::clone(&node.op), &inputs));
        ids.extend(node.outputs.iter().copied().zip(outputs));
    }
    let last = nodes[nodes.len() - 1].outputs[0];
    let mut made = nodes.iter().flat_map(|node| &node.outputs);
    let is_read = |id: &&ValueId| later.iter().any(|node| node.inputs.contains(id));
    let y = made.by_ref().find(is_read).copied().unwrap_or(last);
    let second = made.find(|id| **id != y && is_read(id));
    assert!(
        second.is_none(),
        "{part}: {} is a second output",
        network.value(*second.unwrap()).name
    );
    Slice { tape, x: x.expect("the part has an input"), y: ids[&y] }
}

/// Returns the positions of the nodes of a part.
fn range(nodes: &[Node], part: &str) -> Range<usize> {
    let path = part.trim_start_matches(['<', '>']);
    let is_in = |node: &Node| {
        node.scope.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let first = nodes.iter().position(is_in).unwrap_or(0);
    let end = nodes.iter().rposition(is_in).map_or(0, |last| last + 1);
    match part.chars().next() {
        Some('<') => 0..first,
        Some('>') => end..nodes.len(),
        _ => first..end,
    }
}
