//! Tests of scaled shortcuts.

use wgrad::tape::Tape;

use crate::study::lab::Flow;
use crate::study::lab::change::Change;
use crate::study::lab::residual::{Joint, Order, Residual, sum};
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

#[test]
fn a_factor_of_1_leaves_the_gradient_of_every_block_as_it_is() {
    with_lab(named("shortcut-scale"), |lab| {
        let (images, labels) = lab.images.arrays(lab.images.train(), &[0, 1, 2, 3]);
        let flow = |change: Option<Change>| {
            let changed = move |tape: &mut Tape, joint: &Joint<'_>| match change {
                Some(change) => change.join(tape, joint, false),
                None => sum(tape, joint),
            };
            let network = Residual {
                order: Order::Before,
                n_blocks: 2,
                has_batch_norm: true,
                join: &changed,
            };
            Flow::measure(lab, &network, 2, 1, (&images, &labels)).expect("measured").outputs
        };
        // The shortcuts of the library differ where the shape changes, so the blocks of the last stage are compared.
        let [own, library, gated] = [Some(Change::Scale(1.0)), None, Some(Change::Gate)].map(flow);
        assert_eq!(own.len(), library.len());
        assert!(own.iter().chain(&gated).all(|&norm| norm > 0.0), "{own:?} {gated:?}");
        assert!(
            (own[5] / own[4] - gated[5] / gated[4]).abs() > 1e-3,
            "a gate changes the gradient"
        );
    });
}
