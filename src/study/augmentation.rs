//! Crop, flip and cutout help; a little colour jitter helps, and more hurts.
//!
//! The arms differ in the augmentation alone. `docs/lessons/augmentation.md` has the text.

use wgrad::base::chart::lines::{Chart, Unit};
use wgrad::data::batches;
use wgrad::ops::augment::{AugmentFlags, ColorJitter};
use wgrad::train::step::StepConfig;

use super::lab::arms;
use super::lab::{BAND, Interval, Lab, Spread, Stopped, Training, Verdict};
use super::{Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "augmentation",
    claim: "crop, flip and cutout each help; a little colour jitter helps, and more hurts",
    minutes: 2,
    subject: Subject::Network,
    text: include_str!("../../docs/lessons/augmentation.md"),
    measure,
    show,
};

/// The arm with which the others are compared.
const BASE: &str = "crop, flip, cutout";

/// The arms without one of the three augmentations, and without all.
const WITHOUT: [(&str, AugmentFlags); 5] = {
    let all = AugmentFlags { crop: true, flip: true, cutout: true, ..AugmentFlags::NONE };
    [
        (BASE, all),
        ("without crop", AugmentFlags { crop: false, ..all }),
        ("without flip", AugmentFlags { flip: false, ..all }),
        ("without cutout", AugmentFlags { cutout: false, ..all }),
        ("none", AugmentFlags::NONE),
    ]
};

/// The arms with a colour jitter in addition to crop, flip and cutout. The strength is that of brightness, contrast and
/// saturation.
const JITTER: [(f64, &str); 5] =
    [(0.0, BASE), (0.1, "jitter 0.1"), (0.2, "jitter 0.2"), (0.5, "jitter 0.5"), (1.0, "jitter 1")];

/// The largest number of training images whose error is measured without augmentation.
const N_CLEAN: usize = 1000;

/// Returns the names of all arms, without those that need colour if the images have none.
pub(super) fn names(n_channels: usize) -> Vec<&'static str> {
    let jitter = JITTER.iter().skip(1).filter(|_| n_channels == 3);
    WITHOUT.iter().map(|(name, _)| *name).chain(jitter.map(|(_, name)| *name)).collect()
}

/// Sets the augmentation of an arm.
pub(super) fn set(step: &mut StepConfig, arm: &str) {
    let flags = WITHOUT.iter().find(|(name, _)| *name == arm).unwrap_or(&WITHOUT[0]);
    let strength =
        JITTER.iter().find(|(_, name)| *name == arm).map_or(0.0, |(strength, _)| *strength);
    step.augmentation = flags.1;
    step.jitter = ColorJitter { brightness: strength, contrast: strength, saturation: strength };
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let (n_images, n_steps) = (lab.size([16, 500, usize::MAX]), lab.size([2, 112, 24 * 97]));
    for seed in arms::seeds(lab) {
        for arm in names(lab.images.size().channels) {
            lab.measure(&format!("{arm}/seed {seed}"), |lab| {
                let mut training =
                    Training { seed, ..Training::adam(lab, n_images, n_steps, 0.01) };
                set(&mut training.step, arm);
                let (mut trainer, curve) = training.run(lab)?;
                let clean = batches::in_order(training.n_images.min(N_CLEAN));
                let clean = lab.images.train().select(&clean);
                let metrics = trainer.evaluate(&clean, &|| lab.is_stopped())?.ok_or(Stopped)?;
                let mut numbers = curve.measurements();
                numbers.push(("clean training error", vec![1.0 - metrics.accuracy()]));
                Ok(numbers)
            })?;
        }
    }
    Ok(())
}

/// Returns the test error minus the error on training images without augmentation, for each seed.
pub(super) fn gaps(record: &Record, arm: &str) -> Vec<f64> {
    let [train, test] =
        ["clean training error", "test error"].map(|what| record.of_seeds(arm, what));
    let gaps =
        train.iter().zip(test).filter_map(|(train, test)| Some(test.last()? - train.last()?));
    gaps.collect()
}

fn show(record: &Record, page: &mut Page) {
    let without = WITHOUT.map(|(name, _)| name);
    page.chart(&arms::chart(record, &without, "test error", "Test error", "steps"), BAND);
    page.chart(&by_strength(record), BAND);
    let mut rows = Vec::new();
    for arm in names(3) {
        let errors = ["clean training error", "test error"].map(|what| record.last(arm, what));
        let ([Some(train), Some(test)], Some(gap)) = (errors, Spread::of(&gaps(record, arm)))
        else {
            continue;
        };
        page.figure(arms::figure(arm, "test_error"), test.mean);
        page.figure(arms::figure(arm, "gap"), gap.mean);
        rows.push(vec![arm.to_string(), train.percent(), test.percent(), gap.percent()]);
    }
    let columns = ["augmentation", "training error", "test error", "gap"];
    page.table("Errors at the end: mean, lowest and highest of the seeds", &columns, &rows);
    for part in ["crop", "flip", "cutout"] {
        let claim = format!("{part} lowers the test error");
        arms::is_lowest(record, page, &claim, &[BASE, &format!("without {part}")]);
    }
    for little in ["jitter 0.1", "jitter 0.2"] {
        let claim = format!("a little colour jitter ({little}) lowers the test error");
        arms::is_lowest(record, page, &claim, &[little, BASE]);
    }
    arms::is_lowest(record, page, "much colour jitter raises the test error", &[BASE, "jitter 1"]);
    let [with, none] = [BASE, "none"].map(|arm| gaps(record, arm));
    // The arms have the same seeds.
    let differences: Vec<f64> = with.iter().zip(&none).map(|(with, none)| with - none).collect();
    let difference = Interval::of(&differences);
    let [Some(with), Some(none)] = [with, none].map(|gaps| Spread::of(&gaps)) else { return };
    page.verdict(
        "augmentation narrows the gap between training and test",
        Verdict::below(difference, 0.0),
        &format!(
            "The gap is {} with {BASE} and {} without augmentation, a difference of {}.",
            with.percent(),
            none.percent(),
            Interval::points(difference)
        ),
    );
}

/// Returns a chart of the errors over the strength of the jitter.
fn by_strength(record: &Record) -> Chart {
    let whats = ["test error", "clean training error"];
    let series =
        whats.iter().enumerate().map(|(style, what)| arms::over(record, &JITTER, what, style));
    Chart {
        title: "Errors with colour jitter".to_string(),
        x_label: "strength of brightness, contrast and saturation".to_string(),
        y_unit: Unit::Percent,
        series: series.collect(),
        ..Chart::default()
    }
}
