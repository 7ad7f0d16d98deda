//! The operations between the ranks of a run.

/// One rank's connection to the others. Each rank calls the same operations in the same order. An operation does not
/// return an error: a rank that fails ends all ranks.
pub trait Ranks {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Sends and receives slices. Each entry has the other rank and the slice. The slices between two ranks arrive in the
    /// order of the lists, and their lengths are equal on both sides.
    fn exchange(&self, sends: &[(usize, &[f32])], receives: &mut [(usize, &mut [f32])]);

    /// Returns the bytes of every rank, in the order of ranks. The lengths may differ.
    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// Waits until all ranks have called it, however long one of them takes.
    fn barrier(&self) {
        self.all_gather(&[]);
    }

    /// Waits until all ranks have called it, such as after the first rank has written files. Unlike in [`Ranks::barrier`], a
    /// rank that hangs ends all.
    fn wait_for_files(&self) {
        self.all_gather(&[]);
    }

    /// Returns the number of every rank, in the order of ranks. The cheapest operation.
    fn all_numbers(&self, number: u64) -> Vec<u64> {
        let all = self.all_gather(&number.to_le_bytes());
        all.iter().map(|bytes| bytes.as_slice().try_into().map_or(0, u64::from_le_bytes)).collect()
    }

    /// Returns the bits that are set on any rank.
    fn any(&self, bits: u64) -> u64 {
        self.all_numbers(bits).iter().fold(0, |any, bits| any | bits)
    }

    /// Returns the number of the first rank, such as a time on which all ranks decide alike.
    fn of_first(&self, number: f64) -> f64 {
        f64::from_bits(self.all_numbers(number.to_bits())[0])
    }

    /// Returns the seconds in which this rank has waited for others so far, and the bytes that it has sent.
    fn traffic(&self) -> (f64, u64) {
        (0.0, 0)
    }

    /// Returns the seconds since a fixed moment. Code that shares work needs no other clock.
    fn seconds(&self) -> f64 {
        0.0
    }
}
