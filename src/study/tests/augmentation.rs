//! The arms and the gap of the study `augmentation`.

use wgrad::nn::ResNet9;
use wgrad::ops::augment::{AugmentFlags, ColorJitter};
use wgrad::train::step::StepConfig;

use crate::study::Record;
use crate::study::augmentation::{gaps, names, set};

#[test]
fn an_arm_differs_from_the_base_in_its_own_augmentation() {
    let of = |arm: &str| {
        let mut step = StepConfig::new(ResNet9 { width: 4, classes: 10 }, 8);
        set(&mut step, arm);
        (step.augmentation, step.jitter)
    };
    let (all, still) = (AugmentFlags::default(), ColorJitter::default());
    assert_eq!(of("crop, flip, cutout"), (all, still));
    assert_eq!(of("without crop"), (AugmentFlags { crop: false, ..all }, still));
    assert_eq!(of("without flip"), (AugmentFlags { flip: false, ..all }, still));
    assert_eq!(of("without cutout"), (AugmentFlags { cutout: false, ..all }, still));
    assert_eq!(of("none"), (AugmentFlags::NONE, still));
    let jitter = ColorJitter { brightness: 0.2, contrast: 0.2, saturation: 0.2 };
    assert_eq!(of("jitter 0.2"), (all, jitter));
    // Grey images have no colours to change.
    assert_eq!((names(3).len(), names(1).len()), (9, 5));
}

#[test]
fn the_gap_is_the_difference_of_each_seed() {
    let mut record = Record::default();
    for (seed, train, test) in [(0, 0.1, 0.5), (1, 0.4, 0.6)] {
        record.insert(format!("none/seed {seed}/clean training error"), vec![train]);
        record.insert(format!("none/seed {seed}/test error"), vec![0.9, test]);
    }
    let gaps = gaps(&record, "none");
    assert!((gaps[0] - 0.4).abs() < 1e-12 && (gaps[1] - 0.2).abs() < 1e-12, "{gaps:?}");
}
