//! Runs on datasets other than CIFAR-10, and folders of other datasets.

use super::support::*;

/// Writes records of CIFAR-100, whose fine label is five times the coarse one: 40 training and 20 test images.
fn write_cifar100(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let with_two_labels = |n: usize, seed: usize| -> Vec<u8> {
        let records = records(n, seed);
        let record = |record: &[u8]| [&[record[0], 5 * record[0]], &record[1..]].concat();
        records.chunks(RECORD).flat_map(record).collect()
    };
    fs::write(folder.join("train.bin"), with_two_labels(40, 1)).expect("written");
    fs::write(folder.join("test.bin"), with_two_labels(20, 2)).expect("written");
}

#[test]
fn cifar100_is_trained_evaluated_and_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    write_cifar100(&path.join("data/cifar-100-binary"));
    for (out, coarse, n_classes) in [("--out=fine", "", 100), ("--out=coarse", "--coarse", 20)] {
        let flags = ["--data=cifar100", "--epochs=1", out, coarse];
        let flags: Vec<_> = flags.into_iter().filter(|flag| !flag.is_empty()).collect();
        let output = wgrad(path, &tiny(&flags));
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains("not the published CIFAR-100"), "{}", stdout(&output));
        let run = out.trim_start_matches("--out=");
        let config = fs::read_to_string(path.join(run).join("config.toml")).expect("text");
        assert!(config.contains("data = \"cifar100\""), "{config}");
        assert!(config.contains(&format!("coarse = {}", !coarse.is_empty())), "{config}");
        // Without flags, the images are found through config.toml, and the record has the number of classes.
        let output = wgrad(path, &["eval", "--weights", run, "--device=cpu", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["classes"].as_array().map(Vec::len), Some(n_classes), "{json}");
        let output = wgrad(path, &["report", run, "--device=cpu"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let resumed = wgrad(path, &["train", "--resume=coarse", "--coarse=false"]);
    assert_fails(&resumed, 1, &["coarse"]);
}

#[test]
fn an_option_of_another_dataset_and_an_unknown_dataset_are_wrong_use() {
    let folder = folder_with_data();
    let path = folder.path();
    assert_fails(&wgrad(path, &tiny(&["--coarse"])), 2, &["coarse", "cifar100"]);
    let output = wgrad(path, &tiny(&["--data=cifar-10"]));
    assert_fails(&output, 2, &["cifar10", "fashion-mnist", "shapes", "similar"]);
    fs::write(path.join("settings.toml"), "data = \"minst\"\n").expect("written");
    let output = wgrad(path, &["train", "--config=settings.toml"]);
    assert_fails(&output, 2, &["did you mean mnist?", "cifar100", "shapes"]);
}

#[test]
fn a_folder_of_another_dataset_is_refused_and_the_hint_names_its_dataset() {
    let folder = folder_with_data();
    let path = folder.path();
    write_cifar100(&path.join("hundred"));
    let wrong = ["--data=cifar10", "--data-dir=hundred"];
    assert_fails(&wgrad(path, &tiny(&wrong)), 1, &["CIFAR-100", "hint:", "--data cifar100"]);
    let reverse = wgrad(path, &tiny(&["--data=cifar100"]));
    assert_fails(&reverse, 1, &["CIFAR-10,", "hint:", "--data cifar10`", "wgrad fetch cifar100"]);
    let missing = wgrad(path, &["train", "--data=mnist", "--out=run"]);
    assert_fails(&missing, 1, &["data/mnist", "train-images-idx3-ubyte", "hint:"]);
}
