//! Escapes text from outside, such as file names, for display.
//!
//! Terminals execute some characters, and others change the reading direction of their neighbours. A file's name could
//! move the cursor, start a line that looks like another message, or read as another name. In messages, this module
//! replaces such characters by escapes like `\u{1b}`. Text for other programs keeps the characters.

use std::borrow::Cow;
use std::path::Path;

/// Returns true for characters that are escaped: control characters, line separators and marks of reading direction.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes a text for display on one line.
pub fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains(is_hidden) {
        false => Cow::Borrowed(text),
        true => escaped_but(text, |_| false).into(),
    }
}

/// Escapes a text of several lines; line breaks stay.
pub fn escaped_lines(text: &str) -> String {
    escaped_but(text, |c| c == '\n')
}

fn escaped_but(text: &str, is_kept: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) && !is_kept(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Display form of paths in messages.
pub trait Shown {
    /// Returns the path, escaped for one line. Bytes that are not valid Unicode become U+FFFD.
    fn shown(&self) -> String;

    /// Returns the path as [`Shown::shown`] does, quoted for a shell if it needs quotes: as a part of a command that the
    /// user may copy.
    fn in_command(&self) -> String;
}

impl Shown for Path {
    fn shown(&self) -> String {
        escaped(&self.to_string_lossy()).into_owned()
    }

    fn in_command(&self) -> String {
        quoted(&self.shown())
    }
}

/// Returns a word of a command, in single quotes if a shell would read it as several words or would change it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+=:@%,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_are_not() {
        let shown = |name: &str| Path::new(name).shown();
        assert_eq!(shown("a\u{1b}[31mb\nc\t\r"), "a\\u{1b}[31mb\\nc\\t\\r");
        assert_eq!(shown("\u{9b}2J \u{7f} \u{202e}gpj"), "\\u{9b}2J \\u{7f} \\u{202e}gpj");
        assert_eq!(shown("\u{2066}\u{200f}\u{2028}"), "\\u{2066}\\u{200f}\\u{2028}");
        // Texts with a combining accent, a Windows path separator or quotation marks are not escaped.
        for plain in ["e\u{301}té/Фото 日本.png", r#"C:\run's "one""#, ""] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(escaped_lines("a\nb\u{1b}c"), "a\nb\\u{1b}c");
    }

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        for (word, expected) in [
            ("runs/2026-11-22-075444", "runs/2026-11-22-075444"),
            ("Фото/日本.png", "Фото/日本.png"),
            ("sp ace", "'sp ace'"),
            ("it's", "'it'\\''s'"),
            ("$HOME;*", "'$HOME;*'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
            assert_eq!(Path::new(word).in_command(), expected);
        }
    }
}
