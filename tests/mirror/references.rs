//! Documents name files and functions in backticks, such as `src/tape/plan.rs`, `plan.rs`, `Plan::new` and
//! `base::units`, or `train_epoch` after a link to its file. Each of these must exist.

use std::path::Path;

use super::{Page, assert_none, entries, pages, read, root, shown};

/// First parts of names that are not in this tree: other crates, and the op that `docs/adding_an_op.md` invents.
const ELSEWHERE: [&str; 3] = ["std", "wgpu", "silu"];

/// Folders with files that documents name.
const FOLDERS: [&str; 8] =
    ["src", "shaders", "docs", "tests", "examples", "benches", "fuzz", "scripts"];

/// Extensions of files. A name with one of them is a file's name, even if a document leaves out the folder.
const EXTENSIONS: [&str; 4] = [".rs", ".wgsl", ".py", ".sh"];

/// Every path in the tree, folders included, relative to its root, and the text of the Rust files in `src`.
struct Tree {
    paths: Vec<String>,
    code: Vec<(String, String)>,
}

impl Tree {
    fn read() -> Self {
        let mut tree = Self { paths: Vec::new(), code: Vec::new() };
        entries(root()).iter().filter(|path| path.is_file()).for_each(|path| tree.add(path));
        FOLDERS.iter().for_each(|folder| tree.add(&root().join(folder)));
        tree
    }

    fn add(&mut self, path: &Path) {
        let name = shown(path);
        if path.is_dir() {
            let inner = entries(path).into_iter().filter(|inner| !inner.ends_with("target"));
            inner.for_each(|inner| self.add(&inner));
        } else if name.starts_with("src/") && name.ends_with(".rs") {
            self.code.push((name.clone(), read(path)));
        }
        self.paths.push(name);
    }

    /// Returns true if a file or folder has this path, or ends with it.
    fn has_path(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.paths.iter().any(|there| {
            let folder = there.strip_suffix(path);
            folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        })
    }

    /// Returns true if `owner`, a type or a module, has a function, constant, type, variant or field of that name.
    fn has_name(&self, owner: &str, name: &str) -> bool {
        if owner.starts_with(char::is_uppercase) {
            let blocks = self.code.iter().flat_map(|(_, text)| blocks_of(text, owner));
            return blocks.into_iter().any(|block| defines(block, name));
        }
        let is_module = |path: &str| {
            let folder = format!("src/{path}").replace(".rs", "/");
            let file = format!("/{owner}/");
            ["crate", "wgrad"].contains(&owner) || folder.contains(&file)
        };
        let files = self.code.iter().filter(|(path, _)| is_module(&path["src/".len()..]));
        files.into_iter().any(|(path, text)| {
            let module = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
            module.ends_with(&format!("{owner}/{name}")) || defines(text, name)
        })
    }
}

/// Returns the blocks that define a type or implement a trait for it. A block extends from its header to the closing
/// bracket at the same indentation.
fn blocks_of<'a>(text: &'a str, owner: &str) -> Vec<&'a str> {
    let mut blocks = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let is_header = ["impl", "struct ", "enum ", "trait ", "type "].iter().any(|word| {
            code.trim_start_matches("pub ").trim_start_matches("pub(crate) ").starts_with(word)
        });
        if is_header && words(code).any(|word| word == owner) {
            let close = format!("\n{}}}", &line[..line.len() - code.len()]);
            let end = text[at..].find(&close).map_or(text.len(), |end| at + end);
            blocks.push(&text[at..end]);
        }
        at += line.len();
    }
    blocks
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Returns true if some line of the code defines the name.
fn defines(code: &str, name: &str) -> bool {
    code.lines().map(str::trim).filter(|line| !line.starts_with("//")).any(|line| {
        let mut before = "";
        let is_item = words(line).any(|word| {
            let keywords = ["fn", "const", "static", "struct", "enum", "trait", "type", "mod"];
            let is_item = word == name && keywords.contains(&before);
            before = word;
            is_item
        });
        let member = line.trim_start_matches("pub ").strip_prefix(name);
        is_item
            || member.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '(', ':', ' ']))
    })
}

/// Returns the problem with a code span of a document; None if the name exists.
fn problem(tree: &Tree, code: &str) -> Option<String> {
    let code = code.split_once('(').map_or(code, |(name, _)| name);
    let is_name = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
    };
    if code.contains("::") {
        let parts: Vec<&str> = code.split("::").collect();
        let is_elsewhere = ELSEWHERE.contains(&parts[0]) || !parts.iter().all(|part| is_name(part));
        let [.., owner, name] = parts[..] else { return None };
        let is_there = is_elsewhere || tree.has_name(owner, name);
        return (!is_there).then(|| format!("nothing in src is {code}"));
    }
    let parts: Vec<&str> = code.trim_end_matches('/').split('/').collect();
    let is_path = (code.contains('/') && FOLDERS.contains(&parts[0]))
        || EXTENSIONS.iter().any(|extension| code.ends_with(extension));
    let is_elsewhere = parts.iter().any(|part| {
        !is_name(part) || ELSEWHERE.iter().any(|name| part.split('.').next() == Some(name))
    });
    let is_there = !is_path || is_elsewhere || tree.has_path(code);
    (!is_there).then(|| format!("there is no file {code}"))
}

/// Checks the names of functions and types that follow a link to a source file in a page: after a link to `run.rs`, each
/// name must be defined in `run.rs`; after a link to `mod.rs`, in any file of its folder. Returns a problem for each name
/// that is not.
fn problems_after_links(tree: &Tree, page: &Page) -> Vec<String> {
    let mut problems = Vec::new();
    for part in page.prose.split("](").skip(1) {
        let Some((link, mut rest)) = part.split_once(')') else { continue };
        let path = page.path.parent().expect("a folder").join(link);
        let Ok(path) = path.canonicalize() else { continue };
        if !link.ends_with(".rs") {
            continue;
        }
        let module = shown(path.parent().filter(|_| link.ends_with("/mod.rs")).unwrap_or(&path));
        let files = || tree.code.iter().filter(|(path, _)| path.starts_with(&module));
        while let Some((name, tail)) = listed_name(rest) {
            rest = tail;
            let last = name.rsplit("::").next().unwrap_or(name);
            if words(last).eq([last]) && !files().any(|(_, text)| defines(text, last)) {
                problems.push(format!("{module} does not define {name}"));
            }
        }
    }
    problems
}

/// Splits a comma and a code span off the beginning of a text; None if the text begins otherwise.
fn listed_name(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(',')?.trim_start().strip_prefix('`')?.split_once('`')
}

#[test]
fn documents_name_existing_files_and_functions() {
    let tree = Tree::read();
    let (mut problems, mut n_spans) = (Vec::new(), 0);
    for page in pages() {
        let at = shown(&page.path);
        for code in page.prose.split('`').skip(1).step_by(2) {
            n_spans += 1;
            problems.extend(problem(&tree, code).map(|problem| format!("{at}: {problem}")));
        }
        let after_links = problems_after_links(&tree, &page).into_iter();
        problems.extend(after_links.map(|problem| format!("{at}: {problem}")));
    }
    assert_none(&problems);
    assert!(n_spans > 500, "only {n_spans} code spans were found");
}

#[test]
fn names_that_do_not_exist_are_found() {
    let tree = Tree::read();
    for there in [
        "src/tape/mod.rs",
        "mod.rs",
        "tape/mod.rs",
        "shaders/adam/",
        "Tape::scoped",
        "Op::launch",
        "Phase::Update",
        "base::units",
        "crate::tape",
        "std::fs",
        "a::<b>",
        "target/x.bin",
        "y.txt",
    ] {
        assert_eq!(problem(&tree, there), None);
    }
    for gone in [
        "src/tape/gone.rs",
        "gone.rs",
        "shaders/gone/",
        "Tape::gone(x)",
        "Gone::new",
        "gone::units",
        "base::gone",
        "Phase::Gone",
    ] {
        assert!(problem(&tree, gone).is_some(), "{gone} passes");
    }
}
