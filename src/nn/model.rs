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
    /// What the initial weights are drawn from.
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
        let config = config.clone();
        let mut model = Self { session, layout, training, evaluation, config, n_steps: 0 };
        model.set_weights(&Weights::initial(&model.layout, model.config.seed))?;
        Ok(model)
    }

    /// One training step at the learning rate `lr`, on a batch of inputs, `[N, ..input]`, and their
    /// classes, `[N]`. May return before the device is done.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// When the batch is not a whole one.
    pub fn train_step(&mut self, x: &[f32], labels: &[u32], lr: f64) -> Result<(), Error> {
        self.n_steps += 1;
        let (step_size, inv_sqrt_bias_correction2) =
            self.config.objective.adam.scalars(lr, self.n_steps);
        let zero = StepScalars::default();
        let scalars = StepScalars { step_size, inv_sqrt_bias_correction2, ..zero };
        run(&mut *self.session, &self.training, x, labels, &scalars)
    }

    /// Loss and accuracy of the training steps since the last call, or since the last evaluation.
    ///
    /// # Errors
    /// When the device fails.
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(Group::Metrics)?;
        self.session.write_state(Group::Metrics, &vec![0.0; values.len()])?;
        Ok(Metrics::from_slice(&values))
    }

    /// Loss and accuracy over any number of inputs, with running statistics.
    ///
    /// # Errors
    /// When the device fails.
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
