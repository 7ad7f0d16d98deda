//! Line charts as SVG: curves over epochs, steps or minutes.
//!
//! Colours are classes of the page's style (`c0` to `c6`), so that one drawing suits light and dark
//! pages; a curve is told by its dashes, too. Every point has a title, which browsers show on hovering.

use std::fmt::Write;

use super::axis::Axis;
use super::html::escape;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 44.0;

/// Colours of the palette.
const N_COLOURS: usize = 7;

/// Ways to dash a line, none at all being the first.
const N_DASHES: usize = 4;

/// As many styles there are: each of [`N_COLOURS`] with each of [`N_DASHES`].
const N_STYLES: usize = N_COLOURS * N_DASHES;

/// The style of one of many curves that may lie upon one another: its neighbours differ from it in
/// colour and dashes both, so that what lies below is seen, and by people who see no colours, too.
pub fn style_of_many(ix: usize) -> usize {
    ix % N_COLOURS + N_COLOURS * (ix % N_DASHES)
}

/// Curves of more points than this have no dots on them.
const MAX_DOTS: usize = 40;

/// A curve.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Series {
    /// What it is called in the legend.
    pub name: String,
    /// From left to right. Points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Its colour, and its dashes: a number below 28.
    pub style: usize,
    /// Whether it is a line alone: not of measurements, which have dots where they are few.
    pub is_computed: bool,
}

/// What the numbers of an axis are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Numbers of any kind.
    Plain,
    /// Whole numbers.
    Count,
    /// Parts of 1, shown in percent.
    Percent,
}

/// A chart of some curves.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    /// Its heading.
    pub title: String,
    /// What is on the axis from left to right, with its unit: `epoch`.
    pub x_label: String,
    /// Whether that is counted.
    pub x_unit: Unit,
    /// What is on the axis from bottom to top.
    pub y_unit: Unit,
    /// Whether that axis starts at 0 in any case.
    pub from_zero: bool,
    /// The curves.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart as a `<figure>`, with a legend where there is more than one curve; nothing at all
    /// where there is no point.
    pub fn figure(&self) -> String {
        let series: Vec<Series> = self.series.iter().map(|series| self.shown(series)).collect();
        let series: Vec<Series> = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        if series.is_empty() {
            return String::new();
        }
        let title = escape(&self.title);
        let mut out = format!("<figure class=\"chart\"><figcaption>{title}");
        if series.len() > 1 {
            out += &legend(&series);
        }
        let names: Vec<_> = series.iter().map(|series| escape(&series.name)).collect();
        let _ = write!(
            out,
            "</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}: {}\">\n",
            names.join(", ")
        );
        let (x, y) = self.axes(&series);
        self.draw_axes(&mut out, &x, &y);
        for series in &series {
            self.draw(&mut out, series, &x, &y);
        }
        out + "</svg></figure>\n"
    }

    /// The points that can be drawn, in the units of the axes.
    fn shown(&self, series: &Series) -> Series {
        let factor = if self.y_unit == Unit::Percent { 100.0 } else { 1.0 };
        let points = series.points.iter().map(|&(x, y)| (x, factor * y));
        let points = points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        Series { points, ..series.clone() }
    }

    fn axes(&self, series: &[Series]) -> (Axis, Axis) {
        let points = || series.iter().flat_map(|series| &series.points);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let (first, last) = range(&mut points().map(|(x, _)| *x));
        // What is not counted is measured, from the start.
        let is_counted = self.x_unit == Unit::Count;
        let x = Axis::from(if is_counted { first } else { 0.0 }, last, 7, is_counted);
        let (low, high) = range(&mut points().map(|(_, y)| *y));
        // From 0, unless that would waste half of the height.
        let wasted = !self.from_zero && low > high / 2.0;
        let low = if low > 0.0 && !wasted { 0.0 } else { low };
        (x, Axis::round(low, high, 5))
    }

    fn draw_axes(&self, out: &mut String, x: &Axis, y: &Axis) {
        let percent = if self.y_unit == Unit::Percent { "%" } else { "" };
        for &tick in &y.ticks {
            let (at, label) = (y_at(y, tick), y.label(tick));
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}{percent}</text>",
                LEFT - 8.0,
                at + 4.5
            );
        }
        for &tick in &x.ticks {
            let (at, label) = (x_at(x, tick), x.label(tick));
            let _ = writeln!(
                out,
                "<path class=\"axis\" d=\"M{at:.1} {BOTTOM}v5\"/>\
                 <text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
                BOTTOM + 19.0
            );
        }
        let (centre, baseline) = ((LEFT + RIGHT) / 2.0, HEIGHT - 6.0);
        let label = escape(&self.x_label);
        let _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>\
             <text class=\"middle\" x=\"{centre}\" y=\"{baseline}\">{label}</text>"
        );
    }

    fn draw(&self, out: &mut String, series: &Series, x: &Axis, y: &Axis) {
        let class = class(series.style);
        let place = |&(px, py): &(f64, f64)| format!("{:.1} {:.1}", x_at(x, px), y_at(y, py));
        let places: Vec<_> = series.points.iter().map(place).collect();
        let _ = writeln!(out, "<g class=\"{class}\"><path d=\"M{}\"/>", places.join("L"));
        let has_dots = !series.is_computed && series.points.len() <= MAX_DOTS;
        let percent = if self.y_unit == Unit::Percent { "%" } else { "" };
        for &(px, py) in &series.points {
            let (cx, cy) = (x_at(x, px), y_at(y, py));
            let (name, label) = (escape(&series.name), escape(&self.x_label));
            if has_dots {
                let _ = write!(out, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"2.6\"/>");
            }
            // Invisible, and easier to point at than the dot.
            let _ = writeln!(
                out,
                "<circle class=\"hit\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"8\">\
                 <title>{name}, {label} {}: {}{percent}</title></circle>",
                short(px),
                short(py)
            );
        }
        *out += "</g>\n";
    }
}

/// The names of the curves, each behind a piece of its line.
fn legend(series: &[Series]) -> String {
    let entry = |series: &Series| {
        format!(
            "<span><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><g class=\"{}\">\
             <path d=\"M1 5H27\"/></g></svg>{}</span>",
            class(series.style),
            escape(&series.name)
        )
    };
    let entries: String = series.iter().map(entry).collect();
    format!("<span class=\"legend\">{entries}</span>")
}

/// `c2`, and `c2 d1` for the style of the second round through the palette.
fn class(style: usize) -> String {
    let (colour, dashes) = (style % N_COLOURS, style % N_STYLES / N_COLOURS);
    if dashes == 0 { format!("c{colour}") } else { format!("c{colour} d{dashes}") }
}

fn x_at(axis: &Axis, value: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * axis.place(value)
}

fn y_at(axis: &Axis, value: f64) -> f64 {
    BOTTOM + (TOP - BOTTOM) * axis.place(value)
}

/// A number in at most four digits behind its first one: `0.4302`, `17.81`, `1.2e-7`.
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
            from_zero: false,
            series: vec![series],
        }
    }

    #[test]
    fn points_are_placed_and_named() {
        let svg = chart(&[(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]).figure();
        let path = format!("M{LEFT:.1} {BOTTOM:.1}L260.0 120.0L{RIGHT:.1} {TOP:.1}");
        assert!(svg.contains(&path), "{path} is not in {svg}");
        assert!(svg.contains("<title>a &lt; b, epoch 2: 50%</title>"), "{svg}");
        assert!(svg.contains(">100%</text>") && !svg.contains("legend"), "{svg}");
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert_eq!(chart(&[]).figure(), "");
        assert_eq!(chart(&[(1.0, f64::NAN)]).figure(), "");
        let svg = chart(&[(1.0, 0.5), (2.0, f64::INFINITY)]).figure();
        assert_eq!(svg.matches("<title>").count(), 1, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.43021, 17.812, 1234.56, 1.2e-7, 0.0, 3.0, 0.01];
        let shown = ["0.4302", "17.81", "1235", "1.200e-7", "0", "3", "0.01"];
        assert_eq!(numbers.map(short), shown);
    }

    #[test]
    fn many_curves_have_styles_of_their_own() {
        let classes: std::collections::BTreeSet<_> =
            (0..N_STYLES).map(|ix| class(style_of_many(ix))).collect();
        assert_eq!(classes.len(), N_STYLES);
        assert_eq!([0, 1, 2].map(|ix| class(style_of_many(ix))), ["c0", "c1 d1", "c2 d2"]);
    }
}
