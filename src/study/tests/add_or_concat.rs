//! A concatenation behind which a convolution has the weights [I I] is a sum.

use super::{named, with_lab};
use crate::study::add_or_concat::{MERGE, begin_as_sum, step};
use crate::study::lab::Trained;
use wgrad::nn::Weights;
use wgrad::ops::optimizers::AnyOptimizer;

#[test]
fn a_network_that_begins_as_the_sum_computes_the_bits_of_the_network_that_adds() {
    with_lab(named("add-or-concat"), |lab| {
        let test = lab.images.test();
        let [mut add, mut concat] = ["resnet8", "resnet8-concat"]
            .map(|name| Trained::empty(lab, lab.named(name, 4)).expect("a network"));
        add.weights = Weights::initial(&add.layout, 1);
        concat.weights = Weights::initial(&concat.layout, 2);
        for name in add.names_below("") {
            let values = add.member(&name).to_vec();
            concat.member(&name).copy_from_slice(&values);
        }
        let logits = |network: &Trained| {
            let mut evaluator = network.evaluator(lab).expect("an evaluator");
            evaluator.set_weights(&network.weights).expect("written");
            evaluator.logits(test, &|| false).expect("computed").expect("not stopped")
        };
        assert_ne!(logits(&add), logits(&concat));
        let n_merged = concat.names_below("").iter().filter(|name| name.ends_with(MERGE)).count();
        assert_eq!(n_merged, 3);
        begin_as_sum(&concat.layout, &mut concat.weights);
        assert_eq!(logits(&add), logits(&concat));
    });
}

#[test]
fn time_and_memory_are_those_of_the_step_that_trains() {
    with_lab(named("add-or-concat"), |lab| {
        let step = step(lab, 1);
        assert!(matches!(step.update.optimizer, AnyOptimizer::Sgd(_)), "{:?}", step.update);
        assert!(!step.augmentation.cutout);
    });
}
