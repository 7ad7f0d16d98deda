//! Runs whose steps are divided into shards.

use std::fs;

use super::support::*;

#[test]
fn a_run_over_shards_continues_with_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    let shards = ["--shards=4", "--epochs=3"];
    let output = wgrad(path, &tiny(&[&shards[..], &["--out=whole"]].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("of 8 images in 4 shards; "), "{}", stdout(&output));
    let config = fs::read_to_string(path.join("whole/config.toml")).expect("settings");
    assert!(config.contains("shards = 4\n"), "{config}");

    interrupt(path, &tiny(&[&shards[..], &["--checkpoint-every=1"]].concat()), " 1/3 ");
    let other = wgrad(path, &["train", "--resume=run", "--shards=2"]);
    assert_fails(&other, 1, &["shards", "4", "2"]);
    let resumed = wgrad(path, &["train", "--resume=run"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let weights = |run: &str| fs::read(path.join(run).join("model.safetensors")).expect("weights");
    assert!(weights("run") == weights("whole"), "other bits");
}

#[test]
fn shards_that_do_not_divide_a_batch_are_refused_with_those_that_do() {
    let folder = folder_with_data();
    let train = wgrad(folder.path(), &tiny(&["--shards=3"]));
    assert_fails(
        &train,
        2,
        &["shards 3: the value must divide the batch size 8", "such as 2 or 4"],
    );
    let tape = wgrad(folder.path(), &["tape", "--batch-size=600", "--shards=300"]);
    assert_fails(&tape, 2, &["--shards 300: the value must divide the batch size 600, up to 256"]);
}

#[test]
fn a_shard_that_is_not_finite_is_found_when_the_step_runs_again() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = wgrad(path, &tiny(&["--shards=2", "--max-lr=1e20"]));
    assert_fails(&output, 1, &["the first value that is not finite is ", " of shard 0 "]);
    let replay = ["tape", "--replay=run/not-finite.safetensors", "--device=cpu"];
    let output = wgrad(path, &replay);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("shard 0 "), "{}", stdout(&output));
}

#[test]
fn a_tape_over_shards_lists_two_programs() {
    let folder = folder_with_data();
    let flags = ["tape", "--network=resnet9", "--width=4", "--batch-size=16", "--shards=4"];
    let output = wgrad(folder.path(), &flags);
    let text = stdout(&output);
    let programs: Vec<_> = text.lines().filter(|line| line.starts_with("Program ")).collect();
    let expected = [
        "Program 1 of 2, once for each of 4 shards of 4 images",
        "Program 2 of 2, once for all shards",
    ];
    assert_eq!(programs, expected);
    let memory = text.lines().find(|line| line.starts_with("partial sums")).expect("a line");
    assert!(memory.ends_with("2 for 4 shards"), "{memory}");
    let [first, second] = [text.find("partial_sum.accumulate"), text.find("adam.step")];
    assert!(first.is_some() && first < second, "{text}");
}
