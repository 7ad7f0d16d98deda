//! The predictions of a network: the probability of each class for each image.

use std::cmp::Reverse;

use super::confusion::Confusion;

/// The probability of every class for each of `n` images.
#[derive(Clone, PartialEq, Debug)]
pub struct Predictions {
    n_classes: usize,
    /// The probabilities, `[n, classes]`, row-major.
    probabilities: Vec<f32>,
}

/// An image whose prediction is not its label.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mistake {
    /// The number of the image in its split, from 0.
    pub image: usize,
    /// The label, a class from 0.
    pub truth: usize,
    /// The predicted class, from 0.
    pub prediction: usize,
    /// The probability of the predicted class.
    pub probability: f32,
    /// The probability of the label's class.
    pub probability_of_truth: f32,
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
        classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
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

    /// Returns the images whose prediction is not their label, sorted by the probability of the predicted class, the
    /// highest first.
    ///
    /// # Panics
    /// If the number of labels is not the number of images.
    pub fn mistakes(&self, labels: &[u16]) -> Vec<Mistake> {
        assert_eq!(labels.len(), self.len(), "{} labels, {} images", labels.len(), self.len());
        let seen = labels.iter().enumerate().map(|(image, &truth)| {
            let (truth, prediction) = (usize::from(truth), self.class(image));
            let (probability, probability_of_truth) =
                (self.of(image)[prediction], self.of(image)[truth]);
            Mistake { image, truth, prediction, probability, probability_of_truth }
        });
        let mut mistakes: Vec<_> = seen.filter(|m| m.truth != m.prediction).collect();
        // Floating-point numbers that are not negative have the same order as their bits. The sort is stable: equal
        // probabilities keep the order of their images.
        mistakes.sort_by_key(|mistake| Reverse(mistake.probability.to_bits()));
        mistakes
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

    #[test]
    fn the_mistake_with_the_highest_probability_comes_first() {
        let seen = predictions(&[
            1.0, 5.0, 2.0, 6.0, 1.0, 1.0, 1.0, 1.0, 6.0, 1.0, 1.0, 6.0, 3.0, 4.0, 1.0,
        ]);
        let labels = [2, 1, 2, 0, 1];
        let mistakes = seen.mistakes(&labels);
        assert_eq!(mistakes.iter().map(|m| m.image).collect::<Vec<_>>(), [1, 3, 0]);
        assert_eq!((mistakes[0].truth, mistakes[0].prediction), (1, 0));
        assert!((mistakes[2].probability - 0.625).abs() < 1e-5, "{:?}", mistakes[2]);
        assert!((mistakes[2].probability_of_truth - 0.25).abs() < 1e-5, "{:?}", mistakes[2]);
        let confusion = seen.confusion(&labels);
        assert_eq!((confusion.n_images(), confusion.n_correct()), (5, 2));
    }
}
