//! Helpers: a folder with a small dataset, the command in it, and checks of errors.

pub use std::fs;
use std::io::{BufRead, BufReader, Read};
pub use std::path::{Path, PathBuf};
pub use std::process::{Command, Output, Stdio};

pub use tempfile::TempDir;
use wgrad::nn::ResNet9;
pub use wgrad::nn::Weights;
use wgrad::tape::StateLayout;
pub use wgrad::train::EpochMetrics;
use wgrad::train::step::{self, StepConfig};

/// The number of bytes of a record: a label and 3 planes of 32 x 32 pixels.
pub const RECORD: usize = 3073;

/// Returns a `wgrad` command that runs in `folder`. Its environment names no dataset and forbids downloads.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder).env_remove("WGRAD_DATA").env_remove("RUST_LOG");
    command.env("WGRAD_OFFLINE", "1"); // No test uses the network.
    command
}

pub fn wgrad(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the command starts")
}

/// Runs `wgrad` with the folder `cache` as its cache.
pub fn with_cache(folder: &Path, arguments: &[&str]) -> Output {
    cached(folder, arguments).output().expect("the command starts")
}

fn cached(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command.env("WGRAD_CACHE", folder.join("cache"));
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Checks that the command failed with this exit code, and that the error contains all `words` and is not a
/// panic. Notes may precede the error.
#[track_caller]
pub fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let first = message.lines().find(|line| !line.starts_with("note: ")).unwrap_or_default();
    assert!(first.starts_with("error: ") && !message.contains("panicked"), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// Returns records of ten classes; a class has one colour, plus noise.
pub fn records(n: usize, seed: usize) -> Vec<u8> {
    let record = |ix: usize| {
        let label = ix % 10;
        let pixel = move |at: usize| {
            let colour = [label * 25, 225 - label * 25, (label % 3) * 100][at / 1024];
            let noise = (ix * 7 + at * 13 + (at ^ ix) * seed) % 29;
            (colour + noise) as u8
        };
        std::iter::once(label as u8).chain((0..RECORD - 1).map(pixel))
    };
    (0..n).flat_map(record).collect()
}

/// Returns a temporary folder with a small CIFAR-10 in `data`: 60 training and 25 test images.
pub fn folder_with_data() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("data_batch_1.bin"), records(40, 1)).expect("written");
    fs::write(data.join("data_batch_2.bin"), records(20, 2)).expect("written");
    fs::write(data.join("test_batch.bin"), records(25, 3)).expect("written");
    folder
}

/// The flags of a run of a second or two.
const TINY: [&str; 6] =
    ["--data-dir=data", "--device=cpu", "--width=4", "--batch-size=8", "--epochs=2", "--out=run"];

/// Returns the arguments of `wgrad train` with the flags of `TINY`; `others` add to them or replace them.
pub fn tiny<'a>(others: &[&'a str]) -> Vec<&'a str> {
    let name = |flag: &str| flag.split('=').next().map(str::to_string);
    let is_replaced = |flag: &str| others.iter().any(|other| name(other) == name(flag));
    let kept = TINY.into_iter().filter(|flag| !is_replaced(flag));
    ["train"].into_iter().chain(kept).chain(others.iter().copied()).collect()
}

/// Runs the command until it has printed `until`, then interrupts it.
pub fn interrupt(folder: &Path, arguments: &[&str], until: &str) -> Output {
    let mut child = cached(folder, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    while !text.contains(until) {
        assert!(output.read_line(&mut text).expect("readable") > 0, "it ended early: {text}");
    }
    // Sends the signal twice, like a wrapper that signals both its child and the process group. wgrad counts the two as
    // one.
    let pid = child.id().to_string();
    let interrupted = Command::new("kill").args(["-INT", &pid, &pid]).status();
    assert!(interrupted.expect("kill is everywhere").success());
    output.read_to_string(&mut text).expect("readable");
    let rest = child.wait_with_output().expect("it ends");
    Output { stdout: text.into_bytes(), ..rest }
}

pub fn lines(path: PathBuf) -> Vec<EpochMetrics> {
    let text = fs::read_to_string(&path).expect("a run leaves metrics");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of metrics")).collect()
}

pub fn layout_of_width(width: usize) -> StateLayout {
    let config = StepConfig::new(ResNet9 { width, classes: 10 }, 1);
    step::evaluation(&config).tape.state().clone()
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}
