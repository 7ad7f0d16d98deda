//! Replays a step to find its first node with a number that is not finite.
//!
//! In a replay every value of the step has its own buffer, and can be read after the step. A replay therefore takes
//! more memory than a training step, in which values share buffers.

use std::fmt::Write;
use std::path::Path;

use super::TrainError;
use super::checkpoint::{Checkpoint, CheckpointFile, Header, is_batch};
use super::loaded_step::LoadedStep;
use super::recipe::Recipe;
use super::step::StepConfig;
use super::{Trainer, step};
use crate::Error;
use crate::device::{Device, LoadOptions, ProgramId, Session};
use crate::distributed::tree;
use crate::tape::{ElementType, StateBuffer, Tape};

/// A value of a step, with the range of its elements: the largest absolute value, and the numbers of infinite and NaN
/// elements.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeRange {
    /// The label of the node, such as `layer1.0.conv2d.forward`.
    pub node: String,
    /// The name of the value, such as `layer1.0.conv`.
    pub output: String,
    /// The shape of the value.
    pub shape: Vec<usize>,
    /// The largest absolute value of the finite elements.
    pub max_abs: f32,
    /// The number of infinite elements.
    pub n_infinite: usize,
    /// The number of NaN elements.
    pub n_nan: usize,
}

impl NodeRange {
    /// Returns the range of a value with these elements.
    pub fn new(node: String, output: String, shape: &[usize], values: &[f32]) -> Self {
        let finite = values.iter().filter(|value| value.is_finite());
        Self {
            node,
            output,
            shape: shape.to_vec(),
            max_abs: finite.fold(0.0, |max, value| max.max(value.abs())),
            n_infinite: values.iter().filter(|value| value.is_infinite()).count(),
            n_nan: values.iter().filter(|value| value.is_nan()).count(),
        }
    }

    /// Returns whether every element is finite.
    pub fn is_finite(&self) -> bool {
        self.n_infinite == 0 && self.n_nan == 0
    }
}

/// A step that can be replayed: a checkpoint with the images of the next step.
pub struct Replay {
    checkpoint: Checkpoint,
    recipe: Recipe,
}

impl Replay {
    /// Returns the step that follows a checkpoint of a run with this recipe.
    ///
    /// # Panics
    /// If the checkpoint has no images.
    pub fn new(checkpoint: Checkpoint, recipe: Recipe) -> Self {
        assert!(checkpoint.batch.is_some(), "a checkpoint with the step's images");
        Self { checkpoint, recipe }
    }

    /// Reads the file that a run writes after a step with a NaN or infinite loss or gradient.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read. [`TrainError::Replay`] if it is not a checkpoint, is damaged, or has
    /// no images.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused =
            |reason| Error::Train(TrainError::Replay { path: path.to_path_buf(), reason });
        // For a `TrainError::Checkpoint` the command prints a hint about resuming a run, which would be wrong for a
        // replay. This error is therefore replaced by a `TrainError::Replay` with the same reason.
        let not_resumed = |error| match error {
            Error::Train(TrainError::Checkpoint { reason, .. }) => refused(reason),
            other => other,
        };
        let file = CheckpointFile::read(path).map_err(not_resumed)?;
        let recipe = Recipe::parse(&file.header.config).map_err(refused)?;
        let layout = step::training(&recipe.step());
        let checkpoint =
            file.restore(layout.tape.state()).map_err(|error| not_resumed(error.into()))?;
        if checkpoint.batch.is_none() {
            let reason = "it has no images of a step; use the file that a run writes after a step that was not \
                          finite";
            return Err(refused(reason.to_string()));
        }
        match &checkpoint.batch {
            Some(batch) if batch.size() != recipe.batch_size => {
                let (n, size) = (batch.size(), recipe.batch_size);
                Err(refused(format!("it has {n} images, but its batch size is {size}")))
            }
            Some(batch)
                if !is_batch(batch, &recipe.step().for_batch(batch), recipe.spec().n_classes()) =>
            {
                let must = "it must have one row for each image, labels that are classes, and sizes within the rows";
                Err(refused(format!("its batch is damaged: {must}")))
            }
            _ => Ok(Self::new(checkpoint, recipe)),
        }
    }

    /// Returns two lines that describe the step and the device.
    pub fn head(&self, device: &str) -> String {
        let Header { step, epoch, .. } = self.checkpoint.header;
        let (step, epoch) = (step + 1, epoch + 1);
        let (network, batch_size) = (self.recipe.network(), self.recipe.batch_size);
        let lr = self.lr();
        format!(
            "step {step} (epoch {epoch}), learning rate {lr:e}, of {network}, batch size \
             {batch_size}\non {device}"
        )
    }

    /// Runs the step with a new trainer.
    ///
    /// # Errors
    /// As for [`Replay::run_on`].
    pub fn run(&self, device: &Device) -> Result<Vec<NodeRange>, Error> {
        let mut trainer = Trainer::new(device, &self.config(), self.recipe.seed)?;
        self.run_on(&mut trainer)
    }

    /// Runs the step. Returns the ranges of the parameters and running statistics before the step, and then those of
    /// the f32 outputs of each node, in the order of the tape.
    ///
    /// # Errors
    /// If the device fails, or has too little memory.
    ///
    /// # Panics
    /// If the batch has a size other than the recipe's batch size.
    pub fn run_on(&self, trainer: &mut Trainer) -> Result<Vec<NodeRange>, Error> {
        let batch = self.checkpoint.batch.as_ref().expect("Replay::new has checked it");
        let state = &mut trainer.state;
        state.restore(&self.checkpoint.snapshot)?;
        state.drop_metrics()?;
        let mut found = Vec::new();
        for buffer in [StateBuffer::Parameters, StateBuffer::RunningStatistics] {
            let values = state.session.read_state(buffer)?;
            for member in state.layout.members(buffer) {
                let (node, name) = ("(before the step)".to_string(), member.name.clone());
                found.push(NodeRange::new(node, name, &member.shape, &values[member.range()]));
            }
        }
        let config = self.config();
        let (step, options) = (step::training(&config), LoadOptions { keep_all: true });
        let loaded = LoadedStep::load(&mut *state.session, &config, step, options)?;
        state.epoch = self.checkpoint.header.epoch;
        state.optimizer_start =
            self.recipe.optimizer_start(state.epoch, self.checkpoint.order.len());
        let Some((update, of_update)) = loaded.update.zip(loaded.step.update.as_ref()) else {
            loaded.write_batch(&mut *state.session, batch)?;
            state.train_step(loaded.id, self.lr(), false)?;
            read_nodes(&mut *state.session, loaded.id, loaded.tape(), "", &mut found)?;
            return Ok(found);
        };
        let (n_shards, size) = (config.update.n_shards, config.shard_size());
        for (shard, carry) in tree::carries(n_shards, 0..n_shards).iter().enumerate() {
            let rows = batch.rows(shard * size, size);
            loaded.write_batch(&mut *state.session, &rows)?;
            state.shard_step(loaded.id, carry, false)?;
            let prefix = format!("shard {shard} ");
            read_nodes(&mut *state.session, loaded.id, loaded.tape(), &prefix, &mut found)?;
        }
        state.train_step(update, self.lr(), false)?;
        read_nodes(&mut *state.session, update, of_update, "", &mut found)?;
        Ok(found)
    }

    /// Returns the settings that the step is recorded with.
    fn config(&self) -> StepConfig {
        let batch = self.checkpoint.batch.as_ref().expect("Replay::new has checked it");
        self.recipe.step_of(self.checkpoint.header.epoch).for_batch(batch)
    }

    /// Returns the learning rate of the step.
    fn lr(&self) -> f64 {
        let schedule = self.recipe.schedule(self.checkpoint.order.len());
        schedule.rate(self.checkpoint.header.step as usize)
    }
}

/// Appends the ranges of the f32 outputs of each node of a program, in the order of its tape. The labels of the nodes begin
/// with `prefix`.
fn read_nodes(
    session: &mut dyn Session,
    program: ProgramId,
    tape: &Tape,
    prefix: &str,
    found: &mut Vec<NodeRange>,
) -> Result<(), Error> {
    for node in tape.nodes() {
        for &id in &node.outputs {
            let value = tape.value(id);
            if value.element == ElementType::F32 {
                let values = session.read(program, id)?;
                let (label, name) = (format!("{prefix}{}", node.label()), value.name.clone());
                found.push(NodeRange::new(label, name, &value.shape, &values));
            }
        }
    }
    Ok(())
}

/// Returns a sentence with the first value that is not finite, and its node; none if all values are finite.
pub fn first_not_finite(nodes: &[NodeRange]) -> Option<String> {
    let NodeRange { node, output, shape, n_infinite, n_nan, .. } =
        nodes.iter().find(|range| !range.is_finite())?;
    Some(format!(
        "the first value that is not finite is {output} {shape:?} of {node}: {n_nan} NaN, {n_infinite} infinite"
    ))
}

/// Returns a table of the values of a step. If a value is not finite, the table ends three rows after the first such
/// value.
pub fn listing(nodes: &[NodeRange]) -> String {
    const N_AFTER: usize = 3;
    let first = nodes.iter().position(|range| !range.is_finite());
    let n_shown = first.map_or(nodes.len(), |first| (first + 1 + N_AFTER).min(nodes.len()));
    let head = ["node", "makes", "shape", "largest", "NaN", "infinite"];
    let mut text = String::new();
    let mut line = |node: &str, output: &str, shape: &str, [largest, nan, infinite]: [&str; 3]| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{node:<34} {output:<28} {shape:<18} {largest:>10} {nan:>9} {infinite:>9}"
        );
    };
    line(head[0], head[1], head[2], [head[3], head[4], head[5]]);
    for range in &nodes[..n_shown] {
        let shape: Vec<_> = range.shape.iter().map(ToString::to_string).collect();
        let [nan, infinite] = [range.n_nan, range.n_infinite].map(|n| match n {
            0 => "-".to_string(),
            n => n.to_string(),
        });
        let largest = format!("{:.3e}", range.max_abs);
        line(&range.node, &range.output, &shape.join("x"), [&largest, &nan, &infinite]);
    }
    if n_shown < nodes.len() {
        let _ = writeln!(text, "... and {} more", nodes.len() - n_shown);
    }
    text
}
