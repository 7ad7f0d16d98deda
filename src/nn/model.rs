//! A network of your own on a device: give a function that records it, then train it a batch at a time.
//!
//! [`train`](crate::train) does the same for the ResNet, with pixels that are augmented on the device;
//! this is for arrays of f32 of any shape, and the shortest way to read from a tape to numbers.

use std::sync::Arc;

use super::{Learner, Objective, Weights};
use crate::device::{Device, LoadOptions, ProgramId};
use crate::error::Error;
use crate::ops::cross_entropy::IGNORED;
use crate::ops::metrics::Metrics;
use crate::tape::{ElementType, Mode, StateLayout, Tape, ValueId};

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
    learner: Learner,
    training: Program,
    evaluation: Program,
    config: ModelConfig,
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
        let initial = Weights::initial(training.state(), config.seed);
        let adam = config.objective.adam;
        let mut learner = Learner::new(device, training.state(), adam, config.seed)?;
        let training = train(learner.load(&Arc::new(training), LoadOptions::default())?);
        let evaluation = eval(learner.load(&Arc::new(evaluation), LoadOptions::default())?);
        learner.set_weights(&initial)?;
        Ok(Self { learner, training, evaluation, config: config.clone() })
    }

    /// Tells the epoch of the steps that follow, from 0. Ops that draw at random, as
    /// [`augment`](crate::ops::augment) does, draw anew in each epoch; errors name it.
    pub fn set_epoch(&mut self, epoch: usize) {
        self.learner.set_epoch(epoch);
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
        self.training.write(&mut self.learner, x, labels)?;
        self.learner.train_step(self.training.id, lr)?;
        self.learner.request_metrics()?;
        self.learner.late_metrics().map(|_| ())
    }

    /// Loss and accuracy of the training steps since the last call, or since the last evaluation.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] as for [`Model::train_step`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        self.learner.take_metrics()
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
            self.evaluation.write(&mut self.learner, &x, &labels)?;
            self.learner.run(self.evaluation.id)?;
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
        self.evaluation.write(&mut self.learner, x, &nobody)?;
        self.learner.run(self.evaluation.id)?;
        self.learner.session().read(self.evaluation.id, self.evaluation.logits)
    }

    /// A parameter or running statistic by its name, in the shape that [`Model::layout`] gives it.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// When the network has none of that name.
    pub fn member(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let found = self.layout().find(name);
        let (group, member) = found.unwrap_or_else(|| panic!("the network has no {name}"));
        let range = member.range();
        Ok(self.learner.session().read_state(group)?[range].to_vec())
    }

    /// The names, shapes and places of all parameters and running statistics.
    pub fn layout(&self) -> &StateLayout {
        self.learner.layout()
    }

    /// The weights after the steps so far; [`Weights::save`] writes them to a file that PyTorch reads.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        self.learner.weights()
    }

    /// Puts other weights in the place of those it has.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.learner.set_weights(weights)
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

impl Program {
    fn write(&self, learner: &mut Learner, x: &[f32], labels: &[u32]) -> Result<(), Error> {
        learner.session().write(self.id, self.x, x)?;
        learner.session().write_words(self.id, self.labels, labels)
    }
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
