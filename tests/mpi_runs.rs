//! `wgrad` on several ranks, started with `mpirun`: bits, resumed runs, signals, failures, profiles. `scripts/test-mpi.sh`
//! selects the MPI.
#![cfg(all(feature = "mpi", feature = "cli"))]

#[path = "common/mpirun.rs"]
mod mpirun;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use mpirun::{IN_TIME, is_mpich, launcher, send, started_by, starter, text, wait_until};

/// Arguments of `wgrad train` for a short run on the images of [`folder_with_images`].
const TRAIN: [&str; 11] = [
    "train",
    "--data-dir=data",
    "--width=2",
    "--epochs=2",
    "--batch-size=24",
    "--device=cpu",
    "--ema=0.5",
    "--max-lr=0.01",
    "--rank-timeout=60s",
    "--checkpoint-every=1",
    "--clip-grad-norm=1",
];

/// Returns a folder with a small CIFAR-10 in `data`: 48 training and 13 test images of noise.
fn folder_with_images() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    for (name, n) in [("data_batch_1.bin", 48), ("test_batch.bin", 13)] {
        let byte = |at: usize| match at % 3073 {
            0 => (at / 3073 % 10) as u8,
            _ => (at * 7919 % 251) as u8,
        };
        let bytes: Vec<u8> = (0..n * 3073).map(byte).collect();
        fs::write(data.join(name), bytes).expect("written");
    }
    folder
}

/// Returns the command that trains on `n` ranks; on one without a launcher.
fn wgrad(n: usize, folder: &Path, more: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_wgrad");
    let mut command = match n {
        1 => Command::new(program),
        _ => started_by(&launcher(), n, Path::new(program)),
    };
    command.current_dir(folder).args(more).env("WGRAD_OFFLINE", "1");
    command
}

/// Runs `wgrad` on `n` ranks, which must succeed, and returns everything that it printed.
fn succeeds(n: usize, folder: &Path, more: &[&str]) -> String {
    let output = wgrad(n, folder, more).output().expect("a launcher");
    let text = text(&output);
    assert!(output.status.success(), "{n} ranks: {text}");
    text
}

/// Starts `wgrad` on `n` ranks.
fn started(n: usize, folder: &Path, more: &[&str]) -> Child {
    let mut command = wgrad(n, folder, more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a launcher")
}

/// Starts one rank for each list of arguments, and waits until all have ended.
fn ranks_with(folder: &Path, arguments: &[&[&str]]) -> Output {
    let mut command = starter(&launcher());
    for (rank, arguments) in arguments.iter().enumerate() {
        command.args((rank > 0).then_some(":"));
        command.args(["-n", "1", env!("CARGO_BIN_EXE_wgrad")]).args(*arguments);
    }
    command.current_dir(folder).env("WGRAD_OFFLINE", "1").output().expect("a launcher")
}

/// Returns the names of the checkpoints in a run's folder. A file that is being written has another ending.
fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|n| n.starts_with("checkpoint-") && n.ends_with(".safetensors")).collect()
}

#[test]
fn a_run_on_any_number_of_ranks_has_the_weights_of_one() {
    let folder = folder_with_images();
    let path = folder.path();
    let weights = |out: &str| fs::read(path.join(out).join("model.safetensors")).expect("weights");
    for (shards, numbers) in [("8", &[1, 2, 3, 8][..]), ("12", &[1, 6])] {
        for &n in numbers {
            let out = format!("run-{shards}-{n}");
            let more = ["--shards", shards, "--out", &out];
            let text = succeeds(n, path, &[&TRAIN[..], &more].concat());
            assert_eq!(text.matches("dataset ").count(), 1, "only rank 0 prints: {text}");
            let first = format!("run-{shards}-1");
            assert!(weights(&out) == weights(&first), "{shards} shards, {n} ranks: other weights");
        }
    }
    // An interval of time, which each rank's clock measures for itself.
    let more = ["--shards=8", "--checkpoint-every=0.0001m", "--out=timed"];
    succeeds(2, path, &[&TRAIN[..], &more].concat());
    assert!(weights("timed") == weights("run-8-1"), "with checkpoints by time: other weights");
    let metrics = fs::read_to_string(path.join("run-8-3/metrics.jsonl")).expect("metrics");
    assert!(metrics.contains("\"ranks\":3") && metrics.contains("exchanged_bytes"), "{metrics}");
}

/// Writes a picture of 8 x 8 pixels in one colour as BMP: 54 bytes of headers, then blue, green and red of each pixel.
fn write_bmp(path: &Path, colour: [u8; 3]) {
    let mut bytes = b"BM".to_vec();
    for word in [54 + 192, 0, 54, 40, 8, 8, 24 << 16 | 1, 0, 192, 0, 0, 0, 0_u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(colour.repeat(64));
    fs::write(path, bytes).expect("written");
}

/// A folder of pictures has a cache and a list of its pictures, which the first rank alone writes.
#[test]
fn a_run_on_pictures_has_the_weights_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for class in 0..2 {
        let pictures = path.join("pictures").join(["a", "b"][class]);
        fs::create_dir_all(&pictures).expect("created");
        for ix in 0..30 {
            let colour = [8 * ix, 200 * class as u8, 255 - 8 * ix];
            write_bmp(&pictures.join(format!("{ix}.bmp")), colour);
        }
    }
    let train: Vec<_> =
        TRAIN.iter().filter(|flag| !flag.starts_with("--data-dir")).copied().collect();
    let more = ["--data=./pictures", "--image-size=32", "--shards=2", "--out"];
    for (n, out) in [(2, "two"), (1, "one")] {
        let arguments = [&train[..], &more, &[out]].concat();
        let output = wgrad(n, path, &arguments).env("WGRAD_CACHE", path.join("cache")).output();
        let output = output.expect("a launcher");
        assert!(output.status.success(), "{n} ranks: {}", text(&output));
    }
    let weights = |out: &str| fs::read(path.join(out).join("model.safetensors")).expect("weights");
    assert!(weights("one") == weights("two"), "other weights");
    let list = fs::read_to_string(path.join("two/pictures.csv")).expect("a list");
    assert_eq!(list.lines().count(), 61, "{list}");
    let runs = fs::read_dir(path).expect("readable").count();
    assert_eq!(runs, 4, "the pictures, their cache, and two runs");
}

/// The launcher is killed after the first checkpoint, and another number of ranks goes on to the same weights.
#[cfg(unix)]
#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let folder = folder_with_images();
    let path = folder.path();
    let train = |out| [&TRAIN[..], &["--shards=8", "--epochs=40", "--out", out]].concat();
    succeeds(1, path, &train("whole"));
    let child = started(2, path, &train("run"));
    wait_until(|| !checkpoints(&path.join("run")).is_empty());
    // The launcher dies, and the ranks with it.
    send("KILL", &child);
    child.wait_with_output().expect("it ends");
    thread::sleep(Duration::from_secs(3));
    let text = succeeds(3, path, &["train", "--resume", "run"]);
    assert!(text.contains("resumed after step"), "{text}");
    let weights = |out: &str| fs::read(path.join(out).join("model.safetensors")).expect("weights");
    assert!(weights("run") == weights("whole"), "other weights");
}

#[test]
fn runs_that_cannot_be_shared_are_refused_once() {
    let folder = folder_with_images();
    let path = folder.path();
    let train = [&TRAIN[..], &["--shards=2", "--out=run"]].concat();
    let refused = |n: usize, arguments: &[&str], message: &str| {
        let output = wgrad(n, path, arguments).output().expect("a launcher");
        let text = text(&output);
        assert!(!output.status.success() && text.contains(message), "{text}");
        assert_eq!(text.matches(message).count(), 1, "{text}");
    };
    refused(3, &train, "--shards 2: 3 ranks need at least as many shards; --shards 3 is enough");
    refused(2, &["summary"], "this command runs on one rank");
    // An error of all ranks.
    refused(3, &["train", "--resume=none"], "none is not a run folder");
    refused(2, &["train", "--data=shapes", "--device=none"], "no adapter's name contains");
    refused(2, &["profile", "--device=cpu", "--batch-size=8", "--shards=3"], "--shards 3: ");
    assert!(!path.join("run").exists());
}

/// `docs/distributed.md` lists the signals that each launcher passes on.
#[test]
fn signals_to_the_launcher_save_or_end_a_run() {
    let folder = folder_with_images();
    let path = folder.path();
    let train = |out| [&TRAIN[..], &["--shards=6", "--epochs=400", "--out", out]].concat();
    let run = path.join("run");
    let child = started(3, path, &train("run"));
    wait_until(|| !checkpoints(&run).is_empty());
    send("USR1", &child);
    thread::sleep(Duration::from_millis(500));
    send(if is_mpich() { "TERM" } else { "USR2" }, &child);
    let begun = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    let first = text(&output);
    assert!(!output.status.success() && begun.elapsed() < IN_TIME, "{first}");
    for line in ["written on request: run/checkpoint-", "interrupted after step ", "hint: `wgrad"] {
        assert_eq!(first.matches(line).count(), 1, "{line}: {first}");
    }
    let step =
        first.split("interrupted after step ").nth(1).and_then(|rest| rest.split(' ').next());
    let last = format!("checkpoint-{}.safetensors", step.expect("a step"));
    assert!(checkpoints(&run).contains(&last), "{last}: {:?}", checkpoints(&run));

    // Other numbers of ranks go on. After a signal that leaves a rank no time, there is a whole checkpoint.
    for (n, signal) in [(2, if is_mpich() { "INT" } else { "TERM" }), (4, "USR1"), (1, "INT")] {
        let before = checkpoints(&run);
        let child = started(n, path, &["train", "--resume", "run"]);
        wait_until(|| checkpoints(&run).iter().any(|name| !before.contains(name)));
        send(signal, &child);
        if signal == "USR1" {
            thread::sleep(Duration::from_millis(500));
            send("KILL", &child);
        }
        let output = child.wait_with_output().expect("it ends");
        let text = text(&output);
        assert!(!output.status.success() && text.contains("(resumed after step "), "{n}: {text}");
        assert!(signal != "USR1" || text.contains("written on request"), "{text}");
        // The ranks of a launcher that was killed end a moment later.
        thread::sleep(Duration::from_secs(3));
    }
    for file in ["model.safetensors", "best.safetensors"] {
        succeeds(1, path, &["eval", "--weights", &format!("run/{file}"), "--data-dir=data"]);
    }
}

/// A scheduler may send a signal to one rank alone.
#[test]
fn a_signal_to_one_rank_counts_for_all() {
    let folder = folder_with_images();
    let path = folder.path();
    let train = [&TRAIN[..], &["--shards=2", "--epochs=400", "--out=run"]].concat();
    let program = env!("CARGO_BIN_EXE_wgrad");
    let mut command = starter(&launcher());
    command.args(["-n", "1", program]).args(&train).arg(":");
    let script = "echo $$ > pid; exec \"$0\" \"$@\"";
    command.args(["-n", "1", "sh", "-c", script, program]).args(&train);
    command.current_dir(path).env("WGRAD_OFFLINE", "1");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a launcher");
    wait_until(|| !checkpoints(&path.join("run")).is_empty());
    let pid = fs::read_to_string(path.join("pid")).expect("a number");
    for signal in ["-USR1", "-TERM"] {
        let kill = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(kill.expect("kill is everywhere").success());
        thread::sleep(Duration::from_millis(500));
    }
    let output = child.wait_with_output().expect("it ends");
    let text = text(&output);
    for line in ["written on request: run/checkpoint-", "interrupted after step "] {
        assert_eq!(text.matches(line).count(), 1, "{line}: {text}");
    }
}

/// The images are compared by their contents, not by their paths.
#[test]
fn ranks_with_other_images_or_none_end_before_the_run_begins() {
    let folder = folder_with_images();
    let path = folder.path();
    for (copy, changes) in [("same", false), ("other", true)] {
        fs::create_dir(path.join(copy)).expect("a folder");
        for name in ["data_batch_1.bin", "test_batch.bin"] {
            let mut bytes = fs::read(path.join("data").join(name)).expect("readable");
            bytes[1000] ^= u8::from(changes);
            fs::write(path.join(copy).join(name), bytes).expect("written");
        }
    }
    let train =
        |data, out| [&TRAIN[..], &["--shards=2", "--out", out, "--data-dir", data]].concat();
    let two = |data, out| ranks_with(path, &[&train("data", out), &train(data, out)]);
    let equal = two("same", "run");
    assert!(equal.status.success() && path.join("run").exists(), "{}", text(&equal));
    for (data, message) in [("other", "rank 0: the images: "), ("none", "rank 1: ")] {
        let begun = Instant::now();
        let output = two(data, "not-begun");
        let text = text(&output);
        assert!(!output.status.success() && begun.elapsed() < 2 * IN_TIME, "{data}: {text}");
        assert_eq!(text.matches(message).count(), 1, "{data}: {text}");
        assert!(!path.join("not-begun").exists(), "{data}: {text}");
    }
    let text = text(&two("none", "not-begun"));
    assert!(text.contains("there is no folder none"), "{text}");
}

/// A file system of a few hundred kilobytes takes the place of a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_on_the_first_rank_ends_all() {
    /// A mounted file system, until it is dropped.
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0).status();
        }
    }
    let folder = folder_with_images();
    let (path, small) = (folder.path(), folder.path().join("small"));
    fs::create_dir(&small).expect("a folder");
    let mount = ["-t", "tmpfs", "-o", "size=192k", "tmpfs"];
    let is_mounted = Command::new("mount").args(mount).arg(&small).output();
    if !is_mounted.is_ok_and(|output| output.status.success()) {
        return println!("(only root may mount a file system: nothing is tested)");
    }
    let _mounted = Mounted(&small);
    let more = ["--shards=2", "--width=8", "--out=small/run"];
    let output = wgrad(2, path, &[&TRAIN[..], &more].concat()).output().expect("a launcher");
    let text = text(&output);
    assert!(!output.status.success() && text.contains("rank 0: "), "{text}");
    assert!(text.contains("o space left on device"), "{text}");
    assert!(checkpoints(&small.join("run")).is_empty(), "{text}");
    assert!(!small.join("run/model.safetensors").exists(), "{text}");
}

#[test]
fn a_profile_of_ranks_shows_the_reduction() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = ["profile", "--device=cpu", "--width=2", "--batch-size=8", "--shards=4"];
    let more = ["--steps=3", "--json=p.json", "--svg=p.svg"];
    let text = succeeds(2, folder.path(), &[&profile[..], &more].concat());
    for (line, n) in [
        ("ranks     2 over ", 1),
        ("times     the median of 3 steps", 1),
        ("     reduction over ranks ", 2),
        ("     of it, waiting for ranks ", 1),
    ] {
        assert_eq!(text.matches(line).count(), n, "{line}: {text}");
    }
    let json = fs::read_to_string(folder.path().join("p.json")).expect("a file");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let reduction = &json["reduction"];
    let [seconds, wait] = ["seconds", "wait_seconds"].map(|key| reduction[key].as_f64());
    assert!(seconds > Some(0.0) && wait >= Some(0.0) && wait < seconds, "{reduction}");
    assert_eq!(reduction["n_ranks"], 2);
    // With two ranks, a rank sends as many bytes as the buffer of all results has.
    let node = |name: &str| {
        let nodes = json["nodes"].as_array().expect("nodes").iter();
        nodes.filter(|node| node["node"] == name).count()
    };
    assert!(node("partial_sum.accumulate") > 0 && reduction["sent_bytes"].as_u64() > Some(30_000));
    let drawing = fs::read_to_string(folder.path().join("p.svg")).expect("a drawing");
    assert!(drawing.contains("the reduction over 2 ranks"), "{drawing}");
}
