//! The progress of an epoch: a bar on a terminal, and one line every ten seconds elsewhere.
//!
//! The progress goes to the standard error. The standard output has only results.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::console::duration;
use super::display::{Display, RunFacts};
use super::screen;
use crate::ops::metrics::Metrics;

/// The time between two requests for metrics: the loss in the bar changes five times a second.
const BETWEEN_METRICS: Duration = Duration::from_millis(200);

/// The time between two lines where the standard error is not a terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The [`Display`] of a run without a dashboard.
pub struct Progress {
    /// The number of epochs in the run.
    n_epochs: usize,
    /// The number of steps in an epoch.
    n_steps: usize,
    begun: Instant,
    /// The number of steps since `begun`. Steps before a resume do not count.
    n_run: usize,
    /// The current epoch, from 0.
    epoch: usize,
    epoch_begun: Instant,
    /// The number of finished steps in the epoch.
    step: usize,
    /// The latest loss and accuracy that have arrived in this epoch.
    metrics: Option<(f64, f64)>,
    metrics_requested: Instant,
    /// The longest time in which a rank has waited for the others in this epoch, in seconds; none on one rank.
    waited_for_ranks: Option<f64>,
    bar: Option<ProgressBar>,
    line_written: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            n_epochs: 0,
            n_steps: 0,
            begun: now,
            n_run: 0,
            epoch: 0,
            epoch_begun: now,
            step: 0,
            metrics: None,
            metrics_requested: now,
            waited_for_ranks: None,
            bar: None,
            line_written: now,
        }
    }
}

impl Display for Progress {
    fn begin(&mut self, facts: &RunFacts) {
        let (n_epochs, n_steps) = (facts.n_epochs, facts.n_steps);
        *self = Self { n_epochs, n_steps, ..Self::default() };
    }

    fn begin_epoch(&mut self, epoch: usize, n_done: usize) {
        (self.epoch, self.epoch_begun) = (epoch, Instant::now());
        (self.step, self.metrics, self.waited_for_ranks) = (n_done, None, None);
        self.bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}");
            ProgressBar::new(self.n_steps as u64)
                .with_style(style.expect("a valid template"))
                .with_prefix(format!("epoch {}/{}", epoch + 1, self.n_epochs))
        });
    }

    fn step(&mut self, n_images: usize, lr: f64) -> bool {
        self.step += 1;
        self.n_run += 1;
        let message = || self.message(n_images, lr);
        if let Some(bar) = &self.bar {
            bar.set_message(message());
            bar.set_position(self.step as u64);
        } else if self.line_written.elapsed() >= BETWEEN_LINES {
            let (epoch, n_epochs) = (self.epoch + 1, self.n_epochs);
            let (step, n_steps) = (self.step, self.n_steps);
            screen::note(&format!(
                "epoch {epoch}/{n_epochs}, step {step}/{n_steps}: {}",
                message()
            ));
            self.line_written = Instant::now();
        }
        let is_due = self.metrics_requested.elapsed() >= BETWEEN_METRICS;
        if is_due {
            self.metrics_requested = Instant::now();
        }
        is_due
    }

    fn waited_for_ranks(&mut self, seconds: f64) {
        self.waited_for_ranks = Some(seconds);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.metrics = Some((metrics.loss(), metrics.accuracy()));
    }

    fn begin_evaluation(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_message("evaluating");
        }
    }

    fn end_epoch(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress {
    fn message(&self, n_images: usize, lr: f64) -> String {
        let seconds = self.epoch_begun.elapsed().as_secs_f64();
        let images_per_s = n_images as f64 / seconds;
        let n_left = self.n_epochs * self.n_steps - (self.epoch * self.n_steps + self.step);
        // The measured time includes the evaluations of earlier epochs, so the estimate includes the later evaluations.
        let left = self.begun.elapsed().as_secs_f64() / self.n_run as f64 * n_left as f64;
        let metrics = self.metrics.map_or(String::new(), |(loss, accuracy)| {
            format!("loss {loss:.3}, acc. {:.1}%, ", 100.0 * accuracy)
        });
        // Another rank may have begun the epoch earlier than this one.
        let waited = self.waited_for_ranks.map_or(String::new(), |waited| {
            let part = (waited / seconds).min(1.0);
            format!("{:.0}% of the time waiting for ranks, ", 100.0 * part)
        });
        let left = duration(left);
        format!("{metrics}lr {lr:.5}, {images_per_s:.0} images/s, {waited}{left} left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_for_ranks_is_shown_in_percent_of_the_epoch() {
        let mut progress = Progress { n_epochs: 1, n_steps: 2, n_run: 1, ..Progress::default() };
        assert!(!progress.message(64, 0.1).contains("ranks"));
        progress.epoch_begun -= Duration::from_secs(100);
        progress.waited_for_ranks(25.0);
        let message = progress.message(64, 0.1);
        assert!(message.contains("1 images/s, 25% of the time waiting for ranks, "), "{message}");
        progress.begin_epoch(0, 0);
        assert!(!progress.message(64, 0.1).contains("ranks"), "a new epoch");
    }
}
