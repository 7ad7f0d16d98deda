//! Runs exported networks with `tract` and compares the logits with those of the CPU device, for one network of each
//! family.
//!
//! With the variable `WGRAD_ONNX`, the test also writes the files, their images and the expected logits into the folder
//! that the variable names; `tests/onnxruntime_runs_exports.py` runs them with onnxruntime.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use tract_onnx::prelude::*;
use wgrad::base::fingerprint::Fingerprint;
use wgrad::data::{cifar10, image_file};
use wgrad::device::{Device, LoadOptions, OpenOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::networks::{FAMILIES, by_name};
use wgrad::nn::onnx::{Form, export};
use wgrad::nn::{ModelInfo, NetworkConfig, Weights};
use wgrad::ops::augment;
use wgrad::tape::{ElementType, Mode, StateBuffer, StateLayout, Tape, ValueId};

/// The bound on the relative L2 error of the logits.
const TOLERANCE: f64 = 1e-5;
const CLASSES: usize = 7;
const WIDTH: usize = 16;
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STANDARD_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// A network of each family. A family of several structures has the one with the most ops.
const NETWORKS: [&str; 14] = [
    "resnet9",
    "resnet50d",
    "resnet20",
    "wrn-16-4",
    "wide_resnet50_2",
    "resnext29-8x64d",
    "preact20",
    "resnetv2_50d",
    "res2net50_26w_4s",
    "pyramid110-a48",
    "attention56-cifar",
    "googlenet",
    "inception_v3",
    "tresnet_m",
];

/// The networks with a resize. `tract` computes a resize only if the size of the batch is fixed before.
const RESIZES: [&str; 1] = ["attention56-cifar"];

/// A network and the size of its images.
struct Sample {
    network: NetworkConfig,
    side: usize,
}

impl Sample {
    fn new(name: &str) -> Self {
        let network = by_name(name).unwrap_or_else(|problem| panic!("{problem}"));
        let rule = network.image_rule();
        // Inception-v3 has no shortcuts, so its logits in f32 have larger errors. At 139 px, nine positions are in front of
        // its last pool; at 75 px there is one, and the error is 1.4e-5.
        let side = match network.default_image()[0] {
            ..=32 => 32,
            33..=224 => 64,
            _ => 139,
        };
        let side = rule.smallest.max(side).next_multiple_of(rule.multiple_of);
        Self { network: NetworkConfig::new(network, WIDTH, CLASSES), side }
    }

    /// Records the network on `n` images, and returns the images and the logits.
    fn record(&self, mode: Mode, n: usize) -> (Tape, ValueId, ValueId) {
        let mut tape = Tape::new(self.network.network.name(), mode);
        let x = tape.input("x", ElementType::F32, &[n, self.side, self.side, 3]);
        let numbers = tape.input("numbers", ElementType::U32, &[n]);
        tape.set_image_numbers(numbers);
        let logits = self.network.record(&mut tape, x);
        tape.keep(logits);
        (tape, x, logits)
    }

    /// Returns weights whose batch norms have the statistics of a batch. Their scales and shifts lie around 1, with which deep
    /// networks are well conditioned: with shifts around 0.5, the logits of Inception-v3 in f32 miss by 1.0e-5.
    fn weights(&self) -> Weights {
        let n = 16;
        let (tape, x, logits) = self.record(Mode::Train, n);
        let layout = tape.state().clone();
        let mut weights = Weights::initial(&layout, 3);
        for member in layout.parameters.iter().filter(|member| member.shape.len() == 1) {
            let shift = if member.name.ends_with(".bias") { 1.0 } else { 0.0 };
            let values = weights.parameters[member.range()].iter_mut().enumerate();
            values.for_each(|(ix, value)| *value += shift + wave(ix, 0.3));
        }
        let (mut session, _) = run(tape, &weights, x, &pixels(n, self.side), logits);
        weights.running_statistics =
            session.read_state(StateBuffer::BatchStatistics).expect("statistics");
        weights
    }

    /// Returns the CPU device's logits of images, `[N, H, W, C]`.
    fn logits(&self, weights: &Weights, images: &[f32]) -> Vec<f32> {
        let n = images.len() / (3 * self.side * self.side);
        let (tape, x, logits) = self.record(Mode::Eval, n);
        run(tape, weights, x, images, logits).1
    }

    fn export(&self, weights: &Weights, preprocessing: bool, fold_batch_norm: bool) -> Vec<u8> {
        let (tape, x, logits) = self.record(Mode::Eval, 1);
        let classes: Vec<_> = (0..CLASSES).map(|class| format!("class {class}")).collect();
        let form = Form {
            mean: &MEAN,
            standard_deviation: &STANDARD_DEVIATION,
            classes: &classes,
            preprocessing,
            fold_batch_norm,
        };
        export(&tape, x, logits, weights, &form).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Runs a tape with these weights and images on the CPU device, and returns the session and the logits.
fn run(
    tape: Tape,
    weights: &Weights,
    x: ValueId,
    images: &[f32],
    logits: ValueId,
) -> (Box<dyn Session>, Vec<f32>) {
    let device = Device::cpu(OpenOptions::default());
    let layout: StateLayout = tape.state().clone();
    let mut session = device.session(&layout).expect("a session");
    let (parameters, statistics) = (StateBuffer::Parameters, StateBuffer::RunningStatistics);
    session.write_state(parameters, &weights.parameters).expect("written");
    session.write_state(statistics, &weights.running_statistics).expect("written");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    session.write(program, x, images).expect("written");
    session.run(program, &StepScalars::default()).expect("a run");
    let logits = session.read(program, logits).expect("read");
    (session, logits)
}

/// Returns number `ix` of a sequence without a period, in ±`scale`.
fn wave(ix: usize, scale: f32) -> f32 {
    scale * (ix as f32 * 12.9898 + (ix % 97) as f32).sin()
}

/// Returns `n` images, `[n, side, side, 3]`.
fn pixels(n: usize, side: usize) -> Vec<f32> {
    (0..n * side * side * 3).map(|ix| wave(ix, 1.7)).collect()
}

/// Returns planes of images, `[N, C, H, W]`.
fn planar<T: Copy>(images: &[T], side: usize) -> Vec<T> {
    let of_image = |image: &[T]| -> Vec<T> {
        (0..3).flat_map(|c| image.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()).collect()
    };
    images.chunks(side * side * 3).flat_map(of_image).collect()
}

/// Runs a file on planes of u8 or f32: on one image, and on all. With `is_free`, the size of the batch is not known when
/// `tract` prepares the network.
fn tract<T: Datum + Copy>(
    file: &[u8],
    images: &[T],
    side: usize,
    is_free: bool,
) -> Result<Vec<Vec<f32>>, TractError> {
    let image = 3 * side * side;
    let run = |images: &[T]| {
        let shape = [images.len() / image, 3, side, side];
        let mut model = tract_onnx::onnx().model_for_read(&mut &*file)?;
        if !is_free {
            model.set_input_fact(0, T::fact(shape).into())?;
        }
        let model = model.into_optimized()?.into_runnable()?;
        let outputs = model.run(tvec!(Tensor::from_shape(&shape, images)?.into()))?;
        Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    };
    [&images[..image], images].map(run).into_iter().collect()
}

/// Returns the relative L2 error.
fn error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 =
        got.iter().zip(expected).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    let norm: f64 = expected.iter().map(|&b| square(f64::from(b))).sum();
    (difference / norm).sqrt()
}

/// Checks the logits of one image and of three.
fn check(what: &str, got: &Result<Vec<Vec<f32>>, TractError>, expected: &[f32]) {
    let n_images = expected.len() / CLASSES;
    for got in got.as_ref().unwrap_or_else(|error| panic!("{what}: {error:?}")) {
        let expected = &expected[..got.len()];
        let error = error(got, expected);
        println!("{what}: {} of {n_images} images: {error:.1e}", got.len() / CLASSES);
        assert!(error <= TOLERANCE, "{what}: the relative error is {error:.1e}");
    }
}

#[test]
fn tract_computes_the_logits_of_each_family() {
    for family in FAMILIES {
        let is_member = |name: &&str| (family.find)(name).is_some();
        assert!(NETWORKS.iter().any(is_member), "{:?}: no network of this family", family.names);
    }
    for name in NETWORKS {
        let sample = Sample::new(name);
        let weights = sample.weights();
        let images = pixels(3, sample.side);
        let expected = sample.logits(&weights, &images);
        let planes = planar(&images, sample.side);
        for fold in [false, true] {
            let file = sample.export(&weights, false, fold);
            let what = format!("{name}, {}", if fold { "folded" } else { "unfolded" });
            save(&what, &file, &planes, &expected);
            let got = tract(&file, &planes, sample.side, !RESIZES.contains(&name));
            check(&what, &got, &expected);
        }
    }
}

#[test]
fn a_file_with_preprocessing_takes_bytes() {
    let sample = Sample::new("resnet9");
    let weights = sample.weights();
    let bytes: Vec<u8> =
        (0..3 * 3 * sample.side * sample.side).map(|ix| (ix * 7919 % 256) as u8).collect();
    let table = augment::table(&MEAN, &STANDARD_DEVIATION);
    let normalised = |(ix, &byte): (usize, &u8)| table[usize::from(byte) * 3 + ix % 3];
    let images: Vec<f32> = bytes.iter().enumerate().map(normalised).collect();
    let expected = sample.logits(&weights, &images);
    let planes = planar(&bytes, sample.side);
    let file = sample.export(&weights, true, false);
    save("resnet9 of bytes", &file, &planes, &expected);
    check("resnet9 of bytes", &tract(&file, &planes, sample.side, true), &expected);
}

/// Runs wgrad in a folder.
fn wgrad(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).current_dir(folder).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Saves weights of a small ResNet-9 that records these names of classes.
fn save_weights(path: &Path, classes: &[&str]) {
    let network = NetworkConfig::new(by_name("resnet9").expect("a name"), 4, classes.len());
    let layout = network.tape([32, 32, 3]).state().clone();
    let info = ModelInfo {
        classes: classes.iter().map(ToString::to_string).collect(),
        data: "cifar10".to_string(),
        fingerprint: Fingerprint::of([]),
        image: [32, 32, 3],
        mean: MEAN.to_vec(),
        standard_deviation: STANDARD_DEVIATION.to_vec(),
        network: Some(network.into()),
    };
    Weights::initial(&layout, 1).save(&layout, Some(&info), path).expect("written");
}

#[test]
fn the_command_exports_the_network_that_predict_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    save_weights(&path.join("model.safetensors"), &["cat", "dog", "ship"]);
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/wide.jpg");
    let flags =
        ["export", "--weights=model.safetensors", "--onnx=net.onnx", "--with-preprocessing"];
    let output = wgrad(path, &[&flags[..], &["--fold-batch-norm"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let images = "images [batch, 3, 32, 32] of u8 -> logits [batch, 3]\n";
    assert!(printed.starts_with("network   resnet9, width 4\nonnx      net.onnx ("), "{printed}");
    assert!(printed.ends_with(images), "{printed}");

    let picture_name = picture.to_string_lossy();
    let predict = ["predict", "--weights=model.safetensors", "--device=cpu", "--json"];
    let output = wgrad(path, &[&predict[..], &[&picture_name]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected: Vec<f32> = serde_json::from_value(json[0]["logits"].clone()).expect("logits");
    let file = std::fs::read(path.join("net.onnx")).expect("written");
    let planes = image_file::read(&picture, cifar10::SIZE, [255; 3]).expect("a picture");
    let got = tract(&file, &planes, 32, true).expect("a run");
    let error = error(&got[0], &expected);
    assert!(error <= TOLERANCE, "the relative error is {error:.1e}: {got:?} {expected:?}");
}

#[test]
fn an_export_that_is_not_possible_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    save_weights(&path.join("model.safetensors"), &["cat", "dog, small"]);
    let refused = |flags: &[&str], code: i32, words: &[&str]| {
        let output = wgrad(path, &[&["export", "--weights=model.safetensors"], flags].concat());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(std::fs::read_dir(path).expect("readable").count(), 1, "no file is written");
    };
    refused(&["--onnx=o.onnx"], 1, &["\"dog, small\"", "hint: --classes sets other names"]);
    refused(&["--onnx=o.onnx", "--classes=a,b,c"], 2, &["--classes: the value must be 2 classes"]);
    refused(&["--onnx=o.onnx", "--image-size=4"], 2, &["resnet9: images of 4x4x3; the smallest"]);
    refused(&["--onnx=o.onnx", "--std=1,0,1"], 2, &["std 1,0,1: the value must be 3 numbers"]);
    refused(&["--onnx=model.safetensors"], 2, &["the command reads this file"]);
    refused(&["--onnx=nowhere/o.onnx", "--classes=2"], 1, &["nowhere/o.onnx"]);
    let output =
        wgrad(path, &["export", "--weights=model.safetensors", "--onnx=o.onnx", "--classes=a,b"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Writes a file, its images and the expected logits into the folder `$WGRAD_ONNX`, if the variable is set.
fn save<T: bytemuck::Pod>(name: &str, file: &[u8], planes: &[T], expected: &[f32]) {
    let Some(folder) = std::env::var_os("WGRAD_ONNX") else { return };
    let folder = Path::new(&folder);
    let write = |end: &str, bytes: &[u8]| {
        std::fs::write(folder.join(format!("{name}.{end}")), bytes).expect("written");
    };
    write("onnx", file);
    write("images", bytemuck::cast_slice(planes));
    write("logits", bytemuck::cast_slice(expected));
}
