//! Colours for a map of values in 0..=1, which lies over a picture.

use std::fmt::Write;

use super::picture;

/// The largest number of rows and columns of an overlay. A page enlarges it further, and a browser smooths it.
const MAX_SIDE: usize = 64;

/// The number of colours.
const N_LEVELS: usize = 64;

/// Red, green, blue and opacity at 0, at 0.5 and at 1, each from 0 to 255. A picture stays visible where the map is low.
const STOPS: [[f64; 4]; 3] =
    [[96.0, 0.0, 160.0, 0.0], [225.0, 60.0, 50.0, 110.0], [255.0, 225.0, 60.0, 175.0]];

/// Returns the colour of a value in 0..=1: red, green, blue and opacity.
fn colour(value: f64) -> [u8; 4] {
    let at = 2.0 * value.clamp(0.0, 1.0);
    let first = (at as usize).min(1);
    let part = at - first as f64;
    [0, 1, 2, 3].map(|ix| {
        let [from, to] = [STOPS[first][ix], STOPS[first + 1][ix]];
        (from + part * (to - from)).round() as u8
    })
}

/// Returns the colours from 0 to 1 as a gradient of CSS.
pub fn gradient() -> String {
    let mut css = "linear-gradient(to right".to_string();
    for step in 0..=4 {
        let [r, g, b, a] = colour(f64::from(step) / 4.0);
        let _ = write!(css, ",rgb({r} {g} {b}/{:.2})", f64::from(a) / 255.0);
    }
    css + ")"
}

/// Returns a map, `[rows, columns]`, as a picture with transparent parts, `data:image/png;base64,...`. The map is
/// enlarged by a whole factor with bilinear interpolation.
pub fn data_uri(map: &[f32], size: [usize; 2]) -> String {
    let factor = (MAX_SIDE / size[0].max(size[1])).max(1);
    let levels: Vec<u8> = enlarged(map, size, factor)
        .map(|value| (value * (N_LEVELS - 1) as f32).round() as u8)
        .collect();
    let colours = (0..N_LEVELS).map(|level| colour(level as f64 / (N_LEVELS - 1) as f64));
    let [rows, columns] = size.map(|n| (factor * n) as u32);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, columns, rows);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(colours.clone().flat_map(|[r, g, b, _]| [r, g, b]).collect::<Vec<u8>>());
    encoder.set_trns(colours.map(|[.., opacity]| opacity).collect::<Vec<u8>>());
    encoder.set_compression(png::Compression::High);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&levels))
        .expect("a vector takes any picture that is not empty");
    picture::data_uri("image/png", &file)
}

/// Returns a map with `factor` times as many rows and columns. The centre of a pixel is in its middle, and the values
/// beyond the outermost centres are those at the edge, as in PyTorch's `interpolate` without `align_corners`.
fn enlarged(map: &[f32], [rows, columns]: [usize; 2], factor: usize) -> impl Iterator<Item = f32> {
    let place = move |ix: usize, n: usize| {
        let at = ((ix as f32 + 0.5) / factor as f32 - 0.5).clamp(0.0, (n - 1) as f32);
        let first = at as usize;
        (first, (first + 1).min(n - 1), at - first as f32)
    };
    (0..factor * rows).flat_map(move |y| {
        let (top, bottom, down) = place(y, rows);
        (0..factor * columns).map(move |x| {
            let (left, right, along) = place(x, columns);
            let between = |row: usize| {
                let [from, to] = [left, right].map(|column| map[row * columns + column]);
                from + along * (to - from)
            };
            between(top) + down * (between(bottom) - between(top))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.
    #[test]
    fn a_map_is_enlarged_as_pytorch_does() {
        let found: Vec<f32> = enlarged(&[0.0, 1.0, 0.5, 0.25], [2, 2], 2).collect();
        let expected = [
            [0.0, 0.25, 0.75, 1.0],
            [0.125, 0.296_875, 0.640_625, 0.8125],
            [0.375, 0.390_625, 0.421_875, 0.4375],
            [0.5, 0.4375, 0.3125, 0.25],
        ];
        assert_eq!(found, expected.concat());
    }

    #[test]
    fn a_low_value_is_transparent_and_a_high_one_is_bright() {
        assert_eq!(colour(0.0)[3], 0);
        assert_eq!(colour(0.5), [225, 60, 50, 110]);
        assert_eq!(colour(1.0), [255, 225, 60, 175]);
        assert!(gradient().ends_with(",rgb(255 225 60/0.69))"), "{}", gradient());
    }
}
