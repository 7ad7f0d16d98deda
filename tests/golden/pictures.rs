//! Cases of ops on pictures in bytes: the random resized crop and random erasing.

use std::sync::Arc;

use wgrad::device::{Device, LoadOptions};
use wgrad::kernel::StepScalars;
use wgrad::ops::random_box::BoxRange;
use wgrad::ops::{random_erasing, random_resized_crop};
use wgrad::tape::{ElementType, Mode, Tape, ValueId};

use crate::bench::Bench;
use crate::case_file::CaseFile;
use crate::compare::Order;

/// An input: its name, type, shape and words.
type Input<'a> = (&'a str, ElementType, &'a [usize], Vec<u32>);

/// Runs one op on inputs of words, and returns the words of its result.
fn run(
    device: &Device,
    step: &StepScalars,
    inputs: &[Input<'_>],
    record: impl FnOnce(&mut Tape, &[ValueId]) -> ValueId,
) -> Vec<u32> {
    let mut tape = Tape::new("golden", Mode::Train);
    let ids: Vec<_> =
        inputs.iter().map(|(name, of, shape, _)| tape.input(name, *of, shape)).collect();
    let result = record(&mut tape, &ids);
    tape.keep(result);
    let tape = Arc::new(tape);
    let mut session = device.session(tape.state()).expect("a session");
    let program = session.load(&tape, LoadOptions::default()).expect("a program");
    for (&id, (.., words)) in ids.iter().zip(inputs) {
        session.write_words(program, id, words).expect("written");
    }
    session.run(program, step).expect("a run");
    session.read_words(program, result).expect("read")
}

pub fn crop_boxes(file: &CaseFile, device: &Device) {
    let [scale, ratio] = ["scale", "ratio"]
        .map(|of| ["least", "most"].map(|end| file.attribute(&format!("{end}_{of}"))));
    check_boxes(file, device, |tape, indices, sizes| {
        random_resized_crop::boxes(tape, indices, sizes, BoxRange { scale, ratio })
    });
}

pub fn erasing_boxes(file: &CaseFile, device: &Device) {
    let size = ["rows", "columns"].map(|side| file.attribute(side));
    check_boxes(file, device, |tape, indices, _| {
        random_erasing::boxes(tape, indices, size, file.attribute("p"))
    });
}

/// Compares the first boxes with those of the formulas in f64, and the distribution of 10,000 boxes with that of as many
/// boxes of torchvision.
///
/// Integers round areas to 1/64 pixel. So a side may be rounded the other way, and a box that just fits may not fit. This
/// happens to fewer than 1 in 200 boxes.
fn check_boxes(
    file: &CaseFile,
    device: &Device,
    record: impl FnOnce(&mut Tape, ValueId, ValueId) -> ValueId,
) {
    let name = &file.name;
    let [rows, columns] = ["rows", "columns"].map(|side| file.attribute::<u32>(side));
    let expected = file.tensor("boxes").u32();
    let n = 10_000;
    let seed: u64 = file.attribute("seed");
    let step = StepScalars {
        seed: [seed as u32, (seed >> 32) as u32],
        epoch: file.attribute("epoch"),
        ..StepScalars::default()
    };
    let numbers = (0..n).map(|ix| 7 * ix as u32).collect();
    let inputs = [
        ("indices", ElementType::U32, &[n][..], numbers),
        ("sizes", ElementType::U32, &[n, 2][..], [rows, columns].repeat(n)),
    ];
    let got = run(device, &step, &inputs, |tape, ids| record(tape, ids[0], ids[1]));
    let (got, expected) = (got.as_chunks::<4>().0, expected.as_chunks::<4>().0);
    let n_other = got.iter().zip(expected).filter(|(got, expected)| got != expected).count();
    let n_compared = expected.len();
    assert!(200 * n_other < n_compared, "{name}: {n_other} of {n_compared} boxes differ");

    let [mean, std] = ["mean_f64", "std_f64"].map(|key| file.tensor(key).f64());
    let (rows, columns) = (f64::from(rows), f64::from(columns));
    let area = got.iter().map(|of| f64::from(of[2] * of[3]) / (rows * columns)).collect::<Vec<_>>();
    let some = got.iter().filter(|of| of[2] > 0).map(|of| of.map(f64::from));
    let some: Vec<[f64; 4]> = some.collect();
    let of = [
        area,
        some.iter().map(|of| (of[3] / of[2]).ln()).collect(),
        some.iter().map(|of| of[0] / rows).collect(),
        some.iter().map(|of| of[1] / columns).collect(),
    ];
    for (ix, values) in of.iter().enumerate() {
        let ours = values.iter().sum::<f64>() / values.len() as f64;
        // Both means are random, each with the standard error std / sqrt(n).
        let allowed = 4.0 * std[ix] * (2.0 / values.len() as f64).sqrt() + 1e-9;
        assert!(
            (ours - mean[ix]).abs() <= allowed,
            "{name}: mean {ix} is {ours}, not {}",
            mean[ix]
        );
    }
}

/// Compares with the formula in f64, and with torchvision's result for PIL images, which Pillow rounds after each axis.
pub fn resized_crop(file: &CaseFile, device: &Device) {
    let name = &file.name;
    let of = |key: &str| file.tensor(key);
    let to = [of("y").shape[2], of("y").shape[3]];
    let inputs = [
        ("pixels", ElementType::U8, &of("pixels").shape[..], of("pixels").packed()),
        ("sizes", ElementType::U32, &of("sizes").shape[..], of("sizes").u32()),
        ("boxes", ElementType::U32, &of("boxes").shape[..], of("boxes").u32()),
    ];
    let got = run(device, &StepScalars::default(), &inputs, |tape, ids| {
        random_resized_crop::resize(tape, ids[0], ids[1], ids[2], 3, to)
    });
    let got: &[u8] = bytemuck::cast_slice(&got);
    for (key, most, most_mean) in [("y", 0.51, 0.3), ("torchvision", 1.0, 0.3)] {
        let expected = of(key).f64();
        assert!(got.len() >= expected.len(), "{name}: {} bytes", got.len());
        let off: Vec<_> =
            got.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).collect();
        let worst = off.iter().copied().fold(0.0, f64::max);
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        assert!(worst <= most && mean < most_mean, "{name}: {key} off by {worst}, mean {mean}");
    }
}

/// Compares bit for bit: elements are copied or 0.
pub fn erasing(file: &CaseFile, device: &Device) {
    let mut bench = Bench::new(file, Mode::Train, 0.0);
    let x = bench.constant("x", Order::Activation);
    let boxes = file.tensor("boxes");
    let boxes = bench.words("boxes", ElementType::U32, &boxes.shape, boxes.u32());
    let y = random_erasing::erase(&mut bench.tape, x, boxes);
    bench.expect("y", y, Order::Activation);
    bench.finish(device);
}
