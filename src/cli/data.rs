//! `wgrad data`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wgrad::base::files::write_whole;
use wgrad::base::shown::{Shown, escaped, escaped_lines};
use wgrad::base::sorting::sort_by_key;
use wgrad::base::units::{readable_bytes, thousands};
use wgrad::data::image_file::Background;
use wgrad::data::pictures::{
    PictureFolder, Survey, Surveyed, count, crosses_classes, crosses_parts,
};
use wgrad::data::{HeldOut, LoadError, Progress, ReadOptions};
use wgrad::report::contact_sheet;
use wgrad::train::screen;

use super::outputs;

/// The number of sizes and of groups of duplicates that the text lists.
const N_LISTED: usize = 10;

/// Flags of `wgrad data`.
#[derive(clap::Args)]
#[command(after_help = "\
The command reads all pictures as training does, and changes nothing. Duplicates are files with the same bytes. \
A picture in several parts makes the accuracy look better than it is, and one in several classes has a wrong \
label.
Exit codes: 0 if all files can be read, 1 otherwise.")]
pub struct Args {
    /// The folder of pictures
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write a page with a contact sheet: pictures of each class
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// The pictures to hold out for validation, as in `wgrad train`: a number, or a part such as 0.1
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    validation: Option<HeldOut>,
    /// The colour behind transparent pixels: red, green and blue from 0 to 255
    #[arg(long, value_name = "R,G,B", default_value = "255,255,255")]
    background: Background,
}

/// Reports on a folder of pictures, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(out) = &args.out {
        outputs::refuse_inputs(out, &[&args.dir], "html")?;
    }
    let options = ReadOptions {
        held_out: args.validation,
        background: Some(args.background.0),
        progress: Some(Progress(screen::decoded)),
        ..ReadOptions::default()
    };
    if !args.dir.exists() {
        let dir = args.dir.shown();
        return Err(super::WrongUse(format!(
            "{dir}: there is no such folder; name a folder of pictures"
        ))
        .into());
    }
    let dataset = PictureFolder::at(&args.dir).map_err(super::WrongUse)?;
    let dir = dataset.path();
    let survey = Survey::of(&dir, options)
        .map_err(|cause| wgrad::Error::from(LoadError { dataset, cause }))?;
    let text = match args.json {
        true => format!("{}\n", json(&dir, &survey)),
        false => text(&dir, &survey),
    };
    super::print(&text)?;
    if let Some(out) = &args.out {
        let page = contact_sheet::page(&dir, &survey, args.background.0);
        write_whole(out, page.as_bytes())?;
        if !args.json {
            let size = readable_bytes(page.len() as u64);
            super::print(&format!("page        {} ({size})\n", out.shown()))?;
        }
    }
    Ok(if survey.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the counts, sizes, unreadable files and duplicates as text.
fn text(dir: &Path, survey: &Survey) -> String {
    let counts = survey.counts();
    let names: Vec<String> = survey.classes.iter().map(|name| escaped(name).into_owned()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let row = |name: &str, counts: [usize; 3]| {
        let [train, validation, test] = counts.map(thousands);
        format!("{name:width$}  {train:>10}  {validation:>10}  {test:>10}\n")
    };
    let [train, validation, test] = Survey::PARTS;
    let mut out = format!(
        "{} of {} in {}\n\n{:width$}  {train:>10}  {validation:>10}  {test:>10}\n",
        count(survey.pictures.len(), "picture"),
        count(survey.classes.len(), "class"),
        dir.shown(),
        "class",
    );
    names.iter().zip(&counts).for_each(|(name, counts)| out += &row(name, *counts));
    let all = |part: usize| counts.iter().map(|counts| counts[part]).sum();
    out += &row("all", [all(0), all(1), all(2)]);

    let sizes = survey.sizes();
    let shown: Vec<_> = sizes.iter().take(N_LISTED).collect();
    out += &format!("\nsizes       {} (columns x rows)\n", thousands(sizes.len()));
    for ([rows, columns], n) in shown {
        out += &format!("            {columns}x{rows}: {}\n", thousands(*n));
    }
    out += &more(sizes.len());
    out += &format!("unreadable  {}\n", thousands(survey.unreadable.len()));
    for file in &survey.unreadable {
        out += &escaped_lines(&format!("            {file}\n"));
    }

    let groups = survey.duplicates();
    let n_of = |is: fn(&[&Surveyed]) -> bool| groups.iter().filter(|group| is(group)).count();
    out += &format!(
        "duplicates  {} of files with the same bytes; {} of them in several parts, {} in several classes\n",
        count(groups.len(), "group"),
        thousands(n_of(crosses_parts)),
        thousands(n_of(crosses_classes))
    );
    // The groups that change a result come first.
    let mut ordered: Vec<_> = groups.iter().collect();
    sort_by_key(&mut ordered, |group| !(crosses_parts(group) || crosses_classes(group)));
    for group in ordered.into_iter().take(N_LISTED) {
        let files =
            group.iter().map(|picture| format!("{} ({})", picture.file.shown(), picture.part));
        out += &format!("            {}\n", files.collect::<Vec<_>>().join(" = "));
    }
    out += &more(groups.len());
    for warning in &survey.warnings {
        out += &format!("note        {warning}\n");
    }
    out
}

/// Returns a line with the number of things that a list leaves out.
fn more(n: usize) -> String {
    match n.saturating_sub(N_LISTED) {
        0 => String::new(),
        n => format!("            and {} more\n", thousands(n)),
    }
}

fn json(dir: &Path, survey: &Survey) -> serde_json::Value {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let class = |(name, [training, validation, test]): (&String, [usize; 3])| serde_json::json!({"class": name, "training": training, "validation": validation, "test": test});
    let size = |([rows, columns], n): ([usize; 2], usize)| serde_json::json!({"rows": rows, "columns": columns, "pictures": n});
    let file = |picture: &&Surveyed| {
        serde_json::json!({
            "file": path(&picture.file), "part": picture.part, "class": survey.classes[picture.class],
        })
    };
    let group = |group: Vec<&Surveyed>| group.iter().map(file).collect::<Vec<_>>();
    serde_json::json!({
        "folder": path(dir),
        "pictures": survey.pictures.len(),
        "classes": survey.classes.iter().zip(survey.counts()).map(class).collect::<Vec<_>>(),
        "sizes": survey.sizes().into_iter().map(size).collect::<Vec<_>>(),
        "unreadable": survey.unreadable.iter().map(|file| {
            serde_json::json!({"file": path(&file.path), "reason": file.reason})
        }).collect::<Vec<_>>(),
        "duplicates": survey.duplicates().into_iter().map(group).collect::<Vec<_>>(),
        "warnings": survey.warnings,
    })
}
