//! Loss, accuracy and predictions on labelled images, from the logits of one or several views of each image.
//!
//! A view is a version of an image, such as its mirror image. With V views of an image, its prediction is the mean of
//! the V probabilities:
//!
//! ```text
//! p[k] = 1/V * sum over v of softmax(logits[v])[k]        loss = mean over images of -ln p[label]
//! ```
//!
//! In the mean of probabilities all views have the same weight. In the mean of logits a view with larger logits would
//! have more weight, although it is not always the better view. The computation is in f64 and on logarithms. A
//! probability that f32 rounds to zero still has a finite loss.
//!
//! An image counts for the top-5 accuracy if fewer than five classes are ahead of its label: classes with a larger
//! logit, and those with an equal logit and a smaller number.

use std::path::Path;

use super::{Confusion, Predictions};
use crate::Error;
use crate::base::files;
use crate::base::sorting::sort_by;
use crate::nn::tensor_file::Writer;

/// The number of classes of the top-5 accuracy.
const TOP: usize = 5;

/// The results of an evaluation.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// The mean cross entropy over the images.
    pub loss: f64,
    /// The cross entropy of each image, `[n]`.
    pub losses: Vec<f64>,
    /// The part of the images whose label is among the five classes with the largest logits, in 0..=1. None if the
    /// network has at most five classes.
    pub top5: Option<f64>,
    /// The probabilities of every class for each image.
    pub predictions: Predictions,
    /// The counts of images by label and prediction.
    pub confusion: Confusion,
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
    /// The cross entropy of the image.
    pub loss: f64,
}

impl Evaluation {
    /// Returns the results from the logits of each view, `[n, classes]`, and the labels, `[n]`.
    ///
    /// # Panics
    /// If there are no images or no views, or a view does not have `n_classes` logits for each label.
    pub fn of(views: &[Vec<f32>], labels: &[u16], n_classes: usize) -> Self {
        assert!(!views.is_empty() && !labels.is_empty(), "an evaluation without images or views");
        for logits in views {
            let (n, found) = (labels.len(), logits.len());
            assert_eq!(
                found,
                n * n_classes,
                "{found} logits for {n} images of {n_classes} classes"
            );
        }
        let mut losses = Vec::with_capacity(labels.len());
        let mut joined = Vec::new();
        for (image, &label) in labels.iter().enumerate() {
            let row = image * n_classes..(image + 1) * n_classes;
            let logs = mean_log_probabilities(views.iter().map(|logits| &logits[row.clone()]));
            losses.push(-logs[usize::from(label)]);
            if views.len() > 1 {
                joined.extend(logs.iter().map(|&log| log as f32));
            }
        }
        // Logarithms of probabilities are logits: their softmax is the probabilities. The logits of a single view are
        // used unchanged, because rounding could change a prediction.
        let logits = match views {
            [logits] => logits,
            _ => &joined,
        };
        let predictions = Predictions::from_logits(logits, n_classes);
        let confusion = predictions.confusion(labels);
        let loss = losses.iter().sum::<f64>() / labels.len() as f64;
        let top5 = (n_classes > TOP).then(|| {
            let rows = logits.chunks_exact(n_classes).zip(labels);
            let n = rows.filter(|&(row, &label)| is_in_top(row, label.into())).count();
            n as f64 / labels.len() as f64
        });
        Self { loss, losses, top5, predictions, confusion }
    }

    /// Returns the accuracy, in 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.confusion.accuracy().expect("there are images")
    }

    /// Returns the images whose prediction is not their label, the largest loss first.
    ///
    /// # Panics
    /// If the number of labels is not the number of images.
    pub fn mistakes(&self, labels: &[u16]) -> Vec<Mistake> {
        let n = self.losses.len();
        assert_eq!(labels.len(), n, "{} labels, {n} images", labels.len());
        let seen = labels.iter().zip(&self.losses).enumerate().map(|(image, (&truth, &loss))| {
            Mistake { image, truth: truth.into(), prediction: self.predictions.class(image), loss }
        });
        let mut mistakes: Vec<_> = seen.filter(|m| m.truth != m.prediction).collect();
        // The sort is stable: equal losses keep the order of their images.
        sort_by(&mut mistakes, |a, b| b.loss.total_cmp(&a.loss));
        mistakes
    }
}

/// Returns true if fewer than five classes are ahead of the class `label`. `logits` are those of an image, `[classes]`.
fn is_in_top(logits: &[f32], label: usize) -> bool {
    let of_label = logits[label];
    let is_ahead = |&(class, &z): &(usize, &f32)| z > of_label || (z == of_label && class < label);
    logits.iter().enumerate().filter(is_ahead).count() < TOP
}

/// Returns `ln(1/V * sum over v of softmax(logits[v]))` of one image, `[classes]`.
fn mean_log_probabilities<'a>(views: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f64> {
    let n_views = views.len() as f64;
    let views: Vec<Vec<f64>> = views.map(log_softmax).collect();
    let of_class = |class: usize| log_sum_exp(views.iter().map(|logs| logs[class])) - n_views.ln();
    (0..views[0].len()).map(of_class).collect()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let logits = logits.iter().map(|&z| f64::from(z));
    let log_sum = log_sum_exp(logits.clone());
    logits.map(|z| z - log_sum).collect()
}

/// Returns `ln(sum of exp(z))` over the values z. The largest z is subtracted first, because exp of a large z
/// overflows.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|z| (z - largest).exp()).sum::<f64>().ln()
}

/// Writes logits, `[images, classes]`, as the tensor `logits` of a safetensors file.
///
/// # Errors
/// If the file cannot be written.
pub fn write_logits(path: &Path, logits: &[f32], n_classes: usize) -> Result<(), Error> {
    let mut file = Writer::default();
    file.f32("logits".to_string(), vec![logits.len() / n_classes, n_classes], logits);
    Ok(files::write_whole(path, &file.finish(&[("format", "pt")]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two views of four images of three classes.
    const VIEWS: [[f32; 12]; 2] = [
        [2.0, -1.0, 0.5, 0.25, 0.5, -3.0, 40.0, -80.0, 1.0, 1.5, 1.25, 1.0],
        [-1.5, 3.0, 0.0, 4.0, 0.5, 0.75, -20.0, 30.0, 2.0, -0.5, 1.0, 2.5],
    ];
    const LABELS: [u16; 4] = [1, 0, 2, 0];

    fn assert_close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-5 * expected.abs(),
            "{found}, and {expected} is right"
        );
    }

    /// The expected numbers are PyTorch's:
    ///
    /// ```python
    /// a, b = (torch.tensor(view, dtype=torch.float64).reshape(4, 3) for view in VIEWS)
    /// p = (a.softmax(1) + b.softmax(1)) / 2
    /// F.cross_entropy(a, labels), F.nll_loss(p.log(), labels), p
    /// ```
    #[test]
    fn losses_and_probabilities_are_those_of_pytorch() {
        let expected = [
            [0.3980341840605551, 0.4908559893486837, 0.11110982659076135],
            [0.6829967604274634, 0.29052058123532926, 0.02648265833720731],
            [0.5, 0.4999999999996543, 3.457257794588576e-13],
            [0.22917076244019255, 0.2508931139699367, 0.5199361235898707],
        ];
        let one = Evaluation::of(&[VIEWS[0].to_vec()], &LABELS, 3);
        assert_close(one.loss, 10.988355643482153);
        assert_eq!(one.confusion.n_correct(), 1);
        let both = Evaluation::of(&VIEWS.map(|view| view.to_vec()), &LABELS, 3);
        assert_close(both.loss, 7.81482200057516);
        for (image, row) in expected.iter().enumerate() {
            for (&found, &expected) in both.predictions.of(image).iter().zip(row) {
                assert_close(f64::from(found), expected);
            }
        }
        assert_eq!(both.confusion.n_correct(), 2);
        assert_eq!(both.accuracy(), 0.5);
    }

    /// The expected number is PyTorch's for the images without equal logits:
    ///
    /// ```python
    /// (a.topk(5).indices == labels[:, None]).any(1).double().mean()
    /// ```
    #[test]
    fn the_top_5_are_the_labels_with_fewer_than_five_classes_ahead() {
        let logits = [
            // Place 5, place 6, the smallest of all.
            [0.1_f32, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0],
            [0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0],
            [-1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            // Equal logits: the fifth class of all, and the sixth.
            [1.0; 7],
            [1.0; 7],
            // Probabilities that f32 rounds to zero still have an order.
            [900.0, -300.0, -200.0, -100.0, 0.0, 100.0, -400.0],
            [900.0, -300.0, -200.0, -100.0, 0.0, 100.0, -400.0],
        ];
        let labels = [5, 0, 0, 4, 5, 2, 1];
        let of = |n: usize| Evaluation::of(&[logits[..n].concat()], &labels[..n], 7).top5;
        assert_eq!(of(3), Some(1.0 / 3.0));
        assert_eq!(of(5), Some(2.0 / 5.0));
        assert_eq!(of(7), Some(3.0 / 7.0));
        let few = Evaluation::of(&[VIEWS[0].to_vec()], &LABELS, 3);
        assert_eq!(few.top5, None, "of three classes");
    }

    #[test]
    fn the_mistake_with_the_largest_loss_comes_first() {
        // The losses are log(1 + e^1), log(1 + e^3), less than log 2, and log(1 + e^3) again.
        let logits = vec![0.0, 1.0, 0.0, 3.0, 2.0, 0.0, 3.0, 0.0];
        let labels = [0, 0, 0, 1];
        let mistakes = Evaluation::of(&[logits], &labels, 2).mistakes(&labels);
        let found: Vec<_> = mistakes.iter().map(|m| (m.image, m.truth, m.prediction)).collect();
        assert_eq!(found, [(1, 0, 1), (3, 1, 0), (0, 0, 1)]);
        assert_close(mistakes[0].loss, 3.0_f64.exp().ln_1p());
    }

    #[test]
    fn two_equal_views_give_the_results_of_one() {
        let views = [VIEWS[0].to_vec(), VIEWS[0].to_vec()];
        let (one, both) =
            (Evaluation::of(&views[..1], &LABELS, 3), Evaluation::of(&views, &LABELS, 3));
        assert_close(both.loss, one.loss);
        assert_eq!(both.confusion, one.confusion);
    }

    #[test]
    #[should_panic(expected = "12 logits for 3 images of 3 classes")]
    fn missing_labels_panic() {
        Evaluation::of(&[VIEWS[0].to_vec()], &LABELS[..3], 3);
    }
}
