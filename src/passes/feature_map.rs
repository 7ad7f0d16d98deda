//! The search for the last feature map of a network, the values in front of the pool over the whole plane.

use crate::tape::{ElementType, Tape, ValueId};

/// Returns the last feature map of a forward pass on `images`, `[N, H, W, C]`: the last real value with four axes and
/// more than one position (H·W above 1) through which all later nodes read the images. Returns `images` if no node
/// computes such a value.
///
/// No later node reads a value that was computed before the map, as the sum at the end of a residual block does inside
/// the block. So the logits are a function of the map.
pub fn feature_map(tape: &Tape, images: ValueId) -> ValueId {
    let is_map = |id: ValueId| {
        let value = tape.value(id);
        let has_positions = matches!(value.shape[..], [_, h, w, _] if h * w > 1);
        has_positions && value.element == ElementType::F32
    };
    // The position of the node that computes each value, from 1; 0 for the images. Other inputs and the members of the
    // state do not depend on the images.
    let mut made_at = vec![usize::MAX; tape.values().len()];
    made_at[images.index()] = 0;
    for (ix, node) in tape.nodes().iter().enumerate() {
        node.outputs.iter().for_each(|id| made_at[id.index()] = ix + 1);
    }
    let mut first_read = usize::MAX;
    for (ix, node) in tape.nodes().iter().enumerate().rev() {
        let candidate = node.outputs.iter().copied().find(|&id| is_map(id));
        if let Some(map) = candidate.filter(|_| first_read > ix) {
            return map;
        }
        let read = node.inputs.iter().map(|id| made_at[id.index()]);
        first_read = read.fold(first_read, usize::min);
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Window;
    use crate::ops::add::add;
    use crate::ops::avg_pool2d::{avg_pool2d, global_avg_pool2d};
    use crate::ops::flatten::flatten;
    use crate::ops::relu::relu;
    use crate::tape::Mode;

    #[test]
    fn the_map_is_the_last_value_with_positions_that_all_later_nodes_read() {
        let mut tape = Tape::new("test", Mode::Eval);
        let images = tape.input("images", ElementType::F32, &[2, 4, 4, 3]);
        let first = relu(&mut tape, images);
        let branch = relu(&mut tape, first);
        let sum = add(&mut tape, branch, first);
        assert_eq!(feature_map(&tape, images), sum);
        let pooled = global_avg_pool2d(&mut tape, sum);
        flatten(&mut tape, pooled);
        assert_eq!(feature_map(&tape, images), sum);

        // Two paths from `sum` to one position: the value inside one of them is not the map.
        let window = Window { size: [4, 2], stride: [1, 1], padding: [0, 0] };
        let inside = avg_pool2d(&mut tape, sum, window, true);
        let inside = global_avg_pool2d(&mut tape, inside);
        add(&mut tape, inside, pooled);
        assert_eq!(feature_map(&tape, images), sum);
    }

    #[test]
    fn images_of_one_position_are_their_own_map() {
        let mut tape = Tape::new("test", Mode::Eval);
        let images = tape.input("images", ElementType::F32, &[2, 1, 1, 3]);
        relu(&mut tape, images);
        assert_eq!(feature_map(&tape, images), images);
    }
}
