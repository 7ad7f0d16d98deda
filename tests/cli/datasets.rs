//! Runs on datasets other than CIFAR-10, and errors for a wrong dataset or a wrong folder.

use super::support::*;

/// Writes 40 training and 20 test images in the format of CIFAR-100. The fine label of each is five times its coarse
/// label.
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
        // Without `--data`, `wgrad eval` finds the images through the run's `config.toml`. Its JSON lists every class.
        let output = wgrad(path, &["eval", "--weights", run, "--device=cpu", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["classes"].as_array().map(Vec::len), Some(n_classes), "{json}");
        // With `--data`, the number of classes of the weights decides which labels are read.
        let named = ["eval", "--weights", run, "--device=cpu", "--json", "--data=cifar100"];
        let named: serde_json::Value =
            serde_json::from_slice(&wgrad(path, &named).stdout).expect("JSON");
        assert_eq!(named["classes"], json["classes"]);
        let output = wgrad(path, &["report", run, "--device=cpu"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let resumed = wgrad(path, &["train", "--resume=coarse", "--coarse=false"]);
    assert_fails(&resumed, 1, &["coarse"]);
}

/// Writes IDX files of `n` grey images in ten classes, with 28 rows and 28 columns. Each class has its own brightness,
/// plus noise.
fn write_idx(folder: &Path, name: &str, n: usize) {
    let header = |numbers: &[u32]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    };
    let pixels = (0..n * 784).map(|at| (at / 784 % 10 * 24 + (at * 13 + at / 784) % 19) as u8);
    let labels = (0..n).map(|image| (image % 10) as u8);
    let images = [header(&[0x803, n as u32, 28, 28]), pixels.collect()].concat();
    let labels = [header(&[0x801, n as u32]), labels.collect()].concat();
    fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).expect("written");
    fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).expect("written");
}

#[test]
fn grey_images_of_28x28_pixels_are_trained_evaluated_and_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    let data = path.join("data/mnist");
    fs::create_dir_all(&data).expect("a folder");
    write_idx(&data, "train", 40);
    write_idx(&data, "t10k", 20);
    let output = wgrad(path, &tiny(&["--data=mnist", "--epochs=1"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("crop, cutout; seed"), "no flip: {}", stdout(&output));
    let config = fs::read_to_string(path.join("run/config.toml")).expect("text");
    for line in ["data = \"mnist\"", "no-flip = true", "mean = \"0.1307\""] {
        assert!(config.contains(line), "{config}");
    }
    let page = fs::read_to_string(path.join("run/report.html")).expect("a page");
    assert!(page.contains("width=\"96\" height=\"96\""), "pictures of the batch");
    let output = wgrad(path, &["eval", "--weights=run", "--device=cpu", "--tta=flip"]);
    assert!(stdout(&output).contains("of 20 images"), "{}", stderr(&output));
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/wide.png");
    let picture = picture.to_string_lossy().into_owned();
    let output = wgrad(path, &["predict", "--weights=run", "--device=cpu", &picture]);
    assert!(output.status.success(), "{}", stderr(&output));
    // Colour jitter and a mean of three channels do not fit grey images.
    let jitter = tiny(&["--data=mnist", "--jitter-saturation=0.2", "--out=other"]);
    assert_fails(&wgrad(path, &jitter), 2, &["jitter-saturation 0.2", "28x28x1"]);
    let mean = tiny(&["--data=mnist", "--mean=0.1,0.2,0.3", "--out=other"]);
    assert_fails(&wgrad(path, &mean), 2, &["mean 0.1,0.2,0.3", "be 1 number"]);
    let flipped =
        wgrad(path, &tiny(&["--data=mnist", "--epochs=1", "--no-flip=false", "--out=flipped"]));
    assert!(stdout(&flipped).contains("crop, flip, cutout"), "{}", stderr(&flipped));
}

#[test]
fn an_option_of_another_dataset_and_an_unknown_dataset_are_wrong_use() {
    let folder = folder_with_data();
    let path = folder.path();
    assert_fails(&wgrad(path, &tiny(&["--coarse"])), 2, &["coarse", "cifar100"]);
    let output = wgrad(path, &tiny(&["--data=cifar-10"]));
    assert_fails(&output, 2, &["did you mean cifar10?", "fashion-mnist", "shapes", "./cifar-10"]);
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

/// Returns a pickled batch as Python 2 and numpy write it, with the images of `records`.
fn pickled(records: &[u8]) -> Vec<u8> {
    let records = records.chunks(RECORD);
    let n = records.len() as u32;
    let labels: Vec<u8> = records.clone().flat_map(|record| [b'K', record[0]]).collect();
    let images: Vec<u8> = records.flat_map(|record| &record[1..]).copied().collect();
    [
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01J",
        &n.to_le_bytes()[..],
        b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNK\0K\0K\0tb\x89T",
        &(images.len() as u32).to_le_bytes(),
        &images,
        b"tbU\x06labels](",
        &labels,
        b"eu.",
    ]
    .concat()
}

#[test]
fn the_python_version_of_cifar10_trains_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    // torchvision unpacks this folder below the one that its user names.
    let python = path.join("python/cifar-10-batches-py");
    fs::create_dir_all(&python).expect("a folder");
    for name in ["data_batch_1", "data_batch_2", "test_batch"] {
        let binary = fs::read(path.join(format!("data/{name}.bin"))).expect("records");
        fs::write(python.join(name), pickled(&binary)).expect("written");
    }
    for (dir, out) in [("--data-dir=data", "--out=a"), ("--data-dir=python", "--out=b")] {
        let output = wgrad(path, &tiny(&["--epochs=1", dir, out]));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let model = |run: &str| fs::read(path.join(run).join("model.safetensors")).expect("weights");
    assert!(model("a") == model("b"), "the same images and labels in the same order");
    // Without `--data-dir`, the folder is also found in `./data`, where torchvision's examples put it.
    fs::remove_dir_all(path.join("data")).expect("removed");
    fs::rename(path.join("python"), path.join("data")).expect("moved");
    let flags: Vec<&str> = tiny(&["--data=cifar10", "--epochs=1", "--out=c"])
        .into_iter()
        .filter(|flag| !flag.starts_with("--data-dir"))
        .collect();
    let output = wgrad(path, &flags);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(model("a") == model("c"));

    fs::write(path.join("data/cifar-10-batches-py/test_batch"), "cos\nsystem\n.").expect("written");
    let eval = ["eval", "--weights=c", "--data=cifar10", "--device=cpu"];
    assert_fails(&wgrad(path, &eval), 1, &["test_batch", "os.system", "hint:"]);
}
