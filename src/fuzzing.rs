//! The ways in for fuzzers, where the public ones lead through the file system. No part of the interface.

use std::io;
use std::path::Path;

use crate::data::fetch::unpack::{self, Item, Problem};
use crate::data::{Split, cifar10};
use crate::nn::{Weights, WeightsFile};
use crate::tape::{Group, Initializer, Layout, StateLayout};
use crate::train::Settings;

/// Reads a file of CIFAR-10.
///
/// # Errors
/// What is wrong with it.
pub fn cifar_batch(bytes: &[u8]) -> Result<Split, String> {
    let mut split = Split::default();
    let n = cifar10::append_bytes(Path::new("data_batch_1.bin"), bytes, &mut split);
    let n = n.map_err(|error| error.to_string())?;
    assert_eq!(split.len(), n, "records are counted");
    Ok(split)
}

/// Reads an archive, and hands on the name and length of each file that would be unpacked.
///
/// # Errors
/// What is wrong with it.
pub fn archive(bytes: &[u8], mut unpacked: impl FnMut(&str, u64)) -> Result<(), String> {
    let mut sink = |item: Item<'_>| {
        if let Item::File(name, content) = item {
            let copied = io::copy(content, &mut io::sink());
            unpacked(name, copied.map_err(|error| Problem::Archive(error.to_string()))?);
        }
        Ok(())
    };
    unpack::read(bytes, &mut sink).map_err(|problem| match problem {
        Problem::Archive(reason) => reason,
        Problem::Sink(error) => unreachable!("nothing is written: {error}"),
    })
}

/// Reads a file of settings.
///
/// # Errors
/// What is wrong with it.
pub fn config(text: &str) -> Result<Settings, String> {
    Settings::parse(text).map_err(|error| error.to_string())
}

/// The file of these weights.
pub fn weights_file(weights: &Weights, layout: &StateLayout) -> Vec<u8> {
    weights.to_safetensors(layout, None)
}

/// Reads a file of weights.
///
/// # Errors
/// What is wrong with it.
pub fn weights(layout: &StateLayout, bytes: &[u8]) -> Result<Weights, String> {
    let file = WeightsFile::parse(Path::new("model.safetensors"), bytes.to_vec());
    let weights = file.and_then(|file| file.weights(layout));
    weights.map(|(weights, _)| weights).map_err(|error| error.to_string())
}

/// A layout with a tensor of each kind, so that there is little to write and all to get wrong.
pub fn small_layout() -> StateLayout {
    let mut layout = StateLayout::default();
    let start = Initializer::Uniform { fan_in: 2 };
    for (group, name, shape, order) in [
        (Group::Parameters, "prep.0.weight", &[3, 3, 3, 2][..], Layout::ConvWeight),
        (Group::Parameters, "prep.1.weight", &[2], Layout::Plain),
        (Group::Parameters, "fc.weight", &[2, 10], Layout::LinearWeight),
        (Group::Statistics, "prep.1.running_mean", &[2], Layout::Plain),
        (Group::Statistics, "prep.1.running_var", &[2], Layout::Plain),
    ] {
        layout.add(group, name, shape, order, start);
    }
    layout
}
