//! The HTML page of a run: its contents, its independence of other files and servers, and its view in a browser. Also
//! tests the commands that write pages, `report` and `compare`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use wgrad::report::LoadedRun;

fn wgrad(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder).env_remove("WGRAD_DATA").env_remove("RUST_LOG");
    command.output().expect("the command starts")
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// Returns records of CIFAR-10's binary format: ten classes, each a colour with noise.
fn records(n: usize, seed: usize) -> Vec<u8> {
    let record = |ix: usize| {
        let label = ix % 10;
        let pixel =
            move |at: usize| (label * 20 + (ix * 7 + at * 13 + (at ^ ix) * seed) % 59) as u8;
        std::iter::once(label as u8).chain((0..3072).map(pixel))
    };
    (0..n).flat_map(record).collect()
}

/// Returns a folder with a small CIFAR-10 in `data` (60 training and 30 test images), and a run of two epochs
/// in `run`.
fn folder_with_run() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("data_batch_1.bin"), records(60, 1)).expect("written");
    fs::write(data.join("test_batch.bin"), records(30, 3)).expect("written");
    succeeds(&train(folder.path(), "run", &[]));
    folder
}

fn train(folder: &Path, out: &str, more: &[&str]) -> Output {
    let flags = ["--data-dir", "data", "--device", "cpu", "--width", "4", "--batch-size", "8"];
    wgrad(folder, &[&["train", "--epochs", "2", "--out", out], &flags[..], more].concat())
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns every text between `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap_or_default()).collect()
}

/// Checks that a page loads nothing from elsewhere and runs no script.
#[track_caller]
fn assert_stands_alone(html: &str) {
    for attribute in [" src=\"", " href=\"", " srcset=\"", " action=\"", " data=\""] {
        for address in between(html, attribute, "\"") {
            let is_here = address.starts_with("data:") || address.starts_with('#');
            assert!(is_here, "{attribute}{address} is not on the page itself");
        }
    }
    for word in
        ["://", "url(", "@import", "<script", "javascript:", " onload", " onclick", "<iframe"]
    {
        assert!(!html.contains(word), "{word} is on the page");
    }
    assert!(html.contains("default-src 'none'"), "a policy forbids all other requests");
}

#[test]
fn a_run_writes_a_self_contained_page() {
    let folder = folder_with_run();
    let run = folder.path().join("run");
    let html = read(run.join("report.html"));
    assert_stands_alone(&html);
    let sections = between(&html, "<section id=\"", "\"");
    let expected = [
        "summary",
        "curves",
        "confusion-matrix",
        "worst-errors",
        "augmented-batch",
        "first-filters",
        "time-of-a-step",
        "configuration",
        "device-and-versions",
    ];
    assert_eq!(sections, expected);

    // The counts of the confusion matrix add up to the 30 test images, and its diagonal agrees with the accuracy on the
    // page.
    let matrix = between(&html, "<svg viewBox=\"0 0 540 436\" role=\"table\"", "</svg>")[0];
    let count = |cell: &str| {
        between(cell, "<text ", "</text>")[0].rsplit('>').next()?.parse::<usize>().ok()
    };
    let cells = between(matrix, "role=\"cell\"", "</g>");
    let counts: Vec<usize> = cells.into_iter().map(|cell| count(cell).expect("a count")).collect();
    assert_eq!((counts.len(), counts.iter().sum::<usize>()), (100, 30));
    let n_right: usize = (0..10).map(|class| counts[11 * class]).sum();
    let epochs = LoadedRun::read(&run).expect("a run").epochs;
    let accuracy = format!("{:.2}%", 100.0 * n_right as f64 / 30.0);
    assert!(html.contains(&format!("<b>{accuracy}</b>")), "{accuracy} by the matrix");
    assert_eq!(epochs.len(), 2);
    let summary: serde_json::Value =
        serde_json::from_str(&read(run.join("summary.json"))).expect("JSON");
    let top5 = 100.0 * summary["top5_accuracy"].as_f64().expect("ten classes");
    let tile = format!("<span>top-5 accuracy</span><b>{top5:.2}%</b>");
    assert!(html.contains(&tile), "{tile}");

    let of_section = |id: &str| {
        let body = between(&html, &format!("<section id=\"{id}\">"), "</section>")[0];
        body.matches("<img src=\"data:image/png;base64,").count()
    };
    assert_eq!(of_section("worst-errors"), (30 - n_right).min(25));
    assert_eq!(of_section("augmented-batch"), 8, "the whole batch");
    assert_eq!(of_section("first-filters"), 4, "one filter per output channel");
    for words in ["max-lr", "cpu (", env!("CARGO_PKG_VERSION"), "test, epoch 2: "] {
        assert!(html.contains(words), "{words} is not on the page");
    }
}

#[test]
fn a_page_can_be_written_again_with_the_same_contents() {
    let folder = folder_with_run();
    let run = folder.path().join("run");
    let first = read(run.join("report.html"));
    let report = ["report", "run", "--device", "cpu", "--out", "again.html"];
    let output = succeeds(&wgrad(folder.path(), &report));
    assert!(output.contains("report    again.html"), "{output}");
    let again = read(folder.path().join("again.html"));
    // The pages are equal except for the path of the images and the section on the device.
    let body = |html: &str| between(html, "<main>", "<section id=\"device")[0].to_string();
    assert!(body(&first) == body(&again), "the page from the weights file differs");

    // Without weights, the page still has the curves.
    for file in ["model", "checkpoint-7", "checkpoint-14"] {
        fs::remove_file(run.join(format!("{file}.safetensors"))).expect("removed");
    }
    let output = succeeds(&wgrad(folder.path(), &["report", "run", "--device", "cpu"]));
    assert!(output.contains("no weights"), "{output}");
    let html = read(run.join("report.html"));
    assert!(html.contains("id=\"curves\"") && !html.contains("id=\"worst-errors\""), "{html}");
}

/// `report` needs no weights file and no finished epoch: a checkpoint is enough for the page.
#[test]
fn a_run_that_was_killed_in_its_first_epoch_has_a_page() {
    let folder = folder_with_run();
    let (path, run) = (folder.path(), folder.path().join("killed"));
    let like_run = ["train", "--config=run/config.toml", "--out=killed"];
    let arguments = [&like_run[..], &["--checkpoint-every=3", "--epochs=1"]].concat();
    succeeds(&wgrad(path, &arguments));
    // The test removes files, so the folder looks like after a kill in the seventh step, the last of the epoch.
    for file in ["model.safetensors", "checkpoint-7.safetensors", "summary.json", "report.html"] {
        fs::remove_file(run.join(file)).expect("it was there");
    }
    fs::write(run.join("metrics.jsonl"), "").expect("written");
    fs::write(run.join("checkpoint-7.safetensors.wgrad-tmp"), "half").expect("written");

    let output = succeeds(&wgrad(path, &["report", "killed", "--device", "cpu"]));
    assert!(output.contains("killed/checkpoint-6.safetensors"), "{output}");
    let html = read(run.join("report.html"));
    assert!(html.contains("No epoch was finished") && html.contains("the latest saved weights"));
    assert!(html.contains("id=\"confusion-matrix\"") && html.contains("id=\"first-filters\""));
    // The run may continue at the same time, so `report` does not remove the file that the run is writing.
    assert!(run.join("checkpoint-7.safetensors.wgrad-tmp").exists());
}

#[test]
fn runs_are_compared() {
    let folder = folder_with_run();
    let path = folder.path();
    succeeds(&train(path, "other", &["--max-lr", "0.02", "--no-flip"]));
    let output = succeeds(&wgrad(path, &["compare", "run", "other"]));
    let lines: Vec<Vec<&str>> = output.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["run", "other"]);
    assert_eq!(lines[1], ["max-lr", "0.01", "0.02"]);
    assert_eq!(lines[2], ["no-flip", "false", "true"]);
    assert!(lines[3].is_empty() && output.contains("images/s"), "{output}");
    assert!(
        output.lines().all(|line| !line.starts_with("epochs with")),
        "no bits in common: {output}"
    );
    let html = read(path.join("compare.html"));
    assert_stands_alone(&html);
    assert!(html.contains("other, epoch 2: ") && html.contains("max-lr"), "{html}");

    let elsewhere = ["compare", "run", "run", "--out", "same.html"];
    let output = succeeds(&wgrad(path, &elsewhere));
    assert!(output.contains("the same"), "{output}");
    let same = output.lines().find(|line| line.starts_with("epochs with the first run's bits"));
    assert!(same.is_some_and(|line| line.ends_with('2')), "{output}");
    assert!(path.join("same.html").exists());
}

#[test]
fn a_folder_without_a_run_is_rejected() {
    let folder = folder_with_run();
    let path = folder.path();
    for command in ["compare", "report"] {
        let of = |run| match command {
            "compare" => wgrad(path, &["compare", "run", run]),
            _ => wgrad(path, &["report", run]),
        };
        assert_fails(&of("nowhere"), 1, &["nowhere does not exist"]);
        assert_fails(&of("data"), 1, &["data is not a run folder", "config.toml"]);
        assert_fails(&of("run/config.toml"), 1, &["is not a folder", "of the run, run"]);
        assert_fails(&of("."), 1, &["is not a run folder", "such as ./run"]);
    }
    assert_fails(&wgrad(path, &["compare", "run"]), 2, &["2 values"]);
    let nowhere = ["compare", "run", "run", "--out", "nowhere/page.html"];
    assert_fails(&wgrad(path, &nowhere), 1, &["nowhere/page.html"]);
    assert_fails(&wgrad(path, &["report", "run", "--data-dir", "gone"]), 1, &["gone", "hint:"]);
    fs::write(path.join("run/metrics.jsonl"), "{}\n").expect("written");
    assert_fails(&wgrad(path, &["compare", "run", "run"]), 1, &["metrics.jsonl", "line 1"]);
}

/// Chromium's view of a page.
struct Shown {
    /// The page's DOM after loading.
    dom: String,
    /// The lines of the browser's console.
    console: Vec<String>,
    /// The addresses that the page requested; requests of the browser itself are left out.
    requests: Vec<String>,
}

fn show(chromium: &Path, page: &Path) -> Shown {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("net.json");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--enable-logging=stderr"])
        // The browser can reach only this machine, so the requests that it makes for itself fail.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium starts");
    let log: serde_json::Value = serde_json::from_str(&read(log)).expect("a log of the network");
    let start = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(start.is_number(), "the log has no name for requests");
    let events = log["events"].as_array().expect("events").iter();
    let requests = events.filter(|event| event["type"] == *start).map(|event| &event["params"]);
    // In the browser's log, the requests of a page have an initiator. Requests of the browser itself have none.
    let of_page = requests.filter(|params| params["initiator"] != "not an origin");
    // The log also has an event for the end of each request, without the request's address. These events are left out.
    let address = |params: &serde_json::Value| params["url"].as_str().map(str::to_string);
    let leaves = |url: &String| !url.starts_with("file:") && !url.starts_with("data:");
    let errors = String::from_utf8_lossy(&output.stderr);
    Shown {
        dom: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: errors.lines().filter(|l| l.contains(":CONSOLE")).map(str::to_string).collect(),
        requests: of_page.filter_map(address).filter(leaves).collect(),
    }
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// A run with validation images is evaluated on the test images only once, after its end. Until then, the page shows
/// the results on the validation images.
#[test]
fn a_page_shows_validation_images_until_the_run_has_finished() {
    let folder = folder_with_run();
    let path = folder.path();
    succeeds(&train(path, "held", &["--validation", "12"]));
    let page = path.join("held/report.html");
    let n_judged = |html: &str| {
        let kinds = ["test", "validation"]
            .map(|kind| format!("Rows are the true classes of the {kind} images"));
        kinds.map(|words| html.contains(&words))
    };
    assert_eq!(n_judged(&read(page.clone())), [true, false]);
    assert!(read(page.clone()).contains("<span>test accuracy</span>"));
    // An unfinished run has no test result yet.
    fs::remove_file(path.join("held/summary.json")).expect("removed");
    succeeds(&wgrad(path, &["report", "held", "--device", "cpu"]));
    assert_eq!(n_judged(&read(page.clone())), [false, true]);
    let html = read(page);
    assert!(html.contains("not finished") && !html.contains("test accuracy"), "{html}");
}

/// Resuming removes the log entries of epochs that are repeated.
#[test]
fn the_logs_of_a_resumed_run_have_each_epoch_once() {
    let folder = folder_with_run();
    let path = folder.path();
    let metrics = ["metrics.jsonl", "metrics.csv"];
    let n_lines = || metrics.map(|file| read(path.join("run").join(file)).lines().count());
    assert_eq!(n_lines(), [2, 3]);
    let before = read(path.join("run/metrics.csv"));
    // Without the last checkpoint, the resumed run repeats the second epoch.
    fs::remove_file(path.join("run/checkpoint-14.safetensors")).expect("removed");
    succeeds(&wgrad(path, &["train", "--resume", "run"]));
    assert_eq!(n_lines(), [2, 3]);
    let weights = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit(',').next().unwrap_or_default().to_string()).collect()
    };
    assert_eq!(weights(&before), weights(&read(path.join("run/metrics.csv"))));
    let entries = fs::read_dir(path.join("run")).expect("readable").flatten();
    let is_events = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("tfevents");
    assert_eq!(entries.filter(is_events).count(), 2, "one file per start of the run");
}

/// Shows the pages in a browser, if one is installed.
#[test]
fn a_browser_shows_the_pages_without_errors() {
    let Some(chromium) = chromium() else {
        println!("there is no Chromium on the PATH: the pages were not shown");
        return;
    };
    let folder = folder_with_run();
    let path = folder.path().canonicalize().expect("it is there");
    succeeds(&wgrad(&path, &["compare", "run", "run"]));
    for page in [path.join("run/report.html"), path.join("compare.html")] {
        let shown = show(&chromium, &page);
        // The closing tags in the DOM come from the browser's parser, so their number shows that it parsed the page to
        // its end.
        let n_sections = read(page).matches("<section ").count();
        assert_eq!(shown.dom.matches("</section>").count(), n_sections);
        assert!(shown.dom.contains("<svg viewBox=") && shown.dom.trim().ends_with("</html>"));
        assert_eq!(shown.console, [""; 0]);
        assert_eq!(shown.requests, [""; 0]);
    }

    // The check itself must be able to fail: first on a page whose content security policy blocks a request, then on a
    // page without such a policy.
    let html = read(path.join("compare.html"));
    let image = "<main><img src=\"http://127.0.0.1:9/picture.png\">";
    let html = html.replace("<main>", image);
    fs::write(path.join("forbidden.html"), &html).expect("written");
    let shown = show(&chromium, &path.join("forbidden.html"));
    assert!(shown.requests.is_empty() && shown.console.len() == 1, "{:?}", shown.console);
    fs::write(path.join("loose.html"), html.replace("http-equiv", "name")).expect("written");
    let shown = show(&chromium, &path.join("loose.html"));
    assert_eq!(shown.requests, ["http://127.0.0.1:9/picture.png"]);
}
