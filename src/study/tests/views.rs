//! Pictures in a record, patches of images, and gradient ascent.

use wgrad::nn::Weights;
use wgrad::report::picture::Picture;
use wgrad::tape::Tape;

use super::super::views;
use super::with_lab;
use crate::study::lab::{
    Maximised, Trained, grey, packed, patch, purity, sheet, stem_and_stages, unpacked,
};

#[test]
fn a_record_returns_the_bytes_of_a_picture() {
    for (width, n) in [(1, 1), (2, 6), (5, 7)] {
        let rgb: Vec<u8> = (0..3 * width * n).map(|ix| (ix * 37 % 256) as u8).collect();
        assert_eq!(unpacked(&packed(width, &rgb)), Picture::new(width, n, rgb));
    }
}

#[test]
fn a_map_has_its_columns() {
    let map = [3.0, 0.0, 1.0, 0.25, 0.0, 1.0, 0.0];
    let levels = [0, 255, 128, 0, 255, 0].map(|level| [level; 3]).concat();
    assert_eq!(grey(&map), Picture::new(3, 2, levels));
}

#[test]
fn a_patch_is_grey_outside_the_image() {
    with_lab(&views::STUDY, |lab| {
        let (test, image) = (lab.images.test(), lab.images.test().image(3));
        let (width, rgb) = patch(test, 3, &[[-1, 1], [4, 5]]);
        assert_eq!((width, rgb.len()), (2, 18));
        let at = |row: usize, column: usize| [0, 1, 2].map(|c| image[(c * 32 + row) * 32 + column]);
        assert_eq!(rgb[..6], [128; 6]);
        assert_eq!(rgb[6..], [at(0, 4), at(0, 5), at(1, 4), at(1, 5)].concat());
        let (width, rgb) = patch(test, 3, &[[-5, 40], [0, 31]]);
        assert_eq!((width, rgb.len()), (32, 3 * 32 * 32));
        assert_eq!(rgb[..3], at(0, 0));
    });
}

#[test]
fn a_sheet_has_lines_between_its_pictures() {
    let (side, rgb) = sheet(2, 1, &[vec![1; 3], vec![2; 3], vec![3; 3]]);
    let grey = [128; 3];
    let expected = [[1; 3], grey, [2; 3], grey, grey, grey, [3; 3], grey, grey];
    assert_eq!((side, rgb), (3, expected.concat()));
}

#[test]
fn purity_is_the_share_of_the_most_frequent_class() {
    assert_eq!(purity(&[4, 1, 4, 4]), 0.75);
    assert_eq!(purity(&[]), 0.0);
}

#[test]
fn gradient_ascent_raises_its_channel() {
    with_lab(&views::STUDY, |lab| {
        let mut network = Trained::empty(lab, lab.named("resnet8", 4)).expect("a network");
        network.weights = Weights::initial(&network.layout, 2);
        let stage = |tape: &Tape, x| stem_and_stages(tape, x)[1];
        let means = |n_steps| {
            Maximised::of(lab, &network, stage, &[0, 1, 2], n_steps).expect("images").means
        };
        for (before, after) in means(0).into_iter().zip(means(20)) {
            assert!(after > 1.2 * before, "{before} and {after}");
        }
    });
}
