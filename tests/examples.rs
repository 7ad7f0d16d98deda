//! The examples do what they say.

use std::process::Command;

/// Runs an example as a reader would, and returns what it prints.
fn run(example: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--release", "--example", example]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("an example prints text")
}

#[test]
fn the_small_network_learns() {
    let text = run("small_network");
    let last = text.lines().last().expect("it prints a line an epoch");
    let accuracy = last.split("test accuracy ").nth(1).and_then(|rest| rest.strip_suffix('%'));
    let accuracy: f64 = accuracy.and_then(|number| number.parse().ok()).expect("a percentage");
    // One in ten by chance; it ends near 69%.
    assert!(accuracy > 60.0, "{text}");
}

/// An example is to be read at a glance.
#[test]
fn the_small_network_is_small() {
    let n_lines = include_str!("../examples/small_network.rs").lines().count();
    assert!(n_lines < 60, "{n_lines} lines");
}
