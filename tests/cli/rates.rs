//! Finding a learning rate, and stopping when nothing is gained any more.

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
fn a_sweep_suggests_a_rate_and_leaves_its_curve() {
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
    ] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    let read = |name: &str| fs::read_to_string(folder.path().join("sweep").join(name));
    let points = read("lr-find.csv").expect("the points");
    assert!(points.starts_with("lr,loss,smoothed_loss\n1e-4,"), "{points}");
    assert!(read("lr-find.svg").expect("the curve").contains("steepest"));
    assert!(read("config.toml").is_ok());

    // One line for programs, the same numbers again, and another rule.
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
    assert_ne!(plain, found, "other images, other losses");
}

#[test]
fn sweeps_that_make_no_sense() {
    let folder = folder_with_data();
    let swept = |more: &[&'static str]| {
        let arguments =
            ["lr-find", "--data-dir=data", "--device=cpu", "--width=4", "--batch-size=8"];
        wgrad(folder.path(), &[&arguments, more].concat())
    };
    assert_fails(&swept(&["--start-lr=1", "--end-lr=0.1"]), 2, &["--start-lr", "--end-lr"]);
    assert_fails(&swept(&["--epochs=5"]), 2, &["--epochs says nothing of a sweep"]);
    assert_fails(&swept(&["--steps=5"]), 2, &["--steps is 5", "at least 10"]);
    assert_eq!(swept(&["--suggest=best"]).status.code(), Some(2));
}

#[test]
fn training_can_find_its_rate_first() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&["--max-lr=find"]));
    // Of 60 images of noise a sweep from 1e-7 on may tell nothing; then it says so, and trains on nothing.
    if !output.status.success() {
        assert_fails(&output, 1, &["does not fall"]);
        assert!(!folder.path().join("run").exists());
        return;
    }
    let config = fs::read_to_string(folder.path().join("run/config.toml")).expect("settings");
    let max_lr = config.lines().find_map(|line| line.strip_prefix("max-lr = ")).expect("a rate");
    let max_lr: f64 = max_lr.parse().expect("a number");
    assert!(stdout(&output).contains(&format!("max_lr {max_lr:e}")), "{}", stdout(&output));
    assert!(folder.path().join("run/lr-find.svg").exists());
    assert_eq!(lines(folder.path().join("run/metrics.jsonl")).len(), 2);
}

#[test]
fn patience_has_an_end() {
    let folder = folder_with_data();
    // A rate at which nothing changes: the first epoch is the best there will be.
    let still = ["--epochs=50", "--max-lr=1e-12", "--no-crop", "--no-flip", "--no-cutout"];
    let output = wgrad(folder.path(), &tiny(&[&still[..], &["--patience=3"]].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    let epochs = lines(folder.path().join("run/metrics.jsonl"));
    let best = epochs.iter().rev().max_by(|a, b| a.accuracy().total_cmp(&b.accuracy()));
    let best = best.expect("there are epochs").epoch;
    assert_eq!(epochs.len(), best + 3, "{epochs:?}");
    assert!(stdout(&output).contains("no better for 3 epochs"), "{}", stdout(&output));
    let summary = fs::read_to_string(folder.path().join("run/summary.json")).expect("a summary");
    assert_eq!(json(&summary)["ended"], "stopped early");
    // Asked to go on, it finds that it is over.
    let output = wgrad(folder.path(), &["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(lines(folder.path().join("run/metrics.jsonl")).len(), best + 3);
}

#[test]
fn images_that_are_held_out_are_evaluated_and_the_test_images_once() {
    let folder = folder_with_data();
    let output = wgrad(folder.path(), &tiny(&["--validation=12"]));
    assert!(output.status.success(), "{}", stderr(&output));
    for epoch in lines(folder.path().join("run/metrics.jsonl")) {
        assert_eq!((epoch.test_loss, epoch.test_accuracy), (None, None));
        let n_right = 12.0 * epoch.validation_accuracy.expect("evaluated");
        assert!((n_right - n_right.round()).abs() < 1e-9, "{epoch:?}");
        // 48 images are left: 6 steps.
        assert!((epoch.images_per_s * epoch.seconds - 48.0).abs() < 1e-6);
    }
    let last = stdout(&output).lines().last().unwrap_or_default().to_string();
    assert!(last.contains("best validation accuracy") && last.contains("test accuracy"), "{last}");
    fs::remove_dir_all(folder.path().join("run")).expect("removed");
    let too_many = wgrad(folder.path(), &tiny(&["--validation=60"]));
    assert_fails(&too_many, 2, &["--validation must be below the 60 training images"]);
}
