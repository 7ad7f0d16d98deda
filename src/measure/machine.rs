//! The machine and the circumstances of a measurement.

use serde::{Deserialize, Serialize};
use sysinfo::System;

use crate::base::choice::Choice;
use crate::device::Device;
use crate::kernel::Kernels;

/// The machine and the circumstances of a measurement. Measured numbers can only be compared if these are given.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Version of wgrad.
    pub wgrad: String,
    /// Date and time, in local time with its offset: `2026-11-22 10:49:23 +00:00`.
    pub date: String,
    /// Command line of the measurement.
    pub command: String,
    /// Name of the device.
    pub device: String,
    /// Name and version of the device's driver; None for the CPU.
    pub driver: Option<String>,
    /// Processor and its number of logical cores: `AMD EPYC 7763 (2 cores)`.
    pub processor: String,
}

impl Machine {
    /// Returns the description of this machine at this time.
    pub fn here(device: &Device, command: &str) -> Self {
        Self {
            wgrad: env!("CARGO_PKG_VERSION").to_string(),
            date: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            command: command.to_string(),
            device: device.name(),
            driver: device.driver().map(str::to_string),
            processor: processor(),
        }
    }

    /// Returns the kind of kernels for the first line of a listing, for example `, tuned kernels`. Returns an empty
    /// text for the CPU, which has only one set of kernels.
    pub fn kernels(&self, kernels: Kernels) -> String {
        let words = format!(", {} kernels", kernels.name());
        if self.driver.is_some() { words } else { String::new() }
    }

    /// Returns device, driver, processor and date for the head of a listing, one line each.
    pub fn lines(&self) -> String {
        let driver = self.driver.as_ref().map_or(String::new(), |it| format!("driver    {it}\n"));
        let Self { device, processor, date, .. } = self;
        format!("device    {device}\n{driver}processor {processor}\ndate      {date}\n")
    }
}

fn processor() -> String {
    let mut name = String::new();
    if let Ok(mut system) = System::new() {
        system.refresh_cpu_all();
        name = system.cpus().first().map_or("", |cpu| cpu.brand().trim()).to_string();
    }
    let name = if name.is_empty() { "unknown" } else { &name };
    let n = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name} ({n} core{})", if n == 1 { "" } else { "s" })
}

/// Returns the bytes of memory that this process can still take without swapping and within its container's limit; None
/// if the system does not report them.
pub fn available_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let available = system.available_memory();
    // A container's used memory includes cached files, which the system can drop. So only the resident set is
    // subtracted from the limit.
    let free = |limits: sysinfo::CGroupLimits| limits.total_memory.saturating_sub(limits.rss);
    let of_container = system.cgroup_limits().map_or(u64::MAX, free);
    (available > 0).then(|| available.min(of_container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;

    #[test]
    fn the_description_has_processor_date_and_device() {
        let machine = Machine::here(&Device::cpu(OpenOptions::default()), "wgrad bench");
        assert!(machine.processor.contains(" core"), "{machine:?}");
        assert_eq!(machine.date.len(), "2026-11-22 10:49:23 +00:00".len(), "{machine:?}");
        assert!(machine.lines().starts_with("device    cpu ("), "{}", machine.lines());
        // Small boards have more than 16 MiB of memory, and the largest machines have less than 1 PiB.
        if let Some(bytes) = available_memory() {
            assert!((1 << 24..1 << 50).contains(&bytes), "{bytes}");
        }
    }
}
