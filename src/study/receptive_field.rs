//! The receptive field of a deep unit is larger than the image, but most of its sensitivity lies in a small part of it
//! (Luo et al. 2016).
//!
//! The theoretical field follows from the layers, the effective one from the gradient of a unit with respect to the
//! image. `docs/lessons/receptive_field.md` has the text.

use wgrad::base::chart::lines::{Chart, Kind, Series, Unit};
use wgrad::data::ImageSize;

use super::lab::{BAND, Interval, Recipe, Sensitivity, Spread, Verdict};
use super::lab::{fields, grey, power, transposed};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "receptive-field",
    claim: "a unit depends on more than the image, but mostly on a small part in the middle of its field",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/receptive_field.md"),
    measure,
    show,
};

/// The weights of a network: prefixes of the record, and words of the page.
const KINDS: [&str; 2] = ["initial", "trained"];

/// The share of the squared gradient that the middle of a field has at least, by the claim. Equal gradients in the whole
/// field would give it a quarter.
const IN_MIDDLE: f64 = 0.9;

/// The largest deviation of a power from that of the square root.
const TOLERANCE: f64 = 0.1;

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_seeds = lab.size([1, 3, 3]);
    let recipe = Recipe {
        network: lab.size(["resnet8", "resnet20", "resnet56"]),
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 32, 128]),
        n_steps: lab.size([2, 80, 64_000]),
    };
    let network = lab.subject(recipe)?;
    lab.measure("layers", |lab| {
        let ImageSize { height, width, .. } = lab.images.size();
        let image = ("image".to_string(), vec![height.max(width) as f64]);
        Ok([fields(network), vec![image]].concat())
    })?;
    for n_layers in lab.size([&[2, 4][..], &[5, 10, 20, 40], &[5, 10, 20, 40, 80]]) {
        lab.measure(&format!("stack/{n_layers:02}"), |lab| {
            Sensitivity::sizes_of_stack(lab, *n_layers)
        })?;
    }
    if network.network.check_input(lab.images.size().channels_last()).is_err() {
        return Ok(());
    }
    for seed in lab.seeds(n_seeds) {
        lab.measure(&format!("initial/seed {seed}"), |lab| {
            let weights = lab.initial(network, seed)?;
            Sensitivity::of_stages(lab, network, &weights)
        })?;
    }
    for (seed, subject) in lab.subjects(n_seeds, recipe)? {
        let key = format!("trained/seed {seed}");
        lab.measure(&key, |lab| Sensitivity::of_stages(lab, subject.network, &subject.weights))?;
    }
    Ok(())
}

fn show(record: &Record, page: &mut Page) {
    let field = |n: usize| record.get(&format!("layers/stage {n}"));
    let theoretical: Vec<Vec<f64>> = (1..).map_while(|n| Some(vec![field(n)?[2]])).collect();
    let xs: Vec<f64> = (1..=theoretical.len()).map(|n| n as f64).collect();
    let sizes_of = |kind: &str| {
        let of_stage = |n: &f64| record.of_seeds(kind, &format!("stage {n} size")).concat();
        xs.iter().map(of_stage).collect::<Vec<_>>()
    };
    let mut series = vec![Spread::series_at("theoretical", 0, &xs, &theoretical)];
    let (mut pictures, mut rows) = (Vec::new(), Vec::new());
    for (ix, kind) in KINDS.into_iter().enumerate() {
        series.push(Spread::series_at(kind, ix + 1, &xs, &sizes_of(kind)));
        for n in &xs {
            let maps = record.of_seeds(kind, &format!("stage {n} map"));
            pictures.extend(maps.first().map(|map| (grey(map), format!("{kind}, stage {n}"))));
        }
    }
    page.row(
        "Sensitivity of a unit to the pixels of its theoretical field",
        &pictures,
        "A brighter pixel matters more: brightness is the square root of the gradient. A field that is larger than three \
         images is cut.",
    );
    let units = Chart { x_unit: Unit::Count, y_unit: Unit::Log, ..Chart::default() };
    let (title, x_label) = ("Field of a stage: side in pixels".to_string(), "stage".to_string());
    page.chart(&Chart { title, x_label, series, ..units.clone() }, BAND);
    let effective = KINDS.map(sizes_of);
    for (ix, n) in xs.iter().enumerate() {
        let [initial, trained] = [0, 1].map(|kind| Spread::of(&effective[kind][ix]));
        let whole = theoretical[ix][0];
        page.figure(format!("theoretical_{n}"), whole);
        let text = |size: &Option<Spread>| size.map_or("-".to_string(), |s| format!("{s:.1}"));
        let shares = KINDS.map(|kind| record.spread(kind, &format!("stage {n} middle"), 0));
        let share = |share: &Option<Spread>| share.map_or("-".to_string(), |s| s.percent());
        let cells = [n.to_string(), whole.to_string(), text(&initial), text(&trained)];
        rows.push([&cells[..], &[share(&shares[0]), share(&shares[1])]].concat());
        let (Some(initial), Some(trained)) = (initial, trained) else { continue };
        page.figure(format!("effective_init_{n}"), initial.mean);
        page.figure(format!("effective_trained_{n}"), trained.mean);
        let difference = record.difference(KINDS, &format!("stage {n} size"), |size| size[0]);
        page.verdict(
            &format!("training enlarges the effective field of stage {n}"),
            Verdict::below(difference, 0.0),
            &format!(
                "Its side is {initial:.1} pixels before and {trained:.1} after it, of {whole}, a difference of {}.",
                Interval::shown(difference, "", |pixels| format!("{pixels:.1}"))
            ),
        );
    }
    let columns =
        ["stage", "theoretical", "initial", "trained", "middle, initial", "middle, trained"];
    let heading = "Side of the theoretical and the effective field of each stage in pixels, and share of the middle";
    page.table(heading, &columns, &rows);
    of_middle(record, page, &xs);
    if let (Some(last), Some(image)) = (theoretical.last(), record.number("layers/image")) {
        page.verdict(
            "a unit of the last stage can depend on more than the image",
            Verdict::of(last[0] > image, last[0] <= image),
            &format!("Its theoretical field has a side of {} pixels, the image {image}.", last[0]),
        );
    }
    let depths = record.all("stack/", "/layers").concat();
    let theoretical: Vec<_> = depths.iter().map(|n| vec![2.0 * n + 1.0]).collect();
    let mut series = vec![Spread::series_at("theoretical", 0, &depths, &theoretical)];
    for (style, what) in [(1, "equal"), (2, "random")] {
        let sizes = record.all("stack/", &format!("/{what}"));
        let sizes: Vec<_> = sizes.iter().map(|all| all.to_vec()).collect();
        series.push(Spread::series_at(&format!("{what} weights"), style, &depths, &sizes));
        let powers =
            transposed(&sizes).iter().map(|sizes| power(&depths, sizes)).collect::<Vec<_>>();
        if powers.is_empty() {
            continue;
        }
        let off: Vec<f64> = powers.iter().map(|power| (power - 0.5).abs()).collect();
        // Equal weights have no seed, and no spread.
        let verdict = match off[..] {
            [off] if what == "equal" => Verdict::of(off < TOLERANCE, off >= TOLERANCE),
            _ => Verdict::below(Interval::of(&off), TOLERANCE),
        };
        let claim = format!(
            "the side of the field of a stack with {what} weights grows as the depth to the power of 0.5, give or \
             take {TOLERANCE}"
        );
        let text = match powers[..] {
            [power] => format!("The power is {power:.2}."),
            _ => {
                let power = Interval::shown(Interval::of(&powers), "", |of| format!("{of:.2}"));
                format!("The power is {power}.")
            }
        };
        page.verdict(&claim, verdict, &text);
    }
    // The square-root law goes through the first stack.
    let first =
        record.all("stack/", "/equal").concat().first().map_or(0.0, |side| side / depths[0].sqrt());
    let points = depths.iter().map(|n| (*n, first * n.sqrt())).collect();
    let name = "square root of the depth".to_string();
    series.push(Series { name, points, style: 3, kind: Kind::Computed, ..Series::default() });
    let (title, x_label) =
        ("Field of a stack: side in pixels".to_string(), "3x3 convolutions".to_string());
    page.chart(&Chart { title, x_label, x_unit: Unit::Log, series, ..units }, BAND);
    let pair = |sizes: &[f64]| format!("{}x{}", sizes[0], sizes[1]);
    let layer =
        |(name, sizes): (&str, &[f64])| vec![name[4..].to_string(), pair(sizes), pair(&sizes[2..])];
    let rows: Vec<_> = record.below("layers/layer ").map(layer).collect();
    page.table("Theoretical field by layer, in pixels", &["layer", "plane", "field"], &rows);
}

/// Adds the verdicts on the share of the squared gradient in the middle of the fields of all stages.
fn of_middle(record: &Record, page: &mut Page, stages: &[f64]) {
    for (kind, when) in KINDS.into_iter().zip(["before", "after"]) {
        let shares =
            stages.iter().map(|n| record.of_seeds(kind, &format!("stage {n} middle")).concat());
        let shares: Vec<Vec<f64>> = shares.take_while(|shares| !shares.is_empty()).collect();
        if shares.is_empty() {
            continue;
        }
        let intervals: Vec<_> = shares.iter().map(|shares| Interval::of(shares)).collect();
        let text = intervals
            .iter()
            .map(|share| Interval::shown(*share, "", |of| format!("{:.1}%", 100.0 * of)));
        let text =
            format!("From the first stage on, it has {}.", text.collect::<Vec<_>>().join(", "));
        let verdicts = intervals.iter().map(|share| Verdict::below(*share, IN_MIDDLE).opposite());
        let claim = format!(
            "{when} training, the middle quarter of the theoretical field has more than {:.0}% of the squared gradient",
            100.0 * IN_MIDDLE
        );
        page.verdict(&claim, Verdict::all(verdicts), &text);
    }
}
