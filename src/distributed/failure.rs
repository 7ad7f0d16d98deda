//! The end of all ranks after a failure of one.
//!
//! MPI alone does not end the others: a rank that panics or returns early waits for them in `MPI_Finalize`, and they wait
//! for its messages.
#![allow(unsafe_code)] // C functions register an exit handler, and end the process inside it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{panic, thread};

use ferrompi::Communicator;

use super::error::{AFTER_THE_FIRST, FAILED};

/// Exit code after a panic, the same as Rust's.
const PANICKED: i32 = 101;

/// The time between a message and the end. The launcher forwards the message meanwhile; MPICH's loses what it has not
/// forwarded when the ranks end.
const FORWARDING: Duration = Duration::from_millis(200);

/// The longest wait for MPI to end this process.
const PATIENCE: Duration = Duration::from_secs(2);

/// An error that ends all ranks, as the payload of a panic.
struct Failure {
    error: String,
    code: i32,
}

static IS_OPEN: AtomicBool = AtomicBool::new(false);

static WORLD: OnceLock<Communicator> = OnceLock::new();

/// Makes every end of this process before [`disarm`] end all ranks: a panic of any thread, or a call of `exit`. If a
/// signal kills the process, the launcher or a rank beside it ends the others.
///
/// Panics that are caught also end all ranks, unless a hook that is installed later suppresses them.
pub(super) fn arm(world: Communicator) {
    let rank = world.rank();
    let is_first_time = WORLD.set(world).is_ok();
    IS_OPEN.store(true, Ordering::SeqCst);
    if !is_first_time {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !is_armed() {
            return previous(info);
        }
        let code = match info.payload().downcast_ref() {
            Some(Failure { error, code }) => {
                eprintln!("rank {rank}: {error}");
                *code
            }
            None => {
                eprintln!("rank {rank}: {}", info.payload_as_str().unwrap_or("a panic"));
                previous(info);
                PANICKED
            }
        };
        end_all(code);
    }));
    // SAFETY: the handler is a C function without arguments. It neither unwinds nor calls `exit`.
    unsafe { libc::atexit(at_exit) };
}

/// Returns true from the beginning of a world until it has finished.
pub(super) fn is_armed() -> bool {
    IS_OPEN.load(Ordering::SeqCst)
}

/// Lets this process end alone.
pub(super) fn disarm() {
    IS_OPEN.store(false, Ordering::SeqCst);
}

/// Prints an error with the rank, and ends all ranks. The panic hooks do this, because a dashboard has a hook that
/// restores the terminal first.
pub(super) fn fail(error: &str, code: u8) -> ! {
    if WORLD.get().is_some_and(|world| world.rank() != 0) {
        thread::sleep(AFTER_THE_FIRST);
    }
    panic::panic_any(Failure { error: error.to_string(), code: code.into() })
}

/// Ends all ranks because of an error that all of them have found. Rank 0 prints it.
pub(super) fn refuse(error: &str, code: u8) -> ! {
    if WORLD.get().is_some_and(|world| world.rank() != 0) {
        thread::sleep(PATIENCE); // Rank 0 ends this rank meanwhile.
    }
    fail(error, code)
}

fn end_all(code: i32) -> ! {
    thread::sleep(FORWARDING);
    disarm(); // MPI_Abort may call `exit`.
    // If MPI does not end this process, an exit without `MPI_Finalize` makes the launcher end all ranks.
    thread::spawn(move || {
        thread::sleep(PATIENCE);
        // SAFETY: `_exit` runs no handlers and does not return.
        unsafe { libc::_exit(code) }
    });
    match WORLD.get() {
        Some(world) => world.abort(code),
        None => std::process::exit(code),
    }
}

extern "C" fn at_exit() {
    if is_armed() {
        let rank = WORLD.get().map_or(0, Communicator::rank);
        eprintln!("rank {rank}: the process ended before the run was finished");
        // MPI_Abort may call `exit`, which must not be called inside an exit handler.
        // SAFETY: `_exit` runs no handlers and does not return.
        unsafe { libc::_exit(FAILED.into()) }
    }
}
