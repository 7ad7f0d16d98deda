//! Ways to continue a run: from its weights, on another device, by repeating the command. The error of a refused
//! command names the flag that the user probably needs.

use super::support::*;

const RESUME: [&str; 3] = ["train", "--resume", "run"];

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn remove_checkpoints(run: &Path) {
    for entry in fs::read_dir(run).expect("readable").flatten() {
        if entry.file_name().to_string_lossy().starts_with("checkpoint-") {
            fs::remove_file(entry.path()).expect("removed");
        }
    }
}

#[test]
fn results_without_a_checkpoint_are_not_overwritten() {
    let folder = folder_with_data();
    let path = folder.path();
    succeeds(&wgrad(path, &tiny(&[])));
    remove_checkpoints(&path.join("run"));
    let before = ["model.safetensors", "metrics.jsonl", "summary.json"]
        .map(|name| read(path, &format!("run/{name}")));
    let words =
        ["no checkpoint", "model.safetensors", "summary.json", "`wgrad train --another-cycle run`"];
    assert_fails(&wgrad(path, &RESUME), 1, &words);
    assert_fails(&wgrad(path, &tiny(&[])), 1, &["holds a run already"]);
    let after = ["model.safetensors", "metrics.jsonl", "summary.json"]
        .map(|name| read(path, &format!("run/{name}")));
    assert!(before == after);
}

#[test]
fn a_run_starts_from_any_weights_and_records_them() {
    let folder = folder_with_data();
    let path = folder.path();
    succeeds(&wgrad(path, &tiny(&["--epochs=4"])));
    // The network's width comes from the weights file.
    let from = ["train", "--data-dir=data", "--device=cpu", "--batch-size=8", "--epochs=1"];
    let tuned =
        |out: &'static str, more: &[&'static str]| wgrad(path, &[&from[..], &[out], more].concat());
    let text = succeeds(&tuned("--out=tuned", &["--weights=run/model.safetensors"]));
    assert!(text.contains("width 4") && text.contains("start     the weights of "), "{text}");
    let fresh = lines(path.join("run/metrics.jsonl"))[0].train_loss;
    let first = lines(path.join("tuned/metrics.jsonl"))[0].train_loss;
    assert!(first < fresh, "{first} is no better than {fresh} from fresh weights");

    let config = fs::read_to_string(path.join("tuned/config.toml")).expect("settings");
    let sha256 = Command::new("sha256sum").arg(path.join("run/model.safetensors")).output();
    let sha256 = String::from_utf8(sha256.expect("coreutils").stdout).expect("text");
    let digits = sha256.split(' ').next().expect("a word");
    assert!(config.contains(&format!("weights-sha256 = \"{digits}\"")), "{config}");
    // The settings file repeats the run, also from another folder. The path of a run's folder stands for its weights.
    succeeds(&wgrad(path, &["train", "--config=tuned/config.toml", "--out=again"]));
    succeeds(&tuned("--out=of-folder", &["--weights=run"]));
    for run in ["again", "of-folder"] {
        let model = read(path, &format!("{run}/model.safetensors"));
        assert!(model == read(path, "tuned/model.safetensors"), "{run}: other bits");
    }
    fs::copy(path.join("run/model.safetensors"), path.join("base")).expect("copied");
    // Other weights at the same path are detected.
    fs::copy(path.join("tuned/model.safetensors"), path.join("run/model.safetensors"))
        .expect("copied");
    let output = wgrad(path, &["train", "--config=tuned/config.toml", "--out=third"]);
    assert_fails(&output, 1, &["run/model.safetensors", "SHA-256", "the settings have"]);
    assert!(!path.join("third").exists());
    assert_fails(&tuned("--out=no", &["--weights=nowhere"]), 1, &["nowhere"]);
    assert_fails(&tuned("--out=no", &["--weights=run", "--width=5"]), 1, &["the file has width 4"]);
    assert!(!path.join("no").exists());
    assert_eq!(wgrad(path, &[&RESUME[..], &["--weights=run"]].concat()).status.code(), Some(2));
    // With other weights, `--auto-resume` does not continue the run.
    let queued = |weights: &str| {
        let more = ["--out=job", "--auto-resume", weights];
        wgrad(path, &[&from[..], &more].concat())
    };
    succeeds(&queued("--weights=again/model.safetensors"));
    assert_fails(
        &queued("--weights=base"),
        1,
        &["weights-sha256 is", "to start a run from other weights, name another folder with --out"],
    );
}

#[test]
fn a_run_from_weights_that_is_stopped_goes_on_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    succeeds(&wgrad(path, &tiny(&["--out=base"])));
    let long = |out| tiny(&["--epochs=20", "--weights=base", out]);
    succeeds(&wgrad(path, &long("--out=whole")));
    assert_eq!(interrupt(path, &long("--out=run"), "\n 2/20").status.code(), Some(130));
    // The checkpoints hold the weights, so the folder `base` is not needed.
    fs::remove_dir_all(path.join("base")).expect("removed");
    succeeds(&wgrad(path, &RESUME));
    assert!(read(path, "run/model.safetensors") == read(path, "whole/model.safetensors"));
}

#[test]
fn a_run_with_another_schedule_or_optimizer_goes_on_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    for more in [
        &["--schedule=cosine", "--warmup-epochs=2"][..],
        &["--schedule=step", "--milestones=3"],
        &["--optimizer=adamw", "--no-decay-norm"],
        &["--optimizer=sgd", "--momentum=0.9", "--nesterov", "--ema=0.9", "--clip-grad-norm=1"],
    ] {
        let arguments = [more, &["--epochs=40"]].concat();
        succeeds(&wgrad(path, &tiny(&[&arguments[..], &["--out=whole"]].concat())));
        let stopped = interrupt(path, &tiny(&arguments), "\n 2/40");
        assert_eq!(stopped.status.code(), Some(130));
        succeeds(&wgrad(path, &RESUME));
        assert!(read(path, "whole/model.safetensors") == read(path, "run/model.safetensors"));
        for run in ["whole", "run"] {
            fs::remove_dir_all(path.join(run)).expect("removed");
        }
    }
}

#[test]
fn another_cycle_begins_from_a_finished_run() {
    let folder = folder_with_data();
    let path = folder.path();
    succeeds(&wgrad(path, &tiny(&["--label-smoothing=0.1"])));
    // `--resume` does not accept more epochs; the hint names the command that does.
    let output = wgrad(path, &[&RESUME[..], &["--epochs=6"]].concat());
    let hint = "`wgrad train --another-cycle run --epochs 6`";
    assert_fails(&output, 1, &["epochs is 6, but was 2", hint]);
    let cycle = ["train", "--another-cycle", "run", "--epochs", "6", "--out=next"];
    let text = succeeds(&wgrad(path, &cycle));
    assert!(text.contains(" 6/6 "), "{text}");
    let config = fs::read_to_string(path.join("next/config.toml")).expect("settings");
    for line in ["label-smoothing = 0.1", "epochs = 6", "width = 4", "run/model.safetensors"] {
        assert!(config.contains(line), "{line:?} is not in {config}");
    }
    let (first, next) =
        (lines(path.join("run/metrics.jsonl")), lines(path.join("next/metrics.jsonl")));
    assert!(
        next[0].train_loss < first[0].train_loss,
        "the cycle begins with the weights of the finished run"
    );
    // The schedule of the learning rate starts again, so its last learning rate is the same as in the first run.
    assert!((next[5].lr - first[1].lr).abs() < 1e-9);
    assert_fails(
        &wgrad(path, &["train", "--another-cycle", "data"]),
        1,
        &["data is not a run folder"],
    );
    let itself = ["train", "--another-cycle", "run", "--out", "run", "--auto-resume"];
    assert_fails(&wgrad(path, &itself), 1, &["run: another cycle is a new run"]);
    // An unfinished run has no final weights.
    fs::remove_file(path.join("run/summary.json")).expect("removed");
    let words = ["not finished", "--resume run", "--config run/config.toml --weights run"];
    assert_fails(&wgrad(path, &["train", "--another-cycle", "run"]), 1, &words);
}

#[test]
fn after_a_divergence_the_weights_are_not_called_good() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = wgrad(path, &tiny(&["--max-lr=1e18"]));
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("the weights from before step "), "{text}");
    assert!(!text.contains("good"), "the message must not judge the weights: {text}");
}

#[test]
fn a_run_continues_on_another_device_with_a_note() {
    let folder = folder_with_data();
    let path = folder.path();
    let begin = tiny(&["--epochs=6", "--device=gpu"]);
    assert_eq!(interrupt(path, &begin, "\n 2/6 ").status.code(), Some(130));
    // The device is not among the settings that a resumed run must keep.
    let output = wgrad(path, &[&RESUME[..], &["--device=cpu"]].concat());
    let text = succeeds(&output);
    assert!(text.contains("the run began on another device"), "{text}");
    assert_eq!(lines(path.join("run/metrics.jsonl")).len(), 6);
    // The settings of the run name the new device, and the summary also names the first device.
    let config = fs::read_to_string(path.join("run/config.toml")).expect("settings");
    assert!(config.contains("device = \"cpu\""), "{config}");
    let summary = || String::from_utf8(read(path, "run/summary.json")).expect("text");
    assert!(summary().contains("\"device\": \"cpu (") && summary().contains("\"began_on\": \""));
    // Resuming a finished run on another device runs no step, so the summary names the same devices as before.
    let text = succeeds(&wgrad(path, &[&RESUME[..], &["--device=gpu"]].concat()));
    assert!(!text.contains("the run began on another device"), "{text}");
    assert!(summary().contains("\"device\": \"cpu ("), "{}", summary());
}

#[test]
fn one_command_begins_goes_on_and_ends() {
    let folder = folder_with_data();
    let path = folder.path();
    succeeds(&wgrad(path, &tiny(&["--out=base"])));
    let job = tiny(&["--epochs=20", "--auto-resume", "--weights=base", "--device=auto"]);
    assert_eq!(interrupt(path, &job, "\n 2/20").status.code(), Some(130));
    let text = succeeds(&wgrad(path, &job));
    assert!(text.contains("(resumed after step") && text.contains("20/20"), "{text}");
    let before = read(path, "run/summary.json");
    // The finished run does not need its initial weights any more.
    fs::remove_dir_all(path.join("base")).expect("removed");
    let text = succeeds(&wgrad(path, &job));
    assert!(text.starts_with("run is finished: 140 steps, test accuracy "), "{text}");
    assert_eq!(text.lines().count(), 1, "nothing else is done");
    assert!(read(path, "run/summary.json") == before);
    // With other settings, the same command is an error: it would be another run in the same folder.
    let other = tiny(&["--epochs=21", "--auto-resume"]);
    assert_fails(&wgrad(path, &other), 1, &["epochs is 21, but was 20"]);
    let nameless: Vec<_> = job.iter().copied().filter(|flag| *flag != "--out=run").collect();
    assert_fails(&wgrad(path, &nameless), 2, &["--auto-resume", "--out"]);
    let taken = tiny(&["--auto-resume", "--out=data"]);
    assert_fails(&wgrad(path, &taken), 1, &["data exists already"]);
}

#[test]
fn a_resumed_run_keeps_the_learning_rate_that_it_found() {
    let folder = folder_with_data();
    let path = folder.path();
    let found =
        ["train", "--data-dir=data", "--device=cpu", "--width=4", "--batch-size=8", "--epochs=20"];
    let job = [&found[..], &["--out=run", "--auto-resume", "--max-lr=find"]].concat();
    let output = interrupt(path, &job, "\n 2/20");
    assert_eq!(output.status.code(), Some(130), "{}", stdout(&output));
    let text = succeeds(&wgrad(path, &job));
    assert!(text.contains("(resumed after step") && !text.contains("steepest"), "{text}");
}

#[test]
fn every_run_has_the_weights_of_its_best_epoch() {
    let folder = folder_with_data();
    let path = folder.path();
    let summary = |run: &str| -> serde_json::Value {
        serde_json::from_slice(&read(path, &format!("{run}/summary.json"))).expect("JSON")
    };
    // The learning rate is too high for the last epochs, so an earlier epoch is the best. The last run averages its
    // weights.
    for (out, more, on) in [
        ("--out=plain", &["--max-lr=0.3"][..], "test"),
        ("--out=held", &["--max-lr=0.3", "--validation=20"], "validation"),
        ("--out=mean", &["--max-lr=0.3", "--ema=0.5"], "test"),
    ] {
        let run = &out[6..];
        let text = succeeds(&wgrad(path, &tiny(&[&["--epochs=6", out], more].concat())));
        let (summary, epochs) = (summary(run), lines(path.join(run).join("metrics.jsonl")));
        let best = summary["best_epoch"].as_u64().expect("a number") as usize;
        assert_eq!(summary["best_file"], "best.safetensors");
        assert_eq!(summary["best_chosen_on"], format!("{on} images"));
        let line =
            format!("best      {run}/best.safetensors: epoch {best}, chosen on the {on} images");
        assert!(text.contains(&line), "{line:?} is not in {text}");
        let page = fs::read_to_string(path.join(run).join("report.html")).expect("a page");
        assert!(page.contains(&format!("chosen on the {on} images")), "{run}: the report");
        // The weights in best.safetensors have the fingerprint that metrics.jsonl records for the best epoch.
        let layout = layout_of_width(4);
        let weights =
            Weights::load(&layout, &path.join(run).join("best.safetensors")).expect("weights");
        let buffers = [&weights.parameters[..], &weights.running_statistics];
        assert_eq!(
            wgrad::base::fingerprint::Fingerprint::of_f32(buffers),
            epochs[best - 1].weights
        );
    }
    // Resuming writes a removed best.safetensors again, from the checkpoint of the best epoch.
    let before = read(path, "plain/best.safetensors");
    fs::remove_file(path.join("plain/best.safetensors")).expect("removed");
    succeeds(&wgrad(path, &["train", "--resume", "plain"]));
    assert!(read(path, "plain/best.safetensors") == before);
}

#[test]
fn huge_sizes_are_rejected_before_anything_is_allocated() {
    let folder = folder_with_data();
    let path = folder.path();
    // A step that exceeds any machine's memory is an error with the sizes and a flag that reduces them. The command
    // creates no folder.
    for device in ["--device=cpu", "--device=gpu"] {
        let output = wgrad(path, &tiny(&["--width=65535", device]));
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("error: ") && message.contains("iB"), "{message}");
        assert!(message.contains("--width") && !message.contains("panicked"), "{message}");
        assert!(!path.join("run").exists(), "a folder that cannot be resumed");
    }
    // A huge number of epochs is accepted, because the memory does not grow with it.
    let output = interrupt(path, &tiny(&["--epochs=1000000000", "--patience=4000000000"]), "\n 2/");
    assert_eq!(output.status.code(), Some(130));
    for command in [
        &["profile", "--width=65535", "--device=cpu"][..],
        &["profile", "--width=1", "--batch-size=4294967295", "--device=cpu"],
        &["bench", "--width=1", "--batch-size=4294967295", "--device=gpu", "--out=bench"],
        &["bench", "--width=65535", "--device=cpu", "--out=bench"],
        &[
            "lr-find",
            "--width=65535",
            "--data-dir=data",
            "--batch-size=8",
            "--device=cpu",
            "--out=lr",
        ],
    ] {
        assert_fails(&wgrad(path, command), 1, &["iB", "--width"]);
    }
    let layout = layout_of_width(2);
    Weights::initial(&layout, 0).save(&layout, None, &path.join("w")).expect("written");
    let eval = ["eval", "--weights=w", "--width=65535", "--data-dir=data", "--device=cpu"];
    assert_fails(&wgrad(path, &eval), 1, &["iB", "--batch-size"]);
    assert!(!path.join("bench").exists() && !path.join("lr").exists());
}
