//! Signals: from a terminal that closes, from a cluster before it ends a job, and signals that the run ignores.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ExitStatus};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{grantpt, ptsname, unlockpt};

use super::support::*;

/// Returns the arguments of a run that is long enough to be interrupted: 15 epochs of seven steps, with checkpoints
/// only at the ends of epochs.
fn long_run() -> Vec<&'static str> {
    tiny(&["--epochs=15"])
}

/// Returns the arguments of a run with epochs of 250 steps and checkpoints only at the ends of epochs. Replaces the
/// training images by 2,000 others.
fn long_epochs(folder: &Path, epochs: &'static str) -> Vec<&'static str> {
    fs::write(folder.join("data/data_batch_1.bin"), records(2000, 1)).expect("written");
    fs::remove_file(folder.join("data/data_batch_2.bin")).expect("it was there");
    tiny(&[epochs])
}

pub fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill is everywhere").success());
}

/// Waits until a file has this text.
#[track_caller]
pub fn wait_for(path: &Path, text: &str) {
    let begun = Instant::now();
    while !fs::read_to_string(path).is_ok_and(|found| found.contains(text)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{text:?} is not in {}", path.display());
        sleep(Duration::from_millis(2));
    }
}

/// Starts `program` with its arguments, followed by `wgrad` and its arguments. Standard output and standard error go to
/// `log.txt`.
pub fn start(folder: &Path, program: &[&str], arguments: &[&str]) -> Child {
    let log = File::create(folder.join("log.txt")).expect("a file");
    let mut child = through(folder, program, arguments);
    child.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
    child.spawn().expect("it starts")
}

/// Returns the command of `program`, followed by `wgrad` and its arguments.
fn through(folder: &Path, program: &[&str], arguments: &[&str]) -> Command {
    let wgrad = command(folder, arguments);
    let Some((name, before)) = program.split_first() else { return wgrad };
    let mut outer = Command::new(name);
    outer.args(before).arg(wgrad.get_program()).args(wgrad.get_args()).current_dir(folder);
    wgrad.get_envs().for_each(|(key, value)| {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    });
    outer
}

/// Starts a run on a new terminal. The run leads the session of this terminal, so it receives SIGHUP when the terminal
/// closes. Returns None if `setsid` is missing.
fn start_on_terminal(folder: &Path, program: &[&str], arguments: &[&str]) -> Option<(Child, File)> {
    let no_terminal = OFlags::NOCTTY.bits().cast_signed();
    let open =
        |path: &str| OpenOptions::new().read(true).write(true).custom_flags(no_terminal).open(path);
    let outer = open("/dev/ptmx").expect("a terminal");
    grantpt(&outer).expect("its owner");
    unlockpt(&outer).expect("it can be opened");
    let name = ptsname(&outer, Vec::new()).expect("a name").into_string().expect("text");
    let inner = open(&name).expect("the other end");
    let again = || inner.try_clone().expect("a copy");
    let program = [&["setsid", "--ctty"], program].concat();
    let mut command = through(folder, &program, arguments);
    command.env("TERM", "xterm").stdin(again()).stdout(again()).stderr(again());
    match command.spawn() {
        Ok(child) => Some((child, outer)),
        Err(_) => {
            println!("there is no setsid on the PATH: the test is skipped");
            None
        }
    }
}

/// Starts a thread that collects a terminal's output from now on.
fn reading(mut terminal: File) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut text, mut some) = (Vec::new(), [0; 4096]);
        // On Linux, the read returns an error when the other end is closed.
        while let Ok(n @ 1..) = terminal.read(&mut some) {
            text.extend_from_slice(&some[..n]);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Waits for the end of a process. Kills the process and panics after a minute.
#[track_caller]
pub fn end(mut child: Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it is ours");
            panic!("the process has not ended within a minute");
        }
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn nohup_protects_a_run_from_the_end_of_its_terminal() {
    let folder = folder_with_data();
    let path = folder.path();
    let Some((run, terminal)) = start_on_terminal(path, &["nohup"], &long_run()) else { return };
    wait_for(&path.join("nohup.out"), "\n 2/15");
    drop(terminal);
    assert_eq!(end(run).code(), Some(0));
    wait_for(&path.join("nohup.out"), "\n15/15");
}

#[test]
fn a_terminal_that_closes_ends_a_run_that_is_not_protected() {
    let folder = folder_with_data();
    let path = folder.path();
    for more in [&[][..], &["--tui"]] {
        let arguments = [&long_run()[..], more].concat();
        let Some((run, terminal)) = start_on_terminal(path, &[], &arguments) else { return };
        wait_for(&path.join("run/metrics.jsonl"), "\"epoch\":2");
        drop(terminal);
        assert_eq!(end(run).code(), Some(130), "{more:?}");
        wait_for(&path.join("run/summary.json"), "interrupted");
        fs::remove_dir_all(path.join("run")).expect("removed");
    }
}

#[test]
fn a_protected_run_goes_on_when_the_terminal_of_its_dashboard_closes() {
    let folder = folder_with_data();
    let path = folder.path();
    let arguments = [&long_run()[..], &["--tui"]].concat();
    let protected = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let Some((run, terminal)) = start_on_terminal(path, &protected, &arguments) else { return };
    wait_for(&path.join("run/metrics.jsonl"), "\"epoch\":2");
    drop(terminal);
    assert_eq!(end(run).code(), Some(0));
    wait_for(&path.join("run/summary.json"), "finished");
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let folder = folder_with_data();
    let path = folder.path();
    for signal in ["INT", "TERM", "HUP", "USR1", "USR2"] {
        let trap = format!("trap '' {signal}; exec \"$@\"");
        let run = start(path, &["sh", "-c", &trap, "sh"], &long_run());
        wait_for(&path.join("log.txt"), "\n 2/15");
        send(signal, &run);
        assert_eq!(end(run).code(), Some(0), "{signal}");
        let log = fs::read_to_string(path.join("log.txt")).expect("a log");
        assert!(!log.contains("stopping") && !log.contains("on request"), "{signal}: {log}");
        fs::remove_dir_all(path.join("run")).expect("removed");
    }
}

#[test]
fn sigusr1_writes_a_checkpoint_and_training_goes_on_to_the_same_bits() {
    let folder = folder_with_data();
    let path = folder.path();
    let arguments = long_epochs(path, "--epochs=1");
    let run = start(path, &[], &arguments);
    wait_for(&path.join("log.txt"), "epoch          lr");
    send("USR1", &run);
    assert_eq!(end(run).code(), Some(0));
    let log = fs::read_to_string(path.join("log.txt")).expect("a log");
    let written = log.lines().find_map(|line| line.strip_prefix("written on request: "));
    let written = written.unwrap_or_else(|| panic!("no line about a checkpoint: {log}"));
    let step = written.strip_prefix("run/checkpoint-").and_then(|s| s.strip_suffix(".safetensors"));
    let step: u32 = step.expect("a checkpoint's name").parse().expect("its step");
    assert!((1..250).contains(&step), "{log}");
    let whole = fs::read(path.join("run/model.safetensors")).expect("weights");

    // The run can be resumed from the checkpoint.
    fs::remove_file(path.join("run/checkpoint-250.safetensors")).expect("it was there");
    let output = wgrad(path, &["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let resumed = format!("(resumed after step {step} of 250)");
    assert!(stdout(&output).contains(&resumed), "{}", stdout(&output));
    assert!(fs::read(path.join("run/model.safetensors")).expect("weights") == whole);
}

#[test]
fn sigusr1_writes_a_checkpoint_while_a_dashboard_runs_and_sigterm_ends_it() {
    let folder = folder_with_data();
    let path = folder.path();
    let arguments = [&long_epochs(path, "--epochs=100")[..], &["--tui"]].concat();
    let Some((run, terminal)) = start_on_terminal(path, &[], &arguments) else { return };
    let shown = reading(terminal);
    wait_for(&path.join("run/metrics.csv"), "epoch");
    send("USR1", &run);
    wait_for(&path.join("run/metrics.jsonl"), "\"epoch\":1");
    send("TERM", &run);
    assert_eq!(end(run).code(), Some(130));
    let shown = shown.join().expect("it reads");
    let (_, after) =
        shown.rsplit_once("\u{1b}[?1049l").expect("the dashboard must leave the alternate screen");
    for words in ["written on request: run/checkpoint-", "SIGTERM: stopping", "summary: "] {
        assert!(after.contains(words), "{words:?} is not in {after}");
    }
}

#[test]
fn a_signal_that_ends_a_run_saves_it_and_is_named() {
    let folder = folder_with_data();
    let path = folder.path();
    let whole = wgrad(path, &tiny(&["--epochs=15", "--out=whole"]));
    assert!(whole.status.success(), "{}", stderr(&whole));
    let whole = fs::read(path.join("whole/model.safetensors")).expect("weights");
    for signal in ["USR2", "TERM", "HUP", "INT"] {
        let run = start(path, &[], &long_run());
        wait_for(&path.join("log.txt"), "\n 2/15");
        send(signal, &run);
        assert_eq!(end(run).code(), Some(130), "{signal}");
        let log = fs::read_to_string(path.join("log.txt")).expect("a log");
        let name = if signal == "INT" { "Ctrl-C".to_string() } else { format!("SIG{signal}") };
        assert!(log.contains(&format!("{name}: stopping as soon as possible")), "{log}");
        let output = wgrad(path, &["train", "--resume", "run"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            fs::read(path.join("run/model.safetensors")).expect("weights") == whole,
            "{signal}"
        );
        fs::remove_dir_all(path.join("run")).expect("removed");
    }
}

#[test]
fn a_dashboard_on_a_dumb_terminal_is_an_error_with_its_type() {
    let folder = folder_with_data();
    let arguments = [&long_run()[..], &["--tui"]].concat();
    let dumb = ["env", "TERM=dumb"];
    let Some((run, terminal)) = start_on_terminal(folder.path(), &dumb, &arguments) else { return };
    let shown = reading(terminal);
    assert_eq!(end(run).code(), Some(1));
    let shown = shown.join().expect("it reads");
    assert!(
        shown.contains("--tui: TERM=dumb cannot be drawn on; set TERM to the terminal's type"),
        "{shown}"
    );
    assert!(!shown.contains("standard error is not") && !shown.contains('\u{1b}'), "{shown}");
}

/// Starts a command that blocks: it reads its settings from a pipe, and the test writes nothing to this pipe.
fn stuck(folder: &Path, streams: impl Fn() -> Stdio) -> (Child, File) {
    let pipe = folder.join("settings.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is everywhere").success());
    let mut command = command(folder, &["train", "--config", "settings.toml"]);
    let child = command.stdout(streams()).stderr(streams()).spawn().expect("it starts");
    // Opening the pipe for writing waits until the command has opened it for reading. The command installs its signal
    // handler before that.
    let writer = OpenOptions::new().write(true).open(&pipe).expect("the other end");
    fs::remove_file(pipe).expect("removed");
    (child, writer)
}

#[test]
fn a_second_signal_ends_a_command_at_once() {
    let folder = folder_with_data();
    let path = folder.path();
    for signal in ["USR2", "TERM", "HUP", "INT"] {
        let log = File::create(path.join("log.txt")).expect("a file");
        let (mut run, writer) = stuck(path, || log.try_clone().expect("a file").into());
        send(signal, &run);
        wait_for(&path.join("log.txt"), "stopping as soon as possible");
        sleep(Duration::from_millis(400));
        assert!(
            run.try_wait().expect("it is ours").is_none(),
            "{signal}: the first signal ended it"
        );
        send(signal, &run);
        assert_eq!(end(run).code(), Some(130), "{signal}");
        drop(writer);
    }
}

/// The command blocks when it writes the message about the first signal. The second signal must end it all the same.
#[test]
fn a_second_signal_ends_a_command_whose_standard_error_is_stuck() {
    let folder = folder_with_data();
    let (reader, mut full) = std::io::pipe().expect("a pipe");
    let copy = full.try_clone().expect("a copy");
    // The thread fills the pipe and then blocks, so the pipe stays full.
    thread::spawn(move || std::io::Write::write_all(&mut full, &[b'.'; 1 << 20]));
    let (mut run, writer) = stuck(folder.path(), || copy.try_clone().expect("a copy").into());
    let begun = Instant::now();
    while run.try_wait().expect("it is ours").is_none() {
        if begun.elapsed() > Duration::from_secs(10) {
            run.kill().expect("it is ours");
        } else {
            send("TERM", &run);
        }
        sleep(Duration::from_millis(400));
    }
    assert_eq!(run.wait().expect("it ended").code(), Some(130));
    drop((reader, writer));
}
