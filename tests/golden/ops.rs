//! One function per op: it records the case with its forward and backward pass, runs it, and compares.

use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn;
use wgrad::ops::augment::{AugmentFlags, CropPadding};
use wgrad::ops::finite_check::{OnNonFinite, finite_check};
use wgrad::ops::{self, Window, conv2d::Conv2d};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

use crate::OP_TOLERANCE;
use crate::bench::{Bench, compare};
use crate::case_file::CaseFile;
use crate::compare::{Failures, Order};

/// Returns the window of a convolution or a pool.
pub fn window(file: &CaseFile) -> Window {
    let [size, stride, padding] =
        ["kernel", "stride", "padding"].map(|key| file.attribute::<usize>(key));
    Window::square(size, stride, padding)
}

/// Runs the convolution twice: by its definition, and with Winograd's algorithm where a device may use the algorithm.
pub fn conv2d(file: &CaseFile, device: &Device) {
    for fusion in [Fusion::NONE, Fusion::ALL] {
        let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
        let x = bench.input("x", Order::Activation);
        let weight = bench.input("w", Order::ConvWeight);
        let bias = (file.attribute::<usize>("bias") == 1).then(|| bench.input("b", Order::Plain));
        let conv = Conv2d { window: window(file), groups: file.attribute("groups") };
        let y = ops::conv2d::conv2d(&mut bench.tape, x, weight, bias, conv);
        passes::fuse(&mut bench.tape, fusion);
        bench.expect("y", y, Order::Activation);
        let mut inputs = vec![(x, "dx", Order::Activation), (weight, "dw", Order::ConvWeight)];
        inputs.extend(bias.map(|bias| (bias, "db", Order::Plain)));
        bench.backward(y, Order::Activation, &inputs);
        bench.finish(device);
    }
}

/// Runs the batch norm layer instead of the op, because the layer includes the running statistics. Runs it twice:
/// alone, and after a convolution that computes mean and M2 for it.
pub fn batch_norm(file: &CaseFile, device: &Device) {
    batch_norm_of(file, device, |_, x| x);
    batch_norm_of(file, device, given_mean_m2);
}

/// Records an identity convolution of x, and returns its output, which equals x. Fusion then makes this convolution
/// compute mean and M2 for the batch norm after it.
fn given_mean_m2(bench: &mut Bench<'_>, x: ValueId) -> ValueId {
    let channels = *bench.tape.shape(x).last().expect("x has channels");
    let mut identity = vec![0.0; channels * channels];
    identity.iter_mut().step_by(channels + 1).for_each(|weight| *weight = 1.0);
    let identity = bench.reals("identity", &[1, 1, channels, channels], identity);
    ops::conv2d::conv2d(&mut bench.tape, x, identity, None, Conv2d::square(1, 1, 0))
}

/// Records what follows the batch norm: nothing, or the addition of the case's residual and a ReLU. Returns the output
/// and the residual.
fn after_batch_norm(bench: &mut Bench<'_>, y: ValueId) -> (ValueId, Option<ValueId>) {
    if bench.file.op() != "batch_norm_add_relu" {
        return (y, None);
    }
    let residual = bench.input("residual", Order::Activation);
    let y = ops::add::add(&mut bench.tape, y, residual);
    (ops::relu::relu(&mut bench.tape, y), Some(residual))
}

/// Runs the case on the value that `before` returns for x. Checks that fusion finds a pattern if this value is not x
/// itself, and a pattern if an addition and a ReLU follow the batch norm.
fn batch_norm_of(
    file: &CaseFile,
    device: &Device,
    before: impl Fn(&mut Bench<'_>, ValueId) -> ValueId,
) {
    let [eps, momentum] = ["eps", "momentum"].map(|key| file.attribute::<f32>(key));
    let settings = nn::layers::BatchNorm { eps, ..Default::default() };
    let members = [
        (StateBuffer::Parameters, "bn.weight", "gamma"),
        (StateBuffer::Parameters, "bn.bias", "beta"),
        (StateBuffer::RunningStatistics, "bn.running_mean", "running_mean"),
        (StateBuffer::RunningStatistics, "bn.running_var", "running_var"),
    ];
    let prepare = |tape: &Tape, session: &mut dyn Session| {
        for group in [StateBuffer::Parameters, StateBuffer::RunningStatistics] {
            let mut buffer = vec![0.0; tape.state().n_elements(group)];
            for (_, member, key) in members.iter().filter(|(of, ..)| *of == group) {
                let (_, member) = tape.state().find(member).expect("the layer has it");
                buffer[member.range()].copy_from_slice(file.tensor(key).f32());
            }
            session.write_state(group, &buffer).expect("written");
        }
    };
    let mut failures = Failures::default();

    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let x = bench.input("x", Order::Activation);
    let normed = before(&mut bench, x);
    let y = nn::layers::batch_norm_with(&mut bench.tape, "bn", normed, settings);
    let (y, residual) = after_batch_norm(&mut bench, y);
    let n_patterns = usize::from(normed != x) + usize::from(residual.is_some());
    assert_eq!(passes::fuse(&mut bench.tape, Fusion::ALL), n_patterns, "{}", file.name);
    bench.expect("y", y, Order::Activation);
    let [gamma, beta] =
        ["bn.weight", "bn.bias"].map(|name| bench.tape.find_member(name).expect("the layer's"));
    let mut inputs = vec![
        (x, "dx", Order::Activation),
        (gamma, "dgamma", Order::Plain),
        (beta, "dbeta", Order::Plain),
    ];
    inputs.extend(residual.map(|id| (id, "dresidual", Order::Activation)));
    bench.backward(y, Order::Activation, &inputs);
    ops::running_statistics::update(&mut bench.tape, momentum);
    bench.run(device, &mut failures, prepare, |tape, session, failures, tolerance| {
        let statistics = session.read_state(StateBuffer::RunningStatistics).expect("read");
        for (name, key) in
            [("bn.running_mean", "running_mean_after"), ("bn.running_var", "running_var_after")]
        {
            let (_, member) = tape.state().find(name).expect("the layer has it");
            let got = &statistics[member.range()];
            compare(failures, key, file.tensor(key), got, Order::Plain, tolerance);
        }
    });

    let mut bench = Bench::new(file, Mode::Eval, OP_TOLERANCE);
    let x = bench.input("x", Order::Activation);
    let y = nn::layers::batch_norm_with(&mut bench.tape, "bn", x, settings);
    let (y, residual) = after_batch_norm(&mut bench, y);
    let n_patterns = passes::fuse(&mut bench.tape, Fusion::ALL);
    assert_eq!(n_patterns, usize::from(residual.is_some()), "{}", file.name);
    bench.expect("y_eval", y, Order::Activation);
    if let Some(residual) = residual {
        let d_residual = (residual, "dresidual_eval", Order::Activation);
        let inputs = [(x, "dx_eval", Order::Activation), d_residual];
        bench.backward(y, Order::Activation, &inputs);
    }
    bench.run(device, &mut failures, prepare, |_, _, _, _| {});
    failures.finish(&file.name);
}

/// Compares bit for bit, because each element is a product of two f32 numbers.
pub fn dropout(file: &CaseFile, device: &Device) {
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let seed: u64 = file.attribute("seed");
    bench.step.seed = [seed as u32, (seed >> 32) as u32];
    bench.step.epoch = file.attribute("epoch");
    let x = bench.input("x", Order::Activation);
    let numbers = file.tensor("image_numbers").u32();
    let numbers = bench.words("image_numbers", ElementType::U32, &[numbers.len()], numbers);
    let p = file.attribute("p");
    // The case is the second layer, so a layer before it is recorded.
    let first = ops::dropout::dropout(&mut bench.tape, x, numbers, p);
    let y = ops::dropout::dropout(&mut bench.tape, x, numbers, p);
    bench.expect("y_of_layer_0", first, Order::Activation);
    bench.expect("y", y, Order::Activation);
    bench.backward(y, Order::Activation, &[(x, "dx", Order::Activation)]);
    bench.finish(device);
}

pub fn linear(file: &CaseFile, device: &Device) {
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let x = bench.input("x", Order::Plain);
    let weight = bench.input("w", Order::LinearWeight);
    let bias = (file.attribute::<usize>("bias") == 1).then(|| bench.input("b", Order::Plain));
    let y = ops::linear::linear(&mut bench.tape, x, weight, bias);
    bench.expect("y", y, Order::Plain);
    let mut inputs = vec![(x, "dx", Order::Plain), (weight, "dw", Order::LinearWeight)];
    inputs.extend(bias.map(|bias| (bias, "db", Order::Plain)));
    bench.backward(y, Order::Plain, &inputs);
    bench.finish(device);
}

pub fn cross_entropy(file: &CaseFile, device: &Device) {
    let reduction: String = file.attribute("reduction");
    assert_eq!(reduction, "mean", "{}: the loss is a mean here", file.name);
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let logits = bench.input("logits", Order::Plain);
    let target = file.tensor("target");
    let labels = bench.words("labels", ElementType::U32, &target.shape, target.u32());
    let smoothing = file.attribute("label_smoothing");
    let weights = file.flag("weighted").then(|| bench.constant("class_weights", Order::Plain));
    let tape = &mut bench.tape;
    let loss = ops::cross_entropy::weighted(tape, logits, labels, weights, smoothing).loss;
    bench.expect("loss", loss, Order::Plain);
    let gradients = passes::backward(&mut bench.tape, loss);
    bench.expect_gradients(&gradients, &[(logits, "dlogits", Order::Plain)]);
    bench.finish(device);
}

/// Compares bit for bit, because the numbers come from a table, without arithmetic after it.
pub fn augment(file: &CaseFile, device: &Device) {
    assert_eq!(file.attribute::<usize>("padding"), 4, "{}", file.name);
    assert_eq!(file.attribute::<usize>("cutout"), 8, "{}", file.name);
    let table = ops::augment::table(&[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]);
    let same =
        table.iter().zip(file.tensor("table").f32()).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same, "{}: the host's table has other bits", file.name);

    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let pixels = file.tensor("pixels");
    let images = bench.words("pixels", ElementType::U8, &pixels.shape, pixels.packed());
    let table = bench.constant("table", Order::Plain);
    let [offset, flip, centre] = ["offset", "flip", "centre"].map(|key| file.tensor(key).u32());
    let draws: Vec<u32> = (0..flip.len())
        .flat_map(|n| [offset[2 * n], offset[2 * n + 1], flip[n], centre[2 * n], centre[2 * n + 1]])
        .collect();
    let draws = bench.words("draws", ElementType::U32, &[flip.len(), 5], draws);
    let padding = if file.flag("reflect") { CropPadding::Reflect } else { CropPadding::Zeros };
    let switches = AugmentFlags { crop_padding: padding, ..AugmentFlags::default() };
    let y = ops::augment::augment(&mut bench.tape, images, table, draws, switches);
    bench.expect("y", y, Order::Activation);
    bench.finish(device);
}

/// Compares bit for bit, because Pillow's arithmetic is exact with these factors.
pub fn color_jitter(file: &CaseFile, device: &Device) {
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let pixels = file.tensor("pixels");
    let images = bench.words("pixels", ElementType::U8, &pixels.shape, pixels.packed());
    let (factors, order) = (file.tensor("factor").u32(), file.tensor("order").u32());
    let draws = factors.chunks(3).zip(&order).flat_map(|(f, &order)| [f[0], f[1], f[2], order]);
    let draws = bench.words("draws", ElementType::U32, &[order.len(), 4], draws.collect());
    let y = ops::augment::jitter(&mut bench.tape, images, draws);
    // The table maps each byte to itself as f32.
    let table = (0..256).flat_map(|byte| [byte as f32; 3]).collect();
    let table = bench.reals("table", &[256, 3], table);
    let y = ops::augment::normalise(&mut bench.tape, y, table);
    bench.expect("y", y, Order::Activation);
    bench.finish(device);
}

/// Adds parameters with these names and shapes; the case writes their values.
fn parameters<'a>(tape: &mut Tape, shapes: impl Iterator<Item = (String, &'a [usize])>) {
    for (name, shape) in shapes {
        tape.parameter(&name, shape, Layout::Plain, Initializer::Constant(0.0));
    }
}

pub fn clip_grad_norm(file: &CaseFile, device: &Device) {
    let keys: Vec<usize> = (0..file.attribute("n")).collect();
    let max_norm: f32 = file.attribute("max_norm");
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let shapes = keys.iter().map(|ix| {
        let key = format!("grad{ix}");
        let shape = file.tensor(&key).shape.as_slice();
        (key, shape)
    });
    parameters(&mut bench.tape, shapes);
    let norm = ops::clip_grad_norm::norm(&mut bench.tape);
    finite_check(&mut bench.tape, &[norm], OnNonFinite::Stop);
    ops::clip_grad_norm::clip(&mut bench.tape, norm, max_norm);
    bench.expect("norm", norm, Order::Plain);

    let mut failures = Failures::default();
    let prepare = |tape: &Tape, session: &mut dyn Session| {
        let mut flat = vec![0.0; tape.state().n_elements(StateBuffer::Gradients)];
        for member in tape.state().members(StateBuffer::Gradients) {
            flat[member.range()].copy_from_slice(file.tensor(&member.name).f32());
        }
        session.write_state(StateBuffer::Gradients, &flat).expect("written");
    };
    bench.run(device, &mut failures, prepare, |tape, session, failures, tolerance| {
        // If the norm is below the limit, all gradients stay unchanged, bit for bit.
        let is_let_through = file.tensor("norm").f32()[0] + 1e-6 < max_norm;
        let tolerance = if is_let_through { 0.0 } else { tolerance };
        let gradients = session.read_state(StateBuffer::Gradients).expect("read");
        for (member, ix) in tape.state().members(StateBuffer::Gradients).iter().zip(&keys) {
            let (key, got) = (format!("clipped{ix}"), &gradients[member.range()]);
            compare(failures, &key, file.tensor(&key), got, Order::Plain, tolerance);
        }
    });
    failures.finish(&file.name);
}

/// Compares the moving average of the file's parameters after every step.
pub fn ema(file: &CaseFile, device: &Device) {
    let mut tape = Tape::new("ema", Mode::Train);
    let (given, after) = (file.tensor("parameters"), file.tensor("after"));
    parameters(&mut tape, [("p".to_string(), &given.shape[1..])].into_iter());
    ops::ema::ema(&mut tape, file.attribute("decay"));
    let (state, range) = (tape.state().clone(), tape.state().parameters[0].range());

    let mut session = device.session(&state).expect("a session");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    let mut failures = Failures::default();
    for ix in 0..given.shape[0] {
        let mut flat = vec![0.0; state.n_elements(StateBuffer::Parameters)];
        flat[range.clone()].copy_from_slice(given.at(ix).f32());
        session.write_state(StateBuffer::Parameters, &flat).expect("written");
        let step = ix as u32 + 1;
        session.run(program, &StepScalars { step, ..StepScalars::default() }).expect("a run");
        let averages = session.read_state(StateBuffer::AveragedParameters).expect("read");
        let (what, got) = (format!("after step {step}"), &averages[range.clone()]);
        compare(&mut failures, &what, &after.at(ix), got, Order::Plain, OP_TOLERANCE);
        assert!(averages[range.end..].iter().all(|&v| v == 0.0), "the padding stays zero");
    }
    failures.finish(&file.name);
}
