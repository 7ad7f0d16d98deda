//! A file of weights: the tensors of a right one, changed, and written with a right header.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use wgrad::fuzzing;
use wgrad::nn::{ResNet9, Weights};
use wgrad::tape::StateLayout;
use wgrad::train::step::{self, StepConfig};

use super::Edit;

/// The smallest network: of any, the tensors are the same in number and name.
static LAYOUT: LazyLock<StateLayout> = LazyLock::new(|| {
    let config = StepConfig::new(ResNet9 { width: 1, classes: 10 }, 1);
    step::evaluation(&config).tape.state().clone()
});

/// The tensors of a right file: for each a line of JSON (name, type, shape), a zero byte, and its bytes.
static PARTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let file = fuzzing::weights_file(&Weights::initial(&LAYOUT, 0), &LAYOUT);
    let (length, rest) = file.split_first_chunk::<8>().expect("it has a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).expect("it is JSON");
    let tensors = header.as_object().expect("it is an object").iter();
    let tensors = tensors.filter(|(name, _)| *name != "__metadata__").map(|(name, tensor)| {
        let offset = |ix: usize| tensor["data_offsets"][ix].as_u64().expect("a number") as usize;
        let line = serde_json::json!([name, tensor["dtype"], tensor["shape"]]).to_string();
        [line.as_bytes(), &[0], &data[offset(0)..offset(1)]].concat()
    });
    tensors.collect()
});

#[derive(Arbitrary, Debug)]
struct Changed<'a> {
    edits: Vec<Edit<'a>>,
    /// Added to the end of a tensor, as the header has it.
    offsets: Vec<(u8, i8)>,
    metadata: Option<&'a str>,
    /// Added to the length of the header.
    length: Option<i8>,
    tail: &'a [u8],
}

fn build(changed: Changed<'_>) -> Vec<u8> {
    let mut parts = PARTS.clone();
    changed.edits.iter().take(16).for_each(|edit| edit.apply(&mut parts));
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    if let Some(metadata) = changed.metadata {
        entries
            .push(format!("\"__metadata__\":{{\"format\":{}}}", serde_json::Value::from(metadata)));
    }
    for (ix, part) in parts.iter().enumerate() {
        let split = part.iter().position(|&byte| byte == 0).unwrap_or(part.len());
        let (line, bytes) = (&part[..split], part.get(split + 1..).unwrap_or_default());
        let begin = data.len() as u64;
        data.extend(bytes);
        let off = changed.offsets.iter().find(|(part, _)| usize::from(*part) == ix);
        let end = (data.len() as u64).wrapping_add_signed(off.map_or(0, |&(_, off)| off.into()));
        let line: [serde_json::Value; 3] = serde_json::from_slice(line).unwrap_or_default();
        let [name, dtype, shape] = line;
        let name = name
            .as_str()
            .map_or("\"x\"".to_string(), |name| serde_json::Value::from(name).to_string());
        entries.push(format!(
            "{name}:{{\"dtype\":{dtype},\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}"
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let length = (header.len() as u64).wrapping_add_signed(changed.length.unwrap_or(0).into());
    [&length.to_le_bytes(), header.as_bytes(), &data, changed.tail].concat()
}

/// Reads weights; what was read is what is written.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    match Weights::from_safetensors(&LAYOUT, &bytes) {
        Ok(weights) => {
            let written = fuzzing::weights_file(&weights, &LAYOUT);
            let again = Weights::from_safetensors(&LAYOUT, &written).expect("it was just written");
            let bits = |weights: &Weights| {
                let values = weights.parameters.iter().chain(&weights.statistics);
                (values.map(|value| value.to_bits()).collect::<Vec<_>>(), weights.n_batches)
            };
            assert_eq!(bits(&again), bits(&weights));
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}
