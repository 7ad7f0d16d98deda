//! The training state: the buffers on the device, and the counts that the next step depends on.
//!
//! [`Trainer`](super::Trainer) trains on pixels that the device augments, [`Model`](super::Model) on arrays of your
//! own. Each has one [`TrainState`], and loads its steps into the session of this state. Trainer and model write the
//! inputs of a step. The state counts the steps, computes the scalars of each step, and reads metrics and weights.

use super::StepError;
use crate::Error;
use crate::device::{Device, NodeTimes, ProgramId, Session};
use crate::distributed::tree::Carry;
use crate::kernel::StepScalars;
use crate::nn::Weights;
use crate::ops::finite_check::{NOT_FINITE, STOPPED};
use crate::ops::metrics::{FLAG, Metrics};
use crate::ops::optimizers::AnyOptimizer;
use crate::tape::{StateBuffer, StateLayout};

/// A copy of the training state. Training that continues from a restored copy gives the same bits as training without a
/// break.
///
/// The copy has no gradients and no batch statistics, since each step computes them anew.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Whole flat buffers, padding included, in the order of [`Snapshot::BUFFERS`].
    pub buffers: Vec<Vec<f32>>,
    /// The number of training steps before the copy.
    pub n_steps: u64,
}

impl Snapshot {
    /// The buffers of a snapshot: those that outlive a step. The buffer of averaged parameters is empty if no average
    /// is kept. [`StateBuffer::Control`] is not in the list, since its flag has a copy in the metrics.
    pub const BUFFERS: [StateBuffer; 6] = [
        StateBuffer::Parameters,
        StateBuffer::RunningStatistics,
        StateBuffer::Optimizer(0),
        StateBuffer::Optimizer(1),
        StateBuffer::Metrics,
        StateBuffer::AveragedParameters,
    ];
}

/// Parameters, optimizer state, running statistics and metrics on a device, and the counts of steps and epochs.
pub struct TrainState {
    /// The session, which owns the buffers and the loaded steps.
    pub session: Box<dyn Session>,
    /// The names, shapes and offsets of all parameters and running statistics.
    pub layout: StateLayout,
    /// The epoch of the steps that follow, from 0. Random draws differ from epoch to epoch.
    pub epoch: usize,
    /// The number of training steps so far.
    pub n_steps: u64,
    /// The number of training steps before the optimizer began: 0, unless [`TrainState::restart_optimizer`] was called.
    pub optimizer_start: u64,
    optimizer: AnyOptimizer,
    seed: u64,
    /// The elements of the latest metrics that were requested and have arrived.
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
        optimizer: AnyOptimizer,
        seed: u64,
    ) -> Result<Self, Error> {
        let (session, layout) = (device.session(layout)?, layout.clone());
        let (n_steps, optimizer_start) = (0, 0);
        let late = Vec::new();
        Ok(Self { session, layout, epoch: 0, n_steps, optimizer_start, optimizer, seed, late })
    }

    /// Runs a training step, or its update after its shards, at the learning rate `lr`. The caller has written the step's
    /// inputs. May return before the device has finished. If `is_timed`, waits until the device has finished, and returns
    /// the time of every node.
    ///
    /// # Errors
    /// If the device fails.
    pub fn train_step(
        &mut self,
        program: ProgramId,
        lr: f64,
        is_timed: bool,
    ) -> Result<Option<NodeTimes>, Error> {
        let scalars = self.next_scalars(lr);
        self.run_with(program, &scalars, is_timed)
    }

    /// Runs a training step on one shard, and adds its results as `carry` says. The caller has written the shard's inputs.
    /// After the last shard, [`TrainState::train_step`] runs the update. `is_timed` is that of this function.
    ///
    /// # Errors
    /// If the device fails.
    pub fn shard_step(
        &mut self,
        program: ProgramId,
        carry: &Carry,
        is_timed: bool,
    ) -> Result<Option<NodeTimes>, Error> {
        let Carry { added_levels, stored_level, .. } = *carry;
        let scalars = StepScalars { added_levels, stored_level, ..self.scalars() };
        self.run_with(program, &scalars, is_timed)
    }

    fn run_with(
        &mut self,
        program: ProgramId,
        scalars: &StepScalars,
        is_timed: bool,
    ) -> Result<Option<NodeTimes>, Error> {
        match is_timed {
            true => Ok(Some(self.session.run_timed(program, scalars)?)),
            false => Ok(self.session.run(program, scalars).map(|()| None)?),
        }
    }

    /// Counts a training step and returns its scalars.
    fn next_scalars(&mut self, lr: f64) -> StepScalars {
        self.n_steps += 1;
        StepScalars {
            step: u32::try_from(self.n_steps).expect("fewer than 2^32 steps"),
            optimizer: self.optimizer.get().scalars(lr, self.n_steps - self.optimizer_start),
            ..self.scalars()
        }
    }

    /// Begins the optimizer anew, for all parameters: its state becomes 0, and the next step is its first one.
    ///
    /// # Errors
    /// If the device fails.
    pub fn restart_optimizer(&mut self) -> Result<(), Error> {
        for buffer in (0..StateBuffer::N_OPTIMIZER).map(StateBuffer::Optimizer) {
            let zeros = vec![0.0; self.layout.n_elements(buffer)];
            self.session.write_state(buffer, &zeros)?;
        }
        self.optimizer_start = self.n_steps;
        Ok(())
    }

    /// Returns the scalars of a step that does not train: seed and epoch, from which random numbers are drawn. The
    /// other scalars are 0.
    fn scalars(&self) -> StepScalars {
        let seed = [self.seed as u32, (self.seed >> 32) as u32];
        StepScalars { seed, epoch: self.epoch as u32, ..StepScalars::default() }
    }

    /// Runs a step that does not train, such as an evaluation step, and does not count it. The caller has written the
    /// step's inputs. May return before the device has finished.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, program: ProgramId) -> Result<(), Error> {
        Ok(self.session.run(program, &self.scalars())?)
    }

    /// Makes all following steps change nothing until [`TrainState::take_metrics`], as after a step with a gradient
    /// that is not finite.
    ///
    /// # Errors
    /// If the device fails.
    pub fn hold(&mut self) -> Result<(), Error> {
        self.write_flag(STOPPED)
    }

    /// Writes the flag of [`finite_check`](crate::ops::finite_check). While the flag is not 0, no step changes the
    /// state.
    fn write_flag(&mut self, flag: f32) -> Result<(), Error> {
        let mut control = vec![0.0; self.layout.n_elements(StateBuffer::Control)];
        control[NOT_FINITE] = flag;
        Ok(self.session.write_state(StateBuffer::Control, &control)?)
    }

    /// Requests a copy of the metrics as they are after the steps so far. [`TrainState::late_metrics`] returns the copy
    /// later. Does not wait.
    ///
    /// # Errors
    /// If the device fails.
    pub fn request_metrics(&mut self) -> Result<(), Error> {
        Ok(self.session.request_state(StateBuffer::Metrics)?)
    }

    /// Returns the latest metrics that [`TrainState::request_metrics`] has requested and that have arrived from the
    /// device. Each copy is returned at most once; none if no new copy has arrived. Does not wait.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`] if a gradient or statistic of a step was not finite. That step and
    /// all later steps change nothing until [`TrainState::take_metrics`].
    pub fn late_metrics(&mut self) -> Result<Option<Metrics>, Error> {
        match self.session.poll_state(&mut self.late)? {
            Some(StateBuffer::Metrics) => {
                self.check_finite(Metrics::from_slice(&self.late)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Waits for the steps so far, returns the metrics of the steps since the last call, and sets the sums on the
    /// device to 0.
    ///
    /// # Errors
    /// If the device fails, or [`StepError::NotFinite`] as for [`TrainState::late_metrics`].
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let metrics = self.drop_metrics()?;
        self.check_finite(metrics)
    }

    /// Returns and resets the metrics as [`TrainState::take_metrics`] does, but gives no error if a gradient or
    /// statistic of a step was not finite.
    ///
    /// # Errors
    /// If the device fails.
    pub fn drop_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(StateBuffer::Metrics)?;
        self.session.write_state(StateBuffer::Metrics, &vec![0.0; values.len()])?;
        self.write_flag(0.0)?;
        // Metrics that were requested but not read yet are older than the metrics that this function returns, so they
        // are dropped.
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

    /// Returns the weights that evaluation reads: the moving average of the parameters if there is one, otherwise the
    /// parameters. The session's buffer [`StateBuffer::Parameters`] always has the parameters that are trained.
    ///
    /// # Errors
    /// If the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        let buffer = match self.layout.averaged {
            true => StateBuffer::AveragedParameters,
            false => StateBuffer::Parameters,
        };
        Ok(Weights {
            parameters: self.session.read_state(buffer)?,
            running_statistics: self.session.read_state(StateBuffer::RunningStatistics)?,
            n_batches: self.n_steps,
        })
    }

    /// Overwrites the parameters, their moving average and the running statistics. The optimizer's state does not
    /// change.
    ///
    /// # Errors
    /// If the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.session.write_state(StateBuffer::Parameters, &weights.parameters)?;
        self.session.write_state(StateBuffer::RunningStatistics, &weights.running_statistics)?;
        if self.layout.averaged {
            self.session.write_state(StateBuffer::AveragedParameters, &weights.parameters)?;
        }
        Ok(())
    }

    /// Returns the elements of the parameter or running statistic with this name. [`TrainState::layout`] has its shape.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the network has no parameter or running statistic with this name.
    pub fn member(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let found = self.layout.find(name);
        let (buffer, member) = found.unwrap_or_else(|| panic!("the network has no {name}"));
        Ok(self.session.read_state(buffer)?[member.range()].to_vec())
    }

    /// Waits for the steps so far and copies the state.
    ///
    /// # Errors
    /// If the device fails.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let buffers = Snapshot::BUFFERS.iter().map(|&buffer| self.session.read_state(buffer));
        Ok(Snapshot { buffers: buffers.collect::<Result<_, _>>()?, n_steps: self.n_steps })
    }

    /// Overwrites the state with a copy.
    ///
    /// # Errors
    /// If the device fails.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        // Metrics that were requested but not read yet belong to the old state, so they are dropped.
        self.forget_late_metrics()?;
        for (buffer, values) in Snapshot::BUFFERS.into_iter().zip(&snapshot.buffers) {
            self.session.write_state(buffer, values)?;
            if buffer == StateBuffer::Metrics {
                self.write_flag(values[FLAG])?;
            }
        }
        self.n_steps = snapshot.n_steps;
        Ok(())
    }
}
