// Where the product has too few rows and channels to keep a device busy, its sums are cut into parts, one for
// every row of the kernel, and shared/sum_partials adds them up. src/ops/conv2d/product.rs decides, by shape.

const N_SPLITS: u32 = 1u;

fn first_kernel_row(split: u32) -> u32 {
    return split * KERNEL_H / N_SPLITS;
}
