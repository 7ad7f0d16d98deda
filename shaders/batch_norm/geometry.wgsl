// The shape of a batch norm's elementwise kernels: x [rows, CHANNELS], where the rows are all axes except the last. The
// number of rows follows from the length of a buffer, so batch norms of the same channels share a pipeline. The launch
// replaces every value.

const CHANNELS: u32 = 1u;
const EPS: f32 = 1e-5;
