//! The references: a file for each family, which `tests/golden/family.py` generates.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;

/// The references of one family.
#[derive(Deserialize)]
pub struct Family {
    /// Whole networks at their own width.
    pub networks: Vec<NetworkCase>,
    /// Gradients of networks of two blocks a stage and an eighth of the width.
    pub reduced: Vec<ReducedCase>,
    /// Gradients of single blocks.
    pub blocks: Vec<BlockCase>,
    /// The entries of the state dicts.
    pub names: Vec<Names>,
}

/// A training pass and an evaluation of a network. The evaluation reads the statistics of the training pass.
#[derive(Deserialize)]
pub struct NetworkCase {
    /// Name of the network.
    pub name: String,
    /// Ends of the names of the batch norms at the end of a residual branch.
    pub branch_ends: Vec<String>,
    /// True if no residual path conditions the network.
    pub plain: bool,
    /// The training pass.
    pub train: Pass,
    /// The evaluation.
    pub eval: Pass,
}

/// A forward pass.
#[derive(Deserialize)]
pub struct Pass {
    /// Rows, and columns, of an image.
    pub image: usize,
    /// Number of images.
    pub batch: usize,
    /// Logits, `[batch, classes]`.
    pub logits: Vec<f64>,
    /// Logits of the auxiliary heads.
    pub aux: Vec<Vec<f64>>,
    /// The loss.
    pub loss: f64,
    /// Relative error of PyTorch's float32: the largest of logits and loss.
    pub float32: f64,
}

/// The gradients of a reduced network.
#[derive(Deserialize)]
pub struct ReducedCase {
    /// Name of the structure.
    pub name: String,
    /// Ends of the names of the batch norms at the end of a residual branch.
    pub branch_ends: Vec<String>,
    /// Rows, and columns, of an image.
    pub image: usize,
    /// Number of images.
    pub batch: usize,
    /// Number of the draw of images and labels.
    pub redraw: usize,
    /// True if no residual path conditions the network.
    pub plain: bool,
    /// Relative error of PyTorch's float32: the largest of a gradient.
    pub float32: f64,
    /// The loss.
    pub loss: f64,
    /// The gradient of each parameter.
    pub gradients: BTreeMap<String, Sample>,
}

/// The output and the gradients of a block.
#[derive(Deserialize)]
pub struct BlockCase {
    /// Name of the network.
    pub network: String,
    /// Number of classes of the network.
    pub classes: usize,
    /// The part of the network; see [`slice`](crate::slice::slice).
    pub part: String,
    /// Rows, and columns, of the image for which the block's input has its shape.
    pub image: usize,
    /// Shape of the input, in PyTorch's order.
    pub input: Vec<usize>,
    /// Number of the draw of the input and of the upstream gradient.
    pub redraw: usize,
    /// Shape of the output, in PyTorch's order.
    pub output: Vec<usize>,
    /// The output.
    pub y: Sample,
    /// The gradient of each parameter, and of the input `x`.
    pub gradients: BTreeMap<String, Sample>,
}

/// A tensor of which only a part is stored.
#[derive(Deserialize)]
pub struct Sample {
    /// Norm of the whole tensor.
    pub norm: f64,
    /// Up to 16 elements at equal distances, in PyTorch's order.
    pub at: Vec<f64>,
}

/// The entries of a state dict.
#[derive(Deserialize)]
pub struct Names {
    /// Name of the network.
    pub name: String,
    /// Number of classes.
    pub classes: usize,
    /// Number of parameters.
    pub parameters: usize,
    /// Shape of each entry.
    pub tensors: BTreeMap<String, Vec<usize>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/family")
}

/// Returns the references of all families. The variable `FAMILY` selects the families whose names contain its value.
pub fn families() -> Vec<Family> {
    let selected = std::env::var("FAMILY").unwrap_or_default();
    let entries =
        std::fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("a file"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let stem = |name: String| name.strip_suffix(".json.gz").map(str::to_string);
    let mut names: Vec<_> =
        names.filter_map(stem).filter(|name| name.contains(&selected)).collect();
    names.sort();
    assert!(!names.is_empty(), "no family is named {selected:?}");
    names.iter().map(|name| read(name)).collect()
}

fn read(family: &str) -> Family {
    let path = folder().join(format!("{family}.json.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
}
