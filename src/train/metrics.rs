//! What is known of an epoch: a line of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

/// An epoch, in the order of the keys in the file.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// From 1.
    pub epoch: usize,
    /// The learning rate of its last step.
    pub lr: f64,
    /// The mean loss of the training images, each at the step that learned from it.
    pub train_loss: f64,
    /// The part of them that was classified rightly, in 0..=1.
    pub train_accuracy: f64,
    /// The mean loss over all test images, after the epoch.
    pub test_loss: f64,
    /// The part of them that was classified rightly, in 0..=1.
    pub test_accuracy: f64,
    /// What training took; evaluation, compilation and start-up are not in it.
    pub seconds: f64,
    /// What evaluation took.
    pub eval_seconds: f64,
    /// Training images by `seconds`.
    pub images_per_s: f64,
}

/// The epoch with the highest test accuracy; the first of several.
pub fn best(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
    epochs.iter().rev().max_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize, test_accuracy: f64) -> EpochMetrics {
        EpochMetrics {
            epoch,
            lr: 0.01,
            train_loss: 1.5,
            train_accuracy: 0.5,
            test_loss: 1.25,
            test_accuracy,
            seconds: 2.0,
            eval_seconds: 0.5,
            images_per_s: 1000.0,
        }
    }

    #[test]
    fn the_first_of_the_best_counts() {
        let epochs = [epoch(1, 0.5), epoch(2, 0.75), epoch(3, 0.75), epoch(4, 0.25)];
        assert_eq!(best(&epochs).map(|e| e.epoch), Some(2));
        assert!(best(&[]).is_none());
    }

    #[test]
    fn a_line_has_these_keys_in_this_order() {
        let line = serde_json::to_string(&epoch(1, 0.75)).expect("numbers");
        assert_eq!(
            line,
            r#"{"epoch":1,"lr":0.01,"train_loss":1.5,"train_accuracy":0.5,"test_loss":1.25,"#
                .to_string()
                + r#""test_accuracy":0.75,"seconds":2.0,"eval_seconds":0.5,"images_per_s":1000.0}"#
        );
    }
}
