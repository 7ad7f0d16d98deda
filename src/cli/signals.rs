//! Signals that end a command after its current step, or make a run write a checkpoint.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR2 | save and end; a second signal ends the process at once |
//! | SIGUSR1 | write a checkpoint and continue |
//!
//! A signal that was ignored when the process began stays ignored. In this way `nohup` protects a run when its terminal
//! closes, and a shell protects its background jobs from a Ctrl-C for the foreground job. On Windows, Ctrl-C and the
//! closing of the console have the effect of SIGINT.
//!
//! If several ranks train, a signal may reach all of them or one. Each rank sets its own flags, and
//! after each step all act on the flags that any rank has ([`Ranks::all_numbers`](wgrad::distributed::Ranks)). Rank 0 alone prints.
//! `docs/distributed.md` lists the signals that each launcher forwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::Context;
use wgrad::distributed::Launcher;
use wgrad::train::screen;

use super::tui::terminal;

/// Signals within this time after the first count as one signal: wrappers such as `timeout` send a signal twice, to
/// their child and to its process group.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// The longest wait for the restoration of the terminal before the process ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// The signals that have arrived, as flags.
#[derive(Clone, Default, Debug)]
pub struct Signals {
    /// True once a signal has requested the end of the command.
    pub stop: Arc<AtomicBool>,
    /// True from the signal that requests a checkpoint until training has written the checkpoint. Commands that do not
    /// train ignore this flag.
    pub checkpoint: Arc<AtomicBool>,
}

/// Starts a thread that receives the signals, and returns their flags. Call it once per process.
///
/// # Errors
/// If the operating system refuses the handlers.
pub fn listen() -> anyhow::Result<Signals> {
    let signals = Signals::default();
    watch(&signals).context("signals: cannot be caught")?;
    Ok(signals)
}

#[cfg(unix)]
fn watch(signals: &Signals) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

    let all = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];
    let caught = all.into_iter().filter(|&signal| !is_ignored(signal));
    let mut arriving = signal_hook::iterator::Signals::new(caught)?;
    let checkpoint = Arc::clone(&signals.checkpoint);
    let mut ending = Ending::new(signals);
    let listen = move || {
        for signal in arriving.forever() {
            match signal {
                SIGUSR1 => checkpoint.store(true, Ordering::Relaxed),
                SIGINT => ending.request("Ctrl-C"),
                other => {
                    ending.request(signal_hook::low_level::signal_name(other).unwrap_or("signal"));
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(listen).map(|_| ())
}

#[cfg(not(unix))]
fn watch(signals: &Signals) -> io::Result<()> {
    let mut ending = Ending::new(signals);
    ctrlc::set_handler(move || ending.request("Ctrl-C")).map_err(io::Error::other)
}

/// Returns true if the process ignores a signal. Call it before [`listen`] installs handlers.
#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ignored(signal: std::ffi::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: `sigaction` without a new action changes nothing. For a number that is not a signal, it returns an error.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: `sigaction` returned 0, so it has written the signal's current action into `action`.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Ends the command in two stages: the first signal requests the end after the current step, and the second signal
/// ends the process at once.
struct Ending {
    stop: Arc<AtomicBool>,
    first: Option<Instant>,
    /// True for rank 0, which alone prints.
    prints: bool,
}

impl Ending {
    fn new(signals: &Signals) -> Self {
        let rank = Launcher::of_this_process().and_then(|launcher| launcher.rank);
        Self { stop: Arc::clone(&signals.stop), first: None, prints: rank.unwrap_or(0) == 0 }
    }

    fn request(&mut self, name: &'static str) {
        match self.first {
            Some(first) if first.elapsed() < SAME_SIGNAL => return,
            Some(_) => end_at_once(),
            None => self.first = Some(Instant::now()),
        }
        self.stop.store(true, Ordering::Relaxed);
        if !self.prints {
            return;
        }
        // A separate thread prints the message: a write to a full pipe blocks, and would delay the reaction to the
        // second signal.
        thread::spawn(move || {
            screen::note(&format!(
                "\n{name}: stopping as soon as possible; a second signal ends at once"
            ));
        });
    }
}

/// Restores the terminal, and ends the process. The process waits at most [`PATIENCE`] for the restoration, because
/// output to a terminal that is stopped (Ctrl-S) blocks.
fn end_at_once() -> ! {
    let (given_back, done) = mpsc::channel();
    thread::spawn(move || {
        terminal::give_back();
        given_back.send(())
    });
    // If the timeout passes, the process ends although the terminal is not restored.
    let _ = done.recv_timeout(PATIENCE);
    std::process::exit(i32::from(super::INTERRUPTED));
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_found() {
        // Rust's runtime ignores SIGPIPE before `main`.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGSEGV) && !is_ignored(-1));
    }

    #[test]
    fn two_signals_at_once_count_as_one() {
        let signals = Signals::default();
        let mut ending = Ending::new(&signals);
        assert!(!signals.stop.load(Ordering::Relaxed));
        // These ten signals count as one. A second signal would end the test process.
        (0..10).for_each(|_| ending.request("SIGTERM"));
        assert!(signals.stop.load(Ordering::Relaxed));
    }
}
