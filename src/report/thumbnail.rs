//! Thumbnails of picture files, for pages that show many of them.

use super::picture::Picture;
use crate::data::image_file::{self, MAX_PIXELS};
use crate::data::{ImageSize, Split};

/// The number of pixels of all thumbnails of a page together, if each is a square. On the page, a pixel of a photograph
/// takes about 2 bytes as PNG and base64, so photographs of 4:3 take at most 25 MB.
const MAX_PAGE_PIXELS: usize = 1 << 24;

/// The largest and the smallest longer side of a thumbnail, in pixels. With more than 1,820 pictures, each has the
/// smallest, and the page grows with their number: 14 kB for each photograph, 41 MB for 3,000.
const SIDES: [usize; 2] = [240, 96];

/// A small copy of a picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thumbnail {
    /// Rows and columns of the picture itself, turned upright.
    pub size: [usize; 2],
    /// The copy as an address, `data:image/png;base64,...`.
    pub uri: String,
}

/// Returns the longer side of a thumbnail on a page with `n` pictures, in pixels.
pub fn side(n: usize) -> usize {
    let [largest, smallest] = SIDES;
    (MAX_PAGE_PIXELS / n.max(1)).isqrt().clamp(smallest, largest)
}

impl Thumbnail {
    /// Decodes the bytes of a picture file, and returns a copy whose longer side has at most `side` pixels. Transparent
    /// pixels are blended with `background`. A picture that is small enough keeps its pixels. Otherwise the copy has 6
    /// bits for each colour, because its PNG then takes three quarters of the bytes and looks the same.
    ///
    /// # Errors
    /// If the bytes are not a picture. The error is a message.
    pub fn of(bytes: &[u8], background: [u8; 3], side: usize) -> Result<Self, String> {
        let decoded = image_file::decode_upright(bytes, background, MAX_PIXELS)?;
        let [height, width] = decoded.size;
        let longer = height.max(width);
        if longer <= side {
            let uri = Picture::new(width, height, decoded.rgb).data_uri();
            return Ok(Self { size: decoded.size, uri });
        }
        let planes = |rgb: &[u8]| -> Vec<u8> {
            (0..3).flat_map(|channel| rgb.iter().skip(channel).step_by(3)).copied().collect()
        };
        let size = ImageSize { height, width, channels: 3 };
        let whole = Split::of(size, planes(&decoded.rgb), vec![0]);
        drop(decoded.rgb);
        let [rows, columns] = decoded.size.map(|n| (n * side).div_ceil(longer));
        let mut small = whole.resized(ImageSize { height: rows, width: columns, channels: 3 });
        small.images.to_mut().iter_mut().for_each(|value| *value = *value & !3 | *value >> 6);
        Ok(Self {
            size: decoded.size,
            uri: Picture::of_planes(small.size, &small.images).data_uri(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_are_smaller_on_a_page_with_many_pictures() {
        assert_eq!([0, 1, 291, 1000, 3000, 100_000].map(side), [240, 240, 240, 129, 96, 96]);
    }

    #[test]
    fn a_thumbnail_keeps_the_proportions_of_its_picture() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
        let bytes = std::fs::read(folder.join("wide.png")).expect("a picture");
        let size_of = |side: usize| {
            let thumbnail = Thumbnail::of(&bytes, [255; 3], side).expect("a thumbnail");
            let (_, data) = thumbnail.uri.split_once(',').expect("a head and data");
            use base64::Engine;
            let file = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
            let (width, height) = reader.info().size();
            (thumbnail.size, [height as usize, width as usize])
        };
        let ([height, width], whole) = size_of(10_000);
        assert_eq!(whole, [height, width]);
        assert!(width > height, "{width}x{height}");
        assert_eq!(size_of(20), ([height, width], [(height * 20).div_ceil(width), 20]));
        assert!(Thumbnail::of(b"text", [255; 3], 20).is_err());
    }
}
