//! The section of the report about the confusion matrix: the matrix, the classes, and the most frequent errors.
//!
//! The form of the matrix depends on the number of classes. Up to 40 classes, each cell has its count. A matrix of more
//! classes is a map of coloured cells; above 1,000 classes, a cell of the map is a group of classes. Tables have the
//! most frequent errors and the classes with the lowest recall.

use super::html::{name, note, table};
use crate::base::chart::cells::{self, CellMap, MAX_CELLS};
use crate::base::chart::escape;
use crate::base::chart::heat::{self, HeatMap, MAX_BESIDE};
use crate::base::sorting::sort_by;
use crate::base::units::thousands;
use crate::train::confusion::ClassScores;
use crate::train::{Confusion, Evaluation};

/// The largest number of classes of a matrix with a count in each cell.
const MAX_COUNTED: usize = 40;

/// The largest number of classes with counts in a large font.
const MAX_LARGE: usize = 25;

/// The largest number of pairs of confused classes in a sentence, and in a table.
const N_PAIRS: [usize; 2] = [5, 20];

/// The largest number of errors that a map shows on hover. A title takes about 120 bytes.
const MAX_TITLES: usize = 2000;

/// Returns the section. `names` are the names of the classes, and `kind` is the split of the images: `test` or
/// `validation`.
pub fn section(evaluation: &Evaluation, names: &[String], kind: &str) -> String {
    let confusion = &evaluation.confusion;
    let two = |a: &str, b: &str| {
        format!("<div class=\"two wide\"><div>{a}</div>\n<div>{b}</div></div>\n")
    };
    let scroll = |drawing: &str| format!("<div class=\"scroll\">{drawing}</div>\n");
    let mut out = note(&score(evaluation, kind));
    if names.len() <= MAX_BESIDE {
        let classes = classes(confusion, names) + &pairs_in_words(confusion, names);
        out += &two(&matrix(confusion, names, kind), &classes);
    } else if names.len() <= MAX_COUNTED {
        out += &scroll(&matrix(confusion, names, kind));
        out += &two(&pairs(confusion, names), &classes(confusion, names));
    } else {
        out += &two(&pairs(confusion, names), &worst_classes(confusion, names));
        out += &scroll(&map(confusion, names, kind));
        out += "<details><summary>All classes</summary>\n";
        out += &classes(confusion, names);
        out += "</details>\n";
    }
    out
}

/// Returns the accuracy and the top-5 accuracy in words.
fn score(evaluation: &Evaluation, kind: &str) -> String {
    let n_images = thousands(evaluation.confusion.n_images());
    let accuracy = 100.0 * evaluation.accuracy();
    let top5 = evaluation.top5.map(|part| format!(", top-5 accuracy {:.2}%", 100.0 * part));
    let top5 = top5.unwrap_or_default();
    format!("Accuracy {accuracy:.2}%{top5}, over {n_images} {kind} images.")
}

/// Returns the explanation of a matrix.
fn legend(kind: &str) -> String {
    format!(
        "Rows are the true classes of the {kind} images, columns the predicted classes. Right predictions are blue, \
         wrong ones orange. A stronger colour is a larger part of its row."
    )
}

fn title(
    confusion: &[ClassScores],
    names: &[String],
    (truth, prediction, n): (usize, usize, usize),
) -> String {
    let (of, class, other) = (confusion[truth].n_images, &names[truth], &names[prediction]);
    format!("{n} of {of} images of {class} predicted as {other}")
}

/// Returns the strength of a cell's colour, in 0..=1. With the square root, a cell with 1 in 100 images of its row is
/// still visible.
fn strength(n: usize, n_images: usize) -> f64 {
    (n as f64 / n_images.max(1) as f64).sqrt()
}

/// Returns the matrix with counts: one row per true class, one column per predicted class.
fn matrix(confusion: &Confusion, names: &[String], kind: &str) -> String {
    let scores = confusion.all_scores();
    let is_large = names.len() <= MAX_LARGE;
    let row = |(truth, class): (usize, &String)| {
        let cell = |prediction| {
            let n = confusion.at(truth, prediction);
            let (class, text_class) = match (n, truth == prediction) {
                (0, _) => ("c1", if is_large { "soft" } else { "tiny soft" }),
                (_, true) => ("c0", if is_large { "bold" } else { "tiny bold" }),
                (_, false) => ("c1", if is_large { "" } else { "tiny" }),
            };
            heat::Cell {
                class,
                strength: strength(n, scores[truth].n_images),
                text: n.to_string(),
                text_class,
                title: title(&scores, names, (truth, prediction, n)),
            }
        };
        (class.clone(), (0..names.len()).map(cell).collect())
    };
    let map = HeatMap {
        corner: "truth".to_string(),
        columns: names.to_vec(),
        rows: names.iter().enumerate().map(row).collect(),
    };
    note(&legend(kind)) + &map.figure("confusion matrix")
}

/// Returns the matrix as a map of coloured cells without texts.
fn map(confusion: &Confusion, names: &[String], kind: &str) -> String {
    let per_cell = names.len().div_ceil(MAX_CELLS);
    let (confusion, names) = match per_cell {
        1 => (confusion.clone(), names.to_vec()),
        k => (confusion.grouped(k), names.iter().step_by(k).cloned().collect()),
    };
    let (n, scores) = (names.len(), confusion.all_scores());
    let part = |(truth, _, n): (usize, usize, usize)| strength(n, scores[truth].n_images);
    // With the scale of the right predictions, almost all errors would have the same weak colour.
    let largest = confusion.mistakes().into_iter().map(part).fold(0.0, f64::max);
    let cell = |at: (usize, usize, usize)| match at.0 == at.1 {
        true => cells::Cell { row: at.0, column: at.1, class: "c0", strength: part(at) },
        false => cells::Cell { row: at.0, column: at.1, class: "c1", strength: part(at) / largest },
    };
    let cells: Vec<_> = confusion.counts().map(cell).collect();
    let mut words = legend(kind) + " The strongest orange is the most frequent error.";
    if per_cell > 1 {
        words += &format!(
            " A cell is a group of {per_cell} true and {per_cell} predicted classes. Predictions within their own \
             group count as right."
        );
    }
    let mut titles = Vec::new();
    if CellMap::has_titles(n) {
        let mistakes = confusion.mistakes();
        words += " A cell shows its numbers under the pointer";
        words += if mistakes.len() > MAX_TITLES {
            " (of the errors, the 2,000 most frequent)."
        } else {
            "."
        };
        let right = (0..n).map(|class| (class, class, confusion.at(class, class)));
        let titled = right.chain(mistakes.into_iter().take(MAX_TITLES));
        titles.extend(titled.map(|pair| (pair.0, pair.1, title(&scores, &names, pair))));
    }
    let step = CellMap::step(n);
    if step > 1 {
        words += &format!(" One name in {step} is shown.");
    }
    let map = CellMap { names: &names, cells: &cells, titles: &titles };
    format!("<h3>Matrix</h3>\n{}{}", note(&words), map.figure("confusion matrix"))
}

/// Returns a table with precision, recall and F1 of each class.
fn classes(confusion: &Confusion, names: &[String]) -> String {
    let scores = confusion.all_scores();
    let row = |(class, scores): (&String, &ClassScores)| {
        let [precision, recall, f1] = [scores.precision, scores.recall, scores.f1].map(percent);
        let bar = bar(scores.f1.unwrap_or(0.0));
        vec![name("", class), thousands(scores.n_images), precision, recall, f1, bar]
    };
    let mut rows: Vec<Vec<String>> = names.iter().zip(&scores).map(row).collect();
    let mean = |of: fn(&ClassScores) -> Option<f64>| {
        let known: Vec<f64> = scores.iter().filter_map(of).collect();
        percent((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64))
    };
    let n_images = thousands(confusion.n_images());
    let means = [mean(|s| s.precision), mean(|s| s.recall), mean(|s| s.f1)];
    rows.push([vec!["<b>mean</b>".into(), n_images], means.to_vec(), vec![String::new()]].concat());
    note(
        "Precision is the part of the images predicted as a class that belong to the class. Recall is the part of \
         a class's images that are predicted as the class. F1 is the harmonic mean of the two.",
    ) + &table("classes", &["class", "images", "precision", "recall", "F1", ""], &rows)
}

/// Returns a sentence with the most frequently confused pairs.
fn pairs_in_words(confusion: &Confusion, names: &[String]) -> String {
    let mistakes = confusion.mistakes();
    // The elements isolate the direction of their text: a name in Arabic does not move the number after it.
    let pair = |&(truth, prediction, n): &(usize, usize, usize)| {
        let [truth, prediction] = [truth, prediction].map(|class| escape(&names[class]));
        format!("<bdi>{truth}</bdi> for <bdi>{prediction}</bdi> ({n})")
    };
    let pairs: Vec<_> = mistakes.iter().take(N_PAIRS[0]).map(pair).collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("<p class=\"note\">Mistaken most often: {}.</p>\n", pairs.join(", ")),
    }
}

/// Returns a table with the most frequently confused pairs.
fn pairs(confusion: &Confusion, names: &[String]) -> String {
    let row = |&(truth, prediction, n): &(usize, usize, usize)| {
        let part = confusion.scores(truth).n_images as f64;
        let [truth, prediction] = [truth, prediction].map(|class| name("", &names[class]));
        vec![truth, prediction, thousands(n), percent(Some(n as f64 / part))]
    };
    let rows: Vec<_> = confusion.mistakes().iter().take(N_PAIRS[1]).map(row).collect();
    let headings = ["true class", "predicted class", "images", "share"];
    "<h3>Mistaken most often</h3>\n".to_string()
        + &note("The share is a part of the images of the true class.")
        + &table("pairs", &headings, &rows)
}

/// Returns a table of the classes with the lowest recall. Classes without images are left out.
fn worst_classes(confusion: &Confusion, names: &[String]) -> String {
    let scores = confusion.all_scores();
    let mut worst: Vec<_> = scores.iter().enumerate().filter(|(_, s)| s.recall.is_some()).collect();
    // The sort is stable: equal classes keep their order.
    sort_by(&mut worst, |(_, a), (_, b)| {
        let by_recall = a.recall.unwrap_or(1.0).total_cmp(&b.recall.unwrap_or(1.0));
        by_recall.then(b.n_images.cmp(&a.n_images))
    });
    let mistakes = confusion.mistakes();
    let row = |&(class, scores): &(usize, &ClassScores)| {
        let other = mistakes.iter().find(|(truth, ..)| *truth == class);
        let (other, n) = other.map_or(("–".to_string(), String::new()), |(_, other, n)| {
            (name("", &names[*other]), thousands(*n))
        });
        let n_images = thousands(scores.n_images);
        vec![name("", &names[class]), other, n, n_images, percent(scores.recall)]
    };
    let rows: Vec<_> = worst.iter().take(N_PAIRS[1]).map(row).collect();
    let headings = ["class", "most often taken for", "times", "images", "recall"];
    "<h3>Lowest recall</h3>\n".to_string()
        + &note("Recall is the part of a class's images that are predicted as the class.")
        + &table("pairs", &headings, &rows)
}

/// Formats a fraction in percent, `95.2%`; a dash for None.
pub fn percent(part: Option<f64>) -> String {
    part.map_or("–".to_string(), |part| format!("{:.1}%", 100.0 * part))
}

/// Returns a bar that is filled to the fraction `part`.
pub fn bar(part: f64) -> String {
    format!("<span class=\"bar\"><i style=\"--p:{:.1}%\"></i></span>", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| format!("class <{class}>")).collect()
    }

    /// Returns the evaluation of `n_images` images of `n_classes` classes. Every fourth image is classified wrongly.
    fn evaluation(n_classes: usize, n_images: usize) -> Evaluation {
        let labels: Vec<u16> = (0..n_images).map(|image| (image % n_classes) as u16).collect();
        let mut logits = vec![0.0; n_images * n_classes];
        for (image, row) in logits.chunks_exact_mut(n_classes).enumerate() {
            let shift = if image.is_multiple_of(4) { 1 + image * image % 31 } else { 0 };
            row[(image + shift) % n_classes] = 4.0;
        }
        Evaluation::of(&[logits], &labels, n_classes)
    }

    #[test]
    fn the_matrix_has_every_count() {
        let confusion = Confusion::of(2, &[0, 0, 0, 1], [0, 0, 1, 1].into_iter());
        let html = matrix(&confusion, &names(2), "test");
        assert!(html.contains(">2</text>") && html.contains("\"middle soft\""), "{html}");
        let title = "<title>1 of 3 images of class &lt;0&gt; predicted as class &lt;1&gt;</title>";
        assert!(html.contains(title), "{html}");
        assert!(!html.contains("<0>"), "{html}");
        let html = classes(&confusion, &names(2)) + &pairs_in_words(&confusion, &names(2));
        for words in
            ["66.7%", "50.0%", "80.0%", "&lt;0&gt;</bdi> for <bdi>class &lt;1&gt;</bdi> (1)"]
        {
            assert!(html.contains(words), "{words} is not in {html}");
        }
        let row = "<td>3</td><td>100.0%</td><td>66.7%</td><td>80.0%</td>";
        assert!(html.contains(row), "precision, recall and F1 of the first class: {html}");
    }

    #[test]
    fn the_top_5_accuracy_is_on_the_page_of_more_than_five_classes() {
        for (n, expected) in [
            (5, "Accuracy 83.00%, over 100 test images."),
            (40, "Accuracy 75.00%, top-5 accuracy 77.50%, over 800 test images."),
        ] {
            let html = section(&evaluation(n, 20 * n), &names(n), "test");
            assert!(html.contains(expected), "{html}");
        }
    }

    /// Pages of up to 40 classes have a number in each cell. Above, there is a path for each colour and strength.
    #[test]
    fn the_form_of_the_matrix_depends_on_the_number_of_classes() {
        for (n, n_cells, n_tables) in [(12, 144, 1), (40, 1600, 2), (41, 0, 3)] {
            let html = section(&evaluation(n, 8 * n), &names(n), "test");
            assert_eq!(html.matches("role=\"cell\"").count(), n_cells, "{n} classes");
            assert_eq!(html.matches("<table").count(), n_tables, "{n} classes");
            assert_eq!(html.matches("class=\"cells\"").count(), usize::from(n > 40), "{n} classes");
            let title = "6 of 8 images of class &lt;1&gt; predicted as class &lt;1&gt;";
            assert!(html.contains(title) || n < 41, "{n} classes: {html}");
        }
    }

    #[test]
    fn tables_have_the_most_frequent_errors_and_the_worst_classes() {
        let truths = [7, 7, 7, 7, 3, 3, 3, 9, 50];
        let confusion = Confusion::of(60, &truths, [8, 8, 8, 7, 3, 2, 2, 1, 50].into_iter());
        let cell = |class: usize| format!("<bdi class=\"class-name \">class &lt;{class}&gt;</bdi>");
        let html = pairs(&confusion, &names(60));
        let row =
            |a, b, rest| format!("<th scope=\"row\">{}</th><td>{}</td>{rest}", cell(a), cell(b));
        let first = html.find(&row(7, 8, "<td>3</td><td>75.0%</td>")).expect("the most frequent");
        assert!(
            first < html.find(&row(3, 2, "<td>2</td><td>66.7%</td>")).expect("the next"),
            "{html}"
        );
        let html = worst_classes(&confusion, &names(60));
        let of = |class: usize| html.find(&format!("<th scope=\"row\">{}", cell(class)));
        assert!(of(9) < of(7) && of(7) < of(3) && of(3) < of(50), "{html}");
        assert_eq!(
            (html.matches("<tr>").count(), of(1)),
            (5, None),
            "classes with images, and the head"
        );
        assert!(html.contains(&format!("<td>{}</td><td>3</td>", cell(8))), "{html}");
    }

    /// A million cells would take 100 MB as elements. Only counts that are not 0 are written.
    #[test]
    fn the_parts_of_many_classes_are_small() {
        for (n, n_images, limit) in
            [(100, 10_000, 400), (250, 10_000, 500), (1000, 50_000, 500), (2500, 25_000, 700)]
        {
            let labels: Vec<u16> = (0..n_images).map(|image| (image % n) as u16).collect();
            let shift =
                |image: usize| if image.is_multiple_of(4) { 1 + image * image % 31 } else { 0 };
            let predictions = (0..n_images).map(|image| (image + shift(image)) % n);
            let confusion = Confusion::of(n, &labels, predictions);
            let (map, classes) =
                (map(&confusion, &names(n), "test"), classes(&confusion, &names(n)));
            let n_bytes = map.len() + classes.len();
            assert!(n_bytes < 1000 * limit, "{n_bytes} bytes for {n} classes");
            assert_eq!(map.contains("a group of 3 true"), n == 2500, "{n} classes");
        }
    }
}
