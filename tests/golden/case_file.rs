//! A golden file: named tensors in PyTorch's layouts, and the attributes of their op.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use safetensors::{Dtype, SafeTensors};

/// One case of one op.
pub struct CaseFile {
    /// The file's name.
    pub name: String,
    attributes: HashMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
}

/// A tensor of a file.
#[derive(Clone)]
pub struct Tensor {
    /// The shape in PyTorch's layout.
    pub shape: Vec<usize>,
    values: Values,
}

#[derive(Clone)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    U8(Vec<u8>),
}

/// Returns the folder of the cases: `$GOLDEN_DIR`, otherwise the project's own.
pub fn folder() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    }
}

/// Returns all cases of the folder, by name.
pub fn all() -> Vec<CaseFile> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder:?} holds no .safetensors file");
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

impl CaseFile {
    fn read(path: &Path) -> Self {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("it was read just now");
        let attributes = metadata.metadata().clone().unwrap_or_default();
        let tensors = file.iter().map(|(key, view)| {
            let shape = view.shape().to_vec();
            (key.to_string(), Tensor { shape, values: Values::read(view.dtype(), view.data()) })
        });
        let attributes = attributes.into_iter().collect();
        Self { tensors: tensors.collect(), name, attributes }
    }

    /// Returns the name of the op.
    pub fn op(&self) -> &str {
        self.attributes.get("op").map_or("", String::as_str)
    }

    /// Returns an attribute, parsed as a number or a word.
    pub fn attribute<T: FromStr>(&self, key: &str) -> T {
        let text = self.attributes.get(key).unwrap_or_else(|| panic!("{}: no {key}", self.name));
        text.parse().unwrap_or_else(|_| panic!("{}: {key} is {text:?}", self.name))
    }

    /// Returns true if an attribute is 1; false if the file does not have the attribute.
    pub fn flag(&self, key: &str) -> bool {
        self.attributes.get(key).is_some_and(|value| value == "1")
    }

    /// Returns the file's own tolerance; None without one.
    pub fn tolerance(&self) -> Option<f64> {
        self.attributes.contains_key("tolerance").then(|| self.attribute("tolerance"))
    }

    /// Returns a tensor by name.
    pub fn tensor(&self, key: &str) -> &Tensor {
        self.tensors.get(key).unwrap_or_else(|| panic!("{}: no tensor {key}", self.name))
    }
}

impl Tensor {
    /// Returns the elements as f32.
    pub fn f32(&self) -> &[f32] {
        match &self.values {
            Values::F32(values) => values,
            _ => panic!("a tensor of f32 was expected"),
        }
    }

    /// Returns the elements as f64.
    pub fn f64(&self) -> Vec<f64> {
        match &self.values {
            Values::F64(values) => values.clone(),
            Values::F32(values) => values.iter().copied().map(f64::from).collect(),
            Values::U8(values) => values.iter().copied().map(f64::from).collect(),
            Values::I64(_) => panic!("a tensor of real numbers or bytes was expected"),
        }
    }

    /// Returns the elements as u32.
    pub fn u32(&self) -> Vec<u32> {
        match &self.values {
            Values::I64(values) => {
                values.iter().map(|&v| u32::try_from(v).expect("small, not negative")).collect()
            }
            _ => panic!("a tensor of i64 was expected"),
        }
    }

    /// Returns bytes as words, four bytes to a word, little endian.
    pub fn packed(&self) -> Vec<u32> {
        match &self.values {
            Values::U8(bytes) => {
                let (words, rest) = bytes.as_chunks();
                assert!(rest.is_empty(), "whole words were expected");
                words.iter().map(|&word| u32::from_le_bytes(word)).collect()
            }
            _ => panic!("a tensor of u8 was expected"),
        }
    }

    /// Returns the tensor at index `ix` of the first axis.
    pub fn at(&self, ix: usize) -> Tensor {
        let shape = self.shape[1..].to_vec();
        let n: usize = shape.iter().product();
        let range = ix * n..(ix + 1) * n;
        let values = match &self.values {
            Values::F32(values) => Values::F32(values[range].to_vec()),
            Values::F64(values) => Values::F64(values[range].to_vec()),
            Values::I64(values) => Values::I64(values[range].to_vec()),
            Values::U8(values) => Values::U8(values[range].to_vec()),
        };
        Tensor { shape, values }
    }
}

impl Values {
    fn read(dtype: Dtype, data: &[u8]) -> Self {
        match dtype {
            Dtype::F32 => Values::F32(elements(data, f32::from_le_bytes)),
            Dtype::F64 => Values::F64(elements(data, f64::from_le_bytes)),
            Dtype::I64 => Values::I64(elements(data, i64::from_le_bytes)),
            Dtype::U8 => Values::U8(data.to_vec()),
            other => panic!("no case holds {other:?}"),
        }
    }
}

fn elements<T, const N: usize>(data: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|&bytes| convert(bytes)).collect()
}
