//! Dead-code elimination: removes each node whose outputs are read neither by another node nor by the host.

use crate::tape::{Storage, Tape};

/// Removes every node whose outputs are all transient, not read by another node, and not kept for the host. Returns the
/// number of removed nodes. One walk over the nodes from the end is enough, because a node comes before all readers of
/// its outputs.
pub fn eliminate_dead(tape: &mut Tape) -> usize {
    let before = tape.nodes().len();
    let mut read = vec![false; tape.values().len()];
    let mut alive = vec![false; before];
    for (ix, node) in tape.nodes().iter().enumerate().rev() {
        alive[ix] = node.outputs.iter().any(|&output| {
            let value = tape.value(output);
            value.storage != Storage::Transient || value.keep || read[output.index()]
        });
        if alive[ix] {
            node.inputs.iter().for_each(|input| read[input.index()] = true);
        }
    }
    tape.retain(|ix| alive[ix]);
    before - tape.nodes().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{relu, scale};
    use crate::tape::{ElementType, Mode};

    #[test]
    fn removes_chains_without_a_reader_and_keeps_the_rest() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        let y = relu::relu(&mut tape, x);
        tape.keep(y);
        let dead = scale::scale(&mut tape, y, 2.0);
        scale::scale(&mut tape, dead, 2.0);
        assert_eq!(eliminate_dead(&mut tape), 2);
        assert_eq!(tape.nodes().len(), 1);
    }
}
