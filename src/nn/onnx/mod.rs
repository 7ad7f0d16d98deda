//! Export of a network with its weights to ONNX, the file format that runtimes of other projects read.
//!
//! `docs/export.md` describes the file. `plain.rs` and `translate.rs` have the operators of each op, and `proto.rs` the messages.

mod error;
mod fold;
mod graph;
mod plain;
mod proto;
mod translate;

use std::collections::HashMap;

use prost::Message;

use super::Weights;
use crate::tape::{Tape, ValueId};
use graph::{Builder, of_int};
use proto::{Element, Entry, Model, OperatorSet};
use translate::Translator;

pub use error::OnnxError;

/// The version of the file's structure, and the version of the operators. Version 18 is the first in which a resize
/// takes the sizes of the plane alone, without that of the batch.
const VERSIONS: [i64; 2] = [8, 18];

/// The largest number of bytes of a message of Protocol Buffers.
const MAX_BYTES: usize = i32::MAX as usize;

/// The form of the file, and the facts in its metadata.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Form<'a> {
    /// Mean of each channel, with pixels in 0..=1.
    pub mean: &'a [f64],
    /// Standard deviation of each channel.
    pub standard_deviation: &'a [f64],
    /// Names of the classes, in the order of the logits.
    pub classes: &'a [String],
    /// True for an input of bytes, `[N, C, H, W]` of u8, which the network normalises; false for an input of normalised
    /// pixels, `[N, C, H, W]` of f32.
    pub preprocessing: bool,
    /// True to fold each batch norm that follows a convolution into its weights.
    pub fold_batch_norm: bool,
}

/// Returns an ONNX file with the network on an evaluation tape that no pass has changed: from the images `x`,
/// `[N, H, W, C]` on the tape, to `logits`, `[N, classes]`. The batch axis of the file is free.
///
/// # Errors
/// If an op has no translation, the name of a class has a comma, or the file would be too large.
///
/// # Panics
/// If `x` does not have four axes, or the form does not have one mean and deviation for each channel.
pub fn export(
    tape: &Tape,
    x: ValueId,
    logits: ValueId,
    weights: &Weights,
    form: &Form<'_>,
) -> Result<Vec<u8>, OnnxError> {
    let &[_, height, width, channels] = tape.shape(x) else {
        panic!("export: images are [N, H, W, C], not {:?}", tape.shape(x));
    };
    let metadata = metadata(form, [height, width])?;
    let mut builder = Builder::default();
    let output = builder.name("logits");
    let images = match form.preprocessing {
        true => normalised(&mut builder, [height, width, channels], form),
        false => builder.input("images", Element::F32, &[channels, height, width]),
    };
    let names = HashMap::from([(x, images)]);
    let mut translator = Translator { tape, weights, builder, names };
    translator.run(logits, &output, form.fold_batch_norm)?;
    let mut builder = translator.builder;
    builder.output(&output, &tape.shape(logits)[1..]);
    let [ir_version, version] = VERSIONS;
    encoded(
        &Model {
            ir_version,
            producer_name: env!("CARGO_PKG_NAME").to_string(),
            producer_version: env!("CARGO_PKG_VERSION").to_string(),
            graph: Some(builder.finish(tape.name())),
            opset_import: vec![OperatorSet { domain: String::new(), version }],
            metadata_props: metadata,
        },
        MAX_BYTES,
    )
}

/// Returns the entries of the metadata.
fn metadata(form: &Form<'_>, [height, width]: [usize; 2]) -> Result<Vec<Entry>, OnnxError> {
    if let Some(class) = form.classes.iter().find(|class| class.contains(',')) {
        return Err(OnnxError::Class { class: class.clone() });
    }
    let list = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let entries = [
        ("mean", list(form.mean)),
        ("std", list(form.standard_deviation)),
        ("classes", form.classes.join(",")),
        ("image_size", format!("{height},{width}")),
    ];
    Ok(entries.map(|(key, value)| Entry { key: key.to_string(), value }).into())
}

/// Adds an input of bytes and their normalisation, and returns the name of the normalised pixels.
fn normalised(builder: &mut Builder, [h, w, channels]: [usize; 3], form: &Form<'_>) -> String {
    let mut x = builder.input("images", Element::U8, &[channels, h, w]);
    let mut add = |builder: &mut Builder, op: &str, operand: Option<String>, attributes| {
        let name = builder.name(&format!("preprocessing.{}", op.to_lowercase()));
        let inputs = [x.clone()].into_iter().chain(operand).collect();
        builder.node(&name, op, inputs, attributes);
        x.clone_from(&name);
        name
    };
    add(builder, "Cast", None, vec![of_int("to", Element::F32 as usize)]);
    let of_channels = |numbers: &[f64]| {
        assert_eq!(numbers.len(), channels, "export: numbers for {channels} channels");
        numbers.iter().map(|&number| number as f32).collect::<Vec<_>>()
    };
    let shape = [channels, 1, 1];
    let largest = builder.f32("preprocessing.largest", &[], &[255.0]);
    add(builder, "Div", Some(largest), vec![]);
    let mean = builder.f32("preprocessing.mean", &shape, &of_channels(form.mean));
    add(builder, "Sub", Some(mean), vec![]);
    let deviation = builder.f32("preprocessing.std", &shape, &of_channels(form.standard_deviation));
    add(builder, "Div", Some(deviation), vec![])
}

/// Returns the bytes of a file, which has at most `max_bytes`.
fn encoded(model: &Model, max_bytes: usize) -> Result<Vec<u8>, OnnxError> {
    match model.encoded_len() {
        n if n > max_bytes => Err(OnnxError::TooLarge { bytes: n as u64 }),
        _ => Ok(model.encode_to_vec()),
    }
}

#[cfg(test)]
mod tests;
