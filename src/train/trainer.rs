//! Training on the images of a dataset: the training state, and the steps that are loaded into its session.
//! `evaluation.rs` has the calls that do not train.

mod evaluation;

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::TrainState;
use super::features::Images;
use super::loaded_step::LoadedStep;
use super::shared::{ReductionTimes, Shared};
use super::step::{self, Step, StepConfig};
use crate::Error;
use crate::data::batches::NextBatch;
use crate::device::{Device, LoadOptions, NodeTimes, Session};
use crate::distributed::tree::{self, Carry};
use crate::distributed::{Ranks, part};
use crate::nn::Weights;
use crate::passes::{Plan, PlanOptions};
use crate::tape::Tape;

/// A network that is trained on pixels, which the device augments.
pub struct Trainer {
    /// The training state, from which the caller reads metrics, weights and snapshots.
    pub state: TrainState,
    training: LoadedStep,
    /// All nodes of a training step, those of its update included.
    tape: Arc<Tape>,
    /// The number of shards of a training step.
    n_shards: usize,
    /// The additions after each shard that this trainer computes.
    carries: Vec<Carry>,
    /// The ranks that share the shards; none if this trainer computes all of them.
    shared: Option<Shared>,
    evaluation: LoadedStep,
    /// The step that measures running statistics for averaged weights; none if no weights are averaged.
    statistics: Option<LoadedStep>,
}

impl Trainer {
    /// Checks the steps of a trainer with these settings against the limits of a device. Compiles and allocates
    /// nothing.
    ///
    /// # Errors
    /// As for [`Device::check`].
    pub fn check(device: &Device, config: &StepConfig) -> Result<(), Error> {
        let statistics = config.update.ema.map(|_| step::statistics(config));
        let steps = [Some(step::training(config)), Some(step::evaluation(config)), statistics];
        let (mut in_use, mut slots) = (0, Vec::new());
        let tapes = steps.iter().flatten().flat_map(|step| {
            let front = step.front.as_ref().map(|front| &front.tape);
            [&*step.tape].into_iter().chain(step.update.as_deref()).chain(front)
        });
        for tape in tapes {
            let plan = Plan::new(tape, PlanOptions { slots: &slots, ..PlanOptions::default() });
            device.check(&plan, in_use)?;
            in_use += plan.own_bytes();
            slots = plan.slots();
        }
        Ok(())
    }

    /// Compiles the steps and initialises the weights. `seed` determines the weights and every random draw.
    ///
    /// # Errors
    /// If a step exceeds a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig, seed: u64) -> Result<Self, Error> {
        let training = step::training(config);
        let tape = listed(&training);
        let layout = training.tape.state();
        let mut state = TrainState::new(device, layout, config.update.optimizer, seed)?;
        let session = &mut *state.session;
        // The largest step is loaded first. If its plan exceeds a limit, the error comes before a step allocates
        // memory.
        let training = load(session, config, training)?;
        let evaluation = load(session, config, step::evaluation(config))?;
        let statistics = load_statistics(session, config)?;
        // The weights are initialised after all plans were accepted, since the host's copy of the weights takes memory
        // too.
        let initial = Weights::initial(&state.layout, seed);
        state.set_weights(&initial)?;
        let n_shards = config.update.n_shards;
        let carries = tree::carries(n_shards, 0..n_shards);
        let shared = None;
        Ok(Self { state, training, tape, n_shards, carries, shared, evaluation, statistics })
    }

    /// Shares the work with other ranks: each step computes the [part](part()) of the shards that belongs to this rank, and
    /// evaluation a part of the images. All ranks then have the same state, with the bits that one rank would have. Each
    /// rank must call the same functions with the same arguments.
    ///
    /// # Panics
    /// If there are more ranks than shards.
    pub fn share(&mut self, ranks: Rc<dyn Ranks>) {
        let part = part(self.n_shards, ranks.rank(), ranks.size());
        self.carries = tree::carries(self.n_shards, part);
        self.shared = Some(Shared::new(ranks, self.state.layout.n_reduced()));
    }

    /// Ends the sharing: this trainer computes all shards again.
    pub fn share_no_more(&mut self) {
        self.carries = tree::carries(self.n_shards, 0..self.n_shards);
        self.shared = None;
    }

    /// Returns the ranks that share the work; none if this trainer computes all of it.
    pub fn ranks(&self) -> Option<&Rc<dyn Ranks>> {
        self.shared.as_ref().map(|shared| &shared.ranks)
    }

    /// Returns the times of all reductions since [`Trainer::share`]; none without ranks.
    pub fn reductions(&self) -> Option<ReductionTimes> {
        self.shared.as_ref().map(|shared| shared.times)
    }

    /// Returns the shards that this trainer computes.
    pub fn part(&self) -> Range<usize> {
        match &self.shared {
            Some(Shared { ranks, .. }) => part(self.n_shards, ranks.rank(), ranks.size()),
            None => 0..self.n_shards,
        }
    }

    /// Loads the training step of `config` in place of the present one, and begins the optimizer anew: its state becomes
    /// 0, and its count of steps begins at 1. The steps differ in their frozen parameters alone. A parameter may not be
    /// frozen again: the buffer of gradients has its last gradient, which the norm of all gradients would contain.
    ///
    /// # Errors
    /// If a step exceeds a limit of the device, or the device fails.
    pub fn unfreeze(&mut self, config: &StepConfig) -> Result<(), Error> {
        let session = &mut *self.state.session;
        let training = step::training(config);
        self.tape = listed(&training);
        self.training = load(session, config, training)?;
        self.statistics = load_statistics(session, config)?;
        self.state.restart_optimizer()
    }

    /// Runs every step once on a batch without images, because some drivers compile a kernel when it first runs. The
    /// training state does not change.
    ///
    /// # Errors
    /// If the device fails.
    pub fn warm_up(&mut self) -> Result<(), Error> {
        let Self { state, training, evaluation, statistics, .. } = self;
        state.hold()?;
        for step in [Some(training), statistics.as_mut(), Some(evaluation)].into_iter().flatten() {
            step.write_padding(&mut *state.session)?;
            for program in [step.id].into_iter().chain(step.update) {
                state.run(program)?;
            }
        }
        state.drop_metrics().map(|_| ())
    }

    /// Runs a training step on the images of `split` whose numbers are in `images`: each shard one after another, and then
    /// the update. May return before the device has finished.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step<'a>(
        &mut self,
        split: impl Into<Images<'a>>,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<(), Error> {
        self.step_on_images(split.into(), images, epoch, lr, false).map(|_| ())
    }

    /// Runs a training step as [`Trainer::step`] does, with the same bits. Measures the time of every node of
    /// [`Trainer::tape`], summed over the shards, and waits until the step has finished.
    ///
    /// # Errors
    /// If the device fails.
    pub fn timed_step<'a>(
        &mut self,
        split: impl Into<Images<'a>>,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<NodeTimes, Error> {
        let times = self.step_on_images(split.into(), images, epoch, lr, true)?;
        Ok(times.expect("a timed step has times"))
    }

    /// Runs a training step as [`Trainer::step`] does, on filled batches of [`Trainer::shard_size`] rows, one for each
    /// shard of [`Trainer::part`].
    ///
    /// # Errors
    /// If the device fails.
    pub fn step_from(
        &mut self,
        batches: &mut dyn NextBatch,
        epoch: usize,
        lr: f64,
    ) -> Result<(), Error> {
        let write = |step: &mut LoadedStep, session: &mut dyn Session, _| {
            step.write_batch(session, batches.next_batch())
        };
        self.run_step(epoch, lr, false, write).map(|_| ())
    }

    /// Runs a training step on filled batches, and measures its nodes as [`Trainer::timed_step`] does.
    ///
    /// # Errors
    /// If the device fails.
    pub fn timed_step_from(
        &mut self,
        batches: &mut dyn NextBatch,
        epoch: usize,
        lr: f64,
    ) -> Result<NodeTimes, Error> {
        let write = |step: &mut LoadedStep, session: &mut dyn Session, _| {
            step.write_batch(session, batches.next_batch())
        };
        let times = self.run_step(epoch, lr, true, write)?;
        Ok(times.expect("a timed step has times"))
    }

    fn step_on_images(
        &mut self,
        split: Images<'_>,
        images: &[u32],
        epoch: usize,
        lr: f64,
        is_timed: bool,
    ) -> Result<Option<NodeTimes>, Error> {
        let (most, first) = (self.batch_size(), self.part().start);
        assert!(images.len() <= most, "{} images for a step of {most}", images.len());
        self.run_step(epoch, lr, is_timed, |step, session, shard| {
            let rows = step.batch_size();
            let images = images.chunks(rows).nth(first + shard).unwrap_or_default();
            step.write(session, split, images)
        })
    }

    /// Runs a training step: each shard of this trainer, whose inputs `write` writes, and then the update. Returns the
    /// times of the nodes if `is_timed`.
    fn run_step(
        &mut self,
        epoch: usize,
        lr: f64,
        is_timed: bool,
        mut write: impl FnMut(&mut LoadedStep, &mut dyn Session, usize) -> Result<(), Error>,
    ) -> Result<Option<NodeTimes>, Error> {
        let Self { state, training, carries, shared, n_shards, .. } = self;
        state.epoch = epoch;
        let Some(update) = training.update else {
            write(training, &mut *state.session, 0)?;
            return state.train_step(training.id, lr, is_timed);
        };
        let mut times: Option<NodeTimes> = None;
        for (shard, carry) in carries.iter().enumerate() {
            write(training, &mut *state.session, shard)?;
            let of_shard = state.shard_step(training.id, carry, is_timed)?;
            match (&mut times, of_shard) {
                (Some(times), Some(of_shard)) => times.add(&of_shard),
                (times, of_shard) => *times = of_shard,
            }
            if let (Some(shared), Some(shards)) = (shared.as_mut(), &carry.finished) {
                shared.finish(state, shards.clone())?;
            }
        }
        if let Some(shared) = shared {
            shared.reduce(state, *n_shards)?;
        }
        let of_update = state.train_step(update, lr, is_timed)?;
        if let (Some(times), Some(of_update)) = (&mut times, of_update) {
            times.append(of_update);
        }
        Ok(times)
    }

    /// Returns the training step as it was recorded, its update included.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Returns the number of images in a step.
    pub fn batch_size(&self) -> usize {
        self.shard_size() * self.n_shards
    }

    /// Returns the number of images in a shard of a step: all images of a step that is not divided.
    pub fn shard_size(&self) -> usize {
        self.training.batch_size()
    }

    /// Returns the bytes that the state and all steps take on the device.
    pub fn planned_bytes(&self) -> u64 {
        let steps = [Some(&self.training), Some(&self.evaluation), self.statistics.as_ref()];
        let mut programs = steps.into_iter().flatten().flat_map(LoadedStep::programs);
        let first = programs.next().map(|id| self.state.session.plan(id).total_bytes());
        let others = programs.map(|id| self.state.session.plan(id).own_bytes());
        first.unwrap_or_default() + others.sum::<u64>()
    }
}

/// Returns all nodes of a step as one tape.
fn listed(step: &Step) -> Arc<Tape> {
    match &step.update {
        Some(_) => Arc::new(step.whole()),
        None => Arc::clone(&step.tape),
    }
}

/// Compiles a step of these settings.
fn load(session: &mut dyn Session, config: &StepConfig, step: Step) -> Result<LoadedStep, Error> {
    LoadedStep::load(session, config, step, LoadOptions::default())
}

/// Compiles the step that measures running statistics; returns None if no weights are averaged.
fn load_statistics(
    session: &mut dyn Session,
    config: &StepConfig,
) -> Result<Option<LoadedStep>, Error> {
    config.update.ema.map(|_| load(session, config, step::statistics(config))).transpose()
}
