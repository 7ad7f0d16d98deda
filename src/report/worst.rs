//! The section of the report with the worst errors on validation or test images, as pictures.

use std::fmt::Write;
use std::path::Path;

use super::html::{name, note};
use super::picture::Picture;
use crate::base::chart::escape;
use crate::base::units::thousands;
use crate::data::Split;
use crate::data::image_file::Background;
use crate::data::pictures::upright;
use crate::train::Evaluation;
use crate::train::evaluation::Mistake;

/// The largest number of wrongly classified images that the page shows.
const N_WORST: usize = 25;

/// Returns the wrongly classified images with the largest loss. `names` are the names of the classes, and `kind` is the
/// split of the images: `test` or `validation`.
///
/// The picture of an image in a folder is that of its file below `dir`, in its own proportions. If the file has gone, the
/// picture is the image of the network.
pub fn section(
    evaluation: &Evaluation,
    split: &Split,
    dir: Option<&Path>,
    names: &[String],
    kind: &str,
) -> String {
    let mistakes = evaluation.mistakes(&split.labels);
    if mistakes.is_empty() {
        return note(&format!("Every {kind} image was recognised."));
    }
    let n = mistakes.len().min(N_WORST);
    let mut out = note(&format!(
        "The {n} of {} errors in {} {kind} images with the largest loss. Each picture has its true class (blue) and \
         its predicted class (orange), with their probabilities.",
        thousands(mistakes.len()),
        thousands(split.len())
    ));
    out += "<div class=\"pictures worst\">\n";
    for mistake in &mistakes[..n] {
        let &Mistake { image, truth, prediction, loss } = mistake;
        let file = split.files.get(image).zip(dir);
        let file = file.and_then(|(file, dir)| upright(dir, file, Background::default().0).ok());
        let picture = match file {
            Some((_, picture)) => Picture::of_upright(&picture, Picture::SIDE),
            None => Picture::thumbnail(split.image_size(image), &split.image(image)),
        };
        let title = format!("{kind} image {image}, loss {loss:.2}");
        let line = |class: &str, which: usize| {
            let probability = probability_text(evaluation.predictions.of(image)[which]);
            format!(
                "<div>{} <span>{}</span></div>",
                name(class, &names[which]),
                escape(&probability)
            )
        };
        let _ = writeln!(
            out,
            "<figure>{}<figcaption>{}{}</figcaption></figure>",
            picture.element(&names[truth], &title),
            line("truth", truth),
            line("wrong", prediction)
        );
    }
    out + "</div>\n"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSize, Stored};

    fn names() -> Vec<String> {
        ["class <0>", "a class with a name of many letters"].map(str::to_string).to_vec()
    }

    /// Returns a split of `n` images of class 0 and this size.
    fn split(size: [usize; 3], n: usize) -> Split {
        let size = ImageSize::from(size);
        Split::of(size, vec![7; n * size.n_bytes()], vec![0; n])
    }

    #[test]
    fn the_worst_errors_come_first_and_are_at_most_25() {
        let n = 30;
        // Every image has class 0 and is predicted as class 1, with increasing probability.
        let logits: Vec<f32> = (0..n).flat_map(|image| [0.0, 0.1 + 0.1 * image as f32]).collect();
        let test = split([20, 64, 1], n);
        let html =
            section(&Evaluation::of(&[logits], &test.labels, 2), &test, None, &names(), "test");
        assert_eq!(html.matches("<img ").count(), 25);
        assert_eq!(html.matches("width=\"96\" height=\"30\"").count(), 25, "{html}");
        let first = html.find("test image 29, loss 3.05").expect("the worst");
        assert!(first < html.find("test image 28").expect("the next"));
        assert!(!html.contains("test image 4,"));
        assert!(html.contains("class &lt;0&gt;") && !html.contains("<0>"), "{html}");
        let whole = "title=\"a class with a name of many letters\">";
        assert!(html.contains(&format!("<bdi class=\"class-name wrong\" {whole}")), "{html}");
        let (right, one) = (Evaluation::of(&[vec![1.0, 0.0]], &[0], 2), split([4, 6, 1], 1));
        let none = section(&right, &one, None, &names(), "test");
        assert!(none.contains("Every test image was recognised"), "{none}");
    }

    #[test]
    fn whole_pictures_are_shown_in_their_own_proportions() {
        let sizes = [[20, 64, 3], [300, 150, 3], [33, 33, 3]].map(ImageSize::from);
        let mut n_bytes = 0;
        let place = |size: ImageSize| {
            n_bytes += size.n_bytes();
            (n_bytes - size.n_bytes(), size)
        };
        let places = sizes.map(place).to_vec();
        let stored = Some(Stored::new(vec![7; n_bytes].into(), places));
        let test = Split { stored, ..split([32, 32, 3], 3) };
        let wrong = Evaluation::of(&[vec![0.0, 3.0, 0.0, 2.0, 0.0, 1.0]], &test.labels, 2);
        let html = section(&wrong, &test, None, &names(), "test");
        let sides: Vec<&str> = html.split(" width=").skip(1).map(|rest| &rest[..16]).collect();
        let expected = ["\"96\" height=\"30\"", "\"48\" height=\"96\"", "\"96\" height=\"96\""];
        assert_eq!(sides, expected, "{html}");
    }

    #[test]
    fn each_error_has_the_picture_of_its_own_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let sizes = [[10, 20], [30, 30], [40, 20]];
        for (ix, [height, width]) in sizes.into_iter().enumerate() {
            let file =
                std::fs::File::create(folder.path().join(format!("{ix}.png"))).expect("made");
            let mut encoder = png::Encoder::new(file, width as u32, height as u32);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().expect("a header");
            writer.write_image_data(&vec![9; 3 * height * width]).expect("pixels");
        }
        let files = (0..3).map(|ix| format!("{ix}.png").into()).collect();
        let test = Split { files, ..split([32, 32, 3], 3) };
        // The last image has the largest loss. The second one is right.
        let logits = vec![0.0, 1.0, 1.0, 0.0, 0.0, 2.0];
        let evaluation = Evaluation::of(&[logits], &test.labels, 2);
        let html = section(&evaluation, &test, Some(folder.path()), &names(), "test");
        let sides: Vec<&str> = html.split(" width=").skip(1).map(|rest| &rest[..16]).collect();
        assert_eq!(sides, ["\"48\" height=\"96\"", "\"96\" height=\"48\""], "{html}");
    }

    #[test]
    fn probabilities_are_not_rounded_to_certainty() {
        let shown = [0.5, 0.995, 0.999_96, 1.0, 0.004, 1e-6, 0.0].map(probability_text);
        assert_eq!(shown, ["50%", "99.5%", ">99.9%", "100%", "0.4%", "<0.1%", "0%"]);
    }
}
