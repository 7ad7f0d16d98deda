//! Values and gradients inside a network.

use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, ProgramId, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::Weights;
use wgrad::passes;
use wgrad::tape::{ElementType, Mode, StateBuffer, StateLayout, Tape, ValueId};

/// A recorded computation, compiled for a device, whose values a study reads.
pub struct Probe {
    session: Box<dyn Session>,
    id: ProgramId,
    tape: Arc<Tape>,
    x: ValueId,
    labels: ValueId,
    values: Vec<ValueId>,
}

impl Probe {
    /// Records a computation on inputs of the shape `shape`, with the batch as its first axis, and compiles it. `record`
    /// gets the tape, the input, which has a gradient, and the labels, `[N]`. It records the network, and whatever else
    /// the study computes, such as [`passes::backward`]. It returns the values that [`Probe::run`] reads.
    ///
    /// In [`Mode::Train`], batch norms use the statistics of the batch, and change no running statistics.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(
        device: &Device,
        mode: Mode,
        shape: &[usize],
        record: impl FnOnce(&mut Tape, ValueId, ValueId) -> Vec<ValueId>,
    ) -> anyhow::Result<Self> {
        let mut tape = Tape::new("probe", mode);
        let x = tape.input_with_grad("x", shape);
        let labels = tape.input("labels", ElementType::U32, &shape[..1]);
        let values = record(&mut tape, x, labels);
        values.iter().for_each(|&value| tape.keep(value));
        passes::eliminate_dead(&mut tape);
        let tape = Arc::new(tape);
        let mut session = device.session(tape.state())?;
        let id = session.load(&tape, LoadOptions::default())?;
        Ok(Self { session, id, tape, x, labels, values })
    }

    /// Returns the names, shapes and offsets of the parameters and running statistics.
    pub fn layout(&self) -> &StateLayout {
        self.tape.state()
    }

    /// Writes weights with the layout of the probe.
    ///
    /// # Errors
    /// If the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> anyhow::Result<()> {
        self.session.write_state(StateBuffer::Parameters, &weights.parameters)?;
        let statistics = &weights.running_statistics;
        Ok(self.session.write_state(StateBuffer::RunningStatistics, statistics)?)
    }

    /// Writes the initial weights of a seed, and returns them.
    ///
    /// # Errors
    /// If the device fails.
    pub fn initialise(&mut self, seed: u64) -> anyhow::Result<Weights> {
        let weights = Weights::initial(self.layout(), seed);
        self.set_weights(&weights)?;
        Ok(weights)
    }

    /// Computes the values for inputs and their classes, and returns the elements of each. The classes matter only to a
    /// computation that has a loss.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, x: &[f32], labels: &[u32]) -> anyhow::Result<Vec<Vec<f32>>> {
        self.session.write(self.id, self.x, x)?;
        if self.tape.n_readers(self.labels) > 0 {
            self.session.write_words(self.id, self.labels, labels)?;
        }
        self.session.run(self.id, &StepScalars::default())?;
        let values = self.values.iter().map(|&value| self.session.read(self.id, value));
        Ok(values.collect::<Result<_, _>>()?)
    }

    /// Returns the gradients of all parameters after [`Probe::run`], one after another as [`Probe::layout`] places them.
    ///
    /// # Errors
    /// If the device fails.
    pub fn gradients(&mut self) -> anyhow::Result<Vec<f32>> {
        Ok(self.session.read_state(StateBuffer::Gradients)?)
    }

    /// Writes an input that the computation recorded itself. It keeps its elements until the next call.
    ///
    /// # Errors
    /// If the device fails.
    pub fn write(&mut self, input: ValueId, elements: &[f32]) -> anyhow::Result<()> {
        Ok(self.session.write(self.id, input, elements)?)
    }

    /// Returns the means and variances of the batch of the last [`Probe::run`] in [`Mode::Train`], in the order of the
    /// running statistics.
    ///
    /// # Errors
    /// If the device fails.
    pub fn batch_statistics(&mut self) -> anyhow::Result<Vec<f32>> {
        Ok(self.session.read_state(StateBuffer::BatchStatistics)?)
    }
}

/// Returns the output of a layer on a tape without fused ops, such as `layer1.0.relu2`.
///
/// # Panics
/// If no node belongs to the layer.
pub fn value_of(tape: &Tape, layer: &str) -> ValueId {
    let node = tape.nodes().iter().rev().find(|node| node.scope == layer);
    node.unwrap_or_else(|| panic!("{layer}: no such layer")).outputs[0]
}
