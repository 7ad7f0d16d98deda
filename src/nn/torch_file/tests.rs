//! Files that torch has written (`tests/golden/torch_files.py` makes them), and hostile files.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch");
    fs::read(folder.join(name)).expect("a fixture")
}

/// Returns name, type, shape and bytes of each tensor of a safetensors file, without the prefix of a wrapper.
fn tensors_of(file: &[u8]) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let file = SafeTensors::deserialize(file).expect("safetensors");
    let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        let name = name.strip_prefix("module.").unwrap_or(name).to_string();
        (name, view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut tensors: Vec<_> = file.iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn error(bytes: &[u8]) -> String {
    convert(bytes).err().expect("it is refused")
}

#[test]
fn every_tensor_has_torchs_bits() {
    let expected = tensors_of(&fixture("types.safetensors"));
    assert_eq!(expected.len(), 19);
    for name in ["types.pt", "types_legacy.pt", "protocol1.pt", "protocol4.pt", "protocol5.pt"] {
        let file = convert(&fixture(name)).expect(name);
        assert!(file.notes.is_empty(), "{:?}", file.notes);
        for (found, expected) in tensors_of(&file.safetensors).iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(tensors_of(&file.safetensors).len(), expected.len(), "{name}");
    }
    let [small, other] =
        ["small.pt", "other_folder.pt"].map(|name| convert(&fixture(name)).expect(name));
    assert_eq!(small.safetensors, other.safetensors, "the folder has any name");
}

#[test]
fn the_state_dict_of_a_checkpoint_is_read() {
    let expected = tensors_of(&fixture("checkpoint.safetensors"));
    for name in ["checkpoint.pth", "checkpoint_legacy.th"] {
        let file = convert(&fixture(name)).expect(name);
        assert_eq!(tensors_of(&file.safetensors), expected, "{name}");
        assert_eq!(file.notes, ["read the tensors of the entry \"state_dict\""]);
    }
}

#[test]
fn a_file_of_python_2_and_an_early_torch_is_read() {
    let file = convert(&fixture("python2.th")).expect("a checkpoint");
    let found = tensors_of(&file.safetensors);
    let names = [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    ];
    assert_eq!(found.len(), names.len());
    for (ix, name) in names.into_iter().enumerate() {
        let tensor = found.iter().find(|tensor| tensor.0 == name).expect(name);
        let values = (ix..ix + 2).map(|value| value as f32);
        let floats: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        let expected = if ix == 6 { 6i64.to_le_bytes().to_vec() } else { floats };
        assert_eq!(tensor.3, expected, "{name}");
    }
}

#[test]
fn files_with_more_than_tensors_are_refused_by_name() {
    for (name, words) in [
        ("system.pt", "posix.system: a Python object"),
        ("system_legacy.pt", "posix.system: a Python object"),
        ("module.pt", "torch.nn.modules.container.Sequential: a Python object"),
        ("big_endian.pt", "big-endian"),
        ("compressed.pt", "is compressed"),
    ] {
        let error = error(&fixture(name));
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    for name in ["types.pt", "types_legacy.pt"] {
        let bytes = fixture(name);
        for n in 2..bytes.len() {
            assert!(convert(&bytes[..n]).is_err(), "{name}: {n} bytes");
        }
    }
}

#[test]
fn no_changed_byte_makes_a_reader_panic() {
    for name in ["checkpoint.pth", "checkpoint_legacy.th"] {
        let mut bytes = fixture(name);
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                bytes[at] ^= mask;
                if let Ok(file) = convert(&bytes) {
                    assert!(SafeTensors::deserialize(&file.safetensors).is_ok());
                }
                bytes[at] ^= mask;
            }
        }
    }
}

/// Returns the instruction of an integer.
fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[b'X'][..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn tuple(values: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &values.concat()[..], b"t"].concat()
}

fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

/// Returns the instructions of a dictionary.
fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<_> =
        entries.iter().map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &entries.concat()[..], b"u"].concat()
}

/// The description of a tensor in a pickle. The default is a tensor of all four elements of the storage of
/// [`file_of`].
struct Described<'a> {
    class: &'a str,
    key: &'a str,
    n_elements: i64,
    /// The instructions of the part of the storage that is used.
    part: Vec<u8>,
    offset: i64,
    sizes: &'a [i64],
    strides: &'a [i64],
}

impl Default for Described<'_> {
    fn default() -> Self {
        let part = b"N".to_vec();
        Self {
            class: "torch\nFloatStorage",
            key: "s",
            n_elements: 4,
            part,
            offset: 0,
            sizes: &[4],
            strides: &[1],
        }
    }
}

impl Described<'_> {
    fn instructions(&self) -> Vec<u8> {
        let class = format!("c{}\n", self.class).into_bytes();
        let reference = [
            text("storage"),
            class,
            text(self.key),
            text("cuda:0"),
            int(self.n_elements),
            self.part.clone(),
        ];
        let reference = [tuple(&reference), b"Q".to_vec()].concat();
        let arguments =
            [reference, int(self.offset), ints(self.sizes), ints(self.strides), b"\x89N".to_vec()];
        [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &tuple(&arguments), b"R"].concat()
    }

    fn file(&self) -> Vec<u8> {
        file_of(&dict(&[("x", self.instructions())]))
    }
}

/// Returns a file in the format before PyTorch 1.6. Its only storage has the key `s` and four elements of f32: 0 to 3.
fn file_of(pickle: &[u8]) -> Vec<u8> {
    let magic = MAGIC.to_vec();
    let machine = [&b"\x80\x02"[..], &dict(&[("little_endian", vec![0x88])]), b"."].concat();
    let pickle = [b"\x80\x02", pickle, b"."].concat();
    let keys = [&b"\x80\x02]"[..], &text("s"), b"a."].concat();
    let elements: Vec<u8> =
        [0.0f32, 1.0, 2.0, 3.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let storage = [&4i64.to_le_bytes()[..], &elements].concat();
    [magic, machine, pickle, keys, storage].concat()
}

/// The pickles of the magic number and of the version.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

fn values(described: &Described<'_>) -> Vec<f32> {
    let file = convert(&described.file()).expect("a right file");
    let [(_, _, _, bytes)] = &tensors_of(&file.safetensors)[..] else { panic!("one tensor") };
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn sizes_strides_and_offsets_select_elements() {
    let of = |offset, sizes, strides| Described { offset, sizes, strides, ..Default::default() };
    assert_eq!(values(&Described::default()), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(values(&of(0, &[2, 2], &[1, 2])), [0.0, 2.0, 1.0, 3.0]);
    assert_eq!(values(&of(1, &[2], &[2])), [1.0, 3.0]);
    assert_eq!(values(&of(3, &[], &[])), [3.0]);
    assert_eq!(values(&of(3, &[1, 1], &[0, 1 << 40])), [3.0], "no other element has the stride");
    assert_eq!(values(&of(2, &[2, 2], &[0, 1])), [2.0, 3.0, 2.0, 3.0], "repeated rows");
    assert!(values(&of(9, &[2, 0], &[1, 1])).is_empty());
    let cuda = Described { class: "torch.cuda\nFloatStorage", ..Default::default() };
    assert_eq!(values(&cuda), [0.0, 1.0, 2.0, 3.0]);
    let part = tuple(&[text("p"), int(1), int(3)]);
    let part = Described { part, sizes: &[3], ..Default::default() };
    assert_eq!(values(&part), [1.0, 2.0, 3.0]);
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let of = |offset, sizes, strides| Described { offset, sizes, strides, ..Default::default() };
    let max = i64::MAX;
    for (described, words) in [
        (of(1, &[4], &[1]), "x: the tensor of shape [4] has elements beyond its storage"),
        (of(0, &[2], &[4]), "elements beyond"),
        (of(max, &[1], &[1]), "elements beyond"),
        (of(0, &[2, 2, 1], &[max, max, max]), "elements beyond"),
        (of(0, &[5], &[0]), "more elements than its storage"),
        (of(0, &[max, max], &[0, 0]), "more elements than its storage"),
        (of(0, &[4], &[-1]), "damaged"),
        (of(-1, &[4], &[1]), "damaged"),
        (of(0, &[4], &[]), "damaged"),
        (of(0, &[1; 65], &[1; 65]), "damaged"),
        (Described { key: "t", ..Default::default() }, "no tensor refers to storage \"s\""),
        (Described { n_elements: 5, ..Default::default() }, "has 16 bytes, and 5 elements of F32"),
        (Described { n_elements: max, ..Default::default() }, "9223372036854775807 elements"),
        (
            Described { part: tuple(&[text("p"), int(2), int(3)]), ..Default::default() },
            "no elements 2 + 3",
        ),
        (
            Described { class: "torch\nDoubleStorage", n_elements: 2, ..Default::default() },
            "the file ends in storage",
        ),
        (Described { class: "torch\nQUInt8Storage", ..Default::default() }, "torch.QUInt8Storage:"),
    ] {
        let error = error(&described.file());
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn tensors_that_share_a_storage_too_often_are_refused() {
    // Tensors of 64 KiB, in a file of little more than that.
    let n = 1 << 14;
    let zeros = vec![0; 4 * n];
    let described =
        Described { n_elements: n as i64, sizes: &[1 << 14], ..Default::default() }.instructions();
    let first = [&text("a")[..], &described, b"q\0"].concat();
    let others: Vec<u8> =
        (0..50).flat_map(|ix| [text(&format!("{ix}")), b"h\0".to_vec()].concat()).collect();
    let whole = |entries: &[u8]| {
        let file = file_of(&[b"}(", entries, b"u"].concat());
        let head = &file[..file.len() - 24];
        [head, &(n as i64).to_le_bytes(), &zeros].concat()
    };
    assert!(convert(&whole(&first)).is_ok());
    let error = error(&whole(&[first, others].concat()));
    assert!(error.contains("repeats storages"), "{error}");
}

#[test]
fn values_that_are_no_state_dict_are_refused() {
    let x = Described::default().instructions();
    for (pickle, words) in [
        (b"]".to_vec(), "no dictionary"),
        (x.clone(), "no dictionary"),
        (dict(&[("epoch", int(1))]), "no tensors; its entries are \"epoch\""),
        (dict(&[("__metadata__", x.clone())]), "__metadata__"),
    ] {
        let file = convert(&file_of(&[&dict(&[("s", x.clone())])[..], b"0", &pickle].concat()));
        let found = match file {
            Err(error) => error,
            Ok(file) => {
                SafeTensors::deserialize(&file.safetensors).expect_err("refused").to_string()
            }
        };
        assert!(found.contains(words), "{words}: {found}");
    }
    let parameter = |inner: &[u8]| {
        let arguments = tuple(&[inner.to_vec(), vec![0x88], b"}".to_vec()]);
        [&b"ctorch._utils\n_rebuild_parameter\n"[..], &arguments, b"R"].concat()
    };
    let once = parameter(&x);
    let file = convert(&file_of(&dict(&[("x", once.clone())]))).expect("a parameter");
    assert_eq!(tensors_of(&file.safetensors).len(), 1);
    let twice = parameter(&once);
    let file =
        convert(&file_of(&dict(&[("model", dict(&[("x", x), ("y", twice), ("n", int(1))]))])));
    let file = file.expect("one tensor");
    assert_eq!(tensors_of(&file.safetensors).len(), 1);
    assert_eq!(
        file.notes,
        [
            "read the tensors of the entry \"model\"",
            "ignored the entry \"y\" and 1 more, which are no tensors"
        ]
    );
}

#[test]
fn damaged_headers_of_the_early_format_are_errors() {
    let file = Described::default().file();
    let replaced = |from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).position(|part| part == from).expect("there");
        error(&[&file[..at], to, &file[at + from.len()..]].concat())
    };
    assert!(replaced(b"\x8a\x0al", b"\x8a\x0am").contains("magic number"));
    assert!(replaced(b"M\xe9\x03", b"M\xea\x03").contains("version"));
    assert!(replaced(b"little_endian\x88", b"little_endian\x89").contains("big-endian"));
    assert!(
        replaced(b"little_endian\x88", b"little_endianN").contains("description of the machine")
    );
    assert!(replaced(b"]X\x01\0\0\0sa.", b"]X\x01\0\0\0sa2a.").contains("list of storages"));
    assert!(replaced(b"]X\x01\0\0\0sa.", b"](X\x01\0\0\0s2e.").contains("ends in storage"));
    let negative = [&file[..file.len() - 24], &(-4i64).to_le_bytes(), &[0; 16]].concat();
    assert!(error(&negative).contains("the file ends in storage \"s\""));
    assert!(error(b"PK\x03\x04").contains("zip archive is damaged"));
}
