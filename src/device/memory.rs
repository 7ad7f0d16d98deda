//! The memory of the host, in which the CPU device and software adapters compute.

use sysinfo::{MemoryRefreshKind, System};

use crate::device::DeviceError;

/// Fails if `bytes` is more than the free memory of this machine. If the system limits the memory of this process (in a
/// container, for example), also fails if `bytes` is more than the unused part of this limit. Call this function before
/// the allocation: an operating system can grant more memory than it has, and kill the process later, when the process
/// uses the memory.
///
/// # Errors
/// [`DeviceError::NotEnoughMemory`] with the planned and the free bytes; [`DeviceError::OutOfMemory`] if the allocator
/// fails.
pub(crate) fn check(bytes: u64) -> Result<(), DeviceError> {
    if let Some(available) = free_memory()
        && bytes > available
    {
        return Err(DeviceError::NotEnoughMemory { planned: bytes, available });
    }
    let refused = |reason: String| DeviceError::OutOfMemory { planned: bytes, reason };
    let n = usize::try_from(bytes).map_err(|error| refused(error.to_string()))?;
    Vec::<u8>::new().try_reserve_exact(n).map_err(|error| refused(error.to_string()))
}

/// Returns the free bytes including swap; None if the system does not report them.
pub fn free_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let free = system.available_memory() + system.free_swap();
    // The field `free_memory` of these limits counts cached files as used, although the system can drop them. So the
    // free memory is computed here from the total and the resident memory.
    let limited = system.cgroup_limits().map(|limits| {
        limits.total_memory.saturating_sub(limits.rss).saturating_add(limits.free_swap)
    });
    Some(limited.map_or(free, |limited| limited.min(free))).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_above_the_free_memory_is_an_error() {
        assert!(check(1 << 20).is_ok());
        let available = free_memory().expect("the system reports it");
        for bytes in [available + (64 << 30), u64::MAX / 2] {
            let error = check(bytes).expect_err("no machine has so much memory");
            assert!(matches!(error, DeviceError::NotEnoughMemory { .. }));
        }
    }
}
