//! The gradient of each pixel of an image.

use wgrad::data::{ImageSize, batches};
use wgrad::passes::backward_from;
use wgrad::report::picture::Picture;
use wgrad::tape::{Mode, Tape, ValueId};

use crate::study::lab::{Lab, Probe};

/// Returns the gradient of each pixel through a layer or block that `record` records on images, `[H, W]`: the gradient of
/// half the squared norm of the output, as the mean of its absolute values over `n_images` test images and over the
/// channels. The layers have the initial weights of the lab's seed.
///
/// # Errors
/// If the device fails.
pub fn gradient_map(
    lab: &Lab<'_>,
    n_images: usize,
    record: impl FnOnce(&mut Tape, ValueId) -> ValueId,
) -> anyhow::Result<Vec<f64>> {
    let ImageSize { height, width, channels } = lab.images.size();
    let test = lab.images.test();
    let numbers = batches::in_order(n_images.min(test.len()));
    let shape = [numbers.len(), height, width, channels];
    let mut probe = Probe::new(lab.device, Mode::Eval, &shape, |tape, x, _| {
        let y = record(tape, x);
        // The gradient of |y|^2 / 2 with respect to y is y.
        let gradients = backward_from(tape, &[(y, y)]);
        vec![gradients.get(x).expect("the output depends on the image")]
    })?;
    probe.initialise(lab.seed())?;
    let (x, labels) = lab.images.arrays(test, &numbers);
    let d_x = &probe.run(&x, &labels)?[0];
    let mut map = vec![0.0; height * width];
    for (ix, d) in d_x.iter().enumerate() {
        map[ix / channels % (height * width)] += f64::from(d.abs());
    }
    Ok(map.into_iter().map(|sum| sum / (numbers.len() * channels) as f64).collect())
}

/// Returns a square map of gradients, none of them negative, as a picture: black for 0, else from blue to yellow.
pub fn picture(map: &[f64]) -> Picture {
    let largest = map.iter().copied().fold(0.0, f64::max);
    let colour = |gradient: f64| match gradient {
        0.0 => [0, 0, 0],
        _ => [(50.0, 250.0), (90.0, 220.0), (200.0, 40.0)]
            .map(|(from, to)| (from + (to - from) * gradient / largest) as u8),
    };
    let side = map.len().isqrt();
    Picture::new(side, side, map.iter().flat_map(|&gradient| colour(gradient)).collect())
}
