//! Thumbnails of picture files, for pages that show many of them.

use super::picture::Picture;
use crate::data::image_file;

/// The number of pixels of all thumbnails of a page together, if each is a square.
const MAX_PAGE_PIXELS: usize = 1 << 24;

/// The largest and the smallest longer side of a thumbnail, in pixels. With more than 1,820 pictures, each has the
/// smallest, and the page grows with their number.
const SIDES: [usize; 2] = [240, 96];

/// A small copy of a picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thumbnail {
    /// Rows and columns of the picture itself, turned upright.
    pub size: [usize; 2],
    /// The copy as an address, `data:image/jpeg;base64,...`; a PNG if it has all pixels.
    pub uri: String,
}

/// Returns the longer side of a thumbnail on a page with `n` pictures, in pixels.
pub fn side(n: usize) -> usize {
    let [largest, smallest] = SIDES;
    (MAX_PAGE_PIXELS / n.max(1)).isqrt().clamp(smallest, largest)
}

impl Thumbnail {
    /// Returns a copy of an upright picture whose longer side has at most `side` pixels.
    ///
    /// # Panics
    /// If `side` is above 65,535.
    pub fn of(picture: &image_file::Picture, side: usize) -> Self {
        Self { size: picture.size, uri: Picture::of_upright(picture, side).data_uri() }
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
        let decode = |bytes: &[u8]| {
            image_file::decode_upright(bytes, [255; 3], image_file::MAX_PIXELS).expect("a picture")
        };
        let picture = decode(&bytes);
        let size_of = |side: usize| {
            let thumbnail = Thumbnail::of(&picture, side);
            let (_, data) = thumbnail.uri.split_once(',').expect("a head and data");
            use base64::Engine;
            let file = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            (thumbnail.size, decode(&file).size)
        };
        let ([height, width], whole) = size_of(10_000);
        assert_eq!(whole, [height, width]);
        assert!(width > height, "{width}x{height}");
        let rows = (height * 20 + width / 2) / width;
        assert_eq!(size_of(20), ([height, width], [rows, 20]));
    }
}
