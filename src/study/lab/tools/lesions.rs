//! Lesions of a trained network: blocks that are deleted, and blocks that exchange their weights.

use wgrad::data::batches::epoch_order;

use super::blocks::{blocks, pairs_of_one_shape};
use crate::study::lab::{Lab, Trained};

/// The lesions of several blocks, by their names in a record.
pub const LESIONS: [&str; 2] = ["deleted", "exchanged"];

/// The numbers of deleted blocks, and of pairs of blocks that are exchanged.
const COUNTS: [usize; 6] = [1, 2, 4, 8, 12, 20];

/// Measures the error of a network over all test images, whole, without each of its blocks, and with several blocks deleted or
/// exchanged. The record has them as `KIND LESION/seed N/...`, where a lesion is `one` or one of [`LESIONS`].
///
/// # Errors
/// As for [`Lab::measure`].
pub fn measure(lab: &mut Lab<'_>, kind: &str, seed: u64, network: &Trained) -> anyhow::Result<()> {
    let all = blocks(network);
    let (n, pairs) = (all.len(), pairs_of_one_shape(network, &all));
    let mut evaluator = network.evaluator(lab)?;
    let mut error = |lab: &Lab<'_>, edit: &dyn Fn(&mut Trained)| {
        let mut edited = network.clone();
        edit(&mut edited);
        lab.check_stop()?;
        edited.error(lab, &mut evaluator, lab.images.test())
    };
    lab.measure(&format!("{kind} one/seed {seed}"), |lab| {
        let base = error(lab, &|_| {})?;
        let chance = 1.0 - 1.0 / lab.images.n_classes() as f64;
        let mut errors = Vec::new();
        for block in &all {
            lab.report(errors.len(), n)?;
            errors.push(error(lab, &|network| network.delete(block))?);
        }
        Ok(vec![
            ("counts", (1..=n).map(|ix| ix as f64).collect()),
            ("errors", errors),
            ("base", vec![base]),
            ("chance", vec![chance]),
            ("images", vec![lab.images.test().len() as f64]),
        ])
    })?;
    let (order_seed, n_draws) = (lab.seed(), lab.size([1, 2, 10]));
    for lesion in LESIONS {
        let is_deletion = lesion == LESIONS[0];
        // Most of the blocks, or as many exchanges as there are different ones.
        let most = if is_deletion { 3 * n / 4 } else { pairs.len() };
        let counts: Vec<usize> = COUNTS.into_iter().filter(|&count| count <= most).collect();
        if counts.is_empty() {
            continue;
        }
        lab.measure(&format!("{kind} {lesion}/seed {seed}"), |lab| {
            let mut draws = Vec::new();
            for draw in 0..n_draws {
                lab.report(draw, n_draws)?;
                let errors = counts.iter().map(|&count| {
                    let of = if is_deletion { n } else { pairs.len() };
                    let drawn = epoch_order(order_seed, (100 * draw + count) as u64, of);
                    error(lab, &|network| {
                        for ix in drawn[..count].iter().map(|&ix| ix as usize) {
                            if is_deletion {
                                network.delete(&all[ix]);
                            } else {
                                let [a, b] = pairs[ix].map(|ix| &all[ix].name);
                                network.swap(a, b);
                            }
                        }
                    })
                });
                draws.push(errors.collect::<anyhow::Result<Vec<f64>>>()?);
            }
            let mean =
                |ix| draws.iter().map(|errors: &Vec<f64>| errors[ix]).sum::<f64>() / n_draws as f64;
            let means = (0..counts.len()).map(mean).collect();
            let mut numbers = vec![("mean".to_string(), means)];
            numbers
                .push(("counts".to_string(), counts.iter().map(|&count| count as f64).collect()));
            let draws = draws.into_iter().enumerate();
            numbers.extend(draws.map(|(ix, errors)| (format!("draw {ix} errors"), errors)));
            Ok(numbers)
        })?;
    }
    Ok(())
}
