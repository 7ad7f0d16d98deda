//! Short hashes, to compare the bits of two runs or of two datasets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The first 64 bits of a SHA-256, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Hashes all parts, one after another. The hash includes each part's length, so `["ab"]` and `["a",
    /// "b"]` differ.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Hasher::default();
        for part in parts {
            hash.part(part.len(), [part]);
        }
        hash.finish()
    }

    /// Hashes the bits of flat f32 buffers.
    pub fn of_f32<'a>(buffers: impl IntoIterator<Item = &'a [f32]>) -> Self {
        Self::of(buffers.into_iter().map(bytemuck::cast_slice))
    }
}

/// Hashes parts that are never in memory as a whole, as [`Fingerprint::of`] hashes whole ones.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Hashes a part of `n_bytes` bytes, which are those of its pieces, one after another.
    pub fn part(&mut self, n_bytes: usize, pieces: impl IntoIterator<Item: AsRef<[u8]>>) {
        self.0.update((n_bytes as u64).to_le_bytes());
        pieces.into_iter().for_each(|piece| self.0.update(piece.as_ref()));
    }

    /// Returns the hash of all parts.
    pub fn finish(self) -> Fingerprint {
        let head = self.0.finalize().into_iter().take(8);
        Fingerprint(head.fold(0, |bits, byte| bits << 8 | u64::from(byte)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match u64::from_str_radix(text, 16) {
            Ok(bits) if text.len() == 16 => Ok(Self(bits)),
            _ => Err(format!("{text:?}: not a fingerprint; write 16 hexadecimal digits")),
        }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_every_boundary_between_parts_counts() {
        let base = Fingerprint::of([&b"ab"[..], b"c"]);
        assert_eq!(base, Fingerprint::of([&b"ab"[..], b"c"]));
        for other in [[&b"ab"[..], b"d"], [&b"a"[..], b"bc"], [&b"abc"[..], b""]] {
            assert_ne!(base, Fingerprint::of(other));
        }
        // 0.0 and -0.0 are equal numbers with different bits.
        assert_ne!(Fingerprint::of_f32([&[0.0][..]]), Fingerprint::of_f32([&[-0.0][..]]));
    }

    #[test]
    fn a_fingerprint_is_the_start_of_a_sha_256() {
        // The SHA-256 of an empty input begins with e3b0c44298fc1c14.
        let nothing = Fingerprint::of([]);
        assert_eq!(nothing.to_string(), "e3b0c44298fc1c14");
        assert_eq!(nothing.to_string().parse(), Ok(nothing));
        assert!(
            "e3b0".parse::<Fingerprint>().is_err()
                && "x".repeat(16).parse::<Fingerprint>().is_err()
        );
    }
}
