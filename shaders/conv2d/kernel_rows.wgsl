// Split-K over the rows of the kernel, for a product with too few rows and channels to keep a device busy. Each row of
// the kernel is a split, and shared/sum_partials adds the partial sums. src/ops/conv2d/product.rs decides by shape.

const N_SPLITS: u32 = 1u;

fn first_kernel_row(split: u32) -> u32 {
    return split * KERNEL_H / N_SPLITS;
}
