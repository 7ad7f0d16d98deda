//! Benchmarks: the speed of each kernel of a training step, relative to the device's peak rates and to an earlier
//! benchmark.
//!
//! [`measure`](measure()) returns a [`Bench`]. [`table`] prints it, [`svg`] draws it under the device's roofline, and
//! [`compare`] compares it with an earlier one. [`scaling`] measures whole steps over a grid of widths and batch sizes.
//! `docs/benchmarks.md` explains the output.

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

/// Name of the file with the results, in the output folder of `wgrad bench`.
pub const JSON: &str = "bench.json";
/// Name of the file with the drawn roofline, in the output folder of `wgrad bench`.
pub const SVG: &str = "roofline.svg";

/// Number of timed steps by default: as many as 25 seconds hold, at least 5 and at most 100.
pub const EFFORT: Effort = Effort { n: None, seconds: 25.0, bounds: [5, 100] };

/// Name of the file format, the value of its field `format`.
const FORMAT: &str = "wgrad bench";

/// Version of the file format. It changes when a field's meaning changes.
const VERSION: u32 = 1;

/// A benchmark of a training step and of each of its kernels: the contents of `bench.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bench {
    /// Name of the file format, `wgrad bench`.
    pub format: String,
    /// Version of the file format.
    pub version: u32,
    /// Machine and date of the measurement.
    pub machine: Machine,
    /// Settings of the step.
    pub settings: BenchSettings,
    /// Clock that timed the kernels: see [`Clock::name`](crate::device::Clock::name).
    pub clock: String,
    /// Peak rates of the device, as measured.
    pub peak: Peaks,
    /// The whole step, timed by the host's clock. The nodes are timed in other steps.
    pub step: Step,
    /// All kernels, those with the most time first.
    pub kernels: Vec<Kernel>,
}

/// The settings of a measured step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BenchSettings {
    /// Name of the network.
    pub network: String,
    /// Number of channels of the network's first layer.
    pub width: usize,
    /// Number of images in a step.
    pub batch_size: usize,
    /// Number of shards of a step; 1 in files of earlier versions.
    #[serde(default = "one")]
    pub shards: usize,
    /// Set of kernels that the GPU runs. The CPU device has only one set.
    pub kernels: Kernels,
    /// Fusion rules that are applied.
    pub fusion: Fusion,
}

fn one() -> usize {
    1
}

/// A whole step, measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Time of a step, in seconds.
    pub seconds: Sample,
    /// Work and rates of a step. The bytes are the sum over all kernels.
    #[serde(rename = "work")]
    pub rates: Rates,
    /// Images per second, from the median time.
    pub images_per_s: f64,
    /// Sum of the least times of all kernels at the device's peak rates (the roofline model), in seconds.
    pub seconds_at_roof: f64,
}

/// A kernel at one shape: all nodes of the step with the same op, attributes and shapes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// Name of the op: `conv2d.d_weight`.
    pub op: String,
    /// Attributes of the op: `3x3, stride 1, padding 1`.
    pub attributes: String,
    /// Shapes of the inputs: `32x16x16x64` for f32, `32 u32` for another type.
    pub reads: Vec<String>,
    /// Shapes of the outputs.
    pub makes: Vec<String>,
    /// Number of times that the step runs this kernel: its number of nodes, each counted once for each shard.
    pub n_nodes: usize,
    /// Time of one node, in seconds. Each measurement is the mean over the nodes of one step.
    pub seconds: Sample,
    /// Work and rates of one node.
    #[serde(rename = "work")]
    pub rates: Rates,
}

/// The work of a kernel, and its rates relative to the peaks of the device.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rates {
    /// Operations and bytes.
    #[serde(flatten)]
    pub work: Work,
    /// Floating-point operations per second, from the median time.
    pub flops_per_s: f64,
    /// Bytes per second, from the median time.
    pub bytes_per_s: f64,
    /// Arithmetic intensity, in operations per byte: the horizontal position on the roofline.
    pub intensity: f64,
    /// Resource that bounds the kernel: arithmetic or memory.
    pub bound: Bound,
    /// Rate as a fraction of the peak rate of the resource in `bound`.
    pub of_roof: f64,
}

impl BenchSettings {
    /// Returns the fusion rules in a word or two: `everything`, `nothing`, or `in part` for some of the rules.
    pub fn fused(&self) -> &'static str {
        match self.fusion {
            Fusion::ALL => "everything",
            Fusion::NONE => "nothing",
            _ => "in part",
        }
    }
}

impl Rates {
    /// Returns the rates of work that took `seconds` on a device with these peaks. The rates are 0 if the measured time
    /// is 0.
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
    /// Returns the time of all nodes with this kernel in a step, in seconds.
    pub fn seconds_in_step(&self) -> f64 {
        self.n_nodes as f64 * self.seconds.median
    }

    /// Returns the shapes of the inputs in short form: `2 of 32x16x16x64, 32`.
    pub fn shapes(&self) -> String {
        let count = |same: &[String]| match same.len() {
            1 => same[0].clone(),
            n => format!("{n} of {}", same[0]),
        };
        self.reads.chunk_by(|a, b| a == b).map(count).collect::<Vec<_>>().join(", ")
    }

    /// Returns true if both kernels have the same op, attributes and shapes.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let identity =
            |k: &Self| (k.op.clone(), k.attributes.clone(), k.reads.clone(), k.makes.clone());
        identity(self) == identity(other)
    }
}

impl Bench {
    /// Returns the document of `bench.json`. Beside the fields it has `images_per_s`, the images per second of the whole
    /// step by the host's clock.
    pub fn document(&self) -> impl Serialize + '_ {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            bench: &'a Bench,
            images_per_s: f64,
        }
        Document { bench: self, images_per_s: self.step.images_per_s }
    }

    /// Returns the time of all kernels in a step, in seconds.
    pub fn seconds_in_kernels(&self) -> f64 {
        self.kernels.iter().map(Kernel::seconds_in_step).sum()
    }

    /// Returns the time of some kernels as a fraction of [`Bench::seconds_in_kernels`]; 0 if that time is 0.
    pub fn part_of_step<'a>(&self, kernels: impl IntoIterator<Item = &'a Kernel>) -> f64 {
        let seconds: f64 = kernels.into_iter().map(Kernel::seconds_in_step).sum();
        let sum = self.seconds_in_kernels();
        if sum > 0.0 { seconds / sum } else { 0.0 }
    }

    /// Returns the text of [`JSON`].
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.document()).expect("numbers and strings") + "\n"
    }

    /// Reads an earlier benchmark from its file, or from the folder that holds the file.
    ///
    /// # Errors
    /// If the file cannot be read, is not a benchmark, or has another version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = if path.is_dir() { path.join(JSON) } else { path.to_path_buf() };
        let text = std::fs::read_to_string(&file).map_err(FileError::at(&file))?;
        Self::from_json(&text).map_err(|reason| MeasureError::File { path: file, reason }.into())
    }

    fn from_json(text: &str) -> Result<Self, String> {
        /// The fields that are read first, because files of other versions may have other fields than [`Bench`].
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let is_none = |error| format!("not a benchmark of `wgrad bench`: {error}");
        let head: Head = serde_json::from_str(text).map_err(is_none)?;
        if head.format != FORMAT {
            return Err(format!("a file of {:?}, not of `wgrad bench`", head.format));
        }
        if head.version != VERSION {
            let version = head.version;
            return Err(format!("file version {version}; this wgrad reads {VERSION}"));
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
            settings: BenchSettings {
                network: "resnet9".to_string(),
                width: 4,
                batch_size: 8,
                shards: 1,
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
    fn rates_follow_from_the_median_and_the_peaks() {
        let rates = Rates::new(work(1_000_000_000, 200_000_000), 0.1, PEAK);
        assert_eq!((rates.flops_per_s, rates.bytes_per_s, rates.intensity), (10e9, 2e9, 5.0));
        assert!(rates.bound == Bound::Memory && (rates.of_roof - 0.2).abs() < 1e-12, "{rates:?}");
        let at_once = Rates::new(work(1, 1), 0.0, PEAK);
        assert_eq!((at_once.flops_per_s, at_once.of_roof), (0.0, 0.0));
    }

    #[test]
    fn equal_neighbouring_shapes_are_counted() {
        let kernel = kernel("add.forward", &["2x3", "2x3", "4", "2x3"], 1, &[1.0]);
        assert_eq!(kernel.shapes(), "2 of 2x3, 4, 2x3");
    }

    #[test]
    fn files_can_be_read_back_and_others_are_rejected() {
        let bench = bench(vec![kernel("add.forward", &["2x3"], 2, &[0.1, 0.2])], &[0.5]);
        let text = bench.to_json();
        assert_eq!(Bench::from_json(&text).expect("the same"), bench);
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        let error = Bench::from_json(&newer).expect_err("newer");
        assert!(error.contains("version 2; this wgrad reads 1"), "{error}");
        let error = Bench::from_json("{}").expect_err("nothing");
        assert!(error.contains("not a benchmark of `wgrad bench`"), "{error}");
        let other = text.replace("\"wgrad bench\",\n  \"version", "\"else\",\n  \"version");
        assert!(Bench::from_json(&other).expect_err("something else").contains("\"else\""));
    }
}
