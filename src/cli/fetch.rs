//! `wgrad fetch`, and the automatic download of a dataset by `wgrad train` and `wgrad lr-find`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::data::fetch::{
    self, Archive, Event, FetchError, Fetched, MIRROR_VARIABLE, Md5Sum, RetryPolicy,
};
use wgrad::data::{self, DATA_VARIABLE, DATASETS, DatasetSource, Source};

use super::hints;

/// The environment variable that turns automatic downloads off.
const OFFLINE_VARIABLE: &str = "WGRAD_OFFLINE";

/// The time between two lines of progress if the standard error is not a terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Flags of `wgrad fetch`.
#[derive(clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The dataset
    #[arg(value_name = "SET", default_value = "cifar10", value_parser = fetched_dataset())]
    data: String,
    /// The archive [default: $WGRAD_MIRROR, else the published archive]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The archive's MD5 checksum [default: that of the published archive]
    #[arg(long, value_name = "HEX")]
    md5: Option<Md5Sum>,
    /// The folder for the files, if its name is that of the folder in the archive, cifar-10-batches-bin or
    /// cifar-100-binary; otherwise a folder to make this folder in [default: $WGRAD_DATA, else ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

fn after_help() -> String {
    let space = hints::space_of_archives().replacen('a', "A", 1);
    format!(
        "{space}. The checksum is checked before unpacking.\n\
         Ctrl-C keeps the partial download, and the next `wgrad fetch` continues it."
    )
}

/// Returns the parser of the dataset's name, which accepts the datasets with a published archive.
fn fetched_dataset() -> PossibleValuesParser {
    let datasets = DATASETS.iter().filter(|&&dataset| Archive::published(dataset, None).is_some());
    let names: Vec<_> = datasets.map(|dataset| dataset.name()).collect();
    PossibleValuesParser::new(names)
}

/// Returns a variable of the environment. An empty value counts as unset: shells cannot unset a variable for one
/// command.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the URL of a mirror of a dataset's archive: `$WGRAD_MIRROR`, if this URL ends with the archive's file name
/// or the dataset is CIFAR-10; otherwise None.
fn mirror(dataset: &dyn DatasetSource) -> Option<String> {
    let name = dataset.files().and_then(|files| files.archive.as_ref()).map(|archive| archive.name);
    variable(MIRROR_VARIABLE)
        .filter(|url| dataset.name() == "cifar10" || name.is_some_and(|name| url.ends_with(name)))
}

/// Downloads and unpacks a dataset, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let dataset = Source::from_name(&args.data).expect("a name of the list").dataset();
    let url = args.url.clone().or_else(|| mirror(dataset));
    let archive = Archive::published(dataset, url).expect("a dataset with an archive");
    let archive = args.md5.iter().fold(archive, |archive, &md5| archive.with_md5(md5));
    let named = args.data_dir.clone().or_else(|| files::path_variable(DATA_VARIABLE));
    let dir = match named {
        Some(dir) => archive.destination(&dir),
        None => data::default_folder(dataset).expect("a dataset with an archive has a folder"),
    };

    let stop = super::signals::listen()?.stop;
    let mut display = Display::new();
    if !dir.exists() {
        display.say(&format!("fetching {}", archive.url));
    }
    let mut watch = |event: Event<'_>| display.show(&event);
    let result = fetch::fetch(&archive, &dir, &RetryPolicy::ASKED_FOR, &mut watch, &stop);
    display.end();
    match result {
        Ok(fetched) => {
            let already = if fetched == Fetched::Before { " already" } else { "" };
            super::print(&format!("{} is in {}{already}\n", dataset.title(), dir.shown()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ FetchError::Stopped { .. }) => {
            display.say(&sentence(&error));
            Ok(ExitCode::from(super::INTERRUPTED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the error and its hint as one line.
fn sentence(error: &FetchError) -> String {
    let hint = hints::hint_of_fetch(error).map_or(String::new(), |hint| format!("; {hint}"));
    format!("{error}{hint}")
}

/// Flags of commands that download a dataset automatically.
#[derive(Clone, Copy, clap::Args)]
pub struct AutoFetch {
    /// Do not download a dataset that is missing; $WGRAD_OFFLINE=1 has the same effect
    #[arg(long, help_heading = "Data")]
    no_fetch: bool,
}

impl AutoFetch {
    /// Downloads the dataset if it has an archive and its default folder does not exist. Returns true if the user
    /// interrupted the download; the command must then end.
    ///
    /// After a failed download, the method prints a message and returns false; the command continues without the
    /// dataset.
    pub fn interrupted(self, source: Source, data_dir: Option<&Path>, stop: &AtomicBool) -> bool {
        let offline = self.no_fetch || variable(OFFLINE_VARIABLE).is_some_and(|value| value != "0");
        let Some(dir) = data::missing_by_default(source, data_dir).filter(|_| !offline) else {
            return false;
        };
        let dataset = source.dataset();
        let Some(archive) = Archive::published(dataset, mirror(dataset)) else { return false };
        let title = dataset.title();
        let mut display = Display::new();
        display.say(&format!(
            "{title} is not in {}: fetching {} ({}, once; two minutes at 1.5 MB/s).\n\
             Ctrl-C stops the download; --no-fetch, $WGRAD_OFFLINE=1 or --data shapes avoid it.",
            dir.shown(),
            archive.url,
            BinaryBytes(archive.published.n_bytes),
        ));
        let mut watch = |event: Event<'_>| display.show(&event);
        let result = fetch::fetch(&archive, &dir, &RetryPolicy::UNASKED, &mut watch, stop);
        display.end();
        match result {
            Ok(_) => display.say(&format!("{title} is in {}\n", dir.shown())),
            Err(error @ FetchError::Stopped { .. }) => {
                display.say(&sentence(&error));
                return true;
            }
            // No hint is printed, because hints are about `wgrad fetch`, and the user ran another command.
            Err(error) => display.say(&format!("{title} was not fetched: {error}\n")),
        }
        false
    }
}

/// Shows the progress of a download on the standard error: a bar on a terminal, otherwise a line every ten seconds.
struct Display {
    bar: Option<ProgressBar>,
    /// Number of bytes of the archive that an earlier download left.
    start: u64,
    /// Number of bytes of the archive; None if the server does not report it.
    total: Option<u64>,
    begun: Instant,
    line_written: Instant,
}

impl Display {
    fn new() -> Self {
        let now = Instant::now();
        Self { bar: None, start: 0, total: None, begun: now, line_written: now }
    }

    fn say(&self, line: &str) {
        let write = || {
            // A closed standard error does not stop the download.
            let _ = writeln!(io::stderr(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { received, total } => self.begin(*received, *total),
            Event::Received(received) => self.progress(*received),
            Event::Retrying { reason, pause } => {
                self.say(&format!("{reason}; trying again in {:.0} s", pause.as_secs_f64().ceil()));
            }
            Event::StartingOver { reason } => self.say(&format!("starting over: {reason}")),
            Event::Found(path) => self.say(&format!("using {}", path.shown())),
            Event::NotUsed(path) => self.say(&format!(
                "{} is not the published archive (its length or checksum differs); it is not changed",
                path.shown()
            )),
            Event::Unpacking => {
                self.end();
                self.say("the checksum is right; unpacking");
            }
            Event::Skipped(name) => {
                self.say(&format!("not unpacked, because it is not a part of the dataset: {name:?}"));
            }
        }
    }

    fn begin(&mut self, received: u64, total: Option<u64>) {
        if received > 0 {
            self.say(&format!(
                "continuing after the {} of an earlier download",
                BinaryBytes(received)
            ));
        }
        (self.start, self.total, self.begun) = (received, total, Instant::now());
        self.end();
        self.bar = io::stderr().is_terminal().then(|| {
            let template = match total {
                Some(_) => "{wide_bar} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}, {eta} left",
                None => "{spinner} {binary_bytes}  {binary_bytes_per_sec}",
            };
            let style = ProgressStyle::with_template(template).expect("a good template");
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style);
            bar.with_position(received)
        });
        if let Some(bar) = &self.bar {
            bar.reset_eta();
        }
    }

    fn progress(&mut self, received: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(received);
        } else if self.line_written.elapsed() >= BETWEEN_LINES {
            let rate = (received - self.start) as f64 / self.begun.elapsed().as_secs_f64();
            let of = self.total.map_or(String::new(), |n| format!(" of {}", BinaryBytes(n)));
            let (received, rate) = (BinaryBytes(received), BinaryBytes(rate as u64));
            self.say(&format!("{received}{of}, {rate}/s"));
            self.line_written = Instant::now();
        }
    }

    /// Removes the progress bar from the terminal. The next line is printed in the bar's place.
    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
