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

/// Exit code of a rank that ends all others.
const FAILED: i32 = 1;

/// Exit code after a panic, the same as Rust's.
const PANICKED: i32 = 101;

/// The delay with which ranks other than 0 print an error. If all ranks have the same error, rank 0 prints it and ends
/// the others before they do.
const AFTER_THE_FIRST: Duration = Duration::from_millis(200);

/// The longest wait for MPI to end this process.
const PATIENCE: Duration = Duration::from_secs(2);

static IS_OPEN: AtomicBool = AtomicBool::new(false);

static WORLD: OnceLock<Communicator> = OnceLock::new();

/// Makes every end of this process before [`disarm`] end all ranks: a panic of any thread, or a call of `exit`. A signal
/// that kills the process needs no help: the launcher then ends the other ranks.
pub(super) fn arm(world: Communicator) {
    let rank = world.rank();
    let is_first_time = WORLD.set(world).is_ok();
    IS_OPEN.store(true, Ordering::SeqCst);
    if !is_first_time {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if is_armed() {
            eprint!("rank {rank}: ");
            previous(info);
            end_all(PANICKED);
        }
        previous(info);
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

/// Prints an error with the rank, and ends all ranks.
pub(super) fn fail(error: &str) -> ! {
    let rank = WORLD.get().map_or(0, Communicator::rank);
    if rank != 0 {
        thread::sleep(AFTER_THE_FIRST);
    }
    eprintln!("rank {rank}: {error}");
    end_all(FAILED)
}

/// Ends all ranks because of an error that all of them have found. Rank 0 prints it.
pub(super) fn refuse(error: &str) -> ! {
    if WORLD.get().is_none_or(|world| world.rank() == 0) {
        eprintln!("error: {error}");
    } else {
        thread::sleep(PATIENCE); // Rank 0 ends this rank meanwhile.
    }
    end_all(FAILED)
}

fn end_all(code: i32) -> ! {
    disarm();
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
        unsafe { libc::_exit(FAILED) }
    }
}
