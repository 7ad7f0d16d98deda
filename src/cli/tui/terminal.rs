//! Takes the terminal for the dashboard, and restores it at the end of the run and after errors, panics and signals.

use std::cell::Cell;
use std::io::{self, IsTerminal, Stderr};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{anyhow, bail};
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};
use wgrad::train::screen;

/// True while the dashboard has the screen.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The lock that is held while a frame is drawn. [`give_back`] takes the lock before it restores the screen. No frame
/// is drawn afterwards.
static DRAWING: Mutex<()> = Mutex::new(());

thread_local! {
    /// True while this thread holds the lock [`DRAWING`].
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// Checks that the standard error is a terminal that can be drawn on.
///
/// # Errors
/// If the standard error is not a terminal, or `TERM` is `dumb`.
pub fn check() -> anyhow::Result<()> {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let problem = match (io::stderr().is_terminal(), is_dumb) {
        (true, false) => return Ok(()),
        (true, true) => {
            "TERM=dumb cannot be drawn on; set TERM to the terminal's type (for example xterm), or"
        }
        (false, _) => "the standard error is not a terminal;",
    };
    bail!("--tui: {problem} leave --tui out for plain progress")
}

/// The screen of the terminal. The dashboard draws on the standard error, where runs without a dashboard print their
/// progress. The standard output has the results, and may be a file.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Screen {
    /// Switches the terminal to raw mode and the alternate screen. Holds printed lines back until [`give_back`].
    ///
    /// # Errors
    /// If the standard error is not a terminal, or the terminal cannot be drawn on.
    pub fn take() -> anyhow::Result<Self> {
        check()?;
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        screen::take();
        Self::try_take().map_err(|error| {
            give_back();
            anyhow!("terminal: cannot be drawn on: {error}")
        })
    }

    fn try_take() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        execute!(io::stderr(), terminal::EnterAlternateScreen, cursor::Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stderr()))?;
        Ok(Self { terminal })
    }

    /// Draws a frame, unless the screen was restored.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        DRAWS.set(true);
        let result = match TAKEN.load(Ordering::SeqCst) {
            true => self.terminal.draw(frame).map(|_| ()),
            false => Ok(()),
        };
        DRAWS.set(false);
        result
    }
}

/// Restores the screen, and prints the lines that were held back. Has no effect if the screen is not taken.
pub fn give_back() {
    // After a panic in `draw`, this thread already holds the lock and must not lock again.
    let drawing = (!DRAWS.get()).then(|| DRAWING.lock().unwrap_or_else(PoisonError::into_inner));
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Errors are ignored, because a closed terminal needs no restoration.
        let _ = execute!(io::stderr(), terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
        screen::give_back();
    }
    drop(drawing);
}

fn give_back_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            previous(info);
        }));
    });
}
