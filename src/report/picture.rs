//! Small pictures embedded in the page: PNG files in `data:` addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::ImageSize;

/// A picture, red, green and blue bytes interleaved: `[height, width, 3]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// Returns a picture from interleaved bytes `[height, width, 3]`.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        let n = rgb.len();
        assert_eq!(n, 3 * width * height, "{n} bytes for a picture of {width}x{height}");
        Self { width, height, rgb }
    }

    /// Returns a picture from planes `[C, H, W]`, the format of datasets. A picture of fewer than three channels is
    /// grey, with the first channel's values. Channels after the third are left out.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn of_planes(size: ImageSize, planes: &[u8]) -> Self {
        assert_eq!(planes.len(), size.n_bytes(), "{} bytes for planes of {size}", planes.len());
        let n = size.height * size.width;
        let channels = if size.channels < 3 { [0; 3] } else { [0, 1, 2] };
        let rgb = (0..n).flat_map(|at| channels.map(|channel| planes[channel * n + at]));
        Self::new(size.width, size.height, rgb.collect())
    }

    /// Returns the numbers of columns and rows.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// Returns the picture as an address, `data:image/png;base64,...`.
    pub fn data_uri(&self) -> String {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::Adaptive);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.rgb))
            .expect("a vector takes any picture that is not empty");
        data_uri("image/png", &file)
    }
}

/// Returns a file of this media type as an address, `data:image/png;base64,...`.
pub fn data_uri(media_type: &str, file: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_decodes_to_the_bytes() {
        let planes = [[10, 20, 30, 40], [50, 60, 70, 80], [90, 100, 110, 120]].concat();
        let uri = Picture::of_planes(ImageSize::from([2, 2, 3]), &planes).data_uri();
        let (head, data) = uri.split_once(',').expect("a head and data");
        assert_eq!(head, "data:image/png;base64");
        let file = STANDARD.decode(data).expect("base64");
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().expect("a picture");
        let mut read = vec![0; reader.output_buffer_size().expect("small")];
        let info = reader.next_frame(&mut read).expect("pixels");
        assert_eq!((info.width, info.height, info.color_type), (2, 2, png::ColorType::Rgb));
        assert_eq!(read[3..9], [20, 60, 100, 30, 70, 110]);
    }
}
