//! Pictures as they are stored in PNG and JPEG files.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::orientation::Orientation;

/// The limit on the PNG decoder's memory besides the pixels, in bytes: for colour profiles, texts and other chunks.
const MAX_ATTACHMENTS: usize = 16 << 20;

/// The channels of a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

impl Channels {
    fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::GreyAlpha => 2,
            Channels::Rgb => 3,
            Channels::Rgba => 4,
        }
    }
}

/// A decoded picture, before it is turned upright.
pub(super) struct Stored {
    /// Width and height, in pixels.
    pub size: [u32; 2],
    /// Transformation that turns the picture upright.
    pub orientation: Orientation,
    channels: Channels,
    /// True if a sample takes two bytes, the more significant byte first.
    is_deep: bool,
    /// Samples: `[height, width, channels]`.
    pub samples: Vec<u8>,
}

impl Stored {
    /// Decodes a PNG. `check` tests width and height before memory is allocated for the pixels.
    ///
    /// # Errors
    /// If the file is damaged, or `check` refuses its size.
    pub fn of_png(
        bytes: &[u8],
        check: impl Fn([u32; 2]) -> Result<(), String>,
    ) -> Result<Self, String> {
        check_png_head(bytes, &check)?;
        let limits = png::Limits { bytes: MAX_ATTACHMENTS };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
        // The decoder expands palettes to colours, and samples of fewer than 8 bits to 8 bits. Samples of 16 bits keep
        // their 16 bits.
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().map_err(damaged)?;
        let (colour, depth) = reader.output_color_type();
        let channels = match colour {
            png::ColorType::Grayscale => Channels::Grey,
            png::ColorType::GrayscaleAlpha => Channels::GreyAlpha,
            png::ColorType::Rgb => Channels::Rgb,
            png::ColorType::Rgba => Channels::Rgba,
            png::ColorType::Indexed => return Err(damaged("a palette that is not expanded")),
        };
        let size: [u32; 2] = reader.info().size().into();
        let exif = reader.info().exif_metadata.as_deref();
        let orientation = exif.map_or(Orientation::default(), Orientation::of_exif);
        let n_bytes = reader.output_buffer_size().ok_or_else(|| damaged("too large"))?;
        let mut samples = vec![0; n_bytes];
        reader.next_frame(&mut samples).map_err(damaged)?;
        Ok(Self { size, orientation, channels, is_deep: depth == png::BitDepth::Sixteen, samples })
    }

    /// Decodes a JPEG. `check` tests width and height before memory is allocated for the pixels.
    ///
    /// # Errors
    /// If the file is damaged, or `check` refuses its size.
    pub fn of_jpeg(
        bytes: &[u8],
        check: impl Fn([u32; 2]) -> Result<(), String>,
    ) -> Result<Self, String> {
        let damaged = |error: DecodeErrors| damaged(error);
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(usize::MAX)
            .set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(damaged)?;
        let (width, height) = decoder.dimensions().ok_or("cannot be decoded (it has no size)")?;
        // The sides of a JPEG are at most 65,535 pixels, so both casts are exact.
        let size = [width as u32, height as u32];
        check(size)?;
        let orientation =
            decoder.exif().map_or(Orientation::default(), |exif| Orientation::of_exif(exif));
        let (space, channels) = match decoder.input_colorspace() {
            Some(ColorSpace::Luma) => (ColorSpace::Luma, Channels::Grey),
            _ => (ColorSpace::RGB, Channels::Rgb),
        };
        decoder.set_options(options.jpeg_set_out_colorspace(space));
        let samples = decoder.decode().map_err(damaged)?;
        let n = width * height * channels.count();
        if samples.len() != n {
            return Err(format!("cannot be decoded ({} bytes of {n})", samples.len()));
        }
        Ok(Self { size, orientation, channels, is_deep: false, samples })
    }

    /// Returns a picture of RGB bytes with this value of the Exif orientation tag.
    #[cfg(test)]
    pub fn of_rgb(size: [u32; 2], orientation: u16, samples: Vec<u8>) -> Self {
        let orientation = Orientation::of_value(orientation).expect("1 to 8");
        Self { size, orientation, channels: Channels::Rgb, is_deep: false, samples }
    }

    /// Returns red, green, blue and opacity of a stored pixel. Grey becomes three equal channels, and 16 bits are
    /// rounded to 8.
    ///
    /// # Panics
    /// If the pixel is outside the picture.
    pub fn rgba(&self, [x, y]: [u32; 2]) -> [u8; 4] {
        let n = self.channels.count();
        let first = (y as usize * self.size[0] as usize + x as usize) * n;
        let sample = |channel: usize| {
            let at = first + channel;
            if !self.is_deep {
                return self.samples[at];
            }
            let deep = u16::from_be_bytes([self.samples[2 * at], self.samples[2 * at + 1]]);
            ((u32::from(deep) + 128) / 257) as u8
        };
        match self.channels {
            Channels::Grey => [sample(0), sample(0), sample(0), u8::MAX],
            Channels::GreyAlpha => [sample(0), sample(0), sample(0), sample(1)],
            Channels::Rgb => [sample(0), sample(1), sample(2), u8::MAX],
            Channels::Rgba => [sample(0), sample(1), sample(2), sample(3)],
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("cannot be decoded ({error})")
}

/// Checks the size and the palette of a PNG before it is decoded. Without this check, the decoder's message for a size
/// that is too large would be about long rows, and the decoder would panic on a palette with an incomplete colour.
fn check_png_head(
    bytes: &[u8],
    check: impl Fn([u32; 2]) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    // A chunk consists of the length of its content, its name, its content, and a checksum.
    while let Some((&length, named)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(length) as usize;
        let Some((name, content)) = named.split_first_chunk::<4>() else { break };
        match (name, content) {
            (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, ..]) => {
                let number = u32::from_be_bytes;
                check([number([w0, w1, w2, w3]), number([h0, h1, h2, h3])])?;
            }
            (b"PLTE", _) if length == 0 || length > 3 * 256 || !length.is_multiple_of(3) => {
                return Err(format!("cannot be decoded (a palette of {length} bytes)"));
            }
            (b"IDAT", _) => break,
            _ => {}
        }
        rest = content.get(length.saturating_add(4)..).unwrap_or_default();
    }
    Ok(())
}
