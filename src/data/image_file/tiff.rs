//! TIFF pictures; of several, the first.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{ChunkType, Decoder, Limits};
use tiff::tags::Tag;

use super::Check;
use super::orientation::{Orientation, entries};
use super::stored::{Stored, coloured, damaged, rgb_of_cmyk, unpacked};

/// Values of the tag for the meaning of samples.
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;
/// Compression by JPEG.
const JPEG: u16 = 7;
/// Value of the tag for extra samples: the colours are multiplied by the opacity.
const PREMULTIPLIED: u16 = 1;
const TAG_OF_MEANING: u16 = 262;
/// The largest number of samples of a pixel.
const MAX_SAMPLES: u16 = 8;

/// Decodes the first picture of a TIFF. `check` tests width and height before memory is allocated for the pixels.
///
/// # Errors
/// If the file is damaged, its kind of pixels or compression is not supported, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let meaning = number(&mut decoder(bytes)?, Tag::PhotometricInterpretation, WHITE_IS_ZERO)?;
    if meaning != PALETTE {
        return decoded(bytes, meaning, &[], check);
    }
    // The decoder reads no palettes. It reads a copy that states grey samples, which are the palette's indices.
    let palette = decoder(bytes)?.get_tag_u16_vec(Tag::ColorMap).map_err(damaged)?;
    decoded(&as_grey(bytes), meaning, &palette, check)
}

/// Refuses a TIFF for files of more than 4 GiB: its lists may have any length, for which the decoder allocates memory.
pub(super) fn refuse_big(_: &[u8], _: Check) -> Result<Stored, String> {
    Err("a BigTIFF, which is not read; save it as TIFF or PNG".to_string())
}

fn decoder(bytes: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, String> {
    // The decoder allocates memory for a list before it reads the list.
    if entries(bytes).any(|entry| entry.count as usize > bytes.len()) {
        return Err(damaged("a list that is longer than the file"));
    }
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    Ok(decoder.with_limits(Limits::unlimited()))
}

/// Returns a copy of a file in which the samples of the first picture are grey.
fn as_grey(bytes: &[u8]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let is_little = bytes.starts_with(b"II");
    let value = if is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    for entry in entries(bytes).filter(|entry| entry.tag == TAG_OF_MEANING) {
        copy[entry.value_at..entry.value_at + 2].copy_from_slice(&value);
    }
    copy
}

fn number(decoder: &mut Decoder<Cursor<&[u8]>>, tag: Tag, default: u16) -> Result<u16, String> {
    Ok(decoder.find_tag_unsigned(tag).map_err(damaged)?.unwrap_or(default))
}

fn decoded(bytes: &[u8], meaning: u16, palette: &[u16], check: Check) -> Result<Stored, String> {
    let mut decoder = decoder(bytes)?;
    let size: [u32; 2] = decoder.dimensions().map_err(damaged)?.into();
    check(size)?;
    // A tile may be larger than the picture.
    let is_tiled = decoder.get_chunk_type() == ChunkType::Tile;
    if is_tiled {
        check(decoder.chunk_dimensions().into())?;
    }
    let n_samples = number(&mut decoder, Tag::SamplesPerPixel, 1)?;
    let compression = number(&mut decoder, Tag::Compression, 1)?;
    let formats: Vec<u16> =
        decoder.find_tag_unsigned_vec(Tag::SampleFormat).map_err(damaged)?.unwrap_or_default();
    let extra: Vec<u16> =
        decoder.find_tag_unsigned_vec(Tag::ExtraSamples).map_err(damaged)?.unwrap_or_default();
    let colour = decoder.colortype().map_err(damaged)?;
    let refused = |what: &str| Err(format!("a TIFF of {what} is not read; save it as PNG"));
    if n_samples > MAX_SAMPLES || formats.iter().any(|&format| format != 1) {
        return refused("signed, real or many samples");
    }
    if number(&mut decoder, Tag::FillOrder, 1)? != 1 {
        return refused("bits in reverse order");
    }
    // The decoder panics on them.
    if is_tiled && number(&mut decoder, Tag::PlanarConfiguration, 1)? != 1 {
        return refused("tiles with one channel each");
    }
    let bits = u32::from(colour.bit_depth());
    let of_palette = meaning == PALETTE;
    let n_used = match colour {
        ColorType::Gray(1 | 2 | 4 | 8) => 1,
        ColorType::Gray(16) if !of_palette => 1,
        ColorType::Multiband { bit_depth: 8, num_samples: 2 } if !of_palette => 2,
        ColorType::RGB(8 | 16) => 3,
        ColorType::RGBA(8 | 16) | ColorType::CMYK(8 | 16) => 4,
        ColorType::YCbCr(8) if compression == JPEG => 3,
        other => return refused(&format!("{other:?} samples")),
    };
    let planes = samples(&mut decoder, bits, size[0] as usize)?;
    let mut samples = match &planes[..] {
        [interleaved] => interleaved.clone(),
        planes if planes.len() >= n_used => {
            let pixels = 0..planes[0].len();
            pixels.flat_map(|ix| planes[..n_used].iter().map(move |plane| plane[ix])).collect()
        }
        _ => return refused("too few samples"),
    };
    let mut channels = n_used;
    match colour {
        _ if of_palette => {
            // A palette has all reds, all greens, then all blues, of 16 bits. Pillow takes the upper 8.
            let n = palette.len() / 3;
            let colour = |ix: usize| [0, 1, 2].map(|c| (palette[c * n + ix] >> 8) as u8);
            samples = coloured(&samples, &(0..n.min(256)).map(colour).collect::<Vec<_>>());
            channels = 3;
        }
        ColorType::Gray(bits @ (1 | 2 | 4)) => {
            let scale = 255 / (u8::MAX >> (8 - bits));
            samples.iter_mut().for_each(|sample| *sample *= scale);
        }
        ColorType::CMYK(_) => {
            samples = samples.as_chunks().0.iter().flat_map(|&pixel| rgb_of_cmyk(pixel)).collect();
            channels = 3;
        }
        ColorType::YCbCr(_) => {
            samples = samples.as_chunks().0.iter().flat_map(|&pixel| rgb_of_ycbcr(pixel)).collect();
        }
        ColorType::Multiband { .. } | ColorType::RGBA(_) => match extra.first() {
            Some(0) if n_used == 2 => {
                samples = samples.iter().step_by(2).copied().collect();
                channels = 1;
            }
            Some(&PREMULTIPLIED) => samples.chunks_exact_mut(n_used).for_each(divide),
            _ => {}
        },
        _ => {}
    }
    // The directory of a TIFF is that of Exif data.
    let orientation = Orientation::of(Some(bytes), None);
    Ok(Stored { size, channels, samples, orientation })
}

/// Returns the samples as bytes, `[height, width, samples]`, or the planes `[height, width]`, one for each sample.
/// Samples of 16 bits give their upper 8 bits.
fn samples(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    bits: u32,
    width: usize,
) -> Result<Vec<Vec<u8>>, String> {
    let layout = decoder.image_buffer_layout().map_err(damaged)?;
    let mut buffer = vec![0; layout.complete_len];
    decoder.read_image_bytes(&mut buffer).map_err(damaged)?;
    let stride = layout.row_stride.map_or(1, usize::from);
    let plane = |plane: &[u8]| match bits {
        16 => plane.as_chunks().0.iter().map(|&s| (u16::from_ne_bytes(s) >> 8) as u8).collect(),
        8 => plane.to_vec(),
        bits => unpacked(plane, bits, width, stride),
    };
    Ok(buffer.chunks_exact(layout.len).map(plane).collect())
}

/// Divides the colours of a pixel by its opacity, the last sample.
fn divide(pixel: &mut [u8]) {
    let Some((&mut opacity, colours)) = pixel.split_last_mut() else { return };
    for colour in colours {
        let divided = (u32::from(*colour) * 255).checked_div(u32::from(opacity));
        *colour = divided.unwrap_or(0).min(255) as u8;
    }
}

/// Returns the RGB of a pixel of luma and two colour differences, as JPEG defines them.
fn rgb_of_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = [f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0];
    let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
    rgb.map(|value| value.round().clamp(0.0, 255.0) as u8)
}
