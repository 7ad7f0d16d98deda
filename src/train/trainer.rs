//! A network on a device, trained: stepped, evaluated, saved.

use std::path::Path;
use std::sync::Arc;

use super::evaluator::{Evaluator, Program};
use super::replay::NodeRange;
use super::step::{self, StepConfig};
use crate::data::Split;
use crate::data::batches::Batch;
use crate::device::{Device, LoadOptions, NodeTimes, Session};
use crate::error::Error;
use crate::nn::{Learner, ModelInfo, Snapshot, Weights};
use crate::ops::metrics::Metrics;
use crate::passes::{Plan, PlanOptions};
use crate::tape::{ElementType, Group, StateLayout, Tape};

/// Batches that the statistics of averaged weights are taken over, at most: what is left of chance in them
/// then is far below what the weights change by in a step.
const STATISTICS_BATCHES: usize = 32;

/// A network that is trained.
pub struct Trainer {
    evaluator: Evaluator,
    training: Program,
    /// For the statistics of averaged weights, where weights are averaged.
    statistics: Option<Program>,
}

impl Trainer {
    /// Holds the steps against the limits of a device, with nothing compiled or allocated.
    ///
    /// # Errors
    /// Those of [`Device::check`].
    pub fn check(device: &Device, config: &StepConfig) -> Result<(), Error> {
        let statistics = config.objective.ema.map(|_| step::statistics(config));
        let steps = [Some(step::training(config)), Some(step::evaluation(config)), statistics];
        let (mut in_use, mut slots) = (0, Vec::new());
        for step in steps.into_iter().flatten() {
            let plan =
                Plan::new(&step.tape, PlanOptions { slots: &slots, ..PlanOptions::default() });
            device.check(&plan, in_use)?;
            in_use += plan.own_bytes();
            slots = plan.slots();
        }
        Ok(())
    }

    /// Compiles the steps, and starts the network and all that is random from `seed`.
    ///
    /// # Errors
    /// When a step passes a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig, seed: u64) -> Result<Self, Error> {
        let training = step::training(config);
        let adam = config.objective.adam;
        let mut learner = Learner::new(device, training.tape.state(), adam, seed)?;
        // The larger one first: a plan that passes a limit is refused before anything is allocated.
        let training = Program::load(&mut learner, config, training, LoadOptions::default())?;
        let evaluation = step::evaluation(config);
        let evaluation = Program::load(&mut learner, config, evaluation, LoadOptions::default())?;
        let statistics = config.objective.ema.map(|_| {
            let statistics = step::statistics(config);
            Program::load(&mut learner, config, statistics, LoadOptions::default())
        });
        let statistics = statistics.transpose()?;
        // Only now: the plans have passed the limits, and so has what the host draws.
        let initial = Weights::initial(learner.layout(), seed);
        learner.set_weights(&initial)?;
        Ok(Self { evaluator: Evaluator { learner, evaluation }, training, statistics })
    }

    /// Runs every step once, on no images and without an effect: some drivers compile a kernel when it
    /// first runs.
    ///
    /// # Errors
    /// When the device fails.
    pub fn warm_up(&mut self) -> Result<(), Error> {
        let Self { evaluator, training, statistics } = self;
        let nothing = Split::default();
        evaluator.learner.hold()?;
        training.write(&mut evaluator.learner, &nothing, &[])?;
        evaluator.learner.run(training.id)?;
        if let Some(statistics) = statistics {
            statistics.write(&mut evaluator.learner, &nothing, &[])?;
            evaluator.learner.run(statistics.id)?;
        }
        evaluator.run(&nothing, &[])?;
        evaluator.learner.drop_metrics().map(|_| ())
    }

    /// One training step on those images of a split. May return before the device is done.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<(), Error> {
        self.prepare(split, images, epoch)?;
        self.evaluator.learner.train_step(self.training.id, lr)
    }

    /// [`Trainer::step`] with a clock on every node of [`Trainer::tape`]; waits for it. It has the same
    /// bits as an ordinary step.
    ///
    /// # Errors
    /// When the device fails.
    pub fn timed_step(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<NodeTimes, Error> {
        self.prepare(split, images, epoch)?;
        self.evaluator.learner.timed_step(self.training.id, lr)
    }

    /// Writes the inputs of a training step.
    fn prepare(&mut self, split: &Split, images: &[u32], epoch: usize) -> Result<(), Error> {
        let learner = &mut self.evaluator.learner;
        learner.set_epoch(epoch);
        self.training.write(learner, split, images)
    }

    /// The training step as it was recorded.
    pub fn tape(&self) -> &Tape {
        &self.training.step.tape
    }

    /// Images in a step.
    pub fn batch_size(&self) -> usize {
        self.training.batch_size()
    }

    /// The steps so far.
    pub fn n_steps(&self) -> usize {
        self.evaluator.learner.n_steps() as usize
    }

    /// Asks for the metrics as they are after the steps so far, for [`Trainer::late_metrics`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn request_metrics(&mut self) -> Result<(), Error> {
        self.evaluator.learner.request_metrics()
    }

    /// The latest metrics that were asked for and have arrived, once; never waits.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] as for [`Learner::late_metrics`].
    pub fn late_metrics(&mut self) -> Result<Option<Metrics>, Error> {
        self.evaluator.learner.late_metrics()
    }

    /// Waits for the steps so far, and returns their metrics since the last call or evaluation.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] as for [`Learner::late_metrics`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        self.evaluator.learner.take_metrics()
    }

    /// As [`Trainer::take_metrics`], whatever the steps have made.
    ///
    /// # Errors
    /// When the device fails.
    pub fn drop_metrics(&mut self) -> Result<Metrics, Error> {
        self.evaluator.learner.drop_metrics()
    }

    /// The network as it is evaluated.
    pub fn evaluator(&mut self) -> &mut Evaluator {
        &mut self.evaluator
    }

    /// See [`Evaluator::evaluate`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        self.evaluator.evaluate(split, stop)
    }

    /// Where weights are averaged, gives the average running statistics of its own: the mean over batches of
    /// these images as training sees them, like `torch.optim.swa_utils.update_bn`. Those that training leaves
    /// are of the weights that are trained. Does nothing where nothing is averaged.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// False, and nothing is changed, when `stop` said so on the way.
    ///
    /// # Errors
    /// When the device fails.
    pub fn update_statistics(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let Some(program) = &mut self.statistics else { return Ok(true) };
        let learner = &mut self.evaluator.learner;
        learner.set_epoch(epoch);
        let mut sums = vec![0.0; learner.layout().n_elements(Group::Statistics)];
        let batches = images.chunks_exact(program.batch_size()).take(STATISTICS_BATCHES);
        let n_batches = batches.len();
        for images in batches {
            if stop() {
                return Ok(false);
            }
            program.write(learner, split, images)?;
            learner.run(program.id)?;
            let of_batch = learner.session().read_state(Group::BatchStatistics)?;
            sums.iter_mut().zip(of_batch).for_each(|(sum, value)| *sum += f64::from(value));
        }
        if n_batches > 0 {
            let means: Vec<f32> = sums.iter().map(|sum| (sum / n_batches as f64) as f32).collect();
            learner.session().write_state(Group::Statistics, &means)?;
        }
        Ok(true)
    }

    /// The weights after the steps so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        self.evaluator.learner.weights()
    }

    /// See [`Learner::snapshot`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        self.evaluator.learner.snapshot()
    }

    /// See [`Learner::restore`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.evaluator.learner.restore(snapshot)
    }

    /// Forgets the last steps, which changed nothing.
    pub fn set_n_steps(&mut self, n_steps: usize) {
        self.evaluator.learner.set_n_steps(n_steps as u64);
    }

    /// Runs a training step with every value in a place of its own, and looks at all of them.
    ///
    /// # Errors
    /// When the device fails, or has not the memory.
    ///
    /// # Panics
    /// When the batch has another size than the step.
    pub fn look_at_step(
        &mut self,
        config: &StepConfig,
        batch: &Batch,
        epoch: usize,
        lr: f64,
    ) -> Result<Vec<NodeRange>, Error> {
        let step = step::training(config);
        let tape = Arc::clone(&step.tape);
        let learner = &mut self.evaluator.learner;
        let mut found = Vec::new();
        for group in [Group::Parameters, Group::Statistics] {
            let values = learner.session().read_state(group)?;
            for member in learner.layout().members(group) {
                let (node, name) = ("(before the step)".to_string(), member.name.clone());
                found.push(NodeRange::new(node, name, &member.shape, &values[member.range()]));
            }
        }
        let program = Program::load(learner, config, step, LoadOptions { keep_all: true })?;
        program.write_batch(learner, batch)?;
        learner.set_epoch(epoch);
        learner.train_step(program.id, lr)?;
        for node in tape.nodes() {
            for &id in &node.outputs {
                let value = tape.value(id);
                if value.element == ElementType::F32 {
                    let values = learner.session().read(program.id, id)?;
                    found.push(NodeRange::new(
                        node.label(),
                        value.name.clone(),
                        &value.shape,
                        &values,
                    ));
                }
            }
        }
        Ok(found)
    }

    /// The parameters and statistics of the network.
    pub fn layout(&self) -> &StateLayout {
        self.evaluator.layout()
    }

    /// Bytes that the state and all steps need on the device.
    pub fn planned_bytes(&self) -> u64 {
        let Evaluator { learner, evaluation } = &self.evaluator;
        let others = [Some(evaluation), self.statistics.as_ref()].into_iter().flatten();
        let others: u64 = others.map(|program| learner.own_bytes(program.id)).sum();
        learner.total_bytes(self.training.id) + others
    }

    /// The session, for reading and writing other parts of the state.
    pub fn session(&mut self) -> &mut dyn Session {
        self.evaluator.learner.session()
    }

    /// Puts weights in the place of those it has, of the moving average too. The optimizer's moments stay.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.evaluator.learner.set_weights(weights)
    }

    /// Writes the weights to a file, with a record of the data that they were trained on, whole or not at all.
    ///
    /// # Errors
    /// When the device fails, or the file cannot be written.
    pub fn save(&mut self, info: &ModelInfo, path: &Path) -> Result<(), Error> {
        self.weights()?.save(self.layout(), Some(info), path)
    }
}
