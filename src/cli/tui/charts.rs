//! The curves of the dashboard.

use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};
use wgrad::base::chart::axis;

use super::state::State;
use super::style::{EVALUATION, TRAIN, dim, panel};

const RATE: Color = Color::Green;

/// A chart and its points.
pub struct Curves {
    title: Line<'static>,
    train: Vec<(f64, f64)>,
    evaluation: Vec<(f64, f64)>,
    /// Colour of the line.
    colour: Color,
    /// Largest epoch on the x axis.
    end: f64,
    y: axis::Axis,
}

pub fn loss_chart(state: &State, area: Rect) -> Curves {
    let train: Vec<_> = state.train.iter().map(|point| (point.at, point.loss)).collect();
    let evaluation: Vec<_> = state.evaluations.iter().map(|e| (e.epoch as f64, e.loss())).collect();
    let losses =
        train.iter().chain(&evaluation).map(|point| point.1).filter(|loss| loss.is_finite());
    let y = axis::Axis::round(0.0, losses.fold(0.0, f64::max), 3);
    let (title, colour) = (title("loss", state, area), TRAIN);
    Curves { title, train, evaluation, colour, end: end(state), y }
}

pub fn accuracy_chart(state: &State, area: Rect) -> Curves {
    let percent = |part: f64| 100.0 * part;
    let train = state.train.iter().map(|point| (point.at, percent(point.accuracy))).collect();
    let evaluation =
        state.evaluations.iter().map(|e| (e.epoch as f64, percent(e.accuracy()))).collect();
    let y = axis::Axis::round(0.0, 100.0, 2).with_unit("%");
    let (title, colour) = (title("accuracy", state, area), TRAIN);
    Curves { title, train, evaluation, colour, end: end(state), y }
}

pub fn rate_chart(state: &State) -> Curves {
    let train: Vec<_> = state.train.iter().map(|point| (point.at, point.lr)).collect();
    let y = axis::Axis::round(0.0, train.iter().map(|point| point.1).fold(0.0, f64::max), 3);
    let (title, evaluation) = (Line::raw("learning rate "), Vec::new());
    Curves { title, train, evaluation, colour: RATE, end: end(state), y }
}

/// Returns the end of the x axis: the number of epochs that have begun, at least 1.
fn end(state: &State) -> f64 {
    state.position().ceil().max(1.0)
}

fn title(what: &str, state: &State, area: Rect) -> Line<'static> {
    let evaluated_on = state.evaluated_on();
    let mut spans = vec![Span::raw(format!("{what} "))];
    if usize::from(area.width) >= 20 + evaluated_on.len() {
        spans.push(Span::styled("\u{2500} train ", TRAIN));
        spans.push(Span::styled(format!("\u{25cf} {evaluated_on} "), EVALUATION));
    }
    Line::from(spans)
}

impl Curves {
    pub fn chart(&self) -> Chart<'_> {
        let train = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        let train = train.style(self.colour).data(&self.train);
        let evaluation =
            Dataset::default().marker(Marker::Custom('\u{25cf}')).graph_type(GraphType::Scatter);
        let evaluation = evaluation.style(EVALUATION).data(&self.evaluation);
        let axis = || Axis::default().style(dim());
        let epochs = ["0".to_string(), format!("epoch {}", self.end)];
        Chart::new(vec![train, evaluation])
            .block(panel(self.title.clone()))
            .x_axis(axis().bounds([0.0, self.end]).labels(epochs))
            .y_axis(axis().bounds([self.y.low, self.y.high]).labels(self.y.labels()))
            .legend_position(None)
    }
}
