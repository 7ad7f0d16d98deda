// Returns the position in 0..extent that `at` mirrors at the first or the last position, as PyTorch's reflection
// padding does: -1 mirrors 1, extent mirrors extent - 2. `at` is at most extent - 1 positions outside.

fn mirrored(at: i32, extent: u32) -> u32 {
    let last = i32(extent) - 1;
    return u32(last - abs(last - abs(at)));
}
