//! Ranks that are threads of one process.

use std::sync::mpsc::{Receiver, Sender, channel};

use wgrad::distributed::Ranks;

/// A rank whose messages go through channels.
pub struct Thread {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

impl Thread {
    fn send(&self, to: usize, bytes: &[u8]) {
        self.to[to].send(bytes.to_vec()).expect("a rank");
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.from[from].recv().expect("a message")
    }
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&self, sends: &[(usize, &[f32])], receives: &mut [(usize, &mut [f32])]) {
        for (to, slice) in sends {
            self.send(*to, bytemuck::cast_slice(slice));
        }
        for (from, slice) in receives {
            bytemuck::cast_slice_mut(slice).copy_from_slice(&self.receive(*from));
        }
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        (0..self.size()).for_each(|to| self.send(to, bytes));
        (0..self.size()).map(|from| self.receive(from)).collect()
    }
}

/// Returns connected ranks.
pub fn ranks(n: usize) -> Vec<Thread> {
    let new = |rank| Thread { rank, to: Vec::new(), from: Vec::new() };
    let mut all: Vec<_> = (0..n).map(new).collect();
    for from in 0..n {
        for to in 0..n {
            let (sender, receiver) = channel();
            all[from].to.push(sender);
            all[to].from.push(receiver);
        }
    }
    all
}
