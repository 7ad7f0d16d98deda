//! The effective receptive field of a unit: the pixels to which its value is sensitive (Luo et al. 2016).

use std::ops::Range;

use wgrad::nn::layers::{self, Conv, Init};
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::ops::philox::philox;
use wgrad::passes;
use wgrad::tape::{ElementType, Mode, Tape, ValueId};

use super::field::{Field, field, middle, stages};
use crate::study::lab::{Lab, Probe};

/// A pixel belongs to the effective field if its sensitivity is above this part of the largest. A Gaussian has this part
/// of its probability beyond two standard deviations.
const THRESHOLD: f64 = 1.0 - 0.9545;

/// The sensitivity of a unit to each pixel of a plane.
pub struct Sensitivity {
    /// The mean of the absolute gradient over images, summed over the channels of a pixel, and divided by that of the most
    /// sensitive pixel: `[H, W]`.
    pub map: Vec<f64>,
    /// The squared gradient of each pixel, summed over images and channels: `[H, W]`.
    squares: Vec<f64>,
    /// The rows and columns of the map.
    plane: [usize; 2],
}

impl Sensitivity {
    /// Measures the unit in the middle of the value that `record` returns, on `images` of the shape `shape`,
    /// `[N, H, W, C]`. Each channel of the unit has the factor 1 or -1 at random, because a sum over channels may cancel.
    ///
    /// # Errors
    /// If the device fails.
    pub fn measure(
        lab: &Lab<'_>,
        shape: [usize; 4],
        images: &[f32],
        weights: &Weights,
        record: impl FnOnce(&mut Tape, ValueId) -> ValueId,
    ) -> anyhow::Result<Self> {
        let mut unit = None;
        let mut probe = Probe::new(lab.device, Mode::Eval, &shape, |tape, x, _| {
            let value = record(tape, x);
            let shape = tape.shape(value).to_vec();
            let d_value = tape.input("d_value", ElementType::F32, &shape);
            unit = Some((d_value, shape));
            let gradients = passes::backward_from(tape, &[(value, d_value)]);
            vec![gradients.get(x).expect("the unit depends on the images")]
        })?;
        probe.set_weights(weights)?;
        let (d_value, unit) = unit.expect("the network is recorded");
        let [n, h, w, channels] = unit[..] else { anyhow::bail!("a unit without a plane") };
        let mut d = vec![0.0; n * h * w * channels];
        for image in 0..n {
            let start = ((image * h + h / 2) * w + w / 2) * channels;
            for (channel, d) in d[start..][..channels].iter_mut().enumerate() {
                let word = philox([image as u32, channel as u32, 0, 0], [lab.seed() as u32, 0])[0];
                *d = if word.is_multiple_of(2) { 1.0 } else { -1.0 };
            }
        }
        probe.write(d_value, &d)?;
        Ok(Self::of(&probe.run(images, &vec![0; n])?[0], shape))
    }

    /// Measures the unit in the middle behind a stack of 3x3 convolutions. With a seed, they have 8 channels, random weights
    /// and ReLUs. Without one, they have one channel and equal weights.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of_stack(lab: &Lab<'_>, n_layers: usize, seed: Option<u64>) -> anyhow::Result<Self> {
        let (side, channels) = (2 * n_layers + 3, if seed.is_some() { 8 } else { 1 });
        let shape = [1, side, side, channels];
        let record = |tape: &mut Tape, x: ValueId| {
            (0..n_layers).fold(x, |x, ix| {
                let conv = Conv { init: Init::KaimingNormal, ..Conv::default() };
                let x = layers::conv2d(tape, &format!("conv{ix}"), x, channels, conv);
                if seed.is_some() { layers::relu(tape, &format!("relu{ix}"), x) } else { x }
            })
        };
        let mut tape = Tape::new("stack", Mode::Eval);
        let x = tape.input("x", ElementType::F32, &shape);
        record(&mut tape, x);
        let mut weights = Weights::initial(tape.state(), seed.unwrap_or_default());
        if seed.is_none() {
            let members = tape.state().parameters.iter();
            members.for_each(|member| weights.parameters[member.range()].fill(1.0 / 9.0));
        }
        let image: Vec<f32> =
            (0..side * side * channels).map(|ix| (ix % 17) as f32 - 8.0).collect();
        Self::measure(lab, shape, &image, &weights, record)
    }

    /// Returns the effective field of each stage of a network as measurements of a record: its size, the share of the squared
    /// gradient in its middle, and the map of the sensitivity.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of_stages(
        lab: &Lab<'_>,
        network: NetworkConfig,
        weights: &Weights,
    ) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
        let test = lab.images.test();
        let ([h, w, c], n) = (test.size.channels_last(), lab.size([2, 16, 64]).min(test.len()));
        let (images, _) = lab.images.arrays(test, &(0..n as u32).collect::<Vec<_>>());
        let (x, shape) = (surrounded(&images, [h, w, c]), [n, 3 * h, 3 * w, c]);
        let (mut measured, mut n_stages) = (Vec::new(), 1);
        while measured.len() < 3 * n_stages {
            let (stage, mut seen) = (measured.len() / 3, Field::default());
            lab.report(stage, n_stages)?;
            let of_unit = Self::measure(lab, shape, &x, weights, |tape, x| {
                network.record(tape, x);
                let ends = stages(tape, x);
                n_stages = ends.len();
                let value = ends[stage];
                seen = field(tape, x, value, middle(tape, value));
                value
            })?;
            measured.push((format!("stage {} size", stage + 1), vec![of_unit.size()]));
            measured
                .push((format!("stage {} middle", stage + 1), vec![of_unit.share_in_middle(seen)]));
            measured.push((format!("stage {} map", stage + 1), of_unit.within(seen)));
        }
        Ok(measured)
    }

    /// Returns the effective fields of a stack of 3x3 convolutions: with equal weights, and with random weights and ReLUs.
    ///
    /// # Errors
    /// If the device fails.
    pub fn sizes_of_stack(
        lab: &Lab<'_>,
        n_layers: usize,
    ) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
        let equal = Self::of_stack(lab, n_layers, None)?.size();
        let seeds = lab.seeds(lab.size([1, 5, 20]));
        let random = seeds.map(|seed| Ok(Self::of_stack(lab, n_layers, Some(seed))?.size()));
        let random = random.collect::<anyhow::Result<Vec<_>>>()?;
        let layers = vec![n_layers as f64];
        Ok(vec![("layers", layers), ("equal", vec![equal]), ("random", random)])
    }

    /// Returns the sensitivity from the gradient with respect to images of the shape `[N, H, W, C]`.
    pub fn of(gradient: &[f32], [_, h, w, channels]: [usize; 4]) -> Self {
        let (mut map, mut squares) = (vec![0.0; h * w], vec![0.0; h * w]);
        for image in gradient.chunks_exact(h * w * channels) {
            for (at, pixel) in image.chunks_exact(channels).enumerate() {
                map[at] += pixel.iter().map(|d| f64::from(d.abs())).sum::<f64>();
                squares[at] += pixel.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>();
            }
        }
        let largest = map.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        map.iter_mut().for_each(|value| *value /= largest);
        Self { map, squares, plane: [h, w] }
    }

    /// Returns the rows and the columns of the plane that are in a field.
    fn part(&self, field: Field) -> [Range<usize>; 2] {
        [0, 1].map(|axis| {
            let end = self.plane[axis] as i64 - 1;
            let [first, last] = field[axis].map(|at| at.clamp(0, end) as usize);
            first..last + 1
        })
    }

    /// Returns the part of the map in a field: its number of columns, and its numbers with three digits. Rows and columns
    /// beyond the plane are left out.
    pub fn within(&self, field: Field) -> Vec<f64> {
        let [rows, columns] = self.part(field);
        let width = columns.len() as f64;
        let cells = rows.flat_map(|row| columns.clone().map(move |c| row * self.plane[1] + c));
        let numbers = cells.map(|at| (1000.0 * self.map[at]).round() / 1000.0);
        [width].into_iter().chain(numbers).collect()
    }

    /// Returns the share of the squared gradient that the middle of a field has: the rows and columns that are nearer to
    /// its middle than to its ends. They are a quarter of its pixels.
    pub fn share_in_middle(&self, field: Field) -> f64 {
        let middle = field.map(|[first, last]| {
            let quarter = (last - first + 1) / 4;
            [first + quarter, last - quarter]
        });
        let [rows, columns] = self.part(middle);
        let cells = rows.flat_map(|row| columns.clone().map(move |c| row * self.plane[1] + c));
        let inside: f64 = cells.map(|at| self.squares[at]).sum();
        inside / self.squares.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// Returns the side of a square with as many pixels as the effective field.
    pub fn size(&self) -> f64 {
        (self.map.iter().filter(|&&value| value > THRESHOLD).count() as f64).sqrt()
    }
}

/// Returns images, `[N, H, W, C]`, each in the middle of a plane of zeros with three times its rows and columns, where its
/// border cuts no field.
fn surrounded(images: &[f32], [h, w, c]: [usize; 3]) -> Vec<f32> {
    let mut planes = vec![0.0; 9 * images.len()];
    for (row, pixels) in images.chunks_exact(w * c).enumerate() {
        let start = (row / h * 3 * h + h + row % h) * 3 * w * c + w * c;
        planes[start..][..w * c].copy_from_slice(pixels);
    }
    planes
}

/// Returns the power of x with which y grows: the slope of the line through the logarithms.
pub fn power(xs: &[f64], ys: &[f64]) -> f64 {
    let mean = |numbers: &[f64]| numbers.iter().map(|n| n.ln()).sum::<f64>() / numbers.len() as f64;
    let (x_mean, y_mean) = (mean(xs), mean(ys));
    let part = |(x, y): (&f64, &f64)| [x.ln() - x_mean, y.ln() - y_mean];
    let parts = || xs.iter().zip(ys).map(part);
    parts().map(|[x, y]| x * y).sum::<f64>() / parts().map(|[x, _]| x * x).sum::<f64>()
}
