//! The theoretical field against the pixels that change a unit, and against published numbers; the effective field of a
//! stack against the product of its kernels.

use wgrad::nn::layers::{self, Conv};
use wgrad::nn::{NetworkConfig, networks};
use wgrad::ops::{Pool, Window};
use wgrad::tape::{Mode, Tape, ValueId};

use super::super::receptive_field;
use super::with_lab;
use crate::study::lab::{Lab, Probe, Sensitivity, field, fields, middle, power, stages};

/// The side of the images, in pixels.
const SIDE: usize = 64;

/// Records all ops that move pixels and are in no ResNet for CIFAR.
fn all_windows(tape: &mut Tape, x: ValueId) -> ValueId {
    let x = layers::conv2d(tape, "conv1", x, 8, Conv::square(5, 2, 2));
    let pool = Pool { ceil_mode: true, ..Window::square(3, 2, 1).into() };
    let x = layers::max_pool2d(tape, "max", x, pool);
    let small = layers::avg_pool2d(tape, "average", x, 2, true);
    let large = layers::resize_bilinear(tape, "resize", small, [16, 16], true);
    let x = layers::resize_bilinear(tape, "same", x, [16, 16], false);
    let x = layers::concat(tape, "concat", &[x, large]);
    let window = Window { size: [1, 3], stride: [1, 1], padding: [0, 1] };
    layers::conv2d(tape, "conv2", x, 8, Conv { window, ..Conv::default() })
}

/// Records a network, and checks that its unit in the middle depends on the rows and columns at the ends of its
/// theoretical field, and on none beyond them.
fn check(lab: &Lab<'_>, what: &str, record: impl Fn(&mut Tape, ValueId) -> ValueId) {
    let (mut seen, mut unit) = (None, None);
    let mut probe = Probe::new(lab.device, Mode::Eval, &[1, SIDE, SIDE, 3], |tape, x, _| {
        let value = record(tape, x);
        let at = middle(tape, value);
        (seen, unit) = (Some(field(tape, x, value, at)), Some((tape.shape(value).to_vec(), at)));
        vec![value]
    })
    .expect("a probe");
    probe.initialise(1).expect("weights");
    let (seen, (shape, [row, column])) = (seen.expect("a field"), unit.expect("a unit"));
    let mut unit_of = |x: &[f32]| {
        let values = probe.run(x, &[0]).expect("values").remove(0);
        let start = (row * shape[2] + column) * shape[3];
        values[start..start + shape[3]].to_vec()
    };
    let image: Vec<f32> =
        (0..SIDE * SIDE * 3).map(|ix| (ix * 7919 % 101) as f32 / 50.0 - 1.0).collect();
    let before = unit_of(&image);
    for axis in 0..2 {
        let [first, last] = seen[axis];
        for (at, depends) in [(first - 1, false), (first, true), (last, true), (last + 1, false)] {
            let mut changed = image.clone();
            for (ix, value) in changed.iter_mut().enumerate() {
                let pixel = ix / 3;
                let place = if axis == 0 { pixel / SIDE } else { pixel % SIDE };
                *value += if place as i64 == at { 10.0 * (1.0 + (ix % 5) as f32) } else { 0.0 };
            }
            let text = format!("{what}: axis {axis}, row or column {at} of {seen:?}");
            assert!((0..SIDE as i64).contains(&at), "{text}: outside the image");
            assert_eq!(unit_of(&changed) != before, depends, "{text}");
        }
    }
}

#[test]
fn a_unit_depends_on_the_ends_of_its_theoretical_field_and_on_nothing_beyond() {
    with_lab(&receptive_field::STUDY, |lab| {
        check(lab, "windows", all_windows);
        for (name, n_stages) in [("resnet8", 3), ("preact8", 3), ("pyramid8-a48", 3)] {
            let network = networks::by_name(name).expect("a network");
            for stage in 0..n_stages {
                check(lab, name, |tape, x| {
                    NetworkConfig::new(network, 8, 10).record(tape, x);
                    stages(tape, x)[stage]
                });
            }
        }
    });
}

#[test]
fn theoretical_fields_are_the_published_ones() {
    for (name, expected) in [
        ("resnet20", vec![15.0, 37.0, 81.0]),
        ("plain56", vec![39.0, 109.0, 249.0]),
        ("resnet50", vec![35.0, 91.0, 267.0, 427.0]),
        ("inception_v3", vec![0.0, 0.0, 1311.0]),
    ] {
        let network = networks::by_name(name).expect("a network");
        let rows = fields(NetworkConfig::new(network, 32, 10));
        let found: Vec<f64> = rows
            .iter()
            .filter(|(name, _)| name.starts_with("stage "))
            .map(|(_, row)| row[2])
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (found, expected) in found.iter().zip(expected).filter(|(_, expected)| *expected > 0.0)
        {
            assert_eq!(*found, expected, "{name}");
        }
    }
}

#[test]
fn the_sensitivity_of_a_stack_is_the_product_of_its_kernels() {
    with_lab(&receptive_field::STUDY, |lab| {
        let stack = Sensitivity::of_stack(lab, 3, None).expect("a stack");
        // Three kernels of [1 1 1] along an axis.
        let along = [0.0, 1.0, 3.0, 6.0, 7.0, 6.0, 3.0, 1.0, 0.0].map(|part| part / 7.0);
        for (at, &value) in stack.map.iter().enumerate() {
            let expected: f64 = along[at / 9] * along[at % 9];
            assert!((value - expected).abs() < 1e-5, "{at}: {value}, not {expected}");
        }
        let n =
            along.iter().flat_map(|a| along.map(|b| a * b)).filter(|part| *part > 0.0455).count();
        assert_eq!(stack.size(), (n as f64).sqrt());
    });
}

#[test]
fn a_power_is_the_slope_of_logarithms() {
    let xs = [1.0, 2.0, 8.0];
    assert!((power(&xs, &xs.map(|x: f64| 3.0 * x.powf(0.7))) - 0.7).abs() < 1e-12);
}

#[test]
fn the_middle_of_a_field_has_a_quarter_of_equal_gradients() {
    let gradient: Vec<f32> = (0..64).map(|ix| if ix % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let whole = [[0, 7]; 2];
    assert_eq!(Sensitivity::of(&gradient, [1, 8, 8, 1]).share_in_middle(whole), 0.25);
    let mut one = vec![0.0; 64];
    (one[0], one[27]) = (1.0, 2.0);
    assert_eq!(Sensitivity::of(&one, [1, 8, 8, 1]).share_in_middle(whole), 0.8);
}
