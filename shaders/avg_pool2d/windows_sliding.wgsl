// The windows of a pool, clipped to the plane. Without COUNT_INCLUDE_PAD, the padding does not count in the mean. The
// part of a window beyond the padded plane never counts.

// #import shared/pool_geometry
// #import avg_pool2d/span

const COUNT_INCLUDE_PAD: bool = true;

// Returns a window along one axis of `extent` positions. `start` and `end` are positions in the padded plane.
fn span(window: u32, size: u32, stride: u32, padding: u32, extent: u32) -> Span {
    let start = window * stride;
    let end = min(start + size, extent + 2u * padding);
    let first = max(start, padding) - padding;
    let last = min(end, extent + padding) - padding;
    return Span(first, last, select(last - first, end - start, COUNT_INCLUDE_PAD));
}

fn rows_of(oy: u32) -> Span {
    return span(oy, KERNEL_H, STRIDE_H, PADDING_H, H);
}

fn columns_of(ox: u32) -> Span {
    return span(ox, KERNEL_W, STRIDE_W, PADDING_W, W);
}

// Returns the first of `n_windows` windows that contain a position along one axis, and the end after the last one. A
// window contains the position if it begins at most size - 1 positions before it.
fn over(position: u32, size: u32, stride: u32, padding: u32, n_windows: u32) -> vec2<u32> {
    let padded = position + padding;
    return vec2<u32>(
        (max(padded + stride, size) - size) / stride,
        min(padded / stride + 1u, n_windows),
    );
}

fn over_row(row: u32) -> vec2<u32> {
    return over(row, KERNEL_H, STRIDE_H, PADDING_H, OH);
}

fn over_column(column: u32) -> vec2<u32> {
    return over(column, KERNEL_W, STRIDE_W, PADDING_W, OW);
}
