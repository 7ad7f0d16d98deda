//! The processes of the other ranks of this machine.
//!
//! `mpirun` ends all ranks when one is killed. `srun` sends the others a signal to stop, which they cannot act on together,
//! and kills them half a minute later. So each rank has a thread that waits for the end of a process beside it.

use std::fs;

use serde::{Deserialize, Serialize};

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
    /// Returns the neighbours of a rank, given the processes of all ranks.
    pub(super) fn of(rank: usize, processes: &[Option<&Process>]) -> Self {
        let own = processes[rank];
        let others = processes.iter().enumerate().filter(|(other, _)| *other != rank);
        let near = others.filter_map(|(other, process)| {
            let process = (*process)?;
            (process.space == own?.space).then(|| watch::Watch::of(process.id))?.map(|w| (other, w))
        });
        Self(near.collect())
    }

    /// Returns the ranks.
    pub(super) fn ranks(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(rank, _)| *rank)
    }

    /// Waits until a process has ended, and returns the ranks whose processes have.
    #[cfg_attr(not(feature = "mpi"), expect(dead_code, reason = "only mpi.rs watches"))]
    pub(super) fn wait(&self) -> Vec<usize> {
        let ended = watch::wait(self.0.iter().map(|(_, watch)| watch));
        self.ranks().zip(ended).filter_map(|(rank, ended)| ended.then_some(rank)).collect()
    }
}

#[cfg(all(feature = "mpi", target_os = "linux"))]
mod watch {
    use std::os::fd::OwnedFd;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// The descriptor of a process, which never means a later process with the same number; none if the process has ended.
    pub(super) struct Watch(Option<OwnedFd>);

    impl Watch {
        /// Returns a watch of the process; none if the kernel has no such descriptors (before Linux 5.3).
        pub(super) fn of(id: u32) -> Option<Self> {
            let id = Pid::from_raw(i32::try_from(id).ok()?)?;
            match pidfd_open(id, PidfdFlags::empty()) {
                Ok(descriptor) => Some(Self(Some(descriptor))),
                Err(Errno::SRCH) => Some(Self(None)),
                Err(_) => None,
            }
        }
    }

    /// Waits until a process has ended, whether or not its parent has asked for its exit code. Returns true for each that
    /// has.
    pub(super) fn wait<'a>(watches: impl Iterator<Item = &'a Watch>) -> Vec<bool> {
        let watches: Vec<_> = watches.collect();
        let is_gone = |watch: &&Watch| watch.0.is_none();
        if watches.iter().any(is_gone) {
            return watches.iter().map(is_gone).collect();
        }
        let living = watches.iter().filter_map(|watch| watch.0.as_ref());
        let mut descriptors: Vec<_> =
            living.map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
        // A signal interrupts the call.
        while !poll(&mut descriptors, None).is_ok_and(|n_ended| n_ended > 0) {}
        descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect()
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
    }

    pub(super) fn wait<'a>(watches: impl Iterator<Item = &'a Watch>) -> Vec<bool> {
        watches.map(|watch| match *watch {}).collect()
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
        let process = |id: u32, space: &str| Process { id, space: space.to_string() };
        let [first, second] = processes.each_ref().map(std::process::Child::id);
        let all =
            [process(1, "a"), process(first, "a"), process(second, "a"), process(second, "b")];
        let all = all.each_ref().map(Some);
        // Rank 3 is a process of another container with the number of rank 2.
        let neighbours = Neighbours::of(0, &all);
        assert_eq!(neighbours.ranks().collect::<Vec<_>>(), [1, 2]);
        let [first, second] = &mut processes;
        second.kill().expect("killed");
        assert_eq!(neighbours.wait(), [2]);
        second.wait().expect("ended");
        assert_eq!(neighbours.wait(), [2]);
        assert_eq!(Neighbours::of(0, &all).wait(), [2], "it ended before the watch began");
        first.kill().expect("killed");
        first.wait().expect("ended");
        assert_eq!(neighbours.wait(), [1, 2]);
    }

    #[test]
    fn processes_of_one_machine_share_a_space() {
        let own = Process::own().expect("Linux");
        assert_eq!((own.id, &own), (std::process::id(), &Process::own().expect("Linux")));
        assert!(own.space.len() > 40, "{own:?}");
    }
}
