//! BMP pictures, written out because the decoders in crates read other pixels than Pillow (docs/decisions.md).
//!
//! A file has a header of 14 bytes, a second header whose first number is its size, up to 256 colours, and the rows,
//! padded to multiples of 4 bytes. The last row comes first, unless the height is negative.

use super::Check;
use super::orientation::Orientation;
use super::stored::{Stored, coloured, damaged, unpacked};

const UNCOMPRESSED: u32 = 0;
const RUNS_OF_BYTES: u32 = 1;
const RUNS_OF_HALF_BYTES: u32 = 2;
const BIT_FIELDS: u32 = 3;

/// Decodes a BMP. `check` tests width and height before memory is allocated for the pixels.
///
/// # Errors
/// If the file is damaged or holds a JPEG or PNG, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let head = Head::of(bytes).ok_or_else(|| damaged("an incomplete or unknown header"))?;
    let size @ [width, height] = head.size;
    if width == 0 || height == 0 {
        return Err(damaged(format!("{width}x{height} pixels")));
    }
    check(size)?;
    let [width, height] = [width as usize, height as usize];
    let data = bytes.get(head.pixels..).unwrap_or_default();
    let stride = (width * head.bits as usize).div_ceil(32) * 4;
    let enough = |n: usize| data.get(..n).ok_or_else(|| damaged("the pixels are incomplete"));
    let (row, samples) = match (head.compression, head.bits) {
        (UNCOMPRESSED, 1 | 4 | 8) => {
            let indices = unpacked(enough(stride * height)?, head.bits, width, stride);
            (3 * width, coloured(&indices, &head.palette))
        }
        (RUNS_OF_BYTES, 8) | (RUNS_OF_HALF_BYTES, 4) => {
            let indices = run_lengths(data, [width, height], head.bits == 4);
            let indices = indices.ok_or_else(|| damaged("the pixels are incomplete"))?;
            (3 * width, coloured(&indices, &head.palette))
        }
        (UNCOMPRESSED | BIT_FIELDS, n @ (16 | 24 | 32)) => {
            let channels = if head.masks[3] == 0 { 3 } else { 4 };
            let fields = head.masks[..channels].iter().map(|&mask| Field::of(mask));
            let fields: Vec<Field> = fields.collect();
            let n_bytes = n as usize / 8;
            let mut samples = Vec::with_capacity(width * height * channels);
            for row in enough(stride * height)?.chunks_exact(stride) {
                for pixel in row[..n_bytes * width].chunks_exact(n_bytes) {
                    let mut value = [0; 4];
                    value[..n_bytes].copy_from_slice(pixel);
                    let value = u32::from_le_bytes(value);
                    samples.extend(fields.iter().map(|field| field.value(value)));
                }
            }
            (channels * width, samples)
        }
        (compression, bits) => {
            return Err(damaged(format!("compression {compression} of {bits} bits per pixel")));
        }
    };
    let channels = row / width;
    let samples = match head.is_top_down {
        true => samples,
        false => samples.chunks_exact(row).rev().flatten().copied().collect(),
    };
    Ok(Stored { size, channels, samples, orientation: Orientation::default() })
}

/// The headers and the palette.
struct Head {
    size: [u32; 2],
    is_top_down: bool,
    /// Number of bits of a pixel.
    bits: u32,
    compression: u32,
    /// Bits of red, green, blue and opacity in a pixel; 0 if the picture has no opacity.
    masks: [u32; 4],
    palette: Vec<[u8; 3]>,
    /// Offset of the rows in the file.
    pixels: usize,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        let u16_at =
            |at: usize| Some(u32::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
        let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let n = u32_at(14)?;
        let (size, bits, compression, n_colours, colour_bytes) = match n {
            12 => ([u16_at(18)?, u16_at(20)?], u16_at(24)?, UNCOMPRESSED, 0, 3),
            40 | 52 | 56 | 64 | 108 | 124 => {
                ([u32_at(18)?, u32_at(22)?], u16_at(28)?, u32_at(30)?, u32_at(46)?, 4)
            }
            _ => return None,
        };
        // The height is a signed number. Heights of more than 16 million rows are not negative, as in Pillow.
        let is_top_down = n > 12 && size[1] >> 24 == 0xff;
        let size = [size[0], if is_top_down { size[1].wrapping_neg() } else { size[1] }];
        let behind_head =
            14 + n as usize + if compression == BIT_FIELDS && n == 40 { 12 } else { 0 };
        let n_colours = match (bits, n_colours) {
            (1 | 4 | 8, 0) => 1 << bits,
            (1 | 4 | 8, 1..=65_536) => n_colours as usize,
            (1 | 4 | 8, _) => return None,
            _ => 0,
        };
        let colours = bytes.get(behind_head..).unwrap_or_default().chunks_exact(colour_bytes);
        let palette = colours.take(n_colours).map(|colour| [colour[2], colour[1], colour[0]]);
        let palette: Vec<[u8; 3]> = palette.collect();
        let behind_palette = behind_head + colour_bytes * n_colours;
        let pixels = match u32_at(10)? as usize {
            0 => behind_palette,
            offset if offset == 14 + n as usize && n_colours > 0 => behind_palette,
            offset => offset,
        };
        let masks = match (compression, bits) {
            (BIT_FIELDS, 32) => {
                let opacity = if n >= 56 { u32_at(66)? } else { 0 };
                match [u32_at(54)?, u32_at(58)?, u32_at(62)?, opacity] {
                    [0, 0, 0, 0] => [0xff_0000, 0xff00, 0xff, 0xff00_0000],
                    masks => masks,
                }
            }
            (BIT_FIELDS, _) => [u32_at(54)?, u32_at(58)?, u32_at(62)?, 0],
            (_, 16) => [0x7c00, 0x3e0, 0x1f, 0],
            _ => [0xff_0000, 0xff00, 0xff, 0],
        };
        Some(Self { size, is_top_down, bits, compression, masks, palette, pixels })
    }
}

/// The bits of one channel in a pixel.
struct Field {
    mask: u32,
    shift: u32,
    largest: u64,
}

impl Field {
    fn of(mask: u32) -> Self {
        let shift = mask.trailing_zeros() % 32;
        Self { mask, shift, largest: u64::from(mask >> shift).max(1) }
    }

    /// Returns the channel of a pixel, scaled to 255 and rounded down, as in Pillow.
    fn value(&self, pixel: u32) -> u8 {
        (u64::from((pixel & self.mask) >> self.shift) * 255 / self.largest) as u8
    }
}

/// Returns the indices of a picture that is stored as runs: pairs of a count and an index (or two indices of 4 bits in
/// turns). The count 0 starts another command. None if the data end before the picture.
fn run_lengths(
    data: &[u8],
    [width, height]: [usize; 2],
    is_of_half_bytes: bool,
) -> Option<Vec<u8>> {
    let n = width * height;
    let mut out: Vec<u8> = Vec::with_capacity(n);
    let mut bytes = data.iter().copied();
    // The column, which a run may not leave.
    let mut x = 0;
    while out.len() < n {
        match [bytes.next()?, bytes.next()?] {
            [0, 0] => {
                out.resize(out.len().next_multiple_of(width), 0);
                x = 0;
            }
            [0, 1] => break,
            [0, 2] => {
                let [right, up] = [bytes.next()?, bytes.next()?].map(usize::from);
                out.resize(n.min(out.len() + right + up * width), 0);
                x = out.len() % width;
            }
            [0, count] => {
                let count = usize::from(count);
                let wanted = count.min(n - out.len());
                let n_bytes = if is_of_half_bytes { wanted.div_ceil(2) } else { wanted };
                let mut run = Vec::with_capacity(n_bytes);
                for _ in 0..n_bytes {
                    run.push(bytes.next()?);
                }
                match is_of_half_bytes {
                    true => out.extend(unpacked(&run, 4, wanted, n_bytes.max(1))),
                    false => out.extend(&run),
                }
                x += count;
                // A run takes an even number of bytes.
                if n_bytes % 2 == 1 && out.len() < n {
                    bytes.next()?;
                }
            }
            [count, index] => {
                let count = usize::from(count).min(width.saturating_sub(x));
                let pair = if is_of_half_bytes { [index >> 4, index & 15] } else { [index; 2] };
                out.extend((0..count).map(|k| pair[k % 2]));
                x += count;
            }
        }
    }
    out.truncate(n);
    (out.len() == n).then_some(out)
}
