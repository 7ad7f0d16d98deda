//! Parts that all commands share: exit codes, the error of a wrong use, output, and the options of a device.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wgrad::data::{DataError, LoadError, Origin};
use wgrad::device::OpenOptions;
use wgrad::train::screen;

/// The exit code after Ctrl-C and every other signal that ends a command: 128 plus the number of SIGINT, as in
/// shells.
pub const INTERRUPTED: u8 = 130;

/// The error of flags that are invalid, contradict each other, or do not fit the existing files.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// True if `--checked` was given.
pub static CHECKED: AtomicBool = AtomicBool::new(false);

/// Returns `options` with the two options that are the same in all commands: the display of progress, and the runtime
/// checks of `--checked`.
pub fn opened(options: OpenOptions) -> OpenOptions {
    OpenOptions {
        on_progress: Some(show_progress),
        checked: CHECKED.load(Ordering::Relaxed),
        ..options
    }
}

/// Prints a result on the standard output. A closed pipe (`wgrad summary | head -1`) is not an error.
pub fn print(text: &str) -> anyhow::Result<()> {
    if screen::is_mute() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints `note: ...` on the standard error. A failure to print it is ignored.
pub fn note(text: &str) {
    screen::note(&format!("note: {text}"));
}

/// Shows a line of progress on the terminal. The line replaces the previous one; `""` clears it.
fn show_progress(line: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() && !screen::is_mute() {
        let width = 100;
        // A failure to print is ignored: no result depends on the line.
        let _ = write!(stderr, "\r\x1b[2K{}", line.chars().take(width).collect::<String>());
    }
}

/// Corrects the origin of the folder in [`DataError::MissingFolder`]: if the flag `--data-dir` is not given, a file of
/// settings has named the folder. `flag` is the value of the flag. Returns other errors unchanged.
pub fn of_file(error: wgrad::Error, flag: Option<&Path>) -> wgrad::Error {
    match error {
        wgrad::Error::Data(LoadError {
            dataset,
            cause: DataError::MissingFolder { dir, origin: Origin::Caller },
        }) if flag.is_none() => {
            let cause = DataError::MissingFolder { dir, origin: Origin::Settings };
            LoadError { dataset, cause }.into()
        }
        other => other,
    }
}
