//! A curve on a terminal, in Braille dots.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

const COLUMNS: u16 = 78;
const ROWS: u16 = 16;

/// Draws a curve, and a vertical line at each of `marks`, as lines of text.
pub fn curve(points: &[(f64, f64)], marks: &[f64], x_label: &str, y_label: &str) -> String {
    let range = |values: &dyn Fn(&(f64, f64)) -> f64| {
        let (low, high) = points
            .iter()
            .map(values)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        // A curve of one height has one all the same.
        if low < high { [low, high] } else { [low - 0.5, low + 0.5] }
    };
    let (x, y) = (range(&|point| point.0), range(&|point| point.1));
    let lines: Vec<_> = marks.iter().map(|&at| [(at, y[0]), (at, y[1])]).collect();
    let set = |points| {
        Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(points)
    };
    let mut sets = vec![set(points)];
    sets.extend(lines.iter().map(|line| set(&line[..])));
    let labels = |range: [f64; 2]| {
        [range[0], (range[0] + range[1]) / 2.0, range[1]].map(|value| format!("{value:.2}"))
    };
    let chart = Chart::new(sets)
        .x_axis(Axis::default().title(x_label).bounds(x).labels(labels(x)))
        .y_axis(Axis::default().title(y_label).bounds(y).labels(labels(y)));
    let mut buffer = Buffer::empty(Rect::new(0, 0, COLUMNS, ROWS));
    chart.render(buffer.area, &mut buffer);
    let row = |y| (0..COLUMNS).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..ROWS).map(|y| row(y).trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_its_axes_and_its_mark() {
        let points: Vec<_> = (0..50).map(|i| (f64::from(i), f64::from(i * i))).collect();
        let text = curve(&points, &[25.0], "x", "squares");
        assert_eq!(text.lines().count(), usize::from(ROWS));
        for label in ["0.00", "24.50", "49.00", "2401.00", "squares"] {
            assert!(text.contains(label), "{label} is not in\n{text}");
        }
        let dots =
            |text: &str| text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(dots(&text) > dots(&curve(&points, &[], "x", "squares")));
        assert!(curve(&[(1.0, 1.0)], &[], "x", "y").contains("1.50"), "one point is no panic");
    }
}
