//! The command as a user meets it: every error that the README promises a good message for, and a
//! small training run from end to end, on the CPU device.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use wgrad::nn::{ResNet9, Weights};
use wgrad::tape::StateLayout;
use wgrad::train::EpochMetrics;
use wgrad::train::step::{self, StepConfig};

/// Bytes of a record: a label and 3 planes of 32 x 32.
const RECORD: usize = 3073;

/// `wgrad` in a folder of its own, where no data set lies and the environment says nothing.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder).env_remove("WGRAD_DATA").env_remove("RUST_LOG");
    command
}

fn wgrad(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the command starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Checks that the command failed with that code, and said all of `words` in an error that is no panic.
#[track_caller]
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// Records of ten classes, each a colour with some noise.
fn records(n: usize, seed: usize) -> Vec<u8> {
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

/// A temporary folder with a small CIFAR-10 in `data`: 60 training and 25 test images.
fn folder_with_data() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("data_batch_1.bin"), records(40, 1)).expect("written");
    fs::write(data.join("data_batch_2.bin"), records(20, 2)).expect("written");
    fs::write(data.join("test_batch.bin"), records(25, 3)).expect("written");
    folder
}

/// The flags of a run that takes a second or two.
const TINY: [&str; 12] = [
    "train",
    "--data-dir",
    "data",
    "--device",
    "cpu",
    "--width",
    "4",
    "--batch-size",
    "8",
    "--epochs",
    "2",
    "--out=run",
];

fn tiny_with(more: &[&'static str]) -> Vec<&'static str> {
    [&TINY, more].concat()
}

fn lines(path: PathBuf) -> Vec<EpochMetrics> {
    let text = fs::read_to_string(&path).expect("a run leaves metrics");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of metrics")).collect()
}

fn layout_of_width(width: usize) -> StateLayout {
    let config = StepConfig::new(ResNet9 { width, classes: 10 }, 1);
    step::evaluation(&config).tape.state().clone()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

#[test]
fn a_run_from_end_to_end() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &TINY);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("cpu") && text.contains("parameters") && text.contains("10000"),
        "{text}"
    );

    // The last line sums it up.
    let run = folder.path().join("run");
    let epochs = lines(run.join("metrics.jsonl"));
    let summary = text.lines().last().expect("there is output");
    let percent = |epoch: &EpochMetrics| format!("{:.2}%", 100.0 * epoch.test_accuracy);
    for word in ["cifar10", "cpu", &percent(&epochs[1]), "run"] {
        assert!(summary.contains(word), "{word:?} is not in {summary:?}");
    }

    // A line an epoch: 7 steps of 8 images, the rest dropped; all 25 test images.
    assert_eq!(epochs.len(), 2);
    for (ix, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch.epoch, ix + 1);
        assert!(close(epoch.images_per_s, 56.0 / epoch.seconds), "{epoch:?}");
        assert!(close((epoch.train_accuracy * 56.0).round(), epoch.train_accuracy * 56.0));
        assert!(close((epoch.test_accuracy * 25.0).round(), epoch.test_accuracy * 25.0));
        assert!(epoch.train_loss > 0.0 && epoch.test_loss > 0.0 && epoch.eval_seconds > 0.0);
    }
    // Linear from max_lr / 10 to the peak and back again: it ends where it started.
    assert!((epochs[1].lr - 0.001).abs() < 1e-9, "{}", epochs[1].lr);

    // The file of settings repeats the run, but for its folder.
    let config = fs::read_to_string(run.join("config.toml")).expect("a run leaves its settings");
    for line in
        ["data = \"cifar10\"", "width = 4", "batch-size = 8", "device = \"cpu\"", "seed = 0"]
    {
        assert!(config.contains(line), "{line:?} is not in {config}");
    }
    // From anywhere: the data's folder is in it, too.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let config = run.join("config.toml").to_string_lossy().into_owned();
    let output = wgrad(elsewhere.path(), &["train", "--config", &config, "--out", "again"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = |run: PathBuf| fs::read(run.join("model.safetensors")).expect("weights");
    assert!(model(run.clone()) == model(elsewhere.path().join("again")), "other bits");
    // Those two and the weights; metrics.csv, TensorBoard's events, and the page to look at.
    assert_eq!(fs::read_dir(run).expect("readable").count(), 6, "nothing else is in the folder");

    // The weights evaluate to what the last line of metrics says.
    let weights = ["--weights", "run/model.safetensors", "--data-dir", "data", "--device", "cpu"];
    let output = wgrad(folder.path(), &[&["eval"], &weights[..]].concat());
    let last = stdout(&output).lines().last().unwrap_or_default().to_string();
    assert!(last.contains(&percent(&epochs[1])), "{last:?}: {}", stderr(&output));
    assert!(last.contains(&format!("{:.4}", epochs[1].test_loss)), "{last:?}");
}

#[test]
fn flags_win_over_the_file() {
    let folder = folder_with_data();
    let config = "epochs = 1\nwidth = 4\nbatch-size = 8\nno-crop = true\nno-flip = true\n\
                  device = 'cpu'\nout = 'from-file'\ndata-dir = 'data'\n";
    fs::write(folder.path().join("settings.toml"), config).expect("written");
    let arguments = ["train", "--config", "settings.toml", "--width", "2", "--no-flip=false"];
    let output = wgrad(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let resolved = fs::read_to_string(folder.path().join("from-file/config.toml")).expect("there");
    for line in
        ["width = 2", "epochs = 1", "no-crop = true", "no-flip = false", "no-cutout = false"]
    {
        assert!(resolved.contains(line), "{line:?} is not in {resolved}");
    }
}

#[test]
fn settings_that_make_no_sense() {
    let folder = folder_with_data();
    let path = folder.path();
    for (more, words) in [
        (vec!["--batch-size", "61"], vec!["60 training images", "--batch-size"]),
        (vec!["--max-lr", "0"], vec!["max-lr"]),
        (vec!["--pct-start", "1.5"], vec!["pct-start"]),
        (vec!["--label-smoothing", "1"], vec!["--label-smoothing"]),
        (vec!["--max-lr", "inf"], vec!["--max-lr", "finite number above 0"]),
        (vec!["--max-lr", "-1"], vec!["--max-lr is -1"]),
        (vec!["--weight-decay", "-1"], vec!["--weight-decay is -1"]),
        (vec!["--memory-limit", "1MiB"], vec!["limit of 1.0 MiB", "hint:", "--memory-limit"]),
    ] {
        // The tiny run's own flags first, without the one that is tried.
        let mut arguments = tiny_with(&[]);
        if let Some(at) = arguments.iter().position(|a| *a == more[0]) {
            arguments.drain(at..at + 2);
        }
        assert_fails(&wgrad(path, &[arguments, more].concat()), 1, &words);
    }
    assert!(!path.join("run").exists(), "a run that did not start leaves no folder");
}

#[test]
fn settings_files() {
    let folder = folder_with_data();
    let path = folder.path();
    let run_with = |text: &str| {
        fs::write(path.join("settings.toml"), text).expect("written");
        wgrad(path, &tiny_with(&["--config", "settings.toml"]))
    };
    assert_fails(&run_with("epocs = 3"), 1, &["settings.toml", "line 1", "epocs", "epochs"]);
    assert_fails(&run_with("seed = 'one'"), 1, &["settings.toml", "line 1"]);
    assert_fails(&run_with("seed = = 1"), 1, &["settings.toml", "line 1"]);
    assert_fails(&run_with("[a]\nseed = 1"), 1, &["settings.toml", "unknown"]);
    let missing = wgrad(path, &tiny_with(&["--config", "nowhere.toml"]));
    assert_fails(&missing, 1, &["nowhere.toml"]);
}

#[test]
fn a_run_is_never_overwritten() {
    let folder = folder_with_data();
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    fs::write(run.join("config.toml"), "precious").expect("written");
    assert_fails(&wgrad(folder.path(), &TINY), 1, &["run", "already", "--out"]);
    assert_eq!(fs::read_to_string(run.join("config.toml")).expect("there"), "precious");
    let file = wgrad(folder.path(), &[&TINY[..11], &["--out=data/test_batch.bin"]].concat());
    assert_fails(&file, 1, &["test_batch.bin", "no folder"]);
}

#[test]
fn data_that_is_missing_or_damaged() {
    let folder = folder_with_data();
    let path = folder.path();
    let data = path.join("data");
    let fails = |words: &[&str]| {
        assert_fails(&wgrad(path, &TINY), 1, words);
        assert!(!path.join("run").exists(), "nothing is trained on it");
    };

    let whole = records(25, 3);
    fs::write(data.join("test_batch.bin"), &whole[..2 * RECORD + 100]).expect("written");
    fails(&["test_batch.bin", &format!("byte {}", 2 * RECORD), "hint:"]);

    let mut label = whole.clone();
    label[RECORD] = 10;
    fs::write(data.join("test_batch.bin"), label).expect("written");
    fails(&["test_batch.bin", &format!("byte {RECORD}"), "10", "hint:"]);

    fs::remove_file(data.join("test_batch.bin")).expect("removed");
    fails(&["test_batch.bin", "missing", "hint:"]);

    fs::remove_dir_all(&data).expect("removed");
    fails(&["data", "no folder", "--data-dir", "hint:"]);

    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("data_batch_1"), "pickled").expect("written");
    fails(&["Python", "hint:", "binary version"]);

    // Named by the environment, or by nothing at all.
    let strict = ["train", "--data", "cifar10", "--out=run"];
    let output = command(path, &strict).env("WGRAD_DATA", "elsewhere").output().expect("it starts");
    assert_fails(&output, 1, &["elsewhere", "WGRAD_DATA"]);
    assert_fails(&wgrad(path, &strict), 1, &["cifar-10-batches-bin", "hint:"]);
    let eval = ["eval", "--weights", "w", "--data", "cifar10"];
    assert_fails(&wgrad(path, &eval), 1, &["cifar-10-batches-bin", "hint:"]);
}

#[test]
fn wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["train", "--epoch", "3"][..],
        &["train", "--epochs", "many"],
        &["train", "--epochs", "0"],
        &["train", "--data", "imagenet"],
        &["train", "--memory-limit", "much"],
        &["train", "--anneal", "square"],
        &["eval"],
        &["tape", "--batch-size", "0"],
        &["summary", "--width", "-1"],
        &["fly"],
    ] {
        assert_fails(&wgrad(folder.path(), arguments), 2, &[]);
    }
    for (arguments, words) in [
        (&["train", "--seed", "-1"], "'--seed <N>': must be a whole number of at least 0"),
        (&["train", "--epochs", "-1"], "'--epochs <N>': must be a whole number of at least 1"),
        (&["summary", "--width", "0"], "'--width <N>': must be a whole number of at least 1"),
        (&["summary", "--width", "65536"], "'--width <N>': is too large"),
        (&["train", "--memory-limit", "-5"], "is no number of bytes"),
    ] {
        assert_fails(&wgrad(folder.path(), arguments), 2, &[words]);
    }
    assert_eq!(wgrad(folder.path(), &[]).status.code(), Some(2));
}

#[test]
fn devices_that_are_not_there() {
    let folder = folder_with_data();
    let path = folder.path();
    let with_device = |device: &'static str| {
        let mut arguments = TINY;
        arguments[4] = device;
        command(path, &arguments)
    };
    for device in ["voodoo2", "", " "] {
        let output = with_device(device).output().expect("it starts");
        assert_fails(&output, 1, &["hint:"]);
    }

    // The loader is told of a driver that does not exist, so that it finds no other.
    if cfg!(target_os = "linux") {
        let mut command = with_device("gpu");
        command.env("VK_DRIVER_FILES", "/nowhere.json").env("VK_ICD_FILENAMES", "/nowhere.json");
        let output = command.output().expect("it starts");
        let packages = [
            "Debian/Ubuntu",
            "mesa-vulkan-drivers",
            "Fedora",
            "dnf",
            "Arch",
            "pacman",
            "macOS",
            "Windows",
        ];
        assert_fails(&output, 1, &packages);
    }
}

#[test]
fn the_list_of_devices() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = wgrad(folder.path(), &["devices", "--no-self-test", "--json"]);
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let reports = reports.as_array().expect("a list");
    // Each choice opens one device, if there is one for it at all.
    for (choice, n) in [("cpu", 1), ("auto", 1), ("gpu", usize::from(reports.len() > 1))] {
        let opens = |report: &&serde_json::Value| {
            report["opened_by"].as_array().is_some_and(|by| by.iter().any(|by| by == choice))
        };
        assert_eq!(reports.iter().filter(opens).count(), n, "{choice}: {reports:?}");
    }
    for report in &reports[1..] {
        let kernel = &report["kernels"]["conv2d.forward"];
        assert_eq!(*kernel, serde_json::json!(["conv2d/forward"]), "the one that training runs");
    }
}

#[test]
fn weights_that_do_not_fit() {
    let folder = folder_with_data();
    let path = folder.path();
    assert!(wgrad(path, &tiny_with(&[])).status.success());
    let eval = |more: &[&str]| {
        let arguments =
            [&["eval", "--data-dir", "data", "--device", "cpu", "--weights"], more].concat();
        wgrad(path, &arguments)
    };
    let model = "run/model.safetensors";
    assert_fails(&eval(&["nowhere"]), 1, &["nowhere"]);
    assert_fails(&eval(&[model, "--width", "5"]), 1, &[model, "prep.0.weight", "hint:", "--width"]);
    assert_fails(&eval(&["data/test_batch.bin"]), 1, &["test_batch.bin", "safetensors"]);
}

#[test]
fn readers_may_stop_reading() {
    let folder = folder_with_data();
    for arguments in [&["summary"][..], &["tape", "--width", "4", "--batch-size", "8"], &TINY] {
        let mut command = command(folder.path(), arguments);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let message = stderr(&output);
        assert!(output.status.success(), "{arguments:?}: {message}");
        let is_told = message.matches("standard output").count();
        assert_eq!(is_told, usize::from(arguments[0] == "train"), "{arguments:?}: {message}");
    }
}

#[test]
fn the_layer_table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = stdout(&wgrad(folder.path(), &["summary"]));
    for word in ["Conv2d-1", "Linear-29", "6,573,120", "0.01", "6.44", "25.07", "31.53"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn the_tape_and_its_drawing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = ["tape", "--width", "4", "--batch-size", "8"];
    let text = stdout(&wgrad(folder.path(), &small));
    assert!(text.contains("conv2d") && text.contains("adam"), "{text}");
    let unfused = stdout(&wgrad(folder.path(), &[&small[..], &["--no-fuse"]].concat()));
    assert!(unfused.lines().count() > text.lines().count(), "fusion makes the tape shorter");
    // Far past what any adapter binds, and what kernels can count.
    for huge in [["--batch-size", "4294967295"], ["--width", "65535"]] {
        let output = wgrad(folder.path(), &[&["tape"][..], &huge].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let drawn = wgrad(folder.path(), &[&small[..], &["--svg", "network.svg"]].concat());
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    let svg = fs::read_to_string(folder.path().join("network.svg")).expect("drawn");
    assert!(svg.contains("<svg"), "{svg}");
    let nowhere = wgrad(folder.path(), &[&small[..], &["--svg", "nowhere/network.svg"]].concat());
    assert_fails(&nowhere, 1, &["nowhere/network.svg"]);
}

#[test]
fn numbers_that_are_not_finite_end_a_run_and_spare_the_weights() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny_with(&["--max-lr", "1e30"]));
    assert_fails(&output, 1, &["not finite", "step", "hint:", "--max-lr"]);
    assert!(stdout(&output).contains("run/model.safetensors"), "{}", stdout(&output));
    // They are the weights of a step before, and finite: an evaluation does not mind them.
    let weights = Weights::load(&layout_of_width(4), &folder.path().join("run/model.safetensors"));
    assert!(weights.expect("weights").parameters.iter().all(|w| w.is_finite()));
}

#[test]
fn a_test_loss_that_is_not_finite_is_an_error() {
    let folder = folder_with_data();
    // One step of all images: the weights that it leaves are evaluated, and no step sees them.
    let mut arguments = TINY;
    (arguments[8], arguments[10]) = ("60", "1");
    let arguments = [&arguments[..], &["--max-lr", "1e30"]].concat();
    assert_fails(&wgrad(folder.path(), &arguments), 1, &["test images", "not finite", "--max-lr"]);
    assert!(lines(folder.path().join("run/metrics.jsonl")).is_empty());
    assert!(!folder.path().join("run/model.safetensors").exists(), "they are of no use");
}

#[test]
fn a_folder_that_cannot_be_made() {
    let folder = folder_with_data();
    let out = "--out=data/test_batch.bin/run";
    let output = wgrad(folder.path(), &[&TINY[..11], &[out]].concat());
    assert_fails(&output, 1, &["data/test_batch.bin/run"]);
    assert!(!stdout(&output).contains("network"), "it is found out before the network is made");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_there_is() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let folder = folder_with_data();
    let mut arguments = TINY;
    arguments[10] = "100000";
    let mut child = command(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");

    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    // Until the second epoch is over.
    while !text.contains("\n 2/100000") {
        assert!(output.read_line(&mut text).expect("readable") > 0, "it ended early: {text}");
    }
    // Twice, as by a wrapper that signals its child and the group: that counts once.
    let pid = child.id().to_string();
    let interrupted = Command::new("kill").args(["-INT", &pid, &pid]).status();
    assert!(interrupted.expect("kill is everywhere").success());
    output.read_to_string(&mut text).expect("readable");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{text}");

    let run = folder.path().join("run");
    assert!(text.contains("interrupted after step"), "{text}");
    let last = text.lines().last().expect("there is output");
    assert!(last.starts_with("summary: cifar10") && last.ends_with("run"), "{last}");
    assert!(lines(run.join("metrics.jsonl")).len() >= 2);
    assert!(run.join("report.html").exists(), "it can be looked at, too");
    let weights =
        ["eval", "--weights", "run/model.safetensors", "--data-dir", "data", "--device=cpu"];
    assert!(wgrad(folder.path(), &weights).status.success());
}
