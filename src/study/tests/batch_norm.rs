//! The loss along its gradient, and the statistics of batches, against their formulas.

use wgrad::nn::Weights;

use super::{named, with_lab};
use crate::study::lab::Trained;
use crate::study::lab::batch_statistics::{deviation, deviations};
use crate::study::lab::plain::plain8;
use crate::study::lab::surface::{Line, line};

#[test]
fn the_loss_falls_along_the_gradient_by_its_squared_norm() {
    with_lab(named("batch-norm"), |lab| {
        for has_batch_norm in [true, false] {
            let network = lab.config(plain8(has_batch_norm), 2);
            let trained = Trained::empty(lab, network).expect("a network");
            let weights = Weights::initial(&trained.layout, 5);
            let h = 2e-3;
            let line = line(lab, network, &weights, &[-h, 0.0, h]).expect("a line");
            let slope = (line.losses[0] - line.losses[2]) / (2.0 * h);
            let off = slope / line.squared_norm - 1.0;
            assert!(off.abs() < 0.02, "{has_batch_norm}: {slope} for {}", line.squared_norm);
            assert_eq!(line.losses[1], line.loss);
            assert!((line.cosines[1] - 1.0).abs() < 1e-6, "{:?}", line.cosines);
        }
    });
}

#[test]
fn the_loss_falls_until_the_last_distance_before_the_first_rise() {
    let line = |losses: &[f64]| Line { loss: 1.0, losses: losses.to_vec(), ..Line::default() };
    assert_eq!(line(&[0.9, 0.8, 1.1, 0.5]).falls_until(&[1.0, 2.0, 4.0, 8.0]), 2.0);
    assert_eq!(line(&[1.0, 0.8]).falls_until(&[1.0, 2.0]), 0.0);
    let turning = Line { cosines: vec![0.9, 0.5, 0.4, 0.6], ..Line::default() };
    assert_eq!(turning.keeps_direction_until(&[1.0, 2.0, 4.0, 8.0]), 2.0);
}

#[test]
fn the_deviations_of_two_images_are_those_of_their_formula() {
    // Means 1 and -1, mean squares 2: all together, the mean is 0 and the variance 2; each image has the variance 1.
    let images = [vec![[1.0, 2.0]], vec![[-1.0, 2.0]]];
    let [mean, variance] = deviation(&images, 1);
    assert!((mean - 0.5_f64.sqrt()).abs() < 1e-12 && (variance - 0.5).abs() < 1e-12);
    assert_eq!(deviation(&images, 2), [0.0, 0.0]);
}

#[test]
fn the_statistics_of_all_images_do_not_deviate_and_those_of_one_image_do() {
    with_lab(named("batch-norm"), |lab| {
        let network = lab.config(plain8(true), 2);
        let empty = Trained::empty(lab, network).expect("a network");
        let weights = Weights::initial(&empty.layout, 5);
        let trained = Trained { weights, ..empty };
        let [means, variances] = deviations(lab, &trained, "conv1", &[1, 20]).expect("numbers");
        assert!(means[0] > 0.01 && variances[0] > 0.01, "{means:?} {variances:?}");
        assert_eq!([means[1], variances[1]], [0.0, 0.0]);
    });
}
