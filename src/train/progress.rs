//! What is shown while an epoch runs: a bar on a terminal, now and then a line elsewhere.
//!
//! It goes to the standard error, so that the standard output holds the results alone.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::console::duration;
use super::display::{Display, RunFacts};
use super::screen;
use crate::ops::metrics::Metrics;

/// The time between two readings of the metrics: often enough to look alive.
const BETWEEN_METRICS: Duration = Duration::from_millis(200);

/// The time between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The plain [`Display`] of a run.
pub struct Progress {
    n_epochs: usize,
    n_steps: usize,
    begun: Instant,
    /// Steps since then.
    n_run: usize,
    epoch: usize,
    epoch_begun: Instant,
    /// Steps of the epoch.
    step: usize,
    metrics: Option<(f64, f64)>,
    metrics_asked: Instant,
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
            metrics_asked: now,
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
        (self.step, self.metrics) = (n_done, None);
        self.bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}");
            ProgressBar::new(self.n_steps as u64)
                .with_style(style.expect("a good template"))
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
        let wanted = self.metrics_asked.elapsed() >= BETWEEN_METRICS;
        if wanted {
            self.metrics_asked = Instant::now();
        }
        wanted
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
        let images_per_s = n_images as f64 / self.epoch_begun.elapsed().as_secs_f64();
        let n_left = self.n_epochs * self.n_steps - (self.epoch * self.n_steps + self.step);
        // The evaluations of earlier epochs are in the time, so those to come are in the estimate.
        let left = self.begun.elapsed().as_secs_f64() / self.n_run as f64 * n_left as f64;
        let metrics = self.metrics.map_or(String::new(), |(loss, accuracy)| {
            format!("loss {loss:.3}, acc. {:.1}%, ", 100.0 * accuracy)
        });
        format!("{metrics}lr {lr:.5}, {images_per_s:.0} images/s, {} left", duration(left))
    }
}
