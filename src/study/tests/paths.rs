//! Tests of paths: their number, and their gradients.

use crate::study::lab::Trained;
use crate::study::lab::gated::Paths;
use crate::study::paths::n_paths;
use crate::study::tests::{named, with_lab};

#[test]
fn the_numbers_of_paths_are_those_of_an_enumeration() {
    for n in 1..=10 {
        let mut counts = vec![0.0; n + 1];
        (0..1_u32 << n).for_each(|path| counts[path.count_ones() as usize] += 1.0);
        assert_eq!(n_paths(n), counts, "{n} blocks");
    }
}

/// The gradient is linear in the gates of each block, so the gradients of all paths have the sum of the whole gradient.
#[test]
fn the_gradients_of_all_paths_add_up_to_the_gradient_of_the_network() {
    with_lab(named("paths"), |lab| {
        for name in ["resnet8", "preact8"] {
            let mut trained = Trained::empty(lab, lab.named(name, 3)).expect("a network");
            // With other weights in each batch norm, the blocks differ.
            for (ix, block) in ["layer1.0", "layer2.0", "layer3.0"].iter().enumerate() {
                trained.scale(&format!("{block}.bn2"), 0.5 + ix as f32);
            }
            let expected = trained.logits(lab).expect("logits");
            let mut paths = Paths::new(lab, trained, 2).expect("compiled");
            paths.select_all();
            let [logits, whole] = paths.run(lab, 0).expect("computed");
            for (found, expected) in logits.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{name}: {found}, not {expected}");
            }
            let mut sum = vec![0.0_f64; whole.len()];
            let mut norms = Vec::new();
            for path in 0..8 {
                paths.select(&[0, 1, 2].map(|block| path >> block & 1 == 1));
                let [same, part] = paths.run(lab, 0).expect("computed");
                assert_eq!(same, logits, "{name}: a path changes the forward pass");
                sum.iter_mut().zip(&part).for_each(|(sum, &part)| *sum += f64::from(part));
                norms.push(part.iter().map(|d| d.abs()).fold(0.0, f32::max));
            }
            assert!(norms.iter().all(|&norm| norm > 0.0), "{name}: {norms:?}");
            let scale = whole.iter().map(|d| d.abs()).fold(0.0, f32::max);
            for (sum, &whole) in sum.iter().zip(&whole) {
                assert!(
                    (sum - f64::from(whole)).abs() < 1e-5 * f64::from(scale),
                    "{name}: {sum}, not {whole}"
                );
            }
        }
    });
}
