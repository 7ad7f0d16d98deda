//! The results of an epoch: a line of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use crate::base::fingerprint::Fingerprint;
use crate::base::units::readable_bytes;
use crate::ops::metrics::Metrics;

/// The results of an epoch. The order of the fields is the order of the keys in the file.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The number of the epoch, from 1.
    pub epoch: usize,
    /// The learning rate of the last step of the epoch.
    pub lr: f64,
    /// The mean loss over the training images. The loss of an image is measured in the step that trained on the image.
    pub train_loss: f64,
    /// The accuracy over the training images, in 0..=1. The prediction for an image is the one in the step that trained
    /// on the image.
    pub train_accuracy: f64,
    /// The mean loss over the validation images after the epoch; none in a run without validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// The accuracy over the validation images after the epoch, in 0..=1; none in a run without validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// The mean loss over all test images after the epoch; none in a run with validation images, which evaluates the
    /// test images only once, after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// The accuracy over all test images after the epoch, in 0..=1; none in a run with validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// The number of steps that were skipped because a gradient or statistic was not finite (`--on-nan skip`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_steps: u64,
    /// The time of training in seconds, without evaluation, compilation and start-up.
    pub seconds: f64,
    /// The part of `seconds` in which steps waited for the images of their batch; of an epoch that was resumed, the part
    /// since then. None in the files of earlier versions of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<f64>,
    /// The number of ranks; none in a run on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// The time in seconds in which the rank that waited longest has waited for the others, evaluation included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_wait_seconds: Option<f64>,
    /// The bytes that the first rank has sent to the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged_bytes: Option<u64>,
    /// The time of evaluation in seconds.
    pub eval_seconds: f64,
    /// The number of training images divided by `seconds`.
    pub images_per_s: f64,
    /// The hash of the parameters and running statistics after the epoch. Equal hashes of two runs mean weights with
    /// equal bits.
    pub weights: Fingerprint,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl EpochMetrics {
    /// Returns the mean loss over the images of the evaluation: the validation images if there are any, otherwise the
    /// test images.
    pub fn loss(&self) -> f64 {
        self.validation_loss.or(self.test_loss).unwrap_or(f64::NAN)
    }

    /// Returns the accuracy over the images of the evaluation, in 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.validation_accuracy.or(self.test_accuracy).unwrap_or(f64::NAN)
    }

    /// Returns the name of the images that the epoch was evaluated on: `validation` or `test`.
    pub fn evaluated_on(&self) -> &'static str {
        if self.validation_accuracy.is_some() { "validation" } else { "test" }
    }

    /// Returns a text about the ranks of the epochs, such as `4 ranks; waiting for the slowest took 12% of the time, and a
    /// rank sent 151 MiB in an epoch`; none for a run on one.
    pub fn ranks(epochs: &[Self]) -> Option<String> {
        let last = epochs.last()?;
        let (n, bytes) = (last.ranks?, last.exchanged_bytes.unwrap_or_default());
        let shared = || epochs.iter().filter(|epoch| epoch.ranks.is_some());
        let waited: f64 = shared().filter_map(|epoch| epoch.rank_wait_seconds).sum();
        let all: f64 = shared().map(|epoch| epoch.seconds + epoch.eval_seconds).sum();
        let (percent, sent) = (100.0 * waited / all, readable_bytes(bytes));
        Some(format!(
            "{n} ranks; waiting for the slowest took {percent:.0}% of the time, and a rank sent {sent} in an epoch"
        ))
    }

    /// Returns the epoch with the metrics of its evaluation, on validation images or on test images.
    pub(super) fn with_evaluation(mut self, metrics: &Metrics, on_validation: bool) -> Self {
        let (loss, accuracy) = (Some(metrics.loss()), Some(metrics.accuracy()));
        match on_validation {
            true => (self.validation_loss, self.validation_accuracy) = (loss, accuracy),
            false => (self.test_loss, self.test_accuracy) = (loss, accuracy),
        }
        self
    }
}

/// Returns the epoch with the highest accuracy of its evaluation. Of epochs with equal accuracy the first counts. None
/// without epochs.
pub fn best(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
    epochs.iter().rev().max_by(|a, b| a.accuracy().total_cmp(&b.accuracy()))
}

#[cfg(test)]
impl EpochMetrics {
    /// Returns the results of an epoch, for tests.
    pub(crate) fn example(epoch: usize, test_accuracy: f64) -> Self {
        Self {
            epoch,
            lr: 0.01,
            train_loss: 1.5,
            train_accuracy: 0.5,
            validation_loss: None,
            validation_accuracy: None,
            test_loss: Some(1.25),
            test_accuracy: Some(test_accuracy),
            skipped_steps: 0,
            seconds: 2.0,
            wait_seconds: None,
            ranks: None,
            rank_wait_seconds: None,
            exchanged_bytes: None,
            eval_seconds: 0.5,
            images_per_s: 1000.0,
            weights: Fingerprint::of([]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_for_ranks_is_a_part_of_the_time() {
        let alone = EpochMetrics::example(1, 0.5);
        assert_eq!(EpochMetrics::ranks(&[]), None);
        assert_eq!(EpochMetrics::ranks(&[alone]), None);
        let (ranks, bytes) = (Some(4), Some(3 << 20));
        let shared = EpochMetrics {
            ranks,
            rank_wait_seconds: Some(0.5),
            exchanged_bytes: bytes,
            ..EpochMetrics::example(2, 0.5)
        };
        // The epoch has 2 s of training and 0.5 s of evaluation.
        let text = EpochMetrics::ranks(&[alone, shared]).expect("a text");
        assert!(text.starts_with("4 ranks; waiting for the slowest took 20% "), "{text}");
        assert!(text.ends_with("a rank sent 3.0 MiB in an epoch"), "{text}");
    }

    #[test]
    fn the_first_of_equally_good_epochs_is_the_best() {
        let epochs = [(1, 0.5), (2, 0.75), (3, 0.75), (4, 0.25)];
        let epochs = epochs.map(|(epoch, accuracy)| EpochMetrics::example(epoch, accuracy));
        assert_eq!(best(&epochs).map(|e| e.epoch), Some(2));
        assert!(best(&[]).is_none());
    }

    #[test]
    fn a_line_has_these_keys_in_this_order() {
        let line = serde_json::to_string(&EpochMetrics::example(1, 0.75)).expect("numbers");
        assert_eq!(
            line,
            r#"{"epoch":1,"lr":0.01,"train_loss":1.5,"train_accuracy":0.5,"test_loss":1.25,"#
                .to_string()
                + r#""test_accuracy":0.75,"seconds":2.0,"eval_seconds":0.5,"images_per_s":1000.0,"#
                + r#""weights":"e3b0c44298fc1c14"}"#
        );
        let waited = EpochMetrics { wait_seconds: Some(0.25), ..EpochMetrics::example(1, 0.75) };
        let line = serde_json::to_string(&waited).expect("numbers");
        assert!(line.contains(r#""seconds":2.0,"wait_seconds":0.25,"eval_seconds""#), "{line}");
        assert_eq!(serde_json::from_str::<EpochMetrics>(&line).expect("it reads back"), waited);
        let held_out =
            Metrics { loss_sum: 2.0, n_correct: 1.0, n_images: 4.0, ..Metrics::default() };
        let epoch =
            EpochMetrics { test_loss: None, test_accuracy: None, ..EpochMetrics::example(1, 0.75) };
        let epoch = epoch.with_evaluation(&held_out, true);
        let line = serde_json::to_string(&epoch).expect("numbers");
        assert!(line.contains(r#""validation_loss":0.5,"validation_accuracy":0.25,"seconds""#));
        assert_eq!(serde_json::from_str::<EpochMetrics>(&line).expect("it reads back"), epoch);
        assert_eq!((epoch.loss(), epoch.accuracy()), (0.5, 0.25));
    }
}
