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

use std::path::Path;

use super::{Confusion, Predictions};
use crate::Error;
use crate::base::files;
use crate::nn::tensor_file::Writer;

/// The results of an evaluation.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// The mean cross entropy over the images.
    pub loss: f64,
    /// The probabilities of every class for each image.
    pub predictions: Predictions,
    /// The counts of images by label and prediction.
    pub confusion: Confusion,
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
        let rows = (0..labels.len()).map(|image| {
            let row = image * n_classes..(image + 1) * n_classes;
            mean_log_probabilities(views.iter().map(|logits| &logits[row.clone()]))
        });
        let rows: Vec<Vec<f64>> = rows.collect();
        let losses = rows.iter().zip(labels).map(|(row, &label)| -row[usize::from(label)]);
        let loss = losses.sum::<f64>() / labels.len() as f64;
        // Logarithms of probabilities are logits: their softmax is the probabilities. The logits of a single view are
        // used unchanged, because rounding could change a prediction.
        let predictions = match views {
            [logits] => Predictions::from_logits(logits, n_classes),
            _ => {
                let logits: Vec<f32> = rows.iter().flatten().map(|&log| log as f32).collect();
                Predictions::from_logits(&logits, n_classes)
            }
        };
        let confusion = predictions.confusion(labels);
        Self { loss, predictions, confusion }
    }

    /// Returns the accuracy, in 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.confusion.accuracy().expect("there are images")
    }
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
