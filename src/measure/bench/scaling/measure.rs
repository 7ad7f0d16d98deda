//! Measures the cells of the grid of widths and batch sizes.

use super::{Cell, LONGEST_STEP, Outcome, Scaling, too_little_memory};
use crate::Error;
use crate::data::cifar10::CLASSES;
use crate::device::Device;
use crate::device::DeviceError;
use crate::kernel::Kernels;
use crate::measure::machine::available_memory;
use crate::measure::sampler::time_rows;
use crate::measure::{Effort, Machine, Sample};
use crate::nn::{NetworkConfig, NetworkRef};
use crate::passes::{Plan, PlanOptions, Work};
use crate::train::step::{self, StepConfig};

/// Fraction of the free memory that a cell may take on the CPU or a software adapter. On a hardware adapter, the
/// allocation itself fails if the memory is too small.
const PART_OF_MEMORY: f64 = 0.8;

/// Largest number of timed rows in a cell. A row is a number of steps without a wait between them.
const MAX_ROWS: usize = 50;

/// The grid to measure.
#[derive(Clone, PartialEq, Debug)]
pub struct Grid {
    /// Network that is measured.
    pub network: NetworkRef,
    /// Numbers of channels of the network's first layer.
    pub widths: Vec<usize>,
    /// Numbers of images in a step.
    pub batch_sizes: Vec<usize>,
    /// Set of kernels that a GPU runs; only recorded in the result.
    pub kernels: Kernels,
    /// Time for the steps of a cell, in seconds. The warm-up steps and one measurement run in any case.
    pub seconds_per_cell: f64,
}

/// Measures all cells, in ascending order of width and batch size.
///
/// `open` opens the device, and opens it again after a failure. `progress` receives one line per cell. `write` saves
/// the cells so far after each cell. `stop` is called between cells and between rows of steps; if it returns true, the
/// result has the cells so far.
///
/// # Errors
/// If the device cannot be opened, or `write` fails.
pub fn measure(
    open: &dyn Fn() -> Result<Device, Error>,
    grid: &Grid,
    command: &str,
    progress: &dyn Fn(&str),
    write: &mut dyn FnMut(&Scaling) -> Result<(), Error>,
    stop: &dyn Fn() -> bool,
) -> Result<Scaling, Error> {
    let sorted = |sizes: &[usize]| {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    };
    let mut device = open()?;
    let mut scaling = Scaling {
        format: "wgrad bench scaling".to_string(),
        version: 1,
        machine: Machine::here(&device, command),
        network: grid.network.name().to_string(),
        kernels: grid.kernels,
        widths: sorted(&grid.widths),
        batch_sizes: sorted(&grid.batch_sizes),
        cells: Vec::new(),
    };
    for width in scaling.widths.clone() {
        for batch_size in scaling.batch_sizes.clone() {
            if stop() {
                return Ok(scaling);
            }
            let network = NetworkConfig::new(grid.network, width, CLASSES.len());
            let config = StepConfig::new(network, batch_size);
            let mut cell = plan(&config, &device);
            if let Some(predicted_seconds) = predict(&scaling.cells, &cell)
                && predicted_seconds > LONGEST_STEP
                && cell.outcome == Outcome::NOT_YET
            {
                cell.outcome = Outcome::TooLong { predicted_seconds };
            }
            if cell.outcome == Outcome::NOT_YET {
                progress(&format!("width {width}, {batch_size} images"));
                let seconds = grid.seconds_per_cell;
                let effort = Effort { n: None, seconds, bounds: [1, MAX_ROWS] };
                cell.outcome = match time_rows(&device, &config, effort, stop) {
                    Ok(None) => return Ok(scaling),
                    Ok(Some(rows)) => {
                        let seconds = Sample::new(rows);
                        let images_per_s = batch_size as f64 / seconds.median;
                        Outcome::Measured { images_per_s, seconds }
                    }
                    Err(error) => {
                        let outcome = Outcome::of(&error);
                        // After a failure, every later call of the device fails too, so the device is opened again.
                        if matches!(outcome, Outcome::Failed { .. }) {
                            device = open()?;
                        }
                        outcome
                    }
                };
            }
            scaling.cells.push(cell);
            write(&scaling)?;
        }
    }
    Ok(scaling)
}

impl Outcome {
    /// Placeholder for the outcome of a cell whose plan passed all checks and that is not measured yet.
    const NOT_YET: Outcome = Outcome::Failed { reason: String::new() };

    /// Returns the outcome for an error.
    fn of(error: &Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Device(DeviceError::Plan(_)) => Outcome::Limit { reason },
            Error::Device(DeviceError::OutOfMemory { .. }) => Outcome::Memory { reason },
            _ => Outcome::Failed { reason },
        }
    }
}

/// Plans the memory of a step without allocating it, and checks it against the limits and the free memory.
fn plan(config: &StepConfig, device: &Device) -> Cell {
    let (training, evaluation) = (step::training(config), step::evaluation(config));
    let plan = Plan::new(&training.tape, PlanOptions::default());
    let slots = &plan.slots();
    let other = Plan::new(&evaluation.tape, PlanOptions { slots, ..PlanOptions::default() });
    let planned_bytes = plan.total_bytes() + other.own_bytes();
    let outcome = match device.check(&plan, other.own_bytes()) {
        Err(error) => Outcome::of(&error.into()),
        Ok(()) => match available_memory().filter(|_| device.runs_on_cpu()) {
            Some(free) if planned_bytes as f64 > PART_OF_MEMORY * free as f64 => {
                Outcome::Memory { reason: too_little_memory(planned_bytes, free) }
            }
            _ => Outcome::NOT_YET,
        },
    };
    Cell {
        width: config.network.width,
        batch_size: config.batch_size,
        flops: Work::sum_of(&training.tape, |_| true).flops,
        planned_bytes,
        outcome,
    }
}

/// Predicts the seconds of a step. The operations per second are those of the largest measured cell whose width and
/// batch size are not above those of this cell. Returns None without such a cell.
fn predict(measured: &[Cell], cell: &Cell) -> Option<f64> {
    let smaller = |other: &&Cell| other.width <= cell.width && other.batch_size <= cell.batch_size;
    let seconds = |other: &Cell| match &other.outcome {
        Outcome::Measured { seconds, .. } => Some((other.flops, seconds.median)),
        _ => None,
    };
    let largest =
        measured.iter().filter(smaller).filter_map(seconds).max_by_key(|(flops, _)| *flops);
    largest.map(|(flops, seconds)| seconds * cell.flops as f64 / flops as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;
    use crate::measure::bench::scaling::tests::{cell, measured};
    use crate::nn::networks;

    #[test]
    fn a_prediction_comes_from_the_largest_smaller_cell() {
        let step = |width, batch_size, seconds: f64| {
            let seconds = Sample::new(vec![seconds]);
            cell(width, batch_size, Outcome::Measured { images_per_s: 1.0, seconds })
        };
        let too_long = cell(8, 128, Outcome::TooLong { predicted_seconds: 99.0 });
        let known = [step(8, 32, 1.0), step(8, 64, 1.5), too_long, step(16, 32, 2.0)];
        let predicted =
            |width, batch_size| predict(&known, &cell(width, batch_size, Outcome::NOT_YET));
        // In this test, the operations of a cell are width² x batch size, as in the network's convolutions.
        assert_eq!(predicted(8, 256), Some(6.0), "from 64 images");
        assert_eq!(predicted(16, 64), Some(4.0), "from width 16, not from width 8 and 64 images");
        assert_eq!(predicted(4, 512), None, "no cell is smaller");
        assert_eq!(predict(&[cell(4, 4, measured(4.0))], &known[0]), Some(8.0));
    }

    /// Runs a small grid on the CPU device.
    fn run(batch_sizes: &[usize], limit: Option<u64>, stop_after: usize) -> (Scaling, Vec<usize>) {
        let open =
            || Ok(Device::cpu(OpenOptions { memory_limit: limit, ..OpenOptions::default() }));
        let (widths, batch_sizes) = (vec![2], batch_sizes.to_vec());
        let kernels = Kernels::Default;
        let grid = Grid {
            network: networks::DEFAULT,
            widths,
            batch_sizes,
            kernels,
            seconds_per_cell: 0.01,
        };
        let written = std::cell::RefCell::new(Vec::new());
        let mut write = |so_far: &Scaling| {
            written.borrow_mut().push(so_far.cells.len());
            Ok(())
        };
        let stop = || written.borrow().len() >= stop_after;
        let scaling = measure(&open, &grid, "test", &|_| (), &mut write, &stop);
        let scaling = scaling.expect("a grid");
        (scaling, written.into_inner())
    }

    #[test]
    fn a_grid_is_measured_in_order_and_written_as_it_grows() {
        let (scaling, written) = run(&[4, 2, 4], None, 9);
        assert_eq!((&scaling.widths[..], &scaling.batch_sizes[..]), (&[2][..], &[2, 4][..]));
        assert_eq!(written, [1, 2]);
        for cell in &scaling.cells {
            assert!(cell.outcome.images_per_s().is_some_and(|rate| rate > 0.0), "{cell:?}");
        }
        let [small, large] = &scaling.cells[..] else { panic!("{scaling:?}") };
        assert!(2 * small.flops > large.flops && small.flops < large.flops, "{scaling:?}");
        assert!(small.planned_bytes < large.planned_bytes);
        assert_eq!(run(&[4, 2, 4], None, 1).0.cells.len(), 1, "stopped after the first");
    }

    #[test]
    fn cells_that_do_not_fit_have_a_reason() {
        // The CPU device allocates scratch memory beside the planned memory. The scratch memory is small compared with
        // the difference of the two plans.
        let batch_sizes = [2, 96];
        let (all, _) = run(&batch_sizes, None, 9);
        let between = (all.cells[0].planned_bytes + all.cells[1].planned_bytes) / 2;
        let (scaling, _) = run(&batch_sizes, Some(between), 9);
        assert!(scaling.cells[0].outcome.images_per_s().is_some());
        let reason = scaling.cells[1].outcome.reason().expect("it does not fit");
        assert!(matches!(scaling.cells[1].outcome, Outcome::Limit { .. }), "{scaling:?}");
        assert!(reason.contains("more than the limit"), "{reason}");
    }
}
