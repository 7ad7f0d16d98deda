//! Images that maximise a channel, by gradient ascent on the image.

use wgrad::ops::philox::{below, philox};
use wgrad::passes;
use wgrad::tape::{ElementType, Mode, Tape, ValueId};

use crate::study::lab::{Lab, Probe, Trained};

/// The step size of Adam, in standard deviations of the pixels.
const STEP: f32 = 0.05;

/// The part of each pixel that a step replaces by the mean of its four neighbours.
const SMOOTHING: f32 = 0.05;

/// The largest shift of the image in a step, in pixels.
const JITTER: u32 = 2;

/// Images that maximise channels.
pub struct Maximised {
    /// The normalised images, one for each channel, `[channels, H, W, C]`.
    pub images: Vec<f32>,
    /// The mean over the plane of each channel for its image.
    pub means: Vec<f64>,
}

impl Maximised {
    /// Maximises the mean over the plane of each of `channels` of the value that `layer` returns. Each image begins as
    /// noise. In a step it is shifted at random, moved along the gradient by Adam, smoothed, and kept in the range of
    /// pixels.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of(
        lab: &Lab<'_>,
        network: &Trained,
        layer: impl FnOnce(&Tape, ValueId) -> ValueId,
        channels: &[usize],
        n_steps: usize,
    ) -> anyhow::Result<Self> {
        let ([h, w, c], n) = (lab.images.size().channels_last(), channels.len());
        let mut unit = None;
        let mut probe = Probe::new(lab.device, Mode::Eval, &[n, h, w, c], |tape, x, _| {
            network.network.record(tape, x);
            let value = layer(tape, x);
            let shape = tape.shape(value).to_vec();
            let d_value = tape.input("d_value", ElementType::F32, &shape);
            unit = Some((d_value, shape));
            let gradients = passes::backward_from(tape, &[(value, d_value)]);
            vec![gradients.get(x).expect("the layer depends on the images"), value]
        })?;
        probe.set_weights(&network.weights)?;
        let (d_value, shape) = unit.expect("the network is recorded");
        let (area, depth) = (shape[1] * shape[2], shape[3]);
        let mut d = vec![0.0; n * area * depth];
        for (image, &channel) in channels.iter().enumerate() {
            let own = d[image * area * depth..][..area * depth].iter_mut();
            own.skip(channel).step_by(depth).for_each(|d| *d = 1.0 / area as f32);
        }
        probe.write(d_value, &d)?;
        let word =
            |ix: usize, step: usize| philox([ix as u32, step as u32, 0, 0], [lab.seed() as u32, 2]);
        let range = |channel: usize| {
            let of = |pixel: f64| {
                (pixel - lab.images.mean[channel]) / lab.images.standard_deviation[channel]
            };
            (of(0.0) as f32, of(1.0) as f32)
        };
        let ranges: Vec<_> = (0..c).map(range).collect();
        let mut x: Vec<f32> = (0..n * h * w * c)
            .map(|ix| (word(ix, 0)[0] as f32 / u32::MAX as f32 - 0.5) * 0.4)
            .collect();
        let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for step in 1..=n_steps {
            lab.check_stop()?;
            let shift = |axis: usize, side: usize| {
                (below(word(0, step)[axis], 2 * JITTER + 1) as usize + side - JITTER as usize)
                    % side
            };
            let shift = [shift(0, h), shift(1, w)];
            let back = [h - shift[0], w - shift[1]];
            let gradient = probe.run(&rolled(&x, [h, w, c], shift), &vec![0; n])?.remove(0);
            let gradient = rolled(&gradient, [h, w, c], back);
            let corrections = [1.0 - 0.9_f32.powi(step as i32), 1.0 - 0.999_f32.powi(step as i32)];
            for ix in 0..x.len() {
                m[ix] += 0.1 * (gradient[ix] - m[ix]);
                v[ix] += 0.001 * (gradient[ix] * gradient[ix] - v[ix]);
                x[ix] += STEP * m[ix] / corrections[0] / ((v[ix] / corrections[1]).sqrt() + 1e-8);
            }
            let around =
                [[1, 0], [h - 1, 0], [0, 1], [0, w - 1]].map(|by| rolled(&x, [h, w, c], by));
            for (ix, pixel) in x.iter_mut().enumerate() {
                let mean = around.iter().map(|shifted| shifted[ix]).sum::<f32>() / 4.0;
                let (low, high) = ranges[ix % c];
                *pixel = (*pixel + SMOOTHING * (mean - *pixel)).clamp(low, high);
            }
        }
        let value = probe.run(&x, &vec![0; n])?.remove(1);
        let mean = |(image, &channel): (usize, &usize)| {
            let own = value[image * area * depth..][..area * depth].iter();
            own.skip(channel).step_by(depth).map(|&y| f64::from(y)).sum::<f64>() / area as f64
        };
        Ok(Self { images: x, means: channels.iter().enumerate().map(mean).collect() })
    }
}

/// Returns images, `[N, H, W, C]`, whose pixels have moved down and to the right; those that leave the image come back on
/// the other side.
fn rolled(images: &[f32], [h, w, c]: [usize; 3], [down, right]: [usize; 2]) -> Vec<f32> {
    let mut out = vec![0.0; images.len()];
    for (from, to) in images.chunks_exact(h * w * c).zip(out.chunks_exact_mut(h * w * c)) {
        for (pixel, values) in from.chunks_exact(c).enumerate() {
            let at = (pixel / w + down) % h * w + (pixel % w + right) % w;
            to[at * c..][..c].copy_from_slice(values);
        }
    }
    out
}
