//! Small pictures embedded in the page: PNG files in `data:` addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// A picture, red, green and blue bytes interleaved: `[height, width, 3]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from interleaved bytes `[height, width, 3]`.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        let n = rgb.len();
        assert_eq!(n, 3 * width * height, "{n} bytes for a picture of {width}x{height}");
        Self { width, height, rgb }
    }

    /// A picture from planes `[3, size, size]`, the format of datasets.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn of_planes(size: usize, planes: &[u8]) -> Self {
        let n = size * size;
        assert_eq!(planes.len(), 3 * n, "{} bytes for planes of {size}x{size}", planes.len());
        let rgb = (0..n).flat_map(|at| [0, 1, 2].map(|channel| planes[channel * n + at]));
        Self::new(size, size, rgb.collect())
    }

    /// Returns the picture as an address, `data:image/png;base64,...`.
    pub fn data_uri(&self) -> String {
        let mut png = Vec::new();
        let encoder =
            PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
        let (width, height) = (self.width as u32, self.height as u32);
        encoder
            .write_image(&self.rgb, width, height, ExtendedColorType::Rgb8)
            .expect("a vector takes any picture that is not empty");
        data_uri("image/png", &png)
    }
}

/// Returns a file of this type as an address, `data:image/png;base64,...`.
pub fn data_uri(media_type: &str, file: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_come_back() {
        let planes = [[10, 20, 30, 40], [50, 60, 70, 80], [90, 100, 110, 120]].concat();
        let uri = Picture::of_planes(2, &planes).data_uri();
        let (head, data) = uri.split_once(',').expect("a head and data");
        assert_eq!(head, "data:image/png;base64");
        let png = STANDARD.decode(data).expect("base64");
        let read = image::load_from_memory(&png).expect("a picture").into_rgb8();
        assert_eq!(read.dimensions(), (2, 2));
        assert_eq!(read.get_pixel(1, 0).0, [20, 60, 100]);
        assert_eq!(read.get_pixel(0, 1).0, [30, 70, 110]);
    }
}
