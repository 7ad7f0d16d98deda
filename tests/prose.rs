//! The mechanical part of the house style in `CONTRIBUTING.md`: openings of sentences, and words that describe a
//! program as a person. The check reads comments, string literals and documents.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files that the check leaves out. The list is empty and should stay empty.
const NOT_YET: &[&str] = &[];

/// Folders and files with prose, relative to the repository's root.
const ROOTS: [&str; 12] = [
    "src",
    "shaders",
    "tests",
    "docs",
    "examples",
    "benches",
    "scripts",
    "fuzz",
    ".ci",
    "test.sh",
    "README.md",
    "CONTRIBUTING.md",
];

/// Folders without prose: build output, and pictures with their notes.
const SKIPPED: [&str; 2] = ["target", "corpus"];

/// Openings of a sentence that should be a plain subject.
const OPENINGS: [&str; 5] = ["what", "how", "whether", "whoever", "of which"];

/// Words for persons, which do not fit programs.
const PERSONS: [&str; 5] = ["is told", "are told", " knows", " wants", "whoever"];

/// A paragraph, list item, table cell, comment or string literal, and the number of its first line.
#[derive(Debug, PartialEq)]
struct Passage {
    line: usize,
    text: String,
}

/// Splits Markdown, including the text of a comment, into passages. Code blocks and quoted blocks are left out.
fn of_markdown<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Passage> {
    let mut passages = Vec::new();
    let (mut is_code, mut is_open) = (false, false);
    for (line, text) in lines {
        let text = text.trim();
        if text.starts_with("```") {
            (is_code, is_open) = (!is_code, false);
        } else if is_code || text.is_empty() || text.starts_with('>') {
            is_open = false;
        } else if text.starts_with('|') {
            let cells = text.split('|').map(|cell| Passage { line, text: cell.trim().to_string() });
            passages.extend(cells);
            is_open = false;
        } else if let Some(text) = text.strip_prefix('#') {
            passages.push(Passage { line, text: text.trim_matches(['#', ' ']).to_string() });
            is_open = false;
        } else if let (true, None, Some(last)) = (is_open, item(text), passages.last_mut()) {
            last.text.push(' ');
            last.text.push_str(text);
        } else {
            passages.push(Passage { line, text: item(text).unwrap_or(text).to_string() });
            is_open = true;
        }
    }
    passages
}

/// Returns the text of a list item after its bullet or number; None for other text.
fn item(text: &str) -> Option<&str> {
    let after_number = text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(". ");
    text.strip_prefix("- ")
        .or(text.strip_prefix("* "))
        .or(after_number.filter(|_| text.starts_with(|c: char| c.is_ascii_digit())))
}

/// Splits a program into its comments and string literals. `comment` is the text that begins a comment.
fn of_program(source: &str, comment: &str) -> Vec<Passage> {
    let mut comments: Vec<(usize, &str)> = Vec::new();
    let mut passages = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(c) = rest.chars().next() {
        let n_bytes = if rest.starts_with(comment) {
            let text = rest.lines().next().unwrap_or_default();
            let is_alone = source[..source.len() - rest.len()]
                .rsplit('\n')
                .next()
                .is_some_and(|before| before.trim().is_empty());
            // An empty line separates a comment from the one before it.
            let joins = comments.last().is_some_and(|(last, _)| last + 1 == line) && is_alone;
            if !joins {
                comments.push((line - 1, ""));
            }
            comments.push((line, text.trim_start_matches(['/', '!']).trim_start_matches("# ")));
            text.len()
        } else if let Some((text, n_bytes)) = literal(rest) {
            passages.push(Passage { line, text });
            n_bytes
        } else {
            c.len_utf8()
        };
        line += rest[..n_bytes].matches('\n').count();
        rest = &rest[n_bytes..];
    }
    passages.retain(|passage| passage.text.contains(' '));
    passages.extend(of_markdown(comments.into_iter()));
    passages.sort_by_key(|passage| passage.line);
    passages
}

/// Returns the text of the string literal at the beginning of `source`, and the literal's length in bytes, including
/// the quotes. For a character literal, the text is empty.
fn literal(source: &str) -> Option<(String, usize)> {
    let raw = source.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
    if let Some(n_hashes) = raw
        && source[1 + n_hashes..].starts_with('"')
    {
        let (start, end) = (n_hashes + 2, format!("\"{}", "#".repeat(n_hashes)));
        let length = source[start..].find(&end)?;
        return Some((source[start..start + length].to_string(), start + length + end.len()));
    }
    if let Some(end) = source.strip_prefix("\"\"\"").and_then(|rest| rest.find("\"\"\"")) {
        return Some((source[3..3 + end].to_string(), end + 6));
    }
    // A character literal may be a double quote. A lifetime has only one single quote.
    for character in ["'\"'", "'\\\"'", "'\\''"] {
        if source.starts_with(character) {
            return Some((String::new(), character.len()));
        }
    }
    let body = source.strip_prefix('"')?;
    let mut text = String::new();
    let mut characters = body.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((text, at + 2)),
            '\\' => match characters.next() {
                Some((_, 'n' | '\n')) => text.push(' '),
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            _ => text.push(c),
        }
    }
    None
}

/// Replaces the contents of backticks and quotation marks by the marks alone.
fn without_quotations(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '"', '“']) {
        let open = rest[at..].chars().next().expect("a mark");
        let close = if open == '“' { '”' } else { open };
        let inner = &rest[at + open.len_utf8()..];
        let Some(end) = inner.find(close) else { break };
        kept.push_str(&rest[..at]);
        kept.push(open);
        rest = &inner[end + close.len_utf8()..];
    }
    kept + rest
}

/// Returns the rules that a passage breaks.
fn faults(text: &str) -> Vec<String> {
    let text = without_quotations(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut starts = vec![(0, true)];
    for (at, _) in text.match_indices(['.', '!', '?']) {
        let rest = &text[at + 1..];
        let n_marks = rest.len() - rest.trim_start_matches([')', '*', '"', '”']).len();
        if rest[n_marks..].starts_with(' ') {
            starts.push((at + 2 + n_marks, false));
        }
    }
    let mut faults = Vec::new();
    for (start, is_first) in starts {
        let sentence = text[start..].trim_start_matches(['*', '_', '(', '[', ' ']);
        let is_capital = sentence.starts_with(char::is_uppercase);
        let lower = sentence.to_lowercase();
        let opens = |opening: &&&str| {
            let rest = lower.strip_prefix(**opening);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        if (is_first || is_capital)
            && let Some(opening) = OPENINGS.iter().find(opens)
        {
            let shown: String = sentence.chars().take(60).collect();
            faults.push(format!("a sentence opens with {opening:?}: {shown}"));
        }
    }
    let lower = format!(" {}", text.to_lowercase());
    for person in PERSONS {
        let found = lower.match_indices(person).find(|(at, _)| {
            let next = lower[at + person.len()..].chars().next();
            !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        });
        if let Some((at, _)) = found {
            let shown: String = lower[at..].chars().take(60).collect();
            faults.push(format!("a person's word for a program: ...{shown}"));
        }
    }
    faults
}

/// Returns the files with prose at or below a path.
fn files(path: PathBuf) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !path.is_dir() {
        return vec![path];
    }
    if SKIPPED.contains(&name.as_str()) {
        return Vec::new();
    }
    let entries = fs::read_dir(path).expect("readable").map(|entry| entry.expect("one").path());
    entries.flat_map(files).collect()
}

fn passages(path: &Path) -> Vec<Passage> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let read = || fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match extension.as_str() {
        "md" => of_markdown((1..).zip(read().lines())),
        "rs" | "wgsl" => of_program(&read(), "//"),
        "sh" | "py" | "toml" | "" => of_program(&read(), "# "),
        _ => Vec::new(),
    }
}

#[test]
fn sentences_open_with_their_subject_and_programs_are_not_persons() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut problems, mut n_passages) = (Vec::new(), 0);
    for path in ROOTS.into_iter().flat_map(|name| files(root.join(name))) {
        let inner = path.strip_prefix(root).expect("below it").to_path_buf();
        // This file is left out, because its lists contain the words.
        if inner.ends_with("tests/prose.rs") || NOT_YET.iter().any(|name| inner.starts_with(name)) {
            continue;
        }
        for passage in passages(&path) {
            n_passages += 1;
            let faults = faults(&passage.text).into_iter();
            let at = format!("{}:{}", inner.display(), passage.line);
            problems.extend(faults.map(|fault| format!("{at}: {fault}")));
        }
    }
    assert!(problems.is_empty(), "{} faults:\n{}", problems.len(), problems.join("\n"));
    assert!(n_passages > 1000, "only {n_passages} passages were found");
}

#[test]
fn the_list_of_exceptions_names_existing_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in NOT_YET {
        assert!(root.join(name).exists(), "NOT_YET: there is no {name}; take it off the list");
    }
}

#[test]
fn faults_are_found_with_their_lines() {
    let rust = "//! Reads. What follows\n//! is long.\n\nlet quote = '\"'; // how so\n\
                fail(\"tape: is told {n}\", 'a', \"whatever it is\");\n/// Of `x`. \"What\" is quoted.\n\
                /// - of which one\n";
    let found: Vec<_> = of_program(rust, "//")
        .into_iter()
        .map(|passage| (passage.line, faults(&passage.text).len()))
        .collect();
    assert_eq!(found, [(1, 1), (4, 1), (5, 1), (5, 0), (6, 0), (7, 1)]);
    let markdown = "# How it is\n\nA tape\nknows. Whether it\n\n```\nWhat\n```\n> What\n\n\
                    | whoever | `what` |\n";
    let found: Vec<_> = of_markdown((1..).zip(markdown.lines()))
        .into_iter()
        .filter(|passage| !passage.text.is_empty())
        .map(|passage| (passage.line, faults(&passage.text).len()))
        .collect();
    assert_eq!(found, [(1, 1), (3, 2), (11, 2), (11, 0)]);
    let python = "\"\"\"What it does.\"\"\"\nx = 1  # how\nprint(\"Whether {x}\")\n";
    let n_faults: usize = of_program(python, "# ").iter().map(|p| faults(&p.text).len()).sum();
    assert_eq!(n_faults, 3);
}
