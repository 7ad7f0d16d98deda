// The windows of a blur pool along one axis: window o has the positions 2 * o - 1, 2 * o and 2 * o + 1, mirrored at the
// border.

// #import shared/mirrored

// Returns the row or column under position `tap` of a window, along an axis of `extent` positions.
fn source(window: u32, tap: u32, extent: u32) -> u32 {
    return mirrored(i32(2u * window + tap) - 1, extent);
}
