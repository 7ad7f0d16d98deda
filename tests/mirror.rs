//! The mirror: an op has one stem in `src/ops/`, `shaders/` and `docs/ops/`. And the documentation is
//! held to the code: its links lead somewhere, and the shaders that it quotes are the shaders that run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wgrad::ops;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A path as it is written in messages.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", shown(folder)));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// Every file below a folder with that extension.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder).into_iter().partition(|p| p.is_dir());
    let here = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension));
    here.chain(folders.iter().flat_map(|folder| files_below(folder, extension))).collect()
}

/// The file's name without its extension.
fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn stems_of_ops() -> BTreeSet<String> {
    ops::ALL.iter().map(|op| op.stem.to_string()).collect()
}

/// Fails with every problem, a line each.
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
fn nothing_is_left_of_ops_that_are_gone_or_not_listed() {
    let stems = stems_of_ops();
    let mut problems = Vec::new();
    for path in entries(&root().join("shaders")) {
        if path.is_dir() && stem(&path) != "shared" && !stems.contains(&stem(&path)) {
            problems.push(format!("{} belongs to no op", shown(&path)));
        }
    }
    for path in entries(&root().join("docs/ops")) {
        if !stems.contains(&stem(&path)) {
            problems.push(format!("{} describes no op", shown(&path)));
        }
    }
    for path in entries(&root().join("src/ops")) {
        let is_op = path.is_file() && read(&path).contains("pub const ENTRY: OpEntry");
        if is_op && !stems.contains(&stem(&path)) {
            problems.push(format!("{} is not in ops::ALL", shown(&path)));
        }
    }
    assert_none(&problems);
}

/// A page of the documentation.
struct Page {
    path: PathBuf,
    /// Its text without fenced blocks.
    prose: String,
    /// The lines of each block that is fenced as `wgsl`, without indentation.
    wgsl: Vec<Vec<String>>,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let (mut prose, mut wgsl) = (String::new(), Vec::new());
        let mut fence: Option<(String, Vec<String>)> = None;
        for line in read(&path).lines() {
            let line = line.trim();
            fence = match (fence.take(), line.strip_prefix("```")) {
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                    None
                }
                (None, Some(language)) => Some((language.trim().to_string(), Vec::new())),
                (Some((language, lines)), Some("")) => {
                    if language == "wgsl" {
                        wgsl.push(lines);
                    }
                    None
                }
                (Some((language, mut lines)), _) => {
                    lines.push(line.to_string());
                    Some((language, lines))
                }
            };
        }
        assert!(fence.is_none(), "{}: a fenced block has no end", shown(&path));
        Self { path, prose, wgsl }
    }

    /// Where its links lead, as they are written.
    fn links(&self) -> Vec<String> {
        // What stands between backticks is code, and `y[n](x)` in it no link.
        let parts: Vec<&str> = self.prose.split('`').collect();
        assert!(parts.len() % 2 == 1, "{}: a backtick has no partner", shown(&self.path));
        let text: String = parts.into_iter().step_by(2).collect();
        let after = text.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_string()).collect()
    }
}

/// Every page below `docs/`, and the README.
fn pages() -> Vec<Page> {
    let mut paths = files_below(&root().join("docs"), "md");
    paths.extend(Some(root().join("README.md")).filter(|path| path.is_file()));
    paths.into_iter().map(Page::read).collect()
}

#[test]
fn links_lead_to_files() {
    let mut problems = Vec::new();
    let mut n_links = 0;
    for page in pages() {
        for link in page.links() {
            let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
            let file = link.split('#').next().unwrap_or_default();
            if is_elsewhere || file.is_empty() {
                continue;
            }
            n_links += 1;
            let folder = page.path.parent().expect("a file is in a folder");
            if !folder.join(file).exists() {
                problems.push(format!("{}: there is no {link}", shown(&page.path)));
            }
        }
    }
    assert_none(&problems);
    assert!(n_links > ops::ALL.len(), "only {n_links} links were found");
}

/// A quotation is a run of whole lines of some shader; how far they are indented does not matter.
#[test]
fn quoted_shaders_are_the_shaders() {
    let unindented = |path: &PathBuf| -> Vec<String> {
        read(path).lines().map(|line| line.trim().to_string()).collect()
    };
    let shaders: Vec<_> =
        files_below(&root().join("shaders"), "wgsl").iter().map(unindented).collect();
    let mut problems = Vec::new();
    let mut n_quoted = 0;
    for page in pages().into_iter().filter(|page| page.path.starts_with(root().join("docs/ops"))) {
        for block in &page.wgsl {
            n_quoted += 1;
            let is_in = |shader: &Vec<String>| shader.windows(block.len()).any(|w| w == block);
            if block.is_empty() || !shaders.iter().any(is_in) {
                let text = block.join("\n    ");
                problems
                    .push(format!("{} quotes what no shader says:\n    {text}", shown(&page.path)));
            }
        }
    }
    assert_none(&problems);
    assert!(n_quoted > 0, "no quotation was found");
}

#[test]
fn pages_are_headed_by_their_op() {
    let is_right = |page: &Page| {
        let heading = format!("# {}", stem(&page.path));
        page.prose.lines().next() == Some(heading.as_str())
    };
    let pages = entries(&root().join("docs/ops")).into_iter().map(Page::read);
    let wrong: Vec<String> =
        pages.filter(|page| !is_right(page)).map(|page| shown(&page.path)).collect();
    assert_none(&wrong);
}
