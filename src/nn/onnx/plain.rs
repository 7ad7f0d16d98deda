//! The ops that are one operator of ONNX with the same inputs.

use std::any::Any;

use super::graph::{of_f32, of_int, of_ints};
use super::proto::Attribute;
use crate::ops::add::Add;
use crate::ops::avg_pool2d::{AvgPool2d, Windows};
use crate::ops::batch_norm::BatchNormEval;
use crate::ops::concat::Concat;
use crate::ops::conv2d::Conv2dForward;
use crate::ops::flatten::Flatten;
use crate::ops::leaky_relu::LeakyRelu;
use crate::ops::linear::Linear;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::mul::Mul;
use crate::ops::relu::Relu;
use crate::ops::sigmoid::Sigmoid;
use crate::ops::space_to_depth::SpaceToDepth;
use crate::ops::{Pool, Window};

/// The name of an operator, and its attributes.
type Plain = (&'static str, Vec<Attribute>);

/// Returns the operator for an op whose first input has the shape `x_shape`; None for an op that is not one operator with
/// the same inputs.
pub fn plain(op: &dyn Any, x_shape: &[usize]) -> Option<Plain> {
    if let Some(conv) = op.downcast_ref::<Conv2dForward>() {
        let is_plain = conv.pool.is_none() && !conv.mean_m2;
        return is_plain.then(|| ("Conv", convolution(&conv.conv.window, conv.conv.groups)));
    }
    if let Some(norm) = op.downcast_ref::<BatchNormEval>() {
        return Some(("BatchNormalization", vec![of_f32("epsilon", norm.eps)]));
    }
    if let Some(relu) = op.downcast_ref::<LeakyRelu>() {
        return Some(("LeakyRelu", vec![of_f32("alpha", relu.slope)]));
    }
    if let Some(flatten) = op.downcast_ref::<Flatten>() {
        return (!flatten.backward).then(|| ("Flatten", vec![of_int("axis", 1)]));
    }
    if let Some(depth) = op.downcast_ref::<SpaceToDepth>() {
        return (!depth.backward).then(|| ("SpaceToDepth", vec![of_int("blocksize", depth.block)]));
    }
    if let Some(pool) = op.downcast_ref::<MaxPool2d>() {
        return Some(max_pool(&pool.pool, x_shape));
    }
    if let Some(pool) = op.downcast_ref::<AvgPool2d>() {
        return avg_pool(&pool.windows, x_shape);
    }
    if op.is::<Linear>() {
        return Some(("Gemm", vec![of_int("transB", 1)]));
    }
    if op.is::<Concat>() {
        return Some(("Concat", vec![of_int("axis", 1)]));
    }
    let of_elements = [
        ("Relu", op.is::<Relu>()),
        ("Sigmoid", op.is::<Sigmoid>()),
        ("Add", op.is::<Add>()),
        ("Mul", op.is::<Mul>()),
    ];
    of_elements.into_iter().find(|(_, is_it)| *is_it).map(|(name, _)| (name, vec![]))
}

/// Returns the attributes of a window. `ends` has the rows of padding below the plane, and the columns right of it.
fn window(window: &Window, ends: [usize; 2]) -> Vec<Attribute> {
    let Window { size, stride, padding } = window;
    vec![
        of_ints("kernel_shape", size),
        of_ints("strides", stride),
        of_ints("pads", &[*padding, ends].concat()),
    ]
}

/// Returns the attributes of a convolution.
pub fn convolution(of: &Window, groups: usize) -> Vec<Attribute> {
    let mut attributes = window(of, of.padding);
    attributes.push(of_int("group", groups));
    attributes
}

/// Returns true if the only window of a pool is the whole plane.
fn is_global(pool: &Pool, plane: [usize; 2]) -> bool {
    pool.window.size == plane && pool.window.padding == [0, 0] && pool.output(plane) == [1, 1]
}

/// Returns the padding below and right of a plane with which ONNX has the windows of a pool. Runtimes differ in
/// `ceil_mode`, so the padding reaches the end of the last window instead.
fn ends(pool: &Pool, plane: [usize; 2]) -> [usize; 2] {
    let Window { size, stride, padding } = pool.window;
    if !pool.ceil_mode {
        return padding;
    }
    let out = pool.output(plane);
    let end = |axis: usize| (out[axis] - 1) * stride[axis] + size[axis];
    [0, 1].map(|axis| end(axis).saturating_sub(plane[axis] + padding[axis]))
}

fn max_pool(pool: &Pool, x_shape: &[usize]) -> Plain {
    let plane = [x_shape[1], x_shape[2]];
    if is_global(pool, plane) {
        return ("GlobalMaxPool", vec![]);
    }
    ("MaxPool", window(&pool.window, ends(pool, plane)))
}

/// Returns None for windows whose divisors ONNX does not have.
fn avg_pool(windows: &Windows, x_shape: &[usize]) -> Option<Plain> {
    let plane = [x_shape[1], x_shape[2]];
    let Windows::Sliding { pool, count_include_pad } = windows else { return None };
    if is_global(pool, plane) {
        return Some(("GlobalAveragePool", vec![]));
    }
    let (padding, ends) = (pool.window.padding, ends(pool, plane));
    // The part of a window beyond the padded plane never counts in the mean.
    let counts = *count_include_pad && padding != [0, 0];
    if counts && (0..2).any(|axis| ends[axis] > padding[axis]) {
        return None;
    }
    let mut attributes = window(&pool.window, ends);
    attributes.push(of_int("count_include_pad", counts.into()));
    Some(("AveragePool", attributes))
}
