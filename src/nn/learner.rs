//! A network that learns on a device: its state, and the steps that change it.
//!
//! What [`Model`](super::Model) (arrays of your own) and [`Trainer`](crate::train::Trainer) (images that
//! are augmented on the device) have in common. They record tapes and feed their inputs; this counts the
//! steps, hands each one its scalars, and reads metrics and weights.

use std::sync::Arc;

use super::Weights;
use crate::device::{Device, LoadOptions, NodeTimes, ProgramId, Session};
use crate::error::Error;
use crate::kernel::StepScalars;
use crate::ops::adam::Adam;
use crate::ops::metrics::{Metrics, NOT_FINITE, STOPPED};
use crate::tape::{Group, StateLayout, Tape};

/// All that a learner's future depends on, besides its tapes: put back, it goes on with the same bits.
///
/// Gradients and the batch's statistics are not in it: each step makes them anew.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Whole flat buffers, padding included, in the order of [`Snapshot::GROUPS`].
    pub groups: Vec<Vec<f32>>,
    /// The training steps before it.
    pub n_steps: u64,
}

impl Snapshot {
    /// The parts of the state that outlive a step. That of the averaged parameters is empty for a
    /// learner that averages nothing.
    pub const GROUPS: [Group; 6] = [
        Group::Parameters,
        Group::Statistics,
        Group::ExpAvg,
        Group::ExpAvgSq,
        Group::Metrics,
        Group::AveragedParameters,
    ];
}

/// A session, and where in its training it is.
pub struct Learner {
    session: Box<dyn Session>,
    layout: StateLayout,
    adam: Adam,
    seed: u64,
    epoch: usize,
    n_steps: u64,
    /// Metrics that were asked for and have arrived, before they are decoded.
    late: Vec<f32>,
}

impl Learner {
    /// Starts a session whose state is all zeros. Everything random in its steps is drawn from `seed`.
    ///
    /// # Errors
    /// When there is no memory for the state.
    pub fn new(
        device: &Device,
        layout: &StateLayout,
        adam: Adam,
        seed: u64,
    ) -> Result<Self, Error> {
        let session = device.session(layout)?;
        Ok(Self {
            session,
            layout: layout.clone(),
            adam,
            seed,
            epoch: 0,
            n_steps: 0,
            late: Vec::new(),
        })
    }

    /// Compiles a step of the network.
    ///
    /// # Errors
    /// When the step passes a limit of the device, or the device fails.
    pub fn load(&mut self, step: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, Error> {
        let id = self.session.load(step, options)?;
        tracing::debug!(
            mode = ?step.mode(),
            nodes = step.nodes().len(),
            own_bytes = self.session.plan(id).own_bytes(),
            "loaded"
        );
        Ok(id)
    }

    /// The session, for a step's inputs and outputs.
    pub fn session(&mut self) -> &mut dyn Session {
        &mut *self.session
    }

    /// Bytes that a step brought to the device: its inputs, and the slots that earlier ones had not.
    pub fn own_bytes(&self, program: ProgramId) -> u64 {
        self.session.plan(program).own_bytes()
    }

    /// Bytes of the state, and of what a step brought to the device.
    pub fn total_bytes(&self, program: ProgramId) -> u64 {
        self.session.plan(program).total_bytes()
    }

    /// The names, shapes and places of all parameters and running statistics.
    pub fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// The training steps so far.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Forgets steps that changed nothing, or goes on as after others.
    pub fn set_n_steps(&mut self, n_steps: u64) {
        self.n_steps = n_steps;
    }

    /// Tells the epoch of the steps that follow, from 0: what is drawn at random is drawn anew in each.
    pub fn set_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
    }

    /// Runs a training step, whose inputs have been written, at the learning rate `lr`. May return before
    /// the device is done.
    ///
    /// # Errors
    /// When the device fails.
    pub fn train_step(&mut self, program: ProgramId, lr: f64) -> Result<(), Error> {
        let scalars = self.next_scalars(lr);
        self.session.run(program, &scalars)
    }

    /// [`Learner::train_step`] with a clock on every node; waits for it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn timed_step(&mut self, program: ProgramId, lr: f64) -> Result<NodeTimes, Error> {
        let scalars = self.next_scalars(lr);
        self.session.run_timed(program, &scalars)
    }

    /// Counts a step, and returns its scalars.
    fn next_scalars(&mut self, lr: f64) -> StepScalars {
        self.n_steps += 1;
        let (step_size, inv_sqrt_bias_correction2) = self.adam.scalars(lr, self.n_steps);
        StepScalars {
            step: u32::try_from(self.n_steps).expect("fewer than 2^32 steps"),
            step_size,
            inv_sqrt_bias_correction2,
            ..self.scalars()
        }
    }

    /// What random numbers are drawn from.
    fn scalars(&self) -> StepScalars {
        let seed = [self.seed as u32, (self.seed >> 32) as u32];
        StepScalars { seed, epoch: self.epoch as u32, ..StepScalars::default() }
    }

    /// Runs a step that trains nothing: of its scalars it has those that random numbers are drawn from. Its
    /// inputs have been written; may return before the device is done.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&mut self, program: ProgramId) -> Result<(), Error> {
        self.session.run(program, &self.scalars())
    }

    /// Lets steps run without an effect until the metrics are taken, as after an accident.
    ///
    /// # Errors
    /// When the device fails.
    pub fn hold(&mut self) -> Result<(), Error> {
        let mut metrics = vec![0.0; self.layout.n_elements(Group::Metrics)];
        metrics[NOT_FINITE] = STOPPED;
        self.session.write_state(Group::Metrics, &metrics)
    }

    /// Asks for the metrics as they are after the steps so far, for [`Learner::late_metrics`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn request_metrics(&mut self) -> Result<(), Error> {
        self.session.request_state(Group::Metrics)
    }

    /// The latest metrics that were asked for and have arrived, once; never waits.
    ///
    /// # Errors
    /// When the device fails. [`Error::NotFinite`] when one of the steps made a gradient or a statistic
    /// that is not finite: it and all since have changed nothing, and none will until
    /// [`Learner::take_metrics`].
    pub fn late_metrics(&mut self) -> Result<Option<Metrics>, Error> {
        match self.session.poll_state(&mut self.late)? {
            Some(Group::Metrics) => self.check_finite(Metrics::from_slice(&self.late)).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits for the steps so far, returns their metrics, and starts them anew.
    ///
    /// # Errors
    /// When the device fails, or [`Error::NotFinite`] as for [`Learner::late_metrics`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let metrics = self.drop_metrics()?;
        self.check_finite(metrics)
    }

    /// As [`Learner::take_metrics`], whatever the steps have made.
    ///
    /// # Errors
    /// When the device fails.
    pub fn drop_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(Group::Metrics)?;
        self.session.write_state(Group::Metrics, &vec![0.0; values.len()])?;
        // Late ones that nobody took are of the time before, too.
        self.forget_late_metrics()?;
        Ok(Metrics::from_slice(&values))
    }

    fn forget_late_metrics(&mut self) -> Result<(), Error> {
        while self.session.poll_state(&mut self.late)?.is_some() {}
        Ok(())
    }

    fn check_finite(&self, metrics: Metrics) -> Result<Metrics, Error> {
        match metrics.not_finite {
            false => Ok(metrics),
            true => Err(Error::NotFinite { epoch: self.epoch + 1, step: self.n_steps as usize }),
        }
    }

    /// The weights after the steps so far, those that evaluation uses: the moving average of the
    /// parameters, if there is one. The parameters themselves are [`Group::Parameters`] of the session.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        let group = match self.layout.averaged {
            true => Group::AveragedParameters,
            false => Group::Parameters,
        };
        Ok(Weights {
            parameters: self.session.read_state(group)?,
            statistics: self.session.read_state(Group::Statistics)?,
            n_batches: self.n_steps,
        })
    }

    /// Puts other weights in the place of those it has, of the moving average too. The optimizer's
    /// moments are left alone.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.session.write_state(Group::Parameters, &weights.parameters)?;
        self.session.write_state(Group::Statistics, &weights.statistics)?;
        if self.layout.averaged {
            self.session.write_state(Group::AveragedParameters, &weights.parameters)?;
        }
        Ok(())
    }

    /// Waits for the steps so far, and copies what they have come to.
    ///
    /// # Errors
    /// When the device fails.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let groups = Snapshot::GROUPS.iter().map(|&group| self.session.read_state(group));
        Ok(Snapshot { groups: groups.collect::<Result<_, _>>()?, n_steps: self.n_steps })
    }

    /// Goes back, or on, to a snapshot.
    ///
    /// # Errors
    /// When the device fails.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        // Metrics of another time, asked for and not taken.
        self.forget_late_metrics()?;
        for (group, values) in Snapshot::GROUPS.into_iter().zip(&snapshot.groups) {
            self.session.write_state(group, values)?;
        }
        self.n_steps = snapshot.n_steps;
        Ok(())
    }
}
