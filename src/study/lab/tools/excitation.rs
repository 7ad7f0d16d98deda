//! The images that excite the channels of a network most.

use wgrad::tape::Mode;

use super::field::{Field, field, stem_and_stages};
use super::pictures::{packed, patch};
use crate::study::lab::{Images, Lab, Probe, Trained};

/// The largest value of a channel for one image.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// The value.
    pub value: f32,
    /// The number of the test image.
    pub image: usize,
    /// The theoretical field of the unit with this value.
    pub field: Field,
}

/// The responses of a channel to the test images.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The largest value for each image, in order of the values, the largest first.
    pub peaks: Vec<Peak>,
    /// The largest mean over the plane that an image has.
    pub largest_mean: f64,
}

/// Returns the responses to the test images of all channels of the stem and of each stage.
///
/// # Errors
/// If the device fails.
pub fn excitation(lab: &Lab<'_>, network: &Trained) -> anyhow::Result<Vec<Vec<Channel>>> {
    let (test, [h, w, c]) = (lab.images.test(), lab.images.size().channels_last());
    let n = test.len().min(100);
    let (mut found, mut fields) = (Vec::new(), Vec::new());
    let mut probe = Probe::new(lab.device, Mode::Eval, &[n, h, w, c], |tape, x, _| {
        network.network.record(tape, x);
        let layers = stem_and_stages(tape, x);
        for &layer in &layers {
            let shape = tape.shape(layer);
            let place = |at: usize| [at / shape[2], at % shape[2]];
            let places = (0..shape[1] * shape[2]).map(|at| field(tape, x, layer, place(at)));
            fields.push(places.collect::<Vec<_>>());
            found.push(vec![Channel { peaks: Vec::new(), largest_mean: f64::MIN }; shape[3]]);
        }
        layers
    })?;
    probe.set_weights(&network.weights)?;
    for (images, n_own) in Images::batches(test, n) {
        lab.report(images[0] as usize, test.len())?;
        let (x, labels) = lab.images.arrays(test, &images);
        for (layer, values) in probe.run(&x, &labels)?.iter().enumerate() {
            let (channels, fields) = (&mut found[layer], &fields[layer]);
            let (area, depth) = (fields.len(), channels.len());
            for (plane, &image) in values.chunks_exact(area * depth).zip(&images[..n_own]) {
                for (ix, channel) in channels.iter_mut().enumerate() {
                    let own = || plane.iter().skip(ix).step_by(depth).copied();
                    let larger = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
                    let (at, value) = own().enumerate().reduce(larger).unwrap_or_default();
                    channel.peaks.push(Peak { value, image: image as usize, field: fields[at] });
                    let mean = own().map(f64::from).sum::<f64>() / area as f64;
                    channel.largest_mean = channel.largest_mean.max(mean);
                }
            }
        }
    }
    for channel in found.iter_mut().flatten() {
        channel.peaks.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.image.cmp(&b.image)));
    }
    Ok(found)
}

/// Returns the first `n` channels of the stem and of each stage for an image, `[layers][channels]`. Each has the number of
/// columns before the numbers of its plane, whose largest is 1; negative numbers are 0.
///
/// # Errors
/// If the device fails.
fn feature_maps(
    lab: &Lab<'_>,
    network: &Trained,
    image: u32,
    n: usize,
) -> anyhow::Result<Vec<Vec<Vec<f64>>>> {
    let (test, [h, w, c]) = (lab.images.test(), lab.images.size().channels_last());
    let (x, labels) = lab.images.arrays(test, &[image]);
    let mut shapes = Vec::new();
    let mut probe = Probe::new(lab.device, Mode::Eval, &[1, h, w, c], |tape, x, _| {
        network.network.record(tape, x);
        let layers = stem_and_stages(tape, x);
        shapes = layers.iter().map(|&layer| tape.shape(layer).to_vec()).collect();
        layers
    })?;
    probe.set_weights(&network.weights)?;
    let values = probe.run(&x, &labels)?;
    let maps = values.iter().zip(&shapes).map(|(values, shape)| {
        let (columns, depth) = (shape[2] as f64, shape[3]);
        let map = |channel: usize| {
            let own = || values.iter().skip(channel).step_by(depth).copied();
            let largest = own().fold(f32::MIN_POSITIVE, f32::max);
            let levels = own().map(|value| f64::from(value.max(0.0) / largest));
            [columns]
                .into_iter()
                .chain(levels.map(|level| (1000.0 * level).round() / 1000.0))
                .collect()
        };
        (0..depth.min(n)).map(map).collect()
    });
    Ok(maps.collect())
}

/// Returns the first `n` channels of each layer for the first test image, the probability of each class, and the image, as
/// measurements of a record.
///
/// # Errors
/// If the device fails.
pub fn picture(
    lab: &Lab<'_>,
    subject: &Trained,
    n: usize,
) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
    let (test, [h, w, _]) = (lab.images.test(), lab.images.size().channels_last());
    let mut numbers = Vec::new();
    for (layer, maps) in feature_maps(lab, subject, 0, n)?.into_iter().enumerate() {
        for (channel, map) in maps.into_iter().enumerate() {
            numbers.push((format!("{layer} {channel} map"), map));
        }
    }
    let predictions = subject.predictions(lab, &test.select(&[0]))?;
    let classes = lab.images.loaded.dataset.spec.classes.iter().zip(predictions.of(0));
    numbers.extend(classes.map(|(name, &p)| (format!("class {name}"), vec![f64::from(p)])));
    let (width, rgb) = patch(test, 0, &[[0, h as i64], [0, w as i64]]);
    numbers.push(("image".to_string(), packed(width, &rgb)));
    Ok(numbers)
}

/// Returns the share of the most frequent class.
pub fn purity(classes: &[u16]) -> f64 {
    let count = |class: &u16| classes.iter().filter(|other| *other == class).count();
    classes.iter().map(count).max().unwrap_or(0) as f64 / classes.len().max(1) as f64
}
