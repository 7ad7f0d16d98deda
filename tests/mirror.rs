//! The mirror: the files of an op have the same stem (name without extension) in `src/ops/`, `shaders/` and
//! `docs/ops/`. The documentation agrees with the tree: its links lead to existing files, it quotes lines of the code,
//! and it names existing files and functions.

#[path = "mirror/references.rs"]
mod references;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wgrad::ops;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path relative to the repository, for messages.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

/// Returns a folder's entries, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", shown(folder)));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// Returns all files below a folder with this extension.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder).into_iter().partition(|p| p.is_dir());
    let here = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension));
    here.chain(folders.iter().flat_map(|folder| files_below(folder, extension))).collect()
}

/// Returns the file's name without its extension.
fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn stems_of_ops() -> BTreeSet<String> {
    ops::ALL.iter().map(|op| op.stem.to_string()).collect()
}

/// Fails with all problems, one per line.
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_op_has_its_files() {
    let stems = stems_of_ops();
    assert_eq!(stems.len(), ops::ALL.len(), "two ops have the same stem");
    let mut problems = Vec::new();
    for stem in stems {
        let files = [format!("src/ops/{stem}.rs"), format!("docs/ops/{stem}.md")];
        let missing = files.iter().filter(|file| !root().join(file).is_file());
        problems.extend(missing.map(|file| format!("{stem}: there is no {file}")));
        let shaders = root().join("shaders").join(&stem);
        if !shaders.is_dir() || files_below(&shaders, "wgsl").is_empty() {
            problems.push(format!("{stem}: there is no shader in shaders/{stem}/"));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_file_of_an_op_belongs_to_a_listed_op() {
    let stems = stems_of_ops();
    let mut problems = Vec::new();
    for path in entries(&root().join("shaders")) {
        // These folders belong to no op: files that ops share, and kernels that measure the adapter.
        let is_other = ["shared", "peak"].contains(&&*stem(&path));
        if path.is_dir() && !is_other && !stems.contains(&stem(&path)) {
            problems.push(format!("{} belongs to no op", shown(&path)));
        }
    }
    for path in entries(&root().join("docs/ops")) {
        if !stems.contains(&stem(&path)) {
            problems.push(format!("{} describes no op", shown(&path)));
        }
    }
    for path in entries(&root().join("src/ops")) {
        let is_op = path.is_file() && read(&path).contains("pub const ENTRY: OpTests");
        if is_op && !stems.contains(&stem(&path)) {
            problems.push(format!("{} is not in ops::ALL", shown(&path)));
        }
    }
    assert_none(&problems);
}

/// A fenced block: its language, and its lines without indentation.
struct Block {
    language: String,
    lines: Vec<String>,
}

/// A page of the documentation.
struct Page {
    path: PathBuf,
    /// The text without fenced blocks.
    prose: String,
    /// The fenced blocks.
    blocks: Vec<Block>,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        let mut open: Option<Block> = None;
        for line in read(&path).lines() {
            let line = line.trim();
            open = match (open, line.strip_prefix("```")) {
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                    None
                }
                (None, Some(language)) => {
                    Some(Block { language: language.to_string(), lines: Vec::new() })
                }
                (Some(block), Some("")) => {
                    blocks.push(block);
                    None
                }
                (Some(mut block), _) => {
                    block.lines.push(line.to_string());
                    Some(block)
                }
            };
        }
        assert!(open.is_none(), "{}: a fenced block has no end", shown(&path));
        Self { path, prose, blocks }
    }

    /// Returns true if a heading has this anchor: the heading in lower case, without punctuation, with hyphens for
    /// spaces.
    fn has_anchor(&self, anchor: &str) -> bool {
        let headings = self.prose.lines().filter_map(|line| line.strip_prefix('#'));
        headings.map(|heading| heading.trim_start_matches('#').trim().to_lowercase()).any(|text| {
            let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.collect::<String>().replace(' ', "-") == anchor
        })
    }

    /// Returns the targets of the page's links, as they are written.
    fn links(&self) -> Vec<String> {
        // Text between backticks is code. So `y[n](x)` in it is not a link.
        let parts: Vec<&str> = self.prose.split('`').collect();
        assert!(parts.len() % 2 == 1, "{}: a backtick has no partner", shown(&self.path));
        let text: String = parts.into_iter().step_by(2).collect();
        let after = text.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_string()).collect()
    }
}

/// Returns every page below `docs/`, and the pages in the root.
fn pages() -> Vec<Page> {
    let mut paths = files_below(&root().join("docs"), "md");
    paths.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    paths.into_iter().map(Page::read).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut problems = Vec::new();
    let mut n_links = 0;
    for page in pages() {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            n_links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.path.parent().expect("a file is in a folder");
            let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
            if !path.exists() || !anchor.is_empty() && !Page::read(path).has_anchor(anchor) {
                problems.push(format!("{}: there is no {link}", shown(&page.path)));
            }
        }
    }
    assert_none(&problems);
    assert!(n_links > ops::ALL.len(), "only {n_links} links were found");
}

/// Returns the lines of every file below a folder, without indentation.
fn lines_below(folder: &str, extension: &str) -> Vec<Vec<String>> {
    let lines = |path: &PathBuf| read(path).lines().map(|line| line.trim().to_string()).collect();
    files_below(&root().join(folder), extension).iter().map(lines).collect()
}

/// Documents quote existing code: each block is a run of whole lines of one file, with any indentation. Two pages are
/// not checked: the README leaves lines out of its quotations, and `adding_an_op.md` adds an op that is not in the
/// tree.
#[test]
fn quotations_agree_with_the_code() {
    let (wgsl, rust) = (lines_below("shaders", "wgsl"), lines_below("src", "rs"));
    let mut problems = Vec::new();
    let mut n_quotations = 0;
    for page in pages() {
        if ["README.md", "docs/adding_an_op.md"].contains(&shown(&page.path).as_str()) {
            continue;
        }
        for Block { language, lines } in &page.blocks {
            let code = match language.as_str() {
                "wgsl" => &wgsl,
                "rust" => &rust,
                _ => continue,
            };
            n_quotations += 1;
            let quotes = |file: &Vec<String>| file.windows(lines.len()).any(|run| run == lines);
            if lines.is_empty() || !code.iter().any(quotes) {
                let (page, lines) = (shown(&page.path), lines.join("\n    "));
                problems.push(format!("{page} quotes lines that no file has:\n    {lines}"));
            }
        }
    }
    assert_none(&problems);
    assert!(n_quotations > ops::ALL.len(), "only {n_quotations} quotations were found");
}

/// `scripts/install-vulkan.sh` reads the address of the package host from apt's sources, in either of their two file
/// formats.
#[test]
fn the_driver_comes_from_the_package_sources_of_the_machine() {
    let script = read(&root().join("scripts/install-vulkan.sh"));
    assert!(!script.contains("://"), "scripts/install-vulkan.sh: names a package host");
    let start = script.find("debian_uri() {").expect("the function");
    let end = start + script[start..].find("\n}\n").expect("its end") + 3;
    let command =
        format!("set -euo pipefail\n{}\ndebian_uri bookworm \"$0\" || true", &script[start..end]);
    let lines = "# deb http://old/debian bookworm main\ndeb cdrom:[Debian 12]/ bookworm main\n\
                 deb http://security/debian-security bookworm-security main\n\
                 deb [arch=amd64 signed-by=/k.gpg] https://lines/pub/debian/ bookworm main\n";
    let paragraphs = "Types: deb\nURIs: http://off/debian\nSuites: bookworm\nEnabled: no\n\n\
                      Types: deb-src\nURIs: http://source/debian\nSuites: bookworm\n\n\
                      # a mirror\nTypes: deb\nURIs:\n http://paragraphs/debian\n http://second/debian\n\
                      Suites: bookworm bookworm-updates\n";
    for (file, text, expected) in [
        ("sources.list", lines, "https://lines/pub/debian/"),
        ("sources.list.d/debian.list", lines, "https://lines/pub/debian/"),
        ("sources.list.d/debian.sources", paragraphs, "http://paragraphs/debian"),
        ("sources.list", "deb http://ports/ubuntu noble main\n", ""),
        ("sources.list.d/none", "", ""),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("sources.list.d")).expect("a folder");
        fs::write(folder.path().join(file), text).expect("written");
        let bash = Command::new("bash").args(["-c", &command]).arg(folder.path()).output();
        let output = bash.expect("bash starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{file}: {errors}");
    }
}
