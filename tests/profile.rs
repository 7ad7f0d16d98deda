//! Profiling: a timed step computes the same as an untimed one, and the times of nodes, layers, phases and ops add up
//! to the time of the step.

use std::process::{Command, Output};

use wgrad::data::{batches, shapes};
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Clock, Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::measure::profile::{self, Profile, Total, svg, table};
use wgrad::nn::ResNet9;
use wgrad::passes::Work;
use wgrad::train::step::{self, StepConfig};
use wgrad::train::{Snapshot, Trainer};

mod common;

fn config() -> StepConfig {
    StepConfig::new(ResNet9 { width: 2, classes: 10 }, 6)
}

/// Returns the state after three steps. `is_timed` states which of them are timed.
fn train(device: &Device, is_timed: [bool; 3]) -> Snapshot {
    let split = shapes::draw_train(0, 18);
    let order = batches::in_order(split.len());
    let mut trainer = Trainer::new(device, &config(), 3).expect("a trainer");
    for (images, is_timed) in order.chunks(6).zip(is_timed) {
        if is_timed {
            let times = trainer.timed_step(&split, images, 0, 0.01).expect("a step");
            assert_eq!(times.seconds.len(), trainer.tape().nodes().len());
            assert!(times.seconds.iter().all(|seconds| (0.0..60.0).contains(seconds)));
            assert!(times.sum() > 0.0);
        } else {
            trainer.step(&split, images, 0, 0.01).expect("a step");
        }
    }
    trainer.state.snapshot().expect("the state")
}

fn timing_changes_nothing(device: &Device) {
    let plain = train(device, [false; 3]);
    assert_eq!(plain.n_steps, 3);
    assert!(train(device, [false, true, false]) == plain, "a timed step in between");
    assert!(train(device, [true; 3]) == plain, "timed steps alone");
}

#[test]
fn a_timed_step_has_the_same_bits_on_the_cpu() {
    timing_changes_nothing(&Device::cpu(OpenOptions::default()));
}

#[test]
fn a_timed_step_has_the_same_bits_on_the_gpu() {
    timing_changes_nothing(&common::open_gpu(Kernels::Default, ShaderLibrary::default()));
}

fn add_up(totals: &[Total], profile: &Profile) {
    let seconds: f64 = totals.iter().map(|total| total.timed.seconds).sum();
    assert!((seconds / profile.sum.timed.seconds - 1.0).abs() < 1e-9);
    let work: Work = totals.iter().map(|total| total.timed.work).sum();
    assert_eq!(work, profile.sum.timed.work);
    let n_nodes: usize = totals.iter().map(|total| total.n_nodes).sum();
    assert_eq!(n_nodes, profile.nodes.len());
}

#[test]
fn the_times_of_a_step_add_up() {
    let device = Device::cpu(OpenOptions::default());
    let profile =
        profile::measure(&device, &config(), None, None, Some(4), &|_| ()).expect("a profile");
    let (clock, n_steps) = (profile.clock, profile.n_steps);
    assert_eq!((clock, n_steps, profile.width, profile.batch_size), (Clock::Host, 4, 2, 6));
    let work = Work::sum_of(&step::training(&config()).tape, |_| true);
    assert_eq!(profile.sum.timed.work, work);
    let seconds: f64 = profile.nodes.iter().map(|node| node.timed.seconds).sum();
    assert!((profile.sum.timed.seconds / seconds - 1.0).abs() < 1e-9);
    add_up(&profile.phases, &profile);
    add_up(&profile.layers, &profile);
    add_up(&profile.ops, &profile);
    assert_eq!(profile.phases.len(), 3);
    for node in &profile.nodes {
        let median = node.timed.seconds;
        assert!(node.seconds_min <= median && median <= node.seconds_max, "{node:?}");
    }
    assert!((0.0..profile.step_seconds).contains(&profile.wait_seconds), "{profile:?}");
    // These bounds are wide enough for any machine.
    assert!((1e7..1e16).contains(&profile.peak.flops_per_s), "{:?}", profile.peak);
    assert!((1e7..1e15).contains(&profile.peak.bytes_per_s), "{:?}", profile.peak);

    let text = table::table(&profile, table::Sort::Tape);
    let of_nodes: Vec<&str> = text.lines().skip_while(|line| !line.contains("node ")).collect();
    assert!(of_nodes[1] == "-- forward" && of_nodes[2].starts_with("  0  augment.draws"));
    let by_time = table::table(&profile, table::Sort::Time);
    let largest = profile.nodes.iter().max_by(|a, b| a.timed.seconds.total_cmp(&b.timed.seconds));
    let first = by_time.lines().find(|line| line.contains("node ")).expect("titles");
    let first = by_time.lines().skip_while(|line| *line != first).nth(1).expect("nodes");
    assert!(first.contains(&largest.expect("nodes").node), "{first}");

    let drawing = svg::draw(&profile);
    for node in &profile.nodes {
        assert!(drawing.contains(&format!("<title>{} {}", node.ix, node.node)), "{}", node.node);
    }
    assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    let n_opened = drawing.matches("<g>").count() + drawing.matches("<g ").count();
    assert_eq!(n_opened, drawing.matches("</g>").count());
}

fn wgrad(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).output().expect("wgrad runs")
}

#[test]
fn the_command_prints_a_table_or_json_and_draws() {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, drawing) = (folder.path().join("p.json"), folder.path().join("p.svg"));
    let [json_path, svg_path] = [&json, &drawing].map(|path| path.to_str().expect("UTF-8"));
    let base = ["profile", "--device", "cpu", "--width", "2", "--batch-size", "3", "--steps", "2"];
    let output = wgrad(&[&base[..], &["--json", json_path, "--svg", svg_path]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("times     the median of 2 steps"), "{text}");
    assert!(text.contains("prep.0.conv2d.forward"), "{text}");
    assert!(std::fs::read_to_string(&drawing).expect("a drawing").ends_with("</svg>\n"));
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).expect("a file")).expect("JSON");
    assert_eq!(written["clock"], "host");
    assert_eq!(written["nodes"][2]["node"], "prep.0.conv2d.forward");
    assert!(written["nodes"][2]["flops_per_s"].as_f64() > Some(0.0));
    assert!(written["peak"]["bytes_per_s"].as_f64() > Some(0.0));

    assert!(
        text.contains("images    built-in") && text.contains("     waiting for data "),
        "{text}"
    );
    assert!(written["wait_seconds"].as_f64() >= Some(0.0), "{written}");

    let of_shapes = wgrad(&[&base[..], &["--data", "shapes"]].concat());
    let text = String::from_utf8(of_shapes.stdout).expect("UTF-8");
    assert!(text.contains("images    shapes") && text.contains("waiting for data"), "{text}");
    let too_few = ["profile", "--device=cpu", "--data=shapes", "--batch-size=5001"];
    let error = String::from_utf8(wgrad(&too_few).stderr).expect("UTF-8");
    assert!(error.contains("batch-size 5001: the dataset has 5000 training images"), "{error}");

    let output = wgrad(&[&base[..], &["--json", "-"]].concat());
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(printed["batch_size"], 3);
}

#[test]
fn a_dashboard_needs_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("UTF-8");
    let output = wgrad(&["train", "--data", "shapes", "--device", "cpu", "--tui", "--out", out]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(error.contains("--tui: the standard error is not a terminal"), "{error}");
    assert!(output.stdout.is_empty() && !std::path::Path::new(out).exists());
}
