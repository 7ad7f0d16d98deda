//! Permutations of the lanes of a vector, for the instruction sets that have an instruction for them.

use pulp::Simd;

/// Returns a vector whose lanes are divided into groups of `G`, with number `member` of each group in all lanes of the
/// group; None if the instruction set has no instruction for it. Through an array in memory, such a permutation takes
/// longer than the multiplications of a convolution.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub fn permute_group<S: Simd, const G: usize>(
    simd: S,
    own: S::f32s,
    member: usize,
) -> Option<S::f32s> {
    use std::any::Any;
    use std::array::from_fn;

    use pulp::x86::{V3, V4};
    use pulp::{cast, f32x8, f32x16};

    let token: &dyn Any = &simd;
    if let Some(v4) = token.downcast_ref::<V4>() {
        let own = cast(bytemuck::cast::<_, f32x16>(own));
        let spread = match (G, member) {
            (2, 0) => v4.avx512f._mm512_moveldup_ps(own),
            (2, 1) => v4.avx512f._mm512_movehdup_ps(own),
            (4, 0) => v4.avx512f._mm512_permute_ps::<0b00_00_00_00>(own),
            (4, 1) => v4.avx512f._mm512_permute_ps::<0b01_01_01_01>(own),
            (4, 2) => v4.avx512f._mm512_permute_ps::<0b10_10_10_10>(own),
            (4, 3) => v4.avx512f._mm512_permute_ps::<0b11_11_11_11>(own),
            _ => {
                let ix: [i32; 16] = from_fn(|lane| (lane / G * G + member) as i32);
                v4.avx512f._mm512_permutexvar_ps(cast(ix), own)
            }
        };
        return Some(bytemuck::cast(cast::<_, f32x16>(spread)));
    }
    let v3 = token.downcast_ref::<V3>().filter(|_| G <= 8)?;
    let own = cast(bytemuck::cast::<_, f32x8>(own));
    let ix: [i32; 8] = from_fn(|lane| (lane / G * G + member) as i32);
    let spread = v3.avx2._mm256_permutevar8x32_ps(own, cast(ix));
    Some(bytemuck::cast(cast::<_, f32x8>(spread)))
}

/// Returns None: only the instruction sets of x86-64 are supported.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub fn permute_group<S: Simd, const G: usize>(_: S, _: S::f32s, _: usize) -> Option<S::f32s> {
    None
}
