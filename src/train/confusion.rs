//! The confusion matrix, and the precision, recall and F1 of each class.
use crate::base::sorting::sort_by_key;

/// The number of images for each pair of label (`truth`) and predicted class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confusion {
    n_classes: usize,
    /// The numbers of images, `[truth, prediction]`, row-major.
    counts: Vec<usize>,
}

/// The scores of one class.
///
/// Precision, recall and F1 are in 0..=1. A score that would be 0 / 0 is none: a class that was never predicted has no
/// precision.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClassScores {
    /// The number of images of the class.
    pub n_images: usize,
    /// The number of images that were predicted as the class.
    pub n_predicted: usize,
    /// The share of images of the class among those that were predicted as the class.
    pub precision: Option<f64>,
    /// The share of the images of the class that were predicted as the class.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall; none if the class has neither an image nor a prediction.
    pub f1: Option<f64>,
}

impl Confusion {
    /// Returns a matrix without images.
    ///
    /// # Panics
    /// If `n_classes` is 0.
    pub fn new(n_classes: usize) -> Self {
        assert!(n_classes > 0, "a confusion matrix of no classes");
        Self { n_classes, counts: vec![0; n_classes * n_classes] }
    }

    /// Returns the matrix of images with these labels (`truths`) and these predicted classes.
    ///
    /// # Panics
    /// If the number of labels is not the number of predictions, or a label or prediction is not below `n_classes`.
    pub fn of(
        n_classes: usize,
        truths: &[u16],
        predictions: impl ExactSizeIterator<Item = usize>,
    ) -> Self {
        let n = truths.len();
        assert_eq!(predictions.len(), n, "{n} images, but {} predictions", predictions.len());
        let mut confusion = Self::new(n_classes);
        for (&truth, prediction) in truths.iter().zip(predictions) {
            confusion.count(truth.into(), prediction);
        }
        confusion
    }

    /// Counts an image.
    ///
    /// # Panics
    /// If `truth` or `prediction` is not below the number of classes.
    pub fn count(&mut self, truth: usize, prediction: usize) {
        let n = self.n_classes;
        assert!(
            truth < n && prediction < n,
            "truth {truth}, prediction {prediction}: the classes are 0 to {}",
            n - 1
        );
        self.counts[truth * n + prediction] += 1;
    }

    /// Returns the number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Returns the number of images of class `truth` that were predicted as class `prediction`.
    ///
    /// # Panics
    /// If `truth` or `prediction` is not below the number of classes.
    pub fn at(&self, truth: usize, prediction: usize) -> usize {
        assert!(prediction < self.n_classes, "class {prediction} of {}", self.n_classes);
        self.counts[truth * self.n_classes + prediction]
    }

    /// Returns the number of images.
    pub fn n_images(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Returns the number of images whose prediction is their label.
    pub fn n_correct(&self) -> usize {
        (0..self.n_classes).map(|class| self.at(class, class)).sum()
    }

    /// Returns the accuracy, in 0..=1; none without images.
    pub fn accuracy(&self) -> Option<f64> {
        part(self.n_correct(), self.n_images())
    }

    /// Returns the scores of a class.
    ///
    /// # Panics
    /// If `class` is not below the number of classes.
    pub fn scores(&self, class: usize) -> ClassScores {
        let right = self.at(class, class);
        let n_images = (0..self.n_classes).map(|other| self.at(class, other)).sum();
        let n_predicted = (0..self.n_classes).map(|other| self.at(other, class)).sum();
        ClassScores {
            n_images,
            n_predicted,
            precision: part(right, n_predicted),
            recall: part(right, n_images),
            // Equal to 2 p r / (p + r), which is 0 / 0 where no image is correct.
            f1: part(2 * right, n_images + n_predicted),
        }
    }

    /// Returns the scores of every class, in the order of the labels.
    pub fn all_scores(&self) -> Vec<ClassScores> {
        (0..self.n_classes).map(|class| self.scores(class)).collect()
    }

    /// Returns the counts that are not 0, as (truth, prediction, number of images), in the order of the matrix.
    pub fn counts(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let n = self.n_classes;
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(move |(ix, &count)| (ix / n, ix % n, count))
    }

    /// Returns the matrix in which each `k` successive classes are one class. The last group may have fewer classes.
    ///
    /// # Panics
    /// If `k` is 0.
    pub fn grouped(&self, k: usize) -> Self {
        let mut grouped = Self::new(self.n_classes.div_ceil(k));
        for (truth, prediction, n) in self.counts() {
            grouped.counts[truth / k * grouped.n_classes + prediction / k] += n;
        }
        grouped
    }

    /// Returns the pairs of different classes that were mistaken for one another, as (truth, prediction, number of
    /// images), the most frequent first.
    pub fn mistakes(&self) -> Vec<(usize, usize, usize)> {
        let mut mistakes: Vec<_> = self.counts().filter(|(t, p, _)| t != p).collect();
        // The sort is stable: pairs with the same number keep the order of their classes.
        sort_by_key(&mut mistakes, |&(_, _, n)| std::cmp::Reverse(n));
        mistakes
    }
}

/// Returns `n / of`; none if `of` is 0.
fn part(n: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the matrix of four cats (one predicted as a dog), three dogs (two predicted as cats), and no bird.
    fn pets() -> Confusion {
        let truths = [0, 0, 0, 0, 1, 1, 1];
        Confusion::of(3, &truths, [0, 0, 0, 1, 0, 0, 1].into_iter())
    }

    #[test]
    fn rows_are_truths_and_columns_are_predictions() {
        let pets = pets();
        assert_eq!((pets.at(0, 0), pets.at(0, 1)), (3, 1));
        assert_eq!((pets.at(1, 0), pets.at(1, 1)), (2, 1));
        assert_eq!((pets.n_images(), pets.n_correct()), (7, 4));
        assert_eq!(pets.accuracy(), Some(4.0 / 7.0));
        assert_eq!(pets.mistakes(), [(1, 0, 2), (0, 1, 1)]);
        assert_eq!(pets.counts().collect::<Vec<_>>(), [(0, 0, 3), (0, 1, 1), (1, 0, 2), (1, 1, 1)]);
    }

    #[test]
    fn groups_have_the_sums_of_their_classes() {
        let truths = [0, 1, 2, 3, 4, 4];
        let five = Confusion::of(5, &truths, [1, 1, 3, 0, 4, 2].into_iter());
        let grouped = five.grouped(2);
        assert_eq!(grouped.n_classes(), 3);
        let expected = [(0, 0, 2), (1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 2, 1)];
        assert_eq!(grouped.counts().collect::<Vec<_>>(), expected);
        assert_eq!(five.grouped(1), five);
    }

    #[test]
    fn scores_are_the_definitions_of_precision_recall_and_f1() {
        let [cat, dog, bird] = pets().all_scores()[..] else { panic!("three classes") };
        assert_eq!((cat.n_images, cat.n_predicted), (4, 5));
        assert_eq!((cat.precision, cat.recall), (Some(3.0 / 5.0), Some(3.0 / 4.0)));
        let (p, r) = (3.0 / 5.0, 3.0 / 4.0);
        assert!((cat.f1.expect("there are cats") - 2.0 * p * r / (p + r)).abs() < 1e-15);
        assert_eq!((dog.precision, dog.recall), (Some(1.0 / 2.0), Some(1.0 / 3.0)));
        assert_eq!((bird.precision, bird.recall, bird.f1), (None, None, None));
    }

    #[test]
    fn no_correct_image_gives_0_and_no_image_gives_none() {
        let wrong = Confusion::of(2, &[0, 0], [1, 1].into_iter());
        assert_eq!((wrong.scores(0).recall, wrong.scores(0).f1), (Some(0.0), Some(0.0)));
        assert_eq!(wrong.scores(1).precision, Some(0.0));
        assert_eq!(Confusion::new(2).accuracy(), None);
    }

    #[test]
    #[should_panic(expected = "truth 0, prediction 2: the classes are 0 to 1")]
    fn a_prediction_that_is_not_a_class_panics() {
        Confusion::new(2).count(0, 2);
    }
}
