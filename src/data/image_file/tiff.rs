//! TIFF pictures; of several, the first.
//!
//! A directory names the parts of the picture, strips of rows or tiles. Each part is compressed on its own, and holds all
//! channels or one.

use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::BitOrder;

use super::orientation::{Orientation, entries};
use super::stored::{Stored, coloured, damaged, rgb_of_cmyk, unpacked};
use super::{Check, jpeg};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const MEANING: u16 = 262;
const ORDER_OF_BITS: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const N_SAMPLES: u16 = 277;
const STRIP_ROWS: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
const PLANES: u16 = 284;
const DIFFERENCES: u16 = 317;
const PALETTE: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;
const XMP: u16 = 700;

/// Values of `MEANING`.
const WHITE_IS_ZERO: u32 = 0;
const BLACK_IS_ZERO: u32 = 1;
const RGB: u32 = 2;
const INDICES: u32 = 3;
const CMYK: u32 = 5;
const YCBCR: u32 = 6;
/// Values of `COMPRESSION`.
const LZW: u32 = 5;
const JPEG: u32 = 7;
const DEFLATE: [u32; 2] = [8, 32_946];
const PACK_BITS: u32 = 32_773;
/// A value of `EXTRA_SAMPLES`: the first extra sample is an opacity, by which the colours are multiplied.
const PREMULTIPLIED: u32 = 1;

/// Decodes the first picture of a TIFF. `check` tests width and height before memory is allocated for the pixels.
///
/// # Errors
/// If the file is damaged, its kind of pixels or compression is not supported, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let directory = Directory { bytes, is_little: bytes.starts_with(b"II") };
    let layout = Layout::of(&directory, check)?;
    let samples = layout.samples(&directory)?;
    let (channels, samples) = layout.converted(samples, &directory);
    // The directory of a TIFF is that of Exif data.
    let orientation = Orientation::of(Some(bytes), directory.value(XMP));
    Ok(Stored { size: layout.size, channels, samples, orientation })
}

/// Refuses a TIFF for files of more than 4 GiB.
pub(super) fn refuse_big(_: &[u8], _: Check) -> Result<Stored, String> {
    refused("a BigTIFF")
}

fn refused<T>(what: &str) -> Result<T, String> {
    Err(format!("{what}, which is not read; save the picture as PNG"))
}

/// The values of the first directory.
struct Directory<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl<'a> Directory<'a> {
    /// Returns the bytes of a value, and the number of bytes of each element. As in Pillow, the last entry counts.
    fn elements(&self, tag: u16) -> Option<(&'a [u8], usize)> {
        let entry = entries(self.bytes).filter(|entry| entry.tag == tag).last()?;
        let n_bytes = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 => 4,
            _ => return None,
        };
        let length = n_bytes * entry.count as usize;
        let at =
            if length <= 4 { entry.value_at } else { self.number_at(entry.value_at, 4)? as usize };
        Some((self.bytes.get(at..)?.get(..length)?, n_bytes))
    }

    fn value(&self, tag: u16) -> Option<&'a [u8]> {
        self.elements(tag).map(|(bytes, _)| bytes)
    }

    fn number_at(&self, at: usize, n_bytes: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + n_bytes)?;
        Some(number(bytes, self.is_little))
    }

    /// Returns the elements of a value; none if the value is not there.
    fn numbers(&self, tag: u16) -> Vec<u32> {
        let elements = self.elements(tag).map(|(bytes, n_bytes)| bytes.chunks_exact(n_bytes));
        elements.into_iter().flatten().map(|bytes| number(bytes, self.is_little)).collect()
    }

    fn number(&self, tag: u16, default: u32) -> u32 {
        self.numbers(tag).first().copied().unwrap_or(default)
    }
}

fn number(bytes: &[u8], is_little: bool) -> u32 {
    let append = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
    if is_little { bytes.iter().rev().fold(0, append) } else { bytes.iter().fold(0, append) }
}

/// The kind of pixels and the parts of a picture.
struct Layout {
    size: [u32; 2],
    /// Number of bits of a sample.
    bits: u32,
    /// Meaning of the samples, a number of the standard.
    meaning: u32,
    /// Number of samples of a pixel in the file.
    n_samples: usize,
    /// Number of those that are colours.
    n_colours: usize,
    /// True if the sample behind the colours is an opacity.
    has_opacity: bool,
    /// True if the colours are multiplied by the opacity.
    is_premultiplied: bool,
    compression: u32,
    /// True if a part has one sample of each pixel.
    is_planar: bool,
    /// True if a sample is the difference from the previous pixel's sample.
    is_of_differences: bool,
    /// Width and height of a part. The last strip may be shorter.
    part: [usize; 2],
    is_tiled: bool,
    /// Offsets of the parts in the file, and their numbers of bytes.
    offsets: Vec<u32>,
    lengths: Vec<u32>,
}

impl Layout {
    fn of(directory: &Directory, check: Check) -> Result<Self, String> {
        let size @ [width, height] = [directory.number(WIDTH, 0), directory.number(HEIGHT, 0)];
        if width == 0 || height == 0 {
            return Err(damaged(format!("{width}x{height} pixels")));
        }
        check(size)?;
        let all_bits = directory.numbers(BITS);
        let bits = all_bits.first().copied().unwrap_or(1);
        let meaning = directory.number(MEANING, WHITE_IS_ZERO);
        let n_samples = directory.number(N_SAMPLES, 1) as usize;
        let compression = directory.number(COMPRESSION, 1);
        let extra = directory.numbers(EXTRA_SAMPLES);
        let n_colours = match (meaning, bits) {
            (WHITE_IS_ZERO | BLACK_IS_ZERO | INDICES, 1 | 2 | 4 | 8) | (BLACK_IS_ZERO, 16) => 1,
            (RGB, 8 | 16) => 3,
            (YCBCR, 8) if compression == JPEG => 3,
            (CMYK, 8 | 16) => 4,
            _ => return refused(&format!("a TIFF with samples of kind {meaning} and {bits} bits")),
        };
        if !(n_colours..=8).contains(&n_samples) || all_bits.iter().any(|&other| other != bits) {
            return refused(&format!("a TIFF with {n_samples} samples of {all_bits:?} bits"));
        }
        if directory.numbers(FORMAT).iter().any(|&format| format != 1) {
            return refused("a TIFF with signed or real samples");
        }
        let differences = directory.number(DIFFERENCES, 1);
        if differences > 2 || (differences == 2 && bits < 8) {
            return refused("a TIFF with this kind of differences");
        }
        let is_opacity = match extra.first() {
            None => meaning == RGB && n_samples == 4,
            Some(kind) => matches!(kind, 1 | 2 | 999),
        };
        let tile = [directory.number(TILE_WIDTH, 0), directory.number(TILE_HEIGHT, 0)];
        let strips = directory.numbers(STRIP_OFFSETS);
        let is_tiled = strips.is_empty();
        let (part, offsets, lengths) = match strips {
            _ if is_tiled => {
                // A tile may be larger than the picture.
                check(tile)?;
                (tile, directory.numbers(TILE_OFFSETS), directory.numbers(TILE_LENGTHS))
            }
            offsets => {
                let rows = directory.number(STRIP_ROWS, height).min(height);
                ([width, rows], offsets, directory.numbers(STRIP_LENGTHS))
            }
        };
        if part.contains(&0) {
            return Err(damaged("no strips or tiles"));
        }
        Ok(Self {
            size,
            bits,
            meaning,
            n_samples,
            n_colours,
            has_opacity: is_opacity && n_samples > n_colours && meaning != CMYK,
            is_premultiplied: extra.first() == Some(&PREMULTIPLIED),
            compression,
            is_planar: directory.number(PLANES, 1) == 2 && n_samples > 1,
            is_of_differences: differences == 2,
            part: part.map(|side| side as usize),
            is_tiled,
            offsets,
            lengths,
        })
    }

    /// Returns the samples that are used, the upper 8 bits or fewer: `[height, width, colours and opacity]`.
    fn samples(&self, directory: &Directory) -> Result<Vec<u8>, String> {
        let [width, height] = self.size.map(|side| side as usize);
        let [wide, high] = self.part;
        let [across, down] = [width.div_ceil(wide), height.div_ceil(high)];
        let n_used = self.n_colours + usize::from(self.has_opacity);
        let mut out = vec![0; width * height * n_used];
        for plane in 0..if self.is_planar { n_used } else { 1 } {
            for ix in 0..across * down {
                let [x, y] = [ix % across * wide, ix / across * high];
                let rows = if self.is_tiled { high } else { high.min(height - y) };
                let part = self.part(directory, plane * across * down + ix, rows)?;
                let per_pixel = if self.is_planar { 1 } else { self.n_samples };
                let columns = wide.min(width - x);
                let used = if self.is_planar { plane..plane + 1 } else { 0..n_used };
                for (row, of_part) in
                    part.chunks_exact(wide * per_pixel).take(height - y).enumerate()
                {
                    let first = ((y + row) * width + x) * n_used;
                    let pixels = out[first..first + columns * n_used].chunks_exact_mut(n_used);
                    for (pixel, samples) in pixels.zip(of_part.chunks_exact(per_pixel)) {
                        pixel[used.clone()].copy_from_slice(&samples[..used.len()]);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Returns the samples of a part, one byte for each: `[rows, width of the part, samples]`.
    fn part(&self, directory: &Directory, ix: usize, rows: usize) -> Result<Vec<u8>, String> {
        let incomplete = || damaged("the pixels are incomplete");
        let offset = *self.offsets.get(ix).ok_or_else(incomplete)? as usize;
        let rest = directory.bytes.get(offset..).ok_or_else(incomplete)?;
        let length = self.lengths.get(ix).map_or(rest.len(), |&length| length as usize);
        let data = &rest[..length.min(rest.len())];
        let per_pixel = if self.is_planar { 1 } else { self.n_samples };
        let per_row = self.part[0] * per_pixel;
        if self.compression == JPEG {
            let tables = directory.value(JPEG_TABLES).unwrap_or_default();
            let part = [self.part[0], rows];
            return jpeg::part_of_tiff(tables, data, part, per_pixel, self.meaning == YCBCR);
        }
        let stride = (per_row * self.bits as usize).div_ceil(8);
        let mut row_bytes = match directory.number(ORDER_OF_BITS, 1) {
            2 => {
                let reversed: Vec<u8> = data.iter().map(|byte| byte.reverse_bits()).collect();
                unpack(self.compression, &reversed, stride * rows)?
            }
            _ => unpack(self.compression, data, stride * rows)?,
        };
        if row_bytes.len() < stride * rows {
            return Err(incomplete());
        }
        row_bytes.truncate(stride * rows);
        let is_little = directory.is_little;
        if self.bits < 8 {
            return Ok(unpacked(&row_bytes, self.bits, per_row, stride));
        }
        if self.is_of_differences {
            let n_bytes = self.bits as usize / 8;
            row_bytes
                .chunks_exact_mut(stride)
                .for_each(|row| sum(row, per_pixel, n_bytes, is_little));
        }
        if self.bits == 8 {
            return Ok(row_bytes);
        }
        Ok(row_bytes.into_iter().skip(usize::from(is_little)).step_by(2).collect())
    }

    /// Returns the number of channels, and the channels: grey, RGB, or one of them with an opacity.
    fn converted(&self, mut samples: Vec<u8>, directory: &Directory) -> (usize, Vec<u8>) {
        let n_used = self.n_colours + usize::from(self.has_opacity);
        match self.meaning {
            CMYK => {
                (3, samples.as_chunks().0.iter().flat_map(|&pixel| rgb_of_cmyk(pixel)).collect())
            }
            INDICES => {
                // A palette has all reds, all greens, then all blues, of 16 bits. Pillow takes the upper 8.
                let palette = directory.numbers(PALETTE);
                let n = palette.len() / 3;
                let colour = |ix: usize| [0, 1, 2].map(|c| (palette[c * n + ix] >> 8) as u8);
                let colours: Vec<[u8; 3]> = (0..n.min(256)).map(colour).collect();
                let indices: Vec<u8> = samples.iter().step_by(n_used).copied().collect();
                let rgb = coloured(&indices, &colours);
                if !self.has_opacity {
                    return (3, rgb);
                }
                let opacities = samples.iter().skip(1).step_by(2);
                let pixels = rgb.as_chunks::<3>().0.iter().zip(opacities);
                (4, pixels.flat_map(|(&[r, g, b], &opacity)| [r, g, b, opacity]).collect())
            }
            meaning => {
                if self.bits < 8 {
                    let scale = 255 / (u8::MAX >> (8 - self.bits));
                    samples.iter_mut().for_each(|sample| *sample *= scale);
                }
                if meaning == WHITE_IS_ZERO {
                    samples.iter_mut().step_by(n_used).for_each(|sample| *sample = 255 - *sample);
                }
                if self.has_opacity && self.is_premultiplied {
                    samples.chunks_exact_mut(n_used).for_each(divide);
                }
                (n_used, samples)
            }
        }
    }
}

/// Returns at most `n` bytes of compressed data.
fn unpack(compression: u32, data: &[u8], n: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match compression {
        1 => out.extend(&data[..n.min(data.len())]),
        LZW => {
            out.resize(n, 0);
            let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
                .with_yield_on_full_buffer(true)
                .build();
            let mut rest = data;
            let mut n_out = 0;
            while n_out < n && !rest.is_empty() {
                let result = decoder.decode_bytes(rest, &mut out[n_out..]);
                n_out += result.consumed_out;
                rest = &rest[result.consumed_in..];
                match result.status.map_err(damaged)? {
                    weezl::LzwStatus::Ok => {}
                    weezl::LzwStatus::Done | weezl::LzwStatus::NoProgress => break,
                }
            }
            out.truncate(n_out);
        }
        PACK_BITS => {
            // A byte n below 128 is followed by n + 1 bytes, and a byte n above 128 by one byte that occurs 257 - n times.
            let mut bytes = data.iter().copied();
            while let Some(head) = bytes.next().filter(|_| out.len() < n) {
                match head {
                    0..128 => out.extend(bytes.by_ref().take(usize::from(head) + 1)),
                    128 => {}
                    129.. => out.extend(
                        bytes
                            .next()
                            .into_iter()
                            .flat_map(|byte| std::iter::repeat_n(byte, 257 - usize::from(head))),
                    ),
                }
            }
        }
        deflate if DEFLATE.contains(&deflate) => {
            ZlibDecoder::new(data).take(n as u64).read_to_end(&mut out).map_err(damaged)?;
        }
        other => return refused(&format!("a TIFF with compression {other}")),
    }
    Ok(out)
}

/// Adds to each sample of a row the previous pixel's sample.
fn sum(row: &mut [u8], per_pixel: usize, n_bytes: usize, is_little: bool) {
    let step = per_pixel * n_bytes;
    for at in (step..row.len()).step_by(n_bytes) {
        let value = |at: usize| number(&row[at..at + n_bytes], is_little);
        let sum = value(at).wrapping_add(value(at - step));
        for byte in 0..n_bytes {
            let place = if is_little { byte } else { n_bytes - 1 - byte };
            row[at + place] = (sum >> (8 * byte)) as u8;
        }
    }
}

/// Divides the colours of a pixel by its opacity, the last sample.
fn divide(pixel: &mut [u8]) {
    let Some((&mut opacity, colours)) = pixel.split_last_mut() else { return };
    for colour in colours {
        let divided = (u32::from(*colour) * 255).checked_div(u32::from(opacity));
        *colour = divided.unwrap_or(0).min(255) as u8;
    }
}
