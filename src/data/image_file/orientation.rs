//! The orientation that a camera writes into a picture's Exif data, or a program into its XMP data.
//!
//! Exif data are a TIFF file: a byte order, the offset of a directory, and a directory with entries of 12 bytes (tag,
//! type, count, value). XMP data are XML.

/// The Exif tag of the orientation.
const TAG: u16 = 0x0112;
/// The Exif types of integers of 16 and of 32 bits, without and with a sign.
const SHORTS: [u16; 2] = [3, 8];
const LONGS: [u16; 2] = [4, 9];

/// The transformation that turns a stored picture upright. See [`Orientation::stored`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Orientation {
    is_mirrored: bool,
    quarter_turns: u8,
}

impl Orientation {
    /// Returns the orientation in a file's Exif data, else in its XMP data; the identity if neither has a valid one.
    pub fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Self {
        let value = exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp));
        value.and_then(Self::of_value).unwrap_or_default()
    }

    /// Returns the orientation for a value of the Exif tag, 1 to 8; None for another value.
    pub fn of_value(value: u32) -> Option<Self> {
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

/// Returns the orientation in Exif data. As in Pillow, the last of several counts.
fn of_exif(mut data: &[u8]) -> Option<u32> {
    while let Some(rest) = data.strip_prefix(b"Exif\0\0") {
        data = rest;
    }
    let is_little = data.starts_with(b"II");
    let number = |bytes: [u8; 4]| {
        if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    };
    let value = |entry: Entry| {
        let bytes: [u8; 4] = *data.get(entry.value_at..)?.first_chunk()?;
        let [b0, b1, ..] = bytes;
        match entry.kind {
            kind if SHORTS.contains(&kind) => {
                Some(number(if is_little { [b0, b1, 0, 0] } else { [0, 0, b0, b1] }))
            }
            kind if LONGS.contains(&kind) => Some(number(bytes)),
            _ => None,
        }
    };
    entries(data).filter(|entry| entry.tag == TAG && entry.count == 1).filter_map(value).last()
}

/// Returns the orientation in XMP data: the digit behind `tiff:Orientation="` or `tiff:Orientation>`.
fn of_xmp(data: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    let ends = data.windows(NAME.len()).enumerate().filter(|(_, name)| *name == NAME);
    let rests = ends.map(|(at, name)| &data[at + name.len()..]);
    let digit = |rest: &[u8]| {
        let rest = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        char::from(*rest.first()?).to_digit(10)
    };
    rests.filter_map(digit).next()
}

/// An entry of the first directory of a TIFF file.
pub(super) struct Entry {
    pub tag: u16,
    /// Type of the value, a number of the TIFF standard.
    pub kind: u16,
    /// Number of values.
    pub count: u32,
    /// Offset of the value, or of its offset if it is longer than 4 bytes.
    pub value_at: usize,
}

/// Returns the whole entries of the first directory of a TIFF file.
pub(super) fn entries(data: &[u8]) -> impl Iterator<Item = Entry> {
    let is_little = data.starts_with(b"II*\0");
    let is_tiff = is_little || data.starts_with(b"MM\0*");
    let u16_at = move |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = move |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = u32_at(4).filter(|_| is_tiff).map_or(usize::MAX, |offset| offset as usize);
    let n = u16_at(directory).unwrap_or(0);
    (0..usize::from(n)).map_while(move |ix| {
        let at = directory + 2 + 12 * ix;
        // The value is read as a whole, so its last byte is there.
        data.get(at..at + 12)?;
        Some(Entry {
            tag: u16_at(at)?,
            kind: u16_at(at + 2)?,
            count: u32_at(at + 4)?,
            value_at: at + 8,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const XMP: &[u8] = b"<rdf:Description tiff:Orientation=\"8\"/>";

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
                data.extend([order(tag), order(SHORTS[0])].concat());
                data.extend(
                    [long(1), [order(value), order(0)].concat().try_into().expect("4")].concat(),
                );
            }
            data
        };
        let little = [b"II*\0", &entries(u16::to_le_bytes, u32::to_le_bytes)[..]].concat();
        let big = [b"MM\0*", &entries(u16::to_be_bytes, u32::to_be_bytes)[..]].concat();
        for data in [little, big] {
            assert_eq!(of_exif(&data), Some(6));
            let expected = Orientation::of_value(6).expect("valid");
            assert_eq!(Orientation::of(Some(&data), Some(XMP)), expected, "Exif goes first");
            // Incomplete data have no orientation.
            assert_eq!(of_exif(&data[..data.len() - 4]), None);
            for n in 0..data.len() {
                of_exif(&data[..n]);
            }
        }
        assert_eq!(of_exif(b"MM\0*\xff\xff\xff\xff"), None);
        assert_eq!(of_xmp(XMP), Some(8));
        assert_eq!(of_xmp(b"<tiff:Orientation>3</tiff:Orientation>"), Some(3));
        assert_eq!(of_xmp(b"tiff:Orientation tiff:Orientation"), None);
    }
}
