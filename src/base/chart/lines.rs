//! Curves over epochs, steps or minutes, as a `<figure>` of a page.
//!
//! A curve's style is a colour and a dash pattern. With the styles of [`style_of_many`], neighbouring curves also
//! differ in their dashes, so readers can distinguish them without colour.

use super::axis::range;
use super::plot::Join;
use super::{Axis, Frame, Plot, Svg, escape};

const SIZE: [f64; 2] = [480.0, 270.0];
const FRAME: Frame = Frame { left: 56.0, right: 464.0, top: 14.0, bottom: 226.0 };

/// Number of different colours of curves.
const N_COLOURS: usize = 7;

/// Number of dash patterns; the first one is a solid line.
const N_DASHES: usize = 4;

/// Largest number of points of a curve that is drawn with dots.
const MAX_DOTS: usize = 40;

/// Returns the style of curve `ix` in a chart of many curves, which may overlap. Neighbouring curves differ in colour
/// and in dashes.
pub fn style_of_many(ix: usize) -> usize {
    ix % N_COLOURS + N_COLOURS * (ix % N_DASHES)
}

/// A curve of a chart.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points from left to right. Points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// The lowest and the highest number at each point, such as those over several seeds; drawn as a band. Empty for a
    /// curve without a band.
    pub band: Vec<(f64, f64)>,
    /// Colour and dashes, as a number below 28: 7 colours times 4 dash patterns.
    pub style: usize,
    /// Kind of the curve's numbers.
    pub kind: Kind,
}

/// The kind of a curve's numbers. It determines whether the curve is drawn with dots, as a plain line or in steps.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Kind {
    /// Measurements, drawn as dots with straight lines between them.
    #[default]
    Measured,
    /// Numbers from a formula, drawn as a line without dots.
    Computed,
    /// Means, drawn as steps: each number is the mean over the interval since the previous point.
    Mean,
}

/// The kind of the numbers on an axis.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Unit {
    /// Numbers of any kind.
    #[default]
    Plain,
    /// Whole numbers.
    Count,
    /// Fractions of 1, shown in percent.
    Percent,
    /// Positive numbers on a logarithmic axis. Other numbers are left out.
    Log,
}

/// A chart of some curves.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Name of the horizontal axis, with its unit: `epoch`.
    pub x_label: String,
    /// Kind of the numbers on the horizontal axis.
    pub x_unit: Unit,
    /// Kind of the numbers on the vertical axis.
    pub y_unit: Unit,
    /// True if the vertical axis always starts at 0.
    pub from_zero: bool,
    /// Curves.
    pub series: Vec<Series>,
}

impl Chart {
    /// Returns the chart as a `<figure>`, with a legend if there are several curves; an empty text if no point can be
    /// drawn.
    pub fn figure(&self) -> String {
        let series: Vec<Series> = self.series.iter().map(|series| self.shown(series)).collect();
        let series: Vec<Series> = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        if series.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
        let label = format!("{}: {}", self.title, names.join(", "));
        let mut svg = Svg::inline(SIZE, "img", &label);
        let plot = self.plot(&series);
        plot.draw_axes(&mut svg, &self.x_label);
        for series in &series {
            self.draw(&mut svg, &plot, series);
        }
        let (title, svg) = (escape(&self.title), svg.finish());
        let legend = if series.len() > 1 { legend(&series) } else { String::new() };
        format!(
            "<figure class=\"chart\"><figcaption>{title}{legend}</figcaption>\n{svg}</figure>\n"
        )
    }

    /// Returns the series without the points that cannot be drawn: numbers that are not finite, and on a logarithmic axis
    /// those that are not positive. If the vertical axis is in percent, the function multiplies y by 100.
    fn shown(&self, series: &Series) -> Series {
        let factor = if self.y_unit == Unit::Percent { 100.0 } else { 1.0 };
        let fits = |unit: Unit, value: f64| value.is_finite() && (unit != Unit::Log || value > 0.0);
        let is_drawn = |x: f64, y: f64| fits(self.x_unit, x) && fits(self.y_unit, y);
        let points = series.points.iter().enumerate().filter(|(_, (x, y))| is_drawn(*x, *y));
        let (mut drawn, mut band) = (Vec::new(), Vec::new());
        for (ix, &(x, y)) in points {
            drawn.push((x, factor * y));
            // An end of the band that cannot be drawn ends at the curve.
            let end = |end: f64| factor * if is_drawn(x, end) { end } else { y };
            band.extend(series.band.get(ix).map(|&(low, high)| (end(low), end(high))));
        }
        Series { points: drawn, band, ..series.clone() }
    }

    fn plot(&self, series: &[Series]) -> Plot {
        let points = || series.iter().flat_map(|series| &series.points);
        let heights = || {
            let bands = series.iter().flat_map(|series| &series.band);
            points().map(|(_, y)| *y).chain(bands.flat_map(|&(low, high)| [low, high]))
        };
        let (first, last) = range(points().map(|(x, _)| *x));
        let is_counted = self.x_unit == Unit::Count;
        // A horizontal axis of minutes starts at 0. An axis of steps or epochs starts at 0 if a series has means: each
        // mean covers an interval of x, and the first interval starts at 0.
        let from_start = !is_counted || series.iter().any(|series| series.kind == Kind::Mean);
        let x = match self.x_unit {
            Unit::Log => Axis::log(points().map(|(x, _)| *x), 1.0),
            _ => Axis::from(if from_start { first.min(0.0) } else { first }, last, 7, is_counted),
        };
        if self.y_unit == Unit::Log {
            return Plot { x, y: Axis::log(heights(), 1.2), frame: FRAME };
        }
        let (low, high) = range(heights());
        // The vertical axis starts near the lowest number if this number is negative, or if a start at 0 would leave
        // more than half of the height empty. Otherwise it starts at 0.
        let wasted = !self.from_zero && low > high / 2.0;
        let low = if low > 0.0 && !wasted { 0.0 } else { low };
        let y = Axis::round(low, high, 5).with_unit(self.percent());
        Plot { x, y, frame: FRAME }
    }

    fn percent(&self) -> &'static str {
        if self.y_unit == Unit::Percent { "%" } else { "" }
    }

    fn draw(&self, svg: &mut Svg, plot: &Plot, series: &Series) {
        let Series { name, points, kind, .. } = series;
        svg.open(format_args!("class=\"{}\"", class(series.style)), "");
        if !series.band.is_empty() {
            let at = |(&(x, _), y): (&(f64, f64), f64)| plot.at((x, y));
            let above = points.iter().zip(series.band.iter().map(|(_, high)| *high)).map(at);
            let below = points.iter().zip(series.band.iter().map(|(low, _)| *low)).map(at).rev();
            let corners: Vec<_> = above.chain(below).collect();
            let path: Vec<_> = corners.iter().map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
            svg.path("band", format_args!("M{}Z", path.join("L")), "");
        }
        let join = if *kind == Kind::Mean { Join::Step } else { Join::Straight };
        plot.draw_line(svg, "", join, points);
        let has_dots = *kind == Kind::Measured && points.len() <= MAX_DOTS;
        for &(x, y) in points {
            let at = plot.at((x, y));
            if has_dots {
                svg.circle("dot", at, 2.6, "");
            }
            // An invisible circle, larger than the dot, is easier to hover over.
            let (x_label, percent) = (&self.x_label, self.percent());
            let title = format!("{name}, {x_label} {}: {}{percent}", short(x), short(y));
            svg.circle("hit", at, 8.0, &title);
        }
        svg.close();
    }
}

/// Returns the legend: for each curve a piece of its line, then its name.
fn legend(series: &[Series]) -> String {
    let entry = |series: &Series| {
        format!(
            "<span><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"line {}\" d=\"M1 5H27\"/></svg>{}\
             </span>",
            class(series.style),
            escape(&series.name)
        )
    };
    let entries: String = series.iter().map(entry).collect();
    format!("<span class=\"legend\">{entries}</span>")
}

/// Returns the CSS classes of a style: `c2` for colour 2 with a solid line, `c2 d1` for colour 2 with dash pattern 1.
fn class(style: usize) -> String {
    let (colour, dashes) = (style % N_COLOURS, style / N_COLOURS % N_DASHES);
    if dashes == 0 { format!("c{colour}") } else { format!("c{colour} d{dashes}") }
}

/// Formats a number with about four digits: `0.4302`, `17.81`, `1.200e-7`.
fn short(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - value.abs().max(1e-3).log10().floor()).clamp(0.0, 6.0);
    let text = format!("{value:.*}", digits as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        let series =
            Series { name: "a < b".into(), points: points.to_vec(), style: 1, ..Series::default() };
        Chart {
            title: "accuracy".into(),
            x_label: "epoch".into(),
            x_unit: Unit::Count,
            y_unit: Unit::Percent,
            series: vec![series],
            ..Chart::default()
        }
    }

    #[test]
    fn points_have_their_position_and_title() {
        let svg = chart(&[(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]).figure();
        let Frame { left, right, top, bottom } = FRAME;
        let path = format!("M{left:.1} {bottom:.1}L260.0 120.0L{right:.1} {top:.1}");
        assert!(svg.contains(&path), "{path} is not in {svg}");
        assert!(svg.contains("<title>a &lt; b, epoch 2: 50%</title>"), "{svg}");
        assert!(svg.contains(">100%</text>") && !svg.contains("legend"), "{svg}");
    }

    #[test]
    fn means_are_steps_from_the_left_edge() {
        let mut chart = chart(&[(1.0, 0.5), (2.0, 1.0)]);
        chart.series[0].kind = Kind::Mean;
        let svg = chart.figure();
        let Frame { left, right, top, .. } = FRAME;
        let path = format!("M{left:.1} 120.0H260.0V{top:.1}H{right:.1}");
        assert!(svg.contains(&path), "{path} is not in {svg}");
    }

    #[test]
    fn points_that_are_not_finite_are_left_out() {
        assert_eq!(chart(&[]).figure(), "");
        assert_eq!(chart(&[(1.0, f64::NAN)]).figure(), "");
        let svg = chart(&[(1.0, 0.5), (2.0, f64::INFINITY)]).figure();
        assert_eq!(svg.matches("<title>").count(), 1, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_band_surrounds_its_curve_and_logarithmic_axes_leave_out_zero() {
        let mut chart = chart(&[(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]);
        chart.series[0].band = vec![(0.0, 0.2), (0.4, 0.6), (0.8, f64::NAN)];
        let svg = chart.figure();
        // Along the upper edge to the right, and along the lower edge back; the end that is not finite is on the curve.
        assert!(
            svg.contains(
                "d=\"M56.0 183.6L260.0 98.8L464.0 14.0L464.0 56.4L260.0 141.2L56.0 226.0Z\""
            ),
            "{svg}"
        );
        chart.y_unit = Unit::Log;
        let svg = chart.figure();
        assert_eq!(svg.matches("<title>").count(), 2, "{svg}");
    }

    #[test]
    fn numbers_have_about_four_digits() {
        let numbers = [0.43021, 17.812, 1234.56, 1.2e-7, 0.0, 3.0, 0.01];
        let shown = ["0.4302", "17.81", "1235", "1.200e-7", "0", "3", "0.01"];
        assert_eq!(numbers.map(short), shown);
    }

    #[test]
    fn many_curves_have_different_styles() {
        let n_styles = N_COLOURS * N_DASHES;
        let classes: std::collections::BTreeSet<_> =
            (0..n_styles).map(|ix| class(style_of_many(ix))).collect();
        assert_eq!(classes.len(), n_styles);
        assert_eq!([0, 1, 2].map(|ix| class(style_of_many(ix))), ["c0", "c1 d1", "c2 d2"]);
    }
}
