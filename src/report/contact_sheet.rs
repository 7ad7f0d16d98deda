//! The page of `wgrad data --out`: the counts of a folder of pictures, and a contact sheet with pictures of each class.

use std::fmt::Write;
use std::path::Path;

use super::html::{Page, name, note, table};
use super::picture::Picture;
use crate::base::chart::escape;
use crate::base::shown::{Shown, escaped};
use crate::base::units::thousands;
use crate::data::pictures::{Survey, Surveyed, count, crosses_classes, crosses_parts, upright};

/// The number of pictures on the contact sheet, and the largest number for one class.
const N_PICTURES: usize = 400;
const N_OF_CLASS: usize = 12;

/// The number of sizes, of groups of duplicates and of unreadable files that the page lists.
const N_LISTED: usize = 100;

/// Returns the page as HTML. Reads the pictures of the contact sheet from the folder `dir`.
pub fn page(dir: &Path, survey: &Survey, background: [u8; 3]) -> String {
    let n = count(survey.pictures.len(), "picture");
    let classes_of = count(survey.classes.len(), "class");
    let lead = format!("<p>{}</p>", escape(&format!("{n} of {classes_of} in {}", dir.shown())));
    let mut page = Page::new("Pictures", lead);
    page.section("Warnings", survey.warnings.iter().map(|warning| note(warning)).collect());
    page.section("Unreadable", unreadable(survey));
    page.section("Duplicates", duplicates(survey));
    page.section("Classes", classes(survey));
    page.section("Sizes", sizes(survey));
    page.section("Contact sheet", contact_sheet(dir, survey, background));
    page.finish()
}

fn unreadable(survey: &Survey) -> String {
    let rows: Vec<_> = survey
        .unreadable
        .iter()
        .take(N_LISTED)
        .map(|file| vec![escape(&file.path.shown()), escape(&escaped(&file.reason))])
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => {
            let n = survey.unreadable.len();
            listed(n, &format!("{} cannot be read", count(n, "file"))) + &table("facts", &[], &rows)
        }
    }
}

/// Returns a note about a list of `n` things, with the number that the list shows of them.
fn listed(n: usize, words: &str) -> String {
    let first =
        if n > N_LISTED { format!("; the first {N_LISTED} are listed") } else { String::new() };
    note(&format!("{words}{first}."))
}

fn duplicates(survey: &Survey) -> String {
    let groups = survey.duplicates();
    if groups.is_empty() {
        return String::new();
    }
    let row = |group: &Vec<&Surveyed>| {
        let files = group
            .iter()
            .map(|picture| escape(&format!("{} ({})", picture.file.shown(), picture.part)));
        let kind = match (crosses_parts(group), crosses_classes(group)) {
            (true, true) => "several parts and classes",
            (true, false) => "several parts",
            (false, true) => "several classes",
            (false, false) => "one part and class",
        };
        vec![kind.to_string(), files.collect::<Vec<_>>().join("<br>")]
    };
    let rows: Vec<_> = groups.iter().take(N_LISTED).map(row).collect();
    let n = groups.len();
    listed(n, &format!("{} of files with the same bytes", count(n, "group")))
        + &table("facts", &[], &rows)
}

fn classes(survey: &Survey) -> String {
    let row = |(class, counts): (&String, [usize; 3])| {
        let mut row = vec![name("", &escaped(class))];
        row.extend(counts.map(thousands));
        row
    };
    let rows: Vec<_> = survey.classes.iter().zip(survey.counts()).map(row).collect();
    let headings = [&["class"][..], &Survey::PARTS].concat();
    table("plain", &headings, &rows)
}

fn sizes(survey: &Survey) -> String {
    let sizes = survey.sizes();
    let row = |&([rows, columns], n): &([usize; 2], usize)| {
        vec![format!("{columns}x{rows}"), thousands(n)]
    };
    let rows: Vec<_> = sizes.iter().take(N_LISTED).map(row).collect();
    let n = sizes.len();
    listed(n, &format!("{}, columns x rows", count(n, "size")))
        + &table("plain", &["size", "pictures"], &rows)
}

/// Returns pictures of each class, evenly spaced over the pictures of the class.
fn contact_sheet(dir: &Path, survey: &Survey, background: [u8; 3]) -> String {
    let n_of_class = (N_PICTURES / survey.classes.len().max(1)).clamp(1, N_OF_CLASS);
    let mut out = String::new();
    for (class, class_name) in survey.classes.iter().enumerate().take(N_PICTURES) {
        let of_class: Vec<_> =
            survey.pictures.iter().filter(|picture| picture.class == class).collect();
        let n = of_class.len().min(n_of_class);
        let _ = write!(
            out,
            "<h3>{}</h3>\n<div class=\"pictures worst\">\n",
            escape(&escaped(class_name))
        );
        for at in 0..n {
            let picture = of_class[at * of_class.len() / n];
            // A file that was readable before and has changed since is left out.
            let Ok((_, decoded)) = upright(dir, &picture.file, background) else { continue };
            let [rows, columns] = picture.size;
            let title = format!("{}, {columns}x{rows}, {}", picture.file.shown(), picture.part);
            let element = Picture::of_upright(&decoded, Picture::SIDE).element(class_name, &title);
            let _ = writeln!(out, "<figure>{element}</figure>");
        }
        out += "</div>\n";
    }
    out
}
