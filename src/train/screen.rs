//! Who has the terminal.
//!
//! What a run prints goes to the standard output and the standard error, a line at a time. While a
//! dashboard has the screen, lines are held back: the dashboard shows the latest of them, and all are
//! printed when it gives the screen back. A stream that is no terminal gets its lines at once.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a line goes.
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

/// A line that was told while the screen was taken.
struct Line {
    stream: Stream,
    text: String,
    is_printed: bool,
}

/// The lines since the screen was taken; none when it is not.
static HELD: Mutex<Option<Vec<Line>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<Vec<Line>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line, without its end, on the standard output.
///
/// # Errors
/// When it cannot be written.
pub fn print(line: &str) -> io::Result<()> {
    tell(Stream::Output, line)
}

/// Prints a line, without its end, on the standard error. A reader that went away is no reason to stop.
pub fn note(line: &str) {
    let _ = tell(Stream::Error, line);
}

/// A writer of bytes on the standard error, for the log.
#[derive(Clone, Copy, Debug)]
pub struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        tell(Stream::Error, String::from_utf8_lossy(bytes).trim_end_matches('\n'))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tell(stream: Stream, line: &str) -> io::Result<()> {
    let is_terminal = stream.is_terminal();
    let mut is_printed = true;
    if let Some(lines) = &mut *held() {
        is_printed = !is_terminal;
        lines.push(Line { stream, text: line.to_string(), is_printed });
    }
    // Not under the lock: a reader that has stopped reading would stop whoever wants to tell of it.
    if is_printed { stream.write(format!("{line}\n").as_bytes()) } else { Ok(()) }
}

/// Holds lines back from now on: somebody else draws on the screen.
pub fn take() {
    *held() = Some(Vec::new());
}

/// Prints what was held back, and holds no more.
pub fn give_back() {
    let lines = held().take();
    for line in lines.into_iter().flatten().filter(|line| !line.is_printed) {
        // There is nobody left to tell.
        let _ = line.stream.write(format!("{}\n", line.text).as_bytes());
    }
}

/// The last lines that were told since the screen was taken, at most `n`.
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

    /// Standard streams are no terminals here, or are: lines are remembered either way.
    #[test]
    fn lines_are_remembered_while_the_screen_is_taken() {
        note("a line before");
        take();
        note("a line of\ntwo lines");
        assert_eq!(StandardError.write(b"a logged line\n").expect("written"), 14);
        // Other tests may print at the same time.
        let lines = recent(1000);
        let ours = ["a line of", "two lines", "a logged line"];
        assert!(ours.iter().all(|line| lines.iter().any(|l| l == line)), "{lines:?}");
        assert!(!lines.iter().any(|line| line == "a line before"));
        assert_eq!(recent(1).len(), 1);
        give_back();
        assert_eq!(recent(1000), [""; 0]);
    }
}
