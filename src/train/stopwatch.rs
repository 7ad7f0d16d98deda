//! A clock that can be stopped, and that goes on from where another one was.

use std::time::Instant;

/// Seconds that it has run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stopwatch {
    before: f64,
    since: Option<Instant>,
}

impl Stopwatch {
    /// A stopped one that shows `seconds`.
    pub fn at(seconds: f64) -> Self {
        Self { before: seconds, since: None }
    }

    /// Runs, if it does not already.
    pub fn start(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Stops, if it runs.
    pub fn stop(&mut self) {
        *self = Self::at(self.seconds());
    }

    /// What it shows.
    pub fn seconds(&self) -> f64 {
        self.before + self.since.map_or(0.0, |since| since.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_and_goes_on() {
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
