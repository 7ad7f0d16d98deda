//! The folders of `src` are layers, and imports point down; `docs/architecture.md` has the picture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. Folders in one row may import one another.
const LAYERS: [&[&str]; 10] = [
    &["base"],
    &["kernel"],
    &["tape"],
    &["ops"],
    &["passes"],
    &["device"],
    &["nn", "data"],
    &["train"],
    &["measure", "report"],
    &["cli"],
];

/// Imports that still point up, as `from -> to`. The list only shrinks.
const DEBTS: [&str; 2] = [
    // Unit tests of sessions record networks.
    "device -> nn",
    "device -> train",
];

fn rank(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&folder))
}

/// Returns the Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    files.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// Returns the folders that a line of code imports, as `crate::folder` or, in the binary, `wgrad::folder`.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut found = Vec::new();
    for root in ["crate::", "wgrad::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(name);
        }
    }
    found
}

/// A place where a layer imports one above it.
struct Upward {
    arrow: String,
    place: String,
}

fn upward(root: &Path) -> Vec<Upward> {
    let mut found = Vec::new();
    for path in files(root) {
        let inner = path.strip_prefix(root).expect("below it");
        let Some(from) = inner.iter().next().and_then(|part| part.to_str()) else { continue };
        let Some(from_rank) = rank(from) else { continue };
        let text = fs::read_to_string(&path).expect("text");
        for (ix, line) in text.lines().enumerate() {
            for to in named(line) {
                if rank(&to).is_some_and(|to_rank| to_rank > from_rank) {
                    let place = format!("src/{}:{}: {}", inner.display(), ix + 1, line.trim());
                    found.push(Upward { arrow: format!("{from} -> {to}"), place });
                }
            }
        }
    }
    found
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = upward(&root);
    let new: Vec<_> = found.iter().filter(|arrow| !DEBTS.contains(&arrow.arrow.as_str())).collect();
    let places: Vec<_> =
        new.iter().map(|upward| format!("{} ({})", upward.place, upward.arrow)).collect();
    assert!(places.is_empty(), "a layer imports only those below it:\n{}", places.join("\n"));
    let there: BTreeSet<_> = found.iter().map(|upward| upward.arrow.as_str()).collect();
    let gone: Vec<_> = DEBTS.iter().filter(|debt| !there.contains(**debt)).collect();
    assert!(gone.is_empty(), "these arrows are gone; take them off the list: {gone:?}");
}

#[test]
fn every_folder_is_a_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in
        fs::read_dir(root).expect("readable").flatten().filter(|entry| entry.path().is_dir())
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(rank(&name).is_some(), "src/{name} is in no line of LAYERS");
    }
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write(
        "tape/mod.rs",
        "use crate::base::units;\n// crate::train is a comment\nuse crate::ops::{add, relu};\n",
    );
    write("ops/add.rs", "fn f() { crate::tape::g() }\nuse othercrate::train;\n");
    write("nn/layers.rs", "use crate::data::Split;\n");
    let found = upward(folder.path());
    let places: Vec<_> = found.iter().map(|upward| upward.place.as_str()).collect();
    assert_eq!(places, ["src/tape/mod.rs:3: use crate::ops::{add, relu};"]);
    assert_eq!(found[0].arrow, "tape -> ops");
}
