//! A file of `torch.save` in both of its formats, and a batch of CIFAR's Python version: the instructions of a right
//! pickle are changed, and the file around them is right.

use std::path::Path;

use arbitrary::Arbitrary;
use wgrad::data::{Split, cifar10, pickled};
use wgrad::nn::WeightsFile;

use super::Edit;

/// The first byte of an input that becomes an archive, the format since PyTorch 1.6. With other bytes above 0 it becomes
/// a file of the format before, or a batch.
const ARCHIVE: u8 = 2;
const BATCH: u8 = 3;

#[derive(Arbitrary, Debug)]
struct Changed<'a> {
    edits: Vec<Edit<'a>>,
    tail: &'a [u8],
}

/// The instructions of a state dict with three tensors, of which two share a storage, one is a parameter and one has
/// other strides.
const STATE_DICT: [&[u8]; 66] = [
    b"\x80\x02",
    b"ccollections\nOrderedDict\n",
    b")",
    b"R",
    b"(",
    b"X\x08\0\0\0module.a",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"q\x01",
    b"(",
    b"(",
    b"X\x07\0\0\0storage",
    b"ctorch\nFloatStorage\n",
    b"X\x01\0\0\x000",
    b"X\x03\0\0\0cpu",
    b"K\x06",
    b"N",
    b"t",
    b"Q",
    b"q\x02",
    b"K\0",
    b"K\x02",
    b"K\x03",
    b"\x86",
    b"K\x03",
    b"K\x01",
    b"\x86",
    b"\x89",
    b"N",
    b"t",
    b"R",
    b"X\x01\0\0\0b",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"h\x01",
    b"(",
    b"h\x02",
    b"K\x01",
    b"K\x02",
    b"\x85",
    b"K\x02",
    b"\x85",
    b"\x89",
    b"N",
    b"t",
    b"R",
    b"\x88",
    b"}",
    b"\x87",
    b"R",
    b"X\x01\0\0\0c",
    b"h\x01",
    b"(",
    b"h\x02",
    b"K\x05",
    b")",
    b")",
    b"\x89",
    b"N",
    b"t",
    b"R",
    b"u",
    b"}",
    b"X\x09\0\0\0_metadata",
    b"N",
    b"s",
    b"b",
    b".",
];

/// The instructions of a batch before its pixels, and after them.
const BATCH_HEAD: [&[u8]; 26] = [
    b"\x80\x02",
    b"}",
    b"(",
    b"U\x04data",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy\nndarray\n",
    b"K\0",
    b"\x85",
    b"U\x01b",
    b"\x87",
    b"R",
    b"(",
    b"K\x01",
    b"K\x01",
    b"M\x00\x0c",
    b"\x86",
    b"cnumpy\ndtype\n",
    b"U\x02u1",
    b"K\0",
    b"K\x01",
    b"\x87",
    b"R",
    b"N",
    b"b",
    b"\x89",
    b"T\x00\x0c\0\0",
];
const BATCH_TAIL: [&[u8]; 9] = [b"t", b"b", b"U\x06labels", b"]", b"(", b"K\x03", b"e", b"u", b"."];

/// The bytes of the storage.
const STORAGE: [u8; 24] = *b"an element has 4 bytes. ";

fn build(kind: u8, changed: Changed<'_>) -> Vec<u8> {
    let parts =
        |parts: &[&[u8]]| -> Vec<Vec<u8>> { parts.iter().map(|part| part.to_vec()).collect() };
    let mut pickle = match kind {
        BATCH => [parts(&BATCH_HEAD), vec![vec![7; cifar10::SIZE.n_bytes()]], parts(&BATCH_TAIL)]
            .concat(),
        _ => parts(&STATE_DICT),
    };
    changed.edits.iter().take(16).for_each(|edit| edit.apply(&mut pickle));
    let pickle = pickle.concat();
    let mut file = match kind {
        ARCHIVE => {
            archive(&[("x/data.pkl", &pickle), ("x/byteorder", b"little"), ("x/data/0", &STORAGE)])
        }
        BATCH => pickle,
        _ => {
            let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
            let machine = b"\x80\x02}U\x0dlittle_endian\x88s.";
            let keys = b"\x80\x02]U\x010a.";
            [magic, &machine[..], &pickle, keys, &6u64.to_le_bytes(), &STORAGE].concat()
        }
    };
    file.extend(changed.tail);
    file
}

/// Returns a zip archive of entries without compression.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let lengths = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        // Version, flags, method, time, date and checksum are 0.
        let common = [&[0; 14][..], &size, &size, &lengths].concat();
        let offset = (file.len() as u32).to_le_bytes();
        directory
            .push([b"PK\x01\x02\0\0", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
    }
    let (n, offset) = ((directory.len() as u16).to_le_bytes(), (file.len() as u32).to_le_bytes());
    let directory = directory.concat();
    let size = (directory.len() as u32).to_le_bytes();
    file.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &n, &n, &size, &offset, &[0; 2]].concat());
    file
}

/// Reads a file as weights and as a batch. Weights are converted twice, and the two results must be equal. A batch must
/// have a label that is a class for each of its images.
pub fn run(data: &[u8]) {
    let kind = data.first().copied().unwrap_or(0);
    let Some(bytes) = super::file(data, |changed| build(kind, changed)) else { return };
    let mut split = Split::new(cifar10::SIZE);
    match pickled::append(Path::new("data_batch_1"), &bytes, "labels", 10, &mut split) {
        Ok(n) => {
            assert_eq!([split.len(), split.images.len()], [n, n * cifar10::SIZE.n_bytes()]);
            assert!(split.labels.iter().all(|&label| label < 10));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let convert = |bytes| {
        let file = WeightsFile::parse(Path::new("model.pt"), bytes)?;
        file.to_safetensors().map(|(converted, _)| converted)
    };
    match convert(bytes) {
        Ok(converted) => {
            let again = convert(converted.clone()).expect("it was just written");
            assert!(again == converted, "the second conversion has other bytes");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
