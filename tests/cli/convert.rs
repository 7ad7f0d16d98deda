//! Files of `torch.save` as weights, and `wgrad convert`.

use super::support::*;
use safetensors::SafeTensors;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch");
    folder.join(name).to_string_lossy().into_owned()
}

#[test]
fn a_file_of_torch_becomes_the_safetensors_file_that_torch_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    for (name, expected) in [
        ("types.pt", "types.safetensors"),
        ("types_legacy.pt", "types.safetensors"),
        ("checkpoint.pth", "checkpoint.safetensors"),
        ("checkpoint_legacy.th", "checkpoint.safetensors"),
        ("resnet9.pth", "resnet9.safetensors"),
    ] {
        let output = wgrad(path, &["convert", &fixture(name), "out.safetensors"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).starts_with("weights   out.safetensors ("), "{}", stdout(&output));
        let selected = stderr(&output).contains("read the tensors of the entry \"state_dict\"");
        let stripped = stderr(&output).contains("removed the prefix \"module.\"");
        assert_eq!([selected, stripped], [!name.starts_with("types"); 2], "{}", stderr(&output));
        let found = fs::read(path.join("out.safetensors")).expect("written");
        let expected = fs::read(fixture(expected)).expect("a fixture");
        let [found, expected] =
            [&found, &expected].map(|bytes| SafeTensors::deserialize(bytes).expect("safetensors"));
        assert_eq!(found.len(), expected.len());
        for (name, expected) in expected.iter() {
            let found = found.tensor(name).expect(name);
            assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()));
            assert!(found.data() == expected.data(), "{name}");
        }
    }
}

#[test]
fn safetensors_keep_their_metadata_and_bytes() {
    let folder = folder_with_data();
    let path = folder.path();
    let output = wgrad(path, &tiny(&["--epochs=1"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let output = wgrad(path, &["convert", "run", "out.safetensors"]);
    assert_eq!((output.status.success(), stderr(&output).as_str()), (true, ""));
    let [model, out] = ["run/model.safetensors", "out.safetensors"]
        .map(|name| fs::read(path.join(name)).expect("a file"));
    assert!(model == out, "the tensors and the record of the training data are the same");

    for (out, words) in [
        ("run/model.safetensors", "the command reads this file"),
        ("run/best.safetensors", "a part of a run"),
        ("out.pth", "the command writes safetensors"),
    ] {
        let output = wgrad(path, &["convert", "run/model.safetensors", out]);
        assert_fails(&output, 2, &[out, words]);
    }
    let output = wgrad(path, &["convert", "nowhere.pth", "out.safetensors"]);
    assert_fails(&output, 1, &["nowhere.pth", "hint: name a .safetensors, .pt, .pth or .th file"]);
    let output = wgrad(path, &["convert", "run", "nowhere/out.safetensors"]);
    assert_fails(&output, 1, &["nowhere/out.safetensors"]);
}

#[test]
fn weights_of_torch_are_evaluated_and_trained_on() {
    let folder = folder_with_data();
    let path = folder.path();
    let evaluation = |name: &str| {
        let weights = fixture(name);
        let eval = ["eval", "--data-dir=data", "--device=cpu", "--json", "--weights", &weights];
        let output = wgrad(path, &eval);
        assert!(output.status.success(), "{}", stderr(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (json["loss"].clone(), json["classes"].clone())
    };
    let expected = evaluation("resnet9.safetensors");
    assert_eq!(evaluation("resnet9.pth"), expected);
    assert_eq!(evaluation("resnet9_legacy.th"), expected);

    let weights = format!("--weights={}", fixture("resnet9.pth"));
    let flags: Vec<&str> = tiny(&["--epochs=1", &weights])
        .into_iter()
        .filter(|flag| !flag.starts_with("--width"))
        .collect();
    let output = wgrad(path, &flags);
    assert!(output.status.success(), "{}", stderr(&output));
    let sha256 = Command::new("sha256sum").arg(fixture("resnet9.pth")).output();
    let sha256 = String::from_utf8(sha256.expect("coreutils").stdout).expect("text");
    let digits = sha256.split(' ').next().expect("a word");
    let config = fs::read_to_string(path.join("run/config.toml")).expect("text");
    assert!(config.contains(&format!("weights-sha256 = \"{digits}\"")), "{config}");
}

#[test]
fn files_with_more_than_tensors_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, words) in [
        ("system.pt", "posix.system"),
        ("system_legacy.pt", "posix.system"),
        ("module.pt", "torch.nn.modules.container.Sequential"),
        ("big_endian.pt", "big-endian"),
    ] {
        let output = wgrad(folder.path(), &["convert", &fixture(name), "out.safetensors"]);
        assert_fails(&output, 1, &[name, words, "hint:", "model.state_dict()"]);
        assert!(!stdout(&output).contains("this is run"));
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
    let whole = fs::read(fixture("types.pt")).expect("a fixture");
    fs::write(folder.path().join("cut.pt"), &whole[..whole.len() / 2]).expect("written");
    assert_fails(&wgrad(folder.path(), &["convert", "cut.pt", "o"]), 1, &["cut.pt", "torch.save"]);
}
