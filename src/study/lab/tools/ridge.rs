//! A linear probe: ridge regression from features to classes.

use wgrad::data::Split;
use wgrad::ops::avg_pool2d::global_avg_pool2d;
use wgrad::tape::Mode;

use super::field::stem_and_stages;
use crate::study::lab::{Images, Lab, Probe, Trained};

/// The penalty of the squared weights, for each image.
const PENALTY: f64 = 1e-2;

/// Features of some images, `[n, length]`, and the classes of the images.
#[derive(Clone, Default, Debug)]
pub struct Features {
    /// The number of features of an image.
    pub length: usize,
    /// The features.
    pub values: Vec<f64>,
    /// The classes.
    pub classes: Vec<u16>,
}

impl Features {
    /// Returns the features of images behind the stem, each stage and the last layer: the mean of each channel over the
    /// plane, and the logits.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of(lab: &Lab<'_>, network: &Trained, split: &Split) -> anyhow::Result<Vec<Self>> {
        let ([h, w, c], n) = (split.size.channels_last(), split.len().min(100));
        let mut probe = Probe::new(lab.device, Mode::Eval, &[n, h, w, c], |tape, x, _| {
            let logits = network.network.record(tape, x);
            let ends = stem_and_stages(tape, x);
            let means = ends.into_iter().map(|end| global_avg_pool2d(tape, end));
            means.collect::<Vec<_>>().into_iter().chain([logits]).collect()
        })?;
        probe.set_weights(&network.weights)?;
        let mut all: Vec<Self> = Vec::new();
        for (images, n_own) in Images::batches(split, n) {
            lab.check_stop()?;
            let (x, labels) = lab.images.arrays(split, &images);
            for (cut, values) in probe.run(&x, &labels)?.iter().enumerate() {
                if all.len() == cut {
                    all.push(Self { length: values.len() / n, ..Self::default() });
                }
                let own = &values[..n_own * all[cut].length];
                all[cut].values.extend(own.iter().copied().map(f64::from));
                all[cut].classes.extend(labels[..n_own].iter().map(|&label| label as u16));
            }
        }
        Ok(all)
    }
}

/// Returns the part of `test` whose class a linear probe predicts that was fitted to `train`. The probe solves
/// (XᵀX + λI) W = XᵀY for standardised features X and a column of Y for each class, which is 1 for its images.
pub fn probe_accuracy(train: &Features, test: &Features, n_classes: usize) -> f64 {
    let (length, n) = (train.length, train.classes.len() as f64);
    let mean = |ix: usize| column(train, ix).sum::<f64>() / n;
    let means: Vec<f64> = (0..length).map(mean).collect();
    let deviation = |ix: usize| {
        let variance = column(train, ix).map(|x| (x - means[ix]).powi(2)).sum::<f64>() / n;
        variance.sqrt().max(1e-9)
    };
    let deviations: Vec<f64> = (0..length).map(deviation).collect();
    // The last feature is 1.
    let standard = |row: &[f64]| {
        let parts = row.iter().enumerate().map(|(ix, x)| (x - means[ix]) / deviations[ix]);
        parts.chain([1.0]).collect::<Vec<f64>>()
    };
    let size = length + 1;
    let (mut square, mut right) = (vec![0.0; size * size], vec![0.0; size * n_classes]);
    for (row, &class) in train.values.chunks_exact(length).zip(&train.classes) {
        let x = standard(row);
        for i in 0..size {
            (0..size).for_each(|j| square[i * size + j] += x[i] * x[j]);
            right[i * n_classes + usize::from(class)] += x[i];
        }
    }
    (0..length).for_each(|ix| square[ix * size + ix] += PENALTY * n);
    solve(&mut square, &mut right, size);
    let is_right = |(row, &class): (&[f64], &u16)| {
        let x = standard(row);
        let score =
            |class: usize| (0..size).map(|i| x[i] * right[i * n_classes + class]).sum::<f64>();
        let scores: Vec<f64> = (0..n_classes).map(score).collect();
        let best =
            (0..n_classes).fold(0, |best, k| if scores[k] > scores[best] { k } else { best });
        best == usize::from(class)
    };
    let rows = test.values.chunks_exact(length).zip(&test.classes);
    rows.filter(|row| is_right(*row)).count() as f64 / test.classes.len().max(1) as f64
}

fn column(features: &Features, ix: usize) -> impl Iterator<Item = f64> + '_ {
    features.values.iter().skip(ix).step_by(features.length).copied()
}

/// Solves A X = B for a symmetric positive matrix A, `[n, n]`, by elimination. X takes the place of B.
fn solve(a: &mut [f64], b: &mut [f64], n: usize) {
    let columns = b.len() / n;
    for pivot in 0..n {
        for row in (0..n).filter(|&row| row != pivot) {
            let factor = a[row * n + pivot] / a[pivot * n + pivot];
            (pivot..n).for_each(|k| a[row * n + k] -= factor * a[pivot * n + k]);
            (0..columns).for_each(|k| b[row * columns + k] -= factor * b[pivot * columns + k]);
        }
    }
    for row in 0..n {
        (0..columns).for_each(|k| b[row * columns + k] /= a[row * n + row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_of_equations_is_solved() {
        let (mut a, mut b) = (vec![4.0, 2.0, 2.0, 3.0], vec![8.0, 2.0, 8.0, 3.0]);
        solve(&mut a, &mut b, 2);
        let expected = [1.0, 0.0, 2.0, 1.0];
        assert!(b.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-12), "{b:?}");
    }

    #[test]
    fn a_probe_separates_classes_by_their_features_and_not_by_noise() {
        let features = |offset: f64| Features {
            length: 2,
            values: (0..60)
                .flat_map(|ix| [offset * f64::from(ix % 3), f64::from(ix * 7 % 5)])
                .collect(),
            classes: (0..60).map(|ix| ix % 3 / 2).collect(),
        };
        assert_eq!(probe_accuracy(&features(1.0), &features(1.0), 2), 1.0);
        // Without the feature, the larger class is predicted.
        let blind = probe_accuracy(&features(0.0), &features(0.0), 2);
        assert!((blind - 2.0 / 3.0).abs() < 1e-12, "{blind}");
    }
}
