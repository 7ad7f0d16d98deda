//! What stands behind a network's logits: the loss, and in training all that follows from it.

use crate::nn::layers::BATCH_NORM_MOMENTUM;
use crate::ops::adam::{self, Adam};
use crate::ops::cross_entropy::{CrossEntropy, cross_entropy};
use crate::ops::{finite_check, metrics, running_statistics};
use crate::tape::fuse::Fusion;
use crate::tape::{Phase, Tape, ValueId};

/// What a step does with the logits.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// The part of each label that is spread over all classes, in training.
    pub label_smoothing: f32,
    /// The optimizer.
    pub adam: Adam,
    /// How tapes are rewritten.
    pub fusion: Fusion,
}

impl Default for Objective {
    /// No label smoothing, Adam as it was published, everything fused.
    fn default() -> Self {
        Self { label_smoothing: 0.0, adam: Adam::default(), fusion: Fusion::ALL }
    }
}

impl Objective {
    /// Completes a training step: the loss of `logits` `[N, classes]` against `labels` `[N]`, every
    /// gradient, and the updates of parameters, statistics and metrics. The mean loss is kept.
    pub fn record_training(
        &self,
        tape: &mut Tape,
        logits: ValueId,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = record_loss(tape, logits, labels, self.label_smoothing);
        tape.fuse(self.fusion);
        tape.backward(loss.loss);
        tape.in_phase(Phase::Update, |tape| {
            // First the check: what follows leaves the state alone when a gradient is not finite.
            finite_check::finite_check(tape);
            metrics::accumulate(tape, &loss, labels);
            running_statistics::update(tape, BATCH_NORM_MOMENTUM);
            adam::adam(tape, self.adam);
        });
        tape.eliminate_dead();
        loss
    }

    /// Completes an evaluation step: the loss without label smoothing, and the metrics.
    pub fn record_evaluation(
        &self,
        tape: &mut Tape,
        logits: ValueId,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = record_loss(tape, logits, labels, 0.0);
        tape.fuse(self.fusion);
        tape.in_phase(Phase::Update, |tape| metrics::accumulate(tape, &loss, labels));
        tape.eliminate_dead();
        loss
    }
}

fn record_loss(tape: &mut Tape, logits: ValueId, labels: ValueId, smoothing: f32) -> CrossEntropy {
    let loss = tape.scoped("loss", |tape| cross_entropy(tape, logits, labels, smoothing));
    tape.keep(loss.loss);
    loss
}
