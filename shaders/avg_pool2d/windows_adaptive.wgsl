// The windows of an adaptive pool: window i of n along an axis is i * extent / n, rounded down, to
// (i + 1) * extent / n, rounded up and excluded.

// #import shared/pool_geometry
// #import avg_pool2d/span

// Returns the range of positions, of `n_to`, that meet part `ix` of `n_from` equal parts of an axis.
fn meeting(ix: u32, n_from: u32, n_to: u32) -> vec2<u32> {
    return vec2<u32>(ix * n_to / n_from, ((ix + 1u) * n_to + n_from - 1u) / n_from);
}

fn span(positions: vec2<u32>) -> Span {
    return Span(positions.x, positions.y, positions.y - positions.x);
}

fn rows_of(oy: u32) -> Span {
    return span(meeting(oy, OH, H));
}

fn columns_of(ox: u32) -> Span {
    return span(meeting(ox, OW, W));
}

// The windows that contain a row are found like the rows that a window contains: both meet the same part of the axis.
fn over_row(row: u32) -> vec2<u32> {
    return meeting(row, H, OH);
}

fn over_column(column: u32) -> vec2<u32> {
    return meeting(column, W, OW);
}
