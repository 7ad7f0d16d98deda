//! CIFAR-100 in its binary version and in its Python version.
//!
//! The binary version has one file of training images, `train.bin`, and one of test images, `test.bin`. A record has 3,074
//! bytes:
//!
//! ```text
//! byte 0            the coarse label, 0 to 19
//! byte 1            the fine label, 0 to 99
//! byte 2..3074      the red, green and blue planes, as in CIFAR-10
//! ```
//!
//! A network learns the fine labels, or the coarse labels with `--coarse`. The published files have 50,000 and 10,000
//! records; any whole number of records is read.
//!
//! The Python version has the same images, in the files `train` and `test`: see [`super::pickled`].

use std::fs;
use std::path::Path;

use super::error::{DataError, Version};
use super::folder::{self, Files, PublishedArchive};
use super::form::Form;
use super::records::Layout;
use super::{Dataset, DatasetSource, Defaults, ImageSpec, ReadOptions, Split, cifar10, pickled};
use crate::base::shown::Shown;

/// The names of the files of images, without the ending.
const TRAINING_FILE: &str = "train";
const TEST_FILE: &str = "test";
/// The Python version's file with the class names.
const PICKLED_CLASSES_FILE: &str = "meta";
const N_OFFICIAL_RECORDS: [usize; 2] = [50_000, 10_000];

/// The number of bytes of a record: two labels and an image.
pub const RECORD_BYTES: usize = 2 + cifar10::SIZE.n_bytes();

/// The names of CIFAR-100's files and folder, and the published archive.
const FILES: Files = Files {
    folder: "cifar-100-binary",
    python_folder: Some("cifar-100-python"),
    example: "train.bin",
    listed: "train.bin and test.bin",
    is_file: |name| ["train.bin", "test.bin", TRAINING_FILE, TEST_FILE].contains(&name),
    version_of: |name| match name {
        "cifar-100-matlab" => Some(Version::Matlab),
        "test_batch.bin" | "batches.meta.txt" | cifar10::FOLDER => Some(Version::Cifar10),
        "test_batch" | "batches.meta" | "cifar-10-batches-py" => Some(Version::Cifar10),
        _ if name.ends_with(".mat") => Some(Version::Matlab),
        _ if name.starts_with("data_batch_") => Some(Version::Cifar10),
        _ => None,
    },
    page: cifar10::PAGE,
    archive: Some(PublishedArchive {
        name: "cifar-100-binary.tar.gz",
        title: "CIFAR-100 binary version",
        prefix: "cifar-100-",
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        n_bytes: 168_513_733,
        md5: 0x03b5_dce0_1913_d631_647c_71ec_ec9e_9cb8,
        files: &[
            ("train.bin", (N_OFFICIAL_RECORDS[0] * RECORD_BYTES) as u64),
            ("test.bin", (N_OFFICIAL_RECORDS[1] * RECORD_BYTES) as u64),
            ("fine_label_names.txt", 1 << 14),
            ("coarse_label_names.txt", 1 << 14),
        ],
    }),
};

/// The dataset CIFAR-100: its files, its format and the default settings of a run.
pub struct Cifar100;

impl DatasetSource for Cifar100 {
    fn name(&self) -> &'static str {
        "cifar100"
    }

    fn title(&self) -> &'static str {
        "CIFAR-100"
    }

    fn help(&self) -> &'static str {
        "CIFAR-100; an error if it is not found"
    }

    fn spec(&self, options: ReadOptions) -> ImageSpec {
        ImageSpec {
            size: cifar10::SIZE,
            classes: folder::owned(names(options)),
            mean: vec![0.5071, 0.4865, 0.4409],
            standard_deviation: vec![0.2673, 0.2564, 0.2762],
        }
    }

    fn options(&self, n_classes: usize) -> ReadOptions<'static> {
        ReadOptions { coarse: n_classes == COARSE.len(), ..ReadOptions::default() }
    }

    fn defaults(&self) -> Defaults {
        cifar10::DEFAULTS
    }

    fn files(&self) -> Option<&'static Files> {
        Some(&FILES)
    }

    /// Reads CIFAR-100 from `dir`, or from the folder `cifar-100-binary` or `cifar-100-python` in `dir`. The class names
    /// come from `fine_label_names.txt`, `coarse_label_names.txt` or `meta`; without that file they are the published
    /// names.
    fn read(&self, dir: &Path, options: ReadOptions) -> Result<Dataset, DataError> {
        let dir = folder::locate(dir, &FILES)?;
        let form = Form::of(&dir, &FILES)?;
        let (label_ix, kind) = if options.coarse { (0, "coarse") } else { (1, "fine") };
        let layout = Layout { n_label_bytes: 2, label_ix, n_classes: names(options).len() };
        let read = |stem| {
            let name = form.file(stem);
            let path = dir.join(&name);
            if !path.exists() {
                return Err(folder::missing(&dir, &name, &FILES));
            }
            let mut split = Split::new(cifar10::SIZE);
            form.append(&path, layout, &format!("{kind}_labels"), &mut split)?;
            Ok(split)
        };
        let (train, test) = (read(TRAINING_FILE)?, read(TEST_FILE)?);
        let key = format!("{kind}_label_names");
        let classes = match form {
            Form::Binary => folder::class_names(&dir.join(format!("{key}.txt")), names(options))?,
            Form::Python => {
                pickled::class_names(&dir.join(PICKLED_CLASSES_FILE), &key, names(options))?
            }
        };
        let n = [train.len(), test.len()];
        let warning = (n != N_OFFICIAL_RECORDS).then(|| {
            let [n_train, n_test] = N_OFFICIAL_RECORDS;
            format!(
                "not the published CIFAR-100, whose files hold {n_train} and {n_test} images: {} {}, {} {}",
                form.file(TRAINING_FILE),
                n[0],
                form.file(TEST_FILE),
                n[1]
            )
        });
        Ok(Dataset {
            name: self.name(),
            description: format!(
                "CIFAR-100 from {}: {} training and {} test images of {} classes",
                dir.shown(),
                n[0],
                n[1],
                classes.len()
            ),
            dir: Some(fs::canonicalize(&dir).unwrap_or(dir)),
            spec: ImageSpec { classes, ..self.spec(options) },
            warnings: warning.into_iter().collect(),
            train,
            validation: Split::new(cifar10::SIZE),
            test,
            whole: None,
            known: None,
        })
    }
}

/// Returns the published names of the fine or the coarse classes, in the order of the labels.
fn names(options: ReadOptions) -> &'static [&'static str] {
    if options.coarse { &COARSE } else { &FINE }
}

#[rustfmt::skip]
const COARSE: [&str; 20] = [
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
];

#[rustfmt::skip]
const FINE: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
];
