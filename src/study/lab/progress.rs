//! The line on the terminal that shows the state of a study.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use wgrad::train::console::duration;
use wgrad::train::screen;

/// The line on the terminal that shows the state of a study.
pub struct ProgressLine {
    study: &'static str,
    measurement: String,
    begun: Instant,
    drawn: Cell<Option<Instant>>,
    is_terminal: bool,
}

impl ProgressLine {
    /// The time between two lines of a measurement.
    const BETWEEN: Duration = Duration::from_millis(200);
    /// The same where the standard error is not a terminal.
    const BETWEEN_LINES: Duration = Duration::from_secs(10);

    /// Returns the line of a study, before its first measurement.
    pub fn new(study: &'static str) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let (measurement, begun) = (String::new(), Instant::now());
        Self { study, measurement, begun, drawn: Cell::new(None), is_terminal }
    }

    /// Begins a measurement.
    pub fn begin(&mut self, measurement: &str) {
        self.measurement = measurement.to_string();
        self.begun = Instant::now();
        self.drawn = Cell::new(Some(self.begun));
    }

    /// Shows that `n` of `of` parts of the measurement are done, if the last line is old enough.
    pub fn show(&self, n: usize, of: usize) {
        let between = if self.is_terminal { Self::BETWEEN } else { Self::BETWEEN_LINES };
        if self.drawn.get().is_some_and(|drawn| drawn.elapsed() < between) {
            return;
        }
        self.drawn.set(Some(Instant::now()));
        let Self { study, measurement, begun, .. } = self;
        let line = format!(
            "{study}: {measurement}, {n} of {of}, {}",
            duration(begun.elapsed().as_secs_f64())
        );
        match self.is_terminal {
            // A failure to print is ignored: no result depends on the line.
            true => _ = write!(io::stderr(), "\r\x1b[2K{line}"),
            false => screen::note(&line),
        }
    }

    /// Ends the measurement: the line of a terminal is cleared.
    pub fn end(&mut self) {
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}
