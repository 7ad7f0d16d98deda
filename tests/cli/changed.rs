//! Runs that continue with changed files or settings.

use wgrad::train::checkpoint::CheckpointFile;

use super::pictures::{folder_with_pictures, on_pictures, write_pictures};
use super::resume::{RESUME, long_run, model_without_a_stop, newest_checkpoint};
use super::support::*;

#[test]
fn changed_data_and_settings_are_named() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = interrupt(path, &long_run(), "\n 2/30");
    assert_eq!(output.status.code(), Some(130));

    let with = |more: &[&str]| wgrad(path, &[&RESUME, more].concat());
    assert_fails(&with(&["--max-lr=0.5"]), 1, &["max-lr is 0.5, but was 0.01", "hint:"]);
    assert_fails(
        &with(&["--seed=7", "--no-crop"]),
        1,
        &["no-crop is true", "seed is 7, but was 0"],
    );
    assert_fails(&with(&["--width=5"]), 1, &["width is 5, but was 4"]);
    let adamw = ["optimizer is \"adamw\", but was \"adam\""];
    assert_fails(&with(&["--optimizer=adamw"]), 1, &adamw);
    assert_eq!(with(&["--out=other"]).status.code(), Some(2));

    let config = fs::read_to_string(path.join("run/config.toml")).expect("settings");
    fs::write(path.join("run/config.toml"), config.replace("epochs = 30", "epochs = 31"))
        .expect("written");
    assert_fails(&with(&[]), 1, &["epochs is 31, but was 30"]);
    fs::write(path.join("run/config.toml"), config).expect("written");

    let test = fs::read(path.join("data/test_batch.bin")).expect("images");
    let mut other = test.clone();
    other[100] ^= 1;
    fs::write(path.join("data/test_batch.bin"), other).expect("written");
    assert_fails(&with(&[]), 1, &["the images are not those"]);
    fs::write(path.join("data/test_batch.bin"), test).expect("written");

    let newest = newest_checkpoint(path);
    let good = fs::read(&newest).expect("a checkpoint");
    let name = newest.file_name().expect("a name").to_string_lossy().into_owned();
    fs::write(&newest, &good[..good.len() / 2]).expect("written");
    assert_fails(&with(&[]), 1, &[&name, "damaged", "hint:", "move its file away"]);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    fs::write(&newest, flipped).expect("written");
    assert_fails(&with(&[]), 1, &[&name, "checksum"]);
    // As the hint says, the run continues after the damaged checkpoint is moved away.
    fs::remove_file(&newest).expect("removed");
    assert!(with(&[]).status.success());

    assert_fails(&wgrad(path, &["train", "--resume", "data"]), 1, &["data is not a run folder"]);
}

/// Settings that an earlier version of the program did not have are missing from its `config.toml`. A resumed run uses
/// the defaults of these settings.
#[test]
fn a_run_of_an_earlier_version_goes_on_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = model_without_a_stop(path, &[]);
    assert_eq!(interrupt(path, &long_run(), "\n 2/30").status.code(), Some(130));
    let newer = ["schedule", "optimizer", "no-decay-norm"];
    let older = |config: &str| {
        let is_older = |line: &&str| !newer.iter().any(|key| line.starts_with(&format!("{key} =")));
        config.lines().filter(is_older).map(|line| format!("{line}\n")).collect::<String>()
    };
    let config = path.join("run/config.toml");
    let text = fs::read_to_string(&config).expect("settings");
    assert_ne!(older(&text), text);
    fs::write(&config, older(&text)).expect("written");
    let newest = newest_checkpoint(path);
    let layout = layout_of_width(4);
    let file = CheckpointFile::read(&newest).expect("a checkpoint");
    let mut checkpoint = file.restore(&layout).expect("it fits");
    checkpoint.header.config = older(&checkpoint.header.config);
    checkpoint.save(&layout, &newest).expect("written");
    let output = wgrad(path, &RESUME);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
}

/// Images that have moved are found by a flag, and the run records their present path. Other images are named as the
/// difference, without the settings that follow from them.
#[test]
fn images_may_move_and_other_images_are_named_first() {
    let folder = folder_with_pictures();
    let path = folder.path();
    let config = || fs::read_to_string(path.join("my run/config.toml")).expect("settings");
    let with = |more: &[&str]| with_cache(path, &[&["train", "--resume", "my run"], more].concat());
    write_pictures(&path.join("other"), "train", &records(60, 5));
    write_pictures(&path.join("other"), "test", &records(25, 6));
    let flags = ["--epochs=30", "--checkpoint-every=3", "--out=my run"];
    let interrupted = interrupt(path, &on_pictures(&flags), "\n 2/30");
    assert_eq!(interrupted.status.code(), Some(130));
    let hint = "hint: `wgrad train --resume 'my run'` continues the run\n";
    assert!(stderr(&interrupted).contains(hint), "{}", stderr(&interrupted));

    fs::rename(path.join("pictures"), path.join("my pictures")).expect("renamed");
    let refused = with(&["--data=./other", "--max-lr=0.5"]);
    let words = [
        "my run cannot be resumed: data is \"",
        "other\", but was \"",
        "; max-lr is 0.5, but was 0.005\n",
        "`wgrad train --config 'my run/config.toml' --weights 'my run' --data ",
    ];
    assert_fails(&refused, 1, &words);
    let text = stderr(&refused);
    assert!(!text.contains("mean") && !text.contains("classes"), "{text}");
    assert_fails(
        &with(&["--data=./my pictures", "--mean=imagenet"]),
        1,
        &["resumed: mean is \"imagenet"],
    );
    assert!(!config().contains("my pictures"), "{}", config());
    let output = with(&["--data=./my pictures", "--memory-limit=1GiB"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let moved = config();
    assert!(moved.contains("/my pictures\"\n") && !moved.contains("memory-limit"), "{moved}");
    assert!(moved.contains("classes = ") && moved.contains("mean = "), "{moved}");
    succeeded(&with_cache(path, &["report", "my run", "--device=cpu"]));

    // The run is finished. The command of the job with other pictures would be another run.
    let other = on_pictures(&[&flags[..], &["--data=./other", "--auto-resume"]].concat());
    let refused = with_cache(path, &other);
    assert_fails(
        &refused,
        1,
        &["run cannot be resumed: data is \"", "--another-cycle 'my run' --data "],
    );
    assert!(!stderr(&refused).contains("mean"), "{}", stderr(&refused));
}

#[test]
fn the_files_of_a_dataset_may_move() {
    let folder = folder_with_data();
    let path = folder.path();
    assert_eq!(interrupt(path, &long_run(), "\n 2/30").status.code(), Some(130));
    fs::rename(path.join("data"), path.join("moved")).expect("renamed");
    assert_fails(&wgrad(path, &RESUME), 1, &["data"]);
    succeeded(&wgrad(path, &[&RESUME[..], &["--data-dir=moved"]].concat()));
    let config = fs::read_to_string(path.join("run/config.toml")).expect("settings");
    assert!(config.contains("/moved\"\n"), "{config}");
    succeeded(&wgrad(path, &["report", "run", "--device=cpu"]));
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}
