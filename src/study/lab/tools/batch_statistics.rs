//! The statistics of small batches, in a trained network with batch norm.

use wgrad::data::batches;
use wgrad::tape::Mode;

use crate::study::lab::{Images, Lab, Probe, Trained, value_of};

/// The number of images in a step that computes the output of a layer.
const BATCH_SIZE: usize = 100;

/// Compares the statistics of small batches of each of `sizes` with the running statistics, as measurements of a record:
/// [`errors_by_batch_size`], and [`deviations`] for each of `layers`. A network without batch norm has none.
///
/// # Errors
/// If the device fails.
pub fn statistics(
    lab: &Lab<'_>,
    trained: &Trained,
    layers: &[&str],
    sizes: &[usize],
) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
    let mut found = Vec::new();
    if !trained.layout.running_statistics.is_empty() {
        found.push(("error by size".to_string(), errors_by_batch_size(lab, trained, sizes)?));
        for layer in layers {
            let [means, variances] = deviations(lab, trained, layer, sizes)?;
            found.push((format!("{layer}/means"), means));
            found.push((format!("{layer}/variances"), variances));
        }
    }
    Ok(found)
}

/// Returns the error over the test images for each batch size in `sizes` that is at most their number, if batch norms use
/// the statistics of the batch. The images are in random order; those of the last batch, if it is not full, do not count.
///
/// # Errors
/// If the device fails.
pub fn errors_by_batch_size(
    lab: &Lab<'_>,
    trained: &Trained,
    sizes: &[usize],
) -> anyhow::Result<Vec<f64>> {
    let test = lab.images.test();
    let order = batches::epoch_order(lab.seed(), 0, test.len());
    let [h, w, c] = lab.images.size().channels_last();
    let mut errors = Vec::new();
    for &size in sizes.iter().filter(|&&size| size <= test.len()) {
        let mut probe = Probe::new(lab.device, Mode::Train, &[size, h, w, c], |tape, x, _| {
            vec![trained.network.record(tape, x)]
        })?;
        probe.set_weights(&trained.weights)?;
        let (mut n_wrong, mut n_images) = (0, 0);
        for numbers in batches::whole_batches(&order, size) {
            lab.check_stop()?;
            let (x, labels) = lab.images.arrays(test, numbers);
            let logits = &probe.run(&x, &labels)?[0];
            for (row, &label) in logits.chunks(trained.network.classes).zip(&labels) {
                let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                n_wrong += usize::from(largest.map(|(class, _)| class) != Some(label as usize));
            }
            n_images += size;
        }
        errors.push(n_wrong as f64 / n_images as f64);
    }
    Ok(errors)
}

/// Returns the deviation of the mean and of the variance of a batch from those of all test images, for each batch size in
/// `sizes` that is at most their number, in the output of `layer`. The statistics of the means are in standard deviations
/// of all elements, those of the variances in variances: root mean squares over batches and channels.
///
/// # Errors
/// If the device fails.
pub fn deviations(
    lab: &Lab<'_>,
    trained: &Trained,
    layer: &str,
    sizes: &[usize],
) -> anyhow::Result<[Vec<f64>; 2]> {
    let moments = image_moments(lab, trained, layer)?;
    let fitting = sizes.iter().filter(|&&size| size <= moments.len());
    let pairs: Vec<[f64; 2]> = fitting.map(|&size| deviation(&moments, size)).collect();
    Ok([0, 1].map(|ix| pairs.iter().map(|pair| pair[ix]).collect()))
}

/// Mean and mean square of each channel of an image.
type Moments = Vec<[f64; 2]>;

/// Returns the moments of each test image, in random order, in the output of `layer` with the running statistics.
fn image_moments(lab: &Lab<'_>, trained: &Trained, layer: &str) -> anyhow::Result<Vec<Moments>> {
    let test = lab.images.test();
    let order = batches::epoch_order(lab.seed(), 0, test.len());
    let [h, w, c] = lab.images.size().channels_last();
    let n = BATCH_SIZE.min(test.len());
    let mut n_channels = 0;
    let mut probe = Probe::new(lab.device, Mode::Eval, &[n, h, w, c], |tape, x, _| {
        trained.network.record(tape, x);
        let value = value_of(tape, layer);
        n_channels = tape.shape(value)[3];
        vec![value]
    })?;
    probe.set_weights(&trained.weights)?;
    let mut all = Vec::new();
    for (places, n_own) in Images::batches(test, n) {
        lab.check_stop()?;
        let numbers: Vec<u32> = places.iter().map(|&place| order[place as usize]).collect();
        let (x, labels) = lab.images.arrays(test, &numbers);
        let values = &probe.run(&x, &labels)?[0];
        for image in values.chunks(values.len() / n).take(n_own) {
            let mut sums = vec![[0.0; 2]; n_channels];
            for (ix, &value) in image.iter().enumerate() {
                let value = f64::from(value);
                let sum = &mut sums[ix % n_channels];
                *sum = [sum[0] + value, sum[1] + value * value];
            }
            let n_pixels = (image.len() / n_channels) as f64;
            all.push(sums.into_iter().map(|sum| sum.map(|part| part / n_pixels)).collect());
        }
    }
    Ok(all)
}

/// Returns the deviations of mean and variance over batches of `size` images.
pub fn deviation(images: &[Moments], size: usize) -> [f64; 2] {
    let all = mean_and_variance(images);
    let (mut squares, mut n) = ([0.0; 2], 0.0);
    for batch in images.chunks_exact(size) {
        for ([mean, variance], [all_mean, all_variance]) in
            mean_and_variance(batch).iter().zip(&all)
        {
            squares[0] += (mean - all_mean).powi(2) / all_variance;
            squares[1] += (variance / all_variance - 1.0).powi(2);
            n += 1.0;
        }
    }
    squares.map(|sum| (sum / n).sqrt())
}

/// Returns the mean and the variance of each channel over some images.
fn mean_and_variance(images: &[Moments]) -> Moments {
    let n = images.len() as f64;
    let channels = 0..images.first().map_or(0, Vec::len);
    channels
        .map(|channel| {
            let sum =
                |part: usize| images.iter().map(|image| image[channel][part]).sum::<f64>() / n;
            let (mean, square) = (sum(0), sum(1));
            [mean, square - mean * mean]
        })
        .collect()
}
