//! Signals, which ask a command to end after its step, or a run to write a checkpoint and go on.
//!
//! | signal | asks |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR2 | to save and end; a second one ends the process at once |
//! | SIGUSR1 | for a checkpoint |
//!
//! A signal that was ignored when the process began stays ignored: `nohup` protects a run from the end of its
//! terminal that way, and a shell its background jobs from a Ctrl-C that is not theirs. Windows has
//! Ctrl-C and a console that closes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::Context;
use wgrad::train::screen;

use super::tui::terminal;

/// A signal this soon after the first is the same one: wrappers such as `timeout` signal their child and
/// then its group.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// The time that giving the terminal back may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests that have arrived.
#[derive(Clone, Default, Debug)]
pub struct Signals {
    /// Becomes true when the command is to end.
    pub stop: Arc<AtomicBool>,
    /// Becomes true when a checkpoint is to be written, and false again when it is. Commands that do not
    /// train leave it as it is.
    pub checkpoint: Arc<AtomicBool>,
}

/// Listens from now on. To be called once.
///
/// # Errors
/// When the system refuses.
pub fn listen() -> anyhow::Result<Signals> {
    let signals = Signals::default();
    watch(&signals).context("signals cannot be caught")?;
    Ok(signals)
}

#[cfg(unix)]
fn watch(signals: &Signals) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

    let all = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];
    let heard = all.into_iter().filter(|&signal| !is_ignored(signal));
    let mut arriving = signal_hook::iterator::Signals::new(heard)?;
    let checkpoint = Arc::clone(&signals.checkpoint);
    let mut ending = Ending::new(signals);
    let listen = move || {
        for signal in arriving.forever() {
            match signal {
                SIGUSR1 => checkpoint.store(true, Ordering::Relaxed),
                SIGINT => ending.ask("Ctrl-C"),
                other => ending.ask(signal_hook::low_level::signal_name(other).unwrap_or("signal")),
            }
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(listen).map(|_| ())
}

#[cfg(not(unix))]
fn watch(signals: &Signals) -> io::Result<()> {
    let mut ending = Ending::new(signals);
    ctrlc::set_handler(move || ending.ask("Ctrl-C")).map_err(io::Error::other)
}

/// Whether a signal is ignored; before [`listen`], whether the process began that way.
#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ignored(signal: std::ffi::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call changes nothing, and it takes any number for a signal.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: where it returns 0 it has written the current action.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// The two stages of an end: the first signal asks for it, the second one is it.
struct Ending {
    stop: Arc<AtomicBool>,
    first: Option<Instant>,
}

impl Ending {
    fn new(signals: &Signals) -> Self {
        Self { stop: Arc::clone(&signals.stop), first: None }
    }

    fn ask(&mut self, name: &'static str) {
        match self.first {
            Some(first) if first.elapsed() < SAME_SIGNAL => return,
            Some(_) => end_at_once(),
            None => self.first = Some(Instant::now()),
        }
        self.stop.store(true, Ordering::Relaxed);
        // Not here: a standard error that nobody reads would keep the second signal from being heard.
        thread::spawn(move || {
            screen::note(&format!("\n{name}: stopping as soon as possible; again ends at once"));
        });
    }
}

/// Ends the process, with the terminal as it was before, unless that takes its time: output to a terminal that is
/// stopped (Ctrl-S) waits for ever.
fn end_at_once() -> ! {
    let (given_back, done) = mpsc::channel();
    thread::spawn(move || {
        terminal::give_back();
        given_back.send(())
    });
    // In time or not, this is the end.
    let _ = done.recv_timeout(PATIENCE);
    std::process::exit(i32::from(super::INTERRUPTED));
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_seen() {
        // Rust's runtime ignores SIGPIPE before `main`.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGSEGV) && !is_ignored(-1));
    }

    #[test]
    fn a_signal_that_comes_twice_at_once_is_one() {
        let signals = Signals::default();
        let mut ending = Ending::new(&signals);
        assert!(!signals.stop.load(Ordering::Relaxed));
        // If these were two, the test would end here with the code of an interruption.
        (0..10).for_each(|_| ending.ask("SIGTERM"));
        assert!(signals.stop.load(Ordering::Relaxed));
    }
}
