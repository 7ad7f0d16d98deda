//! Nodes whose results nobody reads are dropped.

use crate::tape::{Storage, Tape};

impl Tape {
    /// Drops every node that makes only transient values that are neither read nor kept, and returns
    /// how many went. One walk from the end is enough: a reader stands behind what it reads.
    pub fn eliminate_dead(&mut self) -> usize {
        let before = self.nodes.len();
        let mut read = vec![false; self.values().len()];
        let mut alive = vec![false; before];
        for (ix, node) in self.nodes.iter().enumerate().rev() {
            alive[ix] = node.outputs.iter().any(|&output| {
                let value = self.value(output);
                value.storage != Storage::Transient || value.keep || read[output.index()]
            });
            if alive[ix] {
                node.inputs.iter().for_each(|input| read[input.index()] = true);
            }
        }
        let mut alive = alive.into_iter();
        self.nodes.retain(|_| alive.next().expect("one flag a node"));
        before - self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{relu, scale};
    use crate::tape::{ElementType, Mode, Tape};

    #[test]
    fn drops_chains_that_nobody_reads_and_keeps_the_rest() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        let y = relu::relu(&mut tape, x);
        tape.keep(y);
        let dead = scale::scale(&mut tape, y, 2.0);
        scale::scale(&mut tape, dead, 2.0);
        assert_eq!(tape.eliminate_dead(), 2);
        assert_eq!(tape.nodes().len(), 1);
    }
}
