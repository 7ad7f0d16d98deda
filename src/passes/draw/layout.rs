//! The geometry of a drawing, in pixels: rows and columns of the grid, boxes, and the frames around blocks.

use std::ops::Range;

use super::boxes::Item;
use super::fold::Run;
use super::grid::{Grid, Route};
use crate::base::sorting::sort_by_key;

/// Distance between a frame and the boxes inside it.
pub(super) const FRAME_PADDING: f64 = 11.0;
/// Distance between a frame around a run and the boxes inside it.
const RUN_PADDING: f64 = 5.5;
/// Height of the mark at the top of a run.
pub(super) const MARK: f64 = 18.0;
const ROW_GAP: f64 = 11.0;
const FRAME_GAP: f64 = 16.0;
/// Distance between two rows with a horizontal line between them.
const LINE_GAP: f64 = 26.0;
/// Distance of the horizontal line from the row where it begins or ends, as a share of the distance between the rows.
const LINE_SHARE: f64 = 0.37;
const HEADER: f64 = 60.0;
const GUTTER: f64 = 132.0;
const LANE_WIDTH: f64 = 44.0;
/// Width of the boxes in a drawing with one column, with two, and with more.
const BOX_WIDTHS: [f64; 3] = [440.0, 350.0, 300.0];
/// Width of a character in the small text of a box, and in the name of a block. Both are estimates.
const SMALL: f64 = 5.9;
const BOLD: f64 = 9.6;

/// A frame around a block of layers, or around the first block of a run.
#[derive(Clone)]
pub(super) struct Frame {
    /// The boxes inside.
    pub(super) boxes: Vec<usize>,
    /// Name of the block of layers; empty for a run inside a block.
    pub(super) label: String,
    /// The names of a run's blocks.
    pub(super) note: [String; 2],
    /// The text of the mark with the number of blocks; empty without a run.
    pub(super) mark: String,
    /// True for a run inside a block of layers.
    pub(super) is_inner: bool,
}

/// Returns the frames of all blocks of layers, and those of all runs inside them. `first` is the index of the first
/// node's box.
pub(super) fn frames(items: &[Item], grid: &Grid, runs: &[Run], first: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut start = first;
    for block in items[first..].chunk_by(|a, b| a.block == b.block) {
        let boxes = start..start + block.len();
        start = boxes.end;
        let (label, note) = (block[0].block.clone(), Default::default());
        let (boxes, mark) = (boxes.collect(), String::new());
        let frame = Frame { boxes, label, note, mark, is_inner: false };
        frames.extend(frame.split(grid));
    }
    for Run { nodes, n_blocks, first: of_first, last: of_last, is_equal } in runs {
        let boxes: Vec<usize> = nodes.clone().map(|ix| ix + first).collect();
        let block = items[boxes[0]].block.as_str();
        // The name of the block of layers stands above, so only numbers need it.
        let short =
            |name: &str| match name.strip_prefix(block).and_then(|name| name.strip_prefix('.')) {
                Some(rest) if rest.contains(char::is_alphabetic) => rest.to_string(),
                _ => name.to_string(),
            };
        let last = format!("to {}", short(of_last));
        let note = match block == of_first {
            true => [String::new(), last],
            false => [short(of_first), last],
        };
        let mark = match is_equal {
            true => format!("× {n_blocks}"),
            false => format!("× {n_blocks}, of other widths"),
        };
        match frames.iter_mut().find(|frame| frame.boxes == boxes) {
            Some(frame) => (frame.note, frame.mark) = (note, mark),
            None => {
                let label = String::new();
                frames.push(Frame { boxes, label, note, mark, is_inner: true });
            }
        }
    }
    frames
}

impl Frame {
    /// Returns the first row and column inside the frame, and the last.
    pub(super) fn range(&self, grid: &Grid) -> [[usize; 2]; 2] {
        [&grid.rows, &grid.columns].map(|of| {
            let all = || self.boxes.iter().map(|&ix| of[ix]);
            [all().min().unwrap_or(0), all().max().unwrap_or(0)]
        })
    }

    /// Divides the frame if boxes of another block would be inside it. Each part has boxes that are below each other.
    fn split(self, grid: &Grid) -> Vec<Self> {
        let [rows, columns] = self.range(grid);
        let inside = |ix: &usize| {
            (rows[0]..=rows[1]).contains(&grid.rows[*ix])
                && (columns[0]..=columns[1]).contains(&grid.columns[*ix])
        };
        if (0..grid.rows.len()).filter(inside).count() == self.boxes.len() {
            return vec![self];
        }
        let place = |ix: &usize| (grid.columns[*ix], grid.rows[*ix]);
        let mut boxes = self.boxes.clone();
        sort_by_key(&mut boxes, place);
        let is_below = |a: &usize, b: &usize| place(b) == (grid.columns[*a], grid.rows[*a] + 1);
        let part = |part: &[usize]| Self { boxes: part.to_vec(), ..self.clone() };
        boxes.chunk_by(is_below).map(part).collect()
    }

    /// Returns the distance between the frame and the boxes inside it.
    pub(super) fn padding(&self) -> f64 {
        if self.is_inner { RUN_PADDING } else { FRAME_PADDING }
    }
}

/// The place of every box.
pub(super) struct Layout {
    /// Top of each row.
    pub(super) tops: Vec<f64>,
    /// Height of each row.
    pub(super) heights: Vec<f64>,
    /// Left side of each column's boxes.
    pub(super) lefts: Vec<f64>,
    /// Width of a box.
    pub(super) box_width: f64,
    /// Size of the drawing, without the legend.
    pub(super) size: [f64; 2],
}

impl Layout {
    pub(super) fn new(items: &[Item], grid: &Grid, frames: &[Frame]) -> Self {
        let n_columns = grid.n_lanes.len();
        let box_width = BOX_WIDTHS[n_columns.clamp(1, 3) - 1];
        let n_rows = grid.rows.iter().max().map_or(0, |most| most + 1);
        let mut heights = vec![0.0; n_rows];
        for (item, &row) in items.iter().zip(&grid.rows) {
            heights[row] = f64::max(heights[row], height(item, box_width));
        }
        let mut top = HEADER + FRAME_PADDING;
        let mut tops = Vec::with_capacity(n_rows);
        for (gap, height) in gaps(grid, frames, n_rows).into_iter().zip(&heights) {
            tops.push(top + gap);
            top += gap + height;
        }

        let named = || frames.iter().filter(|frame| frame.range(grid)[1][0] == 0);
        let labels = named().map(|frame| BOLD * frame.label.chars().count() as f64);
        let notes = named().flat_map(|frame| &frame.note);
        let notes = notes.map(|note| SMALL * 1.1 * note.chars().count() as f64);
        let gutter = labels.chain(notes).map(|text| text + 20.0).fold(GUTTER, f64::max);
        let mut lefts = Vec::with_capacity(n_columns);
        let mut right = gutter;
        for (column, &n_lanes) in grid.n_lanes.iter().enumerate() {
            let is_last = column + 1 == n_columns;
            lefts.push(right + FRAME_PADDING);
            right += box_width + 2.0 * FRAME_PADDING + LANE_WIDTH * n_lanes as f64;
            right += if n_lanes > 0 && !is_last { FRAME_PADDING } else { 0.0 };
        }
        Self { tops, heights, lefts, box_width, size: [right + 24.0, top + FRAME_PADDING] }
    }

    /// Returns the bottom of a row.
    pub(super) fn bottom(&self, row: usize) -> f64 {
        self.tops[row] + self.heights[row]
    }

    /// Returns the height of the horizontal part of lines that fork below a row.
    pub(super) fn fork(&self, row: usize) -> f64 {
        self.bottom(row) + LINE_SHARE * (self.tops[row + 1] - self.bottom(row))
    }

    /// Returns the height of the horizontal part of lines that join above a row.
    pub(super) fn join(&self, row: usize) -> f64 {
        self.tops[row] - LINE_SHARE * (self.tops[row] - self.bottom(row - 1))
    }

    /// Returns the right side of a column's boxes.
    pub(super) fn right(&self, column: usize) -> f64 {
        self.lefts[column] + self.box_width
    }

    /// Returns the place of a lane.
    pub(super) fn lane(&self, column: usize, lane: usize) -> f64 {
        self.right(column) + FRAME_PADDING + LANE_WIDTH * (lane as f64 + 0.75)
    }

    /// Returns left, top, width and height of a frame.
    pub(super) fn frame(&self, grid: &Grid, frame: &Frame) -> [f64; 4] {
        let ([rows, columns], padding) = (frame.range(grid), frame.padding());
        let (left, top) = (self.lefts[columns[0]] - padding, self.tops[rows[0]] - padding);
        let width = self.right(columns[1]) + padding - left;
        [left, top, width, self.bottom(rows[1]) + padding - top]
    }
}

/// Returns the distance above each row.
fn gaps(grid: &Grid, frames: &[Frame], n_rows: usize) -> Vec<f64> {
    let mut gaps = vec![ROW_GAP; n_rows];
    let between = |gap: &mut f64| *gap = f64::max(*gap, FRAME_GAP);
    let (mut starts, mut ends) = (vec![0.0; n_rows + 1], vec![0.0; n_rows + 1]);
    for frame in frames {
        let [[first, last], _] = frame.range(grid);
        let (start, end) = match frame.is_inner {
            true => (MARK / 2.0, RUN_PADDING),
            false => (FRAME_PADDING, FRAME_PADDING),
        };
        starts[first] = f64::max(starts[first], start);
        ends[last + 1] = f64::max(ends[last + 1], end);
        if !frame.is_inner {
            between(&mut gaps[first]);
            gaps.get_mut(last + 1).map(between);
        }
    }
    let mut needed = vec![0.0; n_rows];
    for (edge, route) in &grid.edges {
        let (from, to) = (grid.rows[edge.from], grid.rows[edge.to]);
        let changes_column = grid.columns[edge.from] != grid.columns[edge.to];
        match route {
            Route::Fork => needed[from + 1] = LINE_GAP,
            Route::Join => needed[to] = LINE_GAP,
            Route::Lane { .. } if changes_column => {
                (needed[from + 1], needed[to]) = (LINE_GAP, LINE_GAP);
            }
            Route::Straight | Route::Lane { .. } => {}
        }
    }
    let rows = 0..n_rows;
    rows.map(|row| match row {
        0 => 0.0,
        _ => f64::max(gaps[row] + starts[row] + ends[row], needed[row]),
    })
    .collect()
}

/// Returns the height of a box: one line of text, or two, or three if the two texts below the title do not fit on one
/// line.
pub(super) fn height(item: &Item, box_width: f64) -> f64 {
    match (item.detail.as_str(), item.parameters.as_str()) {
        ("", "") => 26.0,
        (detail, parameters) if fits(detail, parameters, box_width) => 39.0,
        _ => 54.0,
    }
}

/// Returns true if the two texts below a box's title fit on one line.
pub(super) fn fits(detail: &str, parameters: &str, box_width: f64) -> bool {
    let n_characters = detail.chars().count() + parameters.chars().count();
    SMALL * n_characters as f64 + 36.0 <= box_width || detail.is_empty() || parameters.is_empty()
}

/// Returns the beginning of a text that fits into a box, as a range of bytes.
pub(super) fn fitting(text: &str, box_width: f64) -> Range<usize> {
    let most = ((box_width - 26.0) / SMALL) as usize;
    0..text.char_indices().nth(most).map_or(text.len(), |(at, _)| at)
}
