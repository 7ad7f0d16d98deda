//! Tests of all studies, and one file for each study whose formulas have a test of their own.
//!
//! The tests that train run a few steps on drawn images. The result of each study at its default size is an ignored test:
//! `WGRAD_DATA=FOLDER cargo test --release --bin wgrad -- --ignored study::tests::result`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use wgrad::data::{Loaded, ReadOptions, Source};
use wgrad::device::{Device, OpenOptions};

use super::lab::{self, Images, Settings, Setup, Size, Verdict};
use super::{Lab, Page, Record, STUDIES, Study};

mod add_or_concat;
mod augmentation;
mod batch_norm;
mod bottleneck;
mod degradation;
mod euler;
mod identity;
mod lesion;
mod lr_finder;
mod one_cycle;
mod paths;
mod receptive_field;
mod residual;
mod results;
mod shortcut_kind;
mod shortcut_scale;
mod transfer;
mod views;

/// The sections of a lesson, in order.
const SECTIONS: [&str; 5] = ["Question", "Method", "Meaning", "Limits", "Try it"];

/// Returns drawn images: 40 for training and 20 for tests.
pub fn few_shapes() -> Images {
    let source = Source::from_name("shapes").expect("a dataset");
    let loaded = wgrad::data::load(source, None, ReadOptions::default()).expect("drawn images");
    let mut dataset = loaded.dataset;
    dataset.train = dataset.train.select(&(0..40).collect::<Vec<_>>());
    dataset.test = dataset.test.select(&(0..20).collect::<Vec<_>>());
    let spec = dataset.spec.clone();
    let (mean, standard_deviation) = (spec.mean, spec.standard_deviation);
    Images { loaded: Loaded { dataset, notice: None }, mean, standard_deviation }
}

/// Calls `test` with the lab of a study on a few drawn images. Its folder is temporary.
pub fn with_lab<R>(study: &'static Study, test: impl FnOnce(&mut Lab<'_>) -> R) -> R {
    let device = Device::cpu(OpenOptions::default());
    let (images, stop) = (few_shapes(), AtomicBool::new(false));
    let folder = tempfile::tempdir().expect("a folder");
    let setup = setup(&device, &images, &stop, Size::Tiny);
    test(&mut lab::open(study, &setup, folder.path()))
}

fn setup<'a>(
    device: &'a Device,
    images: &'a Images,
    stop: &'a AtomicBool,
    size: Size,
) -> Setup<'a> {
    let settings = Settings {
        seed: 3,
        size,
        data: images.loaded.dataset.description.clone(),
        network: None,
        width: None,
        normalisation: [images.mean.clone(), images.standard_deviation.clone()],
        weights: None,
    };
    let (network, weights, resume) = (None, None, false);
    let command = String::new();
    Setup { device, images, settings, network, weights, resume, stop, command }
}

fn named(name: &str) -> &'static Study {
    STUDIES.iter().find(|study| study.name == name).expect("a study")
}

/// Runs a tiny study twice, and checks its numbers and its page.
fn check(name: &str) {
    let study = named(name);
    let device = Device::cpu(OpenOptions::default());
    let (images, stop) = (few_shapes(), AtomicBool::new(false));
    let run = || {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = setup(&device, &images, &stop, Size::Tiny);
        let mut lab = lab::open(study, &setup, folder.path());
        (study.measure)(&mut lab).expect("measured");
        let page = std::fs::metadata(folder.path().join("study.html")).expect("a page").len();
        assert!(page < 2_000_000, "{name}: a page of {page} bytes");
        lab.record.clone()
    };
    let (first, second) = (run(), run());
    let is_time = |name: &str| name.ends_with("seconds");
    let timeless = |record: &Record| {
        let all = record.below("").filter(|(name, _)| !is_time(name));
        all.map(|(name, numbers)| (name.to_string(), numbers.to_vec())).collect::<Vec<_>>()
    };
    assert!(!timeless(&first).is_empty(), "{name}: no numbers");
    assert_eq!(timeless(&first), timeless(&second), "{name}: other numbers from the same seed");
    for (series, numbers) in first.below("") {
        assert!(numbers.iter().all(|number| number.is_finite()), "{name}: {series}: {numbers:?}");
    }
    let mut page = Page::default();
    (study.show)(&first, &mut page);
    assert!(!page.pictures().is_empty(), "{name}: no picture");
    assert!(!page.numbers().is_empty() && !page.figures().is_empty(), "{name}: no numbers");
    assert!(page.findings().iter().any(|finding| finding.claim.is_some()), "{name}: no verdict");
    let claims: Vec<_> = page.findings().iter().filter_map(|of| of.claim.as_ref()).collect();
    // The tiny sweeps of lr-finder have no slope, and so no claim about it.
    for (claim, _) in results::of(name).iter().filter(|_| name != "lr-finder") {
        assert!(claims.iter().any(|(found, _)| found == claim), "{name}: no claim that {claim}");
    }
    // A page of no measurements is empty, and does not fail.
    (study.show)(&Record::default(), &mut Page::default());
}

/// Declares the test of each tiny study, and an ignored test of its result: the verdicts at the default size.
macro_rules! studies {
    ($($module:ident = $name:literal;)+) => {
        mod tiny {
            $(#[test] fn $module() { super::check($name); })+
        }
        mod result {
            $(#[test] #[ignore = "takes minutes, and needs the images of CIFAR-10"] fn $module() { super::check_result($name); })+
        }
        #[test]
        fn every_study_has_its_tests() {
            let names: Vec<_> = STUDIES.iter().map(|study| study.name).collect();
            assert_eq!(names, [$($name),+]);
        }
    };
}

studies! {
    degradation = "degradation";
    identity = "identity";
    gradient_flow = "gradient-flow";
    shortcut_scale = "shortcut-scale";
    lesion = "lesion";
    paths = "paths";
    receptive_field = "receptive-field";
    euler = "euler";
    shortcut_kind = "shortcut-kind";
    bottleneck = "bottleneck";
    add_or_concat = "add-or-concat";
    views = "views";
    transfer = "transfer";
    one_cycle = "one-cycle";
    lr_finder = "lr-finder";
    augmentation = "augmentation";
    batch_norm = "batch-norm";
}

/// Runs a study at its default size on the images of `$WGRAD_DATA`, and checks the verdicts that `results.rs` lists. If
/// `$WGRAD_STUDIES` is set, the page stays in this folder, and measurements that are already there, from `wgrad study all
/// --out`, are not repeated.
fn check_result(name: &str) {
    let study = named(name);
    let device = Device::cpu(OpenOptions::default());
    let source = Source::from_name("cifar10").expect("a dataset");
    let loaded = wgrad::data::load(source, None, ReadOptions::default());
    let loaded = loaded.expect("the images of $WGRAD_DATA");
    let spec = loaded.dataset.spec.clone();
    let images = Images { loaded, mean: spec.mean, standard_deviation: spec.standard_deviation };
    let stop = AtomicBool::new(false);
    let mut setup = setup(&device, &images, &stop, Size::Default);
    setup.settings.seed = 0;
    setup.settings.data =
        format!("{} ({})", setup.settings.data, images.loaded.dataset.fingerprint());
    let temporary = tempfile::tempdir().expect("a folder");
    let folder =
        std::env::var_os("WGRAD_STUDIES").map_or(temporary.path().into(), std::path::PathBuf::from);
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the page");
    let mut lab = lab::open(study, &setup, &folder);
    lab::go_on(&mut lab).expect("numbers of the same settings");
    (study.measure)(&mut lab).expect("measured");
    let mut page = Page::default();
    (study.show)(&lab.record, &mut page);
    println!("{name}: {:.0} s\n{}", lab.seconds(), page.printed());
    let found: BTreeMap<&str, Verdict> = page
        .findings()
        .iter()
        .filter_map(|finding| finding.claim.as_ref())
        .map(|(claim, verdict)| (claim.as_str(), *verdict))
        .collect();
    let other = results::of(name).into_iter().filter(|(claim, of)| found.get(claim) != Some(of));
    let other: Vec<_> = other.map(|(claim, of)| (claim, of, found.get(claim))).collect();
    assert!(other.is_empty(), "{name}: claims with other verdicts: {other:?}");
}

#[test]
fn lessons_have_all_sections_and_three_commands_to_try() {
    for study in STUDIES {
        let name = study.name;
        for heading in SECTIONS {
            let section = lab::section(study.text, heading);
            assert!(section.len() > 40, "{name}: the section {heading:?}");
        }
        let result = lab::section(study.text, "Result");
        assert!(
            result.contains("<pre><code class=\"language-text\">"),
            "{name}: no printed result"
        );
        let tries = lab::section(study.text, "Try it");
        assert_eq!(tries.matches("<li>").count(), 3, "{name}: suggestions");
        assert_eq!(tries.matches("<code>wgrad study ").count(), 3, "{name}: commands");
    }
}
