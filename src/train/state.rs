//! The training state: the buffers on the device, and the counts that the next step depends on.
//!
//! [`Trainer`](super::Trainer) (pixels that the device augments) and [`Model`](super::Model) (arrays of your own) each
//! have one [`TrainState`], beside the steps that they have loaded into its session. They feed the steps; the state
//! gives each step its scalars, and reads metrics and weights. No other type counts steps.

use super::StepError;
use crate::Error;
use crate::device::{Device, NodeTimes, ProgramId, Session};
use crate::kernel::StepScalars;
use crate::nn::Weights;
use crate::ops::adam::Adam;
use crate::ops::finite_check::{NOT_FINITE, STOPPED};
use crate::ops::metrics::{FLAG, Metrics};
use crate::tape::{StateBuffer, StateLayout};

/// A copy of the training state. Training that continues from a restored copy has the same bits.
///
/// Gradients and batch statistics are left out: each step computes them anew.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Whole flat buffers, padding included, in the order of [`Snapshot::GROUPS`].
    pub groups: Vec<Vec<f32>>,
    /// The number of training steps before it.
    pub n_steps: u64,
}

impl Snapshot {
    /// The buffers that outlive a step. The buffer of averaged parameters is empty where nothing is averaged. The flag of
    /// [`StateBuffer::Control`] is restored from its copy in the metrics.
    pub const GROUPS: [StateBuffer; 6] = [
        StateBuffer::Parameters,
        StateBuffer::Statistics,
        StateBuffer::ExpAvg,
        StateBuffer::ExpAvgSq,
        StateBuffer::Metrics,
        StateBuffer::AveragedParameters,
    ];
}

/// Parameters, optimizer state, running statistics and metrics on a device, and the position in training.
pub struct TrainState {
    /// The session, which owns the buffers and the loaded steps.
    pub session: Box<dyn Session>,
    /// The names, shapes and offsets of all parameters and running statistics.
    pub layout: StateLayout,
    /// The epoch of the steps that follow, from 0. Random draws differ from epoch to epoch.
    pub epoch: usize,
    /// The number of training steps so far.
    pub n_steps: u64,
    optimizer: Adam,
    seed: u64,
    /// The metrics that were requested and have arrived, not decoded.
    late: Vec<f32>,
}

impl TrainState {
    /// Starts a session whose buffers are all zero. `seed` determines every random draw of its steps.
    ///
    /// # Errors
    /// If there is no memory for the state.
    pub fn new(
        device: &Device,
        layout: &StateLayout,
        optimizer: Adam,
        seed: u64,
    ) -> Result<Self, Error> {
        let (session, layout) = (device.session(layout)?, layout.clone());
        Ok(Self { session, layout, epoch: 0, n_steps: 0, optimizer, seed, late: Vec::new() })
    }

    /// Runs a training step at the learning rate `lr`. The step's inputs have been written. May return before the
    /// device is done.
    ///
    /// # Errors
    /// If the device fails.
    pub fn train_step(&mut self, program: ProgramId, lr: f64) -> Result<(), Error> {
        let scalars = self.next_scalars(lr);
        Ok(self.session.run(program, &scalars)?)
    }

    /// Runs [`TrainState::train_step`] with a clock on every node, and waits for its end.
    ///
    /// # Errors
    /// If the device fails.
    pub fn timed_step(&mut self, program: ProgramId, lr: f64) -> Result<NodeTimes, Error> {
        let scalars = self.next_scalars(lr);
        Ok(self.session.run_timed(program, &scalars)?)
    }

    /// Counts a training step and returns its scalars.
    fn next_scalars(&mut self, lr: f64) -> StepScalars {
        self.n_steps += 1;
        let (step_size, inv_sqrt_bias_correction2) = self.optimizer.scalars(lr, self.n_steps);
        StepScalars {
            step: u32::try_from(self.n_steps).expect("fewer than 2^32 steps"),
            step_size,
            inv_sqrt_bias_correction2,
            ..self.scalars()
        }
    }

    /// Returns the scalars that random numbers are drawn from. The others are 0.
    fn scalars(&self) -> StepScalars {
        let seed = [self.seed as u32, (self.seed >> 32) as u32];
        StepScalars { seed, epoch: self.epoch as u32, ..StepScalars::default() }
    }

    /// Runs a step that trains nothing, and does not count it. The step's inputs have been written. May return before
    /// the device is done.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, program: ProgramId) -> Result<(), Error> {
        Ok(self.session.run(program, &self.scalars())?)
    }

    /// Makes the steps that follow change nothing until the metrics are taken, as after a step that was not finite.
    ///
    /// # Errors
    /// If the device fails.
    pub fn hold(&mut self) -> Result<(), Error> {
        self.write_flag(STOPPED)
    }

    /// Writes the flag of [`finite_check`](crate::ops::finite_check).
    fn write_flag(&mut self, flag: f32) -> Result<(), Error> {
        let mut control = vec![0.0; self.layout.n_elements(StateBuffer::Control)];
        control[NOT_FINITE] = flag;
        Ok(self.session.write_state(StateBuffer::Control, &control)?)
    }

    /// Requests the metrics after the steps so far, for [`TrainState::late_metrics`]. Does not wait.
    ///
    /// # Errors
    /// If the device fails.
    pub fn request_metrics(&mut self) -> Result<(), Error> {
        Ok(self.session.request_state(StateBuffer::Metrics)?)
    }

    /// Returns the latest requested metrics that have arrived, once. Never waits.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`] if a gradient or statistic of a step was not finite. That step and
    /// all since have changed nothing, and no step changes anything until [`TrainState::take_metrics`].
    pub fn late_metrics(&mut self) -> Result<Option<Metrics>, Error> {
        match self.session.poll_state(&mut self.late)? {
            Some(StateBuffer::Metrics) => {
                self.check_finite(Metrics::from_slice(&self.late)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Waits for the steps so far, returns their metrics since the last call, and sets the sums to 0.
    ///
    /// # Errors
    /// If the device fails, or [`StepError::NotFinite`] as for [`TrainState::late_metrics`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let metrics = self.drop_metrics()?;
        self.check_finite(metrics)
    }

    /// Takes the metrics as [`TrainState::take_metrics`] does, finite or not.
    ///
    /// # Errors
    /// If the device fails.
    pub fn drop_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(StateBuffer::Metrics)?;
        self.session.write_state(StateBuffer::Metrics, &vec![0.0; values.len()])?;
        self.write_flag(0.0)?;
        // Requested metrics that have not been read are older than these.
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
            true => {
                let (epoch, step) = (self.epoch + 1, self.n_steps as usize);
                Err(StepError::NotFinite { epoch, step }.into())
            }
        }
    }

    /// Returns the weights that evaluation reads: the moving average of the parameters where there is one, else the
    /// parameters. The parameters themselves are [`StateBuffer::Parameters`] of the session.
    ///
    /// # Errors
    /// If the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        let group = match self.layout.averaged {
            true => StateBuffer::AveragedParameters,
            false => StateBuffer::Parameters,
        };
        Ok(Weights {
            parameters: self.session.read_state(group)?,
            statistics: self.session.read_state(StateBuffer::Statistics)?,
            n_batches: self.n_steps,
        })
    }

    /// Overwrites the parameters, their moving average and the running statistics. The optimizer's state stays.
    ///
    /// # Errors
    /// If the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.session.write_state(StateBuffer::Parameters, &weights.parameters)?;
        self.session.write_state(StateBuffer::Statistics, &weights.statistics)?;
        if self.layout.averaged {
            self.session.write_state(StateBuffer::AveragedParameters, &weights.parameters)?;
        }
        Ok(())
    }

    /// Returns a parameter or running statistic by its name, in the shape that the layout gives it.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the network has no member of that name.
    pub fn member(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let found = self.layout.find(name);
        let (group, member) = found.unwrap_or_else(|| panic!("the network has no {name}"));
        Ok(self.session.read_state(group)?[member.range()].to_vec())
    }

    /// Waits for the steps so far and copies the state.
    ///
    /// # Errors
    /// If the device fails.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let groups = Snapshot::GROUPS.iter().map(|&group| self.session.read_state(group));
        Ok(Snapshot { groups: groups.collect::<Result<_, _>>()?, n_steps: self.n_steps })
    }

    /// Overwrites the state with a copy.
    ///
    /// # Errors
    /// If the device fails.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        // Requested metrics belong to the state before.
        self.forget_late_metrics()?;
        for (group, values) in Snapshot::GROUPS.into_iter().zip(&snapshot.groups) {
            self.session.write_state(group, values)?;
            if group == StateBuffer::Metrics {
                self.write_flag(values[FLAG])?;
            }
        }
        self.n_steps = snapshot.n_steps;
        Ok(())
    }
}
