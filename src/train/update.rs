//! The part of a step after the network's logits: the loss, and in training the gradients and the update of the state.
//!
//! Two modules record the part before it: [`step`](super::step) from pixels to the logits of ResNet-9, and
//! [`Model`](super::Model) from arrays to the logits of a network of your own.

use crate::base::clock::Instant;
use crate::nn::Heads;
use crate::nn::layers::BATCH_NORM_MOMENTUM;
use crate::ops::adam::Adam;
use crate::ops::add::add;
use crate::ops::cross_entropy::{self, CrossEntropy};
use crate::ops::finite_check::{self, OnNonFinite};
use crate::ops::lr_scale::LrScale;
use crate::ops::optimizers::AnyOptimizer;
use crate::ops::scale::scale;
use crate::ops::{clip_grad_norm, ema, metrics, partial_sum, running_statistics};
use crate::passes::{self, fuse::Fusion};
use crate::tape::{ElementType, Phase, Prefixes, Tape, ValueId};

/// The settings of the part of a step after the logits: loss, gradients, optimizer.
#[derive(Clone, Debug)]
pub struct UpdateConfig {
    /// The share of each label that is spread over all classes, in 0..1. Evaluation does not smooth labels.
    pub label_smoothing: f32,
    /// The weights of the classes in the training loss, `[K]`; none for equal weights. Evaluation has equal weights.
    pub class_weights: Option<Vec<f32>>,
    /// The optimizer.
    pub optimizer: AnyOptimizer,
    /// The parameters that training does not change; see [`Tape::freeze`].
    pub frozen: Prefixes,
    /// The factors of the learning rates of some parameters.
    pub lr_scale: LrScale,
    /// The largest L2 norm of all gradients together. Gradients with a larger norm are scaled down to this norm. None:
    /// gradients are not clipped.
    pub clip_grad_norm: Option<f32>,
    /// The decay of the moving average of the parameters. Evaluation then reads the average. None: no average is kept.
    pub ema: Option<f64>,
    /// The reaction to a gradient or statistic that is not finite.
    pub on_nan: OnNonFinite,
    /// The number of shards of a training step; 1 for an undivided step. The steps record one shard; see
    /// [`partial_sum`].
    pub n_shards: usize,
    /// The fusion rules by which the passes rewrite a tape.
    pub fusion: Fusion,
    /// True if the backward pass of a training step computes values of the forward pass again; see
    /// [`mod@passes::recompute`].
    pub recompute: bool,
}

impl Default for UpdateConfig {
    /// No label smoothing, equal weights of the classes, Adam as it was published, nothing frozen, no
    /// clipping, no average, one shard, everything fused, nothing recomputed.
    fn default() -> Self {
        Self {
            label_smoothing: 0.0,
            class_weights: None,
            optimizer: Adam::default().into(),
            frozen: Prefixes::default(),
            lr_scale: LrScale::default(),
            clip_grad_norm: None,
            ema: None,
            on_nan: OnNonFinite::Stop,
            n_shards: 1,
            fusion: Fusion::ALL,
            recompute: false,
        }
    }
}

/// The time that the passes take while a step is recorded, in seconds.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct PassTimes {
    /// Time of the fusion.
    pub fuse: f64,
    /// Time of the differentiation.
    pub differentiate: f64,
    /// Time of the recomputation's pass; 0 without it.
    pub recompute: f64,
}

impl UpdateConfig {
    /// Records the part of a training step after the logits: the loss of the logits, `[N, classes]`, against `labels`,
    /// `[N]`, every gradient, and the updates of parameters, running statistics and metrics. The gradients are those of
    /// the loss plus the losses of the auxiliary heads, each times its factor. The host can read the mean loss of the
    /// main head after the step; the metrics are those of the main head. With class weights the host writes them once
    /// into [`CrossEntropy::class_weights`], from which all heads read them.
    ///
    /// With several shards, the nodes before [`Phase::Update`] compute and add up the results of one shard, and those of
    /// [`Phase::Update`] run once for all shards. The gradients of a shard are those of its mean loss divided by the number
    /// of shards, so their sum is the mean over the shards.
    pub fn record_training(&self, tape: &mut Tape, heads: &Heads, labels: ValueId) -> CrossEntropy {
        self.record_training_timed(tape, heads, labels).0
    }

    /// Records the nodes of [`UpdateConfig::record_training`], and measures the passes.
    pub fn record_training_timed(
        &self,
        tape: &mut Tape,
        heads: &Heads,
        labels: ValueId,
    ) -> (CrossEntropy, PassTimes) {
        let smoothing = self.label_smoothing;
        tape.divide_into_shards(self.n_shards);
        let class_weights = self
            .class_weights
            .as_ref()
            .map(|weights| tape.input("class_weights", ElementType::F32, &[weights.len()]));
        let loss = record_loss(tape, heads.logits, labels, class_weights, smoothing);
        let total = heads.auxiliary.iter().fold(loss.loss, |total, &(logits, factor)| {
            tape.scoped("auxiliary_loss", |tape| {
                let loss =
                    cross_entropy::weighted(tape, logits, labels, class_weights, smoothing).loss;
                let loss = scale(tape, loss, factor);
                add(tape, total, loss)
            })
        });
        let ((), fuse) = seconds(|| _ = passes::fuse(tape, self.fusion));
        let is_divided = self.n_shards > 1;
        let (_, differentiate) = seconds(|| match is_divided {
            true => passes::backward_scaled(tape, total, 1.0 / self.n_shards as f32),
            false => passes::backward(tape, total),
        });
        if is_divided {
            tape.in_phase(Phase::Reduce, |tape| {
                metrics::sum_shard(tape, &loss, labels);
                partial_sum::accumulate(tape);
            });
        }
        tape.in_phase(Phase::Update, |tape| {
            let norm = self.clip_grad_norm.map(|_| clip_grad_norm::norm(tape));
            // The check comes first: if a number is not finite, the updates after the check change nothing.
            finite_check::finite_check(tape, norm.as_slice(), self.on_nan);
            match is_divided {
                true => metrics::accumulate_shards(tape),
                false => metrics::accumulate(tape, &loss, labels),
            }
            running_statistics::update(tape, BATCH_NORM_MOMENTUM);
            if let (Some(norm), Some(max_norm)) = (norm, self.clip_grad_norm) {
                clip_grad_norm::clip(tape, norm, max_norm);
            }
            self.optimizer.get().record_scaled(tape, &self.lr_scale);
            if let Some(decay) = self.ema {
                ema::ema(tape, decay);
            }
        });
        passes::eliminate_dead(tape);
        let ((), recompute) = seconds(|| {
            if self.recompute {
                passes::recompute(tape);
            }
        });
        (loss, PassTimes { fuse, differentiate, recompute })
    }

    /// Records the part of an evaluation step after the logits: the loss without label smoothing and class weights, and
    /// the metrics. The step does not compute the auxiliary heads. If there is a moving average of the parameters, the step reads this average in place of the parameters.
    pub fn record_evaluation(
        &self,
        tape: &mut Tape,
        heads: &Heads,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = self.record_forward(tape, heads.logits, labels);
        tape.in_phase(Phase::Update, |tape| metrics::accumulate(tape, &loss, labels));
        passes::eliminate_dead(tape);
        loss
    }

    /// Records the part after the logits of a step that measures batch statistics. The step has the same weights as an
    /// evaluation step: the moving average of the parameters if there is one. The batch norms write the means and
    /// variances of the batch; the step changes no other state.
    pub fn record_statistics(
        &self,
        tape: &mut Tape,
        heads: &Heads,
        labels: ValueId,
    ) -> CrossEntropy {
        let loss = self.record_forward(tape, heads.logits, labels);
        passes::eliminate_dead(tape);
        loss
    }

    /// Records the loss without label smoothing. If there is a moving average of the parameters, the step reads this
    /// average in place of the parameters.
    fn record_forward(&self, tape: &mut Tape, logits: ValueId, labels: ValueId) -> CrossEntropy {
        let loss = record_loss(tape, logits, labels, None, 0.0);
        passes::fuse(tape, self.fusion);
        self.declare_state(tape);
        if self.ema.is_some() {
            passes::read_averages(tape);
        }
        loss
    }

    /// Adds the buffers of the optimizer, of the averages and of partial sums to the state of a tape that does not
    /// train. All steps of a session share one state, so their tapes have the same buffers.
    pub(super) fn declare_state(&self, tape: &mut Tape) {
        tape.divide_into_shards(self.n_shards);
        tape.optimizer_state(self.optimizer.get().state());
        if self.ema.is_some() {
            tape.average_parameters();
        }
    }
}

/// Returns the result of a call, and its time in seconds.
fn seconds<T>(call: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    (call(), start.elapsed().as_secs_f64())
}

fn record_loss(
    tape: &mut Tape,
    logits: ValueId,
    labels: ValueId,
    class_weights: Option<ValueId>,
    smoothing: f32,
) -> CrossEntropy {
    let loss = tape.scoped("loss", |tape| {
        cross_entropy::weighted(tape, logits, labels, class_weights, smoothing)
    });
    tape.keep(loss.loss);
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernels, Target};
    use crate::nn::layers::{self, Conv};
    use crate::passes::{Plan, PlanOptions};
    use crate::tape::Mode;

    const N_BLOCKS: usize = 2000;

    /// Returns the seconds to record, fuse, differentiate and plan a step of a chain of residual blocks.
    fn times(n_blocks: usize) -> [f64; 4] {
        let start = Instant::now();
        let mut tape = Tape::new("chain", Mode::Train);
        let labels = tape.input("labels", ElementType::U32, &[1]);
        let numbers = tape.input("numbers", ElementType::U32, &[1]);
        tape.set_image_numbers(numbers);
        let mut x = tape.input("x", ElementType::F32, &[1, 2, 2, 4]);
        for ix in 0..n_blocks {
            let of = |layer: &str| format!("layer1.{ix}.{layer}");
            let y = layers::conv2d(&mut tape, &of("conv"), x, 4, Conv::default());
            let y = layers::batch_norm(&mut tape, &of("bn"), y);
            let y = layers::relu(&mut tape, &of("relu"), y);
            let y = layers::dropout(&mut tape, &of("drop"), y, 0.5);
            x = layers::add(&mut tape, &of("add"), y, x);
        }
        let x = layers::flatten(&mut tape, "flatten", x);
        let logits = layers::linear(&mut tape, "fc", x, 2, true);
        let config = UpdateConfig::default();
        let (_, PassTimes { fuse, differentiate, .. }) =
            config.record_training_timed(&mut tape, &logits.into(), labels);
        let record = start.elapsed().as_secs_f64() - fuse - differentiate;
        let target = Some(Target::new(Kernels::Tuned));
        let options = PlanOptions { target, ..PlanOptions::default() };
        let (plan, plan_time) = seconds(|| Plan::new(&tape, options));
        assert!(plan.launches.len() > 5 * n_blocks);
        [record, fuse, differentiate, plan_time]
    }

    /// Each part is bounded alone, because a slow part is short against the sum of all parts. A count of visited nodes
    /// would be exact, but every loop over a slice of nodes would then have to count. So the test measures seconds, and
    /// compares the shortest of many runs: other work on the machine only adds time. Each round adds runs, until all
    /// ratios are small. In a part with a quadratic loop, the ratio of the shortest runs stays large.
    #[test]
    fn twice_the_blocks_take_at_most_2_3_times_as_long_in_each_part() {
        let mut best = [[f64::MAX; 4]; 2];
        let mut growth = [f64::MAX; 4];
        for _ in 0..40 {
            for (best, n_blocks) in best.iter_mut().zip([N_BLOCKS, 2 * N_BLOCKS]) {
                let run = times(n_blocks);
                best.iter_mut().zip(run).for_each(|(best, seconds)| *best = best.min(seconds));
            }
            growth = [0, 1, 2, 3].map(|part| best[1][part] / best[0][part]);
            if growth.iter().all(|&growth| growth <= 2.3) {
                break;
            }
        }
        println!("{growth:.2?} times as long: record, fuse, differentiate, plan; {best:.5?} s");
        assert!(growth.iter().all(|&growth| growth <= 2.3), "{growth:.2?}, {best:.5?} s");
    }
}
