//! `wgrad predict` and the tables of `wgrad eval`, as commands on the CPU device.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use wgrad::data::{Split, cifar10, image_file};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::{ResNet9, Weights};
use wgrad::train::step::{self, StepConfig};
use wgrad::train::{Evaluator, Predictions};

const CONFIG: StepConfigOf = StepConfigOf { width: 2 };

struct StepConfigOf {
    width: usize,
}

impl StepConfigOf {
    fn batch(&self, n: usize) -> StepConfig {
        StepConfig::new(ResNet9 { width: self.width, classes: 10 }, n)
    }
}

fn weights() -> Weights {
    Weights::initial(step::evaluation(&CONFIG.batch(1)).tape.state(), 5)
}

/// Returns a folder with untrained weights.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layout = step::evaluation(&CONFIG.batch(1)).tape.state().clone();
    weights().save(&layout, None, &folder.path().join("model.safetensors")).expect("written");
    folder
}

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures").join(name)
}

fn wgrad(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).args(["--weights", "model.safetensors", "--device", "cpu"]);
    command.current_dir(folder.path()).env_remove("WGRAD_DATA").env("WGRAD_OFFLINE", "1");
    command.output().expect("it starts")
}

fn predict(folder: &TempDir, names: &[&str], flags: &[&str]) -> Output {
    let pictures: Vec<String> =
        names.iter().map(|name| picture(name).to_string_lossy().into_owned()).collect();
    let pictures = pictures.iter().map(String::as_str);
    wgrad(
        folder,
        &["predict"].into_iter().chain(pictures).chain(flags.iter().copied()).collect::<Vec<_>>(),
    )
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Predicts these pictures with the library, without the command.
fn expected(names: &[&str]) -> Predictions {
    Predictions::from_logits(&logits(names), 10)
}

/// Returns the logits of the pictures with these file names, `[n, 10]`.
fn logits(names: &[&str]) -> Vec<f32> {
    let images = names.iter().flat_map(|name| {
        image_file::read(&picture(name), cifar10::SIZE, [255; 3]).expect("a picture")
    });
    let split = Split::of(cifar10::SIZE, images.collect::<Vec<u8>>(), vec![0; names.len()]);
    let device = Device::cpu(OpenOptions::default());
    let mut evaluator = Evaluator::new(&device, &CONFIG.batch(names.len())).expect("it fits");
    evaluator.set_weights(&weights()).expect("they fit");
    evaluator.logits(&split, &|| false).expect("it runs").expect("whole")
}

#[test]
fn the_json_has_the_logits_of_all_classes_in_the_order_of_the_labels() {
    let folder = folder();
    let names = ["wide.png", "turned.jpg"];
    let found = json(&predict(&folder, &names, &["--json", "--top=1"]));
    for (image, expected) in logits(&names).chunks(10).enumerate() {
        let printed = found[image]["logits"].as_array().expect("a list");
        assert_eq!(printed.len(), 10);
        for (logit, expected) in printed.iter().zip(expected) {
            let off = logit.as_f64().expect("a number") - f64::from(*expected);
            assert!(off.abs() < 1e-6, "{logit}, expected {expected}");
        }
    }
}

#[test]
fn pictures_are_predicted_in_their_order() {
    let folder = folder();
    let names = ["wide.png", "turned.jpg", "grey16.png"];
    let found = json(&predict(&folder, &names, &["--json", "--top", "3"]));
    let expected = expected(&names);
    assert_eq!(found.as_array().map(Vec::len), Some(3));
    for (image, name) in names.iter().enumerate() {
        assert!(found[image]["file"].as_str().is_some_and(|file| file.ends_with(name)));
        let top = expected.top(image, 3);
        assert_eq!(found[image]["top"].as_array().map(Vec::len), Some(3));
        for (rank, (label, probability)) in top.into_iter().enumerate() {
            let printed = &found[image]["top"][rank];
            assert_eq!(printed["label"], label, "{name}: {printed}");
            let off = printed["probability"].as_f64().expect("a number") - f64::from(probability);
            assert!(off.abs() < 1e-7, "{name}: {printed}");
        }
    }
    let (one, other) = (&found[0]["top"][0]["probability"], &found[1]["top"][0]["probability"]);
    assert_ne!(one, other, "different pictures have different probabilities");

    let output = text(&predict(&folder, &names, &[]).stdout);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 3 * 6, "{output}");
    let (label, probability) = expected.top(0, 1)[0];
    assert!(lines[1].trim_start().starts_with(&format!("{label} ")), "{output}");
    assert!(lines[1].ends_with(&format!("{:.2}%", 100.0 * probability)), "{output}");
}

#[test]
fn class_names_come_from_the_run_or_a_flag() {
    let folder = folder();
    let label = expected(&["wide.png"]).class(0);
    let class_with = |flags: &[&str]| {
        let output = predict(&folder, &["wide.png"], &[&["--json"], flags].concat());
        let is_noted = text(&output.stderr).contains("their names are numbers");
        (json(&output)[0]["top"][0]["class"].as_str().expect("a name").to_string(), is_noted)
    };
    let names = |source: wgrad::data::Source| {
        source.dataset().spec(Default::default()).classes[label].clone()
    };
    let (cifar10, shapes) =
        (names(wgrad::data::Source::CIFAR10), names(wgrad::data::Source::SHAPES));
    assert_eq!(class_with(&[]), (label.to_string(), true), "no file names the classes");
    assert_eq!(class_with(&["--classes", "shapes"]), (shapes.clone(), false));
    assert_eq!(class_with(&["--classes", "0,1,2,3,4,5,6,7,8,9"]), (label.to_string(), false));
    fs::write(folder.path().join("config.toml"), "data = 'shapes'").expect("written");
    assert_eq!(class_with(&[]), (shapes, false), "the names come from the run");
    assert_eq!(class_with(&["--classes", "cifar10"]), (cifar10, false));

    let output = predict(&folder, &["wide.png"], &["--classes", "a,b"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--classes: the value must be 10 classes, not 2"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_picture_that_cannot_be_read_does_not_stop_the_others() {
    let folder = folder();
    let output = predict(&folder, &["wide.png", "generate.py", "none.png"], &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("generate.py: neither PNG nor JPEG, WebP"), "{message}");
    assert!(message.contains("none.png: "), "{message}");

    assert_eq!(
        wgrad(&folder, &["predict"]).status.code(),
        Some(2),
        "a command without a picture is wrong usage"
    );
    assert_eq!(predict(&folder, &["wide.png"], &["--top", "0"]).status.code(), Some(2));
    fs::write(folder.path().join("model.safetensors"), "text").expect("written");
    let output = predict(&folder, &["wide.png"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("neither a safetensors file nor"),
        "{}",
        text(&output.stderr)
    );
}

/// 600 pictures are three batches.
#[test]
fn pictures_of_all_batches_have_their_predictions() {
    let folder = folder();
    let names = ["wide.png", "turned.jpg", "grey16.png"];
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).expect("made");
    for ix in 0..600 {
        let file = pictures.join(format!("{ix:03}.png"));
        match ix {
            250 => fs::write(file, "text").expect("written"),
            _ => fs::copy(picture(names[ix % 3]), file).map(|_| ()).expect("copied"),
        }
    }
    let flags = ["predict", "pictures", "--json", "--top=1", "--out=page.html", "--explain"];
    for flags in [&flags[..4], &flags] {
        let output = wgrad(&folder, flags);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = found.as_array().expect("a list");
        assert_eq!(found.len(), 599);
        let expected = expected(&names);
        for picture in found {
            let file = picture["file"].as_str().and_then(|file| file.strip_suffix(".png"));
            let ix: usize =
                file.and_then(|file| file[file.len() - 3..].parse().ok()).expect("a number");
            let [(class, probability)] = expected.top(ix % 3, 1)[..] else { panic!("one class") };
            let top = &picture["top"][0];
            assert_eq!(top["label"], class, "{ix}");
            let off = top["probability"].as_f64().expect("a number") - f64::from(probability);
            assert!(off.abs() < 1e-6, "{ix}: {top}, expected {probability}");
        }
    }
    let page = fs::read_to_string(folder.path().join("page.html")).expect("a page");
    assert!(page.contains("599.png") && page.contains("250.png"), "the page has all pictures");
}

#[test]
fn folders_and_the_standard_input_have_pictures() {
    let folder = folder();
    let pictures = folder.path().join("pictures");
    fs::create_dir_all(pictures.join("a folder/.hidden")).expect("made");
    for (from, to) in [
        ("wide.png", "b.PNG"),
        ("turned.jpg", "a folder/ä.jpg"),
        ("grey.jpg", "a folder/.hidden/x.jpg"),
        ("generate.py", "notes.txt"),
    ] {
        fs::copy(picture(from), pictures.join(to)).expect("copied");
    }
    let found = json(&wgrad(&folder, &["predict", "pictures", "--json"]));
    let names = found.as_array().expect("a list").iter().map(|entry| &entry["file"]);
    assert_eq!(names.collect::<Vec<_>>(), ["pictures/a folder/ä.jpg", "pictures/b.PNG"]);
    let label = |found: &Value, ix: usize| found[ix]["top"][0]["probability"].clone();
    let expected = json(&predict(&folder, &["turned.jpg", "wide.png"], &["--json"]));
    assert_eq!(label(&found, 0), label(&expected, 0));
    assert_eq!(label(&found, 1), label(&expected, 1));

    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(["predict", "-", "--json", "--weights", "model.safetensors", "--device", "cpu"]);
    command.stdin(fs::File::open(picture("wide.png")).expect("there"));
    let found = json(&command.current_dir(folder.path()).output().expect("it starts"));
    assert_eq!(found[0]["file"], "-");
    assert_eq!(label(&found, 0), label(&expected, 1));

    fs::create_dir(folder.path().join("empty")).expect("made");
    let output = wgrad(&folder, &["predict", "empty"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("empty: no picture is in this folder"), "{errors}");

    fs::write(folder.path().join("phone.jpg"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        .expect("written");
    let errors = text(&wgrad(&folder, &["predict", "phone.jpg"]).stderr);
    assert!(errors.contains("HEIC") && errors.contains("heif-convert"), "{errors}");
}

#[test]
fn transparent_pixels_have_the_colour_of_the_background() {
    let folder = folder();
    let logits = |flags: &[&str]| {
        let found = json(&predict(&folder, &["tall_alpha.png"], &[&["--json"], flags].concat()));
        found[0]["logits"].clone()
    };
    assert_eq!(logits(&[]), logits(&["--background", "255,255,255"]));
    assert_ne!(logits(&[]), logits(&["--background=0,0,0"]));
    let output = predict(&folder, &["tall_alpha.png"], &["--background", "white"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("red, green and blue"), "{}", text(&output.stderr));
}

/// Returns the attribute `name` of every element with the text `element` in a page.
fn attributes<'a>(page: &'a str, element: &str, name: &str) -> Vec<&'a str> {
    let elements = page.split(element).skip(1);
    let value =
        |rest: &'a str| rest.split_once(&format!("{name}=\"")).and_then(|(_, v)| v.split_once('"'));
    elements.map(|rest| value(rest).expect("the attribute").0).collect()
}

#[test]
fn a_page_has_the_pictures_with_their_predictions() {
    let folder = folder();
    fs::create_dir(folder.path().join("pictures")).expect("made");
    for (from, to) in
        [("wide.png", "a <b>.png"), ("exact.png", "日本.png"), ("generate.py", "no.jpg")]
    {
        fs::copy(picture(from), folder.path().join("pictures").join(to)).expect("copied");
    }
    let run = |flags: &[&str]| {
        let arguments = ["predict", "pictures", "--out=pictures/page.html", "--top=3"];
        let output = wgrad(&folder, &[&arguments, flags].concat());
        assert_eq!(output.status.code(), Some(1), "a file cannot be read");
        let page = fs::read_to_string(folder.path().join("pictures/page.html")).expect("a page");
        assert!(text(&output.stderr).contains("no.jpg: neither PNG"), "{}", text(&output.stderr));
        (text(&output.stdout), page)
    };
    let (printed, page) = run(&[]);
    assert!(printed.starts_with("page      pictures/page.html ("), "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert_eq!(attributes(&page, "<img", "alt"), ["a &lt;b&gt;.png", "日本.png"]);
    assert!(!page.contains("<b>.png") && !page.contains("<script"), "{page}");
    assert!(page.contains("pictures/no.jpg: neither PNG"), "{page}");
    assert!(page.contains("resnet9 for images of 32x32, weights model.safetensors"), "{page}");
    // `wide.png` is wider than high, so a part is veiled. `exact.png` has the size of the images.
    assert_eq!(page.matches("class=\"crop\"").count(), 1);
    let place = attributes(&page, "<span class=\"crop\"", "style")[0];
    assert!(place.contains(";top:0.00%;") && place.ends_with(";height:100.00%"), "{place}");
    let predictions = expected(&["wide.png", "exact.png"]);
    let top = [0, 1].map(|image| predictions.top(image, 3)).concat();
    let classes: Vec<String> = top.iter().map(|(class, _)| class.to_string()).collect();
    assert_eq!(attributes(&page, "<span class=\"label\"", "title"), classes);
    let [wide, exact] = [0, 1].map(|image| predictions.top(image, 1)[0].1);
    let ranks = if wide > exact { ["--rank:0", "--rank:1"] } else { ["--rank:1", "--rank:0"] };
    assert_eq!(attributes(&page, "<figure ", "style"), ranks, "the most certain picture first");
    // Each address has the whole picture.
    for uri in attributes(&page, "<img", "src") {
        assert!(uri.starts_with("data:image/png;base64,"), "{uri}");
    }

    let (_, explained) = run(&["--explain"]);
    assert_eq!(attributes(&explained, "<img class=\"map\"", "alt"), ["", ""]);
    let maps = attributes(&explained, "<img class=\"map\"", "src");
    assert_ne!(maps[0], maps[1], "each picture has a map of its own");
    assert!(explained.contains("the 4x4 positions of the last feature map"), "{explained}");
    let without_maps: String = explained.split("<img class=\"map\"").collect();
    assert_eq!(attributes(&without_maps, "<span class=\"label\"", "title"), classes);

    let (printed, _) = run(&["--json", "--explain"]);
    let explained: Value = serde_json::from_str(&printed).expect("JSON");
    let (printed, _) = run(&["--json"]);
    assert_eq!(explained, serde_json::from_str::<Value>(&printed).expect("JSON"), "the same bits");
}

#[test]
fn a_page_replaces_no_input_and_an_explanation_needs_a_page() {
    let folder = folder();
    let output = predict(&folder, &["wide.png"], &["--explain"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--out <PAGE.HTML>"), "{}", text(&output.stderr));
    let weights = fs::read(folder.path().join("model.safetensors")).expect("weights");
    let output = predict(&folder, &["wide.png"], &["--out=model.safetensors"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("name another file"), "{}", text(&output.stderr));
    assert_eq!(fs::read(folder.path().join("model.safetensors")).expect("weights"), weights);

    let output = predict(&folder, &["none.png"], &["--out=page.html", "--explain"]);
    assert_eq!(output.status.code(), Some(1));
    let page = fs::read_to_string(folder.path().join("page.html")).expect("a page");
    assert!(page.contains("none.png: ") && !page.contains("<figure"), "{page}");
}

/// A file name must not move the terminal's cursor or start a line that looks like a result.
#[test]
fn names_of_pictures_are_escaped_for_the_terminal() {
    let folder = folder();
    let name = "a\u{1b}[2J\n  cat  100.00%\u{202e}.png";
    fs::copy(picture("exact.png"), folder.path().join(name)).expect("copied");
    let shown = "a\\u{1b}[2J\\n  cat  100.00%\\u{202e}.png";
    let output = wgrad(&folder, &["predict", name, "--top=1"]);
    assert_eq!(text(&output.stdout).lines().next(), Some(shown));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let output = wgrad(&folder, &["predict", name, "--json"]);
    assert_eq!(json(&output)[0]["file"], name);
    let output = wgrad(&folder, &["predict", &format!("no {name}")]);
    let errors = text(&output.stderr);
    assert!(
        errors.contains(&format!("error: no {shown}: ")) && !errors.contains('\u{1b}'),
        "{errors}"
    );
    let output = wgrad(&folder, &["eval", "--data=cifar10", "--data-dir", name]);
    let errors = text(&output.stderr);
    assert!(errors.contains(shown) && !errors.contains('\u{1b}'), "{errors}");
}

fn write_batch(path: PathBuf, n: usize, seed: usize) {
    let byte =
        |i: usize| move |k: usize| if k == 0 { (i % 10) as u8 } else { (k * (i + seed) / 7) as u8 };
    fs::write(path, (0..n).flat_map(|i| (0..3073).map(byte(i))).collect::<Vec<u8>>())
        .expect("written");
}

#[test]
fn eval_prints_scores_by_class_and_averages_two_views() {
    let folder = folder();
    write_batch(folder.path().join("data_batch_1.bin"), 1, 1);
    write_batch(folder.path().join("test_batch.bin"), 57, 3);
    let eval = |flags: &[&str]| {
        wgrad(&folder, &[&["eval", "--data-dir", ".", "--batch-size", "20"], flags].concat())
    };
    let (plain, both) = (json(&eval(&["--json"])), json(&eval(&["--json", "--tta", "flip"])));
    assert_eq!((&plain["views"], &both["views"]), (&1.into(), &2.into()));
    assert_eq!(both["one_view"]["loss"], plain["loss"]);
    assert_eq!(both["one_view"]["top5"], plain["top5"]);
    assert_ne!(both["loss"], plain["loss"], "the mirrored view changes the loss");
    assert_eq!(plain["images"], 57);
    let sum = |value: &Value, key: &str| -> u64 {
        value["classes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|c| c[key].as_u64().expect("n"))
            .sum()
    };
    for value in [&plain, &both] {
        assert_eq!((sum(value, "images"), sum(value, "predicted")), (57, 57));
        let right: u64 = (0..10).map(|k| value["confusion"][k][k].as_u64().expect("n")).sum();
        assert_eq!(value["accuracy"].as_f64(), Some(right as f64 / 57.0));
        let n_top5 = 57.0 * value["top5"].as_f64().expect("there are ten classes");
        assert!((n_top5 - n_top5.round()).abs() < 1e-9 && n_top5 >= right as f64, "{n_top5}");
    }
    // Mirrors each image in the file. With `--tta flip`, the two views of an image change places, so the mean of their
    // results stays the same.
    let mut mirrored = fs::read(folder.path().join("test_batch.bin")).expect("there");
    for record in mirrored.chunks_mut(3073) {
        record[1..].chunks_mut(32).for_each(<[u8]>::reverse);
    }
    fs::write(folder.path().join("test_batch.bin"), mirrored).expect("written");
    let again = json(&eval(&["--json", "--tta", "flip"]));
    assert_eq!(again["confusion"], both["confusion"]);
    let (a, b) = (again["loss"].as_f64().expect("n"), both["loss"].as_f64().expect("n"));
    assert!((a - b).abs() < 1e-6 * a, "{a} and {b}");

    let output = text(&eval(&["--tta", "flip"]).stdout);
    for word in ["airplane", "precision", "one view:", "two views:", "mirror image", "of 57 images"]
    {
        assert!(output.contains(word), "{word:?} is not in {output}");
    }
    let output = text(&eval(&[]).stdout);
    let [.., top5, loss] = output.lines().collect::<Vec<_>>()[..] else { panic!("{output}") };
    assert!(loss.starts_with("test loss ") && top5.starts_with("top-5 accuracy "), "{output}");
    assert_eq!(eval(&["--tta", "spin"]).status.code(), Some(2));
}
