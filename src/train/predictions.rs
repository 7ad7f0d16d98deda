//! The predictions of a network: the probability of each class for each image.

use super::confusion::Confusion;
use crate::base::sorting::sort_by;

/// The probability of every class for each of `n` images.
#[derive(Clone, PartialEq, Debug)]
pub struct Predictions {
    n_classes: usize,
    /// The probabilities, `[n, classes]`, row-major.
    probabilities: Vec<f32>,
}

impl Predictions {
    /// Returns the softmax of each row of logits, `[n, classes]`. The softmax is computed in f64.
    ///
    /// # Panics
    /// If the number of logits is not a multiple of `n_classes`.
    pub fn from_logits(logits: &[f32], n_classes: usize) -> Self {
        let n = logits.len();
        assert!(n_classes > 0 && n.is_multiple_of(n_classes), "{n} logits of {n_classes} classes");
        let probabilities = logits.chunks(n_classes).flat_map(softmax).collect();
        Self { n_classes, probabilities }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.n_classes
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// Returns the probabilities of an image, `[classes]`.
    ///
    /// # Panics
    /// If there is no image with this number.
    pub fn of(&self, image: usize) -> &[f32] {
        &self.probabilities[image * self.n_classes..][..self.n_classes]
    }

    /// Returns the predicted class of an image: the most probable class. Of equally probable classes the first counts,
    /// as in the kernel that counts correct predictions (`shaders/cross_entropy/rows.wgsl`).
    ///
    /// # Panics
    /// If there is no image with this number.
    pub fn class(&self, image: usize) -> usize {
        let of = self.of(image);
        (1..of.len()).fold(0, |best, class| if of[class] > of[best] { class } else { best })
    }

    /// Returns the `k` most probable classes of an image with their probabilities, the most probable first.
    ///
    /// # Panics
    /// If there is no image with this number.
    pub fn top(&self, image: usize, k: usize) -> Vec<(usize, f32)> {
        let mut classes: Vec<_> = self.of(image).iter().copied().enumerate().collect();
        sort_by(&mut classes, |(_, a), (_, b)| b.total_cmp(a));
        classes.truncate(k);
        classes
    }

    /// Returns the confusion matrix of the predictions against the labels, `[n]`.
    ///
    /// # Panics
    /// If the number of labels is not the number of images.
    pub fn confusion(&self, labels: &[u16]) -> Confusion {
        Confusion::of(self.n_classes, labels, (0..self.len()).map(|image| self.class(image)))
    }
}

/// Returns `exp(z[k]) / sum over j of exp(z[j])` for each class k, where z are the logits. The largest z is subtracted
/// first, because exp of a large z overflows.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |&z: &f32| (f64::from(z) - f64::from(largest)).exp();
    let sum: f64 = logits.iter().map(exp).sum();
    logits.iter().map(|z| (exp(z) / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns predictions of three classes whose probabilities are these numbers divided by 8.
    fn predictions(eighths: &[f32]) -> Predictions {
        let logits: Vec<f32> = eighths.iter().map(|p| (p / 8.0).ln() + 100.0).collect();
        Predictions::from_logits(&logits, 3)
    }

    #[test]
    fn probabilities_are_the_softmax_of_the_logits() {
        let seen = predictions(&[1.0, 5.0, 2.0]);
        for (p, eighths) in seen.of(0).iter().zip([1.0, 5.0, 2.0]) {
            assert!((p - eighths / 8.0).abs() < 1e-5, "{p} is not {eighths} / 8");
        }
        assert_eq!(seen.top(0, 2).iter().map(|(class, _)| *class).collect::<Vec<_>>(), [1, 2]);
        let huge = Predictions::from_logits(&[1000.0, -1000.0, 1000.0], 3);
        assert_eq!(huge.of(0), [0.5, 0.0, 0.5]);
        assert_eq!(huge.class(0), 0, "the first of the largest");
    }
}
