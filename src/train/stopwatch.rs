//! A stopwatch that can start from a given time, such as that of a checkpoint.

use std::time::Instant;

/// A stopwatch. It measures seconds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stopwatch {
    /// The seconds of earlier intervals.
    before: f64,
    /// The start of the current interval; none while the stopwatch is stopped.
    since: Option<Instant>,
}

impl Stopwatch {
    /// Returns a stopped stopwatch that shows `seconds`.
    pub fn at(seconds: f64) -> Self {
        Self { before: seconds, since: None }
    }

    /// Starts the stopwatch. Does nothing while it runs.
    pub fn start(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Stops the stopwatch. Does nothing while it is stopped.
    pub fn stop(&mut self) {
        *self = Self::at(self.seconds());
    }

    /// Returns the measured seconds.
    pub fn seconds(&self) -> f64 {
        self.before + self.since.map_or(0.0, |since| since.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_stopwatch_keeps_its_time() {
        let mut watch = Stopwatch::at(10.0);
        assert_eq!(watch.seconds(), 10.0);
        watch.start();
        while watch.seconds() == 10.0 {}
        watch.stop();
        let stopped = watch.seconds();
        assert!(stopped > 10.0);
        assert_eq!(watch.seconds(), stopped);
    }
}
