//! `wgrad train --tui`: a dashboard of a run.
//!
//! A separate thread draws the screen and reads the keys, because keys must work during a long step or evaluation. The
//! training thread only reports its progress. `state` holds the reported progress, `draw` lays it out, `charts` has the
//! curves, and `terminal` takes the screen and restores it, also after an error, a panic or a signal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use wgrad::device::NodeTimes;
use wgrad::ops::metrics::Metrics;
use wgrad::tape::Tape;
use wgrad::train::display::RunFacts;
use wgrad::train::{Display, EpochMetrics, screen};

use state::State;
use terminal::Screen;

mod charts;
mod draw;
mod state;
mod style;
pub mod terminal;

/// The time between two readings of the metrics. Each reading is a point of the curves.
const BETWEEN_METRICS: Duration = Duration::from_millis(200);

/// The time between two steps that are timed node by node. The time is long, because a timed step waits for the device.
const BETWEEN_TIMES: Duration = Duration::from_secs(5);

/// The longest time between two frames. The next frame is drawn earlier after a key.
const BETWEEN_FRAMES: Duration = Duration::from_millis(200);

/// The longest wait for the end of the dashboard's thread. The thread may block, because it reads keys from a terminal
/// that is closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Two presses of `q` within this time count as one press, because a key that is held down sends many presses.
const SAME_PRESS: Duration = Duration::from_secs(1);

/// The dashboard. It owns the screen until it is dropped.
pub struct Dashboard {
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    metrics_asked: Instant,
    times_asked: Option<Instant>,
}

impl Dashboard {
    /// Takes the screen. The key `q` sets `stop`, and `stop` ends the run. A signal may set `stop`, too.
    ///
    /// # Errors
    /// If the standard error is not a terminal.
    pub fn open(stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let screen = Screen::take()?;
        let state = Arc::new(Mutex::new(State::new()));
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let ui = Ui { state: Arc::clone(&state), over: Arc::clone(&over), stop, pressed: None };
            std::thread::Builder::new().name("dashboard".to_string()).spawn(|| ui.run(screen))
        };
        let thread = thread.map_err(|error| {
            terminal::give_back();
            anyhow!("dashboard: cannot be started: {error}")
        })?;
        let (metrics_asked, times_asked) = (Instant::now(), None);
        Ok(Self { state, over, thread, metrics_asked, times_asked })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        terminal::give_back();
    }
}

impl Display for Dashboard {
    fn begin(&mut self, facts: &RunFacts) {
        self.state().begin(facts);
    }

    fn begin_epoch(&mut self, epoch: usize, n_done: usize) {
        self.state().begin_epoch(epoch, n_done);
    }

    fn wants_times(&mut self) -> bool {
        // Drivers compile shaders during the first two steps, so these steps are not timed.
        let wanted = match self.times_asked {
            None => self.state().n_run >= 2,
            Some(asked) => asked.elapsed() >= BETWEEN_TIMES,
        };
        if wanted {
            self.times_asked = Some(Instant::now());
        }
        wanted
    }

    fn times(&mut self, tape: &Tape, times: &NodeTimes) {
        self.state().times(tape, times);
    }

    fn step(&mut self, n_images: usize, lr: f64) -> bool {
        self.state().step(n_images, lr);
        let wanted = self.metrics_asked.elapsed() >= BETWEEN_METRICS;
        if wanted {
            self.metrics_asked = Instant::now();
        }
        wanted
    }

    fn waited_for_ranks(&mut self, seconds: f64) {
        self.state().waited_for_ranks(seconds);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.state().metrics(metrics);
    }

    fn begin_evaluation(&mut self) {
        self.state().begin_evaluation();
    }

    fn end_epoch(&mut self) {}

    fn epoch(&mut self, epoch: &EpochMetrics) {
        self.state().epoch(epoch);
    }
}

/// The state of the dashboard's thread.
struct Ui {
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    /// Time of the last press of `q`.
    pressed: Option<Instant>,
}

impl Ui {
    fn run(mut self, mut screen: Screen) {
        while !self.over.load(Ordering::Relaxed) {
            let drawn = {
                let mut state = lock(&self.state);
                state.stopping = self.stop.load(Ordering::Relaxed);
                screen.draw(|frame| {
                    draw::draw(frame, &state, &screen::recent(usize::from(frame.area().height)));
                })
            };
            // An error means that the terminal is closed. Training continues.
            if drawn.and_then(|()| self.listen()).is_err() {
                return terminal::give_back();
            }
        }
    }

    /// Waits for a key, at most until the next frame is due, and handles all keys that have arrived.
    fn listen(&mut self) -> io::Result<()> {
        if event::poll(BETWEEN_FRAMES)? {
            // All waiting events are read before the next frame, because a resize sends many events.
            loop {
                if let Event::Key(key) = event::read()?
                    && is_quit(key)
                {
                    self.press();
                }
                if !event::poll(Duration::ZERO)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Handles a press of `q`. The first press ends the run after its current step. The second press ends the process
    /// at once.
    fn press(&mut self) {
        let before = self.pressed.replace(Instant::now());
        if before.is_some_and(|before| before.elapsed() >= SAME_PRESS) {
            terminal::give_back();
            std::process::exit(i32::from(super::INTERRUPTED));
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn is_quit(key: KeyEvent) -> bool {
    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let is_q = matches!(key.code, KeyCode::Char('q' | 'Q'));
    key.kind != KeyEventKind::Release && (is_q || is_ctrl_c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_and_ctrl_c_end_the_run() {
        let key = |code, modifiers| is_quit(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Esc, KeyModifiers::NONE));
    }

    #[test]
    fn a_key_that_is_held_down_counts_as_one_press() {
        let stop = Arc::new(AtomicBool::new(false));
        let (state, over) = (Arc::new(Mutex::new(State::new())), Arc::default());
        let mut ui = Ui { state, over, stop: Arc::clone(&stop), pressed: None };
        // These ten presses count as one. A second press would end the test process.
        (0..10).for_each(|_| ui.press());
        assert!(stop.load(Ordering::Relaxed));
    }
}
