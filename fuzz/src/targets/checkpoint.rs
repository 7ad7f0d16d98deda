//! A checkpoint: the header and the tensors of a valid checkpoint are changed, and then a valid checksum is computed.

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use serde_json::{Value, json};
use wgrad::base::fingerprint::Fingerprint;
use wgrad::nn::Weights;
use wgrad::tape::StateBuffer;
use wgrad::train::checkpoint::{Checkpoint, CheckpointFile, Header};
use wgrad::train::{Recipe, Snapshot};

use super::weights::LAYOUT;
use super::{Edit, tensors};

const KEY: &str = "wgrad_checkpoint";
const N_IMAGES: usize = 12;
const BATCH_SIZE: usize = 4;
const N_EPOCHS: usize = 3;

/// A checkpoint in the middle of the second epoch of a run over twelve images.
static RIGHT: LazyLock<Checkpoint> = LazyLock::new(|| {
    let weights = Weights::initial(&LAYOUT, 0);
    let buffers = Snapshot::BUFFERS.map(|buffer| match buffer {
        StateBuffer::Parameters => weights.parameters.clone(),
        StateBuffer::RunningStatistics => weights.running_statistics.clone(),
        buffer => vec![0.5; LAYOUT.n_elements(buffer)],
    });
    let header = json!({
        "format_version": 1, "step": 4, "epoch": 1, "n_batches": 1, "seed": 7,
        "epoch_seconds": 0.25, "run_seconds": 2.5, "best_step": 3, "device": "cpu",
        "dataset": "0123456789abcdef", "config": "epochs = 3\nbatch-size = 4\n",
        "epochs": [{
            "epoch": 1, "lr": 0.01, "train_loss": 1.5, "train_accuracy": 0.5, "test_loss": 1.25,
            "test_accuracy": 0.75, "seconds": 2.0, "eval_seconds": 0.5, "images_per_s": 6.0,
            "weights": "0123456789abcdef",
        }],
    });
    Checkpoint {
        header: serde_json::from_value(header).expect("a header"),
        order: (0..N_IMAGES as u32).rev().collect(),
        batch: None,
        snapshot: Snapshot { buffers: buffers.into(), n_steps: 4 },
        info: None,
    }
});

static PARTS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| tensors::parts_of(&RIGHT.to_bytes(&LAYOUT)));

#[derive(Arbitrary, Debug)]
enum Number {
    Small(u8),
    Any(u64),
    Negative(i64),
    Real(f64),
}

#[derive(Arbitrary, Debug)]
struct Changed<'a> {
    /// Keys of the header by position, and their new values.
    numbers: Vec<(u8, Number)>,
    texts: Vec<(u8, &'a str)>,
    removed: Option<u8>,
    order: Option<Vec<u8>>,
    batch: Option<[u8; 3]>,
    edits: Vec<Edit<'a>>,
    /// Bytes that are changed after the checksum is computed: positions, and the bits that are flipped.
    damage: Vec<(u16, u8)>,
}

fn build(changed: Changed<'_>) -> Vec<u8> {
    let mut parts = PARTS.clone();
    if let Some(order) = &changed.order {
        let order: Vec<u32> = order.iter().map(|&image| image.into()).collect();
        parts.retain(|part| !part.starts_with(b"[\"training.order\""));
        parts.push(tensors::u32_part("training.order", &order));
    }
    if let Some([pixels, labels, indices]) = changed.batch {
        let n_pixels = usize::from(pixels % 4) * 768 + usize::from(pixels / 200);
        parts.push(tensors::u32_part("training.pixels", &vec![1; n_pixels]));
        for (name, n) in [("training.labels", labels), ("training.indices", indices)] {
            parts.push(tensors::u32_part(name, &vec![u32::from(n / 16); usize::from(n % 4)]));
        }
    }
    changed.edits.iter().take(16).for_each(|edit| edit.apply(&mut parts));
    let header = with_checksum(header(&changed, &RIGHT.header), &parts);
    let mut file = tensors::file_of(Some((KEY, &header)), &parts, |_| 0, 0);
    for &(at, bits) in changed.damage.iter().take(4) {
        let at = usize::from(at) % file.len();
        file[at] ^= bits;
    }
    file
}

fn header(changed: &Changed<'_>, right: &Header) -> Value {
    let mut header = serde_json::to_value(right).expect("numbers and strings");
    let map = header.as_object_mut().expect("a header is an object");
    let keys: Vec<String> = map.keys().cloned().collect();
    let key = |ix: u8| keys[usize::from(ix) % keys.len()].clone();
    for (ix, number) in &changed.numbers {
        let value = match number {
            Number::Small(n) => json!(n),
            Number::Any(n) => json!(n),
            Number::Negative(n) => json!(n),
            Number::Real(x) => json!(x),
        };
        map.insert(key(*ix), value);
    }
    for (ix, text) in &changed.texts {
        map.insert(key(*ix), serde_json::from_str(text).unwrap_or_else(|_| json!(text)));
    }
    changed.removed.map(|ix| map.remove(&key(ix)));
    header
}

/// Returns the header as text. If the header can be parsed, the text has the checksum that the reader will compute.
fn with_checksum(header: Value, parts: &[Vec<u8>]) -> String {
    let Ok(mut header) = serde_json::from_value::<Header>(header.clone()) else {
        return header.to_string();
    };
    header.checksum = None;
    let text = serde_json::to_vec(&header).expect("numbers and strings");
    let mut tensors: Vec<(String, &[u8])> = Vec::new();
    for part in parts {
        let ([name, ..], bytes) = tensors::split(part);
        tensors.push((name.as_str().unwrap_or("x").to_string(), bytes));
    }
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let tensors = tensors.iter().flat_map(|(name, bytes)| [name.as_bytes(), *bytes]);
    header.checksum = Some(Fingerprint::of(std::iter::once(text.as_slice()).chain(tensors)));
    serde_json::to_string(&header).expect("numbers and strings")
}

/// Reads a checkpoint. If the checks allow a run to continue from it, it must be consistent.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    let path = Path::new("checkpoint-4.safetensors");
    let restored = CheckpointFile::parse(path, bytes).map(|file| file.restore(&LAYOUT));
    let Ok(Ok(checkpoint)) = restored else { return };
    // A resumed run records its step with the settings in the checkpoint, so they must give a valid step.
    if let Ok(recipe) = Recipe::parse(&checkpoint.header.config) {
        assert!(recipe.step().update.label_smoothing < 1.0);
    }
    if let Some(batch) = &checkpoint.batch {
        assert_eq!(batch.indices.len(), batch.labels.len());
    }
    if checkpoint.check_run(N_IMAGES, BATCH_SIZE, N_EPOCHS).is_ok() {
        let header = &checkpoint.header;
        let mut order = checkpoint.order.clone();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..N_IMAGES as u32), "every image once");
        assert!(header.n_batches <= N_IMAGES / BATCH_SIZE && header.epoch <= N_EPOCHS);
        assert!(header.step <= (N_EPOCHS * N_IMAGES / BATCH_SIZE) as u64);
        assert_eq!(header.epochs.len(), header.epoch);
    }
    let written = checkpoint.to_bytes(&LAYOUT);
    let again = CheckpointFile::parse(path, written).expect("it was just written");
    assert!(again.restore(&LAYOUT).is_ok(), "it was just written");
}
