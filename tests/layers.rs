//! The folders of `src` are layers, and a layer imports only those below it; `docs/architecture.md` lists the layers.
//! No circle of imports (files that import one another, directly or through others) joins two folders.

#[path = "layers/graph.rs"]
mod graph;

use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

/// The layers, lowest first. Folders in one row may import one another.
const LAYERS: [&[&str]; 12] = [
    &["base"],
    &["kernel"],
    &["tape"],
    &["ops"],
    &["passes"],
    &["device"],
    &["nn", "data"],
    &["distributed"],
    &["train"],
    &["measure", "report"],
    &["study"],
    &["cli"],
];

/// The circles of imports that are allowed, each inside one folder. No circle may be added to the list.
const CIRCLES: [&[&str]; 2] = [
    // pipelines.rs starts the compilation before the first dispatch, and precompile.rs compiles the pipelines.
    &["device/gpu/pipelines.rs", "device/gpu/precompile.rs"],
    // A tape holds nodes, and a node holds an op. The methods of an op take tapes and nodes.
    &["tape/node.rs", "tape/op.rs", "tape/record.rs", "tape/reference.rs"],
];

/// Returns the rank of a layer, 0 for the lowest; None for other folders. `crate::Error` wraps the error types of the
/// layers; the test counts it as part of the layer `train`.
fn rank(folder: &str) -> Option<usize> {
    let folder = if folder == "Error" { "train" } else { folder };
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

/// Returns the folders that a line of code imports, as `crate::folder` or, in the binary, as `wgrad::folder`.
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

/// A place where a layer imports a layer above it.
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
    let found = upward(&source());
    let places: Vec<_> =
        found.iter().map(|upward| format!("{} ({})", upward.place, upward.arrow)).collect();
    assert!(places.is_empty(), "a layer imports only those below it:\n{}", places.join("\n"));
}

/// For this test, every folder below `src` counts, at any depth. The file of a module belongs to the folder of the
/// module: `ops/conv2d.rs` belongs to `ops/conv2d`.
#[test]
fn circles_stay_inside_a_folder() {
    let graph = Graph::read(&source());
    let across = graph
        .circles()
        .into_iter()
        .filter(|circle| circle.iter().any(|file| graph.folder(file) != graph.folder(&circle[0])));
    let across: Vec<_> = across.map(|circle| circle.join(", ")).collect();
    assert!(across.is_empty(), "files of different folders in a circle:\n{}", across.join("\n"));
}

/// An import of a parent module does not count, because a child module is a part of its parent.
#[test]
fn circles_inside_a_folder_are_on_the_list() {
    let circles = Graph::read(&source()).without_arrows_to_parents().circles();
    let new: Vec<_> = circles.iter().filter(|circle| !CIRCLES.contains(&&*strs(circle))).collect();
    assert!(new.is_empty(), "files in a circle: {new:#?}");
    let gone: Vec<_> =
        CIRCLES.iter().filter(|known| !circles.iter().any(|c| strs(c) == **known)).collect();
    assert!(gone.is_empty(), "these circles are gone; take them off the list: {gone:?}");
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn strs(files: &[String]) -> Vec<&str> {
    files.iter().map(String::as_str).collect()
}

/// Returns the entries of the folder `src` that are neither layers nor the roots of the library and the command.
fn strangers(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).expect("a folder").map(|entry| entry.expect("readable"));
    let names = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (entry.path().is_dir(), name)
    });
    let is_known = |(is_folder, name): &(bool, String)| match is_folder {
        true => rank(name).is_some(),
        false => name == "lib.rs" || name == "main.rs",
    };
    names.filter(|entry| !is_known(entry)).map(|(_, name)| name).collect()
}

#[test]
fn src_contains_only_layers() {
    let found = strangers(&source());
    assert!(found.is_empty(), "src: {found:?} are not layers; move them into one");
}

/// Returns the lines below `src` that name clap, without those of `src/cli`.
fn clap_outside_cli(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(root) {
        let inner = path.strip_prefix(root).expect("below it");
        if inner.starts_with("cli") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        for (ix, line) in text.lines().enumerate().filter(|(_, line)| line.contains("clap")) {
            found.push(format!("src/{}:{}: {}", inner.display(), ix + 1, line.trim()));
        }
    }
    found
}

#[test]
fn only_the_command_line_uses_clap() {
    let found = clap_outside_cli(&source());
    assert!(found.is_empty(), "clap belongs to src/cli:\n{}", found.join("\n"));
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

#[test]
fn a_circle_is_found_through_uses_and_paths_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| write(folder.path(), name, text);
    write("lib.rs", "pub mod a;\npub mod b;\n");
    write("a/mod.rs", "mod x;\npub mod y;\npub use x::{f, g as h};\n");
    write("a/x.rs", "pub fn f() { crate::b::f() }\npub fn g() {}\n");
    write("a/y.rs", "use super::h;\n// crate::b is a comment, and \"crate::b\" is text\n");
    write("a/z.rs", "use super::y;\n\n#[cfg(test)]\nmod tests {\n    use crate::b;\n");
    write("b.rs", "use crate::{a::{self, y}};\nfn f() { a::h() }\n");
    let graph = Graph::read(folder.path());
    assert_eq!(graph.circles(), [["a/mod.rs", "a/x.rs", "a/y.rs", "b.rs"]]);
    let folders = ["a/mod.rs", "a/x.rs", "b.rs"].map(|file| graph.folder(file));
    assert_eq!(folders, ["a", "a", ""]);
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| write(folder.path(), name, text);
    write(
        "tape/mod.rs",
        "use crate::base::units;\n// crate::train is a comment\nuse crate::ops::{add, relu};\n",
    );
    write("ops/add.rs", "fn f() { crate::tape::g() }\nuse othercrate::train;\n");
    write("nn/layers.rs", "use crate::data::Split;\nuse crate::Error;\n");
    write("train/run.rs", "use crate::Error;\n");
    let mut found = upward(folder.path());
    found.sort_by(|a, b| a.place.cmp(&b.place));
    let places: Vec<_> = found.iter().map(|upward| upward.place.as_str()).collect();
    let expected = [
        "src/nn/layers.rs:2: use crate::Error;",
        "src/tape/mod.rs:3: use crate::ops::{add, relu};",
    ];
    assert_eq!(places, expected);
    assert_eq!([&*found[0].arrow, &*found[1].arrow], ["nn -> Error", "tape -> ops"]);
}

#[test]
fn an_unknown_folder_and_a_use_of_clap_are_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["lib.rs", "main.rs", "error.rs", "util/mod.rs", "cli/mod.rs", "tape/mod.rs"] {
        write(folder.path(), name, "use clap::Parser;\n");
    }
    let mut found = strangers(folder.path());
    found.sort();
    assert_eq!(found, ["error.rs", "util"]);
    let found = clap_outside_cli(folder.path());
    assert_eq!(found.len(), 5);
    assert!(found.contains(&"src/tape/mod.rs:1: use clap::Parser;".to_string()), "{found:?}");
}
