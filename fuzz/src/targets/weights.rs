//! A weights file: the tensors of a valid file are changed, and the header is made to fit them.

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use wgrad::nn::{Weights, WeightsError, WeightsFile};
use wgrad::tape::{Initializer, Layout, StateBuffer, StateLayout};

use super::{Edit, tensors};

/// A few tensors of every kind, with names from a network.
pub static LAYOUT: LazyLock<StateLayout> = LazyLock::new(|| {
    let mut layout = StateLayout::default();
    let start = Initializer::Uniform { fan_in: 2 };
    for (group, name, shape, order) in [
        (StateBuffer::Parameters, "prep.0.weight", &[3, 3, 3, 2][..], Layout::ConvWeight),
        (StateBuffer::Parameters, "prep.1.weight", &[2], Layout::Plain),
        (StateBuffer::Parameters, "fc.weight", &[2, 10], Layout::LinearWeight),
        (StateBuffer::RunningStatistics, "prep.1.running_mean", &[2], Layout::Plain),
        (StateBuffer::RunningStatistics, "prep.1.running_var", &[2], Layout::Plain),
    ] {
        layout.add(group, name, shape, order, start);
    }
    layout
});

static PARTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    tensors::parts_of(&Weights::initial(&LAYOUT, 0).to_safetensors(&LAYOUT, None))
});

/// The same tensors, and their moving averages as in a checkpoint of a run with averaging. The reader takes the
/// averages.
static AVERAGED_PARTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let averages = PARTS.iter().map(|part| {
        let ([name, dtype, shape], bytes) = tensors::split(part);
        let name = format!("training.averaged_parameters.{}", name.as_str().expect("a name"));
        [serde_json::json!([name, dtype, shape]).to_string().as_bytes(), &[0], bytes].concat()
    });
    PARTS.iter().cloned().chain(averages).collect()
});

/// The first byte of an input that is built from [`AVERAGED_PARTS`].
const AVERAGED: u8 = 2;

#[derive(Arbitrary, Debug)]
struct Changed<'a> {
    edits: Vec<Edit<'a>>,
    /// A tensor's index, and a number of bytes that is added to the tensor's end in the header.
    off: Option<(u8, i8)>,
    metadata: Option<&'a str>,
    /// A number of bytes that is added to the header's length.
    length: Option<i8>,
    tail: &'a [u8],
}

fn build(mut parts: Vec<Vec<u8>>, changed: Changed<'_>) -> Vec<u8> {
    changed.edits.iter().take(16).for_each(|edit| edit.apply(&mut parts));
    let off = |ix| match changed.off {
        Some((part, off)) if usize::from(part) == ix => off.into(),
        _ => 0,
    };
    let metadata = changed.metadata.map(|value| ("format", value));
    let mut file = tensors::file_of(metadata, &parts, off, changed.length.unwrap_or(0).into());
    file.extend(changed.tail);
    file
}

fn read(bytes: Vec<u8>) -> Result<Weights, WeightsError> {
    let file = WeightsFile::parse(Path::new("model.safetensors"), bytes)?;
    Ok(file.weights(&LAYOUT)?.0)
}

/// Reads weights, writes them and reads them again. Both reads must give the same bits.
pub fn run(data: &[u8]) {
    let parts = if data.first() == Some(&AVERAGED) { &AVERAGED_PARTS } else { &PARTS };
    let build = |changed: Changed<'_>| build(parts.to_vec(), changed);
    let Some(bytes) = super::file(data, build) else { return };
    match read(bytes) {
        Ok(weights) => {
            let written = weights.to_safetensors(&LAYOUT, None);
            let again = read(written).expect("it was just written");
            let bits = |weights: &Weights| {
                let values = weights.parameters.iter().chain(&weights.running_statistics);
                (values.map(|value| value.to_bits()).collect::<Vec<_>>(), weights.n_batches)
            };
            assert_eq!(bits(&again), bits(&weights));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
