//! The reasons why a world cannot begin, and the exit code and the delay of errors.

use std::time::Duration;

use super::Launcher;

/// Exit code of a rank that ends all others.
pub(super) const FAILED: u8 = 1;

/// The delay of an error on ranks other than 0. If all ranks have the same error, rank 0 prints it and ends the others
/// before they do.
pub(super) const AFTER_THE_FIRST: Duration = Duration::from_millis(200);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_how_to_build_or_start_the_program() {
        let launcher = Launcher { name: "srun", rank: Some(0), n_ranks: Some(4), unpin: "" };
        let error = WorldError::NoMpi { launcher };
        let expected =
            "srun: it started 4 ranks, but this program has no MPI; build it with --features mpi";
        assert_eq!(error.to_string(), expected);
    }
}
