//! The text of a lesson, `docs/lessons/NAME.md`, as parts of a page.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The heading of a lesson, without the mark before it.
pub fn title(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches('#').trim()
}

/// Returns the section of a lesson with this heading of level 2, as HTML; an empty text without this section. A link to
/// another file of the repository becomes plain text, because a page must work without the repository.
pub fn section(text: &str, heading: &str) -> String {
    let mut events = Vec::new();
    let (mut is_inside, mut is_heading) = (false, false);
    let mut has_link = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match &event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                (is_inside, is_heading) = (false, true);
            }
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => is_heading = false,
            Event::Text(found) if is_heading => is_inside = **found == *heading,
            Event::Start(Tag::Link { dest_url, .. }) if is_inside => {
                has_link = dest_url.starts_with("https://");
                if has_link {
                    events.push(event);
                }
            }
            Event::End(TagEnd::Link) if is_inside && !has_link => {}
            _ if is_inside && !is_heading => events.push(event),
            _ => {}
        }
    }
    let mut page = String::new();
    html::push_html(&mut page, events.into_iter());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A lesson\n\n## Question\n\nIs it [true](https://x.org/a), see [here](a.md)?\n\n## Limits\n\n* one\n";

    #[test]
    fn a_section_ends_at_the_next_one_and_has_no_links_to_files() {
        assert_eq!(title(TEXT), "A lesson");
        let question = "<p>Is it <a href=\"https://x.org/a\">true</a>, see here?</p>\n";
        assert_eq!(section(TEXT, "Question"), question);
        assert_eq!(section(TEXT, "Limits"), "<ul>\n<li>one</li>\n</ul>\n");
        assert_eq!(section(TEXT, "Method"), "");
    }
}
