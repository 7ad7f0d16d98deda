//! [`Model`], the main interface of the library. The caller gives a function that records a network, and trains the
//! model one batch at a time.
//!
//! A model reads its inputs as arrays of f32, of any shape. [`Trainer`](super::Trainer) reads the pixels of a dataset
//! instead, and the device augments them.

use std::sync::Arc;

use super::loaded_step::load;
use super::{TrainState, UpdateConfig};
use crate::Error;
use crate::device::{Device, LoadOptions, ProgramId, Session};
use crate::nn::Weights;
use crate::ops::cross_entropy::IGNORED;
use crate::ops::metrics::Metrics;
use crate::tape::{ElementType, Mode, Tape, ValueId};

/// The settings of a model, except its network.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The shape of one input, without the axis of the batch: `[H, W, C]` for an image.
    pub input: Vec<usize>,
    /// The number of inputs in a step, N in the shapes of a step.
    pub batch_size: usize,
    /// The settings of loss, gradients and optimizer.
    pub update: UpdateConfig,
    /// The seed of the initial weights and of all random draws in a step.
    pub seed: u64,
}

impl ModelConfig {
    /// Returns the default settings for inputs of this shape and batches of `batch_size` inputs.
    pub fn new(input: &[usize], batch_size: usize) -> Self {
        Self { input: input.to_vec(), batch_size, update: UpdateConfig::default(), seed: 0 }
    }
}

/// A network with its training state, compiled for a device.
pub struct Model {
    /// The training state: metrics, weights and the epoch.
    pub state: TrainState,
    training: ArrayStep,
    evaluation: ArrayStep,
    config: ModelConfig,
    /// The numbers of the inputs of a training step, `[N]`; an allocation that every step uses again.
    numbers: Vec<u32>,
}

/// A loaded step that reads arrays: the number of its program, its inputs, and its logits.
struct ArrayStep {
    id: ProgramId,
    x: ValueId,
    labels: ValueId,
    /// The numbers of the inputs, if the network has layers with random draws and the step trains.
    numbers: Option<ValueId>,
    /// The weights of the classes, if the step trains with class weights.
    class_weights: Option<ValueId>,
    logits: ValueId,
}

impl Model {
    /// Records the network for training and for evaluation, compiles both steps, and initialises the weights. `network`
    /// maps the input, `[N, ..input]`, to the logits, `[N, classes]`.
    ///
    /// # Errors
    /// If a step exceeds a limit of the device, or the device fails.
    ///
    /// # Panics
    /// If shapes within the network do not fit, the two recordings have different parameters, or the step is divided into
    /// shards.
    pub fn new(
        device: &Device,
        config: &ModelConfig,
        network: impl Fn(&mut Tape, ValueId) -> ValueId,
    ) -> Result<Self, Error> {
        assert_eq!(config.update.n_shards, 1, "a model does not divide its steps into shards");
        let (training, train) = record(config, Mode::Train, &network);
        let (evaluation, eval) = record(config, Mode::Eval, &network);
        let initial = Weights::initial(training.state(), config.seed);
        let mut state =
            TrainState::new(device, training.state(), config.update.optimizer, config.seed)?;
        let mut load = |tape| load(&mut *state.session, &Arc::new(tape), LoadOptions::default());
        let training = train(load(training)?);
        let evaluation = eval(load(evaluation)?);
        if let (Some(input), Some(weights)) = (training.class_weights, &config.update.class_weights)
        {
            state.session.write(training.id, input, weights)?;
        }
        state.set_weights(&initial)?;
        let numbers = vec![0; config.batch_size];
        Ok(Self { state, training, evaluation, config: config.clone(), numbers })
    }

    /// Runs one training step at the learning rate `lr`, on a batch of inputs, `[N, ..input]`, and their classes,
    /// `[N]`. May return before the device has finished. Ops with random draws draw new numbers in each
    /// [epoch](TrainState::epoch). [Dropout](crate::nn::layers::dropout) also draws a new mask in each step, because
    /// the number of an input is the number of inputs in all earlier steps plus its row.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`](super::StepError::NotFinite) if a loss or gradient of this step,
    /// or of a step shortly before it, was not finite. That step and all later steps change nothing until
    /// [`TrainState::take_metrics`].
    ///
    /// # Panics
    /// If the batch does not have [`ModelConfig::batch_size`] inputs.
    pub fn train_step(&mut self, x: &[f32], labels: &[u32], lr: f64) -> Result<(), Error> {
        self.training.write(&mut *self.state.session, x, labels)?;
        if let Some(numbers) = self.training.numbers {
            // The numbers repeat after 2^32 inputs.
            let first = self.state.n_steps * self.numbers.len() as u64;
            self.numbers.iter_mut().zip(first..).for_each(|(to, number)| *to = number as u32);
            self.state.session.write_words(self.training.id, numbers, &self.numbers)?;
        }
        self.state.train_step(self.training.id, lr, false)?;
        self.state.request_metrics()?;
        self.state.late_metrics().map(|_| ())
    }

    /// Returns loss and accuracy over any number of inputs. Batch norms use running statistics.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`](super::StepError::NotFinite) if a loss or gradient of an earlier
    /// training step was not finite, as for [`Model::train_step`].
    ///
    /// # Panics
    /// If `x` does not have one input for each label.
    pub fn evaluate(&mut self, x: &[f32], labels: &[u32]) -> Result<Metrics, Error> {
        let (batch, n) = (self.config.batch_size, self.config.input.iter().product::<usize>());
        assert_eq!(x.len(), n * labels.len(), "{} labels of inputs of {n} numbers", labels.len());
        self.state.take_metrics()?;
        for (x, labels) in x.chunks(batch * n).zip(labels.chunks(batch)) {
            // The last batch is filled with rows that do not count in loss and accuracy.
            let (mut x, mut labels) = (x.to_vec(), labels.to_vec());
            x.resize(batch * n, 0.0);
            labels.resize(batch, IGNORED);
            self.evaluation.write(&mut *self.state.session, &x, &labels)?;
            self.state.run(self.evaluation.id)?;
        }
        self.state.take_metrics()
    }

    /// Returns the logits, `[N, classes]`, of a batch of inputs. Batch norms use running statistics.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the batch does not have [`ModelConfig::batch_size`] inputs.
    pub fn predict(&mut self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let no_labels = vec![IGNORED; self.config.batch_size];
        self.evaluation.write(&mut *self.state.session, x, &no_labels)?;
        self.state.run(self.evaluation.id)?;
        Ok(self.state.session.read(self.evaluation.id, self.evaluation.logits)?)
    }
}

/// Records a step. Returns its tape, and a function that makes the [`ArrayStep`] of this tape. The argument of the
/// function is the number of the program into which the session has compiled the tape.
fn record(
    config: &ModelConfig,
    mode: Mode,
    network: &impl Fn(&mut Tape, ValueId) -> ValueId,
) -> (Tape, impl FnOnce(ProgramId) -> ArrayStep) {
    let mut tape = Tape::new("model", mode);
    tape.freeze(&config.update.frozen);
    let shape = [&[config.batch_size], config.input.as_slice()].concat();
    let x = tape.input("x", ElementType::F32, &shape);
    let labels = tape.input("labels", ElementType::U32, &[config.batch_size]);
    let numbers = tape.input("numbers", ElementType::U32, &[config.batch_size]);
    tape.set_image_numbers(numbers);
    let logits = network(&mut tape, x);
    tape.keep(logits);
    let loss = match mode {
        Mode::Train => config.update.record_training(&mut tape, &logits.into(), labels),
        Mode::Eval => config.update.record_evaluation(&mut tape, &logits.into(), labels),
    };
    let class_weights = loss.class_weights;
    let numbers = (tape.n_readers(numbers) > 0).then_some(numbers);
    (tape, move |id| ArrayStep { id, x, labels, numbers, class_weights, logits })
}

impl ArrayStep {
    fn write(&self, session: &mut dyn Session, x: &[f32], labels: &[u32]) -> Result<(), Error> {
        session.write(self.id, self.x, x)?;
        Ok(session.write_words(self.id, self.labels, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;
    use crate::nn;
    use crate::train::StepError;

    #[test]
    fn steps_that_are_not_finite_are_reported_and_change_nothing() {
        let device = Device::cpu(OpenOptions::default());
        let network = |tape: &mut Tape, x| nn::linear(tape, "fc", x, 2, true);
        let mut model = Model::new(&device, &ModelConfig::new(&[3], 2), network).expect("a model");
        let (good, bad, labels) = ([0.5; 6], [f32::INFINITY; 6], [0, 1]);
        let is_reported = |result: Result<(), Error>| {
            matches!(result, Err(Error::Step(StepError::NotFinite { epoch: 3, step: 2 | 3 })))
        };
        model.state.epoch = 2;
        model.train_step(&good, &labels, 0.1).expect("a step");
        let before = model.state.weights().expect("weights").parameters;
        assert!(is_reported(model.train_step(&bad, &labels, 0.1)));
        assert!(is_reported(model.train_step(&good, &labels, 0.1)), "until the metrics are taken");
        assert_eq!(model.state.weights().expect("weights").parameters, before);
        assert!(is_reported(model.state.take_metrics().map(|_| ())));
        model.train_step(&good, &labels, 0.1).expect("a step");
        assert_eq!(model.state.take_metrics().expect("metrics").n_images, 2.0);
        assert_ne!(model.state.weights().expect("weights").parameters, before);
    }
}
