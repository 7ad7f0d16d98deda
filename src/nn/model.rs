//! A network of your own on a device: give a function that records it, then train it a batch at a time.
//!
//! [`train`](crate::train) does the same for the ResNet, with pixels that are augmented on the device;
//! this is for arrays of f32 of any shape, and the shortest way to read from a tape to numbers.

use std::sync::Arc;

use super::{Objective, Weights};
use crate::device::{Device, LoadOptions, ProgramId, Session, StepScalars};
use crate::error::Error;
use crate::ops::cross_entropy::IGNORED;
use crate::ops::metrics::Metrics;
use crate::tape::{ElementType, Group, Mode, StateLayout, Tape, ValueId};

/// What a model is made from, besides its network.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The shape of one input, without the axis of the batch: `[H, W, C]` for an image.
    pub input: Vec<usize>,
    /// Inputs in a step, N below.
    pub batch_size: usize,
    /// What is done with the logits.
    pub objective: Objective,
    /// What the initial weights, and all that is random in a step, are drawn from.
    pub seed: u64,
}

impl ModelConfig {
    /// A model of inputs of that shape, in steps of `batch_size`.
    pub fn new(input: &[usize], batch_size: usize) -> Self {
        Self { input: input.to_vec(), batch_size, objective: Objective::default(), seed: 0 }
    }
}

/// A network with its weights and its optimizer, compiled for a device.
pub struct Model {
    session: Box<dyn Session>,
    layout: StateLayout,
    training: Program,
    evaluation: Program,
    config: ModelConfig,
    epoch: u32,
    n_steps: u64,
}

struct Program {
    id: ProgramId,
    x: ValueId,
    labels: ValueId,
    logits: ValueId,
}

impl Model {
    /// Records the network twice, for training and for evaluation, compiles both, and initialises the
    /// weights. `network` gets `[N, ..input]` and returns the logits, `[N, classes]`.
    ///
    /// # Errors
    /// When a step passes a limit of the device, or the device fails.
    ///
    /// # Panics
    /// When shapes within the network do not fit, or the two recordings ask for different parameters.
    pub fn new(
        device: &Device,
        config: &ModelConfig,
        network: impl Fn(&mut Tape, ValueId) -> ValueId,
    ) -> Result<Self, Error> {
        let (training, train) = record(config, Mode::Train, &network);
        let (evaluation, eval) = record(config, Mode::Eval, &network);
        let layout = training.state().clone();
        let mut session = device.session(&layout)?;
        let training = train(session.load(&Arc::new(training), LoadOptions::default())?);
        let evaluation = eval(session.load(&Arc::new(evaluation), LoadOptions::default())?);
        Weights::initial(&layout, config.seed).to_session(&mut *session)?;
        let config = config.clone();
        Ok(Self { session, layout, training, evaluation, config, epoch: 0, n_steps: 0 })
    }

    /// Tells the epoch of the steps that follow, from 0. Ops that draw at random, as
    /// [`augment`](crate::ops::augment) does, draw anew in each epoch; errors name it.
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// One training step at the learning rate `lr`, on a batch of inputs, `[N, ..input]`, and their
    /// classes, `[N]`. May return before the device is done.
    ///
    /// # Errors
    /// When the device fails. [`Error::NotFinite`] when this step, or one a little before, made a loss
    /// or gradient that is not finite: it and all steps since have changed nothing, and none will until
    /// [`Model::take_metrics`] has been called.
    ///
    /// # Panics
    /// When the batch is not a whole one.
    pub fn train_step(&mut self, x: &[f32], labels: &[u32], lr: f64) -> Result<(), Error> {
        self.n_steps += 1;
        let (step_size, inv_sqrt_bias_correction2) =
            self.config.objective.adam.scalars(lr, self.n_steps);
        let seed = self.config.seed;
        let scalars = StepScalars {
            seed: [seed as u32, (seed >> 32) as u32],
            epoch: self.epoch,
            step_size,
            inv_sqrt_bias_correction2,
            ..StepScalars::default()
        };
        run(&mut *self.session, &self.training, x, labels, &scalars)?;
        self.session.request_metrics()?;
        match self.session.poll_metrics()? {
            Some(values) => self.check_finite(Metrics::from_slice(&values)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Loss and accuracy of the training steps since the last call, or since the last evaluation.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] as for [`Model::train_step`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(Group::Metrics)?;
        self.session.write_state(Group::Metrics, &vec![0.0; values.len()])?;
        // Late ones that nobody took are of the time before, too.
        while self.session.poll_metrics()?.is_some() {}
        self.check_finite(Metrics::from_slice(&values))
    }

    fn check_finite(&self, metrics: Metrics) -> Result<Metrics, Error> {
        match metrics.not_finite {
            false => Ok(metrics),
            true => Err(Error::NotFinite {
                epoch: self.epoch as usize + 1,
                step: self.n_steps as usize,
            }),
        }
    }

    /// Loss and accuracy over any number of inputs, with running statistics.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] for the training steps before, as for
    /// [`Model::train_step`].
    ///
    /// # Panics
    /// When `x` does not hold one input a label.
    pub fn evaluate(&mut self, x: &[f32], labels: &[u32]) -> Result<Metrics, Error> {
        let (batch, n) = (self.config.batch_size, self.config.input.iter().product::<usize>());
        assert_eq!(x.len(), n * labels.len(), "{} labels of inputs of {n} numbers", labels.len());
        self.take_metrics()?;
        for (x, labels) in x.chunks(batch * n).zip(labels.chunks(batch)) {
            // The last batch is filled up with rows that do not count.
            let (mut x, mut labels) = (x.to_vec(), labels.to_vec());
            x.resize(batch * n, 0.0);
            labels.resize(batch, IGNORED);
            run(&mut *self.session, &self.evaluation, &x, &labels, &StepScalars::default())?;
        }
        self.take_metrics()
    }

    /// The logits, `[N, classes]`, of a batch of inputs, with running statistics.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// When the batch is not a whole one.
    pub fn predict(&mut self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let nobody = vec![IGNORED; self.config.batch_size];
        run(&mut *self.session, &self.evaluation, x, &nobody, &StepScalars::default())?;
        self.session.read(self.evaluation.id, self.evaluation.logits)
    }

    /// A parameter or running statistic by its name, in the shape that [`Model::layout`] gives it.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// When the network has none of that name.
    pub fn member(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let found = self.layout.find(name);
        let (group, member) = found.unwrap_or_else(|| panic!("the network has no {name}"));
        Ok(self.session.read_state(group)?[member.range()].to_vec())
    }

    /// The names, shapes and places of all parameters and running statistics.
    pub fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// The weights after the steps so far; [`Weights::save`] writes them to a file that PyTorch reads.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        Weights::from_session(&mut *self.session, self.n_steps)
    }

    /// Puts other weights in the place of those it has.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        weights.to_session(&mut *self.session)
    }
}

/// The tape of a step, and the program that it becomes once it has a number.
fn record(
    config: &ModelConfig,
    mode: Mode,
    network: &impl Fn(&mut Tape, ValueId) -> ValueId,
) -> (Tape, impl FnOnce(ProgramId) -> Program) {
    let mut tape = Tape::new("model", mode);
    let shape = [&[config.batch_size], config.input.as_slice()].concat();
    let x = tape.input("x", ElementType::F32, &shape);
    let labels = tape.input("labels", ElementType::U32, &[config.batch_size]);
    let logits = network(&mut tape, x);
    tape.keep(logits);
    match mode {
        Mode::Train => config.objective.record_training(&mut tape, logits, labels),
        Mode::Eval => config.objective.record_evaluation(&mut tape, logits, labels),
    };
    (tape, move |id| Program { id, x, labels, logits })
}

fn run(
    session: &mut dyn Session,
    program: &Program,
    x: &[f32],
    labels: &[u32],
    scalars: &StepScalars,
) -> Result<(), Error> {
    session.write(program.id, program.x, x)?;
    session.write_words(program.id, program.labels, labels)?;
    session.run(program.id, scalars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;
    use crate::nn;

    #[test]
    fn steps_that_are_not_finite_are_told_and_can_be_left_behind() {
        let device = Device::cpu(OpenOptions::default());
        let network = |tape: &mut Tape, x| nn::linear(tape, "fc", x, 2, true);
        let mut model = Model::new(&device, &ModelConfig::new(&[3], 2), network).expect("a model");
        let (good, bad, labels) = ([0.5; 6], [f32::INFINITY; 6], [0, 1]);
        let is_told = |result: Result<(), Error>| {
            matches!(result, Err(Error::NotFinite { epoch: 3, step: 2 | 3 }))
        };
        model.set_epoch(2);
        model.train_step(&good, &labels, 0.1).expect("a step");
        let before = model.weights().expect("weights").parameters;
        assert!(is_told(model.train_step(&bad, &labels, 0.1)));
        assert!(is_told(model.train_step(&good, &labels, 0.1)), "until someone has looked");
        assert_eq!(model.weights().expect("weights").parameters, before);
        assert!(is_told(model.take_metrics().map(|_| ())));
        model.train_step(&good, &labels, 0.1).expect("a step");
        assert_eq!(model.take_metrics().expect("metrics").n_images, 2.0);
        assert_ne!(model.weights().expect("weights").parameters, before);
    }
}
