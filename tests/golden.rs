//! Compares both devices with PyTorch's results: every file in `tests/golden/`, or in `$GOLDEN_DIR` instead.
//!
//! `tests/golden/generate.py` generates the files. Their numbers are computed in f64 and rounded to f32 once. A file
//! names its op; [`KINDS`] maps the op to the function that runs it.

#[path = "golden/bench.rs"]
mod bench;
#[path = "golden/case_file.rs"]
mod case_file;
#[path = "golden/compare.rs"]
mod compare;
#[path = "golden/elementwise.rs"]
mod elementwise;
#[path = "golden/fine_tuning.rs"]
mod fine_tuning;
#[path = "golden/grad_cam.rs"]
mod grad_cam;
#[path = "golden/network.rs"]
mod network;
#[path = "golden/ops.rs"]
mod ops;
#[path = "golden/pictures.rs"]
mod pictures;
#[path = "golden/schedules.rs"]
mod schedules;
#[path = "golden/shards.rs"]
mod shards;
#[path = "golden/spatial.rs"]
mod spatial;

use std::io::Write;
use std::panic::AssertUnwindSafe;

use case_file::CaseFile;
use wgrad::device::{Device, OpenOptions};

/// The bound on the relative L2 error of an op, a loss or logits. f32 rounds to 6e-8. With sums of up to two
/// thousand terms in any order, the measured errors are below 1e-6. An index that is off by one gives 1e-2
/// and more.
const OP_TOLERANCE: f64 = 1e-5;

/// The bound on the relative L2 error of each gradient, and of each parameter, statistic and moment after a step of the
/// network. PyTorch's own f32 is off by up to 3e-5 here, because Adam's first steps divide small gradients by their own
/// size.
const STATE_TOLERANCE: f64 = 1e-4;

/// The bound on the relative L2 error of a schedule. Both sides do the same operations in f64, but a cosine may differ
/// in its last bit.
const SCHEDULE_TOLERANCE: f64 = 1e-12;

/// The bound on the relative error of a single learning rate. At the end of a cosine, a small learning rate is the
/// difference of two large numbers, so their last bits have more effect.
const RATE_TOLERANCE: f64 = 1e-9;

type Run = fn(&CaseFile, &Device);

/// The kinds of cases, each with the function that runs it.
const KINDS: &[(&str, Run)] = &[
    ("adam", network::adam_steps),
    ("adamw", network::adamw_steps),
    ("adaptive_avg_pool2d", spatial::adaptive_avg_pool2d),
    ("add", elementwise::add),
    ("augment", ops::augment),
    ("avg_pool2d", spatial::avg_pool2d),
    ("batch_norm", ops::batch_norm),
    ("batch_norm_add_relu", ops::batch_norm),
    ("blur_pool", spatial::blur_pool),
    ("clip_grad_norm", ops::clip_grad_norm),
    ("color_jitter", ops::color_jitter),
    ("channel_pad", elementwise::channel_pad),
    ("channel_slice", elementwise::channel_slice),
    ("concat", elementwise::concat),
    ("concat_many", elementwise::concat_many),
    ("conv2d", ops::conv2d),
    ("cross_entropy", ops::cross_entropy),
    ("cosine", schedules::cosine),
    ("dropout", ops::dropout),
    ("detach", elementwise::detach),
    ("ema", ops::ema),
    ("fine_tune", fine_tuning::steps),
    ("grad_cam", grad_cam::maps),
    ("leaky_relu", elementwise::leaky_relu),
    ("linear", ops::linear),
    ("max_pool2d", spatial::max_pool2d),
    ("mul", elementwise::mul),
    ("multi_step", schedules::multi_step),
    ("objective", network::objective),
    ("objective_partial_decay", network::objective_partial_decay),
    ("one_cycle", schedules::one_cycle),
    ("random_erasing", pictures::erasing),
    ("random_erasing_boxes", pictures::erasing_boxes),
    ("random_resized_crop", pictures::resized_crop),
    ("random_resized_crop_boxes", pictures::crop_boxes),
    ("relu", elementwise::relu),
    ("resize_bilinear", spatial::resize_bilinear),
    ("resize_nearest", spatial::resize_nearest),
    ("resnet20", network::network),
    ("resnet9", network::network),
    ("sgd", network::sgd_steps),
    ("shards", shards::steps),
    ("sigmoid", elementwise::sigmoid),
    ("space_to_depth", elementwise::space_to_depth),
];

/// Runs every file on the device. Fails with the names of the files that do not agree. Before that, the panic of each
/// such file names the tensors that differ.
fn run_all(device: &Device) {
    // The line is written directly to standard error, because the test harness hides the output of tests that pass.
    let line = format!("golden cases on {}\n", device.name());
    let _ = std::io::stderr().write_all(line.as_bytes());
    let failed: Vec<String> = case_file::all()
        .iter()
        .filter(|file| {
            let run = kind(file).unwrap_or_else(|| panic!("{}", unknown(file)));
            // A panic in one case does not stop the others.
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| run(file, device)));
            result.is_err()
        })
        .map(|file| file.name.clone())
        .collect();
    assert!(failed.is_empty(), "on {}: {}", device.name(), failed.join(", "));
}

fn kind(file: &CaseFile) -> Option<Run> {
    KINDS.iter().find(|(op, _)| *op == file.op()).map(|(_, run)| *run)
}

fn unknown(file: &CaseFile) -> String {
    format!("{}: no test runs the op {:?}", file.name, file.op())
}

#[test]
fn the_cpu_agrees_with_pytorch() {
    run_all(&Device::cpu(OpenOptions::default()));
}

/// Runs on any adapter, hardware or software. The test fails without one, because a skipped test would look like a
/// passed one.
#[test]
fn the_gpu_agrees_with_pytorch() {
    let device = Device::open("gpu", OpenOptions::default()).unwrap_or_else(|error| {
        panic!("{error}");
    });
    run_all(&device);
}

#[test]
fn every_file_is_run_by_a_test() {
    for file in case_file::all() {
        assert!(kind(&file).is_some(), "{}", unknown(&file));
    }
}

/// Does not fail with `$GOLDEN_DIR`, because that folder may lack cases.
#[test]
fn every_op_has_a_file() {
    let files = case_file::all();
    for (op, _) in KINDS {
        let found = files.iter().any(|file| file.op() == *op);
        assert!(found || std::env::var_os("GOLDEN_DIR").is_some(), "there is no case of {op}");
    }
}
