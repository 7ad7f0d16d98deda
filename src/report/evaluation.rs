//! Sections of the report about predictions on validation or test images: the confusion matrix, the classes,
//! and the worst errors.

use std::fmt::Write;

use super::html::{note, table};
use super::picture::Picture;
use crate::base::chart::escape;
use crate::base::chart::heat::{Cell, HeatMap};
use crate::base::units::thousands;
use crate::data::Split;
use crate::train::predictions::Mistake;
use crate::train::{Confusion, Predictions};

/// The largest number of wrongly classified images that the page shows.
const N_WORST: usize = 25;

/// The largest number of pairs of confused classes that the page lists.
const N_PAIRS: usize = 5;

/// Returns the confusion matrix: one row per true class, one column per predicted class.
///
/// `kind` is the split of the images: `test` or `validation`.
pub fn matrix(confusion: &Confusion, classes: &[String], kind: &str) -> String {
    let row = |(truth, class): (usize, &String)| {
        let n_images = confusion.scores(truth).n_images;
        let cell = |(prediction, other): (usize, &String)| {
            let n = confusion.at(truth, prediction);
            let (class_of_cell, text_class) = match (n, truth == prediction) {
                (0, _) => ("c1", "soft"),
                (_, true) => ("c0", "bold"),
                (_, false) => ("c1", ""),
            };
            Cell {
                class: class_of_cell,
                // The strength of a cell's colour, in 0..=1. With the square root, a cell with 1 in 100 images of its
                // row is still visible.
                strength: (n as f64 / n_images.max(1) as f64).sqrt(),
                text: n.to_string(),
                text_class,
                title: format!("{n} of {n_images} images of {class} predicted as {other}"),
            }
        };
        (class.clone(), classes.iter().enumerate().map(cell).collect())
    };
    let map = HeatMap {
        corner: "truth".to_string(),
        columns: classes.to_vec(),
        rows: classes.iter().enumerate().map(row).collect(),
    };
    note(&format!(
        "Rows are the true classes of the {kind} images, columns the predicted classes. Right predictions are \
         blue, wrong ones orange. A stronger colour is a larger part of its row."
    )) + &map.figure("confusion matrix")
}

/// Returns precision, recall and F1 of each class, and the most frequently confused pairs.
pub fn classes(confusion: &Confusion, classes: &[String]) -> String {
    let scores = confusion.all_scores();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (class, scores) in classes.iter().zip(&scores) {
        let parts = [scores.precision, scores.recall, scores.f1];
        let [precision, recall, f1] = parts.map(percent);
        let bar = bar(scores.f1.unwrap_or(0.0));
        let n_images = thousands(scores.n_images);
        rows.push(vec![escape(class), n_images, precision, recall, f1, bar]);
    }
    let mean = |of: fn(&crate::train::confusion::ClassScores) -> Option<f64>| {
        let known: Vec<f64> = scores.iter().filter_map(of).collect();
        percent((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64))
    };
    let n_images = thousands(confusion.n_images());
    let means = [mean(|s| s.precision), mean(|s| s.recall), mean(|s| s.f1)];
    rows.push([vec!["<b>mean</b>".into(), n_images], means.to_vec(), vec![String::new()]].concat());
    let mut out = note(
        "Precision is the part of the images predicted as a class that belong to the class. Recall is the part of \
         a class's images that are predicted as the class. F1 is the harmonic mean of the two.",
    );
    out += &table("classes", &["class", "images", "precision", "recall", "F1", ""], &rows);

    let mistakes = confusion.mistakes();
    if let Some(n_pairs) = Some(mistakes.len().min(N_PAIRS)).filter(|n| *n > 0) {
        let pair = |&(truth, prediction, n): &(usize, usize, usize)| {
            format!("{} for {} ({n})", classes[truth], classes[prediction])
        };
        let pairs: Vec<_> = mistakes[..n_pairs].iter().map(pair).collect();
        out += &note(&format!("Mistaken most often: {}.", pairs.join(", ")));
    }
    out
}

/// Returns the worst errors as pictures: the wrongly classified images with the highest probability of the predicted
/// class. `kind` is the split of the images: `test` or `validation`.
pub fn worst(predictions: &Predictions, split: &Split, classes: &[String], kind: &str) -> String {
    let mistakes = predictions.mistakes(&split.labels);
    if mistakes.is_empty() {
        return note(&format!("Every {kind} image was recognised."));
    }
    let n = mistakes.len().min(N_WORST);
    let mut out = note(&format!(
        "The {n} of {} errors in {} {kind} images with the highest probability of the wrong class. Each picture \
         has its true class (blue) and its predicted class (orange), with their probabilities.",
        thousands(mistakes.len()),
        thousands(split.len())
    ));
    out += "<div class=\"pictures\">\n";
    let (width, height) = (split.size.width, split.size.height);
    for mistake in &mistakes[..n] {
        let &Mistake { image, truth, prediction, probability, probability_of_truth } = mistake;
        let uri = Picture::of_planes(split.size, split.image(image)).data_uri();
        let (truth, prediction) = (escape(&classes[truth]), escape(&classes[prediction]));
        let [sure, of_truth] =
            [probability, probability_of_truth].map(|p| escape(&probability_text(p)));
        let _ = writeln!(
            out,
            "<figure><img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{truth}\" \
             title=\"{kind} image {image}\"><figcaption>\
             <div><b class=\"truth\">{truth}</b> <span>{of_truth}</span></div>\
             <div><b class=\"wrong\">{prediction}</b> <span>{sure}</span></div></figcaption></figure>"
        );
    }
    out + "</div>\n"
}

/// Formats a fraction in percent, `95.2%`; a dash for None.
pub fn percent(part: Option<f64>) -> String {
    part.map_or("–".to_string(), |part| format!("{:.1}%", 100.0 * part))
}

/// Formats a probability: `86%`. Probabilities near 0% and 100% have one more digit. Only the exact probabilities 0 and
/// 1 are shown as `0%` and `100%`.
pub fn probability_text(probability: f32) -> String {
    match 100.0 * probability {
        p if p > 0.0 && p < 0.05 => "<0.1%".to_string(),
        p if p > 99.95 && p < 100.0 => ">99.9%".to_string(),
        p if (0.05..0.95).contains(&p) || (99.0..99.95).contains(&p) => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// Returns a bar that is filled to the fraction `part`.
pub fn bar(part: f64) -> String {
    format!("<span class=\"bar\"><i style=\"--p:{:.1}%\"></i></span>", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSize;

    const SIZE: ImageSize = ImageSize { height: 4, width: 6, channels: 1 };

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| format!("class <{class}>")).collect()
    }

    #[test]
    fn the_matrix_has_every_count() {
        let confusion = Confusion::of(2, &[0, 0, 0, 1], [0, 0, 1, 1].into_iter());
        let html = matrix(&confusion, &names(2), "test");
        assert!(html.contains(">2</text>") && html.contains("\"middle soft\""), "{html}");
        let title = "<title>1 of 3 images of class &lt;0&gt; predicted as class &lt;1&gt;</title>";
        assert!(html.contains(title), "{html}");
        assert!(!html.contains("<0>"), "{html}");
        let html = classes(&confusion, &names(2));
        for words in ["66.7%", "50.0%", "80.0%", "class &lt;0&gt; for class &lt;1&gt; (1)"] {
            assert!(html.contains(words), "{words} is not in {html}");
        }
    }

    #[test]
    fn the_worst_errors_come_first_and_are_at_most_25() {
        let n = 30;
        // Every image has class 0 and is predicted as class 1, with increasing probability.
        let logits: Vec<f32> = (0..n).flat_map(|image| [0.0, 0.1 + 0.1 * image as f32]).collect();
        let test = Split::of(SIZE, vec![7; n * SIZE.n_bytes()], vec![0; n]);
        let html = worst(&Predictions::from_logits(&logits, 2), &test, &names(2), "test");
        assert_eq!(html.matches("<img ").count(), 25);
        let first = html.find("test image 29").expect("the surest");
        assert!(first < html.find("test image 28").expect("the next"));
        assert!(!html.contains("title=\"test image 4\""));
        let none = worst(
            &Predictions::from_logits(&[1.0, 0.0], 2),
            &Split::of(SIZE, vec![0; SIZE.n_bytes()], vec![0]),
            &names(2),
            "test",
        );
        assert!(none.contains("Every test image was recognised"), "{none}");
    }

    #[test]
    fn probabilities_are_not_rounded_to_certainty() {
        let shown = [0.5, 0.995, 0.999_96, 1.0, 0.004, 1e-6, 0.0].map(probability_text);
        assert_eq!(shown, ["50%", "99.5%", ">99.9%", "100%", "0.4%", "<0.1%", "0%"]);
    }
}
