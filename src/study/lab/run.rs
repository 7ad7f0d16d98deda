//! A study from its settings to its files, `study.html` and `study.json`.

use std::fs;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wgrad::base::chart::escape;
use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::device::Device;
use wgrad::nn::{NetworkRef, WeightsFile};
use wgrad::report::html;
use wgrad::train::console::duration;

use super::context::{Lab, Settings, Stopped, Study};
use super::page::Finding;
use super::progress::ProgressLine;
use super::{Images, Page, RULE, Record, lesson};

/// The name of the page of a study.
pub const PAGE: &str = "study.html";
/// The name of the file with the numbers of a study.
pub const NUMBERS: &str = "study.json";

/// The parts of a study's run that all studies of a command share.
pub struct Setup<'a> {
    /// The device.
    pub device: &'a Device,
    /// The images.
    pub images: &'a Images,
    /// The settings that determine the numbers.
    pub settings: Settings,
    /// The network of the flag `--network`.
    pub network: Option<NetworkRef>,
    /// The weights of the flag `--weights`.
    pub weights: Option<&'a WeightsFile>,
    /// True to go on with the measurements of a process that was stopped.
    pub resume: bool,
    /// True once a signal has requested the end.
    pub stop: &'a AtomicBool,
    /// The command, as the page shows it.
    pub command: String,
}

/// The contents of `study.json` that a later process reads.
#[derive(Serialize, Deserialize)]
struct Stored {
    study: String,
    seconds: f64,
    settings: Settings,
    series: Record,
}

/// Runs a study, and writes its files into the folder `out`. Returns the text for the terminal; none if a signal has
/// stopped the study, whose page then has the measurements so far.
///
/// # Errors
/// If a measurement fails, or a file cannot be read or written.
pub fn run(study: &'static Study, setup: &Setup<'_>, out: &Path) -> anyhow::Result<Option<String>> {
    let mut lab = open(study, setup, out);
    if setup.resume {
        go_on(&mut lab)?;
    }
    fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.shown()))?;
    let measured = (study.measure)(&mut lab);
    lab.progress.end();
    match measured {
        Err(error) if error.is::<Stopped>() => {
            write(&lab)?;
            return Ok(None);
        }
        other => other?,
    }
    lab.is_whole = true;
    write(&lab)?;
    let page = shown(&lab);
    let (page, path) = (page.printed(), out.join(PAGE));
    Ok(Some(format!("{page}\nwritten to {} in {}\n", path.shown(), duration(lab.seconds()))))
}

impl Lab<'_> {
    /// Runs a measurement, and adds its numbers to the record: `run` returns names and numbers, and the record has them
    /// as `key/name`. Does nothing if the record has numbers of this key, from a process that was stopped. Then writes
    /// the page of the measurements so far.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived, and the errors of `run`.
    pub fn measure<N: Into<String>>(
        &mut self,
        key: &str,
        run: impl FnOnce(&mut Self) -> anyhow::Result<Vec<(N, Vec<f64>)>>,
    ) -> anyhow::Result<()> {
        if self.record.below(&format!("{key}/")).next().is_some() {
            return Ok(());
        }
        self.check_stop()?;
        self.progress.begin(key);
        for (name, numbers) in run(self)? {
            self.record.insert(format!("{key}/{}", name.into()), numbers);
        }
        self.progress.end();
        write(self)
    }
}

/// Returns the lab of a study, without measurements.
pub fn open<'a>(study: &'static Study, setup: &Setup<'a>, out: &Path) -> Lab<'a> {
    Lab {
        device: setup.device,
        images: setup.images,
        settings: setup.settings.clone(),
        network: setup.network,
        weights: setup.weights,
        record: Record::default(),
        study,
        out: out.to_path_buf(),
        stop: setup.stop,
        seconds_before: 0.0,
        begun: Instant::now(),
        progress: ProgressLine::new(study.name),
        command: setup.command.clone(),
        is_whole: false,
    }
}

/// Reads the measurements of an earlier process.
///
/// # Errors
/// If the file cannot be read, or has numbers of another study or other settings.
pub fn go_on(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let path = lab.out.join(NUMBERS);
    if !path.exists() {
        return Ok(());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.shown()))?;
    let stored: Stored = serde_json::from_str(&text)
        .map_err(|error| anyhow!("{}: not the numbers of a study: {error}", path.shown()))?;
    if stored.study != lab.study.name || stored.settings != lab.settings {
        return Err(anyhow!(
            "{}: its numbers are of another study or other settings; give the same flags, or leave out --resume",
            path.shown()
        ));
    }
    (lab.record, lab.seconds_before) = (stored.series, stored.seconds);
    Ok(())
}

fn shown(lab: &Lab<'_>) -> Page {
    let mut page = Page::default();
    (lab.study.show)(&lab.record, &mut page);
    if !lab.is_whole {
        page.drop_findings();
    }
    page
}

/// Writes the files of a study from the measurements so far.
///
/// # Errors
/// If a file cannot be written.
pub fn write(lab: &Lab<'_>) -> anyhow::Result<()> {
    let page = shown(lab);
    let verdicts: serde_json::Map<_, _> = page
        .findings()
        .iter()
        .filter_map(|finding| finding.claim.as_ref())
        .map(|(claim, verdict)| (claim.clone(), verdict.words().into()))
        .collect();
    let numbers = json!({
        "study": lab.study.name,
        "seed": lab.settings.seed,
        "seconds": lab.seconds(),
        "finished": lab.is_whole,
        "settings": lab.settings,
        "device": lab.device.name(),
        "figures": page.figures(),
        "verdicts": verdicts,
        "series": lab.record,
    });
    files::write_whole(&lab.out.join(NUMBERS), format!("{numbers:#}\n").as_bytes())?;
    Ok(files::write_whole(&lab.out.join(PAGE), html_of(lab, &page).as_bytes())?)
}

/// Returns the page of a study.
fn html_of(lab: &Lab<'_>, page: &Page) -> String {
    let Lab { study, settings, .. } = lab;
    let part = |heading: &str| {
        format!("<div class=\"text\">{}</div>\n", lesson::section(study.text, heading))
    };
    let claim = escape(study.claim);
    let mut out = html::Page::new(lesson::title(study.text), format!("<p>Claim: {claim}.</p>"));
    if !lab.is_whole {
        let note = "The study was interrupted, or still runs. The page has the measurements so far; \
                    the same command with --resume goes on.";
        out.section("Not finished", format!("<p class=\"warning\">{note}</p>\n"));
    }
    out.section("Question", part("Question"));
    out.section("Method", part("Method"));
    out.section("Result", format!("<div class=\"charts\">{}</div>\n", page.pictures()));
    out.section("Numbers", page.numbers().to_string());
    let finding = |finding: &Finding| {
        let text = escape(&finding.text);
        match &finding.claim {
            Some((claim, verdict)) => format!(
                "<p>The claim that {} <strong>{}</strong>. {text}</p>\n",
                escape(claim),
                verdict.words()
            ),
            None => format!("<p>{text}</p>\n"),
        }
    };
    let findings: String = page.findings().iter().map(finding).collect();
    let rule = if findings.is_empty() { String::new() } else { format!("<p>{RULE}</p>\n") };
    let text = format!("<div class=\"text\">{findings}{rule}</div>\n{}", part("Meaning"));
    out.section("Meaning", text);
    out.section("Limits", part("Limits"));
    out.section("Try it", part("Try it"));
    let facts = [
        ("command", format!("<code>{}</code>", escape(&lab.command))),
        ("seed", settings.seed.to_string()),
        ("images", escape(&settings.data)),
        ("device", escape(&lab.device.name())),
        ("time", duration(lab.seconds())),
        ("version", format!("wgrad {}", env!("CARGO_PKG_VERSION"))),
    ];
    let rows: Vec<_> =
        facts.into_iter().map(|(name, value)| vec![name.to_string(), value]).collect();
    out.section("Run", html::table("facts", &[], &rows));
    out.finish()
}

/// Writes `index.html` in the folder `out`, a page with a link to each study in its own folder there.
///
/// # Errors
/// If the file cannot be written.
pub fn index(studies: &[&'static Study], out: &Path) -> anyhow::Result<PathBuf> {
    let mut page =
        html::Page::new("Lessons", "<p>Claims about residual networks, measured.</p>".into());
    let mut rows = Vec::new();
    for study in studies {
        let path = out.join(study.name).join(PAGE);
        let name = match path.exists() {
            true => format!("<a href=\"{0}/{PAGE}\">{0}</a>", study.name),
            false => study.name.to_string(),
        };
        rows.push(vec![name, escape(study.claim)]);
    }
    page.section("Studies", html::table("facts", &["study", "claim"], &rows));
    let path = out.join("index.html");
    files::write_whole(&path, page.finish().as_bytes())?;
    Ok(path)
}
