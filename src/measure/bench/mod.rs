//! How near each kernel of a training step comes to what the device can do, and whether it has become
//! faster since.
//!
//! [`measure`](measure()) makes a [`Bench`], which [`table`] prints, [`svg`] draws over the device's roofline
//! and [`compare`] holds against an earlier one. [`scaling`] is about the step as a whole: how its
//! speed grows with width and batch size. `docs/benchmarks.md` says how to read them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::timed::{Bound, roof};
use super::{Effort, Machine, Sample, TimedWork};
use crate::Error;
use crate::base::files::FileError;
use crate::device::Peaks;
use crate::kernel::Kernels;
use crate::measure::MeasureError;
use crate::passes::Work;
use crate::passes::fuse::Fusion;

pub mod compare;
mod measure;
pub mod scaling;
pub mod svg;
pub mod table;

pub use measure::measure;

/// The figures, in the folder that `wgrad bench` leaves.
pub const JSON: &str = "bench.json";
/// The drawing there.
pub const SVG: &str = "roofline.svg";

/// Steps that are timed unless their number is given: half a minute of them, and no more than are needed.
pub const EFFORT: Effort = Effort { n: None, seconds: 25.0, bounds: [5, 100] };

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
    /// Its work and rates; the bytes are those of all its kernels together.
    #[serde(rename = "work")]
    pub rates: Rates,
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
    /// Work and rates of one of them.
    #[serde(rename = "work")]
    pub rates: Rates,
}

/// The work of a kernel, and its rates on the roofline: a kernel seen against the peaks of the device.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rates {
    /// Work.
    #[serde(flatten)]
    pub work: Work,
    /// Operations a second, in the median.
    pub flops_per_s: f64,
    /// Bytes a second, in the median.
    pub bytes_per_s: f64,
    /// Operations a byte: its place below the roof.
    pub intensity: f64,
    /// Resource that bounds it.
    pub bound: Bound,
    /// Part of the roof that it reaches: of the peak of what bounds it.
    pub of_roof: f64,
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

impl Rates {
    /// Returns the rates of work that took so many seconds on a device with these peaks; 0 if the clock saw no time
    /// pass.
    pub fn new(work: Work, seconds: f64, peak: Peaks) -> Self {
        let timed = TimedWork { seconds, work };
        Self {
            work,
            flops_per_s: timed.flops_per_s().unwrap_or(0.0),
            bytes_per_s: timed.bytes_per_s().unwrap_or(0.0),
            intensity: work.intensity(),
            bound: roof(work, peak).0,
            of_roof: timed.of_roof(peak),
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
        let text = std::fs::read_to_string(&file).map_err(FileError::at(&file))?;
        Self::from_json(&text).map_err(|reason| MeasureError::File { path: file, reason }.into())
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
            rates: Rates::new(work(4_000_000_000, 100_000_000), seconds.median, PEAK),
            seconds,
        }
    }

    pub(crate) fn work(flops: u64, bytes: u64) -> Work {
        Work { flops, bytes }
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
                rates: Rates::new(work(8_000_000_000, 200_000_000), seconds.median, PEAK),
                images_per_s: 8.0 / seconds.median,
                seconds,
                seconds_at_roof: 0.08,
            },
            kernels,
        }
    }

    #[test]
    fn rates_are_of_the_median_and_the_peaks() {
        let rates = Rates::new(work(1_000_000_000, 200_000_000), 0.1, PEAK);
        assert_eq!((rates.flops_per_s, rates.bytes_per_s, rates.intensity), (10e9, 2e9, 5.0));
        assert!(rates.bound == Bound::Memory && (rates.of_roof - 0.2).abs() < 1e-12, "{rates:?}");
        let at_once = Rates::new(work(1, 1), 0.0, PEAK);
        assert_eq!((at_once.flops_per_s, at_once.of_roof), (0.0, 0.0));
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
