//! The first command of a new user: `wgrad train` without a GPU, without CIFAR-10 and without the internet.

use std::process::Command;
use std::time::Instant;

use wgrad::train::EpochMetrics;

#[test]
#[ignore = "trains for a minute or two"]
fn the_shapes_are_learned_to_more_than_90_percent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_wgrad"))
        .args(["train", "--device", "cpu", "--out", "run"])
        .current_dir(folder.path())
        .env_remove("WGRAD_DATA")
        .env("WGRAD_OFFLINE", "1")
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}in all {:.0} s", begun.elapsed().as_secs_f64());

    // The first and the last lines state that these are not CIFAR-10's images.
    assert_eq!(text.matches("the built-in shapes are used").count(), 2);
    let metrics =
        std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).expect("metrics");
    let last: EpochMetrics =
        serde_json::from_str(metrics.lines().last().expect("epochs")).expect("a line of metrics");
    assert!(last.accuracy() > 0.9, "{last:?}");
}
