//! Parts that commands share: the exit code of an interrupted run, wrong use, results, notes and opening a device.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wgrad::data::{DataError, Origin};
use wgrad::device::OpenOptions;

/// The exit code after Ctrl-C, and after every other signal that asks for an end: 128 and the number of SIGINT,
/// as shells have it.
pub const INTERRUPTED: u8 = 130;

/// An error of flags that make no sense together, or for the files that are there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// True if `--checked` was given.
pub static CHECKED: AtomicBool = AtomicBool::new(false);

/// Returns the options that a command opens a device with: `options`, and those that all commands share.
pub fn opened(options: OpenOptions) -> OpenOptions {
    OpenOptions { tell: Some(tell_progress), checked: CHECKED.load(Ordering::Relaxed), ..options }
}

/// Prints a result. It is no error when a reader stops reading (`wgrad summary | head -1`).
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a sentence on the standard error that is no error. It is lost where the standard error is closed.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// Shows what takes a while on one line of the terminal, which the next one replaces; "" at the end.
fn tell_progress(line: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let width = 100;
        // No result depends on the line.
        let _ = write!(stderr, "\r\x1b[2K{}", line.chars().take(width).collect::<String>());
    }
}

/// Returns the error. Where no flag names a folder that is missing, the error names a file of settings as its origin.
pub fn of_file(error: wgrad::Error, flag: Option<&Path>) -> wgrad::Error {
    match error {
        wgrad::Error::Data(DataError::MissingFolder { dir, origin: Origin::Caller })
            if flag.is_none() =>
        {
            DataError::MissingFolder { dir, origin: Origin::Settings }.into()
        }
        other => other,
    }
}
