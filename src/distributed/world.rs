//! All ranks of a run.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::error::{AFTER_THE_FIRST, FAILED};
use super::items::{self, Items};
use super::meeting::{self, Kind, Meeting, fingerprint};
use super::mpi::Engine;
use super::neighbours::Neighbours;
use super::place::{self, Place};
use super::{Launcher, Ranks, Traffic, WorldError};

/// The time after which a rank that does not answer ends the run, unless [`World::set_timeout`] sets another.
pub const RANK_TIMEOUT: Duration = Duration::from_secs(600);

/// The limit of a wait for long work of one rank.
const NO_LIMIT: Duration = Duration::MAX;

/// The shortest limit of a wait after a signal to stop.
const TIMEOUT_OF_STOPPED: Duration = Duration::from_secs(3);

/// Number of kinds of operations.
const N_KINDS: usize = Kind::Finish as usize + 1;

/// All ranks of a run, as one rank sees them. The owner of the connection to the others: if it is dropped before
/// [`World::finish`], all ranks end. Panics and the end of the process have the same effect.
///
/// Begin the world before the first device. A device catches some panics of its driver, and its panic hook must be the
/// outer one.
pub struct World {
    /// None in a world of one.
    engine: Option<Engine>,
    launcher: Option<Launcher>,
    rank: usize,
    places: Vec<Place>,
    timeout: Duration,
    is_stopped: OnceCell<Arc<AtomicBool>>,
    begun: Instant,
    /// The beginning of the latest operation of each kind.
    latest: Cell<[Option<Instant>; N_KINDS]>,
    n_operations: Cell<u64>,
    traffic: Cell<Traffic>,
}

impl World {
    /// Returns the world of the ranks that the launcher of this process started. Without a launcher, or with one rank, it
    /// is a world of one, and MPI does not begin. Call it at most once per process.
    ///
    /// # Errors
    /// If a launcher started several ranks, but the program has no MPI or another one.
    pub fn begin() -> Result<Self, WorldError> {
        let Some(launcher) = Launcher::of_this_process() else { return Ok(Self::alone()) };
        let is_first = launcher.rank.is_none_or(|rank| rank == 0);
        Self::started_by(launcher).inspect_err(|_| {
            if !is_first {
                thread::sleep(AFTER_THE_FIRST);
            }
        })
    }

    fn started_by(launcher: Launcher) -> Result<Self, WorldError> {
        if launcher.n_ranks == Some(1) {
            return Ok(Self { launcher: Some(launcher), ..Self::alone() });
        }
        let engine = Engine::start(&launcher)?;
        let n_seen = engine.size();
        let n_started = launcher.n_ranks.unwrap_or(n_seen);
        if n_started != n_seen {
            let library = engine.library();
            engine.close();
            return Err(WorldError::OtherMpi { launcher, n_started, n_seen, library });
        }
        let (rank, place) = (engine.rank(), Place::of_this_process(engine.machine()));
        let mut world =
            Self { engine: Some(engine), launcher: Some(launcher), rank, ..Self::alone() };
        let encoded = serde_json::to_vec(&place).expect("text and numbers");
        let places = world.all_gather(&encoded);
        let decoded: Result<_, _> =
            places.iter().map(|place| serde_json::from_slice(place)).collect();
        world.places = decoded
            .unwrap_or_else(|error| world.fail(&format!("places of ranks: {error}"), FAILED));
        if let Some(engine) = &mut world.engine {
            let processes: Vec<_> =
                world.places.iter().map(|place| place.process.as_ref()).collect();
            engine.watch(Neighbours::of(rank, &processes));
        }
        Ok(world)
    }

    /// Returns a world of one rank, without MPI.
    pub fn alone() -> Self {
        Self {
            engine: None,
            launcher: None,
            rank: 0,
            places: vec![Place::of_this_process("this machine".to_string())],
            timeout: RANK_TIMEOUT,
            is_stopped: OnceCell::new(),
            begun: Instant::now(),
            latest: Cell::default(),
            n_operations: Cell::default(),
            traffic: Cell::default(),
        }
    }

    /// Sets the time after which a rank that does not answer ends the run.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Shortens the waits for ranks of other machines from the moment at which the flag is true, since one may be dead:
    /// SLURM sends the others a signal to stop when one of a job is killed, and kills them after half a minute. A rank that
    /// is missing in an exchange or a gather then ends all after 3 seconds, or after twice the time between the beginnings
    /// of the latest two such operations if that is longer. The first call counts.
    pub fn stops_with(&self, is_stopped: &Arc<AtomicBool>) {
        self.is_stopped.get_or_init(|| Arc::clone(is_stopped));
    }

    /// Number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of ranks.
    pub fn size(&self) -> usize {
        self.engine.as_ref().map_or(1, Engine::size)
    }

    /// Returns true for rank 0, which alone writes files and the screen.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Number of this rank among the ranks of its machine, from 0.
    pub fn local_rank(&self) -> usize {
        place::local(&self.places, self.rank).0
    }

    /// Number of threads with which this rank may compute: its cores, divided among the ranks that share them.
    pub fn n_threads(&self) -> usize {
        place::n_threads(&self.places, self.rank)
    }

    /// Name and version of the MPI; None in a world of one.
    pub fn library(&self) -> Option<String> {
        self.engine.as_ref().map(Engine::library)
    }

    /// Returns warnings about all ranks, for rank 0 to print: ranks that the launcher pinned to one core.
    pub fn warnings(&self) -> Vec<String> {
        self.launcher
            .as_ref()
            .map_or(Vec::new(), |launcher| place::warnings(&self.places, launcher.unpin))
    }

    /// Returns the sum over all operations so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    /// Sends and receives slices. Each entry has the other rank and the slice. The slices between two ranks arrive in the
    /// order of the lists, and their lengths must be equal on both sides. Returns the times and bytes of this call.
    ///
    /// # Panics
    /// If an entry has this rank itself, or a rank that does not exist.
    pub fn exchange(
        &self,
        sends: &[(usize, &[f32])],
        receives: &mut [(usize, &mut [f32])],
    ) -> Traffic {
        let others = sends.iter().map(|send| send.0).chain(receives.iter().map(|entry| entry.0));
        let is_other = |rank: usize| rank != self.rank && rank < self.size();
        assert!(others.into_iter().all(is_other), "exchange: entries need another rank");
        let Some(engine) = &self.engine else { return Traffic::default() };
        let lengths = |rank: usize| {
            fingerprint(sends.iter().filter(|send| send.0 == rank).map(|send| send.1.len()))
        };
        let (meeting, theirs, mut traffic) = self.meet(engine, Kind::Exchange, lengths);
        for (rank, theirs) in theirs.iter().enumerate().filter(|(rank, _)| is_other(*rank)) {
            let own = receives.iter().filter(|entry| entry.0 == rank);
            let own = fingerprint(own.map(|entry| entry.1.len()));
            if own != *theirs {
                let error = format!(
                    "{}: rank {rank} sends {} numbers, but this rank expects {} or other lengths; this is an error of \
                     the program",
                    meeting.name(),
                    theirs[0],
                    own[0],
                );
                engine.fail(&error, FAILED);
            }
        }
        engine.transfer(&meeting, sends, receives);
        traffic.n_sent_bytes = sends.iter().map(|send| size_of_val(send.1) as u64).sum();
        self.add(traffic);
        traffic
    }

    /// Returns the bytes of every rank, in the order of ranks. The lengths may differ.
    pub fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some(engine) = &self.engine else { return vec![bytes.to_vec()] };
        let own = [bytes.len() as u64, 0];
        let (meeting, theirs, mut traffic) = self.meet(engine, Kind::Gather, |_| own);
        let mut all: Vec<_> = theirs.iter().map(|words| vec![0; words[0] as usize]).collect();
        all[self.rank] = bytes.to_vec();
        let others = || (0..self.size()).filter(|&rank| rank != self.rank);
        let sends: Vec<_> = others().map(|rank| (rank, bytes)).collect();
        let mut receives: Vec<_> = all
            .iter_mut()
            .enumerate()
            .filter(|(rank, _)| *rank != self.rank)
            .map(|(rank, bytes)| (rank, &mut bytes[..]))
            .collect();
        engine.transfer(&meeting, &sends, &mut receives);
        traffic.n_sent_bytes = (sends.len() * bytes.len()) as u64;
        self.add(traffic);
        all
    }

    /// Returns the number of every rank, in the order of ranks. The cheapest operation.
    pub fn all_numbers(&self, number: u64) -> Vec<u64> {
        let Some(engine) = &self.engine else { return vec![number] };
        let (_, mut theirs, traffic) = self.meet(engine, Kind::Numbers, |_| [number, 0]);
        theirs[self.rank] = [number, 0];
        self.add(traffic);
        theirs.iter().map(|words| words[0]).collect()
    }

    /// Waits until all ranks have called it, however long one of them downloads, decodes or writes. A rank that dies ends
    /// the others here, too.
    pub fn barrier(&self) {
        if let Some(engine) = &self.engine {
            let (_, _, traffic) = self.meet_within(engine, Kind::Barrier, NO_LIMIT, |_| [0, 0]);
            self.add(traffic);
        }
    }

    /// Waits until all ranks have called it, such as after the first rank has written files. Unlike in [`World::barrier`], a
    /// rank that hangs ends all.
    pub fn wait_for_files(&self) {
        if let Some(engine) = &self.engine {
            let (_, _, traffic) = self.meet(engine, Kind::Files, |_| [0, 0]);
            self.add(traffic);
        }
    }

    /// Compares named values, which must be equal on all ranks. A difference ends all ranks, and rank 0 prints the first
    /// item that differs, with the ranks.
    pub fn check(&self, items: &[(&str, String)]) {
        let Some(engine) = &self.engine else { return };
        if let Some(difference) = self.difference(items) {
            engine.refuse(&difference, FAILED);
        }
    }

    /// Compares named values as [`World::check`] does, and returns the first difference as text. None if all are equal.
    pub fn difference(&self, items: &[(&str, String)]) -> Option<String> {
        let encoded = serde_json::to_vec(items).expect("text");
        let all: Result<Vec<Items>, _> =
            self.all_gather(&encoded).iter().map(|bytes| serde_json::from_slice(bytes)).collect();
        match all {
            Ok(all) => items::difference(&all),
            Err(error) => Some(format!("items of a rank: {error}")),
        }
    }

    /// Waits until all ranks have finished, and ends the connection. Do all work before: if a rank then returns an exit
    /// code other than 0, its launcher ends the others at once.
    pub fn finish(mut self) {
        if let Some(engine) = self.engine.take() {
            self.meet_within(&engine, Kind::Finish, NO_LIMIT, |_| [0, 0]);
            engine.close();
        }
    }

    /// Ends all ranks because of an error of this rank, with an exit code other than 0. Prints the error with the rank; in
    /// a world of one, the error alone. Ranks other than 0 print it a moment later, so that an error of all ranks is
    /// printed once.
    pub fn fail(&self, error: &str, code: u8) -> ! {
        match &self.engine {
            Some(engine) => engine.fail(error, code),
            None => {
                eprintln!("error: {error}");
                std::process::exit(code.into())
            }
        }
    }

    /// Ends all ranks because of an error that every rank has. Rank 0 prints it; in a world of one, as [`World::fail`].
    pub fn refuse(&self, error: &str, code: u8) -> ! {
        match &self.engine {
            Some(engine) => engine.refuse(error, code),
            None => self.fail(error, code),
        }
    }

    /// Waits until all ranks have begun an operation. Each rank sends two words to each other rank. Returns the words for
    /// this rank. A rank in another operation ends all ranks.
    fn meet(
        &self,
        engine: &Engine,
        kind: Kind,
        words: impl Fn(usize) -> [u64; 2],
    ) -> (Meeting<'_>, Vec<[u64; 2]>, Traffic) {
        self.meet_within(engine, kind, self.timeout, words)
    }

    fn meet_within(
        &self,
        engine: &Engine,
        kind: Kind,
        timeout: Duration,
        words: impl Fn(usize) -> [u64; 2],
    ) -> (Meeting<'_>, Vec<[u64; 2]>, Traffic) {
        let begun = Instant::now();
        let number = self.n_operations.replace(self.n_operations.get() + 1);
        let timeout_of_stopped = self.timeout_of_stopped(kind, begun);
        let is_stopped = self.is_stopped.get().map(Arc::as_ref);
        let meeting = Meeting { kind, number, timeout, timeout_of_stopped, is_stopped };
        let own = [kind as u64, number];
        let theirs = engine.meet(&meeting, |rank| {
            let [first, second] = words(rank);
            [own[0], own[1], first, second]
        });
        for (rank, theirs) in theirs.iter().enumerate().filter(|(rank, _)| *rank != self.rank) {
            if theirs[..2] != own {
                let theirs = meeting::name(theirs[0], theirs[1]);
                let own = meeting.name();
                let error = format!(
                    "rank {rank} is in {theirs}, this rank in {own}; this is an error of the program"
                );
                engine.fail(&error, FAILED);
            }
        }
        let theirs = theirs.iter().map(|words| [words[2], words[3]]).collect();
        let wait_seconds = begun.elapsed().as_secs_f64();
        (meeting, theirs, Traffic { wait_seconds, ..Traffic::default() })
    }

    /// Returns the limit of a wait after a signal to stop, for an operation that begins now. The interval since the latest
    /// operation of the kind includes the wait for the slowest rank. There is no such limit where one rank may be writing
    /// files, and before the first interval.
    fn timeout_of_stopped(&self, kind: Kind, now: Instant) -> Duration {
        let mut latest = self.latest.get();
        let before = latest[kind as usize].replace(now);
        self.latest.set(latest);
        match (kind, before) {
            (Kind::Exchange | Kind::Gather | Kind::Numbers, Some(before)) => {
                TIMEOUT_OF_STOPPED.max(2 * now.duration_since(before))
            }
            _ => NO_LIMIT,
        }
    }

    fn add(&self, traffic: Traffic) {
        let mut sum = self.traffic.get();
        sum += traffic;
        self.traffic.set(sum);
    }
}

impl Ranks for World {
    fn rank(&self) -> usize {
        Self::rank(self)
    }

    fn size(&self) -> usize {
        Self::size(self)
    }

    fn exchange(&self, sends: &[(usize, &[f32])], receives: &mut [(usize, &mut [f32])]) {
        Self::exchange(self, sends, receives);
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        Self::all_gather(self, bytes)
    }

    fn barrier(&self) {
        Self::barrier(self);
    }

    fn wait_for_files(&self) {
        Self::wait_for_files(self);
    }

    fn all_numbers(&self, number: u64) -> Vec<u64> {
        Self::all_numbers(self, number)
    }

    fn traffic(&self) -> (f64, u64) {
        let Traffic { wait_seconds, n_sent_bytes, .. } = Self::traffic(self);
        (wait_seconds, n_sent_bytes)
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_one_has_every_operation() {
        let world = World::alone();
        assert_eq!((world.rank(), world.size()), (0, 1));
        assert_eq!(world.local_rank(), 0);
        assert!(world.n_threads() >= 1 && world.warnings().is_empty());
        assert_eq!(world.exchange(&[], &mut []), Traffic::default());
        assert_eq!(world.all_gather(b"abc"), [b"abc"]);
        assert_eq!((world.all_numbers(7), world.any(5)), (vec![7], 5));
        assert_eq!(world.of_first(-0.25), -0.25);
        world.check(&[("version", "1".to_string())]);
        world.finish();
    }

    #[test]
    #[should_panic(expected = "entries need another rank")]
    fn no_rank_sends_to_itself() {
        World::alone().exchange(&[(0, &[1.0])], &mut []);
    }
}
