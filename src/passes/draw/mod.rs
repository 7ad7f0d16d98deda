//! The drawing of a tape's forward part: one box per node, from top to bottom.
//!
//! Parallel branches stand side by side. A value that skips boxes, such as a residual, is a curve around them. Of a run
//! of equal blocks, the first block is drawn, with the number of blocks.
//!
//! The SVG file needs no other file: no fonts, scripts or styles. The drawing has no background. Boxes are filled, and
//! text outside of them has a grey that is visible on light and dark pages.
//!
//! Reading order: `fold.rs`, `grid.rs`, `boxes.rs`, `layout.rs`, then this file.

mod boxes;
mod fold;
mod grid;
mod layout;

use std::collections::{BTreeMap, BTreeSet};

use self::boxes::{Item, Kind};
use self::fold::Folded;
use self::grid::{Edge, Grid, Route};
use self::layout::{Frame, Layout, MARK};
use super::Work;
use crate::base::chart::Svg;
use crate::base::units::thousands;
use crate::tape::{ElementType, Node, Phase, Storage, Tape, Value, ValueId};

/// Draws the forward part of a tape as an SVG file.
pub fn draw(tape: &Tape) -> String {
    let nodes: Vec<&Node> = tape.nodes().iter().filter(|n| n.phase == Phase::Forward).collect();
    let folded = Folded::new(tape, &nodes);
    // The first input has a box of its own. Other inputs stand beside the box of the node that reads them.
    let first =
        nodes.first().and_then(|node| node.inputs.iter().copied().find(|&id| is_input(tape, id)));
    let batch = first.and_then(|id| tape.shape(id).first().copied());
    let (mut items, edges) = connect(tape, &folded, first, batch);
    let blocks: Vec<&str> = items.iter().map(|item| &*item.block).collect();
    let grid = Grid::new(&blocks, &edges);
    for (item, _) in items.iter_mut().zip(&grid.columns).filter(|(_, column)| **column > 0) {
        item.name_side_inputs();
    }
    let frames = layout::frames(&items, &grid, &folded.runs, usize::from(first.is_some()));
    let layout = Layout::new(&items, &grid, &frames);

    let [width, bottom] = layout.size;
    let mut painter = Painter {
        svg: Svg::file([width, bottom + 56.0], tape.name(), STYLE),
        items: &items,
        grid: &grid,
        layout: &layout,
    };
    painter.svg.raw(TIPS);
    painter.header(tape, batch);
    // The frames of runs are inside the frames of blocks, so they are drawn later.
    for is_inner in [false, true] {
        let frames = frames.iter().filter(|frame| frame.is_inner == is_inner);
        frames.for_each(|frame| painter.frame(frame));
    }
    grid.edges.iter().for_each(|&(edge, route)| painter.edge(edge, route));
    (0..items.len()).for_each(|ix| painter.item(ix));
    frames.iter().for_each(|frame| painter.mark(frame));
    painter.legend(bottom + 30.0);
    painter.svg.finish()
}

const STYLE: &str = "\
  text { font-family: system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif; }
  .title { font-size: 19px; font-weight: 650; fill: #808b98; }
  .note { font-size: 12px; fill: #808b98; }
  .block { font-size: 14px; font-weight: 650; fill: #808b98; text-anchor: end; }
  .op { font-size: 13.5px; font-weight: 600; fill: #1c2530; }
  .shape { font-size: 12.5px; fill: #1c2530; text-anchor: end; }
  .detail { font-size: 11px; fill: #4d5b6b; }
  .end { text-anchor: end; }
  .edge { fill: none; stroke: #808b98; stroke-width: 1.6; marker-end: url(#tip); }
  .skip { fill: none; stroke: #e8622c; stroke-width: 3.2; stroke-linecap: round; marker-end: url(#skip-tip); }
  .skip-start { fill: #e8622c; }
  rect { rx: 7px; stroke-width: 1.3; }
  .weighted { fill: #cfe2ff; stroke: #4c86e0; }
  .normalising { fill: #d3f2dc; stroke: #3fa367; }
  .elementwise { fill: #fdf0c4; stroke: #c99a16; }
  .pooling { fill: #e6dcfb; stroke: #8a63d2; }
  .joining { fill: #ffdccb; stroke: #e8622c; }
  .other { fill: #e4e8ed; stroke: #7b8794; }
  .repeat { fill: none; stroke: #808b98; stroke-width: 1.6; stroke-dasharray: 6 4; rx: 11px; }
  .mark { fill: #56616f; rx: 9px; }
  .times { font-size: 12px; font-weight: 650; fill: #ffffff; text-anchor: middle; }
  .frame { fill: #808b98; fill-opacity: 0.10; stroke: #808b98; stroke-opacity: 0.45; rx: 13px; }
  .key { rx: 3px; }
";

/// Definitions of the arrowheads.
const TIPS: &str = "<defs>
  <marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"6.5\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
orient=\"auto\"><path d=\"M0 0.6 L7 4 L0 7.4 Z\" fill=\"#808b98\"/></marker>
  <marker id=\"skip-tip\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"4\" markerHeight=\"4\" \
orient=\"auto\"><path d=\"M0 0.4 L7.4 4 L0 7.6 Z\" fill=\"#e8622c\"/></marker>
</defs>
";

fn is_input(tape: &Tape, id: ValueId) -> bool {
    tape.value(id).storage == Storage::Input
}

/// Returns the boxes, the first input's and one for each node, and the lines between them.
fn connect(
    tape: &Tape,
    folded: &Folded<'_>,
    first: Option<ValueId>,
    batch: Option<usize>,
) -> (Vec<Item>, Vec<Edge>) {
    let mut items: Vec<Item> = first.into_iter().map(|id| Item::input(tape, id)).collect();
    let mut makers: BTreeMap<ValueId, usize> = first.map(|id| (id, 0)).into_iter().collect();
    let mut edges = BTreeSet::new();
    for node in &folded.nodes {
        let (to, mut item) = (items.len(), Item::node(tape, node, batch));
        for id in node.inputs.iter().map(|&id| folded.shown(id)) {
            match makers.get(&id) {
                Some(&from) => _ = edges.insert(Edge { from, to }),
                None if is_input(tape, id) => item.side_inputs.push(tape.value(id).name.clone()),
                None => {}
            }
        }
        // If the first input holds words, such as the numbers of the images, the nodes further down read it beside
        // their other inputs.
        if to == 1 && first.is_some_and(|id| tape.value(id).element != ElementType::F32) {
            makers.clear();
        }
        makers.extend(node.outputs.iter().map(|&id| (id, to)));
        items.push(item);
    }
    (items, edges.into_iter().collect())
}

/// Returns the number of parameters of the drawn layers. An evaluation does not run the auxiliary heads; if the tape's state
/// has their parameters, the number with them follows.
fn parameters(tape: &Tape) -> String {
    let forward = tape.nodes().iter().filter(|node| node.phase == Phase::Forward);
    let inputs: BTreeSet<ValueId> = forward.flat_map(|node| node.inputs.iter().copied()).collect();
    let drawn = inputs.into_iter().map(|id| tape.value(id)).filter(|value| boxes::is_weight(value));
    let n_drawn = drawn.map(Value::n_elements).sum();
    let n_parameters = tape.state().n_parameters();
    let drawn = format!("{} parameters", thousands(n_drawn));
    if n_drawn == n_parameters {
        return drawn;
    }
    format!("{drawn} ({} with the auxiliary heads)", thousands(n_parameters))
}

/// A drawing in progress.
struct Painter<'a> {
    svg: Svg,
    items: &'a [Item],
    grid: &'a Grid,
    layout: &'a Layout,
}

impl Painter<'_> {
    fn header(&mut self, tape: &Tape, batch: Option<usize>) {
        let work = Work::sum_of(tape, |node| node.phase == Phase::Forward);
        let images = batch.unwrap_or(1).max(1);
        let per_image = work.flops as f64 / images as f64 / 1e6;
        let parameters = parameters(tape);
        let left = self.layout.lefts[0];
        self.svg.text("title", [left, 28.0], tape.name());
        let note = format!("{parameters} · {per_image:.1} MFLOP forward an image · batch {images}");
        self.svg.text("note", [left, 48.0], &note);
    }

    /// Draws a frame, with the names of its block or blocks on the left.
    fn frame(&mut self, frame: &Frame) {
        if frame.label.is_empty() && !frame.is_inner {
            return;
        }
        let place @ [left, top, width, _] = self.layout.frame(self.grid, frame);
        self.svg.rect(if frame.is_inner { "repeat" } else { "frame" }, place, "");
        if frame.range(self.grid)[1][0] > 0 {
            // There is no space on the left of other columns. Lines reach the frame on the left side of its top.
            self.svg.text("block", [left + width - 8.0, top - 5.0], &frame.label);
            return;
        }
        let x = left + frame.padding() - 23.0;
        let texts =
            [("block", &frame.label), ("note end", &frame.note[0]), ("note end", &frame.note[1])];
        // The name of the block around a run can be beside the first box of the run.
        let top = if frame.is_inner { top + 32.0 } else { top + 16.0 };
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        for (ix, (class, text)) in texts.enumerate() {
            self.svg.text(class, [x, top + 16.0 * ix as f64], text);
        }
    }

    /// Draws the number of blocks at the top of the frame of a run.
    fn mark(&mut self, frame: &Frame) {
        if frame.mark.is_empty() {
            return;
        }
        let [left, top, width, _] = self.layout.frame(self.grid, frame);
        let mark_width = 20.0 + 7.0 * frame.mark.chars().count() as f64;
        let (x, y) = (left + width - mark_width - 12.0, top - MARK + 5.0);
        self.svg.rect("mark", [x, y, mark_width, MARK], "");
        self.svg.text("times", [x + mark_width / 2.0, y + 13.0], &frame.mark);
    }

    fn edge(&mut self, Edge { from, to }: Edge, route: Route) {
        let Self { grid, layout, .. } = *self;
        let [from, to] = [from, to].map(|ix| Place::new(self.items, grid, layout, ix));
        let (fork, join, end) = (layout.fork(from.row), layout.join(to.row), to.top - 1.0);
        match route {
            Route::Straight => {
                let (x, start) = (from.centre, from.bottom);
                self.svg.path("edge", format_args!("M{x} {start} V{end}"), "");
            }
            Route::Fork => self.line(
                "edge",
                &[
                    [from.centre, from.bottom],
                    [from.centre, fork],
                    [to.centre, fork],
                    [to.centre, end],
                ],
            ),
            Route::Join => self.line(
                "edge",
                &[
                    [from.centre, from.bottom],
                    [from.centre, join],
                    [to.centre, join],
                    [to.centre, end],
                ],
            ),
            Route::Lane { column, lane } => self.lane(from, to, layout.lane(column, lane)),
        }
    }

    /// Draws a line in a lane, at the place `lane`.
    fn lane(&mut self, from: Place, to: Place, lane: f64) {
        let (start, end) = (from.middle(), to.middle());
        let (right, tip) = (from.right, to.right + 3.0);
        if from.column == to.column {
            let bend = ((end - start) / 2.0).min(70.0);
            let (turn, back) = (start + bend, end - bend);
            self.svg.path(
                "skip",
                format_args!(
                    "M{right} {start} C{lane} {start} {lane} {start} {lane} {turn} V{back} C{lane} {end} {lane} {end} \
                     {tip} {end}"
                ),
                "",
            );
        } else if from.column > to.column {
            let join = self.layout.join(to.row);
            self.line(
                "skip",
                &[
                    [right, start],
                    [lane, start],
                    [lane, join],
                    [to.centre, join],
                    [to.centre, to.top - 3.0],
                ],
            );
        } else {
            let fork = self.layout.fork(from.row);
            let x = from.centre;
            self.line(
                "skip",
                &[[x, from.bottom], [x, fork], [lane, fork], [lane, end], [tip, end]],
            );
            return;
        }
        self.svg.circle("skip-start", [right, start], 4.0, "");
    }

    /// Draws a line through these points. All parts are horizontal or vertical, and its corners are round.
    fn line(&mut self, class: &str, points: &[[f64; 2]]) {
        const RADIUS: f64 = 8.0;
        let mut path = format!("M{} {}", points[0][0], points[0][1]);
        for corner in points.windows(3) {
            let [before, at, after] = [corner[0], corner[1], corner[2]];
            let towards = |to: [f64; 2]| {
                let length = (to[0] - at[0]).hypot(to[1] - at[1]);
                let share = RADIUS.min(length / 2.0) / length.max(f64::MIN_POSITIVE);
                [0, 1].map(|axis| at[axis] + share * (to[axis] - at[axis]))
            };
            let [[x0, y0], [x1, y1]] = [towards(before), towards(after)];
            path += &format!(" L{x0:.1} {y0:.1} Q{} {} {x1:.1} {y1:.1}", at[0], at[1]);
        }
        let [x, y] = points[points.len() - 1];
        self.svg.path(class, format_args!("{path} L{x} {y}"), "");
    }

    /// Draws a box with its texts, and on its left the inputs that have no box.
    fn item(&mut self, ix: usize) {
        let (item, width) = (&self.items[ix], self.layout.box_width);
        let place = Place::new(self.items, self.grid, self.layout, ix);
        let height = place.bottom - place.top;
        let detail = &item.detail;
        let shown = &detail[layout::fitting(detail, width)];
        let hover = if shown == detail { "" } else { detail };
        self.svg.rect(item.kind.name(), [place.right - width, place.top, width, height], hover);
        let (left, right) = (place.right - width + 13.0, place.right - 13.0);
        let baseline = place.top + 17.5;
        self.svg.text("op", [left, baseline], &item.title);
        self.svg.text("shape", [right, baseline], &item.shape);
        self.svg.text("detail", [left, baseline + 15.0], shown);
        let line = if layout::fits(detail, &item.parameters, width) { 15.0 } else { 30.0 };
        self.svg.text("detail end", [right, baseline + line], &item.parameters);
        self.side_inputs(item, &place);
    }

    /// Draws the inputs of a node that are not outputs of boxes: labels, pixels, tables.
    fn side_inputs(&mut self, item: &Item, place: &Place) {
        let left = self.layout.lefts[0];
        let start = place.middle() - 11.0 * (item.side_inputs.len() as f64 - 1.0);
        for (ix, name) in item.side_inputs.iter().enumerate() {
            let (x, y) = (left - layout::FRAME_PADDING - 30.0, start + 22.0 * ix as f64);
            self.svg.text("note end", [x - 4.0, y + 4.0], name);
            let tip = left - 1.0;
            self.svg.path("edge", format_args!("M{x} {y} H{tip}"), "");
        }
    }

    /// Draws the legend of the colours that occur.
    fn legend(&mut self, y: f64) {
        let kinds: BTreeSet<Kind> = self.items.iter().map(|item| item.kind).collect();
        let mut x = 66.0;
        for kind in kinds {
            let name = kind.name();
            self.svg.rect(&format!("key {name}"), [x, y - 10.0, 12.0, 12.0], "");
            self.svg.text("note", [x + 17.0, y], name);
            x += 28.0 + 6.8 * name.len() as f64;
        }
    }
}

/// The place of a box.
struct Place {
    row: usize,
    column: usize,
    centre: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Place {
    fn new(items: &[Item], grid: &Grid, layout: &Layout, ix: usize) -> Self {
        let (row, column) = (grid.rows[ix], grid.columns[ix]);
        let (top, right) = (layout.tops[row], layout.right(column));
        let bottom = top + layout::height(&items[ix], layout.box_width);
        Self { row, column, centre: right - layout.box_width / 2.0, right, top, bottom }
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.top, self.bottom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::add, relu::relu, scale::scale};
    use crate::tape::Mode;

    /// Returns the drawing of a network with `n` equal blocks.
    fn drawing(n: usize) -> String {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 4]);
        let x = tape.scoped("stem", |tape| relu(tape, x));
        let y = (0..n).fold(x, |x, ix| {
            let y = tape.scoped(&format!("layer.{ix}.relu"), |tape| relu(tape, x));
            tape.scoped(&format!("layer.{ix}"), |tape| add(tape, x, y))
        });
        tape.scoped("head", |tape| scale(tape, y, 2.0));
        draw(&tape)
    }

    #[test]
    fn a_deep_network_has_as_many_boxes_as_a_shallow_one() {
        let (deep, shallow) = (drawing(500), drawing(2));
        assert_eq!(deep.lines().count(), shallow.lines().count());
        for text in [">× 500</text>", ">layer</text>", ">layer.0</text>", ">to layer.499</text>"] {
            assert!(deep.contains(text), "{text} is not in {deep}");
        }
        // The input, the stem, two boxes of the block, and the head; two lines between each two, and a residual.
        assert_eq!(deep.matches("class=\"op\"").count(), 5);
        assert_eq!(deep.matches("class=\"edge\"").count(), 4);
        assert_eq!(deep.matches("class=\"skip\"").count(), 1);
    }

    #[test]
    fn an_empty_tape_has_a_drawing() {
        assert!(draw(&Tape::new("test", Mode::Train)).contains("</svg>"));
    }
}
