//! Shuffles of the lanes of a vector, for the instruction sets that have an instruction for them.

use pulp::Simd;

/// Returns a vector whose lane l has the number of lane `l ^ MASK` of `v`; None if the instruction set has no instruction
/// for it. `MASK` is 1, 2, 4 or 8, and less than the number of lanes.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub fn shuffle_xor<S: Simd, const MASK: usize>(simd: S, v: S::f32s) -> Option<S::f32s> {
    use std::any::Any;
    use std::array::from_fn;

    use pulp::x86::{V3, V4};
    use pulp::{cast, f32x8, f32x16};

    let token: &dyn Any = &simd;
    if let Some(V4 { avx512f, .. }) = token.downcast_ref() {
        let v = cast(bytemuck::cast::<_, f32x16>(v));
        let shuffled = match MASK {
            1 => avx512f._mm512_permute_ps::<0b10_11_00_01>(v),
            2 => avx512f._mm512_permute_ps::<0b01_00_11_10>(v),
            _ => {
                let ix: [i32; 16] = from_fn(|lane| (lane ^ MASK) as i32);
                avx512f._mm512_permutexvar_ps(cast(ix), v)
            }
        };
        return Some(bytemuck::cast(cast::<_, f32x16>(shuffled)));
    }
    let V3 { avx, .. } = token.downcast_ref()?;
    let v = cast(bytemuck::cast::<_, f32x8>(v));
    let shuffled = match MASK {
        1 => avx._mm256_permute_ps::<0b10_11_00_01>(v),
        2 => avx._mm256_permute_ps::<0b01_00_11_10>(v),
        4 => avx._mm256_permute2f128_ps::<1>(v, v),
        _ => return None,
    };
    Some(bytemuck::cast(cast::<_, f32x8>(shuffled)))
}

/// Returns None: only the instruction sets of x86-64 are supported.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub fn shuffle_xor<S: Simd, const MASK: usize>(_: S, _: S::f32s) -> Option<S::f32s> {
    None
}
