//! Values from a name and an index. `tests/golden/family/formula.py` computes the same numbers, bit for bit.
//!
//! The key of a tensor is the FNV-1a hash of its name. Element i, counted in PyTorch's order, is word i of SplitMix64 from
//! this key. The upper 24 bits of a word make a number u in -1..1. A value is `(offset + scale · u) as f32`, computed in
//! f64.

use rayon::prelude::*;
use wgrad::tape::{StateBuffer, StateEntry, StateLayout};

use crate::order::Order;

/// The scale of the last batch norm of a residual branch, relative to the others.
const BRANCH_END: f64 = 0.15;
/// The mean shift of the other batch norms. With both numbers, a deep network is well conditioned.
const SHIFT: f64 = 0.5;

fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Returns word number `ix` of the key.
fn word(key: u64, ix: usize) -> u64 {
    let z = key.wrapping_add((ix as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The distribution of the values of a tensor.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Distribution {
    scale: f64,
    offset: f64,
}

impl Distribution {
    /// Mean 0 and variance 1.
    fn unit() -> Self {
        Self { scale: 3_f64.sqrt(), offset: 0.0 }
    }

    /// Returns the distribution of the parameter `name`, with PyTorch's shape. `weight_axes` is the number of axes of the
    /// layer's weight. Batch norms whose names end with one of `branch_ends` stand at the end of a residual branch.
    fn of_parameter(
        name: &str,
        shape: &[usize],
        weight_axes: usize,
        branch_ends: &[String],
    ) -> Self {
        let (layer, which) = name.rsplit_once('.').expect("a layer and a parameter");
        let is_end = branch_ends.iter().any(|end| layer.ends_with(end));
        let factor = if is_end { BRANCH_END } else { 1.0 };
        match (shape, which) {
            ([_, i, h, w], _) => Self { scale: (6.0 / (i * h * w) as f64).sqrt(), offset: 0.0 },
            ([_, i], _) => Self { scale: (3.0 / *i as f64).sqrt(), offset: 0.0 },
            (_, "weight") => Self { scale: 0.25 * factor, offset: factor },
            _ if is_end || weight_axes > 1 => Self { scale: 0.1 * factor, offset: 0.0 },
            _ => Self { scale: 0.1, offset: SHIFT },
        }
    }

    fn value(self, word: u64) -> f32 {
        let u = ((word >> 40) as f64 + 0.5) / f64::from(1 << 23) - 1.0;
        (self.offset + self.scale * u) as f32
    }
}

/// Returns values with mean 0 and variance 1, in the tape's order. `shape` is PyTorch's.
pub fn unit(name: &str, shape: &[usize], order: Order) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    fill(&mut values, name, shape, order, Distribution::unit());
    values
}

/// Returns `n` labels below `classes`.
pub fn labels(name: &str, n: usize, classes: usize) -> Vec<u32> {
    let key = fnv1a(name);
    (0..n).map(|ix| (word(key, ix) % classes as u64) as u32).collect()
}

/// Returns the flat buffer of all parameters.
pub fn parameters(layout: &StateLayout, branch_ends: &[String]) -> Vec<f32> {
    let mut buffer = vec![0.0; layout.n_elements(StateBuffer::Parameters)];
    let (mut rest, mut parts) = (&mut buffer[..], Vec::new());
    let mut at = 0;
    for member in &layout.parameters {
        let (part, after) = rest.split_at_mut(member.range().end - at);
        parts.push((member, &mut part[member.offset - at..]));
        (rest, at) = (after, member.range().end);
    }
    parts.into_par_iter().for_each(|(member, part): (&StateEntry, &mut [f32])| {
        let (order, shape) = Order::of(member);
        let axes = weight_axes(layout, &member.name);
        let distribution = Distribution::of_parameter(&member.name, &shape, axes, branch_ends);
        fill(part, &member.name, &shape, order, distribution);
    });
    buffer
}

/// Returns the number of axes of the weight of the layer that has the parameter `name`.
fn weight_axes(layout: &StateLayout, name: &str) -> usize {
    let layer = name.rsplit_once('.').expect("a layer and a parameter").0;
    layout.find(&format!("{layer}.weight")).expect("a weight").1.shape.len()
}

/// Fills a tensor in the tape's order. `shape` is PyTorch's.
fn fill(values: &mut [f32], name: &str, shape: &[usize], order: Order, of: Distribution) {
    let key = fnv1a(name);
    // In the tape's order, PyTorch's index of the last axis moves in equal steps.
    let (starts, n, step) = order.rows(shape);
    let rows = values.par_chunks_mut(n).zip(starts.into_par_iter());
    rows.for_each(|(row, start)| {
        for (ix, value) in row.iter_mut().enumerate() {
            *value = of.value(word(key, start + ix * step));
        }
    });
}

#[test]
fn the_words_are_those_of_python() {
    let key = fnv1a("layer1.0.conv1.weight");
    let words = [0x721d_90ca_2264_c0ea, 0xd768_d2e7_17cb_9a7f, 0x92bd_f00a_f5cd_cd29];
    assert_eq!([key, word(key, 0), word(key, 1)], words);
    let unit = unit("x0", &[1, 2, 1, 2], Order::Activation);
    let expected =
        [0.01127516757696867_f64, -1.1915853023529053, 1.1289482116699219, -0.09050827473402023];
    assert_eq!(unit, expected.map(|v| v as f32));
}
