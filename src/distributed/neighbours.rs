//! The processes of the other ranks of this machine.
//!
//! `mpirun` ends all ranks when one is killed. `srun` sends the others a signal to stop, which they cannot act on together,
//! and kills them half a minute later. So a rank that waits looks itself whether a process beside it has ended.

use std::fs;

use serde::{Deserialize, Serialize};

use super::place::Place;

/// A process, as others of the same machine can find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    id: u32,
    /// The boot of the machine and the namespace in which the number is unique: containers have numbers of their own.
    space: String,
}

impl Process {
    /// Returns this process. None where the operating system is not Linux.
    pub(super) fn own() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let space = format!("{} {}", boot.trim(), namespace.display());
        Some(Self { id: std::process::id(), space })
    }
}

/// The other ranks of this machine whose processes this one can watch.
#[derive(Default)]
pub(super) struct Neighbours(Vec<(usize, watch::Watch)>);

impl Neighbours {
    /// Returns the neighbours of a rank, given the places of all ranks.
    pub(super) fn of(rank: usize, places: &[Place]) -> Self {
        let own = places[rank].process.as_ref();
        let others = places.iter().enumerate().filter(|(other, _)| *other != rank);
        let near = others.filter_map(|(other, place)| {
            let process = place.process.as_ref()?;
            (process.space == own?.space).then(|| watch::Watch::of(process.id))?.map(|w| (other, w))
        });
        Self(near.collect())
    }

    /// Returns those of `ranks` whose process has ended.
    #[cfg_attr(not(feature = "mpi"), expect(dead_code, reason = "only mpi.rs waits"))]
    pub(super) fn ended(&self, ranks: &[usize]) -> Vec<usize> {
        let among = self.0.iter().filter(|(rank, _)| ranks.contains(rank));
        among.filter(|(_, watch)| watch.has_ended()).map(|(rank, _)| *rank).collect()
    }
}

#[cfg(all(feature = "mpi", target_os = "linux"))]
mod watch {
    use std::os::fd::OwnedFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// A process. Unlike its number, the descriptor never means a later process.
    pub(super) struct Watch(OwnedFd);

    impl Watch {
        /// Returns a watch of the process; None if it has ended, or if the kernel has no such descriptors (before 5.3).
        pub(super) fn of(id: u32) -> Option<Self> {
            let id = Pid::from_raw(i32::try_from(id).ok()?)?;
            pidfd_open(id, PidfdFlags::empty()).ok().map(Self)
        }

        /// Returns true if the process has ended, whether or not its parent has asked for its exit code.
        pub(super) fn has_ended(&self) -> bool {
            let mut descriptors = [PollFd::new(&self.0, PollFlags::IN)];
            poll(&mut descriptors, Some(&Timespec::default())).is_ok_and(|n_ready| n_ready > 0)
        }
    }
}

#[cfg(not(all(feature = "mpi", target_os = "linux")))]
mod watch {
    /// Takes the place of the watch on Linux. There is none.
    pub(super) enum Watch {}

    impl Watch {
        pub(super) fn of(_: u32) -> Option<Self> {
            None
        }

        pub(super) fn has_ended(&self) -> bool {
            match *self {}
        }
    }
}

#[cfg(all(test, feature = "mpi", target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_was_killed_has_ended_before_its_parent_asks() {
        let start = || Command::new("sleep").arg("60").stdout(Stdio::null()).spawn();
        let mut processes = [start().expect("a process"), start().expect("a process")];
        let place = |id: u32, space: &str| Place {
            process: Some(Process { id, space: space.to_string() }),
            ..Place::of_this_process("here".to_string())
        };
        let [first, second] = processes.each_ref().map(std::process::Child::id);
        let places = [place(1, "a"), place(first, "a"), place(second, "a"), place(second, "b")];
        let neighbours = Neighbours::of(0, &places);
        assert_eq!(neighbours.ended(&[1, 2, 3]), []);
        for process in &mut processes {
            process.kill().expect("killed");
        }
        while neighbours.ended(&[1, 2]).len() < 2 {
            std::thread::yield_now();
        }
        // Rank 3 has the number of a process that has ended, in another container.
        assert_eq!(neighbours.ended(&[2, 3]), [2]);
        for process in &mut processes {
            process.wait().expect("ended");
        }
        assert!(Neighbours::of(0, &places).0.is_empty());
    }

    #[test]
    fn processes_of_one_machine_share_a_space() {
        let own = Process::own().expect("Linux");
        assert_eq!((own.id, &own), (std::process::id(), &Process::own().expect("Linux")));
        assert!(own.space.len() > 40, "{own:?}");
    }
}
