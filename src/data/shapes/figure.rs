//! The ten figures, as signed distances.
//!
//! Each figure is in a unit frame: its centre is the origin, its radius is about 1 and at most [`REACH`], x grows to
//! the right, and y grows **downwards**, as row numbers do. [`Figure::distance`] is negative inside and positive
//! outside. So a smooth edge is one line of code: the coverage of a pixel is 0.5 minus the distance of its centre in
//! pixels, clamped to 0..1.
//!
//! Only `+ - * /`, `sqrt`, `min`, `max` and `abs` are used. IEEE 754 fixes the results of these operations bit for bit,
//! but not the results of `sin` and `cos`. So a seed gives the same pictures on every platform.

/// A bound on the distance of a figure's points from its centre. The triangle's lower corners are the farthest points,
/// at 1.198.
pub const REACH: f32 = 1.2;

/// The kinds of figures: the classes, in the order of the labels.
///
/// Training flips pictures, so the mirror image of a figure must belong to the same class. All figures except the moon
/// equal their mirror image, and moons are drawn in both directions. Training also cuts out squares of 8x8 pixels and
/// shifts pictures by up to 4 pixels, so no class depends on a small detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A filled circle.
    Disc,
    /// A circle with a wide hole.
    Ring,
    /// A square with horizontal and vertical sides.
    Square,
    /// A rhombus that is taller than wide.
    Diamond,
    /// An equilateral triangle with a horizontal side at the bottom.
    Triangle,
    /// A five-pointed star with one point up.
    Star,
    /// A plus sign.
    Cross,
    /// A heart with the tip at the bottom.
    Heart,
    /// A crescent that opens to the right; drawn mirrored half of the time.
    Moon,
    /// Five round petals.
    Flower,
}

impl Figure {
    /// All figures, in the order of their labels.
    pub const ALL: [Self; 10] = [
        Self::Disc,
        Self::Ring,
        Self::Square,
        Self::Diamond,
        Self::Triangle,
        Self::Star,
        Self::Cross,
        Self::Heart,
        Self::Moon,
        Self::Flower,
    ];

    /// Returns the class name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disc => "disc",
            Self::Ring => "ring",
            Self::Square => "square",
            Self::Diamond => "diamond",
            Self::Triangle => "triangle",
            Self::Star => "star",
            Self::Cross => "cross",
            Self::Heart => "heart",
            Self::Moon => "moon",
            Self::Flower => "flower",
        }
    }

    /// Returns the signed distance of the point `(x, y)` from the outline, negative inside.
    ///
    /// The result is exact near the outline. Deep inside a figure of several parts, its absolute value may be too
    /// small. Drawing reads only the distances near the outline.
    pub fn distance(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Disc => disc(x, y, 0.0, 0.0, 0.88),
            Self::Ring => disc(x, y, 0.0, 0.0, 0.73).abs() - 0.20,
            Self::Square => rectangle(x, y, 0.78, 0.78),
            Self::Diamond => polygon(x, y, &DIAMOND),
            Self::Triangle => polygon(x, y, &TRIANGLE),
            Self::Star => polygon(x, y, &STAR),
            Self::Cross => rectangle(x, y, 0.92, 0.32).min(rectangle(x, y, 0.32, 0.92)),
            Self::Heart => heart(x, y),
            Self::Moon => disc(x, y, 0.0, 0.0, 0.95).max(-disc(x, y, 0.50, 0.0, 0.72)),
            Self::Flower => flower(x, y),
        }
    }
}

const DIAMOND: [[f32; 2]; 4] = [[0.0, -1.0], [0.72, 0.0], [0.0, 1.0], [-0.72, 0.0]];

/// An equilateral triangle. Its centre of gravity is 0.18 below the origin, so the triangle reaches about as far up as
/// down.
const TRIANGLE: [[f32; 2]; 3] = [[0.0, -0.92], [0.95, 0.73], [-0.95, 0.73]];

/// Corners at multiples of 36 degrees from the top, with alternating radii 1 and 0.45.
const STAR: [[f32; 2]; 10] = [
    [0.0, -1.0],
    [0.264_503, -0.364_058],
    [0.951_057, -0.309_017],
    [0.427_975, 0.139_058],
    [0.587_785, 0.809_017],
    [0.0, 0.45],
    [-0.587_785, 0.809_017],
    [-0.427_975, 0.139_058],
    [-0.951_057, -0.309_017],
    [-0.264_503, -0.364_058],
];

/// The centres of the petals, at multiples of 72 degrees from the top, at radius 0.62.
const PETALS: [[f32; 2]; 5] = [
    [0.0, -0.62],
    [0.589_655, -0.191_591],
    [0.364_427, 0.501_591],
    [-0.364_427, 0.501_591],
    [-0.589_655, -0.191_591],
];

fn disc(x: f32, y: f32, centre_x: f32, centre_y: f32, radius: f32) -> f32 {
    let (dx, dy) = (x - centre_x, y - centre_y);
    (dx * dx + dy * dy).sqrt() - radius
}

/// Returns the signed distance of a point from a rectangle around the origin.
fn rectangle(x: f32, y: f32, half_width: f32, half_height: f32) -> f32 {
    let (dx, dy) = (x.abs() - half_width, y.abs() - half_height);
    let outside = (dx.max(0.0) * dx.max(0.0) + dy.max(0.0) * dy.max(0.0)).sqrt();
    outside + dx.max(dy).min(0.0)
}

/// Returns the signed distance of a point from a polygon: the distance to the nearest side, negative if a ray to the
/// right crosses an odd number of sides.
fn polygon(x: f32, y: f32, corners: &[[f32; 2]]) -> f32 {
    let mut nearest = f32::INFINITY; // Squared.
    let mut inside = false;
    let mut from = corners[corners.len() - 1];
    for &to in corners {
        let (side_x, side_y) = (to[0] - from[0], to[1] - from[1]);
        let (dx, dy) = (x - from[0], y - from[1]);
        let along = (dx * side_x + dy * side_y) / (side_x * side_x + side_y * side_y);
        let along = along.clamp(0.0, 1.0);
        let (away_x, away_y) = (dx - along * side_x, dy - along * side_y);
        nearest = nearest.min(away_x * away_x + away_y * away_y);
        if (from[1] > y) != (to[1] > y) && x < from[0] + (y - from[1]) / side_y * side_x {
            inside = !inside;
        }
        from = to;
    }
    if inside { -nearest.sqrt() } else { nearest.sqrt() }
}

/// Returns the signed distance of a point from a heart: a square that stands on a corner, and a disc around the middle
/// of each upper side. A disc's diameter is the length of the side.
fn heart(x: f32, y: f32) -> f32 {
    const HALF: f32 = 0.75; // Half of the square's diagonal.
    const DOWN: f32 = 0.08; // The distance of the square's centre below the origin.
    let square = polygon(x, y - DOWN, &[[0.0, -HALF], [HALF, 0.0], [0.0, HALF], [-HALF, 0.0]]);
    let lobe =
        disc(x.abs(), y - DOWN, HALF / 2.0, -HALF / 2.0, HALF * std::f32::consts::FRAC_1_SQRT_2);
    square.min(lobe)
}

fn flower(x: f32, y: f32) -> f32 {
    let petals = PETALS.map(|[centre_x, centre_y]| disc(x, y, centre_x, centre_y, 0.36));
    petals.into_iter().fold(disc(x, y, 0.0, 0.0, 0.40), f32::min)
}
