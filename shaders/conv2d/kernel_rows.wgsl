// The positions (ky, kx) of the convolution's kernel that have a term in a sum, and split-K over the rows ky of these
// positions, for a product with too few rows and channels to keep a device busy. Each ky is a split, and
// shared/sum_partials adds the partial sums. src/ops/conv2d/product.rs chooses N_SPLITS by the shape: the number of
// these ky, or 1 for whole sums.

const N_SPLITS: u32 = 1u;

// The largest number of ky that have a term in one sum.
const KERNEL_ROWS: u32 = (KERNEL_H + POSITION_STEP_H - 1u) / POSITION_STEP_H;

// Returns the number of the first ky of a split, counted among the ky that have a term.
fn first_kernel_row(split: u32) -> u32 {
    return split * KERNEL_ROWS / N_SPLITS;
}

// Returns the number of ky and of kx that have a term, if `first` is the first (ky, kx) that has one.
fn n_positions(first: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(
        (KERNEL_H + POSITION_STEP_H - 1u - first.x) / POSITION_STEP_H,
        (KERNEL_W + POSITION_STEP_W - 1u - first.y) / POSITION_STEP_W,
    );
}
