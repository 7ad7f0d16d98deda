//! Allows Winograd's algorithm for convolutions with a 3x3 kernel.
//!
//! The algorithm needs 2.25 times fewer multiplications than the definition of the convolution, but it adds in another
//! order, so its results differ in their last digits. The rule sets a field of the convolution, and the backward pass
//! copies the field to the two gradients. It merges no nodes. Each device uses the algorithm only for shapes for which
//! it saves time there. Derivation: `docs/ops/conv2d.md`.

use std::sync::Arc;

use crate::ops::conv2d::{Conv2dForward, winograd};
use crate::tape::Rewriter;

/// Allows the algorithm for every convolution that [`winograd::fits`]. Returns the number of rewrites.
pub(super) fn apply(tape: &mut Rewriter<'_>) -> usize {
    let mut n_rewritten = 0;
    for ix in 0..tape.n_nodes() {
        if let Some(conv) = find(tape, ix) {
            let node = tape.node(ix).expect("found").clone();
            let outputs: Vec<_> = node.outputs.into_iter().map(Some).collect();
            tape.replace(&[ix], Arc::new(conv), &node.inputs, &outputs);
            n_rewritten += 1;
        }
    }
    n_rewritten
}

fn find(tape: &Rewriter<'_>, ix: usize) -> Option<Conv2dForward> {
    let conv: &Conv2dForward = tape.op(ix)?;
    let weight = &tape.value(tape.node(ix)?.inputs[1]).shape;
    let fits = !conv.winograd && winograd::fits(&conv.conv, weight);
    fits.then(|| Conv2dForward { winograd: true, ..conv.clone() })
}

#[cfg(test)]
mod tests {
    use crate::ops::conv2d::{Conv2d, conv2d};
    use crate::passes::fuse::Fusion;
    use crate::passes::{backward_from, fuse};
    use crate::tape::{ElementType, Mode, Tape};

    /// Records a convolution of `ci` to 128 channels and its gradients, and returns which of its three nodes may use
    /// Winograd's algorithm.
    fn marked(ci: usize, conv: Conv2d, fusion: Fusion) -> Vec<bool> {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8, 8, ci]);
        let [kernel_h, kernel_w] = conv.window.size;
        let shape = [kernel_h, kernel_w, ci / conv.groups, 128];
        let weight = tape.input_with_grad("weight", &shape);
        let y = conv2d(&mut tape, x, weight, None, conv);
        tape.keep(y);
        fuse(&mut tape, fusion);
        let shape = tape.shape(y).to_vec();
        let d_y = tape.input("d_y", ElementType::F32, &shape);
        backward_from(&mut tape, &[(y, d_y)]);
        tape.nodes().iter().map(|node| node.op.attributes().ends_with(", Winograd")).collect()
    }

    #[test]
    fn the_convolution_and_its_gradients_are_marked() {
        let same = Conv2d::square(3, 1, 1);
        assert_eq!(marked(64, same, Fusion::ALL), [true; 3]);
        assert_eq!(marked(64, same, Fusion { winograd: false, ..Fusion::ALL }), [false; 3]);
        assert_eq!(marked(64, Conv2d::square(3, 1, 0), Fusion::ALL), [true; 3], "any padding");
    }

    #[test]
    fn other_kernels_strides_groups_and_few_channels_are_not_marked() {
        let grouped = Conv2d { groups: 2, ..Conv2d::square(3, 1, 1) };
        for conv in [Conv2d::square(3, 2, 1), Conv2d::square(1, 1, 0), grouped] {
            assert_eq!(marked(64, conv, Fusion::ALL), [false; 3]);
        }
        assert_eq!(marked(63, Conv2d::square(3, 1, 1), Fusion::ALL), [false; 3]);
    }
}
