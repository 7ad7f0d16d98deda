//! The packed weight of the forward pass and of the gradient of the input.

use super::correlate::Direct;
use super::row::run_taps;
use crate::kernel::Real;
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::kernel::cpu::prefetch::Ahead;

impl Direct {
    /// Packs the weight `[KH, KW, Ci/groups, Co]`, block after block and phase after phase. Within a phase, the layout
    /// is `[rows, runs, members, columns of a run, lanes]` for narrow groups, and `[rows, columns, from, lanes]` for wide ones.
    pub fn pack_weight<'a, T: Real>(&self, weight: &[T], scratch: &'a mut [T]) -> &'a [T] {
        let packed = &mut scratch[..self.packed_weight()];
        for_each_chunk(packed, self.block_elements(), &|block, packed| {
            packed.fill(T::ZERO);
            let mut rest = packed;
            for (rows, columns) in self.phase_pairs() {
                for row in 0..rows.taps {
                    let these;
                    (these, rest) = rest.split_at_mut(columns.taps * self.blocks.tap());
                    for column in 0..columns.taps {
                        let at = [rows.kernel(row), columns.kernel(column)];
                        let places = match self.blocks.is_narrow {
                            true => {
                                let n = run_taps(columns.taps, columns.stride);
                                [column / n * n * self.blocks.from + column % n, n]
                            }
                            false => [column * self.blocks.from, 1],
                        };
                        self.pack_tap(weight, at, block, places, these);
                    }
                }
            }
        });
        packed
    }

    /// Packs the weight at a position of the kernel for a block. `first` is the place of the lanes for the first channel
    /// of the source, and `step` the distance to the place for the next one.
    fn pack_tap<T: Real>(
        &self,
        weight: &[T],
        [ky, kx]: [usize; 2],
        block: usize,
        [first, step]: [usize; 2],
        packed: &mut [T],
    ) {
        let (g, size) = (&self.g, self.blocks.size);
        let channels = self.blocks.channels(block);
        let position = (ky * g.window.size[1] + kx) * g.ci_per_group();
        let rows = &weight[position * g.co..][..g.ci_per_group() * g.co];
        let columns = |block: usize| match self.is_forward {
            true => self.blocks.channels(block),
            false => self.blocks.sources(block),
        };
        // Blocks of one group have the same sources.
        if block + 1 < self.blocks.count() && columns(block + 1) != columns(block) {
            Ahead::new(rows, g.co, columns(block + 1), 1).prefetch(0);
        }
        if self.blocks.is_narrow {
            for member in 0..self.blocks.from {
                let packed = &mut packed[(first + member * step) * size..][..channels.len()];
                for (lane, weight) in packed.iter_mut().enumerate() {
                    let (lane, other) = (channels.start + lane, channels.start + (lane ^ member));
                    // The lanes are channels of the source, or those of the result in pairs of pixels.
                    let is_ci = self.is_forward || self.is_paired;
                    let [ci, co] = if is_ci { [lane, other] } else { [other, lane] };
                    *weight = rows[ci % self.blocks.from * g.co + co];
                }
            }
            return;
        }
        if self.is_forward {
            for from in 0..self.blocks.from {
                let weight = &rows[from * g.co..][channels.clone()];
                packed[(first + from * step) * size..][..channels.len()].copy_from_slice(weight);
            }
            return;
        }
        for (lane, to) in channels.enumerate() {
            let (group, to) = (to / self.blocks.to, to % self.blocks.to);
            let start = to * g.co + group * self.blocks.from;
            for (from, &weight) in rows[start..][..self.blocks.from].iter().enumerate() {
                packed[(first + from * step) * size + lane] = weight;
            }
        }
    }
}
