//! Charts, as SVG text: the only module that writes SVG.
//!
//! * [`svg`] writes elements and escapes text;
//! * [`axis`] finds round ticks, linear and logarithmic, for drawings and for the terminal;
//! * [`plot`] places numbers between two axes, and draws the axes, lines and steps;
//! * [`lines`] makes a whole figure of curves with its legend;
//! * [`bars`] and [`heat`] draw bars with figures beside them, and matrices of coloured cells with text;
//! * [`cells`] draws matrices with up to a million cells, without text.
//!
//! Every colour is a variable of [`STYLE`] with a light and a dark value. Text is SVG text, not outlines. A mark can
//! have a title, which browsers show on hover.

pub mod axis;
pub mod bars;
pub mod cells;
pub mod heat;
pub mod lines;
pub mod plot;
pub mod svg;

pub use axis::Axis;
pub use lines::{Chart, Series};
pub use plot::{Frame, Plot};
pub use svg::{Svg, escape};

/// The style sheet of all charts, in files and on pages. Each of the classes `c0` to `c8` is one colour.
pub const STYLE: &str = include_str!("style.css");
