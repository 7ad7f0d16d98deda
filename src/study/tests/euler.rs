//! Tests of networks whose blocks take other steps.

use crate::study::Record;
use crate::study::euler::{blocks, rise};
use crate::study::lab::{Blocks, Trained};
use crate::study::tests::{named, with_lab};

/// Two steps of size 1 with the same branch are the network whose weights are copied by hand.
#[test]
fn blocks_have_the_weights_and_the_steps_that_the_list_names() {
    with_lab(named("euler"), |lab| {
        let mut trained = Trained::empty(lab, lab.named("resnet14", 3)).expect("a network");
        let own: Blocks = vec![(Some(0), 1.0), (Some(1), 1.0)];
        let same = trained.with_blocks(lab, &[own.clone(), own.clone(), own]).expect("a network");
        assert_eq!(same.weights, trained.weights);
        let two: Blocks = vec![(Some(0), 1.0), (Some(1), 0.5), (Some(1), 0.5)];
        let mut finer = trained.with_blocks(lab, &[0; 3].map(|_| two.clone())).expect("a network");
        for (name, factor) in [("conv1.weight", 1.0), ("conv2.weight", 1.0), ("bn2.weight", 0.5)] {
            let expected = trained.member(&format!("layer2.1.{name}")).to_vec();
            for ix in [1, 2] {
                let found = finer.member(&format!("layer2.{ix}.{name}")).to_vec();
                let scaled: Vec<f32> = expected.iter().map(|w| factor * w).collect();
                assert_eq!(found, scaled, "{name} of block {ix}");
            }
        }
    });
}

#[test]
fn half_the_blocks_keep_those_that_change_the_shape() {
    assert_eq!(blocks(0, 4, 1, &[0.5, 0.5]).len(), 8);
    assert_eq!(blocks(1, 3, 1, &[0.5, 0.5])[..2], [(Some(0), 1.0), (Some(1), 0.5)]);
    assert_eq!(blocks(0, 4, 2, &[2.0]), [(Some(1), 2.0), (Some(3), 2.0)]);
    assert_eq!(blocks(2, 5, 2, &[1.0]), [(Some(0), 1.0), (Some(2), 1.0), (Some(4), 1.0)]);
}

#[test]
fn a_rise_counts_the_images_that_one_of_two_networks_predicts() {
    let mut record = Record::default();
    for (name, number) in [("images", 100.0), ("lost", 6.0), ("gained", 2.0), ("error", 0.5)] {
        record.insert(format!("parts/2/{name}"), vec![number]);
    }
    let rise = rise(&record, "parts/2").expect("measured");
    // The differences of the images are 1, -1 and 0. Their mean is 0.04, their mean square 0.08, and one more counts.
    let half = 1.645 * ((0.09_f64 - 0.04 * 0.04) / 100.0).sqrt();
    assert!(
        (rise.mean - 0.04).abs() < 1e-12 && (rise.high - 0.04 - half).abs() < 1e-12,
        "{rise:?}"
    );
}
