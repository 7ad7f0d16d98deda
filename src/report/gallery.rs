//! The page of `wgrad predict --out`: pictures, their most probable classes and, on request, the positions that speak for
//! the most probable class.
//!
//! The page has no scripts. Two menus sort and filter the pictures by rules of the style sheet; a browser that does not
//! support the selector `:has` shows no menus.

use std::cmp::Reverse;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::confusion::bar;
use super::html::{Page, note, table};
use super::overlay;
use super::thumbnail::Thumbnail;
use super::worst::probability_text;
use crate::base::chart::escape;
use crate::base::shown::{Shown, escaped};
use crate::base::sorting::{sort_by, sort_by_key};
use crate::base::units::thousands;
use crate::data::{ImageSize, image_file};
use crate::train::{Explained, Predictions};

/// Style sheet of the page, in addition to that of every page.
const STYLE: &str = include_str!("gallery.css");

/// Pictures with more pixels than this in their longer side are smoothed when the page enlarges them.
const COARSE: usize = 64;

/// The contents of the page.
pub struct Gallery<'a> {
    /// The files of the pictures, each with its thumbnail, in the order of the predictions.
    pub pictures: &'a [(PathBuf, Thumbnail)],
    /// The predictions for the pictures.
    pub predictions: &'a Predictions,
    /// The maps of the pictures; None without explanations.
    pub explained: Option<&'a Explained>,
    /// The pictures that could not be read, as messages.
    pub unreadable: &'a [String],
    /// The names of the classes.
    pub classes: &'a [String],
    /// The number of classes that the page shows for each picture.
    pub top: usize,
    /// The size of the network's images.
    pub size: ImageSize,
    /// The network's name.
    pub network: &'a str,
    /// The file of the weights.
    pub weights: &'a Path,
    /// The name of the device.
    pub device: &'a str,
}

impl Gallery<'_> {
    /// Returns the page as HTML.
    pub fn page(&self) -> String {
        let folder = common_folder(self.pictures.iter().map(|(path, _)| path));
        let n = self.pictures.len();
        let pictures = if n == 1 { "picture" } else { "pictures" };
        let place = match folder.as_os_str().is_empty() {
            true => String::new(),
            false => format!(" in {}", folder.shown()),
        };
        let ImageSize { height, width, .. } = self.size;
        let lead = format!(
            "<p>{}</p>\n<p>{}</p>",
            escape(&format!("{} {pictures}{place}", thousands(n))),
            escape(&format!(
                "{} for images of {width}x{height}, weights {}, on {}, {}",
                self.network,
                self.weights.shown(),
                self.device,
                jiff::Zoned::now().strftime("%Y-%m-%d %H:%M"),
            ))
        );
        let mut page = Page::new("Predictions", lead);
        page.section("Not read", self.not_read());
        if n > 0 {
            page.section("Pictures", self.gallery(&folder));
        }
        page.finish()
    }

    fn not_read(&self) -> String {
        if self.unreadable.is_empty() {
            return String::new();
        }
        let rows: Vec<_> =
            self.unreadable.iter().map(|error| vec![escape(&escaped(error))]).collect();
        note("These files have no prediction.") + &table("facts", &[], &rows)
    }

    fn gallery(&self, folder: &Path) -> String {
        let n = self.pictures.len();
        let best = |image: usize| self.predictions.top(image, 1)[0];
        let mut by_class = vec![0; self.classes.len()];
        (0..n).for_each(|image| by_class[best(image).0] += 1);
        let mut surest: Vec<usize> = (0..n).collect();
        sort_by(&mut surest, |&a, &b| best(b).1.total_cmp(&best(a).1));
        let mut ranks = vec![0; n];
        surest.iter().enumerate().for_each(|(rank, &image)| ranks[image] = rank);

        let mut out = format!("<style>\n{STYLE}");
        for class in predicted(&by_class) {
            let _ = writeln!(
                out,
                "body:has(option[value=\"{class}\"]:checked) figure:not(.k{class}) {{ display: none; }}"
            );
        }
        // All frames are as tall as the tallest picture, so captions stand in rows.
        let tallest = self.pictures.iter().map(|(_, thumbnail)| {
            let [rows, columns] = thumbnail.size;
            rows as f64 / columns as f64
        });
        let tallest = tallest.fold(0.1, f64::max).min(1.0);
        let _ = writeln!(out, ".gallery {{ --frame: 1 / {tallest:.4}; }}\n</style>");
        out += &self.explanation();
        if n > 1 {
            out += &self.choices(&by_class);
        }
        out += "<div class=\"gallery\">\n";
        for (image, rank) in ranks.into_iter().enumerate() {
            out += &self.figure(image, rank, folder);
        }
        out + "</div>\n"
    }

    /// Returns the paragraphs about the crop and the map.
    fn explanation(&self) -> String {
        let ImageSize { height, width, .. } = self.size;
        let mut out = String::new();
        if self.pictures.iter().any(|(_, thumbnail)| self.crop(thumbnail) != [1.0, 1.0]) {
            out += &note(&format!(
                "The network reads the central part of a picture, scaled to {width}x{height} pixels. The rest is veiled."
            ));
        }
        if let Some(explained) = self.explained {
            let [rows, columns] = explained.size;
            let _ = writeln!(
                out,
                "<p class=\"note\">Colour: the {columns}x{rows} positions of the last feature map that speak for the most \
                 probable class (Grad-CAM), from none<span class=\"scale\" style=\"background:{}\"></span>to the \
                 strongest position of the picture. The colours compare positions of one picture, not two pictures. \
                 Point at a picture, or touch it, to see it without colour.</p>",
                overlay::gradient()
            );
        }
        out
    }

    /// Returns the menus. `by_class` has the number of pictures of each predicted class.
    fn choices(&self, by_class: &[usize]) -> String {
        let mut out =
            "<div class=\"choices\">\n<label>Class <select>\n<option>all</option>\n".to_string();
        for class in predicted(by_class) {
            let (name, n) = (escape(&escaped(&self.classes[class])), thousands(by_class[class]));
            let _ = writeln!(out, "<option value=\"{class}\">{name} ({n})</option>");
        }
        out + "</select></label>\n<label>Order <select>\n<option>files</option>\n\
               <option value=\"surest\">most certain first</option>\n\
               <option value=\"unsure\">least certain first</option>\n</select></label>\n</div>\n"
    }

    /// Returns a picture with its predictions. `rank` is the number of pictures whose prediction has a higher
    /// probability.
    fn figure(&self, image: usize, rank: usize, folder: &Path) -> String {
        let (path, thumbnail) = &self.pictures[image];
        let [rows, columns] = thumbnail.size;
        let name = escape(&path.strip_prefix(folder).unwrap_or(path).shown());
        let title = escape(&format!("{}, {columns}x{rows} pixels", path.shown()));
        let top = self.predictions.top(image, self.top);
        let coarse = if rows.max(columns) <= COARSE { " class=\"coarse\"" } else { "" };
        let width = (100.0 * columns as f64 / rows as f64).min(100.0);
        let mut out = format!(
            "<figure class=\"k{}\" style=\"--rank:{rank}\"><div class=\"frame\">\
             <div style=\"width:{width:.2}%;aspect-ratio:{columns}/{rows}\">\
             <img{coarse} src=\"{}\" alt=\"{name}\" title=\"{title}\">",
            top[0].0, thumbnail.uri
        );
        let crop = self.crop(thumbnail);
        let [height, width] = crop.map(|part| 100.0 * part);
        let place = format!(
            "left:{:.2}%;top:{:.2}%;width:{width:.2}%;height:{height:.2}%",
            (100.0 - width) / 2.0,
            (100.0 - height) / 2.0
        );
        if crop != [1.0, 1.0] {
            let _ = write!(out, "<span class=\"crop\" style=\"{place}\"></span>");
        }
        if let Some(explained) = self.explained {
            let uri = overlay::data_uri(explained.map(image), explained.size);
            let _ = write!(out, "<img class=\"map\" style=\"{place}\" src=\"{uri}\" alt=\"\">");
        }
        let _ = write!(out, "</div></div><figcaption><div class=\"name\">{name}</div>");
        for (class, probability) in top {
            let label = escape(&escaped(&self.classes[class]));
            let _ = write!(
                out,
                "<div class=\"guess\"><span class=\"label\" title=\"{label}\">{label}</span>{}\
                 <span class=\"value\">{}</span></div>",
                bar(f64::from(probability)),
                escape(&probability_text(probability))
            );
        }
        out + "</figcaption></figure>\n"
    }

    /// Returns the parts of the rows and of the columns that the network reads.
    fn crop(&self, thumbnail: &Thumbnail) -> [f64; 2] {
        image_file::shown_part(thumbnail.size, self.size)
    }
}

/// Returns the classes that at least one picture is predicted as, the most frequent first.
fn predicted(by_class: &[usize]) -> Vec<usize> {
    let mut classes: Vec<usize> =
        (0..by_class.len()).filter(|&class| by_class[class] > 0).collect();
    sort_by_key(&mut classes, |&class| Reverse(by_class[class]));
    classes
}

/// Returns the longest path that all files are below; empty if there is none.
pub(super) fn common_folder<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> PathBuf {
    let mut folders = files.into_iter().map(|file| file.parent().unwrap_or(Path::new("")));
    let first = folders.next().unwrap_or(Path::new("")).to_path_buf();
    folders.fold(first, |common, folder| {
        let same = common.components().zip(folder.components()).take_while(|(a, b)| a == b);
        same.map(|(component, _)| component).collect()
    })
}
