//! What the drawings share: logarithmic axes, and a style that suits light and dark pages.

use std::fmt::Write;

use crate::passes::draw::escape;

/// Colours as on the pages of runs, from Okabe and Ito's palette.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--ink:#1b2027;--soft:#5b6572;--grid:#e3e7ec;--c0:#0072b2;--c1:#d55e00;\
--c2:#00855f;--c3:#b3568c;--c4:#a87400;--c5:#3d9bd6;--c6:#6a737d}\
@media(prefers-color-scheme:dark){:root{--ground:#16181c;--ink:#e6eaef;--soft:#98a3b0;--grid:#2c323a;--c0:#56b4e9;\
--c1:#f0813c;--c2:#2fc296;--c3:#e094c2;--c4:#e6b53c;--c5:#8fd0f5;--c6:#a4adb8}}\
text{font:13px system-ui,-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif;fill:var(--ink)}\
.title{font-size:18px;font-weight:650}.soft{fill:var(--soft);font-size:12px}.bold{font-weight:650}\
.end{text-anchor:end}.middle{text-anchor:middle}.ground{fill:var(--ground)}\
.halo{stroke:var(--ground);stroke-width:4px;paint-order:stroke;stroke-linejoin:round}\
.grid{stroke:var(--grid);fill:none}.roof{stroke:var(--ink);stroke-width:2;fill:none}\
.leader{stroke:var(--soft);stroke-width:1}.line{fill:none;stroke-width:2}\
.c0{fill:var(--c0);stroke:var(--c0)}.c1{fill:var(--c1);stroke:var(--c1)}.c2{fill:var(--c2);stroke:var(--c2)}\
.c3{fill:var(--c3);stroke:var(--c3)}.c4{fill:var(--c4);stroke:var(--c4)}.c5{fill:var(--c5);stroke:var(--c5)}\
.c6{fill:var(--c6);stroke:var(--c6)}.mark{stroke:var(--ground);stroke-width:1.5}.line{fill:none}";

/// The beginning of a drawing of that size, up to its title and the lines below it.
pub(super) fn head(width: f64, height: f64, title: &str, below: &[String]) -> String {
    let label = escape(title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{label}\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    text(&mut out, "title", [20.0, 30.0], title);
    for (row, line) in below.iter().enumerate() {
        text(&mut out, "soft", [20.0, 51.0 + LINE * row as f64], line);
    }
    out
}

/// The distance of lines of small text.
pub(super) const LINE: f64 = 17.0;

/// The text in lines of at most `length` letters, as long as no word is longer.
pub(super) fn wrapped(text: &str, length: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < length => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// Text at a place, with classes of the style.
pub(super) fn text(out: &mut String, class: &str, [x, y]: [f64; 2], text: &str) {
    let text = escape(text);
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

/// A logarithmic axis, and where on the drawing its ends lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogAxis {
    /// The numbers at the ends.
    pub(super) ends: [f64; 2],
    /// The places of the ends.
    pub(super) places: [f64; 2],
}

impl LogAxis {
    /// An axis that holds these numbers with some room around them, by a factor of `room`. Numbers that
    /// have no logarithm do not count.
    pub(super) fn around(
        values: impl IntoIterator<Item = f64>,
        room: f64,
        places: [f64; 2],
    ) -> Self {
        let drawable = values.into_iter().filter(|value| value.is_normal() && *value > 0.0);
        let ends = drawable.fold([f64::INFINITY, 0.0], |[low, high], value| {
            [low.min(value), f64::max(high, value)]
        });
        // Nothing to draw is drawn around 1.
        let [low, high] = if ends[1] > 0.0 { ends } else { [1.0, 1.0] };
        Self { ends: [low / room, high * room], places }
    }

    /// Where a number lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        let [low, high] = self.ends.map(f64::log10);
        let [from, to] = self.places;
        from + (value.log10() - low) / (high - low) * (to - from)
    }

    /// Round numbers on the axis: 1, 2 and 5 times powers of ten, or, where they are many, the powers alone.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let [low, high] = self.ends;
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let factors: &[f64] = if high / low > 2e3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = powers.flat_map(|power| factors.iter().map(move |f| f * 10_f64.powi(power)));
        ticks.filter(|tick| (low..=high).contains(tick)).collect()
    }
}

/// A number on an axis: `0.05`, `20`, `5000`.
pub(super) fn label(value: f64) -> String {
    // Powers of ten are not exact below 1.
    let digits = (-(value.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Fails unless every element is closed where it should be, and no number is broken.
    #[track_caller]
    pub(in crate::measure::bench) fn assert_well_formed(svg: &str) {
        let mut open: Vec<&str> = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').unwrap_or_else(|| panic!("<{tag} has no end"));
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
            assert!(!text.replace("&lt;", "").replace("&gt;", "").contains('>'), "{text}");
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "</{name}>"),
                None if tag.ends_with('/') => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty() && svg.ends_with("</svg>\n"), "{open:?} are left open");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn decades_are_of_the_same_length() {
        let axis = LogAxis::around([1.0, 100.0, f64::NAN, 0.0], 10.0, [0.0, 400.0]);
        assert_eq!(
            [0.1, 1.0, 10.0, 1000.0].map(|value| axis.at(value).round()),
            [0.0, 100.0, 200.0, 400.0]
        );
        assert_eq!(axis.ticks().len(), 5);
        let axis = LogAxis::around([3.0, 30.0], 1.2, [0.0, 1.0]);
        assert_eq!(axis.ticks(), [5.0, 10.0, 20.0]);
        let nothing = LogAxis::around([], 2.0, [0.0, 1.0]);
        assert_eq!((nothing.ends, nothing.at(1.0)), ([0.5, 2.0], 0.5));
        assert_eq!([0.05, 0.1, 1.0, 20.0, 5000.0].map(label), ["0.05", "0.1", "1", "20", "5000"]);
    }

    #[test]
    fn lines_are_no_longer_than_they_may_be() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    #[should_panic(expected = "</svg>")]
    fn an_element_that_is_left_open_is_found() {
        assert_well_formed("<svg><g><path d=\"M0 0\"/></svg>\n");
    }
}
