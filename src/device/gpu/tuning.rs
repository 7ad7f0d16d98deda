//! The tile of each matrix product on an adapter: measured once, and kept on disk.
//!
//! Every tile gives the same bits, so the choice affects only the speed and may differ between machines. On a software
//! adapter, no tile is measured, because compiling each tile would take a second. There, the subgroup size determines
//! the tile ([`Tile::by_rule`]).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::pipelines::Pipelines;
use super::session::{GpuSession, TileSource};
use super::shader::ShaderLibrary;
use crate::base::clock::Instant;
use crate::base::files::{self, FileError};
use crate::base::fingerprint::Fingerprint;
use crate::device::synthetic_inputs::fill;
use crate::device::{DeviceError, LoadOptions, Session};
use crate::kernel::{Kernels, StepScalars, Target, Tile};
use crate::passes::Tiles;
use crate::tape::{Node, Tape};

/// The time to measure one tile, without the first run.
const TIME_EACH: Duration = Duration::from_millis(40);
/// The smallest and the largest number of measured runs with one tile.
const RUNS: std::ops::RangeInclusive<usize> = 3..=20;

/// The measurements of one matrix product.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tuned {
    /// The fastest tile.
    pub tile: Tile,
    /// The time of the fastest run with each tile, in seconds.
    pub seconds: BTreeMap<Tile, f64>,
}

/// The contents of the file that keeps an adapter's measurements.
#[derive(Default, Serialize, Deserialize)]
struct Table {
    /// The identity of the adapter, the driver and the kernels.
    adapter: String,
    /// The measurements by [`Tape::signature`].
    products: BTreeMap<String, Tuned>,
}

/// Measures the matrix products of a device, and keeps the measurements.
pub(super) struct Tuner {
    adapter: String,
    path: Option<PathBuf>,
    on_progress: Option<fn(&str)>,
    /// The measurements from the file and from this process; None before the file is read.
    table: Mutex<Option<Table>>,
}

impl Tuner {
    /// Returns the tuner of an adapter with the identity `adapter`, which includes the driver. The measurements are
    /// saved in `folder`; without a folder, they are not saved. `on_progress` receives a line of text for each product
    /// that is measured.
    pub(super) fn new(
        adapter: &str,
        folder: Option<PathBuf>,
        on_progress: Option<fn(&str)>,
    ) -> Self {
        // The identity includes the texts of the kernels, so changed kernels are measured again.
        let files = ShaderLibrary::embedded_paths();
        let library = ShaderLibrary::default();
        let texts = files.iter().filter_map(|path| library.file(path));
        let texts: Vec<_> = texts.collect();
        let kernels = Fingerprint::of(texts.iter().map(|text| text.as_bytes()));
        let name = Fingerprint::of([adapter.as_bytes()]);
        let path = folder.map(|folder| folder.join(format!("kernels-{name}.json")));
        let adapter = format!("{adapter}, kernels {kernels} of {}", env!("CARGO_PKG_VERSION"));
        Self { adapter, path, on_progress, table: Mutex::default() }
    }

    /// Returns the measurements of a matrix product; None if it was not measured yet.
    pub(super) fn known(&self, signature: &str) -> Option<Tuned> {
        let mut table = self.table();
        table.get_or_insert_with(|| self.read()).products.get(signature).cloned()
    }

    fn table(&self) -> MutexGuard<'_, Option<Table>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, line: &str) {
        if let Some(on_progress) = self.on_progress {
            on_progress(line);
        }
    }

    /// Reads the table from disk; returns an empty table if the file is missing, damaged, or of another driver or other
    /// kernels.
    fn read(&self) -> Table {
        let text = self.path.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let table = text.and_then(|text| serde_json::from_str::<Table>(&text).ok());
        let empty = Table { adapter: self.adapter.clone(), ..Table::default() };
        table.filter(|table| table.adapter == self.adapter).unwrap_or(empty)
    }

    /// Saves the table to disk. A failure is only a warning, because the next process can measure again.
    fn write(&self, table: &Table) {
        let Some(path) = &self.path else { return };
        let text = serde_json::to_string_pretty(table).expect("a table is plain data");
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(FileError::at(path));
        if let Err(error) = folder.and_then(|()| files::write_whole(path, text.as_bytes())) {
            log::warn!("the measurements of kernels are not saved: {error}");
        }
    }
}

impl TileSource for Tuner {
    /// Returns the fastest tile of each matrix product of a tape. Products without measurements are measured now.
    ///
    /// # Errors
    /// If the device is lost. A product that cannot be measured is not an error: its tile is missing in the result, and
    /// [`Tile::by_rule`] chooses it.
    fn tiles(
        &self,
        context: &Arc<Context>,
        pipelines: &Arc<Pipelines>,
        tape: &Tape,
    ) -> Result<Tiles, DeviceError> {
        let mut table = self.table();
        let table = table.get_or_insert_with(|| self.read());
        let mut missing: BTreeMap<String, &Node> = BTreeMap::new();
        let mut tiles = Tiles::default();
        for node in tape.nodes().iter().filter(|node| node.op.tiles(&tape.io(node)).len() > 1) {
            let signature = tape.signature(node);
            match table.products.get(&signature) {
                Some(tuned) => _ = tiles.0.insert(signature, tuned.tile),
                None => _ = missing.insert(signature, node),
            }
        }
        let n_missing = missing.len();
        for (ix, (signature, node)) in missing.into_iter().enumerate() {
            self.report(&format!("measuring kernels, {} of {n_missing}: {signature}", ix + 1));
            match measure(context, pipelines, tape, node) {
                Ok(None) => {}
                Ok(Some(tuned)) => {
                    tiles.0.insert(signature.clone(), tuned.tile);
                    table.products.insert(signature, tuned);
                    self.write(table);
                }
                Err(lost @ DeviceError::Lost { .. }) => return Err(lost),
                Err(error) => log::warn!("{signature} is not measured: {error}"),
            }
        }
        if n_missing > 0 {
            self.report("");
        }
        Ok(tiles)
    }
}

/// Measures a node with each tile, without the other nodes of the tape. Returns None if the node cannot run with any
/// tile.
fn measure(
    context: &Arc<Context>,
    pipelines: &Arc<Pipelines>,
    tape: &Tape,
    node: &Node,
) -> Result<Option<Tuned>, DeviceError> {
    let alone = Arc::new(tape.isolate(node));
    let mut seconds = BTreeMap::new();
    let min_subgroup_size = context.min_subgroup_size;
    let of_adapter = Target { min_subgroup_size, ..Target::new(Kernels::Default) };
    let tiles = node.op.tiles(&tape.io(node)).iter().copied();
    for tile in tiles.filter(|&tile| of_adapter.has(tile)) {
        let target = Target { tile: Some(tile), ..of_adapter };
        let (context, pipelines) = (Arc::clone(context), Arc::clone(pipelines));
        let mut session = GpuSession::new(context, pipelines, target, None, None, alone.state());
        // A tile that needs too much memory, or cannot be compiled, is left out.
        let program = match session.load(&alone, LoadOptions::default()) {
            Ok(program) => program,
            Err(lost @ DeviceError::Lost { .. }) => return Err(lost),
            Err(error) => {
                log::warn!("{tile:?} is not measured: {error}");
                continue;
            }
        };
        fill(&mut session, program, &alone)?;
        let mut run = || session.run_timed(program, &StepScalars::default()).map(|t| t.sum());
        // A driver may compile the kernel in the first run, so the time of the first run does not count.
        run()?;
        let mut fastest = f64::INFINITY;
        let begun = Instant::now();
        for ix in 0..*RUNS.end() {
            fastest = fastest.min(run()?);
            if ix + 1 >= *RUNS.start() && begun.elapsed() > TIME_EACH {
                break;
            }
        }
        seconds.insert(tile, fastest);
    }
    let fastest = seconds.iter().min_by(|a, b| a.1.total_cmp(b.1));
    let fastest = fastest.map(|(&tile, _)| tile);
    Ok(fastest.map(|tile| Tuned { tile, seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;
    use crate::device::gpu::GpuDevice;
    use crate::ops::conv2d::{Conv2d, Conv2dForward};
    use crate::passes::{Plan, PlanOptions};
    use crate::tape::Mode;

    /// Returns a convolution to `channels` channels that also computes mean and M2 of its output.
    fn tape(channels: usize) -> Tape {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8, 8, 4]);
        let weight = tape.input_with_grad("weight", &[3, 3, 4, channels]);
        let conv = Conv2d::square(3, 1, 1);
        let op =
            Conv2dForward { conv, has_bias: false, pool: None, mean_m2: true, winograd: false };
        for made in tape.push(op, &[x, weight]) {
            tape.keep(made);
        }
        tape
    }

    fn open(shaders: ShaderLibrary) -> GpuDevice {
        let options = OpenOptions { shaders, ..OpenOptions::default() };
        GpuDevice::open(None, &options).expect("an adapter")
    }

    /// The tuner measures once and then reads the file. It uses neither the table of another driver nor a damaged
    /// table.
    #[test]
    fn measurements_are_kept_on_disk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let device = open(ShaderLibrary::default());
        let tape = tape(8);
        let signature = tape.signature(&tape.nodes()[0]);
        let new = |adapter| Tuner::new(adapter, Some(folder.path().to_path_buf()), None);
        let tiles = |tuner: &Tuner| tuner.tiles(&device.context, &device.pipelines, &tape);

        let first = new("one");
        assert_eq!(first.known(&signature), None);
        let measured = tiles(&first).expect("measured");
        let tuned = first.known(&signature).expect("it is known now");
        assert_eq!(measured.get(&tape, &tape.nodes()[0]), Some(tuned.tile));
        let offered = Tile::ALL.iter().filter(|&&tile| device.target().has(tile));
        assert!(tuned.seconds.keys().eq(offered));
        assert!(tuned.seconds.values().all(|seconds| *seconds >= tuned.seconds[&tuned.tile]));

        assert_eq!(new("one").known(&signature), Some(tuned), "another process reads it");
        assert_eq!(new("another driver").known(&signature), None);
        let path = first.path.as_ref().expect("a folder was given");
        fs::write(path, "{ damaged").expect("written");
        assert_eq!(new("one").known(&signature), None);
        assert!(tiles(&new("one")).is_ok(), "a damaged table is measured again");
    }

    #[test]
    fn a_tile_that_cannot_run_is_left_out() {
        let tape = tape(8);
        let signature = tape.signature(&tape.nodes()[0]);
        let tuner = |broken: &str| {
            let device = open(ShaderLibrary::default().with_override(broken, "no shader"));
            let tuner = Tuner::new("one", None, None);
            let tiles = tuner.tiles(&device.context, &device.pipelines, &tape);
            assert!(tiles.is_ok(), "{broken}: {:?}", tiles.err());
            tuner
        };
        let without = tuner("shared/tile_8x8").known(&signature).expect("there are others");
        assert!(without.seconds.contains_key(&Tile::Square64));
        assert!(!without.seconds.contains_key(&Tile::Square128));
        assert_eq!(tuner("conv2d/geometry").known(&signature), None, "none can run");
    }

    /// For mean and M2, the convolution needs scratch memory with a tile in registers, but not with a tile in workgroup
    /// memory.
    #[test]
    fn a_tile_whose_memory_exceeds_the_limit_is_not_chosen() {
        let tape = Arc::new(tape(32));
        let target = Target::new(Kernels::Tuned);
        let planned = |tile| {
            let target = Some(Target { tile, ..target });
            Plan::new(&tape, PlanOptions { target, ..PlanOptions::default() }).total_bytes()
        };
        let (by_rule, in_registers) = (planned(None), planned(Some(Tile::Registers)));
        assert!(by_rule < in_registers);

        let device = open(ShaderLibrary::default());
        let tuner = Tuner::new("one", None, None);
        let tuned = Tuned { tile: Tile::Registers, seconds: BTreeMap::new() };
        let products = BTreeMap::from([(tape.signature(&tape.nodes()[0]), tuned)]);
        *tuner.table() = Some(Table { products, ..Table::default() });
        let tuner = Arc::new(tuner);
        for (limit, expected) in [(in_registers, in_registers), (in_registers - 1, by_rule)] {
            let (context, pipelines) = (Arc::clone(&device.context), Arc::clone(&device.pipelines));
            let tuner = Some(Arc::clone(&tuner) as Arc<dyn TileSource>);
            let state = tape.state();
            let mut session =
                GpuSession::new(context, pipelines, target, tuner, Some(limit), state);
            let program = session.load(&tape, LoadOptions::default()).expect("it fits");
            assert_eq!(session.plan(program).total_bytes(), expected);
        }
    }
}
