// The geometry of a window that slides over rows and columns. `Window` in src/ops/window.rs has the same numbers, and
// the launch replaces every value.

const KERNEL_H: u32 = 1u;
const KERNEL_W: u32 = 1u;
const STRIDE_H: u32 = 1u;
const STRIDE_W: u32 = 1u;
const PADDING_H: u32 = 0u;
const PADDING_W: u32 = 0u;
