//! Batches that another thread fills ahead of the steps.
//!
//! There are two batches. While a step computes on the one, the thread copies the images of the next step into the other
//! one. Images that are read from a disk are then read while the device computes. The order and the contents of the
//! batches do not depend on the thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::Instant;

use crate::data::Split;
use crate::data::batches::{Batch, NextBatch};

/// Batches in the order of their steps. [`Feed::next_batch`](NextBatch::next_batch) waits until the thread has filled
/// the next one.
pub struct Feed {
    /// The filled batches, from the thread.
    filled: Receiver<Batch>,
    /// The batches that the thread may overwrite.
    free: Sender<Batch>,
    /// The batch of the current step.
    current: Option<Batch>,
    waited: f64,
}

impl Feed {
    /// Starts a thread that fills one batch after another: those of the image numbers in `images`, of `batch_size` rows.
    /// The thread ends after the last batch, or when the feed is dropped.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        split: &'scope Split,
        batch_size: usize,
        images: impl Iterator<Item = &'scope [u32]> + Send + 'scope,
    ) -> Self {
        let ((to_step, filled), (free, to_fill)) = (channel(), channel::<Batch>());
        for _ in 0..2 {
            let batch = Batch::with_room(batch_size, split.largest_image());
            free.send(batch).expect("the receiver is in this function");
        }
        scope.spawn(move || {
            for images in images {
                let Ok(mut batch) = to_fill.recv() else { return };
                batch.fill(split, images);
                if to_step.send(batch).is_err() {
                    return;
                }
            }
        });
        Self { filled, free, current: None, waited: 0.0 }
    }

    /// Returns the time of all waits so far, in seconds.
    pub fn waited(&self) -> f64 {
        self.waited
    }
}

impl NextBatch for Feed {
    /// Returns the batch of the next step, and gives the batch of the step before it to the thread. Waits until the
    /// thread has filled the next batch.
    ///
    /// # Panics
    /// If there are no more batches, or the thread panicked.
    fn next_batch(&mut self) -> &Batch {
        if let Some(batch) = self.current.take() {
            // After the last batch the thread has ended, and no batch is needed.
            let _ = self.free.send(batch);
        }
        let begun = Instant::now();
        let batch = self.filled.recv().expect("the thread fills a batch for each step");
        self.waited += begun.elapsed().as_secs_f64();
        self.current.insert(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::data::{batches, shapes};

    #[test]
    fn the_batches_are_those_of_the_order() {
        let split = shapes::draw_train(0, 50);
        let order = batches::epoch_order(3, 1, split.len());
        let mut expected = Batch::new(4, split.size);
        thread::scope(|scope| {
            let mut feed = Feed::start(scope, &split, 4, batches::whole_batches(&order, 4));
            for images in batches::whole_batches(&order, 4) {
                expected.fill(&split, images);
                assert_eq!(feed.next_batch(), &expected);
            }
        });
    }

    #[test]
    fn a_feed_that_is_dropped_ends_its_thread() {
        let split = shapes::draw_train(0, 8);
        let order = batches::in_order(8);
        thread::scope(|scope| {
            let mut feed = Feed::start(scope, &split, 4, order.chunks(4).cycle());
            for _ in 0..3 {
                feed.next_batch();
            }
        });
    }

    #[test]
    fn only_waits_are_measured() {
        let split = shapes::draw_train(0, 8);
        let order = batches::in_order(8);
        let slow = Duration::from_millis(60);
        thread::scope(|scope| {
            let late = order.chunks(4).cycle().inspect(|_| thread::sleep(slow));
            let mut feed = Feed::start(scope, &split, 4, late);
            feed.next_batch();
            assert!(feed.waited() > 0.05, "{}", feed.waited());
            // Both of the next batches are filled during this sleep.
            thread::sleep(4 * slow);
            let before = feed.waited();
            feed.next_batch();
            assert!(feed.waited() - before < 0.05, "{}", feed.waited());
        });
    }
}
