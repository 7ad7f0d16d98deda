//! What the fuzzers have found worth keeping, run again: no panic, whatever is in a file. How the inputs
//! came about, and how to look for more, is in `docs/fuzzing.md`.

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

#[test]
fn every_kept_input_is_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, run) in targets::ALL {
        let entries = fs::read_dir(corpus.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        assert!(paths.len() >= 10, "{name} has {} inputs", paths.len());
        for path in paths {
            // Captured, and shown when the target panics.
            println!("{}", path.display());
            run(&fs::read(&path).expect("readable"));
        }
    }
}

/// A key that the fuzzer does not know is one whose values it does not try.
#[test]
fn the_fuzzer_of_settings_knows_every_key() {
    use clap::Args;
    let command = wgrad::train::Settings::augment_args(clap::Command::new("test"));
    for argument in command.get_arguments() {
        let key = argument.get_long().expect("every setting is a flag");
        assert!(targets::config::KEYS.contains(&key), "{key} is not in KEYS");
    }
}

#[test]
fn every_target_is_a_fuzzer_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("readable");
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in Cargo.toml");
        assert!(root.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} has no fuzzer");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::ALL.len());
}
