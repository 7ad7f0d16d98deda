//! Missing and damaged data and weights.

use super::support::*;

#[test]
fn missing_or_damaged_data_is_an_error_with_a_hint() {
    let folder = folder_with_data();
    let path = folder.path();
    let data = path.join("data");
    let fails = |words: &[&str]| {
        assert_fails(&wgrad(path, &tiny(&[])), 1, words);
        assert!(!path.join("run").exists(), "nothing is trained on it");
    };

    let whole = records(25, 3);
    fs::write(data.join("test_batch.bin"), &whole[..2 * RECORD + 100]).expect("written");
    fails(&["test_batch.bin", &format!("byte {}", 2 * RECORD), "hint:"]);

    let mut label = whole.clone();
    label[RECORD] = 10;
    fs::write(data.join("test_batch.bin"), label).expect("written");
    fails(&["test_batch.bin", &format!("byte {RECORD}"), "10", "hint:"]);

    fs::remove_file(data.join("test_batch.bin")).expect("removed");
    fails(&["test_batch.bin", "missing", "hint:"]);

    fs::remove_dir_all(&data).expect("removed");
    fails(&["data", "no folder", "--data-dir", "hint:"]);

    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("data_batch_1.mat"), "x").expect("written");
    fails(&["MATLAB", "hint:", "binary version"]);

    // Without `--data-dir`, the data folder comes from $WGRAD_DATA, otherwise it is the default folder.
    let strict = ["train", "--data", "cifar10", "--out=run"];
    let output = command(path, &strict).env("WGRAD_DATA", "elsewhere").output().expect("it starts");
    assert_fails(&output, 1, &["elsewhere", "WGRAD_DATA"]);
    assert_fails(&wgrad(path, &strict), 1, &["cifar-10-batches-bin", "hint:"]);
    let layout = layout_of_width(2);
    Weights::initial(&layout, 0).save(&layout, None, &path.join("w")).expect("written");
    let eval = ["eval", "--weights", "w", "--data", "cifar10"];
    assert_fails(&wgrad(path, &eval), 1, &["cifar-10-batches-bin", "hint:"]);
}

#[test]
fn weights_that_do_not_fit_are_rejected() {
    let folder = folder_with_data();
    let path = folder.path();
    assert!(wgrad(path, &tiny(&[])).status.success());
    let eval = |more: &[&str]| {
        let arguments =
            [&["eval", "--data-dir", "data", "--device", "cpu", "--weights"], more].concat();
        wgrad(path, &arguments)
    };
    let model = "run/model.safetensors";
    assert_fails(&eval(&["nowhere"]), 1, &["nowhere"]);
    assert_fails(&eval(&[model, "--width", "5"]), 1, &[model, "prep.0.weight", "hint:", "--width"]);
    assert_fails(&eval(&["data/test_batch.bin"]), 1, &["test_batch.bin", "safetensors"]);
}
