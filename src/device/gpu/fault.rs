//! Errors that arrive through wgpu's callbacks at any time. They are stored until the next check.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::device::DeviceError;

/// A failure of the device. A fault is permanent: results that are computed after it are unreliable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The device is lost.
    Lost(String),
    /// The memory is exhausted.
    OutOfMemory(String),
    /// Another error, outside any error scope.
    Other(String),
}

impl Fault {
    /// Returns the fault for a wgpu error.
    pub(super) fn new(error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Fault::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. }
            | wgpu::Error::Internal { description, .. } => Fault::Other(description.clone()),
        }
    }

    /// Returns the message of the driver or of wgpu.
    pub(super) fn reason(&self) -> &str {
        match self {
            Fault::Lost(reason) | Fault::OutOfMemory(reason) | Fault::Other(reason) => reason,
        }
    }

    /// Converts the fault to a [`DeviceError`] for users. `planned` is the memory of the largest plan in bytes, for the
    /// message of an out-of-memory error.
    pub(super) fn into_error(self, planned: u64) -> DeviceError {
        match self {
            Fault::Lost(reason) => DeviceError::Lost { reason },
            Fault::OutOfMemory(reason) => DeviceError::OutOfMemory { planned, reason },
            Fault::Other(reason) => DeviceError::Failed { reason },
        }
    }
}

/// The first reported fault. The loss of the device replaces other faults, because the loss is their cause.
#[derive(Default, Debug)]
pub(super) struct Faults(Mutex<Option<Fault>>);

impl Faults {
    /// Stores a fault. wgpu's callbacks call this function on any thread.
    pub(super) fn report(&self, fault: Fault) {
        log::debug!("the device reported a fault: {fault:?}");
        let mut first = self.lock();
        let outranked = match &*first {
            None => true,
            Some(Fault::Lost(_)) => false,
            Some(_) => matches!(fault, Fault::Lost(_)),
        };
        if outranked {
            *first = Some(fault);
        }
    }

    /// Stores the loss of the device.
    pub(super) fn report_lost(&self, reason: wgpu::DeviceLostReason, message: &str) {
        // wgpu also reports a lost device when the driver has no memory left for its own data.
        if message.eq_ignore_ascii_case("out of memory") {
            return self.report(Fault::OutOfMemory(message.to_string()));
        }
        let words = match (message, reason) {
            ("", wgpu::DeviceLostReason::Destroyed) => "it was destroyed",
            ("", wgpu::DeviceLostReason::Unknown) => "the driver gave no reason",
            (message, _) => message,
        };
        self.report(Fault::Lost(words.to_string()));
    }

    /// Returns the stored fault, if there is one.
    pub(super) fn first(&self) -> Option<Fault> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays_unless_the_device_is_lost() {
        let faults = Faults::default();
        assert_eq!(faults.first(), None);
        faults.report(Fault::Other("first".into()));
        faults.report(Fault::Other("second".into()));
        assert_eq!(faults.first(), Some(Fault::Other("first".into())));
        faults.report_lost(wgpu::DeviceLostReason::Destroyed, "");
        faults.report(Fault::Other("third".into()));
        assert_eq!(faults.first(), Some(Fault::Lost("it was destroyed".into())));
    }

    #[test]
    fn a_lack_of_memory_is_reported_with_the_planned_bytes() {
        let fault = Fault::new(&wgpu::Error::OutOfMemory { source: "no room".into() });
        let error = fault.into_error(7 << 30);
        assert_eq!(error.to_string(), "the device is out of memory (7.0 GiB planned): no room");
        // wgpu can also report a lack of memory as the loss of the device. The fault is then `OutOfMemory`, too.
        let faults = Faults::default();
        faults.report_lost(wgpu::DeviceLostReason::Unknown, "Out of memory");
        assert!(matches!(faults.first(), Some(Fault::OutOfMemory(_))));
    }
}
