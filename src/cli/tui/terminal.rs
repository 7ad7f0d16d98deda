//! Taking the terminal, and giving it back: at the end, on errors, panics and signals.

use std::cell::Cell;
use std::io::{self, IsTerminal, Stderr};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{anyhow, bail};
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};
use wgrad::train::screen;

/// Whether the screen is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Held while a frame is drawn, so that nothing is drawn once the screen is given back.
static DRAWING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread holds [`DRAWING`].
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a standard error that cannot be drawn on.
///
/// # Errors
/// When it is no terminal, or one that cannot be drawn on.
pub fn check() -> anyhow::Result<()> {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let why = match (io::stderr().is_terminal(), is_dumb) {
        (true, false) => return Ok(()),
        (true, true) => {
            "this one cannot be drawn on, as TERM=dumb says; set TERM to what it is (xterm, say), or"
        }
        (false, _) => "the standard error is none;",
    };
    bail!("--tui needs a terminal to draw on, and {why} leave --tui out for plain progress")
}

/// The terminal's screen. It is the standard error's, as the plain progress is: the standard output has
/// the results, and may be a file.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Screen {
    /// Takes the screen, and holds back what would be printed on it. [`give_back`] ends that.
    ///
    /// # Errors
    /// When the standard error is no terminal, or one that cannot be drawn on.
    pub fn take() -> anyhow::Result<Self> {
        check()?;
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        screen::take();
        Self::try_take().map_err(|error| {
            give_back();
            anyhow!("the terminal cannot be drawn on: {error}")
        })
    }

    fn try_take() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        execute!(io::stderr(), terminal::EnterAlternateScreen, cursor::Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stderr()))?;
        Ok(Self { terminal })
    }

    /// Draws a frame, unless the screen was given back.
    ///
    /// # Errors
    /// When the terminal is gone.
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

/// Gives the screen back, and prints what was held back; nothing when it is not taken.
pub fn give_back() {
    // A panic while a frame is drawn comes here with the lock held.
    let drawing = (!DRAWS.get()).then(|| DRAWING.lock().unwrap_or_else(PoisonError::into_inner));
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs nothing.
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
