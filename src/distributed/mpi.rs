//! Messages between ranks, through MPI.
//!
//! All messages are non-blocking. A rank tests its requests until all are complete, and sleeps between the tests: a call
//! of MPI that blocks would use a whole core, and would not return if another rank hangs.

use std::thread;
use std::time::{Duration, Instant};

use ferrompi::{Communicator, Mpi, MpiDatatype, Request, ThreadLevel};

use super::error::FAILED;
use super::items::ranks_text;
use super::meeting::Meeting;
use super::neighbours::Neighbours;
use super::{Launcher, WorldError, failure};

/// Tag of the first messages of an operation.
const MEET: i32 = 1;

/// Tag of the data of an operation.
const DATA: i32 = 2;

/// The time for which a rank tests without a sleep while other ranks may still compute.
const SPIN_TO_MEET: Duration = Duration::from_micros(200);

/// The same while data moves. Large messages move in parts, and only while both ranks call MPI.
const SPIN_TO_MOVE: Duration = Duration::from_secs(1);

/// The shortest and the longest sleep between two tests.
const SLEEPS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];

/// The time from the end of another rank's process to the end of all. Meanwhile the messages that it sent before arrive, and
/// a launcher that notices its end ends the others.
const AFTER_AN_END: Duration = Duration::from_millis(1500);

/// The connection to other ranks.
pub(super) struct Engine {
    world: Communicator,
    /// The other ranks whose processes a thread watches.
    watched: Vec<usize>,
    /// Its drop finalizes MPI.
    _mpi: Mpi,
}

impl Engine {
    pub(super) fn start(_: &Launcher) -> Result<Self, WorldError> {
        // Only a rank's main thread sends and receives. Another thread may have to end all ranks.
        let mpi = Mpi::init_thread(ThreadLevel::Serialized)
            .map_err(|error| WorldError::Mpi(error.to_string()))?;
        let world = mpi.world();
        failure::arm(mpi.world());
        Ok(Self { world, watched: Vec::new(), _mpi: mpi })
    }

    /// Makes the end of one of these processes end all ranks, until the run is finished. The thread calls MPI only to abort.
    pub(super) fn watch(&mut self, neighbours: Neighbours) {
        self.watched = neighbours.ranks().collect();
        if self.watched.is_empty() {
            return;
        }
        let watch = move || {
            let ended = neighbours.wait();
            thread::sleep(AFTER_AN_END);
            if failure::is_armed() {
                let process =
                    if ended.len() == 1 { "its process has" } else { "their processes have" };
                let example = "for example by a signal or for lack of memory";
                failure::fail(
                    &format!("{}: {process} ended, {example}", ranks_text(&ended)),
                    FAILED,
                );
            }
        };
        let thread = thread::Builder::new().name("neighbours".to_string()).spawn(watch);
        thread.unwrap_or_else(|error| self.fail(&format!("thread: {error}"), FAILED));
    }

    pub(super) fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    pub(super) fn size(&self) -> usize {
        self.world.size() as usize
    }

    pub(super) fn machine(&self) -> String {
        self.world.processor_name().unwrap_or_else(|error| self.fail(&error.to_string(), FAILED))
    }

    /// Returns the name and version of the MPI: the first line or the first two words of its own text.
    pub(super) fn library(&self) -> String {
        let text = Mpi::library_version().unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let end = line.find(", package").unwrap_or(line.len());
        line[..end].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Sends words to each other rank, and returns the words of each rank for this one. Own words are 0.
    pub(super) fn meet(
        &self,
        meeting: &Meeting<'_>,
        words: impl Fn(usize) -> [u64; 4],
    ) -> Vec<[u64; 4]> {
        let own: Vec<_> = (0..self.size()).map(words).collect();
        let mut theirs = vec![[0; 4]; self.size()];
        let rank = self.rank();
        let others = move |entry: &(usize, _)| entry.0 != rank;
        let sends: Vec<_> = own.iter().map(|words| &words[..]).enumerate().collect();
        let sends: Vec<_> = sends.into_iter().filter(|(to, _)| *to != rank).collect();
        let receives = theirs.iter_mut().map(|words| &mut words[..]).enumerate();
        let mut receives: Vec<_> = receives.filter(others).collect();
        self.run(meeting, MEET, SPIN_TO_MEET, &sends, &mut receives);
        theirs
    }

    /// Sends and receives slices, after all ranks have begun the operation.
    pub(super) fn transfer<T: MpiDatatype>(
        &self,
        meeting: &Meeting<'_>,
        sends: &[(usize, &[T])],
        receives: &mut [(usize, &mut [T])],
    ) {
        self.run(meeting, DATA, SPIN_TO_MOVE, sends, receives);
    }

    fn run<T: MpiDatatype>(
        &self,
        meeting: &Meeting<'_>,
        tag: i32,
        spin: Duration,
        sends: &[(usize, &[T])],
        receives: &mut [(usize, &mut [T])],
    ) {
        // Every failure ends the process inside the scope, because the scope waits for its requests when it ends.
        let begun = ferrompi::scope(|scope| {
            let mut pending = Vec::with_capacity(sends.len() + receives.len());
            for (from, data) in receives.iter_mut() {
                let request = self.world.irecv(scope, data, *from as i32, tag);
                pending.push((*from, request.unwrap_or_else(|error| self.fail_in(meeting, error))));
            }
            for (to, data) in sends {
                let request = self.world.isend(scope, data, *to as i32, tag);
                pending.push((*to, request.unwrap_or_else(|error| self.fail_in(meeting, error))));
            }
            self.complete(meeting, spin, pending);
            Ok(())
        });
        begun.unwrap_or_else(|error| self.fail_in(meeting, error));
    }

    /// Tests requests until all are complete. Ends all ranks if one is not complete in time.
    fn complete(
        &self,
        meeting: &Meeting<'_>,
        spin: Duration,
        mut pending: Vec<(usize, Request<'_>)>,
    ) {
        let begun = Instant::now();
        loop {
            pending.retain_mut(|(_, request)| match request.test() {
                Ok(status) => status.is_none(),
                Err(error) => self.fail_in(meeting, error),
            });
            if pending.is_empty() {
                return;
            }
            let passed = begun.elapsed();
            let missing = || missing(&pending);
            let are_watched = || missing().iter().all(|rank| self.watched.contains(rank));
            let (limit, circumstance) = meeting.limit(are_watched);
            if passed > limit {
                let missing = missing();
                let these = if missing.len() == 1 { "this rank" } else { "these ranks" };
                let advice = match circumstance {
                    "" => format!("; look at {these}, or raise --rank-timeout"),
                    circumstance => circumstance.to_string(),
                };
                let (ranks, seconds) = (ranks_text(&missing), passed.as_secs_f64());
                let name = meeting.name();
                let error = format!("{ranks}: no answer for {seconds:.0} s in {name}{advice}");
                self.fail(&error, FAILED);
            }
            match passed.checked_sub(spin) {
                None => thread::yield_now(),
                Some(slept) => thread::sleep((slept / 100).clamp(SLEEPS[0], SLEEPS[1])),
            }
        }
    }

    fn fail_in(&self, meeting: &Meeting<'_>, error: ferrompi::Error) -> ! {
        self.fail(&format!("{}: {error}", meeting.name()), FAILED)
    }

    pub(super) fn fail(&self, error: &str, code: u8) -> ! {
        failure::fail(error, code)
    }

    pub(super) fn refuse(&self, error: &str, code: u8) -> ! {
        failure::refuse(error, code)
    }

    /// Ends the connection. All ranks must call it.
    pub(super) fn close(self) {
        failure::disarm();
        drop(self);
    }
}

/// Returns the ranks of requests, in order.
fn missing(pending: &[(usize, Request<'_>)]) -> Vec<usize> {
    let mut ranks: Vec<_> = pending.iter().map(|(rank, _)| *rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

impl Drop for Engine {
    fn drop(&mut self) {
        if failure::is_armed() {
            self.fail("this rank ended before the run was finished", FAILED);
        }
    }
}
