//! A picture: PNG and JPEG files that are taken apart, changed, and reassembled with valid lengths and checksums; files of
//! other formats that are changed as a whole.

use std::io::{Read, Write};

use arbitrary::Arbitrary;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use wgrad::data::{cifar10, image_file};

use super::Edit;

/// The limit on pixels, lower than in wgrad, because small pictures let the fuzzer try more inputs. Decoding takes up
/// to 8 bytes for each pixel.
const MAX_PIXELS: u64 = 1 << 16;

const TEMPLATES: [&[u8]; 15] = [
    include_bytes!("../../../tests/fixtures/pictures/dot.png"),
    include_bytes!("../../../tests/fixtures/pictures/exact.png"),
    include_bytes!("../../../tests/fixtures/pictures/grey16.png"),
    include_bytes!("../../../tests/fixtures/pictures/palette.png"),
    include_bytes!("../../../tests/fixtures/pictures/small.png"),
    include_bytes!("../../../tests/fixtures/pictures/tall_alpha.png"),
    include_bytes!("../../../tests/fixtures/pictures/turned.png"),
    include_bytes!("../../../tests/fixtures/pictures/grey.jpg"),
    include_bytes!("../../../tests/fixtures/pictures/progressive.jpg"),
    include_bytes!("../../../tests/fixtures/pictures/turned.jpg"),
    include_bytes!("../../../tests/fixtures/pictures/wide.jpg"),
    include_bytes!("../../../tests/fixtures/pictures/small.bmp"),
    include_bytes!("../../../tests/fixtures/pictures/small.gif"),
    include_bytes!("../../../tests/fixtures/pictures/small.tif"),
    include_bytes!("../../../tests/fixtures/pictures/small.webp"),
];

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

#[derive(Arbitrary, Debug)]
struct Changed<'a> {
    template: u8,
    edits: Vec<Edit<'a>>,
}

fn build(changed: Changed<'_>) -> Vec<u8> {
    let template = TEMPLATES[usize::from(changed.template) % TEMPLATES.len()];
    let edit = |mut parts: Vec<Vec<u8>>| {
        changed.edits.iter().take(16).for_each(|edit| edit.apply(&mut parts));
        parts
    };
    match template.strip_prefix(PNG_SIGNATURE) {
        Some(chunks) => from_chunks(&edit(chunks_of(chunks))),
        None if !template.starts_with(JPEG_SIGNATURE) => edit(vec![template.to_vec()]).concat(),
        None => from_segments(&edit(segments_of(&template[2..]))),
    }
}

/// Returns the chunks of a PNG. A chunk is its name and its content. The content of `IDAT` is decompressed.
fn chunks_of(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (chunk, rest) = rest.split_at(4 + u32::from_be_bytes(*length) as usize);
        let mut chunk = chunk.to_vec();
        if chunk.starts_with(b"IDAT") {
            let mut rows = b"IDAT".to_vec();
            ZlibDecoder::new(&chunk[4..]).read_to_end(&mut rows).expect("a template is right");
            chunk = rows;
        }
        chunks.push(chunk);
        bytes = &rest[4..];
    }
    chunks
}

fn from_chunks(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut file = PNG_SIGNATURE.to_vec();
    for chunk in chunks {
        let mut chunk = chunk.clone();
        if chunk.starts_with(b"IDAT") {
            let mut packed = ZlibEncoder::new(b"IDAT".to_vec(), Compression::fast());
            packed.write_all(&chunk[4..]).expect("memory takes everything");
            chunk = packed.finish().expect("memory takes everything");
        }
        chunk.resize(chunk.len().max(4), b'x');
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        file.extend((chunk.len() as u32 - 4).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

/// Returns the segments of a JPEG. A segment is its marker and its content, without the length. The content of `SOS`
/// (start of scan) is one byte with the length of its head, the head, and the scan.
fn segments_of(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    while let [0xff, marker, rest @ ..] = bytes {
        if *marker == 0xd9 {
            break;
        }
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let mut segment = vec![*marker];
        segment.extend(&rest[2..length]);
        bytes = &rest[length..];
        if *marker == 0xda {
            let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
            let end = bytes.windows(2).position(is_end).expect("a template has an end");
            segment.insert(1, length as u8 - 2);
            segment.extend(&bytes[..end]);
            bytes = &bytes[end..];
        }
        segments.push(segment);
    }
    segments
}

fn from_segments(segments: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for segment in segments {
        let Some((&marker, content)) = segment.split_first() else { continue };
        let (head, scan) = match content.split_first() {
            Some((&length, rest)) if marker == 0xda => rest.split_at(rest.len().min(length.into())),
            _ => (content, &[][..]),
        };
        file.extend([0xff, marker]);
        file.extend((head.len() as u16).wrapping_add(2).to_be_bytes());
        file.extend(head);
        file.extend(scan);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// Reads a picture, and checks that a result without an error has 3x32x32 bytes.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    match image_file::decode(&bytes, cifar10::SIZE, [255; 3], MAX_PIXELS) {
        Ok(image) => assert_eq!(image.len(), cifar10::SIZE.n_bytes()),
        Err(reason) => assert!(!reason.is_empty()),
    }
}
