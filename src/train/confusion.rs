//! Truth against prediction: the confusion matrix, and what it says of each class.

/// How often images of each class were taken for each class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confusion {
    n_classes: usize,
    /// `[truth, prediction]`, row-major.
    counts: Vec<usize>,
}

/// How well one class is told from the others.
///
/// The parts are in 0..=1, and none where they are 0 of 0: nothing can be said of the precision of a
/// class that was never predicted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClassScores {
    /// Images of the class.
    pub n_images: usize,
    /// Images that were taken for it.
    pub n_predicted: usize,
    /// Of the images that were taken for it, the part that is of it.
    pub precision: Option<f64>,
    /// Of its images, the part that was recognised: its accuracy.
    pub recall: Option<f64>,
    /// The harmonic mean of the two; none where there is neither an image nor a prediction of it.
    pub f1: Option<f64>,
}

impl Confusion {
    /// No image yet.
    ///
    /// # Panics
    /// Without classes.
    pub fn new(n_classes: usize) -> Self {
        assert!(n_classes > 0, "a confusion matrix of no classes");
        Self { n_classes, counts: vec![0; n_classes * n_classes] }
    }

    /// That of images with these classes, which were taken for those, image by image.
    ///
    /// # Panics
    /// When there are more of one than of the other, or a class is none of `n_classes`.
    pub fn of(
        n_classes: usize,
        truths: &[u8],
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
    /// When one of the classes is none.
    pub fn count(&mut self, truth: usize, prediction: usize) {
        let n = self.n_classes;
        assert!(truth < n && prediction < n, "{truth} taken for {prediction}, of {n} classes");
        self.counts[truth * n + prediction] += 1;
    }

    /// The number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The images of class `truth` that were taken for `prediction`.
    ///
    /// # Panics
    /// When one of the classes is none.
    pub fn at(&self, truth: usize, prediction: usize) -> usize {
        assert!(prediction < self.n_classes, "class {prediction} of {}", self.n_classes);
        self.counts[truth * self.n_classes + prediction]
    }

    /// All images.
    pub fn n_images(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Those that were classified rightly.
    pub fn n_correct(&self) -> usize {
        (0..self.n_classes).map(|class| self.at(class, class)).sum()
    }

    /// The part that was classified rightly, in 0..=1; none without images.
    pub fn accuracy(&self) -> Option<f64> {
        part(self.n_correct(), self.n_images())
    }

    /// How well a class is told from the others.
    ///
    /// # Panics
    /// When it is none.
    pub fn scores(&self, class: usize) -> ClassScores {
        let right = self.at(class, class);
        let n_images = (0..self.n_classes).map(|other| self.at(class, other)).sum();
        let n_predicted = (0..self.n_classes).map(|other| self.at(other, class)).sum();
        ClassScores {
            n_images,
            n_predicted,
            precision: part(right, n_predicted),
            recall: part(right, n_images),
            // 2 p r / (p + r), without a division by zero where nothing is right.
            f1: part(2 * right, n_images + n_predicted),
        }
    }

    /// The scores of every class, in the order of the labels.
    pub fn all_scores(&self) -> Vec<ClassScores> {
        (0..self.n_classes).map(|class| self.scores(class)).collect()
    }

    /// Pairs of classes that were mistaken for one another, as (truth, prediction, images), the most
    /// frequent first.
    pub fn mistakes(&self) -> Vec<(usize, usize, usize)> {
        let pairs = (0..self.n_classes)
            .flat_map(|truth| (0..self.n_classes).map(move |prediction| (truth, prediction)));
        let counted = pairs.map(|(truth, other)| (truth, other, self.at(truth, other)));
        let mut mistakes: Vec<_> = counted.filter(|(t, p, n)| t != p && *n > 0).collect();
        // Stable: pairs that are equally frequent stay in the order of their classes.
        mistakes.sort_by_key(|&(_, _, n)| std::cmp::Reverse(n));
        mistakes
    }
}

/// `n / of`; none of nothing.
fn part(n: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four cats (one taken for a dog), three dogs (two taken for cats), and no bird.
    fn pets() -> Confusion {
        let truths = [0, 0, 0, 0, 1, 1, 1];
        Confusion::of(3, &truths, [0, 0, 0, 1, 0, 0, 1].into_iter())
    }

    #[test]
    fn counts_are_rows_of_truth() {
        let pets = pets();
        assert_eq!((pets.at(0, 0), pets.at(0, 1)), (3, 1));
        assert_eq!((pets.at(1, 0), pets.at(1, 1)), (2, 1));
        assert_eq!((pets.n_images(), pets.n_correct()), (7, 4));
        assert_eq!(pets.accuracy(), Some(4.0 / 7.0));
        assert_eq!(pets.mistakes(), [(1, 0, 2), (0, 1, 1)]);
    }

    #[test]
    fn scores_are_those_of_the_textbook() {
        let [cat, dog, bird] = pets().all_scores()[..] else { panic!("three classes") };
        assert_eq!((cat.n_images, cat.n_predicted), (4, 5));
        assert_eq!((cat.precision, cat.recall), (Some(3.0 / 5.0), Some(3.0 / 4.0)));
        let (p, r) = (3.0 / 5.0, 3.0 / 4.0);
        assert!((cat.f1.expect("there are cats") - 2.0 * p * r / (p + r)).abs() < 1e-15);
        assert_eq!((dog.precision, dog.recall), (Some(1.0 / 2.0), Some(1.0 / 3.0)));
        assert_eq!((bird.precision, bird.recall, bird.f1), (None, None, None));
    }

    #[test]
    fn nothing_right_is_zero_and_nothing_at_all_is_unknown() {
        let wrong = Confusion::of(2, &[0, 0], [1, 1].into_iter());
        assert_eq!((wrong.scores(0).recall, wrong.scores(0).f1), (Some(0.0), Some(0.0)));
        assert_eq!(wrong.scores(1).precision, Some(0.0));
        assert_eq!(Confusion::new(2).accuracy(), None);
    }

    #[test]
    #[should_panic(expected = "0 taken for 2, of 2 classes")]
    fn refuses_what_is_no_class() {
        Confusion::new(2).count(0, 2);
    }
}
