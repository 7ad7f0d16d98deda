//! The command line, one file per subcommand.
//!
//! Results go to the standard output, all other text goes to the standard error. Exit codes: 0 after success, 1
//! after a failure, 2 after a wrong use (flags or settings that are invalid or contradict each other), 130 after
//! Ctrl-C and the other signals that end a command ([`signals`]).

use std::any::TypeId;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use wgrad::base::files;
use wgrad::base::shown::escaped_lines;
use wgrad::distributed::World;
use wgrad::train::resume;
use wgrad::train::screen::StandardError;

mod arguments;
mod bench;
mod common;
mod compare;
mod convert;
mod data;
mod devices;
mod eval;
mod export;
mod fetch;
mod fusion;
mod hints;
mod lr_find;
mod networks;
mod outputs;
mod plot;
mod predict;
mod profile;
mod ranks;
mod report;
mod settings;
mod signals;
mod sizes;
mod study;
mod summary;
mod tape;
mod train;
mod tui;
mod weights;

use common::{CHECKED, INTERRUPTED, WrongUse, note, of_file, opened, print};

/// The exit code of a wrong use. clap uses the same.
const WRONG_USE: u8 = 2;
/// The exit code of a rank that ends all ranks because of another error.
const FAILED: u8 = 1;

/// Train a residual network with hand-written WGSL shaders, on any GPU or on the CPU.
///
/// Start with `wgrad train`. It downloads CIFAR-10; offline, it trains on built-in images.
#[derive(Parser)]
#[command(name = "wgrad", version, max_term_width = 100, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Write a log to the standard error; give the flag twice for more ($RUST_LOG sets levels by module)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Run shaders with runtime checks: indices are clamped, and loops are bounded (slow)
    #[arg(long, global = true)]
    checked: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Train the network, and write weights and metrics into a folder
    Train(Box<train::Args>),
    /// Sweep over learning rates, and suggest a peak learning rate
    #[command(mut_args(|arg| {
        let hide = lr_find::NOT_OF_A_SWEEP.contains(&arg.get_id().as_str());
        arg.hide(hide)
    }))]
    LrFind(Box<lr_find::Args>),
    /// Evaluate trained weights on the test images
    Eval(eval::Args),
    /// Compare runs: their different settings, accuracy, time and curves
    Compare(compare::Args),
    /// Write the report of a run again, from the run's folder
    Report(report::Args),
    /// Report on a folder of pictures before training: classes, sizes, unreadable files, duplicates
    Data(data::Args),
    /// Classify pictures with trained weights
    Predict(predict::Args),
    /// Convert a file of weights, such as one of torch.save, to safetensors
    Convert(convert::Args),
    /// Write a network with its weights as an ONNX file, which other programs run
    Export(export::Args),
    /// Download CIFAR-10 or CIFAR-100
    Fetch(fetch::Args),
    /// List the networks with their sizes
    Networks(networks::Args),
    /// Print the layers of a network
    Summary(summary::Args),
    /// Print every node of a training step with its shapes, memory and work, or draw the network
    Tape(tape::Args),
    /// Time every node of a training step, and compare the times with the device's peak rates
    Profile(profile::Args),
    /// Time every kernel of a training step, and compare the times with the device's roofline or an earlier run
    Bench(bench::Args),
    /// Test a claim about residual networks by an experiment, and write a page about it
    Study(study::Args),
    /// List the adapters with their features, and test every op on each of them
    Devices(devices::Args),
}

/// Returns the definition of the command line for clap. If a flag is given twice, the last value counts. A wrapper
/// script can thus append flags that override its caller's.
fn command() -> clap::Command {
    with_home(Cli::command())
}

/// Makes every argument that is a path accept a leading `~` for the home folder. Shells expand `~` only at the start of
/// a word, and not in `--out=~/run`.
fn with_home(command: clap::Command) -> clap::Command {
    let read = |arg: clap::Arg| match arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
        true => {
            arg.value_parser(PathBufValueParser::new().try_map(|path| files::expand_home(&path)))
        }
        false => arg,
    };
    command.mut_args(read).mut_subcommands(with_home)
}

/// Runs the command, and returns its exit code.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start_log(cli.verbose);
    CHECKED.store(cli.checked, Ordering::Relaxed);
    // The world begins before a device, whose panic hook must be the outer one.
    let mut world = match World::begin() {
        Ok(world) => world,
        Err(error) => return failed(&wgrad::Error::from(error).into(), &matches),
    };
    match &cli.command {
        Command::Train(args) => world.set_timeout(args.rank_timeout()),
        Command::Profile(args) => world.set_timeout(args.rank_timeout()),
        _ if world.size() > 1 => {
            let alone = "this command runs on one rank; start it without mpirun or srun";
            world.refuse(alone, WRONG_USE);
        }
        _ => {}
    }
    ranks::prepare(&world);
    let world = Rc::new(world);
    let result = match cli.command {
        Command::Train(args) => train::run(&args, &world),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Networks(args) => networks::run(&args),
        Command::Summary(args) => summary::run(&args),
        Command::Tape(args) => tape::run(&args),
        Command::Profile(args) => profile::run(&args, &world),
        Command::Bench(args) => bench::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Devices(args) => devices::run(&args),
    };
    let result = result.map_err(hints::summed);
    if result.as_ref().is_err_and(is_interrupted) {
        // The message about the signal is printed already.
        return ExitCode::from(INTERRUPTED);
    }
    if let Err(error) = &result
        && world.size() > 1
    {
        let text = describe(error, &Flags::of(&matches));
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        world.fail(text, if is_wrong_use(error) { WRONG_USE } else { FAILED });
    }
    if let Some(world) = Rc::into_inner(world) {
        world.finish();
    }
    result.unwrap_or_else(|error| failed(&error, &matches))
}

/// Prints an error, and returns the exit code.
fn failed(error: &anyhow::Error, matches: &clap::ArgMatches) -> ExitCode {
    // A failure to print the message is ignored, because the exit code reports the error anyway.
    let _ = io::stderr().write_all(describe(error, &Flags::of(matches)).as_bytes());
    if is_wrong_use(error) { ExitCode::from(WRONG_USE) } else { ExitCode::FAILURE }
}

/// Returns true if a signal ended the reading of pictures.
fn is_interrupted(error: &anyhow::Error) -> bool {
    use wgrad::data::{DataError, LoadError, pictures::PicturesError};
    matches!(
        error.downcast_ref(),
        Some(wgrad::Error::Data(LoadError {
            cause: DataError::Pictures(PicturesError::Interrupted),
            ..
        }))
    )
}

/// Returns true if the error is a wrong use: invalid or contradictory flags or settings. Commands check these before
/// they begin their work.
fn is_wrong_use(error: &anyhow::Error) -> bool {
    use wgrad::Error::{Config, Measure, World};
    matches!(error.downcast_ref(), Some(Config(_) | Measure(_) | World(_)))
        || error.is::<WrongUse>()
}

/// The flags that have an effect on the command that runs. Hints name only these flags.
struct Flags(Vec<String>);

impl Flags {
    fn of(matches: &clap::ArgMatches) -> Self {
        let (root, mut matches) = (command(), matches);
        let mut command = &root;
        while let Some((name, inner)) = matches.subcommand() {
            matches = inner;
            command = command.find_subcommand(name).expect("a parsed subcommand");
        }
        let is_given = |id: &str| matches!(matches.try_contains_id(id), Ok(true));
        let helps = |flag: &str| match command.get_name() {
            // A resumed run accepts new values only for the settings in `FREE`.
            "train" if is_given("resume") => resume::FREE.contains(&flag),
            // Hints do not name `--width`: the file of weights fits only a network of its own width.
            "eval" | "export" | "predict" => flag != "width",
            "tape" if is_given("replay") => flag == "device",
            _ => true,
        };
        let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flags = flags.filter_map(|arg| arg.get_long()).filter(|flag| helps(flag));
        Self(flags.map(|flag| format!("--{flag}")).collect())
    }

    fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|known| known == flag)
    }
}

/// Returns the text for the user: `error: ...` with the causes of the error, and a line `hint: ...` if a hint exists.
fn describe(error: &anyhow::Error, flags: &Flags) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some messages contain the message of their cause.
        if !message.contains(&cause) {
            message += if message.is_empty() { "" } else { ": " };
            message += &cause;
        }
    }
    let hint = error
        .downcast_ref::<wgrad::Error>()
        .and_then(|error| hints::hint(error, &|flag| flags.has(flag)));
    let hint = hint.map_or(String::new(), |hint| format!("hint: {hint}\n"));
    // Control characters in paths are already escaped. This call escapes control characters in all other text, such as
    // text from a file.
    escaped_lines(&format!("error: {message}\n{hint}"))
}

/// Sends the log to the standard error. Without `-v` and `$RUST_LOG`, the log has only errors, and no messages of wgpu:
/// wgpu logs many messages about adapters that are not used, mostly software adapters.
fn start_log(verbose: u8) {
    let default = match verbose {
        0 => "error,wgpu=off,wgpu_core=off,wgpu_hal=off,naga=off",
        1 => "warn,wgrad=debug",
        _ => "info,wgrad=trace",
    };
    let begun = Instant::now();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(default))
        .target(env_logger::Target::Pipe(Box::new(StandardError)))
        .format(move |out, record| {
            let (seconds, text) = (begun.elapsed().as_secs_f64(), record.args());
            writeln!(out, "{seconds:8.3} s {:5} {}: {text}", record.level(), record.target())
        })
        .init();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use wgrad::base::files::FileError;
    use wgrad::device::DeviceError;
    use wgrad::passes::PlanError;
    use wgrad::train::StepError;

    fn matches(arguments: &[&str]) -> clap::ArgMatches {
        command().try_get_matches_from([&["wgrad"], arguments].concat()).expect("good flags")
    }

    fn described(error: impl Into<anyhow::Error>, arguments: &[&str]) -> String {
        describe(&hints::summed(error.into()), &Flags::of(&matches(arguments)))
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_texts_have_at_most_100_columns() {
        let mut command = command();
        let names: Vec<_> =
            command.get_subcommands().map(|one| one.get_name().to_string()).collect();
        let helps = names.iter().map(|name| {
            let one = command.find_subcommand_mut(name).expect("a subcommand");
            format!("{}{}", one.render_help(), one.render_long_help())
        });
        let helps: String = helps.collect();
        for line in helps.lines().chain(command.render_help().to_string().lines()) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn the_last_of_several_values_counts_and_lists_keep_all_values() {
        let of = |matches: &clap::ArgMatches, name: &str| {
            matches.subcommand_matches(name).expect("that command").clone()
        };
        let two_pictures = ["predict", "--weights=a", "--top=1", "x", "--json", "--weights=b"];
        let given = matches(&[&two_pictures[..], &["--json", "--top=2", "y"]].concat());
        let predict = of(&given, "predict");
        assert_eq!(predict.get_one::<PathBuf>("weights").expect("given"), Path::new("b"));
        assert_eq!(predict.get_many::<PathBuf>("images").expect("given").count(), 2);
        let rules = ["--no-fuse=batch-norm-relu", "--no-fuse=conv-max-pool"];
        let given = matches(&[&["bench", "--width=4", "--width=8"], &rules[..]].concat());
        let bench = of(&given, "bench");
        assert_eq!(
            bench.get_many::<wgrad::passes::fuse::Rule>("no_fuse").expect("both").count(),
            2
        );
        let given = matches(&[
            "train",
            "-v",
            "--epochs=1",
            "-v",
            "--no-flip",
            "--epochs=2",
            "--no-flip=false",
        ]);
        let cli = Cli::from_arg_matches(&given).expect("flags");
        assert_eq!(cli.verbose, 2);
        let train = of(&given, "train");
        let settings = settings::SettingsArgs::from_arg_matches(&train).expect("flags").settings;
        let epochs = settings.epochs.expect("the second");
        assert_eq!((epochs.get(), settings.no_flip), (2, Some(false)));
    }

    #[test]
    fn hints_name_flags_of_the_command_that_ran() {
        let limit = || DeviceError::from(PlanError::MemoryLimit { planned: 2, limit: 1 });
        let raise = |arguments: &[&str]| described(limit(), arguments);
        assert!(
            raise(&["train"]).contains("use a smaller --batch-size or --width, or raise --memory")
        );
        let resumed = raise(&["train", "--resume", "run"]);
        assert!(resumed.contains("hint: raise --memory-limit;"), "{resumed}");
        assert!(
            raise(&["eval", "--weights=w"]).contains("hint: use a smaller --batch-size, or raise")
        );
        assert!(raise(&["predict", "--weights=w", "x"]).contains("hint: raise --memory-limit;"));
        assert!(
            raise(&["report", "run"])
                .contains("hint: raise memory-limit in the run's config.toml;")
        );
        let rate = || StepError::NotFinite { epoch: 1, step: 1 };
        assert!(described(rate(), &["train"]).contains("hint: use a smaller --max-lr"));
        assert!(described(rate(), &["train", "--resume=run"]).contains("start a new run with"));
        assert!(described(rate(), &["lr-find"]).contains("hint: use a smaller --end-lr"));
        assert!(!described(DeviceError::NoAdapter, &["devices"]).contains("--device"));
    }

    #[test]
    fn a_tilde_that_the_shell_did_not_expand_is_the_home_folder() {
        let given = matches(&["train", "--out=~/run", "--config", "./~"]);
        let train = given.subcommand_matches("train").expect("train");
        assert_eq!(train.get_one::<PathBuf>("config").expect("a path"), Path::new("./~"));
        let settings = settings::SettingsArgs::from_arg_matches(train).expect("flags").settings;
        let out = settings.out.expect("a path");
        assert!(out.is_absolute() && out.ends_with("run"), "{out:?}");
    }

    #[test]
    fn control_characters_in_errors_are_escaped() {
        let error = WrongUse("line 1\nx = \u{1b}[31m".to_string());
        assert_eq!(described(error, &["train"]), "error: line 1\nx = \\u{1b}[31m\n");
    }

    #[test]
    fn errors_name_each_cause_once_and_end_with_the_hint() {
        let error = described(DeviceError::NoAdapter, &["train"]);
        assert!(error.starts_with("error: no GPU adapter was found\nhint: install"), "{error}");
        let source = io::Error::other("the disk is on fire");
        let error = described(FileError::at(Path::new("x"))(source), &["train"]);
        assert_eq!(error, "error: x: the disk is on fire\n");
    }
}
