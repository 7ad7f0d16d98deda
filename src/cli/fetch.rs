//! `wgrad fetch`, and what `wgrad train` does about CIFAR-10 when it is not there.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::data::fetch::{
    self, Archive, Event, FetchError, Fetched, MIRROR_VARIABLE, Md5Sum, PUBLISHED_BYTES, Patience,
};
use wgrad::data::{self, DATA_VARIABLE, DEFAULT_FOLDER, Source};

use super::hints;

/// The environment variable that keeps `wgrad train` from the network.
const OFFLINE_VARIABLE: &str = "WGRAD_OFFLINE";

/// The time between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Flags of `wgrad fetch`.
#[derive(clap::Args)]
#[command(after_help = "\
The download is 162 MiB, and what it unpacks to 176 MiB. It is checked before anything is unpacked.
Ctrl-C keeps what has arrived, and the next `wgrad fetch` goes on from there.")]
pub struct Args {
    /// Where the archive is [default: $WGRAD_MIRROR, else where CIFAR-10 was published]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The archive's checksum, if it is not the published archive [default: that one's]
    #[arg(long, value_name = "HEX")]
    md5: Option<Md5Sum>,
    /// Where to put it: this folder if it is named cifar-10-batches-bin, else that folder in it
    /// [default: $WGRAD_DATA, else ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A variable of the environment. Empty counts as unset, as shells have no better way to unset one for
/// a command.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Fetches.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let archive = Archive::published(args.url.clone().or_else(|| variable(MIRROR_VARIABLE)));
    let archive = args.md5.iter().fold(archive, |archive, &md5| archive.with_md5(md5));
    let named = args.data_dir.clone().or_else(|| files::path_variable(DATA_VARIABLE));
    let dir = named.map_or_else(|| DEFAULT_FOLDER.into(), |dir| fetch::destination(&dir));

    let stop = super::signals::listen()?.stop;
    let mut display = Display::new();
    if !dir.exists() {
        display.say(&format!("fetching {}", archive.url));
    }
    let mut watch = |event: Event<'_>| display.show(&event);
    let result = fetch::fetch(&archive, &dir, &Patience::ASKED_FOR, &mut watch, &stop);
    display.end();
    match result {
        Ok(fetched) => {
            let already = if fetched == Fetched::Before { " already" } else { "" };
            super::print(&format!("CIFAR-10 is in {}{already}\n", dir.shown()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ FetchError::Stopped { .. }) => {
            display.say(&sentence(&error));
            Ok(ExitCode::from(super::INTERRUPTED))
        }
        Err(error) => Err(error.into()),
    }
}

/// The error and its hint in a line.
fn sentence(error: &FetchError) -> String {
    let hint = hints::hint_of_fetch(error).map_or(String::new(), |hint| format!("; {hint}"));
    format!("{error}{hint}")
}

/// Flags of commands that fetch CIFAR-10 without being asked to.
#[derive(Clone, Copy, clap::Args)]
pub struct Unasked {
    /// Do not download CIFAR-10 when it is missing (nor with $WGRAD_OFFLINE set)
    #[arg(long, help_heading = "Data")]
    no_fetch: bool,
}

impl Unasked {
    /// Downloads CIFAR-10 if it is wanted, missing and to be had, after saying so. Returns whether the
    /// user stopped it, and with that the command.
    ///
    /// A download that fails is told of, and no error: whoever loads the data next knows what to do
    /// without it.
    pub fn interrupted(self, source: Source, data_dir: Option<&Path>, stop: &AtomicBool) -> bool {
        let offline = self.no_fetch || variable(OFFLINE_VARIABLE).is_some_and(|value| value != "0");
        let Some(dir) = data::missing_by_default(source, data_dir).filter(|_| !offline) else {
            return false;
        };
        let archive = Archive::published(variable(MIRROR_VARIABLE));
        let mut display = Display::new();
        display.say(&format!(
            "CIFAR-10 is not in {}: fetching {} ({}, once; two minutes at 1.5 MB/s).\n\
             Ctrl-C stops it; --no-fetch, $WGRAD_OFFLINE=1 or --data shapes do without.",
            dir.shown(),
            archive.url,
            BinaryBytes(PUBLISHED_BYTES),
        ));
        let mut watch = |event: Event<'_>| display.show(&event);
        let result = fetch::fetch(&archive, dir, &Patience::UNASKED, &mut watch, stop);
        display.end();
        match result {
            Ok(_) => display.say(&format!("CIFAR-10 is in {}\n", dir.shown())),
            Err(error @ FetchError::Stopped { .. }) => {
                display.say(&sentence(&error));
                return true;
            }
            // Hints that speak of `wgrad fetch` suit whoever wants it after all.
            Err(error) => display.say(&format!("CIFAR-10 was not fetched: {error}\n")),
        }
        false
    }
}

/// What is shown of a fetch, on the standard error: a bar on a terminal, now and then a line elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    /// Where this download began, and all there is, if the server told it.
    start: u64,
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
            // A reader that went away is no reason to stop.
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
                "{} is not the published archive (its length or checksum is another); it is left alone",
                path.shown()
            )),
            Event::Unpacking => {
                self.end();
                self.say("the checksum is right; unpacking");
            }
            Event::Skipped(name) => {
                self.say(&format!("not unpacked, as it does not belong to CIFAR-10: {name:?}"));
            }
        }
    }

    fn begin(&mut self, received: u64, total: Option<u64>) {
        if received > 0 {
            self.say(&format!("going on after the {} that are here", BinaryBytes(received)));
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

    /// Clears the bar: what is printed next stands in its place.
    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
