//! Fine-tuning: `--freeze`, `--unfreeze-at`, `--lr-scale` and `--cache-features`.

use safetensors::SafeTensors;

use super::support::*;

/// Trains a network for one epoch, and returns the flags that start from its weights.
fn start(folder: &Path) -> [&'static str; 2] {
    let output = wgrad(folder, &tiny(&["--epochs=1", "--out=start"]));
    assert!(output.status.success(), "{}", stderr(&output));
    ["--weights=start", "--new-head"]
}

fn train(folder: &Path, flags: &[&str]) -> Output {
    let output = wgrad(folder, &tiny(flags));
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn model(folder: &Path, run: &str) -> Vec<u8> {
    fs::read(folder.join(run).join("model.safetensors")).expect("weights")
}

#[test]
fn a_frozen_layer_keeps_the_bits_of_the_weights_file() {
    let folder = folder_with_data();
    let path = folder.path();
    let flags = [&start(path)[..], &["--freeze=prep,layer1", "--ema=0.5"]].concat();
    let text = stdout(&train(path, &flags));
    // prep.0 has 3 * 9 * 4 weights, and prep.1 has 2 * 4.
    assert!(text.contains(" of them; frozen: prep,layer1\n"), "{text}");
    let (before, after) = (model(path, "start"), model(path, "run"));
    let [before, after] =
        [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).expect("a file"));
    for (name, tensor) in before.tensors() {
        let is_same = tensor.data() == after.tensor(&name).expect("the same names").data();
        let is_frozen = name.starts_with("prep.") || name.starts_with("layer1.");
        if !name.ends_with("num_batches_tracked") {
            assert_eq!(is_same, is_frozen, "{name}");
        }
    }
}

#[test]
fn cached_features_give_the_model_of_a_run_without_augmentation() {
    let folder = folder_with_data();
    let path = folder.path();
    let freeze = "--freeze=prep,layer1,res1,layer2,layer3,res2";
    let flags = [&start(path)[..], &[freeze, "--epochs=3"]].concat();
    let cached = train(path, &[&flags[..], &["--cache-features", "--out=cached"]].concat());
    let text = stdout(&cached);
    // 60 training and 25 test images of 4 numbers for each of 8 channels.
    assert!(text.contains("(features of 85 images, 10.6 KiB, computed in "), "{text}");
    assert!(text.contains("no augmentation;") && text.contains("turns augmentation off"), "{text}");
    train(path, &[&flags[..], &["--no-crop", "--no-flip", "--no-cutout", "--out=plain"]].concat());
    assert!(model(path, "cached") == model(path, "plain"), "other bits");
    let losses = |run: &str| {
        let of = |e: &EpochMetrics| (e.train_loss, e.loss(), e.accuracy());
        lines(path.join(run).join("metrics.jsonl")).iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(losses("cached"), losses("plain"));
    // A resumed run computes the features again.
    let arguments =
        tiny(&[&flags[..], &["--epochs=30", "--cache-features", "--out=whole"]].concat());
    assert!(wgrad(path, &arguments).status.success());
    let arguments: Vec<_> = arguments
        .iter()
        .map(|&flag| if flag == "--out=whole" { "--out=stopped" } else { flag })
        .collect();
    assert_eq!(interrupt(path, &arguments, "\n 2/30").status.code(), Some(130));
    let output = wgrad(path, &["train", "--resume", "stopped"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(model(path, "stopped") == model(path, "whole"), "other bits");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let folder = folder_with_data();
    let refused = |flags: &[&str], words: &str| {
        assert_fails(&wgrad(folder.path(), &tiny(flags)), 2, &[words]);
        assert!(!folder.path().join("run").exists());
    };
    refused(
        &["--freeze=prep,layr1"],
        "freeze layr1: the value must be the name of a parameter of resnet9, or its beginning up to a dot; the nearest \
         are layer1, layer2, layer3",
    );
    refused(
        &["--lr-scale=layer2.=0.1"],
        "lr-scale layer2.: the value must be the name of a parameter",
    );
    refused(&["--lr-scale=fc=0"], "is not a list of parameters with factors above 0");
    refused(&["--freeze=prep,,fc"], "is not a list of beginnings of parameter names");
    refused(&["--freeze=prep.1.running_mean"], "the nearest are ");
    refused(
        &["--freeze=prep,layer1,res1,layer2,layer3,res2,fc"],
        "the value must leave a parameter to train",
    );
    refused(&["--unfreeze-at=2"], "unfreeze-at 2: the value must come with freeze");
    for at in ["--unfreeze-at=1", "--unfreeze-at=3"] {
        refused(&["--freeze=prep", at], "the value must be from 2 to 2, the number of epochs");
    }
    refused(
        &["--freeze=prep", "--unfreeze-at=2", "--epochs=1"],
        "unfreeze-at 2: the value must come with 2 epochs or more, because the first epoch is always frozen",
    );
    refused(&["--cache-features"], "cache-features true: the value must come with freeze");
    let freeze = "--freeze=prep";
    for augmentation in ["--no-crop=false", "--no-flip=false", "--jitter-contrast=0.2"] {
        refused(
            &[freeze, "--cache-features", augmentation],
            "cache-features true: the value must come without augmentation",
        );
    }
    refused(
        &[freeze, "--cache-features", "--unfreeze-at=2"],
        "come without unfreeze-at; a second run",
    );
    refused(
        &["--freeze=layer1", "--cache-features"],
        "come with a frozen first layer; freeze does not have prep.0.weight",
    );
}

#[test]
fn frozen_layers_without_weights_get_a_note() {
    let folder = folder_with_data();
    let flags = ["--freeze=prep", "--epochs=1"];
    let note = "note: freeze: the frozen layers keep random weights, because weights names no file to start from";
    assert!(stderr(&train(folder.path(), &flags)).contains(note));
    let sweep = ["lr-find", "--data-dir=data", "--device=cpu", "--width=4", "--batch-size=8"];
    let flags = ["--steps=20", "--freeze=prep,layer1", "--cache-features", "--out=sweep"];
    let output = wgrad(folder.path(), &[&sweep[..], &flags].concat());
    assert!(stderr(&output).contains(note), "{}", stderr(&output));
    assert!(stdout(&output).contains("smoothed loss"), "{}", stdout(&output));
    let output = wgrad(folder.path(), &[&sweep[..], &["--unfreeze-at=2"]].concat());
    assert_fails(&output, 2, &["--unfreeze-at: not a setting of a sweep"]);
}
