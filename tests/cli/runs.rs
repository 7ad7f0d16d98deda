//! `wgrad train`: the files of a run, and its ways to end.

use super::support::*;

#[test]
fn a_run_writes_its_files_and_its_settings_repeat_it() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&[]));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("cpu") && text.contains("parameters") && text.contains("10000"),
        "{text}"
    );

    // The last line of output is a summary.
    let run = folder.path().join("run");
    let epochs = lines(run.join("metrics.jsonl"));
    let summary = text.lines().last().expect("there is output");
    let percent = |epoch: &EpochMetrics| format!("{:.2}%", 100.0 * epoch.accuracy());
    for word in ["cifar10", "cpu", &percent(&epochs[1]), "run"] {
        assert!(summary.contains(word), "{word:?} is not in {summary:?}");
    }

    // metrics.jsonl has one line per epoch. An epoch has 7 steps of 8 images, and the last 4 training images are
    // dropped. The evaluation uses all 25 test images.
    assert_eq!(epochs.len(), 2);
    for (ix, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch.epoch, ix + 1);
        assert!(close(epoch.images_per_s, 56.0 / epoch.seconds), "{epoch:?}");
        assert!(close((epoch.train_accuracy * 56.0).round(), epoch.train_accuracy * 56.0));
        assert!(close((epoch.accuracy() * 25.0).round(), epoch.accuracy() * 25.0));
        assert!(epoch.train_loss > 0.0 && epoch.loss() > 0.0 && epoch.eval_seconds > 0.0);
    }
    // The learning rate goes linearly from max_lr / 10 to max_lr and back, so the last learning rate is max_lr / 10.
    assert!((epochs[1].lr - 0.001).abs() < 1e-9, "{}", epochs[1].lr);

    // With the settings file of a run, another command repeats the run in another folder.
    let config = fs::read_to_string(run.join("config.toml")).expect("a run leaves its settings");
    for line in
        ["data = \"cifar10\"", "width = 4", "batch-size = 8", "device = \"cpu\"", "seed = 0"]
    {
        assert!(config.contains(line), "{line:?} is not in {config}");
    }
    // The settings file works from any folder, because it contains the absolute path of the data.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let config = run.join("config.toml").to_string_lossy().into_owned();
    let output = wgrad(elsewhere.path(), &["train", "--config", &config, "--out", "again"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = |run: PathBuf| fs::read(run.join("model.safetensors")).expect("weights");
    assert!(model(run.clone()) == model(elsewhere.path().join("again")), "other bits");
    let entries = fs::read_dir(run).expect("readable").flatten();
    // The name of TensorBoard's file contains a time and a host name, so the test replaces it by `events`.
    let name = |entry: fs::DirEntry| match entry.file_name().to_string_lossy() {
        name if name.starts_with("events.out.tfevents.") => "events".to_string(),
        name => name.into_owned(),
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    let expected = [
        "best.safetensors",
        "checkpoint-14.safetensors",
        "checkpoint-7.safetensors",
        "config.toml",
        "events",
        "metrics.csv",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "summary.json",
    ];
    assert_eq!(names, expected, "nothing else is in the folder");

    // Evaluating the saved weights gives the numbers of the last line of metrics.jsonl.
    let weights = ["--weights", "run/model.safetensors", "--data-dir", "data", "--device", "cpu"];
    let output = wgrad(folder.path(), &[&["eval"], &weights[..]].concat());
    let last = stdout(&output).lines().last().unwrap_or_default().to_string();
    assert!(last.contains(&percent(&epochs[1])), "{last:?}: {}", stderr(&output));
    assert!(last.contains(&format!("{:.4}", epochs[1].loss())), "{last:?}");
}

#[test]
fn a_run_is_never_overwritten() {
    let folder = folder_with_data();
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    fs::write(run.join("config.toml"), "precious").expect("written");
    assert_fails(&wgrad(folder.path(), &tiny(&[])), 1, &["run", "already", "--out"]);
    assert_eq!(fs::read_to_string(run.join("config.toml")).expect("there"), "precious");
    let file = wgrad(folder.path(), &tiny(&["--out=data/test_batch.bin"]));
    assert_fails(&file, 1, &["test_batch.bin", "not a folder"]);
}

#[test]
fn a_run_folder_that_cannot_be_created_is_an_error() {
    let folder = folder_with_data();
    let out = "--out=data/test_batch.bin/run";
    let output = wgrad(folder.path(), &tiny(&[out]));
    assert_fails(&output, 1, &["data/test_batch.bin/run"]);
    assert!(!stdout(&output).contains("network"), "the error must come before the network is made");
}

#[cfg(unix)]
#[test]
fn numbers_that_are_not_finite_end_a_run_and_its_weights_stay_finite() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&["--max-lr", "1e30"]));
    assert_fails(&output, 1, &["not finite", "step", "hint:", "--max-lr"]);
    assert!(stdout(&output).contains("run/model.safetensors"), "{}", stdout(&output));
    // The saved weights are those from before the failed step. They are finite, so they can be evaluated.
    let weights = Weights::load(&layout_of_width(4), &folder.path().join("run/model.safetensors"));
    assert!(weights.expect("weights").parameters.iter().all(|w| w.is_finite()));
}

#[test]
fn a_test_loss_that_is_not_finite_is_an_error() {
    let folder = folder_with_data();
    // The run has one step, over all images. So only the evaluation uses the weights after this step.
    let arguments = tiny(&["--batch-size=60", "--epochs=1", "--max-lr=1e30"]);
    assert_fails(&wgrad(folder.path(), &arguments), 1, &["evaluation", "not finite", "--max-lr"]);
    assert!(lines(folder.path().join("run/metrics.jsonl")).is_empty());
    assert!(
        !folder.path().join("run/model.safetensors").exists(),
        "weights without a finite loss are not saved"
    );
}

/// With `--ema=0`, the moving average equals the weights, so only the running statistics can differ.
#[test]
fn averaged_weights_are_saved_with_statistics_of_their_own() {
    let folder = folder_with_data();
    let path = folder.path();
    for arguments in [tiny(&["--out=plain"]), tiny(&["--out=own", "--ema=0"])] {
        let output = wgrad(path, &arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let layout = layout_of_width(4);
    let [plain, own] = ["plain", "own"].map(|run| {
        Weights::load(&layout, &path.join(run).join("model.safetensors")).expect("weights")
    });
    assert!(plain.parameters == own.parameters, "the average must not change training");
    assert!(
        plain.running_statistics != own.running_statistics,
        "the average has the running statistics of training"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_finished_epochs() {
    let folder = folder_with_data();
    let output = interrupt(folder.path(), &tiny(&["--epochs=100000"]), "\n 2/100000");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");

    let run = folder.path().join("run");
    assert!(text.contains("interrupted after step"), "{text}");
    let last = text.lines().last().expect("there is output");
    assert!(last.starts_with("summary: cifar10") && last.ends_with("run"), "{last}");
    assert!(lines(run.join("metrics.jsonl")).len() >= 2);
    let weights =
        ["eval", "--weights", "run/model.safetensors", "--data-dir", "data", "--device=cpu"];
    assert!(wgrad(folder.path(), &weights).status.success());
}

/// After the last epoch, `train` times the parts of a step for the report. Ctrl-C ends these timings.
#[cfg(unix)]
#[test]
fn ctrl_c_after_the_last_epoch_cuts_the_report_short() {
    let folder = folder_with_data();
    // The steps are slow enough for the signal to arrive while they are timed.
    let arguments = tiny(&["--width=32", "--batch-size=30"]);
    let output = interrupt(folder.path(), &arguments, "\n 2/2");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    let read = |name: &str| fs::read_to_string(folder.path().join("run").join(name)).expect(name);
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).expect("JSON");
    assert_eq!((&summary["ended"], summary["n_steps"].as_u64()), (&"finished".into(), Some(4)));
    assert_eq!(summary["parts"], serde_json::json!([]), "the parts of a step were timed");
    let page = read("report.html");
    assert!(page.contains("id=\"curves\"") && !page.contains("id=\"confusion-matrix\""));

    // No training step is left. Resuming the run completes its report.
    let output = wgrad(folder.path(), &["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(read("report.html").contains("id=\"confusion-matrix\""));
    assert!(read("summary.json").contains("prep, forward"));
}

/// Weights that are all 1 give the same bits as no weights, because the sum of a batch's weights is then the number of
/// its images.
#[test]
fn balanced_class_weights_follow_from_the_training_images() {
    let folder = folder_with_data();
    let path = folder.path();
    // 59 images: 8 of class 0, 6 of classes 1 to 6, 5 of the others.
    let labels = |n: usize| [0, 0].into_iter().chain((0..n).map(|ix| ix % 10));
    let images = labels(57).flat_map(|class| records(class + 1, 1)[class * RECORD..].to_vec());
    fs::write(path.join("data/data_batch_1.bin"), images.collect::<Vec<u8>>()).expect("written");
    fs::remove_file(path.join("data/data_batch_2.bin")).expect("removed");
    let weights_of = |name: &str, more: &[&str]| {
        let out = format!("--out={name}");
        let output = wgrad(path, &tiny(&[more, &[out.as_str(), "--epochs=1"]].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stdout(&output).contains(", classes weighted "), !more.is_empty());
        lines(path.join(name).join("metrics.jsonl"))[0].weights
    };
    let plain = weights_of("plain", &[]);
    assert_eq!(weights_of("ones", &["--class-weights=1,1,1,1,1,1,1,1,1,1"]), plain);
    let balanced = weights_of("balanced", &["--class-weights=balanced"]);
    let count = |class: usize| labels(57).filter(|&label| label == class).count();
    let numbers: Vec<_> =
        (0..10).map(|class| (59.0 / (10 * count(class)) as f64).to_string()).collect();
    let numbers = format!("--class-weights={}", numbers.join(","));
    assert!(balanced != plain && weights_of("numbers", &[&numbers]) == balanced);
    let config = fs::read_to_string(path.join("balanced/config.toml")).expect("settings");
    assert!(config.contains("class-weights = \"balanced\""), "{config}");

    // A step that was not finite is replayed without the training images.
    let broken = tiny(&["--class-weights=balanced", "--max-lr=1e20", "--out=nan"]);
    assert_fails(&wgrad(path, &broken), 1, &["was not finite"]);
    let file = fs::read(path.join("nan/not-finite.safetensors")).expect("a file");
    assert!(String::from_utf8_lossy(&file).contains("0.7375,0.98333"), "the weights are numbers");
    let output = wgrad(path, &["tape", "--replay=nan/not-finite.safetensors", "--device=cpu"]);
    assert!(output.status.success(), "{}", stderr(&output));
}
