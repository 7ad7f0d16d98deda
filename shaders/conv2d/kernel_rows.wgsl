// Split-K over the rows ky of the convolution's kernel, for a product with too few rows and channels to keep a device
// busy. Each ky is a split, and shared/sum_partials adds the partial sums. src/ops/conv2d/product.rs chooses N_SPLITS
// by the shape: KERNEL_H, or 1 for whole sums.

const N_SPLITS: u32 = 1u;

fn first_kernel_row(split: u32) -> u32 {
    return split * KERNEL_H / N_SPLITS;
}
