//! The gradients inside a network at initialisation.

use wgrad::ops::cross_entropy::cross_entropy;
use wgrad::passes;
use wgrad::tape::Mode;

use super::residual::Residual;
use crate::study::lab::{Lab, Probe, Spread};

/// The gradients of the loss of a batch, at the initial weights of a seed.
pub struct Flow {
    /// The norm of the gradient of each block's output.
    pub outputs: Vec<f64>,
    /// The norm of the gradient of each block's convolutions.
    pub weights: Vec<f64>,
    /// The gradient of the images, `[N, H, W, C]`.
    pub d_images: Vec<f32>,
}

impl Flow {
    /// Measures a network in training mode on a batch of images, `[N, H, W, C]`, with their classes, `[N]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn measure(
        lab: &Lab<'_>,
        network: &Residual<'_>,
        width: usize,
        seed: u64,
        (images, labels): (&[f32], &[u32]),
    ) -> anyhow::Result<Self> {
        let [h, w, c] = lab.images.size().channels_last();
        let mut names = Vec::new();
        let mut probe =
            Probe::new(lab.device, Mode::Train, &[labels.len(), h, w, c], |tape, x, labels| {
                let recorded = network.record(tape, x, width, lab.images.n_classes());
                names = recorded.names;
                let loss = cross_entropy(tape, recorded.logits, labels, 0.0).loss;
                let gradients = passes::backward(tape, loss);
                let values = recorded.states[1..].iter().chain([&x]);
                values.map(|&value| gradients.get(value).expect("the loss depends on it")).collect()
            })?;
        probe.initialise(seed)?;
        let mut d_values = probe.run(images, labels)?;
        let d_images = d_values.pop().expect("the gradient of the images");
        let d_parameters = probe.gradients()?;
        let of_block = |name: &String| {
            let members = probe.layout().parameters.iter();
            let convs = members.filter(|member| member.name.starts_with(&format!("{name}.conv")));
            norm(convs.flat_map(|member| &d_parameters[member.range()]))
        };
        Ok(Self {
            outputs: d_values.iter().map(norm).collect(),
            weights: names.iter().map(of_block).collect(),
            d_images,
        })
    }

    /// Returns the norm of the gradient at the first block, divided by the one at the last block.
    pub fn ratio(outputs: &[f64]) -> f64 {
        match outputs {
            [first, .., last] => first / last,
            _ => 1.0,
        }
    }

    /// Returns the product of this ratio over the three stages. So it leaves out the blocks that change the shape, whose
    /// shortcuts drop the gradient of the channels that begin there.
    pub fn ratio_in_stages(outputs: &[f64]) -> f64 {
        outputs.chunks(outputs.len() / 3).map(Self::ratio).product()
    }
}

/// Returns the first `n` training images and their neighbours: all images, then for each of `shares` all mixtures of an image
/// with this share of the next image.
pub fn neighbours(lab: &Lab<'_>, n: usize, shares: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let (mut images, labels) = lab.images.first(n);
    let (own, one) = (images.clone(), images.len() / labels.len());
    for share in shares {
        let next = own.iter().cycle().skip(one);
        images.extend(own.iter().zip(next).map(|(a, b)| (1.0 - share) * a + share * b));
    }
    (images, labels.repeat(1 + shares.len()))
}

/// Returns the mean over `n` images of the cosine between two lists of gradients.
pub fn mean_cosine(a: &[f32], b: &[f32], n: usize) -> f64 {
    let one = a.len() / n;
    a.chunks(one).zip(b.chunks(one)).map(|(a, b)| cosine(a, b)).sum::<f64>() / n as f64
}

/// Returns the Euclidean norm of a list.
pub fn norm<'a>(values: impl IntoIterator<Item = &'a f32>) -> f64 {
    values.into_iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}

/// Returns the cosine of the angle between two lists of numbers; 0 if one of them is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    let norms = norm(a) * norm(b);
    if norms > 0.0 { dot / norms } else { 0.0 }
}

/// Formats a number with three digits: `0.123`, `12.3`, `1.23e7`.
pub fn digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_string(),
        size @ 0.001..10_000.0 => {
            let decimals = (2.0 - size.log10().floor()).clamp(0.0, 5.0);
            format!("{number:.*}", decimals as usize)
        }
        _ => format!("{number:.2e}"),
    }
}

/// Formats a fraction in percent: `12.3%`.
pub fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// Formats a spread with three digits for each number: `1.23e7 (1.02e7 to 1.54e7)`.
pub fn in_digits(Spread { mean, low, high }: Spread) -> String {
    format!("{} ({} to {})", digits(mean), digits(low), digits(high))
}

/// Returns the slope of the straight line that fits points `(x, y)` best.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let x = points.iter().map(|point| point.0).sum::<f64>() / n;
    let y = points.iter().map(|point| point.1).sum::<f64>() / n;
    let products: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    products / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 3.0), (4.0, -3.0)]), -2.0);
    }

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [0.0, 0.12345, 12.345, 1234.5, 12_345_678.0, 0.000_123_45, -2.0];
        let shown = ["0", "0.123", "12.3", "1234", "1.23e7", "1.23e-4", "-2.00"];
        assert_eq!(numbers.map(digits), shown);
        assert_eq!(cosine(&[1.0, 0.0], &[3.0, 4.0]), 0.6);
        assert_eq!(cosine(&[0.0], &[1.0]), 0.0);
    }
}
