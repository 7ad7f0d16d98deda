//! The test cases of conv2d.

use super::{Conv2d, ConvGeometry, conv2d, winograd};
use crate::ops::batch_norm::batch_norm;
use crate::ops::case::{Case, CaseInput, Fill};
use crate::ops::max_pool2d::max_pool2d;
use crate::ops::window::Window;

/// Returns a case of x `[N, H, W, Ci]` and `co` output channels. `pool` is the window size of a max pool, which fusion
/// adds to the convolution.
fn case(x: [usize; 4], co: usize, conv: Conv2d, bias: bool, pool: Option<usize>) -> Case {
    let [kernel_h, kernel_w] = conv.window.size;
    let ci_per_group = x[3] / conv.groups;
    let name = format!("{x:?} -> {co}, {}, bias {bias}", ConvGeometry::attributes(&conv, None));
    let name = pool.map_or(name.clone(), |size| format!("{name}, fused max pool {size}"));
    // The longest sum belongs to the gradient of the weight, with a term for each pixel, or to y or d_x, with a term
    // for each kernel position and channel.
    let reduction = (x[0] * x[1] * x[2]).max(kernel_h * kernel_w * x[3].max(co));
    let case = Case::new(name, reduction, move |tape, inputs| {
        let y = conv2d(tape, inputs[0], inputs[1], inputs.get(2).copied(), conv);
        match pool {
            None => vec![y],
            Some(size) => vec![max_pool2d(tape, y, Window::square(size, size, 0))],
        }
    });
    let weight = [kernel_h, kernel_w, ci_per_group, co];
    let n_fused = usize::from(pool.is_some()) + usize::from(winograd::fits(&conv, &weight));
    let case =
        case.fused(n_fused).real("x", &x, Fill::Normal).real("weight", &weight, Fill::Normal);
    if bias { case.real("bias", &[co], Fill::Normal) } else { case }
}

/// Returns a case of a convolution, a 2x2 max pool if `pool` is true, and a batch norm. After fusion, the convolution
/// computes mean and M2 for the batch norm.
fn norm_case(x: [usize; 4], co: usize, conv: Conv2d, bias: bool, pool: bool) -> Case {
    let Case { name, inputs, reduction, .. } = case(x, co, conv, bias, None);
    let name = format!("{name}{}, mean_m2", if pool { ", fused max pool 2" } else { "" });
    let mut case = Case::new(name, reduction, move |tape, inputs| {
        let [gamma, beta] = [inputs[2], inputs[3]];
        let mut y = conv2d(tape, inputs[0], inputs[1], inputs.get(4).copied(), conv);
        if pool {
            y = max_pool2d(tape, y, Window::square(2, 2, 0));
        }
        vec![batch_norm(tape, y, gamma, beta, 1e-5).y]
    });
    let winograd = winograd::fits(&conv, &inputs[1].shape);
    case = case.fused(1 + usize::from(pool) + usize::from(winograd));
    let mut inputs = inputs.into_iter();
    case.inputs.extend(inputs.by_ref().take(2));
    case = case.real("gamma", &[co], Fill::Normal).real("beta", &[co], Fill::Normal);
    // Batch norm subtracts the bias again, so the gradient of the bias is rounding error alone, and tests do not check
    // it.
    case.inputs.extend(inputs.map(|bias| CaseInput { differentiate: false, ..bias }));
    case
}

/// Returns the test cases of the op.
pub(super) fn cases() -> Vec<Case> {
    let same = Conv2d::square(3, 1, 1);
    let grouped = |groups, stride| Conv2d { groups, ..Conv2d::square(3, stride, 1) };
    let uneven = Window { size: [3, 2], stride: [2, 1], padding: [0, 1] };
    let row = Window { size: [1, 7], stride: [1, 1], padding: [0, 3] };
    let column = Window { size: [7, 1], stride: [1, 1], padding: [3, 0] };
    let others = vec![
        case([2, 6, 7, 3], 8, same, false, None),
        case([3, 5, 6, 8], 20, same, true, None),
        case([2, 4, 4, 20], 12, same, false, None),
        case([2, 7, 5, 5], 7, same, true, None),
        case([2, 9, 8, 4], 6, Conv2d::square(5, 2, 2), true, None),
        case([2, 7, 7, 6], 18, Conv2d::square(1, 2, 0), false, None),
        case([1, 6, 9, 3], 5, Conv2d { window: uneven, groups: 1 }, false, None),
        case([2, 6, 5, 8], 12, grouped(4, 1), true, None),
        case([2, 7, 6, 6], 6, grouped(6, 2), false, None),
        case([2, 6, 8, 8], 12, same, false, Some(2)),
        ties(),
        case([3, 7, 5, 3], 20, same, false, Some(2)),
        case([2, 7, 9, 5], 6, same, false, Some(2)),
        case([2, 6, 7, 4], 8, same, false, Some(3)),
        case([2, 5, 7, 4], 4, grouped(2, 1), false, Some(2)),
        // Shapes with split-K, in the forward pass or in the gradient of the weight.
        case([1, 5, 6, 60], 60, same, false, None),
        case([3, 14, 13, 4], 8, same, false, None),
        case([3, 14, 13, 4], 20, same, false, None),
        // With mean and M2. All partitions of the pixels are full, and there are more channels than a tile has columns.
        norm_case([5, 8, 16, 4], 132, same, false, false),
        // There are more partitions than one invocation merges. The last partition has one row less than the others.
        norm_case([3, 25, 29, 2], 6, Conv2d::square(1, 1, 0), true, false),
        // With a pool. The only partition has one pixel less than a full partition, and there are more channels than a
        // tile has columns.
        norm_case([3, 10, 2, 3], 133, same, false, true),
        // Split-K, where a separate dispatch computes mean and M2.
        norm_case([1, 5, 6, 60], 60, same, false, false),
        // Groups of 1, 2, 4, 8 and 16 channels, with more and fewer channels than the CPU device has lanes.
        case([2, 6, 7, 20], 20, grouped(20, 1), true, None),
        case([2, 7, 6, 6], 6, Conv2d { groups: 6, ..Conv2d::square(5, 2, 2) }, false, None),
        case([1, 9, 7, 24], 24, grouped(12, 1), false, None),
        case([2, 9, 8, 24], 24, grouped(6, 2), true, None),
        case([1, 7, 9, 32], 32, grouped(4, 1), false, None),
        case([1, 9, 7, 32], 32, grouped(2, 2), false, None),
        // A stem of few channels, also with mean and M2, of whole partitions and of others; kernels of 1x1, of one row
        // and of one column.
        norm_case([2, 4, 64, 3], 16, same, false, false),
        norm_case([2, 7, 9, 3], 16, same, true, false),
        case([1, 13, 15, 3], 32, Conv2d::square(7, 2, 3), true, None),
        case([2, 5, 6, 20], 12, Conv2d::square(1, 1, 0), true, None),
        case([1, 6, 9, 5], 6, Conv2d { window: row, groups: 1 }, false, None),
        case([1, 9, 6, 5], 6, Conv2d { window: column, groups: 1 }, false, None),
        // Winograd's algorithm: odd sizes and channels, other paddings, pools, and mean and M2 of whole tasks or not.
        case([2, 13, 11, 65], 127, same, true, None),
        case([2, 13, 12, 64], 129, Conv2d::square(3, 1, 0), false, None),
        case([2, 11, 10, 130], 64, Conv2d::square(3, 1, 2), true, None),
        case([2, 16, 12, 64], 129, same, false, Some(2)),
        case([3, 11, 13, 66], 128, same, false, Some(2)),
        norm_case([3, 16, 16, 64], 130, same, true, false),
        norm_case([3, 16, 16, 64], 130, same, false, true),
        norm_case([3, 9, 11, 64], 129, same, false, false),
        // Several parts of the sums of the gradient of the weight, and rows of zeros in each.
        case([5, 17, 18, 64], 128, same, false, None),
        // The same with a pool.
        case([5, 18, 18, 64], 128, same, false, Some(2)),
        // Two images begin at a multiple of 256 bytes, so an adapter with small bindings has chunks of two.
        case([5, 9, 9, 96], 128, same, false, None),
    ];
    let for_cpu = dense_cases().into_iter().chain(narrow_cases()).map(Case::for_cpu);
    block_cases().into_iter().chain(others).chain(family_cases()).chain(for_cpu).collect()
}

/// Returns cases in one group that the CPU device computes directly, and their neighbours, which it computes by matrix
/// products: those of more than 48 channels (64 for the gradient of the weight), and of rows that tiles do not fit.
fn dense_cases() -> Vec<Case> {
    let same = Conv2d::square(3, 1, 1);
    let strided = Conv2d::square(3, 2, 1);
    let line = Window { size: [1, 7], stride: [1, 1], padding: [0, 3] };
    vec![
        // Planes that tiles of 16, 14, 8 and 7 pixels cover, for blocks of one, two and three vectors of channels. The
        // last block has channels for all lanes or not.
        case([1, 4, 32, 16], 16, same, false, None),
        case([2, 3, 14, 13], 16, same, true, None),
        case([1, 5, 24, 11], 9, same, false, None),
        case([2, 7, 7, 16], 32, same, false, None),
        case([2, 3, 8, 30], 29, same, false, None),
        case([1, 6, 21, 48], 48, same, false, None),
        case([2, 9, 15, 40], 41, same, true, None),
        case([2, 8, 4, 64], 64, same, false, None),
        case([1, 5, 4, 33], 12, same, false, None),
        case([2, 9, 13, 24], 20, strided, true, None),
        case([2, 16, 16, 16], 32, strided, false, None),
        case([1, 9, 14, 32], 64, Conv2d::square(5, 2, 2), false, None),
        norm_case([4, 8, 16, 20], 40, same, true, false),
        norm_case([3, 7, 13, 16], 24, strided, false, false),
        // Fused pools, whose windows cover all pixels or not.
        case([3, 8, 14, 16], 24, same, false, Some(2)),
        case([2, 9, 15, 20], 32, strided, false, Some(2)),
        case([1, 7, 15, 33], 48, same, false, Some(3)),
        norm_case([4, 16, 16, 16], 32, same, false, true),
        // Matrix products where the direct convolution would have tiles without use, or its gradient of the weight too few
        // pixels.
        case([2, 9, 17, 40], 41, same, true, None),
        case([1, 5, 2, 33], 80, same, false, None),
        // Matrix products, with a stride, a pool, and mean and M2.
        case([1, 5, 6, 68], 68, same, true, None),
        case([2, 7, 6, 68], 72, strided, false, None),
        case([2, 7, 9, 68], 68, same, false, Some(2)),
        norm_case([3, 9, 8, 68], 68, same, false, false),
        norm_case([5, 8, 16, 68], 68, same, false, true),
        case([1, 6, 9, 68], 70, Conv2d { window: line, groups: 1 }, false, None),
        // Few pixels and many channels, where a task of the gradient of the input computes channels. The last task has
        // fewer channels than the others; strides have phases of different sizes, and phases without a term.
        case([2, 5, 6, 204], 70, same, true, None),
        case([2, 5, 7, 193], 70, strided, false, None),
        case([2, 5, 7, 240], 530, Conv2d::square(1, 2, 0), false, None),
        case([2, 3, 4, 200], 72, Conv2d::square(1, 1, 0), false, None),
    ]
}

/// Returns cases of groups of 8 and 16 channels with enough pixels for the kernels of narrow groups. Software adapters
/// compile them for seconds.
fn block_cases() -> Vec<Case> {
    let grouped = |groups, stride| Conv2d { groups, ..Conv2d::square(3, stride, 1) };
    vec![
        case([2, 9, 17, 24], 24, grouped(3, 1), true, None),
        case([2, 37, 18, 16], 16, grouped(2, 2), false, None),
        // Four splits of 12, 12, 12 and 9 blocks, two of them in one subgroup, and two rows of blocks in a plane.
        case([3, 19, 30, 16], 16, grouped(2, 1), false, None),
        // Groups of 7 and 6 channels, which are padded to 8.
        case([4, 9, 9, 14], 12, grouped(2, 1), true, None),
        case([2, 25, 22, 48], 48, grouped(3, 2), false, None),
        norm_case([2, 13, 11, 16], 16, grouped(2, 1), false, false),
    ]
}

/// Returns cases of groups that the CPU device computes directly: in place, packed, and at the borders of planes.
fn narrow_cases() -> Vec<Case> {
    let grouped =
        |groups, size, stride, padding| Conv2d { groups, window: Window { size, stride, padding } };
    let square = |groups, size: usize, stride: usize, padding: usize| {
        grouped(groups, [size; 2], [stride; 2], [padding; 2])
    };
    vec![
        // Phases of 2 and 1 columns, and the other way round; strides along one axis.
        case([2, 7, 6, 32], 32, square(4, 3, 2, 0), false, None),
        case([2, 9, 8, 32], 32, square(4, 3, 2, 1), true, None),
        case([1, 7, 9, 32], 32, grouped(4, [3, 3], [2, 1], [1, 1]), false, None),
        case([1, 7, 9, 32], 32, grouped(8, [3, 3], [1, 2], [1, 1]), false, None),
        // Padding that no kernel of the family has, and phases without taps.
        case([1, 5, 6, 32], 32, square(2, 3, 1, 2), false, None),
        case([2, 6, 9, 16], 16, square(8, 1, 2, 0), false, None),
        // Kernels that are not 3 columns wide. The row of the second is shorter than a tile.
        case([1, 5, 9, 16], 16, square(16, 5, 2, 2), false, None),
        case([1, 6, 2, 16], 16, grouped(2, [1, 7], [1, 1], [0, 3]), false, None),
        case([2, 5, 7, 32], 32, square(2, 1, 1, 0), false, None),
        case([1, 6, 7, 32], 32, square(2, 5, 1, 2), false, None),
        // Packed: a pool's gradient, and blocks with fewer channels than lanes.
        case([2, 9, 9, 32], 32, square(4, 3, 2, 1), false, Some(2)),
        case([2, 7, 8, 48], 48, square(3, 3, 1, 1), false, Some(2)),
        // Packed in tasks of thirteen and twelve blocks, and of wide groups in blocks of three and two.
        case([1, 7, 7, 392], 392, square(392, 3, 1, 1), false, None),
        case([1, 6, 7, 60], 60, square(5, 3, 1, 1), false, None),
        case([1, 6, 7, 125], 125, square(5, 3, 1, 1), false, None),
    ]
}

/// Returns cases with the groups, strides and kernels of the networks, on small and uneven planes.
fn family_cases() -> Vec<Case> {
    let grouped = |groups, kernel_size, stride| {
        let padding = kernel_size / 2;
        Conv2d { groups, ..Conv2d::square(kernel_size, stride, padding) }
    };
    let line =
        |size, padding| Conv2d { window: Window { size, stride: [1, 1], padding }, groups: 1 };
    vec![
        // Strides, where d_input divides the pixels into phases. The first has split-K, and the third has phases without
        // a term.
        case([1, 7, 6, 60], 60, Conv2d::square(3, 2, 1), false, None),
        case([3, 9, 8, 8], 12, Conv2d::square(3, 2, 1), true, None),
        case([2, 6, 7, 12], 8, Conv2d::square(1, 2, 0), false, None),
        case([2, 13, 14, 3], 8, Conv2d::square(7, 2, 3), false, None),
        case([2, 10, 8, 8], 12, Conv2d::square(5, 3, 2), false, None),
        case([2, 6, 9, 8], 8, line([1, 7], [0, 3]), false, None),
        case([2, 9, 6, 8], 8, line([7, 1], [3, 0]), false, None),
        // Narrow groups, of 4, 2 and 1 channels.
        case([2, 9, 11, 16], 16, grouped(4, 3, 1), true, None),
        case([2, 9, 12, 8], 8, grouped(2, 3, 2), false, None),
        case([3, 7, 5, 16], 16, grouped(8, 3, 2), false, None),
        case([2, 6, 9, 6], 6, grouped(3, 3, 1), false, None),
        case([1, 40, 14, 8], 8, grouped(8, 3, 1), true, None),
        case([2, 11, 9, 36], 36, grouped(36, 5, 2), false, None),
        case([2, 8, 8, 5], 5, grouped(5, 3, 1), false, None),
        // Nine phases.
        case([2, 10, 8, 8], 8, grouped(2, 5, 3), false, None),
        norm_case([3, 9, 8, 8], 8, grouped(2, 3, 1), false, false),
        // Groups that are padded to 4 channels.
        case([2, 6, 9, 9], 9, grouped(3, 3, 1), true, None),
        case([1, 7, 6, 5], 10, grouped(5, 3, 2), false, None),
        // The gradient of the weight has tasks of thirteen and of twelve blocks on the CPU device, in place; a 7x7 kernel.
        case([2, 14, 14, 400], 400, grouped(400, 3, 2), false, None),
        case([4, 7, 7, 208], 208, grouped(13, 7, 1), false, None),
        // Few pixels, for which a GPU has up to 64 invocations along the channels.
        case([1, 2, 3, 68], 128, Conv2d::square(3, 1, 1), true, None),
        case([2, 4, 4, 96], 72, Conv2d::square(3, 2, 1), false, None),
        case([1, 3, 3, 64], 64, grouped(8, 3, 1), false, None),
        norm_case([2, 3, 5, 64], 96, Conv2d::square(3, 1, 1), true, false),
        // Wider groups. Those of the last two fill tiles of 64 and of 128 columns.
        case([2, 6, 7, 16], 16, grouped(2, 3, 1), true, None),
        case([2, 7, 6, 16], 32, grouped(2, 3, 2), false, None),
        case([2, 5, 6, 48], 48, grouped(2, 1, 2), false, None),
        norm_case([3, 9, 8, 32], 32, grouped(2, 3, 1), false, false),
        case([2, 6, 6, 32], 32, grouped(2, 3, 1), false, Some(2)),
        case([2, 7, 5, 128], 128, grouped(2, 3, 2), false, None),
        case([2, 5, 5, 256], 256, grouped(2, 1, 1), false, None),
        // Uneven groups, which are padded: of 5 and 6 channels, and of 25.
        case([2, 7, 5, 15], 18, grouped(3, 3, 2), true, None),
        norm_case([2, 9, 8, 50], 50, grouped(2, 3, 1), false, false),
        // Groups of 28, where four invocations share reads and each group has an idle one, and of 24, whose weight's
        // gradient has two splits of an odd number of blocks of rows.
        case([2, 6, 5, 56], 56, grouped(2, 3, 1), true, None),
        case([1, 23, 25, 48], 48, grouped(2, 3, 1), false, None),
        // Groups of 50 channels are blocks of 32 and of 18 channels on the CPU device.
        case([1, 6, 7, 100], 100, grouped(2, 3, 1), false, None),
    ]
}

/// Returns a case whose inputs are multiples of 0.5. Windows of the fused pool have several equal maxima, and the sums
/// are exact.
fn ties() -> Case {
    let mut case = case([2, 6, 8, 8], 12, Conv2d::square(1, 1, 0), false, Some(2));
    case.name += ", ties";
    case.inputs.iter_mut().for_each(|input| input.fill = Fill::Coarse);
    case
}
