//! Draws a curve as lines of text for a terminal, in Braille characters.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};
use wgrad::base::chart::axis::{self, range};

const COLUMNS: u16 = 78;
const ROWS: u16 = 16;

/// Draws a curve, and a vertical line at each x value of `marks`, as lines of text.
pub fn curve(points: &[(f64, f64)], marks: &[f64], x_label: &str, y_label: &str) -> String {
    let ((first, last), (low, high)) =
        (range(points.iter().map(|point| point.0)), range(points.iter().map(|point| point.1)));
    let (x, y) = (axis::Axis::round(first, last, 8), axis::Axis::round(low, high, 5));
    let lines: Vec<_> = marks.iter().map(|&at| [(at, y.low), (at, y.high)]).collect();
    let set = |points| {
        Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(points)
    };
    let mut sets = vec![set(points)];
    sets.extend(lines.iter().map(|line| set(&line[..])));
    let shown = |axis: &axis::Axis, labels| {
        Axis::default().bounds([axis.low, axis.high]).labels::<Vec<String>>(labels)
    };
    // ratatui's `Chart` misplaces the labels of an x axis with more than three labels. So the axis keeps the labels of
    // its ends and, if the number of labels is odd, the label in the middle.
    let x_labels = x.labels();
    let (n, last) = (x_labels.len(), x_labels.len() - 1);
    let ends = if n % 2 == 1 { vec![0, last / 2, last] } else { vec![0, last] };
    let x_labels = ends.iter().map(|&ix| x_labels[ix].clone()).collect();
    let chart = Chart::new(sets)
        .x_axis(shown(&x, x_labels).title(x_label))
        .y_axis(shown(&y, y.labels()).title(y_label));
    let mut buffer = Buffer::empty(Rect::new(0, 0, COLUMNS, ROWS));
    chart.render(buffer.area, &mut buffer);
    let row = |y| (0..COLUMNS).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..ROWS).map(|y| row(y).trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_axes_and_marks() {
        let points: Vec<_> = (0..50).map(|i| (f64::from(i), f64::from(i * i))).collect();
        let text = curve(&points, &[25.0], "x", "squares");
        assert_eq!(text.lines().count(), usize::from(ROWS));
        for label in ["0", "50", "500", "2500", "squares"] {
            assert!(text.contains(label), "{label} is not in\n{text}");
        }
        let dots =
            |text: &str| text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(dots(&text) > dots(&curve(&points, &[], "x", "squares")));
        let of_a_point = curve(&[(1.0, 1.0)], &[], "x", "y");
        assert!(of_a_point.contains("1.6"), "{of_a_point}");
    }
}
