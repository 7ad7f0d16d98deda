//! Tests of the blocks that a study adds to a network.

use crate::study::lab::Trained;
use crate::study::tests::{named, with_lab};

#[test]
fn blocks_of_zero_leave_every_bit_and_other_blocks_do_not() {
    with_lab(named("identity"), |lab| {
        let mut shallow = Trained::empty(lab, lab.named("resnet14", 3)).expect("a network");
        let expected = shallow.logits(lab).expect("logits");
        let own = [(Some(0), 1.0), (Some(1), 1.0)];
        for (added, is_same) in [((None, 0.0), true), ((Some(1), 0.0), true), ((None, 0.1), false)]
        {
            let blocks = [own.as_slice(), &[added; 2]].concat();
            let deep =
                shallow.with_blocks(lab, &[(); 3].map(|()| blocks.clone())).expect("a network");
            let logits = deep.logits(lab).expect("logits");
            assert_eq!(deep.names_below("layer3.3.conv1.").len(), 1);
            assert_eq!(logits == expected, is_same, "{added:?}");
        }
    });
}
