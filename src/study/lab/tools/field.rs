//! The theoretical receptive field of a unit, and the stages of a network: both follow from the nodes of a tape.

use std::any::Any;

use wgrad::nn::NetworkConfig;
use wgrad::ops::Window;
use wgrad::ops::avg_pool2d::{AvgPool2d, Windows};
use wgrad::ops::blur_pool::BlurPool;
use wgrad::ops::conv2d::Conv2dForward;
use wgrad::ops::flatten::Flatten;
use wgrad::ops::max_pool2d::MaxPool2d;
use wgrad::ops::resize::{Interpolation, Resize};
use wgrad::ops::space_to_depth::SpaceToDepth;
use wgrad::tape::{ElementType, Mode, Node, Tape, ValueId};

/// The first and the last row, and the first and the last column, of a part of a plane. Numbers outside the plane are
/// those of its padding.
pub type Field = [[i64; 2]; 2];

/// Returns the rows and columns of a field.
pub fn size(field: &Field) -> [usize; 2] {
    field.map(|[first, last]| (last - first + 1) as usize)
}

/// Returns the smallest field that contains both.
fn union(a: Field, b: Field) -> Field {
    [0, 1].map(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])])
}

/// Returns the theoretical receptive field of a unit: the part of `images`, `[N, H, W, C]`, on which the unit at row and
/// column `at` of `value` depends, as if the images had no border. The walk goes over the nodes of a tape without fused
/// ops, from the last to the first.
pub fn field(tape: &Tape, images: ValueId, value: ValueId, at: [usize; 2]) -> Field {
    let mut depends = vec![false; tape.values().len()];
    depends[images.index()] = true;
    for node in tape.nodes() {
        let reads = node.inputs.iter().any(|input| depends[input.index()]);
        node.outputs.iter().for_each(|output| depends[output.index()] |= reads);
    }
    let mut fields: Vec<Option<Field>> = vec![None; tape.values().len()];
    fields[value.index()] = Some(at.map(|ix| [ix as i64; 2]));
    for node in tape.nodes().iter().rev() {
        let Some(read) = node.outputs.iter().filter_map(|id| fields[id.index()]).reduce(union)
        else {
            continue;
        };
        for &input in node.inputs.iter().filter(|input| depends[input.index()]) {
            let source = source(tape, node, input, read);
            let known = &mut fields[input.index()];
            *known = Some(known.map_or(source, |known| union(known, source)));
        }
    }
    fields[images.index()].unwrap_or_default()
}

/// Returns the part of an input that a node reads for a part of its output.
fn source(tape: &Tape, node: &Node, input: ValueId, read: Field) -> Field {
    let plane = |id: ValueId| match tape.shape(id)[..] {
        [_, h, w, _] => [h, w].map(|extent| extent as i64),
        _ => [1, 1],
    };
    let (from, to) = (plane(input), plane(node.outputs[0]));
    let whole = from.map(|extent| [0, extent - 1]);
    let op: &dyn Any = &*node.op;
    if let Some(op) = op.downcast_ref::<Conv2dForward>() {
        return under(op.conv.window, read);
    }
    if let Some(op) = op.downcast_ref::<MaxPool2d>() {
        return under(op.pool.window, read);
    }
    if let Some(AvgPool2d { windows }) = op.downcast_ref() {
        return match windows {
            Windows::Sliding { pool, .. } => under(pool.window, read),
            Windows::Adaptive { .. } => [0, 1].map(|axis| {
                let [first, last] = read[axis];
                let end = (last + 1) * from[axis] + to[axis] - 1;
                [first * from[axis] / to[axis], end / to[axis] - 1]
            }),
        };
    }
    if op.is::<BlurPool>() {
        return under(Window::square(3, 2, 1), read);
    }
    if let Some(SpaceToDepth { block, .. }) = op.downcast_ref() {
        return under(Window::square(*block, *block, 0), read);
    }
    if let Some(Resize { to: resize }) = op.downcast_ref() {
        return [0, 1].map(|axis| resized(resize.interpolation, from[axis], to[axis], read[axis]));
    }
    if op.is::<Flatten>() || from == [1, 1] {
        // A linear layer reads all pixels, and a factor of a channel belongs to the whole plane.
        return whole;
    }
    read
}

/// Returns the rows and columns under windows.
fn under(Window { size, stride, padding }: Window, read: Field) -> Field {
    [0, 1].map(|axis| {
        let [size, stride, padding] = [size, stride, padding].map(|of| of[axis] as i64);
        let [first, last] = read[axis];
        [first * stride - padding, last * stride - padding + size - 1]
    })
}

/// Returns the rows or columns that a resize along an axis of `from` to `to` positions reads.
fn resized(interpolation: Interpolation, from: i64, to: i64, [first, last]: [i64; 2]) -> [i64; 2] {
    let place = |at: i64| match interpolation {
        Interpolation::Nearest => ((at * from) as f64 / to as f64).floor(),
        Interpolation::Bilinear { align_corners: true } => {
            at as f64 * (from - 1) as f64 / (to - 1).max(1) as f64
        }
        Interpolation::Bilinear { align_corners: false } => {
            (at as f64 + 0.5) * from as f64 / to as f64 - 0.5
        }
    };
    [place(first).floor() as i64, place(last).ceil() as i64]
}

/// Returns the outputs of the stages of a network on `images`, `[N, H, W, C]`. A stage is all layers of one size of the
/// plane. If the network has sums or concatenations, a stage has one of them: so a stem is no stage. The last layer of a
/// stage is the last one through which all later layers read the images.
pub fn stages(tape: &Tape, images: ValueId) -> Vec<ValueId> {
    let mut made_at = vec![usize::MAX; tape.values().len()];
    made_at[images.index()] = 0;
    let (mut ends, mut first_read) = (Vec::new(), usize::MAX);
    for (ix, node) in tape.nodes().iter().enumerate() {
        // A node that reads only weights does not depend on the images.
        if node.inputs.iter().any(|id| made_at[id.index()] != usize::MAX) {
            node.outputs.iter().for_each(|id| made_at[id.index()] = ix + 1);
        }
    }
    for (ix, node) in tape.nodes().iter().enumerate().rev() {
        let value = node.outputs[0];
        if first_read > ix && tape.shape(value).len() == 4 {
            ends.push((node, value));
        }
        let read = node.inputs.iter().map(|id| made_at[id.index()]);
        first_read = read.fold(first_read, usize::min);
    }
    ends.reverse();
    let planes = ends.chunk_by(|(_, a), (_, b)| tape.shape(*a)[1..3] == tape.shape(*b)[1..3]);
    let has = |plane: &[(&Node, ValueId)], ops: &[&str]| {
        plane.iter().any(|(node, _)| ops.contains(&node.op.name()))
    };
    let joins = ["add.forward", "concat.forward", "conv2d.forward"];
    let planes: Vec<_> = planes.collect();
    let is_joined = planes.iter().any(|plane| has(plane, &joins[..2]));
    let of_stage = if is_joined { &joins[..2] } else { &joins[2..] };
    let stages = planes.into_iter().filter(|plane| has(plane, of_stage));
    stages.filter_map(|plane| plane.last()).map(|&(_, value)| value).collect()
}

/// Returns the outputs of the stem, which is the first ReLU or leaky ReLU, and of the stages of a network.
pub fn stem_and_stages(tape: &Tape, images: ValueId) -> Vec<ValueId> {
    let activations = ["relu.forward", "leaky_relu.forward"];
    let stem = tape.nodes().iter().find(|node| activations.contains(&node.op.name()));
    stem.map(|node| node.outputs[0]).into_iter().chain(stages(tape, images)).collect()
}

/// Returns plane and theoretical field, each in rows and columns: after each layer that changes them, with the names
/// `layer 000 conv1: ...`, and after each stage, with the names `stage 1`, `stage 2` and so on.
pub fn fields(config: NetworkConfig) -> Vec<(String, Vec<f64>)> {
    let [h, w, c] = config.network.default_image();
    let mut tape = Tape::new("fields", Mode::Eval);
    let x = tape.input("x", ElementType::F32, &[1, h, w, c]);
    config.record(&mut tape, x);
    let sizes = |value: ValueId| {
        let seen = size(&field(&tape, x, value, middle(&tape, value)));
        [&tape.shape(value)[1..3], &seen].concat().iter().map(|&n| n as f64).collect::<Vec<_>>()
    };
    let has_plane = |value: ValueId| tape.shape(value).len() == 4;
    let mut rows = Vec::new();
    for node in tape.nodes() {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        if has_plane(from) && has_plane(to) && sizes(from) != sizes(to) {
            let (op, _) = node.op.name().split_once('.').unwrap_or_default();
            let name =
                format!("layer {:03} {}: {op} {}", rows.len(), node.scope, node.op.attributes());
            rows.push((name.trim_end().to_string(), sizes(to)));
        }
    }
    let ends = stages(&tape, x).into_iter().enumerate();
    rows.extend(ends.map(|(ix, end)| (format!("stage {}", ix + 1), sizes(end))));
    rows
}

/// Returns the row and the column in the middle of a value's plane.
pub fn middle(tape: &Tape, value: ValueId) -> [usize; 2] {
    [tape.shape(value)[1] / 2, tape.shape(value)[2] / 2]
}
