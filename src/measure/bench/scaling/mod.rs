//! The scaling benchmark: images per second of a training step over a grid of widths and batch sizes.
//!
//! [`measure`](measure()) returns a [`Scaling`]. [`table`] prints it, and [`svg`] draws it. Each cell has a
//! measurement, or the reason why it was not measured.

use serde::{Deserialize, Serialize};

use crate::base::units::readable_bytes;
use crate::kernel::Kernels;
use crate::measure::{Machine, Sample};
use crate::nn::networks;

mod measure;
pub mod svg;
pub mod table;

pub use measure::{Grid, measure};

/// Name of the file with the results, in the output folder of `wgrad bench scaling`.
pub const JSON: &str = "scaling.json";
/// Name of the file with the same results as CSV, one line per cell of the grid, in the output folder.
pub const CSV: &str = "scaling.csv";
/// Name of the file with the drawing of the grid, in the output folder.
pub const SVG: &str = "scaling.svg";

/// Longest predicted time of a step that is still run, in seconds.
pub const LONGEST_STEP: f64 = 60.0;

/// A grid of widths and batch sizes: the contents of `scaling.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scaling {
    /// Name of the file format, `wgrad bench scaling`.
    pub format: String,
    /// Version of the file format.
    pub version: u32,
    /// Machine and date of the measurement.
    pub machine: Machine,
    /// Name of the network that was measured.
    #[serde(default = "default_network")]
    pub network: String,
    /// Set of kernels that a GPU ran.
    pub kernels: Kernels,
    /// Numbers of channels of the network's first layer, in ascending order.
    pub widths: Vec<usize>,
    /// Numbers of images in a step, in ascending order.
    pub batch_sizes: Vec<usize>,
    /// Cells that the measurement has reached so far, sorted by width, then by batch size.
    pub cells: Vec<Cell>,
}

/// Returns the network's name for files of earlier versions of the program, which do not record the network.
fn default_network() -> String {
    networks::DEFAULT.name().to_string()
}

/// A cell of the grid: one width and one batch size.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Number of channels of the network's first layer.
    pub width: usize,
    /// Number of images in a step.
    pub batch_size: usize,
    /// Floating-point additions and multiplications in a step.
    pub flops: u64,
    /// Planned memory of training and evaluation, in bytes.
    pub planned_bytes: u64,
    /// Measurement, or the reason why the cell was not measured.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The outcome of measuring a cell of the grid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The step was measured.
    Measured {
        /// Images per second, from the median time.
        images_per_s: f64,
        /// Time of a step in seconds, by the host's clock. Each measurement is the mean over a row of steps.
        seconds: Sample,
    },
    /// The step exceeds a limit of the device, or `--memory-limit`.
    Limit {
        /// A text that names the limit.
        reason: String,
    },
    /// The step would take longer than [`LONGEST_STEP`].
    TooLong {
        /// Seconds of a step, predicted from a smaller cell.
        predicted_seconds: f64,
    },
    /// The machine has not enough memory for the step.
    Memory {
        /// A text with the needed and the free memory.
        reason: String,
    },
    /// The device failed.
    Failed {
        /// The error message of the device.
        reason: String,
    },
}

impl Outcome {
    /// Returns the text of a cell in the table: images per second, or one or two words for the reason why the cell was
    /// not measured.
    pub fn word(&self) -> String {
        match self {
            Outcome::Measured { images_per_s, .. } => rate(*images_per_s),
            Outcome::Limit { .. } => "limit".to_string(),
            Outcome::TooLong { .. } => format!(">{LONGEST_STEP} s"),
            Outcome::Memory { .. } => "memory".to_string(),
            Outcome::Failed { .. } => "failed".to_string(),
        }
    }

    /// Returns the reason why a cell was not measured; None if it was measured.
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

    /// Returns the images per second; None for a cell that was not measured.
    pub fn images_per_s(&self) -> Option<f64> {
        match self {
            Outcome::Measured { images_per_s, .. } => Some(*images_per_s),
            _ => None,
        }
    }
}

impl Scaling {
    /// Returns the cell of a width and batch size; None if the measurement has not reached this cell.
    pub fn cell(&self, width: usize, batch_size: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| (cell.width, cell.batch_size) == (width, batch_size))
    }

    /// Returns the contents of the file [`JSON`].
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings") + "\n"
    }

    /// Returns the contents of the file [`CSV`]: a heading, then a line for each cell.
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

/// Formats images per second with at most four digits: `4.27`, `64.1`, `1386`.
fn rate(images_per_s: f64) -> String {
    match images_per_s {
        ..9.995 => format!("{images_per_s:.2}"),
        ..999.5 => format!("{images_per_s:.1}"),
        _ => format!("{images_per_s:.0}"),
    }
}

/// Returns the reason of [`Outcome::Memory`]: `it needs 3.0 GiB, and 1.5 GiB are free`.
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
            network: "resnet9".to_string(),
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
        // The last line is left out, because the reason in it has a comma.
        let n_columns: Vec<usize> = lines.iter().map(|line| line.split(',').count()).collect();
        assert_eq!(n_columns[..6], [11; 6], "{csv}");
        assert_eq!(
            scaling.cells[5].outcome.reason().as_deref(),
            Some("it needs 3.0 GiB, and 1.5 GiB are free")
        );
    }
}
