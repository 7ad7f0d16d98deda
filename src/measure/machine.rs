//! Where something was measured, and how.

use serde::{Deserialize, Serialize};
use sysinfo::System;

use crate::device::Device;
use crate::kernel::Kernels;

/// Where and how something was measured: figures without that are worth nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The version of wgrad.
    pub wgrad: String,
    /// When, in local time with its offset: `2026-11-22 10:49:23 +00:00`.
    pub date: String,
    /// The command that measured.
    pub command: String,
    /// What the device is called.
    pub device: String,
    /// Its driver and that one's version; none for the CPU.
    pub driver: Option<String>,
    /// The processor, and its logical cores: `AMD EPYC 7763 (2 cores)`.
    pub processor: String,
}

impl Machine {
    /// This machine, now.
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

    /// `, tuned kernels` for the head of a listing; nothing on the CPU, which has no others.
    pub fn kernels(&self, kernels: Kernels) -> String {
        let words = format!(", {} kernels", kernels.name());
        if self.driver.is_some() { words } else { String::new() }
    }

    /// Lines for the head of a listing.
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

/// The bytes of memory that a process may still take before others must give some up, or its container's
/// limit is reached; none where the system does not tell.
pub fn available_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let available = system.available_memory();
    // What of a container's memory holds files is free to take.
    let free = |limits: sysinfo::CGroupLimits| limits.total_memory.saturating_sub(limits.rss);
    let of_container = system.cgroup_limits().map_or(u64::MAX, free);
    (available > 0).then(|| available.min(of_container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;

    #[test]
    fn the_machine_is_described() {
        let machine = Machine::here(&Device::cpu(OpenOptions::default()), "wgrad bench");
        assert!(machine.processor.contains(" core"), "{machine:?}");
        assert_eq!(machine.date.len(), "2026-11-22 10:49:23 +00:00".len(), "{machine:?}");
        assert!(machine.lines().starts_with("device    cpu ("), "{}", machine.lines());
        // From a small board to more than any machine has.
        if let Some(bytes) = available_memory() {
            assert!((1 << 24..1 << 50).contains(&bytes), "{bytes}");
        }
    }
}
