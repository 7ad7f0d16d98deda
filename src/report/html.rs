//! Builds a page from sections: one self-contained HTML file without scripts.

use std::fmt::Write;

use crate::base::chart::svg::shortened;
use crate::base::chart::{self, escape};

/// Style sheet of every page. The page has the charts' style sheet, with the colours, before this one.
const STYLE: &str = include_str!("style.css");

/// A page with a heading and sections.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    lead: String,
    sections: Vec<(String, String)>,
}

impl Page {
    /// Returns a page without sections. `title` is plain text, and `lead` is HTML under the heading.
    pub fn new(title: &str, lead: String) -> Self {
        Self { title: title.to_string(), lead, sections: Vec::new() }
    }

    /// Adds a section, unless `body` is empty. `heading` is plain text, and `body` is HTML.
    pub fn section(&mut self, heading: &str, body: String) {
        if !body.is_empty() {
            self.sections.push((heading.to_string(), body));
        }
    }

    /// Returns the text of the HTML file. A content security policy in the page forbids a browser to load files or to
    /// run scripts.
    pub fn finish(&self) -> String {
        let title = escape(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <title>{title} – wgrad</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; style-src 'unsafe-inline'\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <style>\n{}{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n{}\n</header>\n",
            chart::STYLE,
            self.lead
        );
        if self.sections.len() > 2 {
            out += "<nav>";
            for (heading, _) in &self.sections {
                let _ = write!(out, "<a href=\"#{}\">{}</a>", id(heading), escape(heading));
            }
            out += "</nav>\n";
        }
        out += "<main>\n";
        for (heading, body) in &self.sections {
            let (id, heading) = (id(heading), escape(heading));
            let _ = write!(out, "<section id=\"{id}\">\n<h2>{heading}</h2>\n{body}</section>\n");
        }
        out + "</main>\n</body>\n</html>\n"
    }
}

/// Returns the id of a heading: `worst-errors` for `Worst errors`.
fn id(heading: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    heading.chars().map(letter).collect()
}

/// Returns a table. `headings` are plain text; an empty list makes a table without headings. The cells of `rows` are
/// HTML. The first cell of a row is the row's heading. A wide table scrolls within the page.
pub fn table(class: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("<div class=\"scroll\"><table class=\"{class}\">\n");
    if !headings.is_empty() {
        let cell = |heading: &&str| format!("<th scope=\"col\">{}</th>", escape(heading));
        let cells: String = headings.iter().map(cell).collect();
        let _ = writeln!(out, "<thead><tr>{cells}</tr></thead>");
    }
    out += "<tbody>\n";
    for row in rows {
        let mut cells = row.iter();
        let first = cells.next().map_or("", String::as_str);
        let _ = write!(out, "<tr><th scope=\"row\">{first}</th>");
        for cell in cells {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

/// The largest number of columns of a name that is certain to fit a cell of a table. The style sheet cuts longer names.
const NAME_WIDTH: usize = 14;

/// Returns the name of a class as an element of one line. A long name is cut at the end, and shown as a whole on hover.
/// `class` is the element's CSS class, such as `truth`.
pub fn name(class: &str, text: &str) -> String {
    let (is_short, text) = (shortened(text, NAME_WIDTH) == text, escape(text));
    let title = if is_short { String::new() } else { format!(" title=\"{text}\"") };
    // The element isolates the direction of its text: a name in Arabic does not move the number after it.
    format!("<bdi class=\"class-name {class}\"{title}>{text}</bdi>")
}

/// Returns a paragraph with an explanation. `text` is plain text.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

/// Returns tiles with key figures. Each tile is a label, a value, and a note on the value, all in plain text.
pub fn tiles(tiles: &[(&str, String, String)]) -> String {
    let mut out = "<div class=\"tiles\">\n".to_string();
    for (label, value, word) in tiles {
        let [label, value, word] = [label, value.as_str(), word].map(escape);
        let _ = writeln!(out, "<div><span>{label}</span><b>{value}</b><span>{word}</span></div>");
    }
    out + "</div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut page = Page::new("<script>", String::new());
        page.section("A & B", note("<img>"));
        page.section("Empty", String::new());
        let html = page.finish();
        assert!(!html.contains("<script>") && !html.contains("<img>"), "{html}");
        assert!(html.contains("<section id=\"a---b\">\n<h2>A &amp; B</h2>"), "{html}");
        assert!(!html.contains("Empty"), "{html}");
    }

    #[test]
    fn long_names_have_their_whole_text_as_a_title() {
        assert_eq!(name("", "cat"), "<bdi class=\"class-name \">cat</bdi>");
        let long = name("truth", "a cat & its <large> \"family\"");
        let text = "a cat &amp; its &lt;large&gt; &quot;family&quot;";
        assert_eq!(long, format!("<bdi class=\"class-name truth\" title=\"{text}\">{text}</bdi>"));
        assert!(name("", "八个汉字的类的名").contains("title="), "each letter has two columns");
    }

    #[test]
    fn tables_have_heads() {
        let rows = [vec!["a".to_string(), "1".to_string()]];
        let html = table("plain", &["", "n"], &rows);
        assert!(html.contains("<th scope=\"col\">n</th>"), "{html}");
        assert!(html.contains("<tr><th scope=\"row\">a</th><td>1</td></tr>"), "{html}");
    }
}
