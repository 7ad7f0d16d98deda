//! The end of an epoch: its evaluation, its line in `metrics.jsonl`, its weights and its checkpoint.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Ended, Run, Stopped, go_on_without};
use crate::Error;
use crate::base::fingerprint::Fingerprint;
use crate::base::shown::Shown;
use crate::data::batches;
use crate::tape::StateBuffer;
use crate::train::checkpoint::{Checkpoint, Header};
use crate::train::features::Images;
use crate::train::metrics::{EpochMetrics, best};
use crate::train::stopwatch::Stopwatch;
use crate::train::{Snapshot, TrainError, screen};

impl Run<'_> {
    /// Evaluates the weights after the epoch and returns the epoch's metrics.
    pub(super) fn evaluate_epoch(&mut self) -> Result<EpochMetrics, Stopped> {
        self.display.begin_evaluation();
        let begun = Instant::now();
        let stop = self.stop;
        let stop = || stop.load(Ordering::Relaxed);
        let [train, evaluated] = match &self.features {
            Some(features) => features.each_ref().map(Images::Features),
            None => [&self.dataset.train, self.dataset.evaluated()].map(Images::Pixels),
        };
        let is_whole = self.trainer.update_statistics(train, &self.order, self.epoch, &stop)?;
        let evaluated = match is_whole {
            true => self.trainer.evaluate(evaluated, &stop)?,
            false => None,
        };
        self.display.end_epoch();
        let evaluated = evaluated.ok_or(Stopped::Early(Ended::Interrupted))?;
        if !evaluated.loss().is_finite() {
            // The error is not `StepError::NotFinite`, because after `StepError::NotFinite` the run saves the present
            // weights. The present weights give no predictions, so the folder keeps the weights of the previous epoch.
            let error = TrainError::EvaluationNotFinite { epoch: self.epoch + 1 };
            return Err(Stopped::Failed(error.into()));
        }
        let trained = self.trained.unwrap_or_default();
        if trained.n_images == 0.0 {
            let error = TrainError::NoFiniteStep { epoch: self.epoch + 1 };
            return Err(Stopped::Failed(error.into()));
        }
        let seconds = self.epoch_watch.seconds();
        let weights = self.trainer.state.weights()?;
        let fingerprint =
            Fingerprint::of_f32([&weights.parameters[..], &weights.running_statistics]);
        let (of_ranks, are_equal) = self.traffic_of_epoch(fingerprint);
        if !are_equal {
            self.take_the_state_of_the_first_rank()?;
        }
        let epoch = EpochMetrics {
            epoch: self.epoch + 1,
            lr: self.schedule.rate(self.n_steps().saturating_sub(1)),
            train_loss: trained.loss(),
            train_accuracy: trained.accuracy(),
            validation_loss: None,
            validation_accuracy: None,
            test_loss: None,
            test_accuracy: None,
            skipped_steps: trained.n_skipped as u64,
            seconds,
            wait_seconds: Some(self.waited),
            ranks: self.job.ranks.map(|ranks| ranks.size()),
            rank_wait_seconds: self.job.ranks.map(|_| of_ranks.0),
            exchanged_bytes: self.job.ranks.map(|_| of_ranks.1),
            eval_seconds: begun.elapsed().as_secs_f64(),
            images_per_s: (self.n_batches * self.recipe.batch_size) as f64 / seconds,
            weights: fingerprint,
        };
        Ok(epoch.with_evaluation(&evaluated, !self.dataset.validation.is_empty()))
    }

    /// Returns the largest number of seconds in which a rank has waited for others since the last call, the bytes that this
    /// rank has sent, and whether the weights of all ranks have this fingerprint.
    fn traffic_of_epoch(&mut self, weights: Fingerprint) -> ((f64, u64), bool) {
        let Some(ranks) = self.job.ranks else { return ((0.0, 0), true) };
        let (seconds, bytes) = ranks.traffic();
        let own = seconds - self.traffic.0;
        let own = format!("{own} {weights}");
        let all = ranks.all_gather(own.as_bytes());
        let all: Vec<_> = all.iter().map(|of| String::from_utf8_lossy(of)).collect();
        let parts: Vec<_> = all.iter().filter_map(|of| of.split_once(' ')).collect();
        let seconds = parts.iter().filter_map(|(seconds, _)| seconds.parse().ok());
        let longest = seconds.fold(0.0, f64::max);
        let are_equal = parts.iter().all(|(_, of_rank)| *of_rank == parts[0].1);
        let sent = bytes - self.traffic.1;
        self.traffic = ranks.traffic();
        ((longest, sent), are_equal)
    }

    /// Writes the state of the first rank on all ranks. Ranks on unlike devices round differently, and would otherwise
    /// drift apart.
    fn take_the_state_of_the_first_rank(&mut self) -> Result<(), Error> {
        let Some(ranks) = self.job.ranks else { return Ok(()) };
        screen::note(
            "note: the ranks have other bits, as their devices differ; they go on with the weights of rank 0",
        );
        let snapshot = self.trainer.state.snapshot()?;
        for (buffer, values) in Snapshot::BUFFERS.into_iter().zip(&snapshot.buffers) {
            let own = if ranks.rank() == 0 { bytemuck::cast_slice(values) } else { &[][..] };
            let of_first: Vec<f32> = bytemuck::pod_collect_to_vec(&ranks.all_gather(own)[0]);
            if buffer != StateBuffer::Metrics {
                self.trainer.state.session.write_state(buffer, &of_first)?;
            }
        }
        Ok(())
    }

    /// Writes the epoch's metrics, checkpoint and weights into the folder, and moves to the next epoch.
    pub(super) fn end_epoch(&mut self, epoch: EpochMetrics) -> Result<(), Error> {
        self.epochs.push(epoch);
        let is_best = best(&self.epochs).is_some_and(|best| best.epoch == epoch.epoch);
        if is_best {
            self.best_step = Some(self.trainer.state.n_steps);
        }
        self.epoch += 1;
        (self.n_batches, self.trained, self.epoch_watch) = (0, None, Stopwatch::default());
        let n_images = self.dataset.train.len();
        self.order = batches::epoch_order(self.recipe.seed, self.epoch as u64, n_images);
        let is_asked_for = self.job.checkpoint.load(Ordering::Relaxed);
        let Some(logs) = &mut self.logs else { return self.write_checkpoint(false) };
        go_on_without(self.folder.write_metrics(&self.epochs));
        go_on_without(logs.append(&epoch));
        // The checkpoint is written before the weights. If a folder has weights and no checkpoint, its checkpoints were
        // therefore removed or could not be written.
        self.write_checkpoint(is_asked_for)?;
        let weights = self.trainer.state.weights()?;
        let files = [Some(self.folder.model()), is_best.then(|| self.folder.best())];
        for file in files.into_iter().flatten() {
            go_on_without(weights.save(&self.trainer.state.layout, Some(&self.info), &file));
        }
        Ok(())
    }

    /// Writes a checkpoint, if this rank writes the files. Prints its path if the user requested the checkpoint, on whichever
    /// rank, and withdraws the request.
    pub(super) fn write_checkpoint(&mut self, is_asked_for: bool) -> Result<(), Error> {
        // A signal may reach a rank while it evaluates. Its request stays until the ranks have agreed on it.
        if is_asked_for {
            self.job.checkpoint.store(false, Ordering::Relaxed);
        }
        if !self.job.is_first() {
            return Ok(());
        }
        let checkpoint = self.checkpoint()?;
        let is_written = self.retention.save(&checkpoint, &self.trainer.state.layout);
        if is_asked_for && is_written {
            let path = self.folder.path().join(Checkpoint::file_name(checkpoint.header.step));
            screen::note(&format!("written on request: {}", path.shown()));
        }
        Ok(())
    }

    /// Returns a checkpoint of the current position.
    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let mut snapshot = self.trainer.state.snapshot()?;
        if let Some(trained) = &self.trained {
            // The device's metrics may already be those of the evaluation. The checkpoint needs those of the training.
            let is_metrics = |buffer: &StateBuffer| *buffer == StateBuffer::Metrics;
            if let Some(at) = Snapshot::BUFFERS.iter().position(is_metrics) {
                trained.write(&mut snapshot.buffers[at]);
            }
        }
        let header = Header {
            format_version: Header::version(),
            checksum: None,
            step: snapshot.n_steps,
            epoch: self.epoch,
            n_batches: self.n_batches,
            seed: self.recipe.seed,
            epoch_seconds: self.epoch_watch.seconds(),
            run_seconds: self.watch.seconds(),
            best_step: self.best_step,
            device: self.device.clone(),
            began_on: self.began_on.clone(),
            dataset: self.fingerprint,
            config: self.recipe.to_toml(),
            epochs: self.epochs.clone(),
        };
        let info = Some(self.info.clone());
        Ok(Checkpoint { header, order: self.order.clone(), batch: None, snapshot, info })
    }
}
