//! Worlds of several ranks, started with `mpirun`: the operations, and the end of all ranks after a failure of one.
//!
//! The test program starts itself: the test `rank` is one rank of the other tests. `$MPIRUN` selects the launcher, which
//! must belong to the MPI of the build; `scripts/test-mpi.sh` sets both.
#![cfg(all(feature = "mpi", feature = "cli"))]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, thread};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use wgrad::distributed::World;

/// The longest time from the failure of a rank to the end of all.
const IN_TIME: Duration = Duration::from_secs(5);

/// Variable with the case that `rank` runs: a word, and the rank that fails.
const CASE: &str = "WGRAD_TEST_CASE";

/// Variable with the file that a rank writes just before it fails.
const MARK: &str = "WGRAD_TEST_MARK";

/// Ended ranks.
struct Ended {
    output: Output,
    /// The time from the failure to the end. None if no rank failed.
    after_failure: Option<Duration>,
    /// Standard output and standard error of all ranks.
    text: String,
}

/// Name of the launcher.
fn launcher() -> String {
    env::var("MPIRUN").unwrap_or("mpirun".to_string())
}

/// Returns the command that starts `n` ranks of a program.
fn started_by(launcher: &str, n: usize, program: &Path) -> Command {
    let mut command = Command::new(launcher);
    command.args(["-n", &n.to_string()]).arg(program);
    // Open MPI refuses the user root and more ranks than cores, and pins ranks to cores. MPICH ignores the variables.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command.env("OMPI_MCA_hwloc_base_binding_policy", "none");
    command
}

/// Returns the command that starts `n` ranks of a case.
fn command(launcher: &str, n: usize, case: &str, mark: &Path) -> Command {
    let mut command = started_by(launcher, n, &env::current_exe().expect("this program"));
    command.args(["rank", "--exact", "--ignored", "--nocapture"]);
    command.env(CASE, case).env(MARK, mark);
    command
}

/// Runs `n` ranks of a case until all have ended.
fn ranks(n: usize, case: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let output = command(&launcher(), n, case, &mark).output().expect("a launcher");
    let failed = fs::metadata(&mark).and_then(|mark| mark.modified()).ok();
    let after_failure = failed.map(|time| time.elapsed().unwrap_or_default());
    Ended { after_failure, text: text(&output), output }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs three ranks, of which rank 1 fails. All must end in time, with an exit code other than 0 and a message.
fn fails(case: &str, message: &str) -> Ended {
    let ended = ranks(3, &format!("{case} 1"));
    let Ended { output, after_failure, text } = &ended;
    assert!(!output.status.success(), "{case}: success\n{text}");
    let after = after_failure.unwrap_or_else(|| panic!("{case}: no rank failed\n{text}"));
    assert!(after < IN_TIME, "{case}: all ended after {after:?}\n{text}");
    assert!(text.contains(message), "{case}: no message {message:?}\n{text}");
    assert!(!text.contains("not reached"), "{case}: a rank went on\n{text}");
    ended
}

/// One rank of a test.
#[test]
#[ignore = "the other tests start it"]
fn rank() {
    let case = env::var(CASE).expect("a case");
    let (case, failing) = case.split_once(' ').expect("a case and a rank");
    let mut world = World::begin().unwrap_or_else(|error| panic!("{error}"));
    let fails = failing.parse() == Ok(world.rank());
    world.set_timeout(Duration::from_secs(if case == "hang" { 2 } else { 30 }));
    if case == "operations" {
        operations(&world);
        println!("rank {} of {}: well", world.rank(), world.size());
        return world.finish();
    }
    if case == "signals" {
        signals(&world);
        return world.finish();
    }
    (0..20).for_each(|step| around(&world, step));
    if fails {
        fs::write(env::var_os(MARK).expect("a file"), "").expect("written");
        fail(world, case);
    } else {
        if case == "check" {
            world.check(&[("version", "1".to_string()), ("data", "abc".to_string())]);
        }
        (20..1_000_000).for_each(|step| around(&world, step));
    }
    println!("not reached");
}

/// Sends numbers around: each rank has one part for each other rank.
fn around(world: &World, step: usize) {
    let length = |from: usize, to: usize| 1 + 10 * from + to + step % 3;
    let others = || (0..world.size()).filter(|&rank| rank != world.rank());
    let parts: Vec<_> = others()
        .map(|to| vec![(step + 100 * world.rank() + to) as f32; length(world.rank(), to)])
        .collect();
    let mut found: Vec<_> = others().map(|from| vec![0.0; length(from, world.rank())]).collect();
    let sends: Vec<_> = others().zip(parts.iter().map(Vec::as_slice)).collect();
    let mut receives: Vec<_> = others().zip(found.iter_mut().map(Vec::as_mut_slice)).collect();
    let traffic = world.exchange(&sends, &mut receives);
    assert_eq!(traffic.n_sent_bytes, parts.iter().map(|part| 4 * part.len() as u64).sum::<u64>());
    for (from, part) in others().zip(&found) {
        let expected = (step + 100 * from + world.rank()) as f32;
        assert!(part.iter().all(|&number| number == expected), "{part:?} of rank {from}");
    }
}

/// Calls every operation, and compares the results.
fn operations(world: &World) {
    let (rank, size) = (world.rank(), world.size());
    assert_eq!((world.local_rank(), world.local_size()), (rank, size));
    assert!(world.library().is_some_and(|name| name.contains("MPI")), "{:?}", world.library());
    (0..50).for_each(|step| around(world, step));
    let texts = world.all_gather("x".repeat(rank * 1000).as_bytes());
    assert_eq!(
        texts.iter().map(Vec::len).collect::<Vec<_>>(),
        (0..size).map(|r| r * 1000).collect::<Vec<_>>()
    );
    assert_eq!(
        world.all_numbers(rank as u64 * 3),
        (0..size as u64).map(|r| r * 3).collect::<Vec<_>>()
    );
    assert_eq!(world.any(1 << rank), (1 << size) - 1);
    assert_eq!(world.max(100 - rank as u64), 100);
    world.check(&[("version", "1".to_string()), ("data", "abc".to_string())]);
    // Two large slices from rank 0 to the last rank, in order, and none the other way.
    let (first, second) = (vec![1.5; 3_000_000], vec![2.5; 1_000_000]);
    let (mut one, mut two) = (vec![0.0; 3_000_000], vec![0.0; 1_000_000]);
    match rank {
        0 => {
            let traffic = world.exchange(&[(size - 1, &first), (size - 1, &second)], &mut []);
            assert_eq!(traffic.n_sent_bytes, 16_000_000);
        }
        _ if rank == size - 1 => {
            world.exchange(&[], &mut [(0, &mut one), (0, &mut two)]);
            assert!(one == first && two == second);
        }
        _ => assert_eq!(world.exchange(&[], &mut []).n_sent_bytes, 0),
    }
    // The wait of all ranks for rank 0.
    if rank == 0 {
        thread::sleep(Duration::from_millis(300));
    }
    let before = world.traffic().wait_seconds;
    world.any(0);
    assert!(rank == 0 || world.traffic().wait_seconds - before > 0.2);
}

/// Saves and ends as signals request, after the step on which all ranks agree.
fn signals(world: &World) {
    let [save, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    flag::register(SIGUSR1, Arc::clone(&save)).expect("a handler");
    for signal in [SIGINT, SIGTERM, SIGUSR2] {
        flag::register(signal, Arc::clone(&stop)).expect("a handler");
    }
    world.any(0);
    if world.is_first() {
        fs::write(env::var_os(MARK).expect("a file"), "").expect("written");
    }
    for step in 0..5_000 {
        thread::sleep(Duration::from_millis(2));
        let [saves, ends] = world.agree([&save, &stop]);
        if saves {
            save.store(false, Ordering::Relaxed);
            println!("[save after {step}]");
        }
        if ends {
            return println!("[end after {step}]");
        }
    }
    panic!("no signal");
}

/// Fails in one of many ways.
fn fail(world: World, case: &str) {
    match case {
        "panic" => panic!("the sky falls"),
        "panic-of-a-thread" => {
            let _ = thread::spawn(|| panic!("the sky falls")).join();
            thread::sleep(Duration::from_secs(60));
        }
        "error" => {
            // A dashboard restores the terminal in such a hook.
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                eprintln!("restored");
                previous(info);
            }));
            world.fail("data_batch_3.bin: not found", 7);
        }
        "return" => drop(world),
        "exit-0" => process::exit(0),
        "exit-3" => process::exit(3),
        "kill" => {
            Command::new("kill").args(["-9", &process::id().to_string()]).status().expect("kill");
            thread::sleep(Duration::from_secs(60));
        }
        "hang" => thread::sleep(Duration::from_secs(60)),
        "finish" => world.finish(),
        "check" => world.check(&[("version", "1".to_string()), ("data", "xyz".to_string())]),
        "order" => world.check(&[]),
        "lengths" => {
            let (mut one, mut two) = ([0.0; 99], [0.0; 99]);
            world.exchange(&[(0, &[1.0]), (2, &[1.0])], &mut [(0, &mut one), (2, &mut two)]);
        }
        _ => unreachable!("{case}"),
    }
}

#[test]
fn operations_give_the_same_results_on_any_number_of_ranks() {
    for n in [2, 3, 5] {
        let ended = ranks(n, "operations -");
        assert!(ended.output.status.success(), "{n} ranks:\n{}", ended.text);
        for rank in 0..n {
            let line = format!("rank {rank} of {n}: well");
            assert!(ended.text.contains(&line), "{n} ranks:\n{}", ended.text);
        }
    }
}

#[test]
fn a_panic_of_one_rank_ends_all() {
    fails("panic", "rank 1: the sky falls");
    fails("panic-of-a-thread", "rank 1: the sky falls");
}

#[test]
fn an_error_of_one_rank_ends_all() {
    let ended = fails("error", "restored\nrank 1: data_batch_3.bin: not found");
    assert_eq!(ended.output.status.code(), Some(7));
    fails("return", "rank 1: this rank ended before the run was finished");
}

#[test]
fn the_end_of_one_process_ends_all() {
    fails("exit-0", "rank 1: the process ended before the run was finished");
    fails("exit-3", "rank 1: the process ended before the run was finished");
    fails("kill", "");
}

#[test]
fn a_rank_that_hangs_is_named() {
    let ended = fails("hang", "rank 1: no answer for 2 s in an exchange (operation 21)");
    assert!(ended.text.contains("look at this rank, or raise --rank-timeout"), "{}", ended.text);
    assert!(ended.after_failure >= Some(Duration::from_secs(2)));
}

#[test]
fn items_that_differ_are_refused_once() {
    let line = "rank 0: data: abc on ranks 0 and 2, xyz on rank 1; all ranks need the same\n";
    let ended = fails("check", line);
    assert_eq!(ended.text.matches("all ranks need the same").count(), 1, "{}", ended.text);
}

#[test]
fn ranks_in_different_operations_are_refused() {
    fails("order", "rank 1 is in a gather (operation 21), this rank in an exchange (operation 21)");
    fails("finish", "rank 1 is in the end of the run (operation 21)");
    fails("lengths", "but this rank expects");
}

/// `docs/distributed.md` lists the signals that each launcher passes on.
#[test]
fn a_signal_to_the_launcher_reaches_all_ranks_after_one_step() {
    let version = Command::new(launcher()).arg("--version").output().expect("a launcher");
    let end = if text(&version).contains("HYDRA") { "TERM" } else { "USR2" };
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let mut command = command(&launcher(), 3, "signals -", &mark);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let begun = Instant::now();
    while !mark.exists() && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(10));
    }
    for signal in ["USR1", end] {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{signal}"), &child.id().to_string()]);
        assert!(kill.status().expect("kill").success());
        thread::sleep(Duration::from_millis(500));
    }
    let output = child.wait_with_output().expect("ended");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for word in ["save", "end"] {
        let marked = format!("[{word} after ");
        let steps = text.split(&marked).skip(1).filter_map(|rest| rest.split(']').next());
        let steps: Vec<_> = steps.collect();
        assert!(steps.len() == 3 && steps.iter().all(|step| *step == steps[0]), "{word}: {text}");
    }
}

#[test]
fn a_program_without_a_launcher_is_a_world_of_one() {
    let started = Instant::now();
    let world = World::begin().expect("no launcher");
    assert_eq!((world.size(), world.launcher(), world.library()), (1, None, None));
    assert!(started.elapsed() < Duration::from_millis(100));
    world.finish();
}

/// The launcher of another MPI starts processes of which each sees a world of one.
#[test]
fn the_launcher_of_another_mpi_is_refused() {
    let other = if launcher().contains("mpich") { "mpirun.openmpi" } else { "mpirun.mpich" };
    let Some(other) = env::split_paths(&env::var_os("PATH").expect("set"))
        .map(|folder| folder.join(other))
        .find(|path| Path::is_file(path))
    else {
        return println!("({other} is not installed: nothing is tested)");
    };
    let mut command = command(&other.to_string_lossy(), 2, "operations -", Path::new("mark"));
    let output = command.output().expect("started");
    let text = text(&output);
    assert!(!output.status.success() && text.contains("it started 2 ranks, but "), "{text}");
}

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
    let child = wgrad(2, path, &train("run")).stderr(Stdio::piped()).spawn().expect("a launcher");
    // A file that is being written has another ending.
    let is_checkpoint = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
        name.is_ok_and(|name| name.starts_with("checkpoint-") && name.ends_with(".safetensors"))
    };
    let found = || fs::read_dir(path.join("run")).is_ok_and(|mut all| all.any(is_checkpoint));
    let begun = Instant::now();
    while !found() && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(5));
    }
    // The launcher dies, and the ranks with it.
    let killed = Command::new("kill").args(["-KILL", &child.id().to_string()]).status();
    assert!(killed.expect("kill is everywhere").success());
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
    assert!(!path.join("run").exists());
}
