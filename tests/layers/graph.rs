//! The graph of the files of `src`. An arrow leads from each file to every file with an item that it names.
//!
//! Paths begin with `crate`, `wgrad`, `super`, `self` or a child module. A path is followed through the `use`
//! declarations of the modules on its way, so that `crate::tape::Op` leads to `tape/op.rs`. Test modules, comments and
//! strings are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Module = Vec<String>;

pub struct Graph {
    /// The file of each module; `lib.rs` has the empty path.
    files: BTreeMap<Module, String>,
    /// For each module, the path of each name in its `use` declarations.
    names: BTreeMap<Module, BTreeMap<String, Module>>,
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads every file below `root`.
    pub fn read(root: &Path) -> Self {
        let mut graph =
            Self { files: BTreeMap::new(), names: BTreeMap::new(), arrows: BTreeMap::new() };
        for path in super::files(root) {
            let file = path.strip_prefix(root).expect("below it").to_str().expect("UTF-8");
            if !file.split(['/', '.']).any(|part| part == "tests") {
                graph.files.insert(module(file), file.to_string());
            }
        }
        let mut paths = Vec::new();
        for (module, file) in &graph.files {
            let text = fs::read_to_string(root.join(file)).expect("text");
            let tokens = tokens(&text);
            for (path, name) in graph.paths(module, &tokens) {
                if let Some(name) = name {
                    graph.names.entry(module.clone()).or_default().insert(name, path.clone());
                }
                paths.push((module.clone(), path));
            }
        }
        for (module, path) in paths {
            let (from, to) = (&graph.files[&module], graph.resolve(&module, &path, 0));
            if let Some(to) = to.filter(|to| to != from && to != "lib.rs") {
                graph.arrows.entry(from.clone()).or_default().insert(to);
            }
        }
        graph
    }

    /// Returns the paths that a module names, each with the name that a `use` declaration gives it.
    fn paths(&self, module: &Module, tokens: &[String]) -> Vec<(Module, Option<String>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let token = tokens[at].as_str();
            let is_first = at == 0 || tokens[at - 1] != "::";
            let is_path = is_first && tokens.get(at + 1).is_some_and(|next| next == "::");
            let mut child = module.clone();
            child.push(token.to_string());
            let is_known = ["crate", "wgrad", "super", "self"].contains(&token)
                || self.files.contains_key(&child);
            if token == "use" {
                at += 1;
                tree(tokens, &mut at, &[], &mut found);
            } else if is_path && is_known {
                let mut named = Vec::new();
                tree(tokens, &mut at, &[], &mut named);
                found.extend(named.into_iter().map(|(path, _)| (path, None)));
            } else {
                at += 1;
            }
        }
        found
    }

    /// Returns the file that defines the item of a path, as a module names it; None for a path into another crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<String> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" | "wgrad" => Module::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            _ => {
                rest = path;
                module.clone()
            }
        };
        let is_relative = rest.len() == path.len();
        while let Some((name, tail)) = rest.split_first() {
            let mut child = at.clone();
            child.push(name.clone());
            if name == "super" {
                at.pop();
            } else if self.files.contains_key(&child) {
                at = child;
            } else if is_relative && at == *module {
                return None;
            } else {
                let renamed = self.names.get(&at).and_then(|names| names.get(name));
                let used = renamed.filter(|_| depth < 8).and_then(|path| {
                    self.resolve(&at, &[path.as_slice(), tail].concat(), depth + 1)
                });
                return used.or_else(|| self.files.get(&at).cloned());
            }
            rest = tail;
        }
        self.files.get(&at).cloned()
    }

    /// Removes the arrows from a file to the file of its parent module, `a/b.rs` to `a.rs` or `a/mod.rs`. A child
    /// module is a part of its parent.
    pub fn without_arrows_to_parents(mut self) -> Self {
        let is_parent = |from: &str, to: &str| {
            let (from, to) = (module(from), module(to));
            from.len() == to.len() + 1 && from.starts_with(&to)
        };
        for (from, to) in &mut self.arrows {
            to.retain(|to| !is_parent(from, to));
        }
        self
    }

    /// Returns the strongly connected sets of files, sorted: each file of a set leads to every other file of the set.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> =
            self.arrows.keys().map(|file| (file, self.reached(file))).collect();
        let mut circles = BTreeSet::new();
        for (&file, to) in &reached {
            if to.contains(file) {
                let back =
                    |other: &&&String| reached.get(*other).is_some_and(|to| to.contains(file));
                circles.insert(to.iter().filter(back).map(|&file| file.clone()).collect());
            }
        }
        circles.into_iter().collect()
    }

    fn reached<'a>(&'a self, file: &'a String) -> BTreeSet<&'a String> {
        let (mut reached, mut left) = (BTreeSet::new(), vec![file]);
        while let Some(file) = left.pop() {
            let new = self.arrows.get(file).into_iter().flatten();
            left.extend(new.filter(|file| reached.insert(*file)));
        }
        reached
    }

    /// Returns the folder of a file. `a/b/mod.rs`, and `a/b.rs` beside a folder `a/b`, are files of `a/b`.
    pub fn folder(&self, file: &str) -> String {
        let module = module(file);
        let has_children =
            self.files.keys().any(|other| other.len() > module.len() && other.starts_with(&module));
        let n = if has_children { module.len() } else { module.len().saturating_sub(1) };
        module[..n].join("/")
    }
}

fn module(file: &str) -> Module {
    let parts =
        file.trim_end_matches(".rs").split('/').filter(|part| !["mod", "lib"].contains(part));
    parts.map(str::to_string).collect()
}

/// Splits code into words, `::` and single characters.
fn tokens(text: &str) -> Vec<String> {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let mut tokens: Vec<String> = Vec::new();
    for line in code.lines().map(|line| line.split("//").next().unwrap_or_default()) {
        // Splitting at quotes puts the contents of strings into every second part.
        for part in line.split('"').step_by(2) {
            let mut characters = part.chars().peekable();
            while let Some(first) = characters.next() {
                let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
                let mut token = String::from(first);
                if is_word(&first) {
                    while let Some(next) = characters.next_if(is_word) {
                        token.push(next);
                    }
                } else if first == ':' {
                    token.extend(characters.next_if_eq(&':'));
                }
                if !first.is_whitespace() {
                    tokens.push(token);
                }
            }
        }
    }
    tokens
}

/// Reads a path, or a tree of paths in braces, from the token at `at` on. Each path comes with the name that `use`
/// gives it.
fn tree(
    tokens: &[String],
    at: &mut usize,
    prefix: &[String],
    found: &mut Vec<(Module, Option<String>)>,
) {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(*at).map(String::as_str) {
            Some("{") => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    tree(tokens, at, &path, found);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ","));
                }
                *at += 1;
                return;
            }
            Some("self") if !path.is_empty() => *at += 1,
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push(word.to_string());
                *at += 1;
            }
            _ => {
                *at += 1;
                break;
            }
        }
        if tokens.get(*at).is_none_or(|token| token != "::") {
            break;
        }
        *at += 1;
    }
    let mut name = path.last().cloned();
    if tokens.get(*at).is_some_and(|token| token == "as") {
        name = tokens.get(*at + 1).cloned();
        *at += 2;
    }
    found.push((path, name));
}
