//! What goes wrong behind wgpu's back: errors that arrive through callbacks, at any time, are kept
//! here until the next call asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// A failure of the device. It stays: what was computed since can't be relied on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The device is gone.
    Lost(String),
    /// Something did not fit the memory.
    OutOfMemory(String),
    /// Anything else that no error scope caught.
    Other(String),
}

impl Fault {
    /// The fault in a wgpu error.
    pub(super) fn new(error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Fault::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. }
            | wgpu::Error::Internal { description, .. } => Fault::Other(description.clone()),
        }
    }

    /// The words of the driver, or of wgpu.
    pub(super) fn reason(&self) -> &str {
        match self {
            Fault::Lost(reason) | Fault::OutOfMemory(reason) | Fault::Other(reason) => reason,
        }
    }

    /// The error for a user; `planned` says how much memory was asked for.
    pub(super) fn into_error(self, planned: &str) -> Error {
        match self {
            Fault::Lost(reason) => Error::DeviceLost { reason },
            Fault::OutOfMemory(reason) => {
                Error::OutOfMemory { planned: planned.to_string(), reason }
            }
            Fault::Other(reason) => Error::Device { reason },
        }
    }
}

/// The first fault that was reported; a lost device outranks the others, being their cause.
#[derive(Default, Debug)]
pub(super) struct Faults(Mutex<Option<Fault>>);

impl Faults {
    /// Keeps a fault. Called from wgpu's callbacks, on any thread.
    pub(super) fn report(&self, fault: Fault) {
        tracing::debug!(?fault, "the device reported a fault");
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

    /// [`Faults::report`] for a device that is gone.
    pub(super) fn report_lost(&self, reason: wgpu::DeviceLostReason, message: &str) {
        // wgpu gives a device up when the driver has no memory left even for bookkeeping.
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

    /// The fault so far.
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
    fn memory_that_is_short_is_told_with_what_was_planned() {
        let fault = Fault::new(&wgpu::Error::OutOfMemory { source: "no room".into() });
        let error = fault.into_error("7.0 GiB");
        assert_eq!(error.to_string(), "the device is out of memory (7.0 GiB planned): no room");
        // That is also how wgpu gives a device up for lack of memory.
        let faults = Faults::default();
        faults.report_lost(wgpu::DeviceLostReason::Unknown, "Out of memory");
        assert!(matches!(faults.first(), Some(Fault::OutOfMemory(_))));
    }
}
