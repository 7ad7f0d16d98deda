//! Networks that are chosen by name: their runs, their weights files, and errors.

use super::support::*;

use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;

/// Writes initial weights of a network into the file `w`.
fn weights_of(folder: &Path, name: &str, classes: usize) {
    let network = by_name(name).expect("a name");
    let tape = NetworkConfig::new(network, 4, classes).tape([32, 32, 3]);
    let (state, path) = (tape.state(), folder.join("w"));
    Weights::initial(state, 0).save(state, None, &path).expect("written");
}

#[test]
fn the_networks_are_listed_with_their_sizes() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = wgrad(folder.path(), &["networks"]);
    let text = stdout(&output);
    for words in ["resnet9 ", "6,573,120", "resnet20", "269,722", "resnet56", "853,018"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = stdout(&wgrad(folder.path(), &["summary", "--network=resnet20"]));
    assert!(text.contains("Total params: 269,722"), "{text}");
}

#[test]
fn a_summary_and_a_drawing_count_auxiliary_heads_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = stdout(&wgrad(folder.path(), &["summary", "--network=googlenet"]));
    assert!(text.contains("Total params: 6,624,904"), "{text}");
    assert!(text.contains("heads, 6,379,984 params: 13,004,888 together"), "{text}");
    let note = |mode: &[&str]| {
        let tape = &["tape", "--network=googlenet", "--batch-size=2", "--svg=drawing.svg"];
        assert!(wgrad(folder.path(), &[tape, mode].concat()).status.success());
        let drawing = fs::read_to_string(folder.path().join("drawing.svg")).expect("a drawing");
        drawing.lines().find(|line| line.contains("class=\"note\"")).expect("a note").to_string()
    };
    let text = note(&["--eval"]);
    assert!(text.contains("6,624,904 parameters (13,004,888 with the auxiliary heads)"), "{text}");
    assert!(note(&[]).contains(">13,004,888 parameters ·"));
}

/// A change of a network or of the drawing makes them anew: `wgrad tape --eval --no-fuse --network NAME --svg FILE`.
#[test]
fn the_drawings_in_the_documents_are_those_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawings = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/networks");
    for entry in fs::read_dir(drawings).expect("a folder") {
        let path = entry.expect("a drawing").path();
        let network = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let tape = ["tape", "--eval", "--no-fuse", "--network", &network, "--svg=drawing.svg"];
        assert!(wgrad(folder.path(), &tape).status.success(), "{network}");
        let drawn = fs::read(folder.path().join("drawing.svg")).expect("drawn");
        assert!(drawn == fs::read(&path).expect("a drawing"), "{network}: another drawing");
    }
}

#[test]
fn an_unknown_network_is_a_wrong_use_and_has_the_nearest_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for command in [&["train"][..], &["eval", "--weights=w"], &["summary"], &["tape"]] {
        let output = wgrad(path, &[command, &["--network=resnet5"]].concat());
        assert_fails(&output, 2, &["did you mean resnet5", "`wgrad networks` lists the names"]);
    }
    fs::write(path.join("settings.toml"), "network = 'resnet5'").expect("written");
    let output = wgrad(path, &["train", "--config=settings.toml"]);
    assert_fails(&output, 2, &["did you mean resnet5", "`wgrad networks` lists the names"]);
}

#[test]
fn a_run_of_another_network_is_evaluated_resumed_reported_and_compared() {
    let folder = folder_with_data();
    let path = folder.path();
    let normalisation = ["--mean=0.485,0.456,0.406", "--std=0.229,0.224,0.225"];
    let train = tiny(&[&["--network=resnet20"], &normalisation[..]].concat());
    let output = interrupt(path, &[&train[..], &["--epochs=3"]].concat(), " 1/3");
    assert!(stdout(&output).contains("network   resnet20, width 4: "), "{}", stdout(&output));
    let output = wgrad(path, &["train", "--resume=run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let whole = wgrad(path, &[&train[..], &["--epochs=3", "--out=whole"]].concat());
    assert!(whole.status.success(), "{}", stderr(&whole));
    let model = |run: &str| fs::read(path.join(run).join("model.safetensors")).expect("weights");
    assert!(model("run") == model("whole"), "the resumed run has other bits");

    let eval = |more: &[&str]| {
        wgrad(path, &[&["eval", "--weights=run", "--device=cpu", "--json"], more].concat())
    };
    let loss = |output: &Output| {
        assert!(output.status.success(), "{}", stderr(output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        json["loss"].as_f64().expect("a number")
    };
    // The weights file records the network and the normalisation, so `wgrad eval` needs no flags for them. The last
    // line of `metrics.jsonl` has the same loss.
    let recorded = loss(&eval(&[]));
    let last = lines(path.join("run/metrics.jsonl")).pop().expect("an epoch").loss();
    assert!((recorded - last).abs() < 1e-6, "{recorded}, expected {last}");
    assert_eq!(loss(&eval(&normalisation)), recorded);
    assert_ne!(loss(&eval(&["--mean=0,0,0"])), recorded);
    assert_fails(&eval(&["--mean=0.5"]), 2, &["mean 0.5: the value must be 3 numbers"]);
    let words =
        ["the file has resnet20, and the network has resnet9", "hint: use --network resnet20"];
    assert_fails(&eval(&["--network=resnet9"]), 1, &words);

    let output = wgrad(path, &["report", "run", "--device=cpu"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(path.join("run/report.html")).expect("a page");
    assert!(page.contains("resnet20, width 4") && !page.contains("resnet9"));
    assert!(wgrad(path, &tiny(&["--out=other"])).status.success());
    let text = stdout(&wgrad(path, &["compare", "run", "other"]));
    let row = text.lines().find(|line| line.starts_with("network")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["network", "resnet20", "resnet9"]);

    // Another run starts from these weights. It takes its network and width from the weights file.
    let start = ["train", "--weights=run", "--data-dir=data", "--device=cpu", "--batch-size=8"];
    let output = wgrad(path, &[&start[..], &["--epochs=1", "--out=next"]].concat());
    assert!(stdout(&output).contains("network   resnet20, width 4: "), "{}", stderr(&output));
}

#[test]
fn a_file_without_a_record_is_read_with_the_network_of_the_flag() {
    let folder = folder_with_data();
    let path = folder.path();
    let eval = |more: &[&str]| {
        let base = ["eval", "--weights=w", "--data-dir=data", "--device=cpu"];
        wgrad(path, &[&base, more].concat())
    };
    weights_of(path, "resnet20", 10);
    let output = eval(&["--network=resnet20"]);
    assert!(stdout(&output).contains("network   resnet20, width 4, from w"), "{}", stderr(&output));
    let words = ["the file has resnet20, and the network has resnet9", "use --network resnet20"];
    assert_fails(&eval(&[]), 1, &words);
    let other = eval(&["--network=resnet32"]);
    assert_fails(&other, 1, &["the file has resnet20, and the network has resnet32"]);
    // The number of classes is that of the last layer in the weights file.
    weights_of(path, "resnet20", 7);
    let output = eval(&["--network=resnet20"]);
    assert_fails(&output, 1, &["the network has 7 classes, but the data has 10"]);
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/wide.png");
    let picture = picture.to_string_lossy().into_owned();
    let predict = ["predict", "--weights=w", "--network=resnet20", "--device=cpu", "--json"];
    let output = wgrad(path, &[&predict[..], &[&picture]].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json[0]["logits"].as_array().map(Vec::len), Some(7));
    assert_eq!(json[0]["top"][0]["class"], json[0]["top"][0]["label"].to_string());
}

/// In a run folder of an earlier version of the program, `config.toml`, the checkpoint and the weights name no network.
#[test]
fn a_run_without_a_recorded_network_is_a_resnet9_and_is_resumed() {
    let folder = folder_with_data();
    let path = folder.path();
    interrupt(path, &tiny(&["--epochs=3"]), " 1/3");
    for file in ["run/config.toml", "run/best.safetensors", "run/model.safetensors"] {
        let Ok(bytes) = fs::read(path.join(file)) else { continue };
        fs::write(path.join(file), without_network(&bytes)).expect("written");
    }
    let config = fs::read_to_string(path.join("run/config.toml")).expect("text");
    assert!(!config.contains("network"), "{config}");
    let output = wgrad(path, &["train", "--resume=run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = path.join("run/model.safetensors");
    let bytes = without_network(&fs::read(&model).expect("weights"));
    fs::write(&model, bytes).expect("written");
    let output = wgrad(path, &["eval", "--weights=run", "--device=cpu"]);
    assert!(
        stdout(&output).contains("network   resnet9, width 4, from run"),
        "{}",
        stderr(&output)
    );
    let output = wgrad(path, &["report", "run", "--device=cpu"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Returns the bytes of a file without the entry that names the network. In a safetensors file, spaces replace the
/// entry, so the length of the header stays the same.
fn without_network(bytes: &[u8]) -> Vec<u8> {
    let line = b"network = \"resnet9\"\n";
    let entry = br#"\"network\":{\"name\":\"resnet9\",\"width\":4},"#;
    for (part, filler) in [(&line[..], ""), (&entry[..], " ")] {
        if let Some(at) = bytes.windows(part.len()).position(|window| window == part) {
            let filler = filler.repeat(part.len());
            return [&bytes[..at], filler.as_bytes(), &bytes[at + part.len()..]].concat();
        }
    }
    bytes.to_vec()
}
