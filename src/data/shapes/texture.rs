//! Colours, and the patterns of figures and backgrounds.

use crate::data::random::Draws;

/// Red, green and blue, 0 to 1.
pub type Colour = [f32; 3];

/// Interpolates linearly from `a` (t = 0) to `b` (t = 1).
pub fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// Returns the brightness of a colour, with the weights of the three channels in ITU-R BT.601.
pub fn brightness([red, green, blue]: Colour) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// Draws a colour of random hue with this saturation, 0 (grey) to 1, and this brightness.
pub fn colour(draws: &mut Draws, saturation: f32, bright: f32) -> Colour {
    // The hue follows the six edges of the colour cube from red over yellow, green, cyan, blue and magenta back to red.
    let hue = draws.between(0.0, 6.0);
    let channel = |peak: f32| {
        let off = (hue - peak).abs();
        (2.0 - off.min(6.0 - off)).clamp(0.0, 1.0)
    };
    let pure = [channel(0.0), channel(2.0), channel(4.0)];
    let tinted = mix([1.0; 3], pure, saturation);
    // The colour is scaled to the brightness. If a channel would then exceed 1, the colour is blended with the grey of
    // the same brightness until this channel is 1.
    let scaled = tinted.map(|c| c * bright / brightness(tinted));
    let highest = scaled.into_iter().fold(1.0, f32::max);
    if highest <= 1.0 {
        return scaled;
    }
    let t = (1.0 - bright) / (highest - bright);
    mix([bright; 3], scaled, t)
}

/// A texture: a colour for every point of the plane.
pub struct Texture {
    pattern: Pattern,
    colours: [Colour; 2],
    /// The direction in which the pattern repeats: a unit vector divided by the period in pixels.
    along: [f32; 2],
    phase: [f32; 2],
}

enum Pattern {
    Plain,
    Gradient,
    Stripes,
    Checks,
    Dots,
    /// Random values at a lattice of 5x5 points over the picture. The values between the points are interpolated
    /// smoothly.
    Clouds([[f32; 5]; 5]),
}

impl Texture {
    /// Draws a random pattern with two colours.
    pub fn draw(draws: &mut Draws, colours: [Colour; 2]) -> Self {
        let pattern = match draws.below(6) {
            0 => Pattern::Plain,
            1 => Pattern::Gradient,
            2 => Pattern::Stripes,
            3 => Pattern::Checks,
            4 => Pattern::Dots,
            _ => Pattern::Clouds(std::array::from_fn(|_| std::array::from_fn(|_| draws.unit()))),
        };
        let [x, y] = direction(draws);
        let period = match pattern {
            Pattern::Gradient => 40.0,
            _ => draws.between(4.0, 8.0),
        };
        Self {
            pattern,
            colours,
            along: [x / period, y / period],
            phase: [draws.unit(), draws.unit()],
        }
    }

    /// Returns the colour at a point of the picture, in pixels from the top left.
    pub fn at(&self, x: f32, y: f32) -> Colour {
        let [along_x, along_y] = self.along;
        let u = x * along_x + y * along_y + self.phase[0];
        let v = y * along_x - x * along_y + self.phase[1];
        let t = match &self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Gradient => {
                ((x - 16.0) * along_x + (y - 16.0) * along_y + 0.5).clamp(0.0, 1.0)
            }
            Pattern::Stripes => smooth_edge(wave(u)),
            Pattern::Checks => smooth_edge(wave(u) * wave(v)),
            Pattern::Dots => smooth_edge(wave(u) + wave(v) - 0.6),
            Pattern::Clouds(lattice) => cloud(lattice, x / 8.0, y / 8.0),
        };
        mix(self.colours[0], self.colours[1], t)
    }
}

/// Draws a unit vector in a random direction: normalises a random point of the unit disc. `sin` and `cos` would give
/// other bits on other platforms.
fn direction(draws: &mut Draws) -> [f32; 2] {
    loop {
        let (x, y) = (draws.between(-1.0, 1.0), draws.between(-1.0, 1.0));
        let squared = x * x + y * y;
        if (0.01..=1.0).contains(&squared) {
            let length = squared.sqrt();
            return [x / length, y / length];
        }
    }
}

/// Returns a triangle wave of period 1 between -1 and 1.
fn wave(u: f32) -> f32 {
    4.0 * ((u - u.floor()) - 0.5).abs() - 1.0
}

/// Returns 0 for negative values and 1 for positive values, with an edge about one pixel wide between them.
fn smooth_edge(value: f32) -> f32 {
    (0.5 + value * 1.5).clamp(0.0, 1.0)
}

/// Interpolates between the four lattice points around a point. The distance between lattice points is 1.
fn cloud(lattice: &[[f32; 5]; 5], x: f32, y: f32) -> f32 {
    let (column, row) = (x.floor().clamp(0.0, 3.0), y.floor().clamp(0.0, 3.0));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - column), ease(y - row));
    let (column, row) = (column as usize, row as usize);
    let line =
        |row: usize| lattice[row][column] + (lattice[row][column + 1] - lattice[row][column]) * tx;
    line(row) + (line(row + 1) - line(row)) * ty
}
