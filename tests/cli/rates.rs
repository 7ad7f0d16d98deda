//! The learning-rate finder, and early stopping.

use super::support::*;

/// The flags of a sweep over a range in which the tiny network learns.
const SWEEP: [&str; 16] = [
    "lr-find",
    "--data-dir",
    "data",
    "--device",
    "cpu",
    "--width",
    "4",
    "--batch-size",
    "8",
    "--start-lr",
    "1e-4",
    "--end-lr",
    "1",
    "--steps",
    "40",
    "--out=sweep",
];

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_sweep_suggests_a_learning_rate_and_writes_its_curve() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &SWEEP);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for word in [
        "steepest",
        "minimum/10",
        "valley",
        "<- the middle from LRMIN to max_lr",
        "LRMIN",
        "smoothed loss",
        "left out: 1.00e-4 to ",
    ] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    let read = |name: &str| fs::read_to_string(folder.path().join("sweep").join(name));
    let points = read("lr-find.csv").expect("the points");
    assert!(points.starts_with("lr,loss,smoothed_loss\n1e-4,"), "{points}");
    let drawing = read("lr-find.svg").expect("the curve");
    assert!(drawing.contains("steepest") && drawing.contains("left out: no fall above noise yet"));
    assert!(read("config.toml").is_ok());

    // `--json` prints one line of JSON. A second sweep finds the same learning rates, and `--suggest=valley` selects
    // another of these rates.
    let with = |more: &[&'static str]| {
        let mut arguments = SWEEP.to_vec();
        arguments.pop();
        let output = wgrad(folder.path(), &[&arguments, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        json(&stdout(&output))
    };
    let found = with(&["--json", "--out=again"]);
    let rate = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("{key} in {found}"));
    for key in ["max_lr", "lr_min", "steepest", "minimum", "valley"] {
        assert!((1e-6..1.0).contains(&rate(key)), "{key} in {found}");
    }
    assert!((rate("max_lr") / rate("steepest") / 10f64.sqrt() - 1.0).abs() < 0.01);
    assert!((rate("max_lr") / rate("lr_min") / 10.0 - 1.0).abs() < 0.01);
    assert!(text.contains(&format!("max_lr {:e}", rate("max_lr"))), "{text}");
    let valley = with(&["--json", "--suggest=valley", "--out=valley"]);
    let (max_lr, valley) = (valley["max_lr"].as_f64(), valley["valley"].as_f64());
    assert!((max_lr.expect("a rate") / valley.expect("a rate") - 1.0).abs() < 0.01);
    let plain = with(&["--json", "--no-augment", "--out=plain"]);
    assert_ne!(plain, found, "without augmentation, the losses differ");
}

#[test]
fn senseless_sweeps_are_rejected() {
    let folder = folder_with_data();
    let swept = |more: &[&'static str]| {
        let arguments =
            ["lr-find", "--data-dir=data", "--device=cpu", "--width=4", "--batch-size=8"];
        wgrad(folder.path(), &[&arguments, more].concat())
    };
    assert_fails(&swept(&["--start-lr=1", "--end-lr=0.1"]), 2, &["--start-lr", "--end-lr"]);
    assert_fails(&swept(&["--epochs=5"]), 2, &["--epochs: not a setting of a sweep"]);
    assert_fails(&swept(&["--steps=5"]), 2, &["steps 5: ", "at least 10"]);
    assert_eq!(swept(&["--suggest=best"]).status.code(), Some(2));
}

/// Returns the flags of a sweep over the default range of learning rates. With a tiny network and batches of two
/// images, the losses are mostly noise.
fn noisy(seed: &str) -> [&str; 7] {
    ["lr-find", "--data-dir=data", seed, "--device=cpu", "--width=2", "--batch-size=2", "--json"]
}

#[test]
fn the_early_steps_are_not_the_steepest_slope() {
    let folder = folder_with_data();
    for seed in ["--seed=0", "--seed=1", "--seed=2", "--seed=3"] {
        let output = wgrad(folder.path(), &noisy(seed));
        assert!(output.status.success(), "{seed}: {}", stderr(&output));
        let max_lr = json(&stdout(&output))["max_lr"].as_f64().expect("a rate");
        assert!((1e-3..0.3).contains(&max_lr), "{seed}: {max_lr}");
    }
}

#[test]
fn a_curve_without_a_slope_gives_no_learning_rate() {
    let folder = folder_with_data();
    let range = ["--start-lr=1e-9", "--end-lr=1e-8", "--steps=20", "--out=sweep"];
    let output = wgrad(folder.path(), &[&noisy("--seed=0")[..], &range].concat());
    assert_fails(&output, 1, &["no learning rate is found from 1e-9 to 1e-8", "raise --end-lr"]);
    let nothing = r#"{"max_lr":null,"lr_min":null,"steepest":null,"minimum":null,"valley":null}"#;
    assert_eq!(stdout(&output), format!("{nothing}\n"));
    // The sweep writes the curve and its points although it finds no learning rate.
    let read = |name: &str| fs::read_to_string(folder.path().join("sweep").join(name));
    assert_eq!(read("lr-find.csv").expect("the points").lines().count(), 21);
    let drawing = read("lr-find.svg").expect("the curve");
    assert!(drawing.contains("left out: no fall above noise anywhere"), "{drawing}");
    let rises = ["--start-lr=0.3", "--end-lr=30", "--steps=20", "--batch-size=8", "--out=rises"];
    let sweep = ["lr-find", "--data-dir=data", "--device=cpu", "--width=4"];
    let output = wgrad(folder.path(), &[&sweep[..], &rises].concat());
    assert_fails(&output, 1, &["no learning rate is found", "lower --start-lr"]);
    assert!(stdout(&output).contains("no fall above noise anywhere"), "{}", stdout(&output));
}

#[test]
fn rules_that_disagree_are_reported() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &SWEEP);
    let found = wgrad(folder.path(), &[&SWEEP[..15], &["--json", "--out=again"]].concat());
    let rates = json(&stdout(&found));
    let rate = |key: &str| rates[key].as_f64().expect("a rate");
    let all = ["max_lr", "steepest", "minimum", "valley"].map(rate);
    let spread = all.into_iter().fold(0.0, f64::max) / all.into_iter().fold(f64::MAX, f64::min);
    for output in [output, found] {
        let warning = stderr(&output);
        assert_eq!(warning.contains("warning: the rules disagree"), spread > 10.0, "{warning}");
    }
}

#[test]
fn training_can_find_its_learning_rate_first() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&["--max-lr=find"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let config = fs::read_to_string(folder.path().join("run/config.toml")).expect("settings");
    let max_lr = config.lines().find_map(|line| line.strip_prefix("max-lr = ")).expect("a rate");
    let max_lr: f64 = max_lr.parse().expect("a number");
    assert!((1e-3..0.3).contains(&max_lr), "{max_lr}");
    assert!(stdout(&output).contains(&format!("max_lr {max_lr:e}")), "{}", stdout(&output));
    assert!(folder.path().join("run/lr-find.svg").exists());
    assert_eq!(lines(folder.path().join("run/metrics.jsonl")).len(), 2);
}

#[test]
fn training_stops_if_no_learning_rate_is_found() {
    let folder = folder_with_data();
    // With such a large weight decay, Adam's second moments are infinite and its updates are 0. So the weights and the
    // loss stay constant.
    let still = ["--max-lr=find", "--weight-decay=1e30"];
    let output = wgrad(folder.path(), &tiny(&still));
    assert_fails(&output, 1, &["no learning rate is found from 1e-7 to 1e1"]);
    assert!(stdout(&output).contains("no fall above noise anywhere"), "{}", stdout(&output));
    assert!(!folder.path().join("run").exists(), "a run that has not begun leaves no folder");
}

#[test]
fn a_sweep_begins_with_the_weights_that_training_begins_with() {
    let folder = folder_with_data();
    let path = folder.path();
    assert!(wgrad(path, &tiny(&["--epochs=6", "--max-lr=0.05"])).status.success());
    let flags = ["lr-find", "--data-dir=data", "--device=cpu", "--batch-size=8", "--steps=20"];
    let start = |more: &[&str], out: &str| {
        let output = wgrad(path, &[&flags[..], more, &["--out", out]].concat());
        assert!(output.status.code() != Some(2), "{}", stderr(&output));
        let points = fs::read_to_string(path.join(out).join("lr-find.csv")).expect("points");
        let first = points.lines().nth(1).and_then(|line| line.split(',').nth(1)).map(str::parse);
        first
            .expect("a point")
            .ok()
            .and_then(|loss: f64| loss.is_finite().then_some(loss))
            .expect("a loss")
    };
    let (fresh, trained) = (start(&["--width=4"], "fresh"), start(&["--weights=run"], "trained"));
    assert!(trained < fresh, "{trained} after training, {fresh} before");
}

#[test]
fn patience_ends_a_run_that_does_not_improve() {
    let folder = folder_with_data();
    // At this learning rate the accuracy hardly changes, so an early epoch stays the best.
    let still = ["--epochs=50", "--max-lr=1e-12", "--no-crop", "--no-flip", "--no-cutout"];
    let output = wgrad(folder.path(), &tiny(&[&still[..], &["--patience=3"]].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    let epochs = lines(folder.path().join("run/metrics.jsonl"));
    let best = epochs.iter().rev().max_by(|a, b| a.accuracy().total_cmp(&b.accuracy()));
    let best = best.expect("there are epochs").epoch;
    assert_eq!(epochs.len(), best + 3, "{epochs:?}");
    assert!(stdout(&output).contains("did not improve for 3 epochs"), "{}", stdout(&output));
    let summary = fs::read_to_string(folder.path().join("run/summary.json")).expect("a summary");
    assert_eq!(json(&summary)["ended"], "stopped early");
    // Resuming the finished run trains no further epoch.
    let output = wgrad(folder.path(), &["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(lines(folder.path().join("run/metrics.jsonl")).len(), best + 3);
}

#[test]
fn validation_images_are_evaluated_each_epoch_and_test_images_once() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&["--validation=12"]));
    assert!(output.status.success(), "{}", stderr(&output));
    for epoch in lines(folder.path().join("run/metrics.jsonl")) {
        assert_eq!((epoch.test_loss, epoch.test_accuracy), (None, None));
        let n_right = 12.0 * epoch.validation_accuracy.expect("evaluated");
        assert!((n_right - n_right.round()).abs() < 1e-9, "{epoch:?}");
        // Training uses 48 images: 6 steps.
        assert!((epoch.images_per_s * epoch.seconds - 48.0).abs() < 1e-6);
    }
    let last = stdout(&output).lines().last().unwrap_or_default().to_string();
    assert!(last.contains("best validation accuracy") && last.contains("test accuracy"), "{last}");
    fs::remove_dir_all(folder.path().join("run")).expect("removed");
    let too_many = wgrad(folder.path(), &tiny(&["--validation=60"]));
    assert_fails(&too_many, 2, &["60 training images; choose fewer"]);
}
