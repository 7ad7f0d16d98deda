//! How the speed of a training step grows with width and batch size: images a second over a grid of both.
//!
//! [`measure`](measure()) fills a [`Scaling`], which [`table`] prints and [`svg`] draws. Each cell is measured,
//! or names the reason why not.

use serde::{Deserialize, Serialize};

use crate::base::units::readable_bytes;
use crate::kernel::Kernels;
use crate::measure::{Machine, Sample};

mod measure;
pub mod svg;
pub mod table;

pub use measure::{Grid, measure};

/// The figures, in the folder that `wgrad bench scaling` leaves.
pub const JSON: &str = "scaling.json";
/// The same, a line a cell.
pub const CSV: &str = "scaling.csv";
/// The drawing there.
pub const SVG: &str = "scaling.svg";

/// A step that takes longer than this, in seconds, is not run.
pub const LONGEST_STEP: f64 = 60.0;

/// A grid of widths and batch sizes: the contents of `scaling.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scaling {
    /// `wgrad bench scaling`
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// Where and how it was measured.
    pub machine: Machine,
    /// Which kernels a GPU ran.
    pub kernels: Kernels,
    /// The widths, in ascending order.
    pub widths: Vec<usize>,
    /// The batch sizes, in ascending order.
    pub batch_sizes: Vec<usize>,
    /// The cells so far: by width, and for each width by batch size.
    pub cells: Vec<Cell>,
}

/// A width and a batch size.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Channels of the network's first layer.
    pub width: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Additions and multiplications of real numbers in a step.
    pub flops: u64,
    /// Bytes that training and evaluation were planned to need.
    pub planned_bytes: u64,
    /// What was found.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What is known of a cell.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was measured.
    Measured {
        /// Images a second, in the median.
        images_per_s: f64,
        /// The time of a step, by the host's clock: of rows of steps, their means.
        seconds: Sample,
    },
    /// The step passes a limit of the device, or `--memory-limit`.
    Limit {
        /// Which one, in words.
        reason: String,
    },
    /// The step would take longer than [`LONGEST_STEP`].
    TooLong {
        /// The seconds that a smaller cell's speed foretells.
        predicted_seconds: f64,
    },
    /// There is not the memory for it.
    Memory {
        /// What there is, in words.
        reason: String,
    },
    /// The device failed.
    Failed {
        /// Its words.
        reason: String,
    },
}

impl Outcome {
    /// One or two words, for a table.
    pub fn word(&self) -> String {
        match self {
            Outcome::Measured { images_per_s, .. } => rate(*images_per_s),
            Outcome::Limit { .. } => "limit".to_string(),
            Outcome::TooLong { .. } => format!(">{LONGEST_STEP} s"),
            Outcome::Memory { .. } => "memory".to_string(),
            Outcome::Failed { .. } => "failed".to_string(),
        }
    }

    /// Why there is no figure; none where there is one.
    pub fn reason(&self) -> Option<String> {
        match self {
            Outcome::Measured { .. } => None,
            Outcome::TooLong { predicted_seconds } => {
                Some(format!("a step would take about {predicted_seconds:.0} s"))
            }
            Outcome::Limit { reason } | Outcome::Memory { reason } | Outcome::Failed { reason } => {
                Some(reason.clone())
            }
        }
    }

    /// Images a second, where it was measured.
    pub fn images_per_s(&self) -> Option<f64> {
        match self {
            Outcome::Measured { images_per_s, .. } => Some(*images_per_s),
            _ => None,
        }
    }
}

impl Scaling {
    /// The cell of a width and batch size, once there is one.
    pub fn cell(&self, width: usize, batch_size: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| (cell.width, cell.batch_size) == (width, batch_size))
    }

    /// The text of [`JSON`].
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings") + "\n"
    }

    /// The text of [`CSV`].
    pub fn to_csv(&self) -> String {
        let mut text = "width,batch_size,outcome,images_per_s,step_seconds,lower_quartile,\
                        upper_quartile,n,flops,planned_bytes,reason\n"
            .to_string();
        for cell in &self.cells {
            let Cell { width, batch_size, flops, planned_bytes, outcome } = cell;
            let (word, figures) = match outcome {
                Outcome::Measured { images_per_s, seconds } => {
                    let Sample { n, median, lower_quartile, upper_quartile, .. } = seconds;
                    let times = format!("{median},{lower_quartile},{upper_quartile}");
                    ("measured", format!("{images_per_s},{times},{n}"))
                }
                Outcome::Limit { .. } => ("limit", ",,,,".to_string()),
                Outcome::TooLong { .. } => ("too-long", ",,,,".to_string()),
                Outcome::Memory { .. } => ("memory", ",,,,".to_string()),
                Outcome::Failed { .. } => ("failed", ",,,,".to_string()),
            };
            let reason = outcome.reason().unwrap_or_default().replace('"', "\"\"");
            text += &format!(
                "{width},{batch_size},{word},{figures},{flops},{planned_bytes},\"{reason}\"\n"
            );
        }
        text
    }
}

/// Images a second in at most four digits: `4.27`, `64.1`, `1386`.
fn rate(images_per_s: f64) -> String {
    match images_per_s {
        ..9.995 => format!("{images_per_s:.2}"),
        ..999.5 => format!("{images_per_s:.1}"),
        _ => format!("{images_per_s:.0}"),
    }
}

/// `it needs 3.0 GiB, and 1.5 GiB are free`
fn too_little_memory(needed: u64, free: u64) -> String {
    format!("it needs {}, and {} are free", readable_bytes(needed), readable_bytes(free))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::measure::bench) fn cell(
        width: usize,
        batch_size: usize,
        outcome: Outcome,
    ) -> Cell {
        let flops = (width * width * batch_size) as u64;
        Cell { width, batch_size, flops, planned_bytes: 1 << 20, outcome }
    }

    pub(in crate::measure::bench) fn measured(images_per_s: f64) -> Outcome {
        Outcome::Measured { images_per_s, seconds: Sample::new(vec![1.0 / images_per_s]) }
    }

    pub(in crate::measure::bench) fn scaling() -> Scaling {
        let limit = || Outcome::Limit { reason: "a tensor is \"too\" large".to_string() };
        let memory = Outcome::Memory { reason: too_little_memory(3 << 30, 3 << 29) };
        Scaling {
            format: "wgrad bench scaling".to_string(),
            version: 1,
            machine: crate::measure::bench::tests::bench(Vec::new(), &[1.0]).machine,
            kernels: Kernels::Default,
            widths: vec![8, 16],
            batch_sizes: vec![32, 64, 128],
            cells: vec![
                cell(8, 32, measured(64.123)),
                cell(8, 64, measured(1386.4)),
                cell(8, 128, Outcome::TooLong { predicted_seconds: 71.0 }),
                cell(16, 32, limit()),
                cell(16, 64, limit()),
                cell(16, 128, memory),
            ],
        }
    }

    #[test]
    fn files_hold_every_cell() {
        let scaling = scaling();
        let read: Scaling = serde_json::from_str(&scaling.to_json()).expect("JSON");
        assert_eq!(read, scaling);
        let csv = scaling.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 7);
        assert!(lines[1].starts_with("8,32,measured,64.123,0.0155"), "{csv}");
        assert!(lines[4].ends_with(",\"a tensor is \"\"too\"\" large\""), "{csv}");
        // What stands between quotes here has no commas.
        let n_columns: Vec<usize> = lines.iter().map(|line| line.split(',').count()).collect();
        assert_eq!(n_columns[..6], [11; 6], "{csv}");
        assert_eq!(
            scaling.cells[5].outcome.reason().as_deref(),
            Some("it needs 3.0 GiB, and 1.5 GiB are free")
        );
    }
}
