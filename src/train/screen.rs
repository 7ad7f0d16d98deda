//! The terminal, which a dashboard may take over.
//!
//! A run prints lines on the standard output and the standard error. While a dashboard draws on the terminal, these
//! lines are kept in memory: the dashboard shows the latest of them, and [`give_back`] prints all. A stream that is not
//! a terminal gets each line at once.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::units::thousands;

/// The stream that a line is printed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stream {
    Output,
    Error,
}

impl Stream {
    fn is_terminal(self) -> bool {
        match self {
            Stream::Output => io::stdout().is_terminal(),
            Stream::Error => io::stderr().is_terminal(),
        }
    }

    fn write(self, text: &[u8]) -> io::Result<()> {
        match self {
            Stream::Output => io::stdout().write_all(text),
            Stream::Error => io::stderr().write_all(text),
        }
    }
}

/// A line that was written while a dashboard had the screen.
struct Line {
    stream: Stream,
    text: String,
    is_printed: bool,
}

/// The lines that were printed since [`take`]; none while no dashboard has the screen.
static HELD: Mutex<Option<Vec<Line>>> = Mutex::new(None);

/// True if this process prints nothing.
static IS_MUTE: AtomicBool = AtomicBool::new(false);

/// Drops all lines from now on: of several ranks, only the first one prints.
pub fn mute() {
    IS_MUTE.store(true, Ordering::Relaxed);
}

/// Returns true if this process prints nothing; see [`mute`].
pub fn is_mute() -> bool {
    IS_MUTE.load(Ordering::Relaxed)
}

fn held() -> MutexGuard<'static, Option<Vec<Line>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line on the standard output. `line` does not end with a line break.
///
/// # Errors
/// If the stream cannot be written.
pub fn print(line: &str) -> io::Result<()> {
    write_line(Stream::Output, line)
}

/// Prints a line on the standard error. `line` does not end with a line break. Errors are ignored.
pub fn note(line: &str) {
    let _ = write_line(Stream::Error, line);
}

/// Shows on a terminal how many pictures of all have been decoded. The line is overwritten until all are.
pub fn decoded(n: usize, of: usize) {
    if io::stderr().is_terminal() && held().is_none() && !is_mute() {
        let end = if n == of { "\n" } else { "" };
        let line = format!("\rreading pictures: {} of {}{end}", thousands(n), thousands(of));
        let _ = Stream::Error.write(line.as_bytes());
    }
}

/// The standard error as a writer, for the log.
#[derive(Clone, Copy, Debug)]
pub struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_line(Stream::Error, String::from_utf8_lossy(bytes).trim_end_matches('\n'))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_line(stream: Stream, line: &str) -> io::Result<()> {
    if is_mute() {
        return Ok(());
    }
    let is_terminal = stream.is_terminal();
    let mut is_printed = true;
    if let Some(lines) = &mut *held() {
        is_printed = !is_terminal;
        lines.push(Line { stream, text: line.to_string(), is_printed });
    }
    // This write is outside the lock. If the reader of the stream blocks the write, other threads can still write
    // lines.
    if is_printed { stream.write(format!("{line}\n").as_bytes()) } else { Ok(()) }
}

/// Takes the screen for a dashboard: lines for the terminal are kept in memory from now on.
pub fn take() {
    *held() = Some(Vec::new());
}

/// Gives the screen back, and prints the lines that were kept.
pub fn give_back() {
    let lines = held().take();
    for line in lines.into_iter().flatten().filter(|line| !line.is_printed) {
        // Errors are ignored: there is no other stream to report them on.
        let _ = line.stream.write(format!("{}\n", line.text).as_bytes());
    }
}

/// Returns the latest lines since [`take`], at most `n`.
pub fn recent(n: usize) -> Vec<String> {
    let held = held();
    let lines = held.as_deref().unwrap_or_default().iter().flat_map(|line| line.text.lines());
    let mut recent: Vec<String> = lines.rev().take(n).map(str::to_string).collect();
    recent.reverse();
    recent
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test passes with and without a terminal, since lines are kept in both cases.
    #[test]
    fn lines_are_kept_while_the_screen_is_taken() {
        note("a line before");
        take();
        note("a line of\ntwo lines");
        assert_eq!(StandardError.write(b"a logged line\n").expect("written"), 14);
        // Other tests may print lines at the same time, so this test searches its lines among many.
        let lines = recent(1000);
        let ours = ["a line of", "two lines", "a logged line"];
        assert!(ours.iter().all(|line| lines.iter().any(|l| l == line)), "{lines:?}");
        assert!(!lines.iter().any(|line| line == "a line before"));
        assert_eq!(recent(1).len(), 1);
        give_back();
        assert_eq!(recent(1000), [""; 0]);
    }
}
