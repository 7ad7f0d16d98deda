//! Tests of scaled shortcuts.

use wgrad::tape::Tape;

use crate::study::lab::change::Change;
use crate::study::lab::flow::Flow;
use crate::study::lab::residual::{Joint, Order, Residual};
use crate::study::tests::{named, with_lab};

/// Without the gradient of the branches, each block between the first and the last multiplies the gradient by λ.
#[test]
fn the_gradient_through_the_shortcuts_alone_is_a_power_of_the_factor() {
    with_lab(named("shortcut-scale"), |lab| {
        let (images, labels) = lab.images.arrays(lab.images.train(), &[0, 1, 2, 3]);
        let norms = [0.5_f32, 1.0, 2.0].map(|factor| {
            let change = Change::Scale(factor);
            let join = move |tape: &mut Tape, joint: &Joint<'_>| change.join(tape, joint, true);
            let network =
                Residual { order: Order::Before, n_blocks: 2, has_batch_norm: true, join: &join };
            let flow = Flow::measure(lab, &network, 2, 1, (&images, &labels)).expect("measured");
            // The last stage has the blocks 5 and 6. No channel is lost between their outputs.
            flow.outputs[4] / flow.outputs[5]
        });
        for (norm, factor) in norms.iter().zip([0.5, 1.0, 2.0]) {
            assert!((norm - factor).abs() < 1e-5, "{norm}, not {factor}");
        }
    });
}
