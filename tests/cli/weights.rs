//! Trained weights and their dataset: `eval` and `report` use the images of the training, or state that they use
//! others.

use super::support::*;

use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;

/// Returns a folder with a run of two epochs in `run`, and other images in CIFAR-10's format in `other`.
fn folder_with_run() -> TempDir {
    let folder = folder_with_data();
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("data_batch_1.bin"), records(30, 4)).expect("written");
    fs::write(other.join("test_batch.bin"), records(30, 5)).expect("written");
    let output = wgrad(folder.path(), &tiny(&[]));
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

/// Evaluates the run's weights on the CPU.
fn eval(folder: &Path, more: &[&str]) -> Output {
    let base = ["eval", "--weights", "run/model.safetensors", "--device", "cpu"];
    wgrad(folder, &[&base, more].concat())
}

/// Returns the number of images of an evaluation.
fn n_images(output: &Output) -> u64 {
    assert!(output.status.success(), "{}", stderr(output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["images"].as_u64().expect("a number")
}

#[test]
fn weights_are_measured_on_the_data_of_their_training() {
    let folder = folder_with_run();
    let path = folder.path();
    // Only the settings beside the weights name the dataset's folder.
    let output = eval(path, &["--json"]);
    assert_eq!((n_images(&output), stderr(&output).as_str()), (25, ""));

    // Class names in the weights file take precedence over those of the dataset.
    let names: String = (0..10).map(|ix| format!("sort {ix}\n")).collect();
    fs::write(path.join("data/batches.meta.txt"), names).expect("written");
    let table = stdout(&eval(path, &[]));
    assert!(table.contains("airplane") && !table.contains("sort 0"), "{table}");
    fs::remove_file(path.join("data/batches.meta.txt")).expect("removed");

    // For a weights file without settings beside it, $WGRAD_DATA names the folder of the dataset.
    fs::create_dir(path.join("away")).expect("a folder");
    fs::rename(path.join("run/model.safetensors"), path.join("away/w")).expect("moved");
    let elsewhere = |variable: &str| {
        let eval = ["eval", "--weights", "away/w", "--device", "cpu", "--json"];
        command(path, &eval).env("WGRAD_DATA", variable).output().expect("it starts")
    };
    assert_eq!(n_images(&elsewhere("data")), 25);
    // If the dataset of the training is missing, the command uses neither the built-in shapes nor other images.
    let output = elsewhere("other");
    let words = ["away/w", "trained on cifar10", "other holds other images", "with --data-dir"];
    assert_fails(&output, 1, &words);
    let output = wgrad(path, &["eval", "--weights", "away/w", "--device", "cpu"]);
    assert_fails(&output, 1, &["trained on cifar10", "cifar-10-batches-bin is not there"]);
    // The search for the dataset skips a folder without images. Here $WGRAD_DATA names such a folder, and the default
    // folder has the images.
    fs::create_dir_all(path.join("empty/data")).expect("a folder");
    let link = path.join("empty/data/cifar-10-batches-bin");
    std::os::unix::fs::symlink(path.join("data"), link).expect("a link");
    let eval_there = ["eval", "--weights", "../away/w", "--device", "cpu", "--json"];
    let mut there = command(&path.join("empty"), &eval_there);
    assert_eq!(n_images(&there.env("WGRAD_DATA", ".").output().expect("it starts")), 25);

    // A flag for the dataset takes precedence over the dataset of the training, and a note states that its images are
    // not those of the training.
    for (flags, n) in [(["--data-dir", "other"], 30), (["--data", "shapes"], 2000)] {
        let flags = [&["eval", "--weights", "away/w", "--device", "cpu", "--json"], &flags[..]];
        let output = wgrad(path, &flags.concat());
        assert_eq!(n_images(&output), n);
        let note = stderr(&output);
        assert!(note.starts_with("note: not the data of the training: "), "{note}");
    }
    let output =
        wgrad(path, &["eval", "--weights=away/w", "--device=cpu", "--data-dir=data", "--json"]);
    assert_eq!((n_images(&output), stderr(&output).as_str()), (25, ""), "the same images");
}

#[test]
fn weights_of_the_shapes_are_measured_on_the_shapes() {
    let folder = folder_with_data();
    let path = folder.path();
    let train = ["train", "--data=shapes", "--device=cpu", "--width=4", "--epochs=1", "--out=run"];
    assert!(wgrad(path, &train).status.success());
    let eval = ["eval", "--weights=run", "--device=cpu", "--json"];
    let output = command(path, &eval).env("WGRAD_DATA", "data").output().expect("it starts");
    assert_eq!((n_images(&output), stderr(&output).as_str()), (2000, ""));
}

#[test]
fn weights_without_a_record_use_the_dataset_of_the_flags() {
    let folder = folder_with_data();
    let path = folder.path();
    let layout = layout_of_width(4);
    fs::create_dir(path.join("run")).expect("a folder");
    let model = path.join("run/model.safetensors");
    Weights::initial(&layout, 0).save(&layout, None, &model).expect("written");
    let output = eval(path, &["--data-dir=data", "--json"]);
    assert_eq!(n_images(&output), 25);
    assert_eq!(
        stderr(&output),
        "note: run/model.safetensors does not record the data that it was trained on; measured on cifar10\n\
         note: run/model.safetensors does not record mean and standard deviation of its images; --mean \
         0.4914,0.4822,0.4465 --std 0.247,0.2435,0.2616 are used\n"
    );
}

#[test]
fn weights_without_a_record_are_normalised_with_a_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/wide.png");
    let picture = picture.to_string_lossy().into_owned();
    for (name, of_imagenet) in [("resnet20", false), ("resnet18", true)] {
        let network = by_name(name).expect("a name");
        let tape = NetworkConfig::new(network, 4, 10).tape([32, 32, 3]);
        Weights::initial(tape.state(), 0).save(tape.state(), None, &path.join("w")).expect("saved");
        let predict = |more: &[&str]| {
            let network = format!("--network={name}");
            let base = ["predict", "--weights=w", "--device=cpu", "--image-size=32", "--json"];
            let output = wgrad(path, &[&base[..], &[&*network, &*picture], more].concat());
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let errors = stderr(&output);
            let note = errors.lines().find(|line| line.contains("--mean")).map(str::to_string);
            (json[0]["logits"].clone(), note)
        };
        let (logits, note) = predict(&[]);
        let note = note.expect("a note");
        assert_eq!(
            note.contains(&format!("{name} was published for ImageNet")),
            of_imagenet,
            "{note}"
        );
        // The values in the note are those that the step used.
        let flags: Vec<_> = note.split(' ').skip_while(|word| *word != "--mean").take(4).collect();
        assert_eq!(predict(&flags), (logits, None));
        assert!(predict(&flags[..2]).1.is_some(), "--std is missing");
    }
}

#[test]
fn a_report_does_not_mix_two_datasets() {
    let folder = folder_with_run();
    let path = folder.path();
    let page = || fs::read_to_string(path.join("run/report.html")).expect("a page");
    let ours = page();
    assert!(ours.contains("Augmented batch") && ours.contains(">Learning rate<"));
    let report = |more: &[&str]| wgrad(path, &[&["report", "run", "--device=cpu"], more].concat());
    let output = report(&["--data-dir=other"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("not the data of the training"), "{}", stderr(&output));
    let other = page();
    assert!(other.contains("Not the data of the training") && other.contains("Confusion matrix"));
    for words in ["Augmented batch", ">Learning rate<"] {
        assert!(!other.contains(words), "{words} is made from the images of the training");
    }
    // If the run's own images have changed, there is no report.
    fs::remove_dir_all(path.join("data")).expect("removed");
    fs::rename(path.join("other"), path.join("data")).expect("moved");
    assert_fails(&report(&[]), 1, &["data holds other images", "hint:"]);
}

#[test]
fn equal_tensors_make_equal_files() {
    let folder = folder_with_data();
    let path = folder.path();
    for run in ["--out=a", "--out=b", "--out=elsewhere/c"] {
        let output = wgrad(path, &tiny(&[run]));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let file = |run: &str, name: &str| fs::read(path.join(run).join(name)).expect("weights");
    for name in ["model.safetensors", "best.safetensors"] {
        assert!(file("a", name) == file("b", name), "{name}: other bytes from another process");
        assert!(file("a", name) == file("elsewhere/c", name), "{name}: the folder is in the file");
    }
    let text = String::from_utf8_lossy(&file("a", "model.safetensors")).into_owned();
    assert!(text.contains(r#""__metadata__":{"format":"pt","wgrad":"{\"classes\":[\"airplane\""#));
}

#[test]
fn classes_have_the_names_beside_the_images() {
    let folder = folder_with_data();
    let path = folder.path();
    let names: Vec<String> = (0..10).map(|ix| format!("sort {ix}")).collect();
    let lines = format!("\u{feff}{}\r\n\r\n", names.join("\r\n"));
    fs::write(path.join("data/batches.meta.txt"), lines).expect("written");
    let output = wgrad(path, &tiny(&[]));
    assert!(output.status.success(), "{}", stderr(&output));

    let table = stdout(&eval(path, &[]));
    assert!(table.contains("\nsort 0 ") && !table.contains("airplane"), "{table}");
    let page = fs::read_to_string(path.join("run/report.html")).expect("a page");
    assert!(page.contains("sort 9") && !page.contains("airplane"));
    // Prediction needs no dataset: the weights file has the class names.
    fs::rename(path.join("run/model.safetensors"), path.join("w")).expect("moved");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let picture = fixtures.join("wide.png").to_string_lossy().into_owned();
    let output = wgrad(path, &["predict", "--weights=w", "--device=cpu", &picture]);
    assert!(stdout(&output).contains("sort "), "{}", stdout(&output));
    assert_eq!(stderr(&output), "");

    for (names, words) in
        [("one\ntwo\n", "has 2 names for 10 classes"), ("\u{0}", "has 1 name for 10 classes")]
    {
        fs::write(path.join("data/batches.meta.txt"), names).expect("written");
        let output = wgrad(path, &tiny(&["--out=other"]));
        assert_fails(&output, 1, &["batches.meta.txt", words, "hint:"]);
    }
    fs::write(path.join("data/batches.meta.txt"), [0xff, 0xfe]).expect("written");
    assert_fails(&wgrad(path, &tiny(&["--out=other"])), 1, &["batches.meta.txt is not UTF-8"]);
}

/// Applies `change` to initial weights of width 4 and writes them to the file `w`.
fn damaged(folder: &Path, change: impl Fn(&mut Weights)) {
    let layout = layout_of_width(4);
    let mut weights = Weights::initial(&layout, 0);
    change(&mut weights);
    weights.save(&layout, None, &folder.join("w")).expect("written");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = folder_with_data();
    let path = folder.path();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let picture = fixtures.join("wide.png").to_string_lossy().into_owned();
    let eval = ["eval", "--weights=w", "--data-dir=data"];
    let predict = ["predict", "--weights=w", "--json", &picture];
    let train = tiny(&["--weights=w"]);
    for device in ["cpu", "gpu"] {
        let run = |command: &[&str]| wgrad(path, &[command, &["--device", device]].concat());
        let layout = layout_of_width(4);
        let variance = layout.find("prep.1.running_var").expect("there").1.offset;
        for value in [f32::NAN, f32::INFINITY, -1.0] {
            damaged(path, |weights| weights.running_statistics[variance + 2] = value);
            for command in [&eval[..], &predict] {
                let output = run(command);
                assert_fails(&output, 1, &["w: prep.1.running_var: element [2] is"]);
                assert_eq!(stdout(&output).matches('%').count(), 0, "no class has a probability");
            }
        }
        damaged(path, |weights| weights.parameters[0] = f32::NAN);
        assert_fails(&run(&eval), 1, &["prep.0.weight: element [0, 0, 0, 0] is NaN"]);
        // These weights are finite, but the logits are not: 1e30 squared exceeds the largest f32.
        damaged(path, |weights| weights.parameters.iter_mut().for_each(|value| *value *= 1e30));
        for command in [&eval[..], &predict] {
            assert_fails(&run(command), 1, &["image 0", "no class can be read from it", "hint:"]);
        }
    }
    damaged(path, |weights| weights.parameters[0] = f32::NAN);
    assert_fails(&wgrad(path, &train), 1, &["prep.0.weight: element [0, 0, 0, 0] is NaN"]);
    assert!(!path.join("run").exists(), "a run that cannot begin leaves no folder");
}

#[test]
fn weights_of_another_precision_and_wrapped_names_are_read_with_notes() {
    use safetensors::tensor::{Dtype, TensorView};
    let folder = folder_with_data();
    let path = folder.path();
    damaged(path, |_| {});
    let bytes = fs::read(path.join("w")).expect("weights");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("just written");
    let double = |view: &TensorView<'_>| -> Vec<u8> {
        let words = view.data().as_chunks().0.iter();
        words.flat_map(|&word| f64::from(f32::from_le_bytes(word)).to_le_bytes()).collect()
    };
    let tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let name = format!("module._orig_mod.{name}");
            match view.dtype() {
                Dtype::F32 => (name, Dtype::F64, view.shape().to_vec(), double(&view)),
                // The other tensors are PyTorch's batch counters. They become vectors of bytes, which wgrad ignores.
                _ => (name, Dtype::U8, vec![8], view.data().to_vec()),
            }
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("whole"))
    });
    fs::write(path.join("wrapped"), safetensors::serialize(views, None).expect("small"))
        .expect("written");
    let loss = |weights: &str| {
        let output = wgrad(
            path,
            &["eval", "--data-dir=data", "--device=cpu", "--json", "--weights", weights],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (json["loss"].as_f64().expect("a number"), stderr(&output))
    };
    let ((plain, _), (wrapped, notes)) = (loss("w"), loss("wrapped"));
    assert_eq!(plain, wrapped);
    for words in [
        "note: wrapped: removed the prefix \"module._orig_mod.\" from the names of ",
        "note: wrapped: converted ",
        " from F64 to F32",
        "note: wrapped: ignored ",
        "num_batches_tracked (U8 of [8])",
    ] {
        assert!(notes.contains(words), "{words:?} is not in {notes}");
    }
}

#[test]
fn no_command_overwrites_its_inputs() {
    let folder = folder_with_run();
    let path = folder.path();
    let before = fs::read(path.join("run/model.safetensors")).expect("weights");
    let refused = |arguments: &[&str]| {
        let output = wgrad(path, &[arguments, &["--device=cpu"]].concat());
        assert_fails(&output, 2, &["the command reads this file"]);
    };
    refused(&["eval", "--weights=run", "--logits=run/model.safetensors"]);
    refused(&["eval", "--weights=run", "--logits=data/test_batch.bin"]);
    // Commands do not overwrite the other files of a run either.
    for file in ["run/best.safetensors", "run/checkpoint-14.safetensors", "run/metrics.jsonl"] {
        let not_written = |arguments: &[&str]| {
            assert_fails(&wgrad(path, arguments), 2, &[file, "a part of a run"]);
        };
        let logits = format!("--logits={file}");
        not_written(&["eval", "--weights=run", "--device=cpu", &logits]);
        not_written(&["tape", "--width=4", &format!("--svg={file}")]);
        not_written(&["profile", "--width=4", "--device=cpu", &format!("--json={file}")]);
    }
    for own in ["model.safetensors", "config.toml", "metrics.jsonl", "../data/test_batch.bin"] {
        refused(&["report", "run", &format!("--out=run/{own}")]);
    }
    let output = wgrad(path, &["compare", "run", "run", "--out=run/summary.json"]);
    assert_fails(&output, 2, &["run/summary.json", "the command reads this file"]);
    assert!(fs::read(path.join("run/model.safetensors")).expect("there") == before);
    // A command replaces the page that it has written earlier.
    for _ in 0..2 {
        assert!(wgrad(path, &["compare", "run", "run"]).status.success());
        assert!(wgrad(path, &["report", "run", "--device=cpu"]).status.success());
    }
}
