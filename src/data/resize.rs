//! Resizes a picture like torchvision's `Resize` with the bilinear (triangle) filter and antialiasing.

/// Scales a picture of `[rows, columns, channels]` bytes: first along y, then along x. `from` and `to` are the numbers of
/// rows and columns before and after. The intermediate result is f32.
///
/// An output pixel is a weighted mean of input pixels. The weights form a triangle around the centre of the output
/// pixel. The base of the triangle is two output pixels wide, but at least two input pixels, so every input pixel has a
/// weight.
pub(super) fn resize(pixels: &[u8], channels: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    if from == to {
        return pixels.to_vec();
    }
    let [of_rows, of_columns] = [0, 1].map(|axis| windows(from[axis], to[axis]));
    let row = channels * from[1];
    let mut squeezed = Vec::with_capacity(to[0] * row);
    for window in &of_rows {
        squeezed
            .extend((0..row).map(|column| window.mean(|y| f32::from(pixels[y * row + column]))));
    }
    let mut out = Vec::with_capacity(to[0] * to[1] * channels);
    for row in squeezed.chunks_exact(row) {
        for window in &of_columns {
            out.extend((0..channels).map(|channel| {
                let mean = window.mean(|x| row[channels * x + channel]);
                mean.clamp(0.0, 255.0).round() as u8
            }));
        }
    }
    out
}

/// The input pixels of one output pixel, along one axis.
struct Window {
    /// Index of the first input pixel.
    first: usize,
    /// Weight of each input pixel; the sum is 1.
    weights: Vec<f32>,
}

impl Window {
    /// Returns the weighted mean of the input pixels. `value` returns a pixel by its index.
    fn mean(&self, value: impl Fn(usize) -> f32) -> f32 {
        let weighted = self.weights.iter().enumerate().map(|(ix, w)| value(self.first + ix) * w);
        weighted.fold(0.0, |sum, term| sum + term)
    }
}

/// Returns the window of each output pixel.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let ratio = from as f32 / to as f32;
    let support = ratio.max(1.0);
    let window = |ix: usize| {
        // Pixel `k` covers the interval from k to k + 1.
        let centre = (ix as f32 + 0.5) * ratio;
        let first = ((centre - support).floor().max(0.0) as usize).min(from - 1);
        let end = ((centre + support).ceil() as usize).clamp(first + 1, from);
        let distance = |k: usize| ((k as f32 - (centre - 0.5)) / support).abs();
        let weight = |k| if distance(k) < 1.0 { 1.0 - distance(k) } else { 0.0 };
        let mut weights: Vec<f32> = (first..end).map(weight).collect();
        let sum = weights.iter().fold(0.0, |sum, w| sum + w);
        weights.iter_mut().for_each(|w| *w /= sum);
        Window { first, weights }
    };
    (0..to).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_one_colour_keeps_its_colour_in_every_size() {
        for from in [1, 2, 5, 31, 33, 64, 100] {
            let pixels = [7, 130, 255].repeat(from * from);
            assert_eq!(
                resize(&pixels, 3, [from; 2], [32; 2]),
                [7, 130, 255].repeat(32 * 32),
                "{from}"
            );
        }
    }

    #[test]
    fn windows_cover_every_pixel_and_weights_sum_to_1() {
        for from in [1, 3, 32, 47, 500] {
            let windows = windows(from, 32);
            let ends = windows.iter().map(|w| w.first + w.weights.len());
            assert_eq!((windows[0].first, ends.max()), (0, Some(from)), "{from}");
            for window in &windows {
                let sum: f32 = window.weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{from}: {sum}");
            }
        }
        // When 8 pixels become 4, the centre of a triangle is between two input pixels, and the triangle reaches 2
        // input pixels to each side.
        let halved = windows(8, 4);
        assert_eq!(
            (halved[1].first, &halved[1].weights[..]),
            (1, &[0.125, 0.375, 0.375, 0.125][..])
        );
    }
}
