//! The things that excite a unit change on the way from the image to the softmax.
//!
//! The study looks at a picture through the layers, at the patches that excite a channel most, and at images that gradient
//! ascent has made for a channel. `docs/lessons/views.md` has the text.

use wgrad::base::chart::lines::{Chart, Unit};
use wgrad::report::picture::Picture;
use wgrad::tape::Tape;

use super::lab::{Interval, Maximised, Recipe, Spread, Trained, Verdict, standard_error};
use super::lab::{
    excitation, grey, median, packed, patch, picture, purity, sheet, stem_and_stages, unpacked,
};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "views",
    claim: "the things that excite a unit change from patterns to classes on the way to the softmax",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/views.md"),
    measure,
    show,
};

/// The number of channels of each layer that the page shows.
const N_SHOWN: usize = 6;

/// The number of patches of a channel.
const N_PATCHES: usize = 9;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_seeds = lab.size([1, 3, 3]);
    let recipe = Recipe {
        network: lab.size(["resnet8", "resnet20", "resnet56"]),
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 32, 128]),
        n_steps: lab.size([2, 120, 64_000]),
    };
    let subjects = lab.subjects(n_seeds, recipe)?;
    for (ix, (seed, subject)) in subjects.iter().enumerate() {
        lab.measure(&format!("excited/seed {seed}"), |lab| excited(lab, subject, ix == 0))?;
    }
    let Some((_, subject)) = subjects.first() else { return Ok(()) };
    lab.measure("picture", |lab| picture(lab, subject, N_SHOWN))?;
    let tape = subject.network.tape(lab.images.size().channels_last());
    for (layer, value) in stem_and_stages(&tape, tape.nodes()[0].inputs[0]).into_iter().enumerate()
    {
        let channels: Vec<usize> = (0..tape.shape(value)[3].min(N_SHOWN)).collect();
        lab.measure(&format!("made/{layer}"), |lab| {
            let at = |tape: &Tape, x| stem_and_stages(tape, x)[layer];
            let made = Maximised::of(lab, subject, at, &channels, lab.size([2, 64, 256]))?;
            let rgb = lab.images.bytes(&made.images);
            let pictures = rgb.chunks(rgb.len() / channels.len()).enumerate();
            let width = lab.images.size().width;
            let pictures = pictures.map(|(ix, rgb)| (format!("{ix} picture"), packed(width, rgb)));
            Ok(pictures.chain([("means".to_string(), made.means)]).collect())
        })?;
    }
    Ok(())
}

/// Measures the purity of each layer: the share of the most frequent class among the test images that excite a channel
/// most, in the mean over the channels. If `has_patches`, returns the patches of the first channels too.
fn excited(
    lab: &Lab<'_>,
    subject: &Trained,
    has_patches: bool,
) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
    let (test, mut numbers) = (lab.images.test(), Vec::new());
    for (layer, channels) in excitation(lab, subject)?.iter().enumerate() {
        let mut purities = Vec::new();
        for (ix, channel) in channels.iter().enumerate() {
            let peaks = &channel.peaks[..N_PATCHES.min(channel.peaks.len())];
            // A channel that is 0 for some of them does not respond to them.
            if peaks.iter().all(|peak| peak.value > 0.0) {
                let classes: Vec<u16> = peaks.iter().map(|peak| test.labels[peak.image]).collect();
                purities.push(purity(&classes));
            }
            if has_patches && ix < N_SHOWN {
                let patches = peaks.iter().map(|peak| patch(test, peak.image, &peak.field));
                let (widths, patches): (Vec<_>, Vec<_>) = patches.unzip();
                let (width, rgb) = sheet(3, widths[0], &patches);
                numbers.push((format!("{layer} {ix} patches"), packed(width, &rgb)));
            }
        }
        let mean = purities.iter().sum::<f64>() / purities.len().max(1) as f64;
        numbers.push((format!("{layer} purity"), vec![mean]));
        let means = channels.iter().map(|channel| channel.largest_mean).collect();
        numbers.push((format!("{layer} means"), means));
    }
    Ok(numbers)
}

fn show(record: &Record, page: &mut Page) {
    let of_layer =
        |layer: usize, what: &str| record.of_seeds("excited", &format!("{layer} {what}"));
    let purities: Vec<Vec<f64>> = (0..)
        .map(|layer| of_layer(layer, "purity").concat())
        .take_while(|all| !all.is_empty())
        .collect();
    let row = |found: &[&[f64]], draw: fn(&[f64]) -> Picture| {
        let picture = |(ix, numbers): (usize, &&[f64])| (draw(numbers), format!("channel {ix}"));
        found.iter().enumerate().map(picture).collect::<Vec<_>>()
    };
    let image = record.get("picture/image").map(|image| (unpacked(image), "image 0".to_string()));
    page.row("The picture", &Vec::from_iter(image), "Its channels follow, layer by layer.");
    let (mut rows, mut ratios) = (Vec::new(), Vec::new());
    for (layer, purity) in purities.iter().enumerate() {
        let is_patch = format!("/{layer} ");
        let name = if layer == 0 { "stem".to_string() } else { format!("stage_{layer}") };
        let behind = name.replace("stem", "the stem").replace('_', " ");
        let maps = record.all(&format!("picture/{layer} "), " map");
        page.row(
            &format!("The picture behind {behind}"),
            &row(&maps, grey),
            "A brighter pixel has a larger value; black is 0.",
        );
        let patches = record.below("excited/").filter(|(name, _)| name.ends_with(" patches"));
        let patches = patches.filter(|(name, _)| name.contains(&is_patch)).map(|(_, all)| all);
        page.row(
            &format!("Parts of test images that excite channels of {behind} most"),
            &row(&patches.collect::<Vec<_>>(), unpacked),
            "Nine images for each channel, cut at the theoretical field of the unit with the largest value.",
        );
        let made = format!("made/{layer}/");
        page.row(
            &format!("Images made for channels of {behind}"),
            &row(&record.all(&made, " picture"), unpacked),
            "Gradient ascent on the image maximises the mean of a channel.",
        );
        let means = record.all(&made, "means").concat();
        let natural = of_layer(layer, "means").first().map_or(&[][..], |all| *all);
        let ratio = |(made, natural): (&f64, &f64)| (*natural > 0.0).then(|| made / natural);
        let own: Vec<f64> = means.iter().zip(natural).filter_map(ratio).collect();
        let Some(purity) = Spread::of(purity) else { continue };
        let ratio = Spread::of(&own).map_or("-".to_string(), |_| format!("{:.2}", median(&own)));
        page.figure(format!("purity_{name}"), purity.mean);
        page.figure(format!("made_over_natural_{name}"), median(&own));
        rows.push(vec![name.replace('_', " "), purity.percent(), ratio]);
        ratios.extend(own);
    }
    let xs: Vec<f64> = (0..purities.len()).map(|layer| layer as f64).collect();
    let chart = Chart {
        title: "Share of the most frequent class among nine images".to_string(),
        x_label: "layer; 0 is the stem, 1 the first stage".to_string(),
        x_unit: Unit::Count,
        y_unit: Unit::Percent,
        series: vec![Spread::series_at("purity", 0, &xs, &purities)],
        from_zero: true,
    };
    page.chart(&chart, "The mean over all channels; a band reaches over the networks.");
    let columns = ["layer", "purity", "made over natural"];
    page.table("Images that excite a channel most, and images made for it", &columns, &rows);
    let mut classes: Vec<_> =
        record.below("picture/class ").map(|(name, p)| (p[0], name)).collect();
    classes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let class = |(p, name): &(f64, &str)| vec![name.to_string(), format!("{:.1}%", 100.0 * p)];
    let classes: Vec<_> = classes.iter().take(3).map(class).collect();
    page.table("Softmax for the picture", &["class", "probability"], &classes);
    verdicts(page, &purities, &ratios);
}

/// Adds the verdicts: on the purities of the networks in each layer, and on the ratios of the channels.
fn verdicts(page: &mut Page, purities: &[Vec<f64>], ratios: &[f64]) {
    if let [first, .., last] = purities {
        let differences: Vec<f64> =
            first.iter().zip(last).map(|(first, last)| first - last).collect();
        let difference = Interval::of(&differences);
        let [of_first, of_last] = [first, last]
            .map(|all| Spread::of(all).map_or_else(String::new, |spread| spread.percent()));
        page.verdict(
            "deep units respond to classes, and units of the stem less so",
            Verdict::below(difference, 0.0),
            &format!(
                "The purity is {of_first} in the stem and {of_last} at the end, a difference of {}.",
                Interval::points(difference)
            ),
        );
    }
    if ratios.is_empty() {
        return;
    }
    let n = ratios.len() as f64;
    let n_more = ratios.iter().filter(|ratio| **ratio > 1.0).count() as f64;
    let share = Interval::around(n_more / n, standard_error(n_more / n, n));
    page.verdict(
        "for most channels, gradient ascent makes an image that excites them more than all test images do",
        Verdict::below(Some(share), 0.5).opposite(),
        &format!(
            "It does for {n_more} of {n} channels of one network, a share of {}.",
            Interval::shown(Some(share), "", |share| format!("{:.0}%", 100.0 * share))
        ),
    );
}
