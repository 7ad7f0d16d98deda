//! The program that started the ranks of a run.

/// A program that starts ranks, such as `mpirun`, as the environment of a rank shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Name for messages.
    pub name: &'static str,
    /// Number of this process among the ranks. None if the environment does not have it.
    pub rank: Option<usize>,
    /// Number of ranks that the launcher started. None if the environment does not have it.
    pub n_ranks: Option<usize>,
    /// Words that tell the user to let a rank use all cores.
    pub(super) unpin: &'static str,
}

/// Launchers, each with the variable that holds the number of ranks and the variable that holds the rank. The first one
/// that fits counts: `mpirun` starts its ranks through `srun` where SLURM manages the machines.
const KNOWN: [(&str, &str, &str, &str); 4] = [
    (
        "mpirun of Open MPI",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "add --bind-to none to mpirun",
    ),
    ("mpirun of MPICH", "PMI_SIZE", "PMI_RANK", "add -bind-to none to mpirun"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "raise --cpus-per-task of srun"),
    ("a launcher with PMIx", "", "PMIX_RANK", "let the launcher bind ranks to no core"),
];

impl Launcher {
    /// Returns the launcher of this process. None if no launcher started it.
    pub fn of_this_process() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    /// Returns the launcher that an environment shows. `variable` returns the value of a variable.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        KNOWN.iter().find_map(|&(name, n_ranks_in, rank_in, unpin)| {
            let (n_ranks, rank) = (number(n_ranks_in), number(rank_in));
            // A script that SLURM starts has a rank, but it is not one of several.
            let is_seen = if n_ranks_in.is_empty() { rank.is_some() } else { n_ranks.is_some() };
            is_seen.then_some(Self { name, rank, n_ranks, unpin })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(environment: &[(&str, &str)]) -> Option<(&'static str, Option<usize>)> {
        let value = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        Launcher::of(value).map(|launcher| (launcher.name, launcher.n_ranks))
    }

    #[test]
    fn launchers_are_seen_in_the_environment() {
        let open_mpi = [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")];
        assert_eq!(of(&open_mpi), Some(("mpirun of Open MPI", Some(4))));
        assert_eq!(of(&[("PMI_SIZE", "2"), ("PMI_RANK", "0")]), Some(("mpirun of MPICH", Some(2))));
        assert_eq!(of(&[("PMIX_RANK", "0")]), Some(("a launcher with PMIx", None)));
        let srun = [("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "1"), ("PMIX_RANK", "1")];
        assert_eq!(of(&srun), Some(("srun", Some(8))));
        let script = [("PATH", "/bin"), ("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")];
        assert_eq!(of(&script), None);
    }

    #[test]
    fn mpirun_inside_a_job_of_slurm_is_the_launcher() {
        let both = [("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "0"), ("PMI_SIZE", "16")];
        assert_eq!(of(&both), Some(("mpirun of MPICH", Some(16))));
    }
}
