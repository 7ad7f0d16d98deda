//! How near each kernel of a training step comes to what the device can do, and whether it has become
//! faster since.
//!
//! [`measure`](measure()) makes a [`Bench`], which [`table`] prints, [`svg`] draws over the device's roofline
//! and [`compare`] holds against an earlier one. [`scaling`] is about the step as a whole: how its
//! speed grows with width and batch size. `docs/benchmarks.md` says how to read them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::shown::Shown;
use crate::device::Peaks;
use crate::error::Error;
use crate::kernel::Kernels;
use crate::passes::fuse::Fusion;

pub mod compare;
pub mod machine;
mod measure;
pub mod sample;
pub mod scaling;
pub mod svg;
pub mod table;

pub use machine::Machine;
pub use measure::{EFFORT, measure};
pub use sample::Sample;

/// The figures, in the folder that `wgrad bench` leaves.
pub const JSON: &str = "bench.json";
/// The drawing there.
pub const SVG: &str = "roofline.svg";

/// What the file says that it is.
const FORMAT: &str = "wgrad bench";

/// The version of the file. It changes when what is in it changes its meaning.
const VERSION: u32 = 1;

/// A measurement of every kernel of a training step, and of the step: the contents of `bench.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bench {
    /// `wgrad bench`
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// Where and how it was measured.
    pub machine: Machine,
    /// What was measured.
    pub settings: Settings,
    /// What measured the kernels: see [`Clock::name`](crate::device::Clock::name).
    pub clock: String,
    /// What the device was seen to do at best.
    pub peak: Peaks,
    /// A step without a clock on its nodes, by the host's clock.
    pub step: Step,
    /// Every kernel, the most time first.
    pub kernels: Vec<Kernel>,
}

/// What is measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The name of the network.
    pub network: String,
    /// Channels of its first layer.
    pub width: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Which kernels a GPU runs.
    pub kernels: Kernels,
    /// Which nodes are fused.
    pub fusion: Fusion,
}

/// A whole step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its time.
    pub seconds: Sample,
    /// What it does; the bytes are those of all its kernels together.
    pub work: Work,
    /// Images a second, in the median.
    pub images_per_s: f64,
    /// What all kernels would take together, in seconds, if each were on the device's roof.
    pub seconds_at_roof: f64,
}

/// A kernel at one shape: all nodes of the step that have the same op, attributes and shapes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// `conv2d.d_weight`
    pub op: String,
    /// `3x3, stride 1, padding 1`
    pub attributes: String,
    /// The shapes of what it reads: `32x16x16x64`, and `32 u32` where they are no real numbers.
    pub reads: Vec<String>,
    /// The shapes of what it makes.
    pub makes: Vec<String>,
    /// How many nodes of the step there are of it.
    pub n_nodes: usize,
    /// The time of one of them: the mean over the nodes, by step.
    pub seconds: Sample,
    /// What one of them does.
    pub work: Work,
}

/// What a kernel does, and how fast that is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Additions and multiplications of real numbers that the formula needs.
    pub flops: u64,
    /// Bytes read and written if every value passes memory once.
    pub bytes: u64,
    /// Operations a second, in the median.
    pub flops_per_s: f64,
    /// Bytes a second, in the median.
    pub bytes_per_s: f64,
    /// Operations a byte: where it stands below the roof.
    pub intensity: f64,
    /// What bounds it.
    pub bound: Bound,
    /// The part of the roof that it reaches: of the peak of what bounds it.
    pub of_roof: f64,
}

/// What a kernel cannot be faster than.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The device's multiply-adds.
    Arithmetic,
    /// Its memory.
    Memory,
}

impl Bound {
    /// The word that tables use.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Arithmetic => "arithmetic",
            Bound::Memory => "memory",
        }
    }
}

/// The roofline (Williams, Waterman and Patterson, 2009): work of `flops` operations on `bytes` bytes takes
/// at least `max(flops / peak flops, bytes / peak bandwidth)` seconds. Which of the two it is, and how long.
pub fn roof(flops: u64, bytes: u64, peak: Peaks) -> (Bound, f64) {
    let computing = flops as f64 / peak.flops_per_s;
    let moving = bytes as f64 / peak.bytes_per_s;
    if computing > moving { (Bound::Arithmetic, computing) } else { (Bound::Memory, moving) }
}

impl Settings {
    /// What of the step is fused, in a word.
    pub fn fused(&self) -> &'static str {
        match self.fusion {
            Fusion::ALL => "everything",
            Fusion::NONE => "nothing",
            _ => "in part",
        }
    }
}

impl Work {
    /// Work that took so many seconds on a device with these peaks.
    pub fn new(flops: u64, bytes: u64, seconds: f64, peak: Peaks) -> Self {
        // A clock that saw no time pass tells no rate.
        let rate = |done: f64| if seconds > 0.0 { done / seconds } else { 0.0 };
        let (bound, least) = roof(flops, bytes, peak);
        Self {
            flops,
            bytes,
            flops_per_s: rate(flops as f64),
            bytes_per_s: rate(bytes as f64),
            intensity: flops as f64 / bytes.max(1) as f64,
            bound,
            of_roof: rate(least),
        }
    }
}

impl Kernel {
    /// The time of all its nodes in a step, in seconds.
    pub fn seconds_in_step(&self) -> f64 {
        self.n_nodes as f64 * self.seconds.median
    }

    /// What it works on, short: `2 of 32x16x16x64, 32`.
    pub fn shapes(&self) -> String {
        let count = |same: &[String]| match same.len() {
            1 => same[0].clone(),
            n => format!("{n} of {}", same[0]),
        };
        self.reads.chunk_by(|a, b| a == b).map(count).collect::<Vec<_>>().join(", ")
    }

    /// Whether it computes the same as another.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let identity =
            |k: &Self| (k.op.clone(), k.attributes.clone(), k.reads.clone(), k.makes.clone());
        identity(self) == identity(other)
    }
}

impl Bench {
    /// The time of all kernels in a step, in seconds.
    pub fn seconds_in_kernels(&self) -> f64 {
        self.kernels.iter().map(Kernel::seconds_in_step).sum()
    }

    /// The part of that which some of them take; all of nothing is nothing.
    pub fn part_of_step<'a>(&self, kernels: impl IntoIterator<Item = &'a Kernel>) -> f64 {
        let seconds: f64 = kernels.into_iter().map(Kernel::seconds_in_step).sum();
        let sum = self.seconds_in_kernels();
        if sum > 0.0 { seconds / sum } else { 0.0 }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings") + "\n"
    }

    /// Reads an earlier measurement: a file, or the folder that holds it.
    ///
    /// # Errors
    /// When it cannot be read, is no such file, or is of another version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = if path.is_dir() { path.join(JSON) } else { path.to_path_buf() };
        let text = std::fs::read_to_string(&file).map_err(Error::io(&file))?;
        Self::from_json(&text)
            .map_err(|reason| Error::Config(format!("{}: {reason}", file.shown())))
    }

    fn from_json(text: &str) -> Result<Self, String> {
        /// What is looked at first: files of other versions may have anything else in them.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let is_none = |error| format!("this is no measurement of `wgrad bench`: {error}");
        let head: Head = serde_json::from_str(text).map_err(is_none)?;
        if head.format != FORMAT {
            return Err(format!("this is a file of {:?}, not of `wgrad bench`", head.format));
        }
        if head.version != VERSION {
            let version = head.version;
            return Err(format!("the file is of version {version}; this wgrad reads {VERSION}"));
        }
        serde_json::from_str(text).map_err(is_none)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const PEAK: Peaks = Peaks { flops_per_s: 100e9, bytes_per_s: 10e9 };

    pub(crate) fn kernel(op: &str, reads: &[&str], n_nodes: usize, times: &[f64]) -> Kernel {
        let seconds = Sample::new(times.to_vec());
        Kernel {
            op: op.to_string(),
            attributes: String::new(),
            reads: reads.iter().map(ToString::to_string).collect(),
            makes: vec!["2x3".to_string()],
            n_nodes,
            work: Work::new(4_000_000_000, 100_000_000, seconds.median, PEAK),
            seconds,
        }
    }

    pub(crate) fn bench(kernels: Vec<Kernel>, step: &[f64]) -> Bench {
        let seconds = Sample::new(step.to_vec());
        Bench {
            format: FORMAT.to_string(),
            version: VERSION,
            machine: Machine {
                wgrad: "0.1.0".to_string(),
                date: "2026-11-22 10:49:23 +00:00".to_string(),
                command: "wgrad bench".to_string(),
                device: "a <fast> GPU (Vulkan)".to_string(),
                driver: Some("driver 1.2".to_string()),
                processor: "a processor".to_string(),
            },
            settings: Settings {
                network: "resnet9".to_string(),
                width: 4,
                batch_size: 8,
                kernels: Kernels::Default,
                fusion: Fusion::ALL,
            },
            clock: "host".to_string(),
            peak: PEAK,
            step: Step {
                work: Work::new(8_000_000_000, 200_000_000, seconds.median, PEAK),
                images_per_s: 8.0 / seconds.median,
                seconds,
                seconds_at_roof: 0.08,
            },
            kernels,
        }
    }

    #[test]
    fn the_roof_is_the_longer_of_the_two_times() {
        // 10 operations a byte are where this roof bends.
        assert_eq!(roof(1_000_000_000, 50_000_000, PEAK), (Bound::Arithmetic, 0.01));
        assert_eq!(roof(1_000_000_000, 200_000_000, PEAK), (Bound::Memory, 0.02));
        assert_eq!(roof(0, 10_000_000, PEAK), (Bound::Memory, 0.001));
        let work = Work::new(1_000_000_000, 200_000_000, 0.1, PEAK);
        assert_eq!((work.flops_per_s, work.bytes_per_s, work.intensity), (10e9, 2e9, 5.0));
        assert!((work.of_roof - 0.2).abs() < 1e-12, "{work:?}");
        assert_eq!(Work::new(1, 1, 0.0, PEAK).of_roof, 0.0);
    }

    #[test]
    fn shapes_that_are_the_same_are_counted() {
        let kernel = kernel("add.forward", &["2x3", "2x3", "4", "2x3"], 1, &[1.0]);
        assert_eq!(kernel.shapes(), "2 of 2x3, 4, 2x3");
    }

    #[test]
    fn files_are_read_back_and_others_are_refused() {
        let bench = bench(vec![kernel("add.forward", &["2x3"], 2, &[0.1, 0.2])], &[0.5]);
        let text = bench.to_json();
        assert_eq!(Bench::from_json(&text).expect("the same"), bench);
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        let error = Bench::from_json(&newer).expect_err("newer");
        assert!(error.contains("version 2; this wgrad reads 1"), "{error}");
        let error = Bench::from_json("{}").expect_err("nothing");
        assert!(error.contains("no measurement of `wgrad bench`"), "{error}");
        let other = text.replace("\"wgrad bench\",\n  \"version", "\"else\",\n  \"version");
        assert!(Bench::from_json(&other).expect_err("something else").contains("\"else\""));
    }
}
