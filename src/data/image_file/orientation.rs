//! The orientation that a camera writes into a picture's Exif data.
//!
//! Exif data are a TIFF file: a byte order, the offset of a directory, and a directory with entries of 12 bytes (tag,
//! type, count, value).

/// The Exif tag of the orientation.
const TAG: u16 = 0x0112;
/// The Exif type of a value of 16 bits.
const SHORT: u16 = 3;

/// The transformation that turns a stored picture upright. See [`Orientation::stored`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Orientation {
    is_mirrored: bool,
    quarter_turns: u8,
}

impl Orientation {
    /// Returns the orientation for a value of the Exif tag, 1 to 8; None for another value.
    pub fn of_value(value: u16) -> Option<Self> {
        let (is_mirrored, quarter_turns) = match value {
            1 => (false, 0),
            2 => (true, 0),
            3 => (false, 2),
            4 => (true, 2),
            5 => (true, 3),
            6 => (false, 1),
            7 => (true, 1),
            8 => (false, 3),
            _ => return None,
        };
        Some(Self { is_mirrored, quarter_turns })
    }

    /// Returns the orientation in Exif data; the identity if the data have no valid orientation.
    pub fn of_exif(data: &[u8]) -> Self {
        find(data).and_then(Self::of_value).unwrap_or_default()
    }

    /// Returns true if the transformation exchanges width and height.
    pub fn is_on_its_side(self) -> bool {
        self.quarter_turns % 2 == 1
    }

    /// Returns the position of pixel `[x, y]` of the upright picture in a stored picture of the given size.
    pub fn stored(self, [width, height]: [u32; 2], [x, y]: [u32; 2]) -> [u32; 2] {
        let [x, y] = match self.quarter_turns {
            0 => [x, y],
            1 => [y, height - 1 - x],
            2 => [width - 1 - x, height - 1 - y],
            _ => [width - 1 - y, x],
        };
        [if self.is_mirrored { width - 1 - x } else { x }, y]
    }
}

/// Returns the value of the first entry with the orientation tag in the first directory; None without such an entry.
fn find(data: &[u8]) -> Option<u16> {
    let is_little = match data.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    for ix in 0..usize::from(u16_at(directory)?) {
        let entry = directory + 2 + 12 * ix;
        if (u16_at(entry)?, u16_at(entry + 2)?, u32_at(entry + 4)?) == (TAG, SHORT, 1) {
            return u16_at(entry + 8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the Exif standard, for a picture of 2x3 numbered pixels: the upright picture, and the stored
    /// picture for each of the eight values.
    #[test]
    fn all_eight_values_turn_a_picture_upright() {
        let upright = [[0, 1], [2, 3], [4, 5]];
        let pixel = |[x, y]: [u32; 2]| upright[y as usize][x as usize];
        for (value, rows) in [
            (1, vec![vec![0, 1], vec![2, 3], vec![4, 5]]),
            (2, vec![vec![1, 0], vec![3, 2], vec![5, 4]]),
            (3, vec![vec![5, 4], vec![3, 2], vec![1, 0]]),
            (4, vec![vec![4, 5], vec![2, 3], vec![0, 1]]),
            (5, vec![vec![0, 2, 4], vec![1, 3, 5]]),
            (6, vec![vec![1, 3, 5], vec![0, 2, 4]]),
            (7, vec![vec![5, 3, 1], vec![4, 2, 0]]),
            (8, vec![vec![4, 2, 0], vec![5, 3, 1]]),
        ] {
            let orientation = Orientation::of_value(value).expect("a valid value");
            let size = [rows[0].len() as u32, rows.len() as u32];
            assert_eq!(orientation.is_on_its_side(), size == [3, 2], "{value}");
            for at in [0, 1, 2].into_iter().flat_map(|y| [[0, y], [1, y]]) {
                let [x, y] = orientation.stored(size, at);
                assert_eq!(rows[y as usize][x as usize], pixel(at), "{value}, {at:?}");
            }
        }
    }

    #[test]
    fn an_orientation_is_found_in_both_byte_orders() {
        let entries = |order: fn(u16) -> [u8; 2], long: fn(u32) -> [u8; 4]| {
            let mut data = Vec::new();
            data.extend(long(8));
            data.extend(order(2));
            for (tag, value) in [(0x0110, 9), (TAG, 6)] {
                data.extend([order(tag), order(SHORT)].concat());
                data.extend(
                    [long(1), [order(value), order(0)].concat().try_into().expect("4")].concat(),
                );
            }
            data
        };
        let little = [b"II*\0", &entries(u16::to_le_bytes, u32::to_le_bytes)[..]].concat();
        let big = [b"MM\0*", &entries(u16::to_be_bytes, u32::to_be_bytes)[..]].concat();
        for data in [little, big] {
            assert_eq!(find(&data), Some(6));
            assert_eq!(Orientation::of_exif(&data), Orientation::of_value(6).expect("valid"));
            // Incomplete data have no orientation.
            assert_eq!(find(&data[..data.len() - 4]), None);
            for n in 0..data.len() {
                Orientation::of_exif(&data[..n]);
            }
        }
        assert_eq!(Orientation::of_exif(b"MM\0*\xff\xff\xff\xff"), Orientation::default());
    }
}
