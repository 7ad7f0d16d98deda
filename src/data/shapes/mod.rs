//! Ten kinds of drawn figures: the dataset that needs no download.
//!
//! Every picture shows one large figure at a random place and size, on a patterned background with small figures and
//! noise. The class is the kind of the large figure. Colours and patterns have the same distribution for all classes,
//! so a classifier must recognise the figure. A linear classifier on the pixels reaches 22% on the test pictures; a
//! ResNet-9 of width 16 reaches 96% (eight epochs of the usual recipe, batches of 64, in PyTorch). A test checks that a
//! linear classifier stays below 60% and above chance.
//!
//! A picture is a function of the seed, the split and the number of the picture. Drawing uses only arithmetic that IEEE
//! 754 fixes bit for bit, and each picture has a random stream of its own. So a seed gives the same bytes on every
//! platform and for any number of threads.

mod figure;
#[cfg(test)]
mod tests;
mod texture;

use std::path::Path;

pub use figure::Figure;
use figure::REACH;
use texture::{Colour, Texture, colour, mix};

use super::random::{Draws, Purpose};
use super::{
    DataError, Dataset, DatasetSource, Defaults, Files, ImageSize, ImageSpec, ReadOptions, Split,
};
use crate::kernel::cpu::parallel::for_each_chunk;

/// The number of training pictures, equally many of each class.
pub const N_TRAIN: usize = 5000;
/// The number of test pictures, equally many of each class.
pub const N_TEST: usize = 2000;

/// The number of rows of a picture, and also the number of columns.
const SIDE: usize = 32;

/// The size of a picture.
pub const SIZE: ImageSize = ImageSize { height: SIDE, width: SIDE, channels: 3 };

/// The mean of each channel of the training pictures that are drawn with seed 0, for pixels in 0..=1.
pub const MEAN: [f64; 3] = [0.4680, 0.4548, 0.4708];

/// The standard deviation of each channel of the training pictures that are drawn with seed 0, for pixels in 0..=1.
pub const STANDARD_DEVIATION: [f64; 3] = [0.2392, 0.2009, 0.2602];

/// The default settings of a training run on the shapes. Such a run takes about two minutes on two CPU cores.
pub const DEFAULTS: Defaults = Defaults {
    epochs: 10,
    batch_size: 64,
    width: 16,
    max_lr: 0.01,
    crop: true,
    resized_crop: false,
    flip: true,
    cutout: true,
};

/// The built-in shapes, a dataset that is drawn and not read from files.
pub struct Shapes;

impl DatasetSource for Shapes {
    fn name(&self) -> &'static str {
        "shapes"
    }

    fn title(&self) -> &'static str {
        "the built-in shapes"
    }

    fn help(&self) -> &'static str {
        "The built-in shapes: drawn figures, no download"
    }

    fn spec(&self, _: ReadOptions) -> ImageSpec {
        ImageSpec {
            size: SIZE,
            classes: Figure::ALL.map(|figure| figure.name().to_string()).to_vec(),
            mean: MEAN.to_vec(),
            standard_deviation: STANDARD_DEVIATION.to_vec(),
        }
    }

    fn defaults(&self) -> Defaults {
        DEFAULTS
    }

    fn files(&self) -> Option<&'static Files> {
        None
    }

    fn read(&self, _: &Path, options: ReadOptions) -> Result<Dataset, DataError> {
        Ok(generate(options.seed))
    }
}

/// Draws the dataset of a seed: [`N_TRAIN`] training and [`N_TEST`] test pictures.
pub fn generate(seed: u64) -> Dataset {
    Dataset {
        name: "shapes",
        description: format!(
            "built-in shapes, drawn from seed {seed}: {N_TRAIN} training and {N_TEST} test images"
        ),
        dir: None,
        spec: Shapes.spec(ReadOptions::default()),
        train: draw_train(seed, N_TRAIN),
        validation: Split::new(SIZE),
        test: draw_test(seed, N_TEST),
        warnings: Vec::new(),
        whole: None,
        known: None,
    }
}

/// Draws the first `n` training pictures of a seed. Picture `i` has class `i % 10`.
pub fn draw_train(seed: u64, n: usize) -> Split {
    draw_split(seed, Purpose::TrainPictures, n)
}

/// Draws the first `n` test pictures of a seed. Picture `i` has class `i % 10`. The random streams of test pictures are
/// not those of training pictures, for any seed.
pub fn draw_test(seed: u64, n: usize) -> Split {
    draw_split(seed, Purpose::TestPictures, n)
}

fn draw_split(seed: u64, purpose: Purpose, n: usize) -> Split {
    let mut images = vec![0; n * SIZE.n_bytes()];
    for_each_chunk(&mut images, SIZE.n_bytes(), &|i, image| {
        let mut draws = Draws::new(seed, purpose, i as u64);
        let figure = Figure::ALL[i % Figure::ALL.len()];
        Picture::compose(&mut draws, figure).render(&mut draws, image);
    });
    let labels = (0..n).map(|i| (i % Figure::ALL.len()) as u16).collect();
    Split::of(SIZE, images, labels)
}

/// The composition of a picture, from which its pixels are computed.
struct Picture {
    ground: Texture,
    /// The figures in the order of painting. At most two small figures are painted over the large one.
    shapes: Vec<Shape>,
    /// The standard deviation of the noise, in steps of 1/255.
    noise: f32,
}

/// A figure with its place and look.
struct Shape {
    figure: Figure,
    centre: [f32; 2],
    /// The size: the number of pixels for a length of 1 in the figure's coordinates.
    radius: f32,
    /// Cosine and sine of the angle between the picture's axes and the figure's axes.
    turn: [f32; 2],
    /// -1 for a mirrored figure, otherwise 1.
    mirror: f32,
    fill: Texture,
    /// The darkness of the shadow, 0 to 1.
    shadow: f32,
}

impl Picture {
    /// Draws a picture's composition: everything except the noise of the pixels.
    fn compose(draws: &mut Draws, figure: Figure) -> Self {
        // 85% of the figures are lighter than the background, the others are darker. With 50%, a linear classifier
        // would learn nothing; with 85%, it learns a little.
        let light_on_dark = draws.chance(0.85);
        let contrast = draws.between(0.06, 0.38);
        let middle = draws.between(0.35, 0.65);
        let half = if light_on_dark { contrast / 2.0 } else { -contrast / 2.0 };
        let (ground, ink) = (middle - half, middle + half);

        let ground = two_tone(draws, ground, 0.09);
        let fill = two_tone(draws, ink, 0.09);
        let mut shapes = Vec::new();
        for _ in 0..2 + draws.below(4) {
            shapes.push(Shape::scrap(draws));
        }
        shapes.push(Shape::subject(draws, figure, fill));
        for _ in 0..draws.below(3) {
            shapes.push(Shape::scrap(draws));
        }
        Self { ground, shapes, noise: draws.between(8.0, 24.0) }
    }

    /// Writes the picture's bytes to `image`, `[3, 32, 32]`.
    fn render(&self, draws: &mut Draws, image: &mut [u8]) {
        for row in 0..SIDE {
            for column in 0..SIDE {
                // The pixel's centre.
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let mut pixel = self.ground.at(x, y);
                for shape in &self.shapes {
                    pixel = shape.paint(pixel, x, y);
                }
                for (channel, value) in pixel.into_iter().enumerate() {
                    let value = value * 255.0 + self.noise * draws.bell();
                    image[(channel * SIDE + row) * SIDE + column] =
                        value.clamp(0.0, 255.0).round() as u8;
                }
            }
        }
    }
}

impl Shape {
    /// Draws the large figure, which determines the class.
    fn subject(draws: &mut Draws, figure: Figure, fill: Texture) -> Self {
        let middle = SIDE as f32 / 2.0;
        let centre = [0; 2].map(|_| middle + draws.between(-4.0, 4.0));
        let radius = draws.between(6.5, 11.0);
        Self::place(draws, figure, centre, radius, fill, 0.45)
    }

    /// Draws a small figure of any kind at any place, as a distraction.
    fn scrap(draws: &mut Draws) -> Self {
        let figure = Figure::ALL[draws.below(Figure::ALL.len() as u32) as usize];
        let centre = [0; 2].map(|_| draws.between(0.0, SIDE as f32));
        let radius = draws.between(1.5, 4.0);
        let bright = draws.between(0.2, 0.8);
        let fill = two_tone(draws, bright, 0.05);
        Self::place(draws, figure, centre, radius, fill, 0.25)
    }

    fn place(
        draws: &mut Draws,
        figure: Figure,
        centre: [f32; 2],
        radius: f32,
        fill: Texture,
        shadow: f32,
    ) -> Self {
        // The figure is rotated by up to 20 degrees in either direction. Cosine and sine are computed from the tangent
        // of half the angle, because the functions `sin` and `cos` give other bits on other platforms.
        let half_angle_tangent = draws.between(-0.18, 0.18);
        let squared = half_angle_tangent * half_angle_tangent;
        let turn = [(1.0 - squared) / (1.0 + squared), 2.0 * half_angle_tangent / (1.0 + squared)];
        let mirror = if draws.chance(0.5) { 1.0 } else { -1.0 };
        Self { figure, centre, radius, turn, mirror, fill, shadow }
    }

    /// Returns the colour of a point after this shape is painted over the colour `below`.
    fn paint(&self, below: Colour, x: f32, y: f32) -> Colour {
        // The light comes from the upper left, so the shadow is to the lower right of the figure.
        let shadow = self.shadow * self.coverage(x - 1.0, y - 1.5);
        let covered = self.coverage(x, y);
        if covered == 0.0 && shadow == 0.0 {
            return below;
        }
        mix(mix(below, [0.0; 3], shadow), self.fill.at(x, y), covered)
    }

    /// Returns the fraction of the pixel around a point that the figure covers, 0 to 1.
    fn coverage(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        // Most points are farther from the centre than any point of the figure, and need no computation. The added
        // pixel is for the smooth edge.
        let reach = self.radius * REACH + 1.0;
        if dx * dx + dy * dy > reach * reach {
            return 0.0;
        }
        let [cosine, sine] = self.turn;
        let u = (cosine * dx + sine * dy) * self.mirror;
        let v = cosine * dy - sine * dx;
        let distance = self.figure.distance(u / self.radius, v / self.radius);
        (0.5 - distance * self.radius).clamp(0.0, 1.0)
    }
}

/// Draws a texture of two random colours: one has the brightness `bright + half_step`, the other `bright - half_step`.
fn two_tone(draws: &mut Draws, bright: f32, half_step: f32) -> Texture {
    let mut tone = |bright| {
        let saturation = draws.between(0.2, 1.0);
        colour(draws, saturation, bright)
    };
    let colours = [tone(bright + half_step), tone(bright - half_step)];
    Texture::draw(draws, colours)
}
