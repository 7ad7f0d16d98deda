//! `wgrad bench` as a command on the CPU device: its output, its files, its comparisons, and rejected arguments.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use wgrad::measure::bench::{Bench, JSON, SVG, scaling};
use wgrad::nn::ResNet9;
use wgrad::passes::{Plan, PlanOptions, Work};
use wgrad::train::step::{self, StepConfig};

const SMALL: [&str; 8] =
    ["bench", "--device", "cpu", "--width", "2", "--batch-size", "3", "--steps=3"];

fn wgrad(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG");
    command.output().expect("wgrad runs")
}

#[track_caller]
fn printed(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn assert_fails(output: Output, code: i32, words: &str) {
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.starts_with("error: ") && error.contains(words), "{words} is not in: {error}");
}

#[test]
fn a_benchmark_is_printed_written_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let text = printed(wgrad(at, &[&SMALL[..], &["--out", "first"]].concat()));
    assert!(text.contains("step      resnet9, width 2, 3 images\n"), "{text}");
    assert!(text.contains("times     medians of 3 steps\n"), "{text}");
    assert!(text.ends_with("written to first/bench.json and first/roofline.svg\n"), "{text}");

    let bench = Bench::read(&at.join("first")).expect("a bench file");
    let tape = step::training(&StepConfig::new(ResNet9 { width: 2, classes: 10 }, 3)).tape;
    let n_nodes: usize = bench.kernels.iter().map(|kernel| kernel.n_nodes).sum();
    assert_eq!(n_nodes, tape.nodes().len());
    assert!(bench.kernels.len() < n_nodes, "several nodes share a kernel");
    assert_eq!(bench.step.rates.work, Work::sum_of(&tape, |_| true));
    assert_eq!(
        bench.machine.command,
        [&["wgrad"], &SMALL[..], &["--out", "first"]].concat().join(" ")
    );
    for kernel in &bench.kernels {
        assert!(text.contains(&kernel.op), "{} is not in\n{text}", kernel.op);
        let sample = kernel.seconds;
        assert!(sample.n == 3 && sample.min <= sample.median && sample.median <= sample.max);
    }
    let drawing = fs::read_to_string(at.join("first").join(SVG)).expect("a drawing");
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));

    // Width and batch size come from the earlier benchmark.
    let again =
        ["bench", "--device", "cpu", "--steps", "2", "--compare", "first", "--out", "second"];
    let text = printed(wgrad(at, &again));
    assert!(text.contains("width 2, 3 images") && text.contains("compared with 20"), "{text}");
    let verdict = text.lines().find(|line| line.starts_with("kernels: ")).expect("a verdict");
    assert!(verdict.ends_with(" 0 new, 0 gone"), "{verdict}");
    assert_eq!(text.matches("conv2d.forward").count() % 2, 0, "in both tables:\n{text}");

    let file = at.join("first").join(JSON);
    let text =
        printed(wgrad(at, &[&SMALL[..], &["--json", "--out", "third", "--no-fuse"]].concat()));
    let unfused: Bench = serde_json::from_str(&text).expect("JSON alone");
    assert!(
        unfused.settings.fused() == "nothing"
            && unfused.kernels.iter().any(|k| k.op == "max_pool2d.backward")
    );

    let other_size = ["bench", "--device", "cpu", "--width", "4", "--compare"];
    let output = wgrad(at, &[&other_size[..], &[file.to_str().expect("UTF-8")]].concat());
    assert_fails(output, 2, "the earlier benchmark is of resnet9, width 2, 3 images");
    assert_fails(wgrad(at, &[&SMALL[..], &["--out", "first"]].concat()), 1, "never overwritten");
    assert_fails(wgrad(at, &["bench", "--compare", "nothing.json"]), 1, "nothing.json");
    fs::write(at.join("other.json"), "{\"format\": \"else\", \"version\": 1}").expect("written");
    assert_fails(wgrad(at, &["bench", "--compare", "other.json"]), 2, "a file of \"else\"");
    assert!(!at.join("runs").exists(), "a failed command leaves no folder");
}

#[test]
fn a_grid_is_printed_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let base = ["bench", "scaling", "--device", "cpu", "--widths", "2,4", "--batch-sizes", "4,2"];
    let tape = step::training(&StepConfig::new(ResNet9 { width: 4, classes: 10 }, 4)).tape;
    // The memory limit is one byte below the plan of the training step of the grid's last cell (width 4, batch size 4).
    // So this cell does not fit.
    let too_little = Plan::new(&tape, PlanOptions::default()).total_bytes() - 1;
    let too_little = format!("{too_little}B");
    let rest = ["--seconds", "0.1", "--memory-limit", &too_little, "--out", "grid"];
    let text = printed(wgrad(at, &[&base[..], &rest].concat()));
    assert!(text.contains("width \\ images          2        4\n"), "{text}");
    let scaling = fs::read_to_string(at.join("grid").join(scaling::JSON)).expect("written");
    let scaling: scaling::Scaling = serde_json::from_str(&scaling).expect("JSON");
    let cells: Vec<_> = scaling.cells.iter().map(|cell| (cell.width, cell.batch_size)).collect();
    assert_eq!(cells, [(2, 2), (2, 4), (4, 2), (4, 4)]);
    assert!(scaling.cells[0].outcome.images_per_s().is_some(), "{scaling:?}");
    assert!(matches!(scaling.cells[3].outcome, scaling::Outcome::Limit { .. }), "{scaling:?}");
    assert!(text.contains("limit: the step exceeds a limit"), "{text}");
    let csv = fs::read_to_string(at.join("grid").join(scaling::CSV)).expect("written");
    assert_eq!(csv.lines().count(), 5);
    assert!(at.join("grid").join(scaling::SVG).exists());

    assert_fails(
        wgrad(at, &[&base[..], &["--seconds", "0"]].concat()),
        2,
        "--seconds 0: not a time",
    );
    let output = wgrad(at, &["bench", "scaling", "--widths", "0"]);
    assert_fails(output, 2, "--widths");
}
