//! Worlds of several ranks, started with `mpirun`: the operations, and the end of all ranks after a failure of one.
//!
//! The test program starts itself: the test `rank` is one rank of the other tests. `$MPIRUN` selects the launcher, which
//! must belong to the MPI of the build; `scripts/test-mpi.sh` sets both.
#![cfg(all(feature = "mpi", feature = "cli"))]

#[path = "common/mpirun.rs"]
mod mpirun;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, thread};

use mpirun::{IN_TIME, launcher, started_by, starter, text, version};
use wgrad::distributed::{Ranks, World};

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

/// Returns the command that starts `n` ranks of a case.
fn command(launcher: &str, n: usize, case: &str, mark: &Path) -> Command {
    run_case(started_by(launcher, n, &this_program()), case, mark)
}

fn this_program() -> PathBuf {
    env::current_exe().expect("this program")
}

/// Completes a command that starts this program as the ranks of a case.
fn run_case(mut command: Command, case: &str, mark: &Path) -> Command {
    command.args(["rank", "--exact", "--ignored", "--nocapture"]);
    command.env(CASE, case).env(MARK, mark);
    command
}

/// Runs `n` ranks of a case until all have ended.
fn ranks(n: usize, case: &str) -> Ended {
    ended(started_by(&launcher(), n, &this_program()), case)
}

/// Runs the ranks that a command starts, until all have ended.
fn ended(command: Command, case: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let output = run_case(command, case, &mark).output().expect("a launcher");
    let failed = fs::metadata(&mark).and_then(|mark| mark.modified()).ok();
    let after_failure = failed.map(|time| time.elapsed().unwrap_or_default());
    Ended { after_failure, text: text(&output), output }
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
    if case == "slow" {
        slow(&world, fails);
        return world.finish();
    }
    if case == "operations" {
        operations(&world);
        println!("rank {} of {}: well", world.rank(), world.size());
        return world.finish();
    }
    (0..20).for_each(|step| around(&world, step));
    if fails {
        fs::write(env::var_os(MARK).expect("a file"), "").expect("written");
        fail(world, case);
    } else {
        if case == "kill-busy" {
            thread::sleep(Duration::from_secs(60));
        }
        if case == "check" {
            world.check(&[("version", "1".to_string()), ("data", "abc".to_string())]);
        }
        (20..1_000_000).for_each(|step| around(&world, step));
    }
    println!("not reached");
}

/// A rank whose process the others see is late after a signal to stop.
fn slow(world: &World, is_late: bool) {
    world.stops_with(&Arc::new(AtomicBool::new(true)));
    (0..20).for_each(|step| around(world, step));
    if is_late {
        thread::sleep(Duration::from_secs(4));
    }
    around(world, 20);
    println!("rank {}: well", world.rank());
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
    assert_eq!(world.local_rank(), rank, "all ranks are on this machine");
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
    assert_eq!(world.of_first(0.5 + rank as f64), 0.5);
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
        "kill" | "kill-busy" => {
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

/// Makes the launcher leave the other ranks running when one is killed. Returns false if no option of the launcher is known
/// to do so. Open MPI 5 starts ranks with PRRTE in place of ORTE. The manual of PRRTE has `--runtime-options recoverable`,
/// which was not tried. MPICH's `mpiexec -disable-auto-cleanup` (Hydra 4.0.2) leaves them running after an exit code, but
/// not after a signal.
fn leave_others_running(command: &mut Command) -> bool {
    command.env("OMPI_MCA_orte_enable_recovery", "1");
    version().contains("OpenRTE")
}

/// Some launchers do not end the others: `srun` only sends them a signal to stop. The others wait for the rank, or compute.
#[test]
fn ranks_of_a_machine_end_when_one_is_killed() {
    for case in ["kill 1", "kill-busy 1"] {
        let mut command = starter(&launcher());
        if !leave_others_running(&mut command) {
            eprintln!(
                "skipped: no known option of this launcher leaves the others running: {}",
                version()
            );
            return;
        }
        command.args(["-n", "3"]).arg(this_program());
        let Ended { after_failure, text, .. } = ended(command, case);
        let line = "rank 0: rank 1: its process has ended, for example by a signal";
        assert!(text.contains(line) && !text.contains("not reached"), "{case}: {text}");
        assert!(after_failure.is_some_and(|after| after < IN_TIME), "{after_failure:?}: {text}");
    }
}

#[test]
fn a_slow_rank_of_the_machine_is_not_dead() {
    let ended = ranks(3, "slow 1");
    assert!(ended.output.status.success(), "{}", ended.text);
    assert_eq!(ended.text.matches(": well").count(), 3, "{}", ended.text);
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

#[test]
fn a_program_without_a_launcher_is_a_world_of_one() {
    let started = Instant::now();
    let world = World::begin().expect("no launcher");
    assert_eq!((world.size(), world.library()), (1, None));
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
