//! Cases of several ops or steps: Adam over several steps, the schedule, and training steps of the network.

use std::sync::Arc;

use wgrad::base::choice::Choice;
use wgrad::device::{Device, LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::networks::by_name;
use wgrad::nn::{self, NetworkConfig};
use wgrad::ops::adam::{Adam, AdamW};
use wgrad::ops::finite_check::{self, OnNonFinite};
use wgrad::ops::optimizer::{Hyperparameters, Optimizer, WeightDecay};
use wgrad::ops::optimizers::{AnyOptimizer, OptimizerKind};
use wgrad::ops::sgd::Sgd;
use wgrad::ops::{cross_entropy, running_statistics};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{
    ElementType, Initializer, Layout, Mode, Phase, StateBuffer, StateEntry, StateLayout, Tape,
    ValueId,
};
use wgrad::train::{Model, ModelConfig, UpdateConfig};

use crate::bench::compare;
use crate::case_file::CaseFile;
use crate::compare::{Failures, Order};
use crate::{OP_TOLERANCE, STATE_TOLERANCE};

/// Returns the optimizer's scalars for step number `step`, counted from 1.
fn scalars(lr: f64, step: u64, optimizer: &dyn Optimizer) -> StepScalars {
    StepScalars { optimizer: optimizer.scalars(lr, step), ..StepScalars::default() }
}

fn adam(file: &CaseFile) -> Adam {
    let [beta1, beta2, eps, weight_decay] =
        ["beta1", "beta2", "eps", "weight_decay"].map(|key| file.attribute(key));
    Adam { beta1, beta2, eps, weight_decay: WeightDecay::of_all(weight_decay) }
}

/// Runs several steps of Adam, and compares the parameters with those of PyTorch after each step.
pub fn adam_steps(file: &CaseFile, device: &Device) {
    optimizer_steps(file, device, adam(file).into());
}

/// Runs several steps of AdamW, and compares the parameters with those of PyTorch after each step.
pub fn adamw_steps(file: &CaseFile, device: &Device) {
    optimizer_steps(file, device, AdamW(adam(file)).into());
}

/// Runs several steps of stochastic gradient descent, and compares the parameters with those of PyTorch after each
/// step.
pub fn sgd_steps(file: &CaseFile, device: &Device) {
    let [momentum, weight_decay] = ["momentum", "weight_decay"].map(|key| file.attribute(key));
    let nesterov = file.attribute::<String>("nesterov") == "True";
    let weight_decay = WeightDecay::of_all(weight_decay);
    optimizer_steps(file, device, Sgd { momentum, nesterov, weight_decay }.into());
}

fn optimizer_steps(file: &CaseFile, device: &Device, optimizer: AnyOptimizer) {
    let mut tape = Tape::new("optimizer", Mode::Train);
    let shape = &file.tensor("p0").shape;
    tape.parameter("p", shape, Layout::Plain, Initializer::Constant(0.0));
    optimizer.get().record(&mut tape);
    let (state, range) = (tape.state().clone(), tape.state().parameters[0].range());
    let padded = |values: &[f32]| {
        let mut buffer = vec![0.0; state.n_elements(StateBuffer::Parameters)];
        buffer[range.clone()].copy_from_slice(values);
        buffer
    };

    let mut session = device.session(&state).expect("a session");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    session
        .write_state(StateBuffer::Parameters, &padded(file.tensor("p0").f32()))
        .expect("written");
    let mut failures = Failures::default();
    for (ix, lr) in file.tensor("lr").f64().into_iter().enumerate() {
        let gradient = file.tensor("grads").at(ix);
        session.write_state(StateBuffer::Gradients, &padded(gradient.f32())).expect("written");
        session.run(program, &scalars(lr, ix as u64 + 1, optimizer.get())).expect("a run");
        let parameters = session.read_state(StateBuffer::Parameters).expect("read");
        let (what, after) = (format!("after step {ix}"), file.tensor("after").at(ix));
        let got = &parameters[range.clone()];
        compare(&mut failures, &what, &after, got, Order::Plain, OP_TOLERANCE);
        assert!(parameters[range.end..].iter().all(|&v| v == 0.0), "the padding stays zero");
    }
    failures.finish(&file.name);
}

/// Runs training steps of a linear classifier with Adam, weight decay, label smoothing, gradient clipping and a moving
/// average of the parameters.
pub fn objective(file: &CaseFile, device: &Device) {
    let weight_decay = WeightDecay::of_all(file.attribute("weight_decay"));
    steps_of_objective(file, device, Adam { weight_decay, ..Adam::default() }.into());
}

/// Runs the steps of [`objective`] with the optimizer that the case file names. Its weight decay leaves out the bias.
pub fn objective_partial_decay(file: &CaseFile, device: &Device) {
    let optimizer = OptimizerKind::from_name(&file.attribute::<String>("optimizer"));
    let hyperparameters = Hyperparameters {
        momentum: file.attribute("momentum"),
        nesterov: file.attribute::<String>("nesterov") == "True",
        weight_decay: WeightDecay::of_all(file.attribute("weight_decay")).partial(),
    };
    steps_of_objective(file, device, optimizer.expect("a name").with(hyperparameters));
}

/// Runs training steps of a linear classifier, then evaluates it with the moving average of its parameters.
fn steps_of_objective(file: &CaseFile, device: &Device, optimizer: AnyOptimizer) {
    let (x, target) = (file.tensor("x"), file.tensor("target"));
    let [steps, batch_size, n_in] = [x.shape[0], x.shape[1], x.shape[2]];
    let mut config = ModelConfig::new(&[n_in], batch_size);
    config.update = UpdateConfig {
        label_smoothing: file.attribute("label_smoothing"),
        class_weights: file.flag("weighted").then(|| file.tensor("class_weights").f32().to_vec()),
        optimizer,
        clip_grad_norm: Some(file.attribute("max_norm")),
        ema: Some(file.attribute("decay")),
        ..UpdateConfig::default()
    };
    let n_out = file.tensor("start.bias").shape[0];
    let network = |tape: &mut Tape, x| nn::linear(tape, "fc", x, n_out, true);
    let mut model = Model::new(device, &config, network).expect("a model");
    let members = model.state.layout.parameters.clone();
    let torch_name = |member: &StateEntry| member.name.replace("fc.", "");

    let mut start = model.state.weights().expect("weights");
    for member in &members {
        let tensor = file.tensor(&format!("start.{}", torch_name(member)));
        let values = order(member.layout).to_ours(&tensor.shape, tensor.f32());
        start.parameters[member.range()].copy_from_slice(&values);
    }
    model.state.set_weights(&start).expect("written");
    let mut failures = Failures::default();
    for step in 0..steps {
        let (x, labels) = (x.at(step), target.at(step).u32());
        model.train_step(x.f32(), &labels, file.attribute("lr")).expect("a step");
        let averages = model.state.weights().expect("weights").parameters;
        for member in &members {
            let parameters = model.state.member(&member.name).expect("read");
            for (kind, got) in [("param", &parameters[..]), ("average", &averages[member.range()])]
            {
                let key = format!("step{step}.{kind}.{}", torch_name(member));
                let (expected, order) = (file.tensor(&key), order(member.layout));
                compare(&mut failures, &key, expected, got, order, OP_TOLERANCE);
            }
        }
    }
    let logits = model.predict(x.at(0).f32()).expect("logits");
    let expected = file.tensor("logits_eval");
    compare(&mut failures, "logits_eval", expected, &logits, Order::Plain, OP_TOLERANCE);
    failures.finish(&file.name);
}

/// Runs training steps with and without fusion, each step from PyTorch's state before this step. Then runs an
/// evaluation.
pub fn network(file: &CaseFile, device: &Device) {
    for (name, fusion) in [("fused", Fusion::ALL), ("unfused", Fusion::NONE)] {
        let mut failures = Failures::default();
        training_steps(file, device, fusion, &mut failures);
        evaluation(file, device, fusion, &mut failures);
        failures.finish(&format!("{} ({name})", file.name));
    }
}

/// Records the images and the network.
fn record(file: &CaseFile, mode: Mode, fusion: Fusion) -> (Tape, ValueId, ValueId) {
    let mut tape = Tape::new("network", mode);
    // The images of all steps: [steps, N, C, H, W].
    let &[_, n, c, h, w] = &file.tensor("x").shape[..] else { panic!("x: five axes") };
    let x = tape.input("x", ElementType::F32, &[n, h, w, c]);
    let network = by_name(&file.attribute::<String>("op")).expect("a name");
    let network = NetworkConfig::new(network, file.attribute("width"), 10);
    let logits = network.record(&mut tape, x);
    tape.keep(logits);
    if mode == Mode::Eval {
        passes::fuse(&mut tape, fusion);
    }
    (tape, x, logits)
}

fn training_steps(file: &CaseFile, device: &Device, fusion: Fusion, failures: &mut Failures) {
    let adam = Adam::default();
    let lr: f64 = file.attribute("lr");
    let (mut tape, x, logits) = record(file, Mode::Train, fusion);
    let labels = tape.input("labels", ElementType::U32, &[file.attribute("batch")]);
    let loss = cross_entropy::cross_entropy(&mut tape, logits, labels, 0.0).loss;
    tape.keep(loss);
    passes::fuse(&mut tape, fusion);
    passes::backward(&mut tape, loss);
    tape.in_phase(Phase::Update, |tape| {
        finite_check::finite_check(tape, &[], OnNonFinite::Stop);
        running_statistics::update(tape, nn::layers::BATCH_NORM_MOMENTUM);
        adam.record(tape);
    });
    passes::eliminate_dead(&mut tape);

    let layout = tape.state().clone();
    let mut session = device.session(&layout).expect("a session");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    for step in 0..file.attribute("steps") {
        write_state(file, step, &layout, &mut *session);
        let images = file.tensor("x").at(step);
        let images = Order::Activation.to_ours(&images.shape, images.f32());
        session.write(program, x, &images).expect("written");
        let target = file.tensor("target").at(step).u32();
        session.write_words(program, labels, &target).expect("written");
        session.run(program, &scalars(lr, step as u64 + 1, &adam)).expect("a run");

        let mut check = |key: &str, id| {
            let got = session.read(program, id).expect("read");
            let (what, expected) = (format!("{key}[{step}]"), file.tensor(key).at(step));
            compare(failures, &what, &expected, &got, Order::Plain, OP_TOLERANCE);
        };
        check("losses", loss);
        check("logits", logits);
        for (group, kind, step) in [
            (StateBuffer::Gradients, "grad", step),
            (StateBuffer::Parameters, "param", step + 1),
            (StateBuffer::RunningStatistics, "param", step + 1),
            (StateBuffer::Optimizer(0), "exp_avg", step + 1),
            (StateBuffer::Optimizer(1), "exp_avg_sq", step + 1),
        ] {
            let buffer = session.read_state(group).expect("read");
            for member in layout.members(group) {
                let key = format!("step{step}.{kind}.{}", member.name);
                let (expected, got) = (file.tensor(&key), &buffer[member.range()]);
                let order = order(member.layout);
                compare(failures, &key, expected, got, order, STATE_TOLERANCE);
            }
        }
    }
}

fn evaluation(file: &CaseFile, device: &Device, fusion: Fusion, failures: &mut Failures) {
    let (mut tape, x, logits) = record(file, Mode::Eval, fusion);
    tape.optimizer_state(Adam::default().state());
    let layout = tape.state().clone();
    let mut session = device.session(&layout).expect("a session");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    write_state(file, file.attribute("steps"), &layout, &mut *session);
    let images = file.tensor("x").at(0);
    let images = Order::Activation.to_ours(&images.shape, images.f32());
    session.write(program, x, &images).expect("written");
    session.run(program, &StepScalars::default()).expect("a run");
    let (got, expected) =
        (session.read(program, logits).expect("read"), file.tensor("logits_eval"));
    compare(failures, "logits_eval", expected, &got, Order::Plain, OP_TOLERANCE);
}

/// Writes the state before a step into the session.
pub fn write_state(file: &CaseFile, step: usize, layout: &StateLayout, session: &mut dyn Session) {
    for (group, kind) in [
        (StateBuffer::Parameters, "param"),
        (StateBuffer::RunningStatistics, "param"),
        (StateBuffer::Optimizer(0), "exp_avg"),
        (StateBuffer::Optimizer(1), "exp_avg_sq"),
    ] {
        let mut buffer = vec![0.0; layout.n_elements(group)];
        for member in layout.members(group) {
            let tensor = file.tensor(&format!("step{step}.{kind}.{}", member.name));
            let values = order(member.layout).to_ours(&tensor.shape, tensor.f32());
            buffer[member.range()].copy_from_slice(&values);
        }
        session.write_state(group, &buffer).expect("written");
    }
}

/// Returns the order of the axes of a tensor of the state. The test states the orders again, independently of the
/// tested code.
pub fn order(layout: Layout) -> Order {
    match layout {
        Layout::Plain => Order::Plain,
        Layout::ConvWeight => Order::ConvWeight,
        Layout::LinearWeight => Order::LinearWeight,
    }
}
