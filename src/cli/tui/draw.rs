//! The layout of the dashboard.
//!
//! The dashboard uses the terminal's default colours and three colours of the terminal's palette. These are visible in
//! dark and light themes. Charts can be read without colours: training is a line, and an evaluation is a dot.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::symbols::{block, line};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Paragraph};
use wgrad::train::console::duration;

use super::charts::{accuracy_chart, loss_chart, rate_chart};
use super::state::{Stage, State};
use super::style::{EVALUATION, TRAIN, dim, panel};

/// The height of the panel with the numbers of the run, in lines, including the title.
const NUMBERS_HEIGHT: u16 = 7;

/// The smallest width of the list of ops, in columns, at which the list shows milliseconds.
const WIDE: usize = 44;

/// The smallest width of the terminal, in columns, at which the dashboard shows the curve of the learning rate.
const WIDE_ENOUGH_FOR_THE_RATE: u16 = 72;

/// Draws the dashboard. `log` has the last printed lines.
pub fn draw(frame: &mut Frame<'_>, state: &State, log: &[String]) {
    let area = frame.area();
    // The log has a third of the remaining lines, but no line if fewer than 9 lines remain.
    let rest = area.height.saturating_sub(NUMBERS_HEIGHT + 2);
    let log_height = if rest < 9 { 0 } else { (rest / 3).min(12) };
    let [header_area, charts_area, middle_area, log_area, footer_area] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(NUMBERS_HEIGHT),
        Constraint::Length(log_height),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(header(state), header_area);
    let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1);
    if charts_area.height >= 4 {
        let widths = [3, 3, 2].map(Constraint::Fill);
        let n_charts = if area.width < WIDE_ENOUGH_FOR_THE_RATE { 2 } else { 3 };
        let areas = Layout::horizontal(&widths[..n_charts]).spacing(1).split(charts_area);
        frame.render_widget(loss_chart(state, areas[0]).chart(), areas[0]);
        frame.render_widget(accuracy_chart(state, areas[1]).chart(), areas[1]);
        if let Some(&area) = areas.get(2) {
            frame.render_widget(rate_chart(state).chart(), area);
        }
    }
    let [left, right] = halves.areas(middle_area);
    numbers(frame, state, left);
    ops(frame, state, right);
    let first = log.len().saturating_sub(usize::from(log_area.height.saturating_sub(1)));
    let lines: Vec<Line<'_>> = log[first..].iter().map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(panel("log ")), log_area);
    frame.render_widget(footer(state), footer_area);
}

fn header(state: &State) -> Line<'_> {
    let name = Span::from("wgrad").bold();
    match &state.facts {
        Some(facts) => Line::from(vec![
            name,
            Span::raw(format!("  {}  {} planned  ", facts.device, facts.memory)),
            Span::styled(facts.folder.as_str(), dim()),
        ]),
        None => Line::from(vec![name, Span::raw("  compiling")]),
    }
}

fn footer(state: &State) -> Line<'_> {
    let stage = match state.stage {
        Stage::Preparing => "preparing",
        Stage::Training => "training",
        Stage::Evaluating => "evaluating",
    };
    if state.stopping {
        let text = match state.stage {
            Stage::Preparing => "ending before the first step; a second q ends at once",
            _ => "saving after this step, then ending; a second q ends at once",
        };
        return Line::styled(text, Style::new().add_modifier(Modifier::REVERSED));
    }
    let elapsed = duration(state.elapsed());
    Line::from(vec![
        Span::raw(format!("{stage}, {elapsed} so far   ")),
        Span::styled("q saves and ends", dim()),
    ])
}

/// Draws the progress bars and the numbers, one line each.
fn numbers(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let block = panel("run ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = Layout::vertical([Constraint::Length(1); NUMBERS_HEIGHT as usize - 1]);
    let [epoch, epoch_bar, run_bar, metrics, rate, best] = lines.areas(inner);
    let Some(facts) = &state.facts else { return };
    let (n_epochs, n_steps) = (facts.n_epochs, facts.n_steps);
    let mut text = format!("epoch {}/{n_epochs}, step {}/{n_steps}", state.epoch + 1, state.step);
    if let Some(part) = state.waited_for_ranks {
        text += &format!(", {:.0}% waiting", 100.0 * part);
    }
    frame.render_widget(Line::raw(text), epoch);
    frame.render_widget(bar("epoch", state.epoch_done(), String::new()), epoch_bar);
    let left = state.left().map_or(String::new(), |left| format!(" {} left", duration(left)));
    frame.render_widget(bar("run", state.done(), left), run_bar);
    let seen = state.metrics.filter(|metrics| metrics.n_images > 0.0);
    let text = seen.map_or(String::new(), |m| {
        format!("loss {:.4}, accuracy {:.1}%", m.loss(), 100.0 * m.accuracy())
    });
    frame.render_widget(Line::styled(text, TRAIN), metrics);
    let text = format!("rate {:.6}, {:.0} images/s", state.lr, state.images_per_s);
    frame.render_widget(Line::raw(text), rate);
    let text = state.best().map_or(String::new(), |best| {
        let (set, accuracy) = (best.evaluated_on(), 100.0 * best.accuracy());
        format!("best {set} {accuracy:.2}% (epoch {})", best.epoch)
    });
    frame.render_widget(Line::styled(text, EVALUATION), best);
}

fn bar(what: &str, done: f64, note: String) -> LineGauge<'static> {
    let label = format!("{what:<5} {:>3.0}%{note}", 100.0 * done);
    LineGauge::default()
        .ratio(done.clamp(0.0, 1.0))
        .label(label)
        .filled_symbol(line::THICK_HORIZONTAL)
        .unfilled_symbol(line::HORIZONTAL)
        .filled_style(TRAIN)
        .unfilled_style(dim())
}

/// Draws the device times of a step's ops, one line each.
fn ops(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let sum: f64 = state.ops.iter().map(|time| time.seconds).sum();
    let title = match state.ops.is_empty() {
        true => "device time by op ".to_string(),
        false => format!("device time by op, {:.1} ms a step ", 1e3 * sum),
    };
    let panel = panel(title);
    let inner = panel.inner(area);
    frame.render_widget(panel, area);
    let shown = &state.ops[..state.ops.len().min(usize::from(inner.height))];
    let width = usize::from(inner.width);
    let name_width = shown.iter().map(|time| time.op.len()).max().unwrap_or(0);
    let name_width = name_width.min(width.saturating_sub(7));
    let largest = shown.first().map_or(0.0, |time| time.seconds).max(f64::MIN_POSITIVE);
    let lines = shown.iter().map(|time| {
        let name: String = time.op.chars().take(name_width).collect();
        let mut text = format!("{name:<name_width$} {:>5.1}%", 100.0 * time.seconds / sum);
        if width >= WIDE {
            text += &format!("{:>8.1} ms", 1e3 * time.seconds);
        }
        let room = width.saturating_sub(text.len() + 1) as f64;
        let bar = block::FULL.repeat((room * time.seconds / largest).round() as usize);
        Line::from(vec![Span::raw(text), Span::raw(" "), Span::styled(bar, TRAIN)])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use wgrad::device::{Clock, NodeTimes};
    use wgrad::ops::metrics::Metrics;
    use wgrad::ops::{add, relu};
    use wgrad::tape::{Mode, Tape};
    use wgrad::train::EpochMetrics;
    use wgrad::train::display::RunFacts;

    use super::*;

    /// Returns the state in the middle of the second of three epochs.
    fn state() -> State {
        let mut state = State::new();
        state.begin(&RunFacts {
            device: "cpu (2 threads)".to_string(),
            memory: "57.0 MiB".to_string(),
            folder: "runs/here".to_string(),
            n_epochs: 3,
            n_steps: 10,
            evaluated_on: "test",
        });
        for (epoch, n_steps) in [(0, 10), (1, 5)] {
            state.begin_epoch(epoch, 0);
            for step in 1..=n_steps {
                let n_images = 64.0 * f64::from(step);
                // The learning rate rises in the first epoch and falls in the second.
                let lr = if epoch == 0 {
                    0.001 * f64::from(step)
                } else {
                    0.01 - 0.0015 * f64::from(step)
                };
                state.step(64 * step as usize, lr);
                let (loss_sum, n_correct) = (1.5 * n_images, 0.25 * n_images);
                state.metrics(&Metrics { loss_sum, n_correct, n_images, ..Metrics::default() });
            }
            if epoch == 0 {
                state.begin_evaluation();
                state.epoch(&EpochMetrics {
                    epoch: 1,
                    lr: 0.01,
                    train_loss: 1.5,
                    train_accuracy: 0.25,
                    test_loss: Some(1.25),
                    test_accuracy: Some(0.5678),
                    seconds: 2.0,
                    eval_seconds: 0.5,
                    images_per_s: 1000.0,
                    ..EpochMetrics::default()
                });
            }
        }
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3]);
        let y = relu::relu(&mut tape, x);
        add::add(&mut tape, y, x);
        state.times(&tape, &NodeTimes { seconds: vec![0.001, 0.003], clock: Clock::Host });
        state.waited_for_ranks = Some(0.25);
        state
    }

    /// Returns the lines of the screen.
    fn screen(state: &State, log: &[String], width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test");
        terminal.draw(|frame| draw(frame, state, log)).expect("a test");
        let buffer = terminal.backend().buffer().clone();
        let cells: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(width.into()).map(|line| line.concat().trim_end().to_string()).collect()
    }

    #[track_caller]
    fn assert_shows(lines: &[String], wanted: &[&str]) {
        for wanted in wanted {
            let is_there = lines.iter().any(|line| line.contains(wanted));
            assert!(is_there, "no {wanted:?} on\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn a_wide_terminal_shows_every_part() {
        let log: Vec<String> = (0..50).map(|n| format!("line {n}")).collect();
        let lines = screen(&state(), &log, 100, 30);
        assert_shows(
            &lines,
            &[
                "wgrad  cpu (2 threads)  57.0 MiB planned  runs/here",
                "loss \u{2500} train \u{25cf} test",
                "1.5\u{2502}",
                "100%\u{2502}",
                "learning rate \u{2500}",
                "0.010\u{2502}",
                "epoch 2/3, step 5/10, 25% waiting",
                "epoch  50% \u{2501}\u{2501}",
                "s left \u{2501}\u{2501}",
                "loss 1.5000, accuracy 25.0%",
                "rate 0.002500, ",
                "best test 56.78% (epoch 1)",
                "device time by op, 4.0 ms a step",
                "add.forward   75.0%     3.0 ms \u{2588}",
                "relu.forward  25.0%     1.0 ms \u{2588}",
                "line 49",
                "s so far   q saves and ends",
            ],
        );
        // The training curve is a line of Braille dots.
        let is_braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        assert!(lines.iter().any(|line| line.chars().filter(|&c| is_braille(c)).count() > 20));
        let n_dots = lines.concat().matches('\u{25cf}').count();
        assert_eq!(n_dots, 4, "two in titles, and two for the evaluated epoch");
    }

    #[test]
    fn the_learning_rate_is_a_curve() {
        let lines = screen(&state(), &[], 120, 30);
        let top = lines.iter().position(|line| line.contains("learning rate")).expect("a title");
        let cells: Vec<Vec<char>> = lines.iter().map(|line| line.chars().collect()).collect();
        let title: Vec<char> = "learning rate".chars().collect();
        let left = cells[top].windows(title.len()).position(|at| at == title).expect("there");
        // Returns the row of the curve's highest dot in a column of the screen.
        let height = |column: usize| {
            let is_dot = |row: &usize| {
                let cell = cells[*row].get(column);
                cell.is_some_and(|c| ('\u{2801}'..='\u{28ff}').contains(c))
            };
            (top + 1..20).find(is_dot)
        };
        let rows: Vec<usize> = (left + 6..120).filter_map(height).collect();
        let highest = *rows.iter().min().expect("a curve");
        assert!(highest <= top + 2, "the peak is at the top: {rows:?}\n{}", lines.join("\n"));
        assert!(rows[0] > highest + 3, "it climbs: {rows:?}\n{}", lines.join("\n"));
        assert!(rows[rows.len() - 1] > highest + 3, "and falls: {rows:?}\n{}", lines.join("\n"));
        assert!(!screen(&state(), &[], 70, 30).concat().contains("learning rate"));
    }

    #[test]
    fn a_narrow_terminal_shows_the_main_numbers() {
        let lines = screen(&state(), &["the last line".to_string()], 60, 20);
        assert_shows(
            &lines,
            &[
                "wgrad  cpu (2 threads)  57.0 MiB planned",
                "accuracy \u{2500} train \u{25cf} test",
                "epoch 2/3, step 5/10",
                "run    50%",
                "best test 56.78% (epoch 1)",
                "add.forward   75.0%",
                "the last line",
                "q saves and ends",
            ],
        );
    }

    #[test]
    fn validation_images_are_named() {
        let mut state = state();
        state.facts.as_mut().expect("the run has begun").evaluated_on = "validation";
        let epoch = &mut state.evaluations[0];
        (epoch.validation_loss, epoch.validation_accuracy) = (Some(1.25), Some(0.5678));
        let lines = screen(&state, &[], 100, 30);
        let title = "loss \u{2500} train \u{25cf} validation";
        assert_shows(&lines, &[title, "best validation 56.78% (epoch 1)"]);
        assert!(!lines.concat().contains("test"), "{}", lines.join("\n"));
    }

    #[test]
    fn every_size_and_state_is_drawn() {
        let mut ending = state();
        ending.stopping = true;
        assert_shows(&screen(&ending, &[], 80, 24), &["a second q ends at once"]);
        assert_shows(&screen(&State::new(), &[], 80, 24), &["wgrad  compiling", "preparing, "]);
        let mut not_finite = state();
        let loss_sum = f64::NAN;
        not_finite.metrics(&Metrics {
            loss_sum,
            n_correct: 1.0,
            n_images: 1e6,
            not_finite: true,
            ..Metrics::default()
        });
        for state in [state(), ending, not_finite, State::new()] {
            for (width, height) in (1..130).flat_map(|w| [(w, 1), (w, 7), (w, 19), (w, 40), (9, w)])
            {
                screen(&state, &["a line".to_string()], width, height);
            }
        }
    }
}
