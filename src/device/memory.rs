//! The memory of the host, which the CPU device and software adapters compute in.

use sysinfo::{MemoryRefreshKind, System};

use crate::base::units::readable_bytes;
use crate::error::Error;

/// Refuses more bytes than are free on this machine, or within the limit that its system sets to this process
/// (a container's, for instance), before any of them is asked for: systems promise more than they have, and end
/// the process when it touches what is not there.
///
/// # Errors
/// [`Error::NotEnoughMemory`], with both numbers; [`Error::OutOfMemory`] when the allocator refuses.
pub(crate) fn check(bytes: u64) -> Result<(), Error> {
    if let Some(available) = available()
        && bytes > available
    {
        return Err(Error::NotEnoughMemory { planned: bytes, available });
    }
    let refused = |reason: String| Error::OutOfMemory { planned: readable_bytes(bytes), reason };
    let n = usize::try_from(bytes).map_err(|error| refused(error.to_string()))?;
    Vec::<u8>::new().try_reserve_exact(n).map_err(|error| refused(error.to_string()))
}

/// Free bytes, swap included; none where the system does not say.
fn available() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let free = system.available_memory() + system.free_swap();
    // Not the free memory of the limits: it counts cached files, which the system gives up, as taken.
    let limited = system.cgroup_limits().map(|limits| {
        limits.total_memory.saturating_sub(limits.rss).saturating_add(limits.free_swap)
    });
    Some(limited.map_or(free, |limited| limited.min(free))).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_there_is_is_an_error() {
        assert!(check(1 << 20).is_ok());
        let available = available().expect("this system says");
        for bytes in [available + (64 << 30), u64::MAX / 2] {
            let error = check(bytes).expect_err("nobody has that");
            assert!(matches!(error, Error::NotEnoughMemory { .. }) && error.hint().is_some());
        }
    }
}
