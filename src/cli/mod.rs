//! The command line: a file a subcommand.
//!
//! Results go to the standard output, everything else to the standard error. Exit codes: 0 when all
//! went well, 1 when something failed, 2 for a wrong use (flags or settings that make no sense), 130
//! after Ctrl-C and the signals that ask for the same ([`signals`]).

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use wgrad::device::OpenOptions;
use wgrad::train::screen::StandardError;

mod bench;
mod compare;
mod devices;
mod eval;
mod fetch;
mod lr_find;
mod outputs;
mod plot;
mod predict;
mod profile;
mod report;
mod signals;
mod summary;
mod tape;
mod train;
mod tui;
mod weights;

/// The exit code of a wrong use, as clap has it.
const WRONG_USE: u8 = 2;

/// The exit code after Ctrl-C, and after every other signal that asks for an end: 128 and the number of SIGINT,
/// as shells have it.
const INTERRUPTED: u8 = 130;

/// Hand-written WGSL shaders train a residual network, on any GPU or on the CPU.
///
/// Start with `wgrad train`: it fetches CIFAR-10, and without a network it trains on built-in images.
#[derive(Parser)]
#[command(name = "wgrad", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell what is done, on the standard error; twice for more ($RUST_LOG chooses in detail)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Run shaders with runtime checks: indices are clamped, and loops counted (slow)
    #[arg(long, global = true)]
    checked: bool,
}

/// Whether `--checked` was given.
static CHECKED: AtomicBool = AtomicBool::new(false);

/// How commands open a device: with what all of them have in common, besides `options`.
fn opened(options: OpenOptions) -> OpenOptions {
    OpenOptions { tell: Some(tell_progress), checked: CHECKED.load(Ordering::Relaxed), ..options }
}

#[derive(Subcommand)]
enum Command {
    /// Train the network, and leave weights and metrics in a folder
    Train(Box<train::Args>),
    /// Sweep over learning rates, and suggest a peak for training
    #[command(mut_args(|arg| {
        let hide = lr_find::NOT_OF_A_SWEEP.contains(&arg.get_id().as_str());
        arg.hide(hide)
    }))]
    LrFind(Box<lr_find::Args>),
    /// Evaluate trained weights on the test images
    Eval(eval::Args),
    /// Compare runs: settings that differ, accuracy, time and curves
    Compare(compare::Args),
    /// Make the report of a run again, from its folder
    Report(report::Args),
    /// Say what is in pictures, with trained weights
    Predict(predict::Args),
    /// Download CIFAR-10
    Fetch(fetch::Args),
    /// Print the network's layers
    Summary(summary::Args),
    /// Print every node of a training step, with shapes, memory and work; or draw it
    Tape(tape::Args),
    /// Time every node of a training step, and hold it against what the device can do
    Profile(profile::Args),
    /// Measure every kernel of a training step against the device's roofline, or against an earlier run
    Bench(bench::Args),
    /// List the adapters, what they can do, and whether every op works on them
    Devices(devices::Args),
}

/// Runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    trace(cli.verbose);
    CHECKED.store(cli.checked, Ordering::Relaxed);
    let result = match cli.command {
        Command::Train(args) => train::run(&args),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Summary(args) => summary::run(&args),
        Command::Tape(args) => tape::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
    };
    result.unwrap_or_else(|error| {
        // A standard error that is closed leaves nobody to tell.
        let _ = io::stderr().write_all(describe(&error).as_bytes());
        match error.downcast_ref::<wgrad::Error>() {
            Some(error) if error.is_wrong_use() => ExitCode::from(WRONG_USE),
            _ => ExitCode::FAILURE,
        }
    })
}

/// Prints a result. A reader that stops reading (`wgrad summary | head -1`) has what it wanted.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A sentence on the standard error that is no error. Where nobody reads it, it is lost.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// Shows what takes a while on one line of the terminal, which the next one replaces; "" at the end.
fn tell_progress(line: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let width = 100;
        // Nothing depends on it being seen.
        let _ = write!(stderr, "\r\x1b[2K{}", line.chars().take(width).collect::<String>());
    }
}

/// `error: ...` with its causes, and what to do about it.
fn describe(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some messages hold that of their cause already.
        if !message.contains(&cause) {
            message += if message.is_empty() { "" } else { ": " };
            message += &cause;
        }
    }
    let hint = error.downcast_ref::<wgrad::Error>().and_then(wgrad::Error::hint);
    let hint = hint.map_or(String::new(), |hint| format!("hint: {hint}\n"));
    format!("error: {message}\n{hint}")
}

/// Tracing goes to the standard error. Quiet unless asked: adapters that are not used, above all
/// software ones, have much to warn of.
fn trace(verbose: u8) {
    let default = match verbose {
        0 => "error,wgpu=off,wgpu_core=off,wgpu_hal=off,naga=off",
        1 => "warn,wgrad=debug",
        _ => "info,wgrad=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| StandardError).init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_say_each_thing_once_and_end_with_the_hint() {
        let error = anyhow::Error::from(wgrad::Error::NoAdapter);
        assert!(describe(&error).starts_with("error: no GPU adapter was found\nhint: install"));
        let source = io::Error::other("the disk is on fire");
        let error = anyhow::Error::from(wgrad::Error::Io { path: "x".into(), source });
        assert_eq!(describe(&error), "error: x: the disk is on fire\n");
    }
}
