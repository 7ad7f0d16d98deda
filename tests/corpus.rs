//! Runs the fuzz targets on the inputs in `fuzz/corpus`: no input makes a reader of files panic. `docs/fuzzing.md`
//! describes the origin of the inputs and the search for more.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

#[test]
fn no_kept_input_makes_a_reader_panic() {
    for (name, run) in targets::ALL {
        let inputs = inputs(name);
        assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
        for (path, input) in inputs {
            // The test harness captures this output, and shows it if the target panics.
            println!("{}", path.display());
            run(&input);
        }
    }
}

/// Returns the inputs of a target with their names, from the archive that `scripts/fuzz_corpus.sh` packs.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let archive = File::open(corpus.join(format!("{target}.tar.gz")));
    let archive = archive.unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().expect("an archive").map(|entry| {
        let mut entry = entry.expect("whole");
        let mut input = Vec::new();
        entry.read_to_end(&mut input).expect("whole");
        (entry.path().expect("a name").into_owned(), input)
    });
    entries.collect()
}

#[test]
fn every_target_has_a_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("readable");
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in Cargo.toml");
        assert!(root.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} has no fuzzer");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::ALL.len());
}
