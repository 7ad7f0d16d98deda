//! The pixels with a gradient, against pixels whose change changes the output.

use wgrad::tape::Mode;

use super::{named, with_lab};
use crate::study::lab::Probe;
use crate::study::lab::pixels::gradient_map;
use crate::study::shortcut_kind::PARTS;

/// The share of the pixels that each part reads.
const SHARES: [f64; 7] = [0.25, 0.25, 1.0, 1.0, 1.0, 0.25, 1.0];

/// The side of the corner in which each pixel is changed.
const SIDE: usize = 4;

#[test]
fn pixels_with_a_gradient_are_those_whose_change_changes_the_output() {
    with_lab(named("shortcut-kind"), |lab| {
        let [h, w, c] = lab.images.size().channels_last();
        let (image, labels) = lab.images.arrays(lab.images.test(), &[0]);
        for ((part, record), share) in PARTS.into_iter().zip(SHARES) {
            let map = gradient_map(lab, 4, record).expect("a map");
            let n_read = map.iter().filter(|&&gradient| gradient > 0.0).count();
            assert_eq!(n_read as f64 / (h * w) as f64, share, "{part}");
            let mut probe = Probe::new(lab.device, Mode::Eval, &[1, h, w, c], |tape, x, _| {
                vec![record(tape, x)]
            })
            .expect("a probe");
            probe.initialise(lab.seed()).expect("weights");
            let mut output = |x: &[f32]| probe.run(x, &labels).expect("an output").remove(0);
            let before = output(&image);
            for pixel in (0..SIDE * SIDE).map(|ix| ix / SIDE * w + ix % SIDE) {
                // A ReLU may hide a change in one direction.
                let is_read = [-1.0, 1.0].into_iter().any(|change| {
                    let mut changed = image.clone();
                    changed[pixel * c..][..c].iter_mut().for_each(|value| *value += change);
                    output(&changed) != before
                });
                assert_eq!(is_read, map[pixel] > 0.0, "{part}: pixel {pixel}");
            }
        }
    });
}
