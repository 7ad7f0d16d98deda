//! Writes SVG, element by element.

use std::fmt::{Arguments, Write};

use super::STYLE;

/// Distance between two lines of small text, in pixels.
pub const LINE: f64 = 17.0;

/// The text of an SVG drawing, to which every method appends. Positions and sizes are in pixels from the top left
/// corner.
#[derive(Clone, Debug)]
pub struct Svg(String);

impl Svg {
    /// Begins a file of size `[width, height]` with the style sheet `style`. `label` is its text for screen readers.
    pub fn file([width, height]: [f64; 2], label: &str, style: &str) -> Self {
        let label = escape(label);
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{label}\">\n<style>\n{style}</style>\n"
        ))
    }

    /// Begins a file with the charts' style sheet, and a background that follows the reader's light or dark setting.
    pub fn drawing([width, height]: [f64; 2], label: &str) -> Self {
        let mut svg = Self::file([width, height], label, STYLE);
        svg.rect("ground", [0.0, 0.0, width, height], "");
        svg
    }

    /// Begins a drawing inside a page; the page has the style sheet [`STYLE`]. `role` is the drawing's ARIA role, such
    /// as `img` or `table`.
    pub fn inline([width, height]: [f64; 2], role: &str, label: &str) -> Self {
        let label = escape(label);
        Self(format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"{role}\" aria-label=\"{label}\">\n"
        ))
    }

    /// Begins a drawing inside a page, of a fixed size in pixels. It does not shrink in a narrow window.
    pub fn sized([width, height]: [f64; 2], role: &str, label: &str) -> Self {
        let label = escape(label);
        Self(format!(
            "<svg class=\"sized\" width=\"{width}\" height=\"{height}\" role=\"{role}\" aria-label=\"{label}\">\n"
        ))
    }

    /// Returns the finished text.
    pub fn finish(self) -> String {
        self.0 + "</svg>\n"
    }

    /// Appends a title at the top, and lines of small text below it.
    pub fn head(&mut self, title: &str, notes: &[String]) {
        self.text("title", [20.0, 30.0], title);
        for (row, note) in notes.iter().enumerate() {
            self.text("soft", [20.0, 51.0 + LINE * row as f64], note);
        }
    }

    /// Appends an element with these classes and attributes. `title` is shown on hover; an empty title is left out.
    pub fn element(&mut self, name: &str, class: &str, attributes: Arguments<'_>, title: &str) {
        // A write to a string cannot fail, so this file ignores the results of `write!`.
        let _ = write!(self.0, "<{name} class=\"{class}\" {attributes}");
        let _ = match title {
            "" => writeln!(self.0, "/>"),
            title => writeln!(self.0, "><title>{}</title></{name}>", escape(title)),
        };
    }

    /// Appends a rectangle `[x, y, width, height]`.
    pub fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], title: &str) {
        let at =
            format_args!("x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.1}\"");
        self.element("rect", class, at, title);
    }

    /// Appends a circle of radius `r`.
    pub fn circle(&mut self, class: &str, [x, y]: [f64; 2], r: f64, title: &str) {
        self.element("circle", class, format_args!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\""), title);
    }

    /// Appends a path. `path` is in SVG's path syntax, such as `M10 20H30`.
    pub fn path(&mut self, class: &str, path: Arguments<'_>, title: &str) {
        self.element("path", class, format_args!("d=\"{path}\""), title);
    }

    /// Appends a line of text. An empty text appends nothing.
    pub fn text(&mut self, class: &str, [x, y]: [f64; 2], text: &str) {
        if !text.is_empty() {
            let text = escape(text);
            let _ =
                writeln!(self.0, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
        }
    }

    /// Appends a line of text with these attributes, such as its position. `title` is shown on hover.
    pub fn named(&mut self, class: &str, attributes: Arguments<'_>, text: &str, title: &str) {
        let [text, title] = [text, title].map(escape);
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" {attributes}>{text}<title>{title}</title></text>"
        );
    }

    /// Appends a line of text, rotated clockwise by `degrees` around its position.
    pub fn turned(&mut self, class: &str, [x, y]: [f64; 2], degrees: f64, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate({degrees:.1})\">{text}</text>"
        );
    }

    /// Opens a group with these attributes, such as `class="c1"`; [`Svg::close`] ends the group. `title` is shown on
    /// hover; an empty title is left out.
    pub fn open(&mut self, attributes: Arguments<'_>, title: &str) {
        let _ = write!(self.0, "<g {attributes}>");
        if !title.is_empty() {
            let _ = write!(self.0, "<title>{}</title>", escape(title));
        }
        self.0 += "\n";
    }

    /// Closes the group that was opened last.
    pub fn close(&mut self) {
        self.0 += "</g>\n";
    }

    /// Appends markup unchanged.
    pub fn raw(&mut self, markup: &str) {
        self.0 += markup;
    }
}

/// Escapes text for SVG and HTML, also for attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            _ => out.push(c),
        }
    }
    out
}

/// Shortens text to the width of at most `length` Latin letters; `...` replaces the rest. The widths of other letters
/// are estimates.
pub fn shortened(text: &str, length: usize) -> String {
    // In quarters of a Latin letter. Greek and Cyrillic letters are wider. The last range has Chinese, Japanese and Korean
    // letters and pictures.
    let width = |c: char| match c {
        ..'\u{370}' => 4,
        ..'\u{1100}' => 5,
        _ => 8,
    };
    if text.chars().map(width).sum::<usize>() <= 4 * length {
        return text.to_string();
    }
    let mut left = 4 * (length - 3);
    let fits = |c: &char| {
        let is_left = width(*c) <= left;
        left = left.saturating_sub(width(*c));
        is_left
    };
    text.chars().take_while(fits).collect::<String>() + "..."
}

/// Splits text into lines of at most `length` characters. A longer word is a line of its own.
pub fn wrapped(text: &str, length: usize) -> Vec<String> {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails unless every element is closed in the right order and every number is finite.
    #[track_caller]
    pub(crate) fn assert_well_formed(svg: &str) {
        let mut open: Vec<&str> = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').unwrap_or_else(|| panic!("<{tag} has no end"));
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
            assert!(!text.contains('>'), "{text}");
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
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        let mut svg = Svg::drawing([20.0, 10.0], "<\"&\">");
        svg.open(format_args!("class=\"c0\""), "<g>");
        svg.circle("dot", [1.0, 2.0], 3.0, "a > b");
        svg.text("end", [1.0, 2.0], "<text>");
        svg.text("end", [1.0, 2.0], "");
        svg.turned("", [1.0, 2.0], -90.0, "&");
        svg.close();
        let text = svg.finish();
        assert_well_formed(&text);
        assert!(text.contains("<title>a &gt; b</title></circle>"), "{text}");
        assert_eq!(text.matches("<text").count(), 2, "{text}");
    }

    #[test]
    fn wrapped_and_shortened_text_fits_the_length() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!([shortened("flower", 6), shortened("flowers", 6)], ["flower", "flo..."]);
        assert_eq!([shortened("花卉园", 6), shortened("花卉园林", 6)], ["花卉园", "花..."]);
        assert_eq!([shortened("цвет", 5), shortened("цветы", 5)], ["цвет", "ц..."]);
    }

    #[test]
    #[should_panic(expected = "</svg>")]
    fn the_check_finds_an_element_without_an_end() {
        assert_well_formed("<svg><g><path d=\"M0 0\"/></svg>\n");
    }
}
