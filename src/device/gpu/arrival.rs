//! A place for a value that a callback of wgpu delivers later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A place in which a callback stores one value later, for example the result of mapping a buffer. All clones refer to
/// the same place.
pub(super) struct Arrival<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    value: Option<T>,
    /// The task that waits for the value.
    waker: Option<Waker>,
}

impl<T> Default for Arrival<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { value: None, waker: None })))
    }
}

impl<T> Clone for Arrival<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Arrival<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the value and wakes the task that waits for it.
    pub(super) fn set(&self, value: T) {
        let mut state = self.lock();
        state.value = Some(value);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Returns true if the value has arrived.
    pub(super) fn is_there(&self) -> bool {
        self.lock().value.is_some()
    }

    /// Takes the value out and returns it, if it has arrived.
    pub(super) fn take(&self) -> Option<T> {
        self.lock().value.take()
    }

    /// Waits until the value has arrived.
    #[cfg(any(test, target_arch = "wasm32"))]
    pub(super) async fn there(&self) {
        use std::task::Poll;

        std::future::poll_fn(|task| {
            let mut state = self.lock();
            if state.value.is_some() {
                return Poll::Ready(());
            }
            state.waker = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_arrival_of_a_value_wakes_the_waiting_task() {
        let arrival = Arrival::default();
        assert!(!arrival.is_there() && arrival.take().is_none());
        let there = arrival.clone();
        let setter = thread::spawn(move || there.set(7));
        pollster::block_on(arrival.there());
        setter.join().expect("no panic");
        assert!(arrival.is_there());
        assert_eq!((arrival.take(), arrival.take()), (Some(7), None));
    }
}
