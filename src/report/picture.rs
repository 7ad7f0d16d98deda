//! Small pictures embedded in the page: PNG and JPEG files in `data:` addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, rgb_to_ycbcr};

use crate::base::chart::escape;
use crate::data::{ImageSize, Split, image_file};

/// Quality of JPEG files, in percent.
const QUALITY: u8 = 85;

/// A picture, red, green and blue bytes interleaved: `[height, width, 3]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// True if the image of the dataset was larger.
    is_reduced: bool,
}

impl Picture {
    /// The longer side of a picture on the page, in CSS pixels, and the largest side of its file, in pixels.
    pub const SIDE: usize = 96;

    /// Returns a picture from interleaved bytes `[height, width, 3]`.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        let n = rgb.len();
        assert_eq!(n, 3 * width * height, "{n} bytes for a picture of {width}x{height}");
        Self { width, height, rgb, is_reduced: false }
    }

    /// Returns a picture of an image of any size, from planes `[C, H, W]`, the format of datasets. The picture has the
    /// proportions of the image, and at most 96 rows and columns.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn thumbnail(size: ImageSize, planes: &[u8]) -> Self {
        if size.width.max(size.height) <= Self::SIDE {
            return Self::of_planes(size, planes);
        }
        let [width, height] = within([size.width, size.height], Self::SIDE);
        let image = Split::of(size, planes.to_vec(), vec![0]);
        let reduced = image.resized(ImageSize { width, height, ..size });
        Self { is_reduced: true, ..Self::of_planes(reduced.size, &reduced.image(0)) }
    }

    /// Returns a copy of an upright picture whose longer side has at most `side` pixels.
    pub fn of_upright(picture: &image_file::Picture, side: usize) -> Self {
        let [height, width] = picture.size;
        if height.max(width) <= side {
            return Self::new(width, height, picture.rgb.clone());
        }
        let [height, width] = within(picture.size, side);
        let reduced = picture.resized([height, width]);
        Self { is_reduced: true, ..Self::new(width, height, reduced.rgb) }
    }

    /// Returns a picture from planes `[C, H, W]`, with all pixels. A picture of fewer than three channels is grey, with
    /// the first channel's values. Channels after the third are left out.
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

    /// Returns the picture as an element of the page, with a longer side of 96 CSS pixels. `alt` is its text for
    /// screen readers, `title` is shown on hover. Both are plain text.
    pub fn element(&self, alt: &str, title: &str) -> String {
        let [width, height] = within([self.width, self.height], Self::SIDE);
        // The pixels of small images are shown as squares, which a browser does not blend.
        let is_small = 2 * self.width.max(self.height) <= Self::SIDE;
        let class = if is_small { "" } else { " class=\"smooth\"" };
        let (uri, alt, title) = (self.data_uri(), escape(alt), escape(title));
        format!(
            "<img{class} src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\" title=\"{title}\">"
        )
    }

    /// Returns the picture as an address, `data:image/png;base64,...`. A picture with all pixels of its image is a PNG.
    /// A reduced picture is a JPEG, which takes a fifth of the bytes for a photograph.
    pub fn data_uri(&self) -> String {
        let mut file = Vec::new();
        // A reduced picture has at most a few hundred pixels in a row, so the casts are exact.
        if self.is_reduced {
            Encoder::new(&mut file, QUALITY)
                .encode_image(self)
                .expect("a vector takes any picture that is not empty");
            return data_uri("image/jpeg", &file);
        }
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

/// The rows of a picture for the JPEG encoder. `Encoder::encode` compiles the encoder once for each of ten orders of
/// channels, which are 150 kB of the program.
impl ImageBuffer for &Picture {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width as u16
    }

    fn height(&self) -> u16 {
        self.height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let row = &self.rgb[3 * self.width * usize::from(y)..][..3 * self.width];
        for pixel in row.chunks_exact(3) {
            let (y, cb, cr) = rgb_to_ycbcr(pixel[0], pixel[1], pixel[2]);
            buffers.iter_mut().zip([y, cb, cr]).for_each(|(buffer, value)| buffer.push(value));
        }
    }
}

/// Returns the size with the proportions of `size` whose longer side is `longest`.
fn within(size: [usize; 2], longest: usize) -> [usize; 2] {
    let longer = size[0].max(size[1]);
    size.map(|side| ((side * longest + longer / 2) / longer).max(1))
}

/// Returns a file of this media type as an address, `data:image/png;base64,...`.
pub fn data_uri(media_type: &str, file: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use zune_jpeg::JpegDecoder;
    use zune_jpeg::zune_core::bytestream::ZCursor;

    use super::*;

    #[test]
    fn an_address_decodes_to_the_bytes() {
        let planes = [[10, 20, 30, 40], [50, 60, 70, 80], [90, 100, 110, 120]].concat();
        let uri = Picture::thumbnail(ImageSize::from([2, 2, 3]), &planes).data_uri();
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

    #[test]
    fn pictures_keep_the_proportions_of_their_images() {
        for ([rows, columns], [width, height], [file_width, file_height]) in [
            ([20, 64], [96, 30], [64, 20]),
            ([32, 32], [96, 96], [32, 32]),
            ([96, 96], [96, 96], [96, 96]),
            ([300, 200], [64, 96], [64, 96]),
            ([97, 40], [40, 96], [40, 96]),
            ([10, 30_000], [96, 1], [96, 1]),
            ([1, 1], [96, 96], [1, 1]),
        ] {
            for channels in [1, 3] {
                let size = ImageSize::from([rows, columns, channels]);
                let picture = Picture::thumbnail(size, &vec![90; size.n_bytes()]);
                assert_eq!([picture.width, picture.height], [file_width, file_height], "{size}");
                assert!(picture.rgb.iter().all(|byte| *byte == 90), "{size}");
                let element = picture.element("a & b", "t");
                let sides = format!(" width=\"{width}\" height=\"{height}\" alt=\"a &amp; b\"");
                assert!(element.contains(&sides), "{size}: {element}");
            }
        }
    }

    #[test]
    fn reduced_pictures_are_small_files_with_the_colours_of_their_images() {
        // The left half is red, the right half is blue. The rows become darker.
        let size = ImageSize::from([400, 200, 3]);
        let at = |ix: usize| (ix % 200, (250 - (ix / 200) / 2) as u8);
        let red = (0..80_000).map(at).map(|(x, v)| if x < 100 { v } else { 0 });
        let blue = (0..80_000).map(at).map(|(x, v)| if x < 100 { 0 } else { v });
        let planes: Vec<u8> = red.chain(std::iter::repeat_n(0, 80_000)).chain(blue).collect();
        let picture = Picture::thumbnail(size, &planes);
        let uri = picture.data_uri();
        let data = uri.strip_prefix("data:image/jpeg;base64,").expect("a JPEG");
        assert!(uri.len() < 4000, "{} bytes", uri.len());
        let file = STANDARD.decode(data).expect("base64");
        let mut decoder = JpegDecoder::new(ZCursor::new(&file));
        let pixels = decoder.decode().expect("a picture");
        assert_eq!(decoder.dimensions(), Some((48, 96)));
        let pixel = |row: usize, column: usize| &pixels[3 * (48 * row + column)..][..3];
        for (found, expected) in
            [(pixel(2, 4), [244_u8, 0, 0]), (pixel(2, 44), [0, 0, 244]), (pixel(93, 4), [55, 0, 0])]
        {
            let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 8);
            assert!(is_near, "{found:?} in place of {expected:?}");
        }
    }
}
