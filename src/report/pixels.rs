//! Pictures of an augmented batch, and of the filters of the first convolution.

use std::fmt::Write;

use super::html::note;
use super::picture::Picture;
use crate::Error;
use crate::data::Dataset;
use crate::data::batches::{self, Batch};
use crate::device::cpu::CpuDevice;
use crate::device::{LoadOptions, Session};
use crate::kernel::StepScalars;
use crate::nn::Weights;
use crate::tape::{Layout, StateLayout};
use crate::train::recipe::Recipe;
use crate::train::step;

/// The largest number of augmented images on the page.
const MAX_IMAGES: usize = 60;

/// The largest number of filters on the page.
const MAX_FILTERS: usize = 256;

/// The images of a training step after augmentation.
#[derive(Clone, PartialEq, Debug)]
pub struct AugmentedBatch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The number of images in the batch.
    pub batch_size: usize,
    /// The first images of the batch, with their classes.
    pub images: Vec<(Picture, usize)>,
}

impl AugmentedBatch {
    /// Computes the images of the first step of an epoch (from 1).
    ///
    /// The CPU device repeats the augmentation. Augmentation has the same bits on every device, and depends only on the
    /// seed, the epoch and each image's number. So the result has the same pixels as the training step.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn of(recipe: &Recipe, dataset: &Dataset, epoch: usize) -> Result<Self, Error> {
        let order = batches::epoch_order(recipe.seed, epoch as u64 - 1, dataset.train.len());
        let n_images = recipe.batch_size.min(MAX_IMAGES).min(order.len());
        let mut batch = Batch::with_room(n_images, dataset.train.largest_image());
        batch.fill(&dataset.train, &order[..n_images]);

        let config = recipe.step().for_sizes(&dataset.train);
        let config = step::StepConfig { batch_size: n_images, ..config };
        let step = step::augmentation(&config);
        let mut session = CpuDevice::default().session::<f32>(step.tape.state());
        let id = session.load(&step.tape, LoadOptions::default())?;
        session.write(id, step.table, &config.table())?;
        session.write_words(id, step.pixels, &batch.pixels)?;
        if let Some(sizes) = step.sizes {
            session.write_words(id, sizes, &batch.sizes)?;
        }
        session.write_words(id, step.indices, &batch.indices)?;
        let seed = [recipe.seed as u32, (recipe.seed >> 32) as u32];
        let scalars = StepScalars { seed, epoch: epoch as u32 - 1, ..StepScalars::default() };
        session.run(id, &scalars)?;
        let values = session.read(id, step.images)?;

        let pictures = values.chunks(config.size.n_bytes()).map(|values| picture(&config, values));
        let classes = batch.labels.iter().map(|&label| label as usize);
        Ok(Self { epoch, batch_size: recipe.batch_size, images: pictures.zip(classes).collect() })
    }

    /// Returns the page's section with the images, as HTML. `classes` are the names of the classes.
    pub fn section(&self, classes: &[String]) -> String {
        let (n, epoch, batch_size) = (self.images.len(), self.epoch, self.batch_size);
        let which = match n < batch_size {
            true => format!("{n} of the {batch_size} images"),
            false => format!("The {n} images"),
        };
        let mut out = note(&format!(
            "{which} of the first training step of epoch {epoch}, after augmentation. The \
             normalisation is undone for display. Cut-out squares and erased boxes have the mean colour, grey."
        ));
        out += "<div class=\"pictures batch\">\n";
        for (picture, class) in &self.images {
            let class = &classes[*class];
            let _ = writeln!(out, "{}", picture.element(class, class));
        }
        out + "</div>\n"
    }
}

/// Returns the picture of a normalised image, `[H, W, C]`. Inverts the normalisation.
fn picture(config: &step::StepConfig, values: &[f32]) -> Picture {
    let byte = |(at, &value): (usize, &f32)| {
        let channel = at % config.size.channels;
        let part = f64::from(value) * config.standard_deviation[channel] + config.mean[channel];
        // The cast to u8 saturates.
        (255.0 * part).round() as u8
    };
    let bytes: Vec<u8> = values.iter().enumerate().map(byte).collect();
    let n_channels = config.size.channels;
    let channels = (0..n_channels).flat_map(|c| bytes.iter().skip(c).step_by(n_channels).copied());
    Picture::thumbnail(config.size, &channels.collect::<Vec<u8>>())
}

/// Returns HTML with the filters of the first convolution, each as a picture. The largest weight of each filter has the
/// full brightness or full darkness. Returns an empty string if the first convolution does not read three channels.
pub fn filters(layout: &StateLayout, weights: &Weights) -> String {
    let first = layout.parameters.iter().find(|member| member.layout == Layout::ConvWeight);
    let Some(member) = first.filter(|member| member.shape[2] == 3) else { return String::new() };
    let [height, width, _, n_filters] = member.shape[..] else { return String::new() };
    let weights = &weights.parameters[member.range()];
    let n_shown = n_filters.min(MAX_FILTERS);
    let some = if n_shown < n_filters { format!("{n_shown} of ") } else { String::new() };
    let mut out = note(&format!(
        "{some}{n_filters} filters of {height}x{width} pixels ({}). In each colour channel, grey is 0, \
         brighter is positive and darker is negative. Each filter has a scale of its own.",
        member.name
    ));
    out += "<div class=\"pictures filters\">\n";
    for filter in 0..n_shown {
        let values: Vec<f32> = weights.iter().copied().skip(filter).step_by(n_filters).collect();
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let rgb = values.iter().map(|value| (128.0 + scale * value).round() as u8).collect();
        let uri = Picture::new(width, height, rgb).data_uri();
        let _ = writeln!(
            out,
            "<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"filter {filter}\" \
             title=\"filter {filter}, largest weight {largest:.3}\">"
        );
    }
    out + "</div>\n"
}
