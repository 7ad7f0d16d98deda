//! PNG pictures.
//!
//! The decoder reads a copy of the file that has only the size, the palette, the transparency, the pixels, and an end.
//! So texts of any length, chunks that are out of place, and a missing end do not matter, as in Pillow.

use std::io::{Cursor, Read};

use flate2::Crc;
use flate2::read::ZlibDecoder;
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Transformations};

use super::Check;
use super::orientation::Orientation;
use super::stored::{Stored, damaged};

/// The first bytes of a PNG.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The largest unpacked text that is read, in bytes: Pillow's limit.
const MAX_TEXT: u64 = 1 << 20;

/// Decodes a PNG. `check` tests width and height before memory is allocated for the pixels.
///
/// Samples of 16 bits give their upper 8 bits, as Pillow's of colours. (Pillow's of grey are cut off at 255.)
///
/// # Errors
/// If the file is damaged, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let parts = Parts::of(bytes, check)?;
    // The compressed pixels have a checksum of their own, which is compared.
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(parts.file()), options);
    // The decoder expands palettes to colours, and samples of fewer than 8 bits to 8 bits.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (colour, depth) = reader.output_color_type();
    let channels = match colour {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err(damaged("a palette that is not expanded")),
    };
    if depth != BitDepth::Eight {
        return Err(damaged("samples that are not expanded"));
    }
    let size: [u32; 2] = reader.info().size().into();
    let n_bytes = reader.output_buffer_size().ok_or_else(|| damaged("too large"))?;
    let mut samples = vec![0; n_bytes];
    reader.next_frame(&mut samples).map_err(damaged)?;
    let orientation = Orientation::of(parts.exif.as_deref(), parts.xmp.as_deref());
    Ok(Stored { size, channels, samples, orientation })
}

/// The parts of a PNG that make a picture.
#[derive(Default)]
struct Parts<'a> {
    /// Size, palette and transparency: names and contents.
    head: Vec<([u8; 4], &'a [u8])>,
    /// Compressed pixels, in pieces.
    pixels: Vec<&'a [u8]>,
    /// Exif data, from a chunk of their own or a text.
    exif: Option<Vec<u8>>,
    /// XMP data.
    xmp: Option<Vec<u8>>,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8], check: Check) -> Result<Self, String> {
        let mut parts = Self::default();
        let (mut of_chunk, mut of_text) = (None, None);
        let mut is_behind = false;
        let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
        // A chunk consists of the length of its content, its name, its content, and a checksum.
        while let Some((&length, named)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(length) as usize;
            let Some((&name, rest_of_chunk)) = named.split_first_chunk::<4>() else { break };
            let (content, after) = rest_of_chunk.split_at(length.min(rest_of_chunk.len()));
            let (checksum, next) = after.split_at(after.len().min(4));
            rest = next;
            if &name == b"IDAT" && !is_behind {
                parts.pixels.push(content);
                continue;
            }
            is_behind |= !parts.pixels.is_empty();
            if &name == b"IEND" {
                break;
            }
            if !is_behind {
                let mut crc = Crc::new();
                crc.update(&named[..4 + content.len()]);
                if checksum != crc.sum().to_be_bytes() {
                    let name = name.escape_ascii();
                    return Err(damaged(format!(
                        "a wrong checksum in front of the pixels, in {name}"
                    )));
                }
            }
            match &name {
                b"IHDR" | b"PLTE" | b"tRNS" if !is_behind => parts.head(name, content, check)?,
                b"eXIf" => of_chunk = Some(content.to_vec()),
                b"tEXt" | b"zTXt" | b"iTXt" => match text(name, content) {
                    Some((b"Raw profile type exif", text)) => of_text = Some(bytes_of_hex(&text)),
                    Some((b"XML:com.adobe.xmp", text)) => parts.xmp = Some(text),
                    _ => {}
                },
                _ => {}
            }
        }
        parts.exif = of_chunk.or(of_text);
        Ok(parts)
    }

    /// Appends a chunk in front of the pixels.
    fn head(&mut self, name: [u8; 4], content: &'a [u8], check: Check) -> Result<(), String> {
        if let (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, ..]) = (&name, content) {
            let number = u32::from_be_bytes;
            check([number([w0, w1, w2, w3]), number([h0, h1, h2, h3])])?;
        }
        if &name == b"PLTE" {
            let length = content.len();
            // The decoder panics on a palette with an incomplete colour.
            if length == 0 || length > 3 * 256 || !length.is_multiple_of(3) {
                return Err(damaged(format!("a palette of {length} bytes")));
            }
        }
        self.head.push((name, content));
        Ok(())
    }

    /// Returns a PNG file of these parts. Its checksums are 0.
    fn file(&self) -> Vec<u8> {
        let n: usize = self.pixels.iter().map(|piece| piece.len()).sum();
        let mut file = Vec::with_capacity(n + 4096);
        file.extend(SIGNATURE);
        let mut append = |name: &[u8; 4], pieces: &[&[u8]]| {
            let n: usize = pieces.iter().map(|piece| piece.len()).sum();
            // A file has at most 256 MiB, so the cast is exact.
            file.extend((n as u32).to_be_bytes());
            file.extend(name);
            pieces.iter().for_each(|piece| file.extend(*piece));
            file.extend([0; 4]);
        };
        self.head.iter().for_each(|(name, content)| append(name, &[content]));
        append(b"IDAT", &self.pixels);
        append(b"IEND", &[]);
        file
    }
}

/// Returns the keyword and the text of a chunk; None if the chunk is damaged or the text is too long.
fn text(name: [u8; 4], content: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (keyword, rest) = until_zero(content)?;
    let (is_packed, text) = match &name {
        b"tEXt" => (false, rest),
        b"zTXt" => (true, rest.get(1..)?),
        _ => {
            let (_language, rest_of_head) = until_zero(rest.get(2..)?)?;
            let (_translation, text) = until_zero(rest_of_head)?;
            (rest[0] != 0, text)
        }
    };
    if !is_packed {
        return Some((keyword, text.to_vec()));
    }
    let mut unpacked = Vec::new();
    ZlibDecoder::new(text).take(MAX_TEXT).read_to_end(&mut unpacked).ok()?;
    Some((keyword, unpacked))
}

fn until_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Returns the data of a text profile: an empty line, a name, a length, and lines of hexadecimal digits.
fn bytes_of_hex(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n').skip(3);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let digits: Vec<u8> = lines.flatten().filter_map(digit).collect();
    digits.as_chunks().0.iter().map(|[high, low]| 16 * high + low).collect()
}
