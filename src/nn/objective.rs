//! What stands behind a network's logits: the loss, and in training all that follows from it.

use crate::nn::layers::BATCH_NORM_MOMENTUM;
use crate::ops::adam::{self, Adam};
use crate::ops::cross_entropy::{CrossEntropy, cross_entropy};
use crate::ops::finite_check::{self, OnNan};
use crate::ops::{clip_grad_norm, ema, metrics, running_statistics};
use crate::passes::{self, fuse::Fusion};
use crate::tape::{Phase, Tape, ValueId};

/// What a step does with the logits.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// The part of each label that is spread over all classes, in training.
    pub label_smoothing: f32,
    /// The optimizer.
    pub adam: Adam,
    /// The norm of all gradients together that they are clipped to, if they are.
    pub clip_grad_norm: Option<f32>,
    /// The decay of the moving average of the parameters, which evaluation then uses, if there is one.
    pub ema: Option<f64>,
    /// What follows from a gradient or statistic that is not finite.
    pub on_nan: OnNan,
    /// How tapes are rewritten.
    pub fusion: Fusion,
}

impl Default for Objective {
    /// No label smoothing, Adam as it was published, no clipping, no average, everything fused.
    fn default() -> Self {
        Self {
            label_smoothing: 0.0,
            adam: Adam::default(),
            clip_grad_norm: None,
            ema: None,
            on_nan: OnNan::Stop,
            fusion: Fusion::ALL,
        }
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
        passes::fuse(tape, self.fusion);
        passes::backward(tape, loss.loss);
        tape.in_phase(Phase::Update, |tape| {
            let norm = self.clip_grad_norm.map(|_| clip_grad_norm::norm(tape));
            // First the check: what follows leaves the state alone when something is not finite.
            finite_check::finite_check(tape, norm.as_slice(), self.on_nan);
            metrics::accumulate(tape, &loss, labels);
            running_statistics::update(tape, BATCH_NORM_MOMENTUM);
            if let (Some(norm), Some(max_norm)) = (norm, self.clip_grad_norm) {
                clip_grad_norm::clip(tape, norm, max_norm);
            }
            adam::adam(tape, self.adam);
            if let Some(decay) = self.ema {
                ema::ema(tape, decay);
            }
        });
        passes::eliminate_dead(tape);
        loss
    }

    /// Completes an evaluation step: the loss without label smoothing, and the metrics. With a moving
    /// average of the parameters, that is what is evaluated.
    pub fn record_evaluation(
        &self,
        tape: &mut Tape,
        logits: ValueId,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = self.record_forward(tape, logits, labels);
        tape.in_phase(Phase::Update, |tape| metrics::accumulate(tape, &loss, labels));
        passes::eliminate_dead(tape);
        loss
    }

    /// Completes a step whose batch norms leave the statistics of its batch, with the weights that an
    /// evaluation uses, and that changes nothing else.
    pub fn record_statistics(
        &self,
        tape: &mut Tape,
        logits: ValueId,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = self.record_forward(tape, logits, labels);
        passes::eliminate_dead(tape);
        loss
    }

    /// The loss without label smoothing, of the moving average of the parameters if there is one.
    fn record_forward(&self, tape: &mut Tape, logits: ValueId, labels: ValueId) -> CrossEntropy {
        let loss = record_loss(tape, logits, labels, 0.0);
        passes::fuse(tape, self.fusion);
        if self.ema.is_some() {
            passes::read_averages(tape);
        }
        loss
    }
}

fn record_loss(tape: &mut Tape, logits: ValueId, labels: ValueId, smoothing: f32) -> CrossEntropy {
    let loss = tape.scoped("loss", |tape| cross_entropy(tape, logits, labels, smoothing));
    tape.keep(loss.loss);
    loss
}
