//! The first picture of a GIF.

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::Check;
use super::orientation::Orientation;
use super::stored::{Stored, coloured, damaged};

/// Decodes the first picture of a GIF. `check` tests width and height before memory is allocated for the pixels.
///
/// As in Pillow, a picture that leaves the screen enlarges it, and the screen around the picture is transparent, or has
/// the first colour if no colour is transparent.
///
/// # Errors
/// If the file is damaged or has no picture, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.allow_unknown_blocks(true);
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(damaged)?;
    let screen = [decoder.width(), decoder.height()].map(usize::from);
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.next_frame_info().map_err(damaged)?.ok_or_else(|| damaged("no picture"))?;
    let [left, top] = [frame.left, frame.top].map(usize::from);
    let [columns, rows] = [frame.width, frame.height].map(usize::from);
    let transparent = frame.transparent;
    let palette = frame.palette.clone().or(global).unwrap_or_default();
    let [width, height] = [screen[0].max(left + columns), screen[1].max(top + rows)];
    let size = [width as u32, height as u32];
    check(size)?;
    let mut part = vec![0; columns * rows];
    decoder.read_into_buffer(&mut part).map_err(damaged)?;

    let mut indices = vec![transparent.unwrap_or(0); width * height];
    if columns > 0 {
        for (row, of_part) in
            indices.chunks_exact_mut(width).skip(top).zip(part.chunks_exact(columns))
        {
            row[left..left + columns].copy_from_slice(of_part);
        }
    }
    let rgb = coloured(&indices, palette.as_chunks().0);
    let orientation = Orientation::default();
    let Some(transparent) = transparent else {
        return Ok(Stored { size, channels: 3, samples: rgb, orientation });
    };
    let opacity = |ix: u8| if ix == transparent { 0 } else { u8::MAX };
    let pixels = rgb.as_chunks::<3>().0.iter().zip(&indices);
    let samples = pixels.flat_map(|(&[r, g, b], &ix)| [r, g, b, opacity(ix)]).collect();
    Ok(Stored { size, channels: 4, samples, orientation })
}
