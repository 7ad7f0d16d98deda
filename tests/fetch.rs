//! `wgrad fetch`, and `wgrad train` without CIFAR-10, as commands. The tests start a small server of their own and need
//! no network. `src/data/fetch/tests/` simulates faults of servers and archives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use md5::{Digest, Md5};
use tempfile::TempDir;

/// Returns a `wgrad` command in this folder. Its environment has the mirror's address, and no other setting of wgrad.
fn command(folder: &TempDir, arguments: &[&str], mirror: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder.path());
    for variable in ["WGRAD_DATA", "WGRAD_OFFLINE", "RUST_LOG", "http_proxy", "HTTP_PROXY"] {
        command.env_remove(variable);
    }
    command.env("WGRAD_MIRROR", mirror).env("NO_PROXY", "127.0.0.1");
    command
}

fn run(folder: &TempDir, arguments: &[&str], mirror: &str) -> Output {
    command(folder, arguments, mirror).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Starts a file server on this machine. It answers each request with `file`, or with its first `n_sent`
/// bytes followed by a minute of silence.
fn serve(file: Vec<u8>, n_sent: Option<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/cifar-10-binary.tar.gz", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, file) = (stream.expect("a connection"), file.clone());
            thread::spawn(move || -> std::io::Result<()> {
                let mut lines = BufReader::new(stream.try_clone()?).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let n = file.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n"
                )?;
                stream.write_all(&file[..n_sent.unwrap_or(n)])?;
                if n_sent.is_some() {
                    thread::sleep(Duration::from_secs(60));
                }
                Ok(())
            });
        }
    });
    url
}

/// Returns an address at which no server listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}/x", listener.local_addr().expect("bound"))
}

/// Returns a CIFAR-10 archive with one image in each of its six files, and the archive's MD5.
fn archive() -> (Vec<u8>, String) {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for name in (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".into()]) {
        let mut header = tar::Header::new_ustar();
        header.set_size(3073);
        let path = format!("cifar-10-batches-bin/{name}");
        tar.append_data(&mut header, path, &[3; 3073][..]).expect("memory");
    }
    let file = tar.into_inner().and_then(|gz| gz.finish()).expect("memory");
    let md5: [u8; 16] = Md5::digest(&file).into();
    let md5 = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    (file, md5)
}

#[test]
fn another_archive_can_be_fetched_with_its_checksum() {
    let (file, md5) = archive();
    let (folder, url) = (folder(), serve(file, None));
    let arguments = ["fetch", "--url", &url, "--md5", &md5];
    let output = run(&folder, &arguments, "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "CIFAR-10 is in ./data/cifar-10-batches-bin\n");
    assert!(text(&output.stderr).contains(&format!("fetching {url}\n")));
    assert_eq!(fs::read_dir(folder.path().join("data")).expect("there").count(), 1);
    assert!(folder.path().join("data/cifar-10-batches-bin/test_batch.bin").exists());
    let again = run(&folder, &arguments, "");
    assert_eq!(text(&again.stdout), "CIFAR-10 is in ./data/cifar-10-batches-bin already\n");

    // The folder comes from a flag, and the mirror from the environment.
    let output = run(&folder, &["fetch", "--md5", &md5, "--data-dir", "elsewhere"], &url);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(folder.path().join("elsewhere/cifar-10-batches-bin/test_batch.bin").exists());
}

#[test]
fn a_file_other_than_the_published_archive_is_rejected() {
    let (file, _) = archive();
    let (folder, url) = (folder(), serve(file, None));
    for (more, words) in [
        (vec![], ["170052171 bytes were expected", "--md5"]),
        (vec!["--md5", "00000000000000000000000000000000"], ["MD5 is", "removed"]),
    ] {
        let output = run(&folder, &[&["fetch"], &more[..]].concat(), &url);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        for word in ["error: ", "hint: "].into_iter().chain(words) {
            assert!(message.contains(word), "{word:?} is not in {message}");
        }
        assert!(!folder.path().join("data").exists(), "no folder is left");
    }
    let output = run(&folder, &["fetch", "--md5", "c32a"], &url);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("32 hexadecimal digits"));
}

#[test]
fn without_a_network_fetching_is_an_error_with_a_hint() {
    let folder = folder();
    let output = run(&folder, &["fetch"], &nowhere());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("error: ") && message.contains("cannot be reached"), "{message}");
    assert!(message.contains("hint: check the network"), "{message}");
    assert!(!folder.path().join("data").exists());
}

/// Arguments of a run that fails after it has loaded and described the dataset.
const TRAIN: [&str; 7] = ["train", "--device", "cpu", "--width", "64", "--memory-limit", "1MiB"];

#[test]
fn training_without_data_or_network_uses_the_shapes() {
    let folder = folder();
    let begun = Instant::now();
    let output = run(&folder, &TRAIN, &nowhere());
    assert!(begun.elapsed() < Duration::from_secs(20));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("built-in shapes"), "{out}{err}");
    for word in ["CIFAR-10 is not in ./data", "162", "--no-fetch", "was not fetched", "refused"] {
        assert!(err.contains(word), "{word:?} is not in {err}");
    }
    assert!(!folder.path().join("data").exists(), "no folder is left behind");

    let mut strict = TRAIN.to_vec();
    strict.extend(["--data", "cifar10"]);
    let output = run(&folder, &strict, &nowhere());
    let err = text(&output.stderr);
    assert!(err.contains("was not fetched") && err.contains("error: there is no folder"), "{err}");
    assert_eq!(output.status.code(), Some(1), "{err}");
}

#[test]
fn training_uses_the_network_only_with_default_arguments() {
    let (file, _) = archive();
    let (folder, url) = (folder(), serve(file, None));
    let with = |more: &[&str]| command(&folder, &[&TRAIN[..], more].concat(), &url);
    let mut offline = with(&[]);
    offline.env("WGRAD_OFFLINE", "1");
    let mut named = with(&[]);
    named.env("WGRAD_DATA", "nowhere");
    let quiet = [
        with(&["--no-fetch"]),
        offline,
        with(&["--data", "shapes"]),
        with(&["--data-dir", "nowhere"]),
        named,
    ];
    for mut command in quiet {
        let err = text(&command.output().expect("it starts").stderr);
        assert!(!err.contains("fetch") || err.contains("run `wgrad fetch`"), "{err}");
        assert!(!err.contains("fetching"), "{err}");
    }
    // With the default arguments, the command downloads from the mirror. This mirror has another file than the
    // published archive, so the check of the file fails.
    let err = text(&with(&[]).output().expect("it starts").stderr);
    assert!(err.contains(&format!("fetching {url}")) && err.contains("was not fetched"), "{err}");
}

/// Interrupts a command once its partial download has `n_bytes` bytes.
#[cfg(unix)]
fn interrupt(mut command: Command, part: &Path, n_bytes: u64) -> (Option<i32>, String) {
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let begun = Instant::now();
    while fs::metadata(part).map_or(0, |metadata| metadata.len()) < n_bytes {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing arrives");
        thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("it is there").success());
    let status = child.wait().expect("it ends");
    let mut message = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut message).expect("text");
    (status.code(), message)
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_partial_download() {
    let (file, md5) = archive();
    // `wgrad train` accepts only a download with the length of the published archive, so its server announces this
    // length.
    let mut long = file.clone();
    long.resize(170_052_171, 0);
    let n_half = file.len() / 2;
    let (hanging, long, good) =
        (serve(file.clone(), Some(n_half)), serve(long, Some(n_half)), serve(file, None));

    let folder = folder();
    let part = folder.path().join("data/cifar-10-binary.tar.gz.part");
    let fetch = |url: &str| command(&folder, &["fetch", "--md5", &md5], url);
    for command in [fetch(&hanging), command(&folder, &["train"], &long)] {
        // Removes the partial file of the command before. When a new partial file appears, the download has started,
        // and the command has installed its signal handler.
        let _ = fs::remove_file(&part);
        let (code, message) = interrupt(command, &part, n_half as u64);
        assert_eq!(code, Some(130), "{message}");
        assert!(
            message.contains("stopped, with")
                && message.contains("the next `wgrad fetch` continues it"),
            "{message}"
        );
        assert_eq!(fs::metadata(&part).expect("kept").len(), n_half as u64);
    }
    let output = fetch(&good).output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!part.exists());
}
