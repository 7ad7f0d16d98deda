//! The examples run and print what their comments promise.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

/// Returns the example's binary if it is newer than its sources. `cargo test` builds it with all tests, but not when
/// only this test is selected.
fn built(example: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let test = env::current_exe().ok()?;
    let profile = test.parent()?.parent()?;
    let program = profile.join(format!("examples/{example}{}", env::consts::EXE_SUFFIX));
    let built = changed(&program)?;
    let source = format!("examples/{example}.rs");
    let sources = ["Cargo.toml", "Cargo.lock", "src", "shaders", &source];
    sources.iter().all(|path| newest(&root.join(path)) <= Some(built)).then_some(program)
}

/// Returns the time of a file's last change.
fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// Returns the time of the last change of a file, or of any file below a folder.
fn newest(path: &Path) -> Option<SystemTime> {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().filter_map(|entry| newest(&entry.path())).max(),
        Err(_) => changed(path),
    }
}

/// Runs an example and returns its output. If the example's binary is missing or old, cargo builds it first.
fn run(example: &str) -> String {
    let mut command = match built(example) {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--release", "--example", example]);
            // The build script of `ring` runs again if these variables change, and cargo then compiles wgrad again, here
            // and once more after the tests. Cargo sets them for tests; a terminal does not have them.
            for (name, _) in env::vars_os() {
                let text = name.to_string_lossy();
                if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                    cargo.env_remove(&name);
                }
            }
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
