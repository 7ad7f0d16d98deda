//! The examples run and print what their comments promise.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Returns the example's binary if it is newer than its sources. `cargo test` builds it with all tests, but not when
/// only this test is selected.
fn built(example: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let test = env::current_exe().ok()?;
    let profile = test.parent()?.parent()?;
    let program = profile.join(format!("examples/{example}{}", env::consts::EXE_SUFFIX));
    let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let source = root.join(format!("examples/{example}.rs"));
    let made_of = [age(&profile.join("libwgrad.rlib"))?, age(&source)?];
    made_of.iter().all(|part| age(&program).is_some_and(|age| age >= *part)).then_some(program)
}

/// Runs an example and returns its output. If the example's binary is missing or old, cargo builds it first.
fn run(example: &str) -> String {
    let mut command = match built(example) {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--release", "--example", example]);
            cargo
        }
    };
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("an example prints text")
}

#[test]
fn the_small_network_learns() {
    let text = run("small_network");
    let last = text.lines().last().expect("it prints a line per epoch");
    let accuracy = last.split("test accuracy ").nth(1).and_then(|rest| rest.strip_suffix('%'));
    let accuracy: f64 = accuracy.and_then(|number| number.parse().ok()).expect("a percentage");
    // Guessing gives an accuracy of 10%; the example reaches about 69%.
    assert!(accuracy > 60.0, "{text}");
}

#[test]
fn gradient_descent_finds_the_line() {
    assert_eq!(run("autograd_on_numbers"), "a = 3.000, b = -1.000\n");
}

/// Examples stay short, so that a reader can read one at a glance.
#[test]
fn examples_are_small() {
    for text in [
        include_str!("../examples/small_network.rs"),
        include_str!("../examples/autograd_on_numbers.rs"),
    ] {
        let n_lines = text.lines().count();
        assert!(n_lines <= 60, "{n_lines} lines");
    }
}
