//! All ranks of a run.

use std::cell::Cell;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use super::items::{self, Items};
use super::mpi::Engine;
use super::place;
use super::{Launcher, Place};

/// The time after which a rank that does not answer ends the run, unless [`World::set_timeout`] sets another.
pub const RANK_TIMEOUT: Duration = Duration::from_secs(600);

/// A world of ranks that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A launcher started several ranks of a program without MPI. Each rank would train alone.
    #[error(
        "{}: it started {}, but this program has no MPI; build it with --features mpi",
        launcher.name, launcher.n_ranks.map_or("ranks".to_string(), |n| format!("{n} ranks"))
    )]
    NoMpi {
        /// The launcher.
        launcher: Launcher,
    },
    /// MPI sees a world of another size than its launcher, because the launcher belongs to another MPI.
    #[error(
        "{}: it started {n_started} ranks, but {library} sees {n_seen}; start the program with the launcher of its MPI \
         (srun: choose --mpi=, see srun --mpi=list), or build it with MPICC=mpicc of the other MPI",
        launcher.name
    )]
    OtherMpi {
        /// The launcher.
        launcher: Launcher,
        /// Number of ranks that the launcher started.
        n_started: usize,
        /// Number of ranks that MPI sees.
        n_seen: usize,
        /// Name and version of the program's MPI.
        library: String,
    },
    /// MPI does not begin.
    #[error("MPI: {0}")]
    Mpi(String),
}

/// Seconds and bytes of operations between ranks.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Traffic {
    /// Seconds until all ranks had begun the operation: the wait for the slowest rank.
    pub wait_seconds: f64,
    /// Seconds in which data moved, after all ranks had begun.
    pub move_seconds: f64,
    /// Bytes that this rank sent to all others.
    pub n_sent_bytes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.wait_seconds += other.wait_seconds;
        self.move_seconds += other.move_seconds;
        self.n_sent_bytes += other.n_sent_bytes;
    }
}

/// A kind of operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Exchange,
    Gather,
    Numbers,
    Finish,
}

impl Kind {
    const NAMES: [&str; 4] = ["an exchange", "a gather", "a gather of numbers", "the end of the run"];

    /// Returns the name of a kind, given its number.
    fn name(kind: u64) -> &'static str {
        usize::try_from(kind).ok().and_then(|kind| Self::NAMES.get(kind)).unwrap_or(&"unknown")
    }
}

/// The beginning of an operation, in which every rank takes part.
pub(super) struct Meeting {
    pub kind: Kind,
    /// Number of the operation, counted from 0 by each rank.
    pub number: u64,
    /// Time after which a missing rank ends the run.
    pub timeout: Duration,
}

impl Meeting {
    pub fn name(&self) -> String {
        format!("{} (operation {})", Kind::name(self.kind as u64), self.number)
    }
}

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
        let decoded: Result<_, _> = places.iter().map(|place| serde_json::from_slice(place)).collect();
        world.places = decoded.unwrap_or_else(|error| world.fail(&format!("places of ranks: {error}")));
        Ok(world)
    }

    /// Returns a world of one rank, without MPI.
    pub fn alone() -> Self {
        Self {
            engine: None,
            launcher: None,
            rank: 0,
            places: vec![Place::of_this_process(String::new())],
            timeout: RANK_TIMEOUT,
            n_operations: Cell::default(),
            traffic: Cell::default(),
        }
    }

    /// Sets the time after which a rank that does not answer ends the run.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
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

    /// Number of ranks on this rank's machine.
    pub fn local_size(&self) -> usize {
        place::local(&self.places, self.rank).1
    }

    /// Places of all ranks, in their order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Number of threads with which this rank may compute: its cores, divided among the ranks that share them.
    pub fn n_threads(&self) -> usize {
        place::n_threads(&self.places, self.rank)
    }

    /// Name and version of the MPI; None in a world of one.
    pub fn library(&self) -> Option<String> {
        self.engine.as_ref().map(Engine::library)
    }

    /// The program that started the ranks; None if no launcher did.
    pub fn launcher(&self) -> Option<&Launcher> {
        self.launcher.as_ref()
    }

    /// Returns warnings about all ranks, for rank 0 to print: ranks that the launcher pinned to one core.
    pub fn warnings(&self) -> Vec<String> {
        self.launcher.as_ref().map_or(Vec::new(), |launcher| {
            place::warnings(&self.places, launcher.unpin)
        })
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
                engine.fail(&format!(
                    "{}: rank {rank} sends {} numbers, but this rank expects {}, or other lengths; this is an error of \
                     the program",
                    meeting.name(), theirs[0], own[0],
                ));
            }
        }
        let begun = Instant::now();
        engine.transfer(&meeting, sends, receives);
        traffic.move_seconds = begun.elapsed().as_secs_f64();
        traffic.n_sent_bytes = sends.iter().map(|send| size_of_val(send.1) as u64).sum();
        self.add(traffic);
        traffic
    }

    /// Returns the bytes of every rank, in the order of ranks. The lengths may differ.
    pub fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some(engine) = &self.engine else { return vec![bytes.to_vec()] };
        let own = [bytes.len() as u64, 0];
        let (meeting, theirs, mut traffic) = self.meet(engine, Kind::Gather, |_| own);
        let begun = Instant::now();
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
        traffic.move_seconds = begun.elapsed().as_secs_f64();
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

    /// Returns the bits that are set on any rank. All ranks thus agree on signals, for example.
    pub fn any(&self, bits: u64) -> u64 {
        self.all_numbers(bits).iter().fold(0, |all, bits| all | bits)
    }

    /// Returns the largest number of all ranks.
    pub fn max(&self, number: u64) -> u64 {
        self.all_numbers(number).into_iter().max().unwrap_or(number)
    }

    /// Compares named values, which must be equal on all ranks. A difference ends all ranks, and rank 0 prints the first
    /// item that differs, with the ranks.
    pub fn check(&self, items: &[(&str, String)]) {
        let Some(engine) = &self.engine else { return };
        let encoded = serde_json::to_vec(items).expect("text");
        let all: Result<Vec<Items>, _> =
            self.all_gather(&encoded).iter().map(|bytes| serde_json::from_slice(bytes)).collect();
        let difference = match all {
            Ok(all) => items::difference(&all),
            Err(error) => Some(format!("items of a rank: {error}")),
        };
        if let Some(difference) = difference {
            engine.refuse(&difference);
        }
    }

    /// Waits until all ranks have finished, and ends the connection.
    pub fn finish(mut self) {
        if let Some(engine) = self.engine.take() {
            self.meet(&engine, Kind::Finish, |_| [0, 0]);
            engine.close();
        }
    }

    /// Ends all ranks because of an error of this rank. Prints the error with the rank; in a world of one, the error
    /// alone. The exit code is 1. Ranks other than 0 print it a moment later, so that an error of all ranks is printed
    /// once.
    pub fn fail(&self, error: &str) -> ! {
        match &self.engine {
            Some(engine) => engine.fail(error),
            None => {
                eprintln!("error: {error}");
                std::process::exit(1)
            }
        }
    }

    /// Waits until all ranks have begun an operation. Each rank sends two words to each other rank. Returns the words for
    /// this rank. A rank in another operation ends all ranks.
    fn meet(
        &self,
        engine: &Engine,
        kind: Kind,
        words: impl Fn(usize) -> [u64; 2],
    ) -> (Meeting, Vec<[u64; 2]>, Traffic) {
        let begun = Instant::now();
        let number = self.n_operations.replace(self.n_operations.get() + 1);
        let meeting = Meeting { kind, number, timeout: self.timeout };
        let own = [kind as u64, number];
        let theirs = engine.meet(&meeting, |rank| {
            let [first, second] = words(rank);
            [own[0], own[1], first, second]
        });
        for (rank, theirs) in theirs.iter().enumerate().filter(|(rank, _)| *rank != self.rank) {
            if theirs[..2] != own {
                let theirs = format!("{} (operation {})", Kind::name(theirs[0]), theirs[1]);
                let own = meeting.name();
                engine.fail(&format!(
                    "rank {rank} is in {theirs}, this rank in {own}; this is an error of the program"
                ));
            }
        }
        let theirs = theirs.iter().map(|words| [words[2], words[3]]).collect();
        let wait_seconds = begun.elapsed().as_secs_f64();
        (meeting, theirs, Traffic { wait_seconds, ..Traffic::default() })
    }

    fn add(&self, traffic: Traffic) {
        let mut sum = self.traffic.get();
        sum += traffic;
        self.traffic.set(sum);
    }
}

/// Returns the sum of lengths and a hash of the lengths (FNV-1a over their order).
fn fingerprint(lengths: impl Iterator<Item = usize>) -> [u64; 2] {
    lengths.fold([0, 0xcbf2_9ce4_8422_2325], |[sum, hash], length| {
        let length = length as u64;
        [sum + length, (hash ^ length).wrapping_mul(0x100_0000_01b3)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_one_has_every_operation() {
        let world = World::alone();
        assert_eq!((world.rank(), world.size()), (0, 1));
        assert_eq!((world.local_rank(), world.local_size()), (0, 1));
        assert!(world.n_threads() >= 1 && world.warnings().is_empty());
        assert_eq!(world.exchange(&[], &mut []), Traffic::default());
        assert_eq!(world.all_gather(b"abc"), [b"abc"]);
        assert_eq!((world.any(5), world.max(7)), (5, 7));
        world.check(&[("version", "1".to_string())]);
        world.finish();
    }

    #[test]
    #[should_panic(expected = "entries need another rank")]
    fn no_rank_sends_to_itself() {
        World::alone().exchange(&[(0, &[1.0])], &mut []);
    }

    #[test]
    fn fingerprints_depend_on_the_order_of_lengths() {
        let of = |lengths: &[usize]| fingerprint(lengths.iter().copied());
        assert_eq!(of(&[2, 3])[0], 5);
        assert_ne!(of(&[2, 3]), of(&[3, 2]));
        assert_ne!(of(&[0]), of(&[]));
    }

    #[test]
    fn refusals_say_how_to_build_or_start_the_program() {
        let launcher = Launcher { name: "srun", n_ranks: Some(4), unpin: "" };
        let error = WorldError::NoMpi { launcher };
        let expected = "srun: it started 4 ranks, but this program has no MPI; build it with --features mpi";
        assert_eq!(error.to_string(), expected);
    }
}
