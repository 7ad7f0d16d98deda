//! Runs that stop and continue: killed, interrupted, and on a full disk.

use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use super::support::*;

/// Returns the arguments of a run of thirty epochs, seven steps of eight images each, with a checkpoint after every
/// third step.
pub fn long_run() -> Vec<&'static str> {
    tiny(&["--epochs=30", "--checkpoint-every=3"])
}

pub const RESUME: [&str; 3] = ["train", "--resume", "run"];

/// Trains the run of `long_run` with the flags `more`, without interruption, and returns the bytes of its weights file.
pub fn model_without_a_stop(folder: &Path, more: &[&str]) -> Vec<u8> {
    let output = wgrad(folder, &[&long_run()[..], more, &["--out=whole"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read(folder.join("whole/model.safetensors")).expect("weights")
}

/// Returns the metrics of each epoch, without the times, which differ from run to run.
fn bits(path: PathBuf) -> Vec<(usize, f64, f64, String)> {
    let of = |e: &EpochMetrics| (e.epoch, e.train_loss, e.loss(), e.weights.to_string());
    lines(path).iter().map(of).collect()
}

/// Returns the next number of a small random generator. The numbers give the times of the kills; the same seed gives
/// the same times.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

/// Kills a run with the flags `more` `n` times with SIGKILL after a random number of microseconds, and resumes it each
/// time.
fn kill_and_resume(n: usize, seed: u64, more: &[&str]) {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, more);
    let (mut state, mut n_killed) = (seed, 0);
    let begin = [&long_run()[..], more].concat();
    let mut arguments: &[&str] = &begin;
    while n_killed < n {
        let mut run = command(path, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // The time of the kill is anywhere between the start of the run and the middle of its steps.
        sleep(Duration::from_micros(1000 + next(&mut state) % 120_000));
        run.kill().expect("it can be killed");
        let output = run.wait_with_output().expect("it ends");
        if output.status.code() == Some(0) {
            // The run finished before the kill. A new run starts for the remaining kills.
            assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
            fs::remove_dir_all(path.join("run")).expect("removed");
            arguments = &begin;
            continue;
        }
        assert_eq!(output.status.code(), None, "{}", stderr(&output));
        n_killed += 1;
        // A run that was killed before it wrote its settings cannot be resumed, so the first command is repeated.
        arguments = if path.join("run/config.toml").exists() { &RESUME } else { &begin };
    }
    let output = wgrad(path, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let resumed = fs::read(path.join("run/model.safetensors")).expect("weights");
    assert!(resumed == whole, "other bits after {n_killed} kills");
    assert_eq!(bits(path.join("run/metrics.jsonl")), bits(path.join("whole/metrics.jsonl")));
    let left = fs::read_dir(path.join("run")).expect("readable").flatten();
    let left = left.filter(|entry| entry.path().extension().is_some_and(|e| e == "wgrad-tmp"));
    assert_eq!(left.count(), 0, "files that were never finished are removed");
}

#[test]
fn a_run_that_is_killed_a_dozen_times_ends_with_the_same_bits() {
    kill_and_resume(12, 1, &[]);
}

/// The flags of a run that unfreezes its first layers in epoch 12, which begins after step 77.
const UNFREEZING: [&str; 4] =
    ["--freeze=prep,layer1", "--unfreeze-at=12", "--lr-scale=layer2=0.5", "--weight-decay=0.01"];

#[test]
fn a_run_that_unfreezes_and_is_killed_a_dozen_times_ends_with_the_same_bits() {
    kill_and_resume(12, 8, &UNFREEZING);
}

#[test]
fn a_run_that_is_resumed_around_the_epoch_that_unfreezes_ends_with_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, &UNFREEZING);
    let other = model_of(path, &[&long_run()[..], &UNFREEZING[..1], &["--out=frozen"]].concat());
    assert!(whole != other, "unfreezing has an effect");
    let checkpoint = |step: u64| path.join(format!("run/checkpoint-{step}.safetensors"));
    // The last step before the epoch, and a step in it.
    for step in [77, 81] {
        let mut run = command(path, &[&long_run()[..], &UNFREEZING].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        // The run keeps two checkpoints, so the test copies the file as soon as it exists.
        let kept = path.join("kept");
        while fs::copy(checkpoint(step), &kept).is_err() {
            assert!(std::time::Instant::now() < deadline, "no checkpoint of step {step}");
            sleep(Duration::from_micros(100));
        }
        run.kill().expect("it can be killed");
        run.wait().expect("it ends");
        for entry in fs::read_dir(path.join("run")).expect("readable").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("checkpoint-") || name == "summary.json" {
                fs::remove_file(entry.path()).expect("removed");
            }
        }
        fs::copy(&kept, checkpoint(step)).expect("copied");
        let output = wgrad(path, &RESUME);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output);
        assert!(text.contains(&format!("(resumed after step {step} of 210)")), "{text}");
        let note = "(all parameters are trained from epoch 12 on; the optimizer begins anew)";
        assert_eq!(text.contains(note), step == 77, "{text}");
        let resumed = fs::read(path.join("run/model.safetensors")).expect("weights");
        assert!(resumed == whole, "other bits after a resume at step {step}");
        fs::remove_dir_all(path.join("run")).expect("removed");
    }
}

#[test]
fn a_run_may_begin_to_recompute_when_it_is_resumed() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, &["--network=resnet20", "--epochs=2"]);
    let begin = ["--network=resnet20", "--epochs=2", "--checkpoint-every=3", "--out=run"];
    let run = wgrad(path, &[&long_run()[..], &begin, &["--recompute"]].concat());
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
    // The run continues from the checkpoint before its end, without recomputation.
    for file in ["model.safetensors", "summary.json"] {
        fs::remove_file(path.join("run").join(file)).expect("removed");
    }
    let output = wgrad(path, &[&RESUME[..], &["--recompute=false"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
}

/// Trains, and returns the bytes of the weights file in the folder that the last argument names.
fn model_of(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = wgrad(folder, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let out = arguments.last().and_then(|flag| flag.strip_prefix("--out=")).expect("a folder");
    fs::read(folder.join(out).join("model.safetensors")).expect("weights")
}

#[test]
#[ignore = "a longer version of the test before"]
fn a_run_that_is_killed_fifty_times_ends_with_the_same_bits() {
    for seed in 2..7 {
        kill_and_resume(50, seed, &[]);
        kill_and_resume(50, seed, &UNFREEZING);
    }
}

#[test]
fn an_interrupted_run_goes_on_in_the_middle_of_an_epoch() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, &[]);
    let output = interrupt(path, &long_run(), "\n 2/30");
    assert_eq!(output.status.code(), Some(130));
    let hint = "hint: `wgrad train --resume run` continues the run";
    assert!(stderr(&output).contains(hint), "{}", stderr(&output));
    let output = wgrad(path, &RESUME);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("(resumed after step"), "{}", stdout(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
    // Resuming the finished run runs no step and changes nothing.
    let output = wgrad(path, &RESUME);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
    // A run keeps its last two checkpoints and that of the best epoch.
    let names = fs::read_dir(path.join("run")).expect("readable").flatten();
    let names = names.filter(|e| e.file_name().to_string_lossy().starts_with("checkpoint-"));
    assert!((2..=3).contains(&names.count()));
}

#[test]
fn an_interrupted_run_with_averaged_weights_goes_on_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    let with =
        |more: &'static str| tiny(&["--epochs=30", "--checkpoint-every=3", "--ema=0.9", more]);
    assert!(wgrad(path, &with("--out=whole")).status.success());
    assert_eq!(interrupt(path, &with("--out=run"), "\n 2/30").status.code(), Some(130));
    let output = wgrad(path, &RESUME);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = |run: &str| fs::read(path.join(run).join("model.safetensors")).expect("weights");
    assert!(model("run") == model("whole"), "other bits");
    assert_eq!(bits(path.join("run/metrics.jsonl")), bits(path.join("whole/metrics.jsonl")));
}

pub fn newest_checkpoint(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("run")).expect("readable").flatten();
    let step = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse::<u64>().ok()
    };
    let paths = entries.map(|entry| entry.path()).filter(|path| step(path).is_some());
    paths.max_by_key(|path| step(path)).expect("there are checkpoints")
}

#[test]
fn one_process_trains_in_a_folder_at_a_time() {
    let folder = folder_with_data();
    let path = folder.path();
    let arguments = tiny(&["--epochs=100000"]);
    let mut first = command(path, &arguments).stdout(Stdio::null()).spawn().expect("it starts");
    while !path.join("run/model.safetensors").exists() {
        sleep(Duration::from_millis(5));
    }
    let second = wgrad(path, &RESUME);
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    assert_fails(&second, 1, &["run: another process is training"]);
}

#[test]
fn runs_that_start_together_get_different_folders() {
    let folder = folder_with_data();
    let path = folder.path();
    let run = |seed: &str, out: &[&str]| {
        let arguments = tiny(&[&["--seed", seed], out].concat());
        let arguments: Vec<_> = arguments.into_iter().filter(|flag| *flag != "--out=run").collect();
        let mut command = command(path, &arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    // Without `--out`, each run gets a folder of its own.
    let runs = ["1", "2", "3"].map(|seed| run(seed, &[]));
    for run in runs {
        let output = run.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let folders = fs::read_dir(path.join("runs")).expect("readable").flatten();
    assert_eq!(folders.filter(|run| lines(run.path().join("metrics.jsonl")).len() == 2).count(), 3);
    // With the same `--out`, only one of the runs gets the folder.
    let runs = ["1", "2", "3"].map(|seed| run(seed, &["--out=same"]));
    let codes = runs.map(|run| run.wait_with_output().expect("it ends").status.code());
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(lines(path.join("same/metrics.jsonl")).len(), 2);
}

#[test]
fn a_checkpoint_and_the_weights_of_its_run_have_the_same_loss() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = wgrad(path, &tiny(&["--ema=0.9"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let eval = |weights: &str| {
        let output = wgrad(
            path,
            &["eval", "--data-dir=data", "--device=cpu", "--json", "--weights", weights],
        );
        let text = stdout(&output);
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["loss"].clone()
    };
    let loss = eval("run/model.safetensors");
    assert_eq!(eval("run/checkpoint-14.safetensors"), loss);
    assert_eq!(eval("run"), loss, "the folder of a run stands for its weights");
}

#[test]
fn training_goes_on_when_checkpoints_cannot_be_written() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, &[]);
    // A limit on the size of files makes writing fail for every user. Permissions would not stop root.
    let limit = "ulimit -f 8; exec \"$0\" \"$@\"";
    let mut limited = Command::new("sh");
    let trap = format!("trap '' XFSZ; {limit}");
    limited.args(["-c", &trap, env!("CARGO_BIN_EXE_wgrad")]).args(long_run()).current_dir(path);
    let output = limited.output().expect("it starts");
    let text = stderr(&output);
    assert!(
        text.contains("no checkpoint was written") && text.contains("training goes on"),
        "{text}"
    );
    // The run finishes its epochs, and reports at the end that the weights could not be saved.
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(stdout(&output).contains("\n30/30"), "{}", stdout(&output));
    assert!(text.contains("error: run/model.safetensors"), "{text}");
    // Without the limit, the resumed run repeats its steps and ends with the same weights.
    let output = wgrad(path, &RESUME);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
}

#[test]
fn a_folder_that_becomes_read_only_keeps_its_last_checkpoint() {
    let folder = folder_with_data();
    let path = folder.path();
    let run = path.join("run");
    let output = interrupt(path, &long_run(), "\n 2/30");
    assert_eq!(output.status.code(), Some(130));
    let newest = newest_checkpoint(path);
    let before = fs::read(&newest).expect("a checkpoint");
    let set = |mode| fs::set_permissions(&run, fs::Permissions::from_mode(mode)).expect("mode");
    set(0o555);
    let output = wgrad(path, &RESUME);
    set(0o755);
    if output.status.success() {
        return; // Root may write anywhere.
    }
    assert!(stderr(&output).contains("run"), "{}", stderr(&output));
    assert!(fs::read(&newest).expect("it is there") == before);
}

#[test]
fn a_step_that_was_not_finite_can_be_replayed() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = wgrad(path, &tiny(&["--max-lr", "1e30"]));
    assert_fails(&output, 1, &["the first value that is not finite is", "wgrad tape --replay"]);
    let first = stderr(&output);
    let file = "run/not-finite.safetensors";
    let output = wgrad(path, &["tape", "--replay", file, "--device", "cpu"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let listing = stdout(&output);
    let node = first.split(" of ").nth(1).and_then(|rest| rest.split(':').next()).expect("a node");
    assert!(listing.contains(node), "{node:?} is not in {listing}");
    let none = wgrad(path, &["tape", "--replay", "data/test_batch.bin"]);
    assert_fails(&none, 1, &["data/test_batch.bin"]);

    let output = wgrad(path, &tiny(&["--out=whole"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let ordinary = "whole/checkpoint-14.safetensors";
    assert_fails(&wgrad(path, &["tape", "--replay", ordinary]), 1, &[ordinary, "no images"]);
}
