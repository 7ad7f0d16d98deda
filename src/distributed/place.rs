//! The machines of the ranks, and the cores that each rank may use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::{fs, thread};

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::items::ranks_text;
use super::neighbours::Process;

/// The place where a rank runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Name of the machine.
    machine: String,
    /// Number of cores of the machine.
    n_machine_cores: usize,
    /// Number of cores on which the rank may compute at the same time.
    n_cores: usize,
    /// Numbers of the cores that the rank may use. Linux has them; elsewhere the set is empty, and the rank may use all. A
    /// container may limit `n_cores` below the size of the set.
    cores: BTreeSet<usize>,
    /// The process, for the other ranks of the machine. None where they cannot watch it.
    pub process: Option<Process>,
}

impl Place {
    /// Returns the place of this process. `machine` is the machine's name.
    pub(super) fn of_this_process(machine: String) -> Self {
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let n_machine_cores =
            System::new_with_specifics(kind).map_or(1, |system| system.cpus().len());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cores = numbers(cores.unwrap_or_default());
        let n_machine_cores = n_machine_cores.max(n_cores);
        Self { machine, n_machine_cores, n_cores, cores, process: Process::own() }
    }
}

/// Returns the rank's number among the ranks of its machine, and the number of these ranks.
pub(super) fn local(places: &[Place], rank: usize) -> (usize, usize) {
    let is_local = |place: &&Place| place.machine == places[rank].machine;
    (places[..rank].iter().filter(is_local).count(), places.iter().filter(is_local).count())
}

/// Returns the numbers of a list in the format of Linux, such as `0-3,8`; none of a text that is not such a list.
fn numbers(list: &str) -> BTreeSet<usize> {
    let range = |part: &str| -> Option<RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    ranges.into_iter().flatten().flatten().collect()
}

/// Returns the number of threads with which a rank may compute: the sum of its shares of the cores, each divided by the
/// number of ranks that may use the core. At least 1.
pub(super) fn n_threads(places: &[Place], rank: usize) -> usize {
    let own = &places[rank];
    let local = || places.iter().filter(|place| place.machine == own.machine);
    let may_use = |place: &Place, core| place.cores.is_empty() || place.cores.contains(core);
    let share = |core| 1.0 / local().filter(|place| may_use(place, core)).count() as f64;
    let mean = match own.cores.len() {
        0 => 1.0 / local().count() as f64,
        n => own.cores.iter().map(share).sum::<f64>() / n as f64,
    };
    // The sum of eight eighths may be a little less than 1.
    ((own.n_cores as f64 * mean + 1e-6) as usize).max(1)
}

/// Returns a warning for each machine with ranks that may use only one core, although the machine has more cores for each
/// of its ranks. Open MPI pins ranks in this way if there are one or two. `unpin` has the words of the remedy.
pub(super) fn warnings(places: &[Place], unpin: &str) -> Vec<String> {
    let mut pinned: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (rank, place) in places.iter().enumerate() {
        if place.n_cores == 1 && place.n_machine_cores / local(places, rank).1 > 1 {
            pinned.entry(&place.machine).or_default().push(rank);
        }
    }
    let warning = |(machine, ranks): (&str, Vec<usize>)| {
        let (n, ranks_text) = (places[ranks[0]].n_machine_cores, ranks_text(&ranks));
        let may = if ranks.len() == 1 { "may use" } else { "may each use" };
        format!("{ranks_text}: {may} only one of the {n} cores of {machine}; {unpin}")
    };
    pinned.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(machine: &str, n_machine_cores: usize, n_cores: usize, cores: &str) -> Place {
        let (machine, cores) = (machine.into(), numbers(cores));
        Place { machine, n_machine_cores, n_cores, cores, process: None }
    }

    #[test]
    fn ranks_of_a_machine_are_counted_in_any_order_of_machines() {
        let places = ["a", "b", "a", "b", "a"].map(|machine| place(machine, 8, 8, "0-7"));
        let local: Vec<_> = (0..5).map(|rank| local(&places, rank)).collect();
        assert_eq!(local, [(0, 3), (0, 2), (1, 3), (1, 2), (2, 3)]);
    }

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(numbers("0-2,8"), BTreeSet::from([0, 1, 2, 8]));
        assert_eq!((numbers("").len(), numbers("0-x").len()), (0, 0));
    }

    #[test]
    fn ranks_divide_the_cores_that_they_share() {
        let unpinned = vec![place("a", 8, 8, "0-7"); 3];
        assert_eq!(n_threads(&unpinned, 1), 2);
        assert_eq!(n_threads(&vec![place("a", 2, 2, "0-1"); 4], 3), 1);
        // SLURM gives each rank cores of its own.
        let own = [place("a", 8, 4, "0-3"), place("a", 8, 4, "4-7")];
        assert_eq!((n_threads(&own, 0), n_threads(&own, 1)), (4, 4));
        // Open MPI pins more than two ranks to sockets, in turns.
        let sockets = ["0-3", "4-7", "0-3", "4-7"].map(|cores| place("a", 8, 4, cores));
        assert_eq!(n_threads(&sockets, 2), 2);
        let machines = [place("a", 8, 8, "0-7"), place("b", 4, 4, "0-3")];
        assert_eq!((n_threads(&machines, 0), n_threads(&machines, 1)), (8, 4));
        // Parts that overlap: each rank has two cores alone, and shares two.
        let parts = [place("a", 8, 4, "0-3"), place("a", 8, 4, "2,3,4-5")];
        assert_eq!((n_threads(&parts, 0), n_threads(&parts, 1)), (3, 3));
        // A container lets each rank compute on 4 of 64 cores at the same time.
        assert_eq!(n_threads(&vec![place("a", 64, 4, "0-63"); 2], 0), 2);
        assert_eq!(n_threads(&vec![place("a", 10, 10, "0-9"); 10], 0), 1);
        // Other systems have no numbers of cores.
        assert_eq!(n_threads(&vec![place("a", 8, 8, ""); 4], 0), 2);
    }

    #[test]
    fn a_rank_on_one_of_many_cores_causes_a_warning() {
        let pinned = [place("a", 16, 1, "0"), place("a", 16, 1, "1")];
        let expected = "ranks 0 and 1: may each use only one of the 16 cores of a; add it";
        assert_eq!(warnings(&pinned, "add it"), [expected]);
        // Two ranks on two cores lose nothing.
        assert!(warnings(&[place("a", 2, 1, "0"), place("a", 2, 1, "1")], "").is_empty());
        assert!(warnings(&[place("a", 1, 1, "0")], "").is_empty());
        assert!(warnings(&vec![place("a", 16, 8, "0-7"); 2], "").is_empty());
        assert_eq!(
            warnings(&[place("a", 8, 8, "0-7"), place("b", 4, 1, "3")], "raise it"),
            ["rank 1: may use only one of the 4 cores of b; raise it"]
        );
    }

    #[test]
    fn this_process_has_a_place() {
        let place = Place::of_this_process("here".to_string());
        assert!(place.n_cores >= 1 && place.n_machine_cores >= place.n_cores, "{place:?}");
        assert_eq!(place.cores.is_empty(), !cfg!(target_os = "linux"));
    }
}
