//! The drawing of a tape's forward part: one box per node, from top to bottom. A value that skips boxes, such as a
//! residual, is a curve around them.
//!
//! The SVG file needs no other file: no fonts, scripts or styles. The drawing has no background. Boxes are filled, and
//! text outside of them has a grey that is visible on light and dark pages.

use std::collections::BTreeMap;

use super::Work;
use crate::base::chart::Svg;
use crate::base::units::thousands;
use crate::tape::{ElementType, Node, Phase, StateBuffer, Storage, Tape, Value, ValueId};

const GUTTER: f64 = 132.0;
const FRAME_WIDTH: f64 = 462.0;
const FRAME_PADDING: f64 = 11.0;
const BOX_WIDTH: f64 = FRAME_WIDTH - 2.0 * FRAME_PADDING;
const BOX_LEFT: f64 = GUTTER + FRAME_PADDING;
const BOX_CENTRE: f64 = BOX_LEFT + BOX_WIDTH / 2.0;
const BOX_RIGHT: f64 = BOX_LEFT + BOX_WIDTH;
const ROW_GAP: f64 = 11.0;
const FRAME_GAP: f64 = 16.0;
const HEADER: f64 = 60.0;
const LANE_WIDTH: f64 = 44.0;

/// The kind of a node. It sets the colour of the node's box.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Weighted,
    Normalising,
    Elementwise,
    Pooling,
    Joining,
    Other,
}

impl Kind {
    /// Returns the kind of a node. The kind depends on the node's values and not on its op, so new ops have a colour,
    /// too.
    fn of(tape: &Tape, node: &Node) -> Self {
        let inputs = || node.inputs.iter().map(|&id| tape.value(id));
        let parameters = || inputs().filter(|v| is_in(v.storage, StateBuffer::Parameters));
        let n_activations =
            inputs().filter(|v| !matches!(v.storage, Storage::State { .. })).count();
        let x = inputs().next();
        let y = tape.value(node.outputs[0]);
        if inputs().any(|v| v.element != ElementType::F32) {
            Kind::Other
        } else if parameters().any(|v| v.shape.len() > 1) {
            Kind::Weighted
        } else if parameters().next().is_some() {
            Kind::Normalising
        } else if n_activations > 1 {
            Kind::Joining
        } else if x.is_some_and(|x| x.shape == y.shape) {
            Kind::Elementwise
        } else if x.is_some_and(|x| x.n_elements() > y.n_elements()) {
            Kind::Pooling
        } else {
            Kind::Other
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Weighted => "weighted",
            Kind::Normalising => "normalising",
            Kind::Elementwise => "elementwise",
            Kind::Pooling => "pooling",
            Kind::Joining => "joining",
            Kind::Other => "other",
        }
    }
}

/// A box of the drawing: its texts, its kind and its place.
struct Row {
    title: String,
    detail: String,
    shape: String,
    parameters: String,
    kind: Kind,
    block: String,
    top: f64,
    height: f64,
}

impl Row {
    fn middle(&self) -> f64 {
        self.top + self.height / 2.0
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A value that one box makes and a later box reads.
struct Edge {
    from: usize,
    to: usize,
    /// Number of the lane, a vertical track to the right of the boxes, in which an edge that skips boxes is drawn. Lane
    /// 0 is next to the boxes. For an edge between neighbouring boxes, this number has no effect.
    lane: usize,
}

/// Draws the forward part of a tape as an SVG file.
pub fn draw(tape: &Tape) -> String {
    let nodes: Vec<&Node> = tape.nodes().iter().filter(|n| n.phase == Phase::Forward).collect();
    // The first input has a box of its own. Other inputs stand beside the box of the node that reads them.
    let first =
        nodes.first().and_then(|node| node.inputs.iter().copied().find(|&id| is_input(tape, id)));
    let batch = first.and_then(|id| tape.shape(id).first().copied());
    let rows = place(tape, &nodes, first, batch);
    let edges = connect(&nodes, first);
    let n_lanes = edges.iter().filter(|edge| edge.to > edge.from + 1).map(|e| e.lane + 1).max();
    let width = GUTTER + FRAME_WIDTH + 24.0 + LANE_WIDTH * n_lanes.unwrap_or(0) as f64;
    let bottom = rows.last().map_or(HEADER, Row::bottom) + FRAME_PADDING;
    let height = bottom + 56.0;

    let mut svg = Svg::file([width, height], tape.name(), STYLE);
    svg.raw(TIPS);
    header(&mut svg, tape, batch);
    frames(&mut svg, &rows);
    for edge in &edges {
        draw_edge(&mut svg, &rows, edge);
    }
    for row in &rows {
        draw_row(&mut svg, row);
    }
    let offset = rows.len() - nodes.len();
    for (node, row) in nodes.iter().zip(&rows[offset..]) {
        side_inputs(&mut svg, tape, node, row, first);
    }
    legend(&mut svg, &rows, bottom + 30.0);
    svg.finish()
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

fn is_in(storage: Storage, buffer: StateBuffer) -> bool {
    matches!(storage, Storage::State { buffer: of, .. } if of == buffer)
}

fn is_input(tape: &Tape, id: ValueId) -> bool {
    tape.value(id).storage == Storage::Input
}

/// Returns the boxes from top to bottom: the first input, then one box per node. The gap between two blocks of the
/// network is larger than the gap between two boxes of a block.
fn place(tape: &Tape, nodes: &[&Node], first: Option<ValueId>, batch: Option<usize>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut top = HEADER + FRAME_PADDING;
    if let Some(id) = first {
        let (title, shape) = (tape.value(id).name.clone(), shape(tape, id, batch));
        let (detail, parameters) = Default::default();
        let (kind, block, height) = (Kind::Other, String::new(), 26.0);
        rows.push(Row { title, detail, shape, parameters, kind, block, top, height });
        top += height + FRAME_GAP + FRAME_PADDING;
    }
    for (ix, node) in nodes.iter().enumerate() {
        let inputs = node.inputs.iter().map(|&id| tape.value(id));
        let weights = inputs.filter(|v| is_in(v.storage, StateBuffer::Parameters));
        let n_parameters: usize = weights.map(Value::n_elements).sum();
        let parameters = match n_parameters {
            0 => String::new(),
            n => format!("{} parameters", thousands(n)),
        };
        let detail = node.op.attributes();
        let height = if detail.is_empty() && parameters.is_empty() { 26.0 } else { 39.0 };
        let block = block_of(node).to_string();
        let same_block = ix > 0 && block_of(nodes[ix - 1]) == block;
        if ix > 0 {
            top += if same_block { ROW_GAP } else { FRAME_GAP + 2.0 * FRAME_PADDING };
        }
        rows.push(Row {
            title: title(node),
            detail,
            shape: shape(tape, node.outputs[0], batch),
            parameters,
            kind: Kind::of(tape, node),
            block,
            top,
            height,
        });
        top += height;
    }
    rows
}

/// Returns the block of the network that a node belongs to: `layer1` for `layer1.0`.
fn block_of(node: &Node) -> &str {
    node.scope.split('.').next().unwrap_or_default()
}

/// Returns the title of a box: `max pool2d` for `max_pool2d.forward`. All boxes are forward nodes, so the title does
/// not name the phase.
fn title(node: &Node) -> String {
    let name = node.op.name();
    name.strip_suffix(".forward").unwrap_or(name).replace('_', " ").replace('.', ", ")
}

/// Returns the shape of a value without the axis of images, as text. The drawing's header has the number of images.
fn shape(tape: &Tape, id: ValueId, batch: Option<usize>) -> String {
    let value = tape.value(id);
    let axes = match value.shape.as_slice() {
        [first, rest @ ..] if Some(*first) == batch && !rest.is_empty() => rest,
        [first] if Some(*first) == batch => &[1],
        axes => axes,
    };
    let axes: Vec<_> = axes.iter().map(usize::to_string).collect();
    let element = match value.element {
        ElementType::F32 => String::new(),
        other => format!(" {other}"),
    };
    axes.join(" × ") + &element
}

/// Returns the edges with their lanes. Edges that overlap vertically have different lanes, and the shorter edges are
/// nearer to the boxes.
fn connect(nodes: &[&Node], first: Option<ValueId>) -> Vec<Edge> {
    let mut makers: BTreeMap<ValueId, usize> = first.map(|id| (id, 0)).into_iter().collect();
    let offset = makers.len();
    let mut edges = Vec::new();
    for (ix, node) in nodes.iter().enumerate() {
        let to = ix + offset;
        let mut sources: Vec<usize> =
            node.inputs.iter().filter_map(|id| makers.get(id).copied()).collect();
        sources.sort_unstable();
        sources.dedup();
        edges.extend(sources.into_iter().map(|from| Edge { from, to, lane: 0 }));
        makers.extend(node.outputs.iter().map(|&id| (id, to)));
    }
    edges.sort_by_key(|edge| (edge.to - edge.from, edge.from));
    for ix in 0..edges.len() {
        let (done, rest) = edges.split_at_mut(ix);
        let edge = &mut rest[0];
        let overlaps = |other: &&Edge| {
            other.to > other.from + 1 && other.from < edge.to && edge.from < other.to
        };
        let taken: Vec<usize> = done.iter().filter(overlaps).map(|other| other.lane).collect();
        edge.lane = (0..).find(|lane| !taken.contains(lane)).expect("an endless range");
    }
    edges
}

fn header(svg: &mut Svg, tape: &Tape, batch: Option<usize>) {
    let work = Work::sum_of(tape, |node| node.phase == Phase::Forward);
    let images = batch.unwrap_or(1).max(1);
    let per_image = work.flops as f64 / images as f64 / 1e6;
    let n_parameters = thousands(tape.state().n_parameters());
    svg.text("title", [BOX_LEFT, 28.0], tape.name());
    let note = format!(
        "{n_parameters} parameters · {per_image:.1} MFLOP forward an image · batch {images}"
    );
    svg.text("note", [BOX_LEFT, 48.0], &note);
}

/// Draws a frame around each block, with the block's name beside it.
fn frames(svg: &mut Svg, rows: &[Row]) {
    for block in rows.chunk_by(|a, b| a.block == b.block) {
        let (first, last) = (&block[0], &block[block.len() - 1]);
        if first.block.is_empty() {
            continue;
        }
        let top = first.top - FRAME_PADDING;
        let height = last.bottom() + FRAME_PADDING - top;
        svg.rect("frame", [GUTTER, top, FRAME_WIDTH, height], "");
        svg.text("block", [GUTTER - 12.0, top + 16.0], &first.block);
    }
}

fn draw_edge(svg: &mut Svg, rows: &[Row], edge: &Edge) {
    let (from, to) = (&rows[edge.from], &rows[edge.to]);
    if edge.to == edge.from + 1 {
        let (start, end) = (from.bottom(), to.top - 1.0);
        svg.path("edge", format_args!("M{BOX_CENTRE} {start} V{end}"), "");
        return;
    }
    let lane = GUTTER + FRAME_WIDTH + LANE_WIDTH * (edge.lane as f64 + 0.75);
    let (start, end) = (from.middle(), to.middle());
    let bend = ((end - start) / 2.0).min(70.0);
    let (turn, back) = (start + bend, end - bend);
    let (right, tip) = (BOX_RIGHT, BOX_RIGHT + 3.0);
    svg.path(
        "skip",
        format_args!(
            "M{right} {start} C{lane} {start} {lane} {start} {lane} {turn} V{back} C{lane} {end} {lane} {end} \
             {tip} {end}"
        ),
        "",
    );
    svg.circle("skip-start", [right, start], 4.0, "");
}

fn draw_row(svg: &mut Svg, row: &Row) {
    svg.rect(row.kind.name(), [BOX_LEFT, row.top, BOX_WIDTH, row.height], "");
    let (left, right) = (BOX_LEFT + 13.0, BOX_RIGHT - 13.0);
    let baseline = row.top + 17.5;
    svg.text("op", [left, baseline], &row.title);
    svg.text("shape", [right, baseline], &row.shape);
    svg.text("detail", [left, baseline + 15.0], &row.detail);
    svg.text("detail end", [right, baseline + 15.0], &row.parameters);
}

/// Draws the inputs of a node that are not outputs of boxes: labels, pixels, tables.
fn side_inputs(svg: &mut Svg, tape: &Tape, node: &Node, row: &Row, first: Option<ValueId>) {
    let beside = |id: &ValueId| is_input(tape, *id) && Some(*id) != first;
    let inputs: Vec<ValueId> = node.inputs.iter().copied().filter(beside).collect();
    let start = row.middle() - 11.0 * (inputs.len() as f64 - 1.0);
    for (ix, id) in inputs.iter().enumerate() {
        let (x, y) = (GUTTER - 30.0, start + 22.0 * ix as f64);
        svg.text("note end", [x - 4.0, y + 4.0], &tape.value(*id).name);
        let tip = BOX_LEFT - 1.0;
        svg.path("edge", format_args!("M{x} {y} H{tip}"), "");
    }
}

/// Draws the legend of the colours that occur.
fn legend(svg: &mut Svg, rows: &[Row], y: f64) {
    let mut kinds: Vec<Kind> = rows.iter().map(|row| row.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut x = GUTTER / 2.0;
    for kind in kinds {
        let name = kind.name();
        svg.rect(&format!("key {name}"), [x, y - 10.0, 12.0, 12.0], "");
        svg.text("note", [x + 17.0, y], name);
        x += 28.0 + 6.8 * name.len() as f64;
    }
}
