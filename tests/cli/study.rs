//! `wgrad study`: its list, wrong names, and studies that are interrupted and resumed.

use serde_json::Value;

use super::signals::{end, send, start, wait_for};
use super::support::*;

/// Flags of a study of a second or two.
const TINY: [&str; 5] = ["study", "degradation", "--tiny", "--data-dir=data", "--device=cpu"];

fn numbers(folder: &Path, out: &str) -> Value {
    let text = fs::read_to_string(folder.join(out).join("study.json")).expect("a study's numbers");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_list_has_every_lesson_with_its_claim() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = stdout(&wgrad(folder.path(), &["study"]));
    let lessons = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lessons"));
    let names: Vec<String> = lessons
        .expect("the lessons")
        .map(|file| file.expect("a file").file_name().into_string().expect("text"))
        .filter_map(|file| Some(file.strip_suffix(".md")?.replace('_', "-")))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(names.len(), 17);
    for name in names {
        let line = list.lines().find(|line| line.split(' ').next() == Some(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{list}"));
        assert!(line.contains(" min  ") && line.len() > 40, "{line}");
    }
}

#[test]
fn a_wrong_name_is_refused_with_the_nearest_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = wgrad(folder.path(), &["study", "degredation"]);
    assert_fails(&output, 2, &["study \"degredation\"", "did you mean degradation?", "all"]);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn an_interrupted_study_leaves_a_page_and_resumes_to_the_same_numbers() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = wgrad(path, &[&TINY[..], &["--out=whole"]].concat());
    assert_eq!(whole.status.code(), Some(0), "{}", stderr(&whole));

    let arguments = [&TINY[..], &["--out=part"]].concat();
    let study = start(path, &[], &arguments);
    wait_for(&path.join("part/study.json"), "plain20/seed 0/steps");
    send("INT", &study);
    assert_eq!(end(study).code(), Some(130));
    let part = numbers(path, "part");
    assert_eq!(part["finished"], Value::Bool(false));
    let page = fs::read_to_string(path.join("part/study.html")).expect("a page");
    assert!(page.contains("Not finished") && page.contains("plain20"), "{page}");

    // Another seed has other numbers, which would not fit the first ones.
    let other = wgrad(path, &[&arguments[..], &["--resume", "--seed=1"]].concat());
    assert_fails(&other, 1, &["part/study.json", "other settings", "leave out --resume"]);
    assert_eq!(numbers(path, "part"), part);

    let rest = wgrad(path, &[&arguments[..], &["--resume"]].concat());
    assert_eq!(rest.status.code(), Some(0), "{}", stderr(&rest));
    let [mut resumed, mut whole] = ["part", "whole"].map(|out| numbers(path, out));
    let n_before = part["series"].as_object().expect("series").len();
    assert!(n_before < whole["series"].as_object().expect("series").len());
    for study in [&mut resumed, &mut whole] {
        assert_eq!(study["finished"], Value::Bool(true));
        let seconds = study.as_object_mut().expect("a study").remove("seconds");
        assert!(seconds.and_then(|seconds| seconds.as_f64()).is_some_and(|seconds| seconds > 0.0));
    }
    assert_eq!(resumed, whole);
    let page = fs::read_to_string(path.join("part/study.html")).expect("a page");
    assert!(!page.contains("Not finished"));
}

#[test]
fn flags_without_an_effect_on_a_study_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for flags in [&["degradation", "--network=resnet20"][..], &["one-cycle", "--weights=w"]] {
        let output = wgrad(folder.path(), &[&["study"], flags].concat());
        assert_fails(&output, 2, &["trains networks of its own; leave the flag out"]);
    }
}
