//! Steps of fine-tuning: a frozen first stage, and learning rates by the beginnings of names.

use std::sync::Arc;

use wgrad::base::choice::Choice;
use wgrad::device::{Device, LoadOptions};
use wgrad::kernel::StepScalars;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;
use wgrad::ops::optimizer::{Hyperparameters, WeightDecay};
use wgrad::ops::optimizers::OptimizerKind;
use wgrad::passes::fuse::Fusion;
use wgrad::tape::{ElementType, Mode, StateBuffer, Tape};
use wgrad::train::UpdateConfig;

use crate::bench::compare;
use crate::case_file::CaseFile;
use crate::compare::{Failures, Order};
use crate::network::order;
use crate::{OP_TOLERANCE, STATE_TOLERANCE};

/// Runs training steps with and without fusion, each from PyTorch's state before this step.
pub fn steps(file: &CaseFile, device: &Device) {
    for (name, fusion) in [("fused", Fusion::ALL), ("unfused", Fusion::NONE)] {
        let mut failures = Failures::default();
        training_steps(file, device, fusion, &mut failures);
        failures.finish(&format!("{} ({name})", file.name));
    }
}

fn training_steps(file: &CaseFile, device: &Device, fusion: Fusion, failures: &mut Failures) {
    let kind = OptimizerKind::from_name(&file.attribute::<String>("optimizer")).expect("a name");
    let update = UpdateConfig {
        optimizer: kind.with(Hyperparameters {
            momentum: file.attribute("momentum"),
            nesterov: false,
            weight_decay: WeightDecay::of_all(file.attribute("weight_decay")),
        }),
        frozen: file.attribute("frozen"),
        lr_scale: file.attribute("lr_scale"),
        fusion,
        ..UpdateConfig::default()
    };
    let mut tape = Tape::new("network", Mode::Train);
    tape.freeze(&update.frozen);
    // The images of all steps: [steps, N, C, H, W].
    let &[_, n, c, h, w] = &file.tensor("x").shape[..] else { panic!("x: five axes") };
    let x = tape.input("x", ElementType::F32, &[n, h, w, c]);
    let labels = tape.input("labels", ElementType::U32, &[n]);
    let network = by_name(&file.attribute::<String>("network")).expect("a name");
    let network = NetworkConfig::new(network, file.attribute("width"), 10);
    let heads = network.record_heads(&mut tape, x);
    let loss = update.record_training(&mut tape, &heads, labels).loss;

    let layout = tape.state().clone();
    let mut session = device.session(&layout).expect("a session");
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    // The tensors of a buffer in the file, such as `step0.exp_avg.conv1.weight`.
    let kind_of = |buffer| match buffer {
        StateBuffer::Optimizer(_) => layout.name(buffer),
        _ => "param",
    };
    let states = [
        StateBuffer::Parameters,
        StateBuffer::RunningStatistics,
        StateBuffer::Optimizer(0),
        StateBuffer::Optimizer(1),
    ];
    for step in 0..file.attribute("steps") {
        for buffer in states {
            let mut values = vec![0.0; layout.n_elements(buffer)];
            for member in layout.members(buffer) {
                let tensor =
                    file.tensor(&format!("step{step}.{}.{}", kind_of(buffer), member.name));
                let tensor = order(member.layout).to_ours(&tensor.shape, tensor.f32());
                values[member.range()].copy_from_slice(&tensor);
            }
            session.write_state(buffer, &values).expect("written");
        }
        let images = file.tensor("x").at(step);
        let images = Order::Activation.to_ours(&images.shape, images.f32());
        session.write(program, x, &images).expect("written");
        session
            .write_words(program, labels, &file.tensor("target").at(step).u32())
            .expect("written");
        let optimizer = update.optimizer.get().scalars(file.attribute("lr"), step as u64 + 1);
        session.run(program, &StepScalars { optimizer, ..StepScalars::default() }).expect("a run");

        let got = session.read(program, loss).expect("read");
        let (what, expected) = (format!("losses[{step}]"), file.tensor("losses").at(step));
        compare(failures, &what, &expected, &got, Order::Plain, OP_TOLERANCE);
        let gradients = session.read_state(StateBuffer::Gradients).expect("read");
        for member in &layout.parameters {
            let got = &gradients[member.range()];
            if update.frozen.select(&member.name) {
                assert!(got.iter().all(|&gradient| gradient == 0.0), "{}", member.name);
                continue;
            }
            let key = format!("step{step}.grad.{}", member.name);
            let (expected, order) = (file.tensor(&key), order(member.layout));
            compare(failures, &key, expected, got, order, STATE_TOLERANCE);
        }
        for buffer in states {
            let values = session.read_state(buffer).expect("read");
            for member in layout.members(buffer) {
                let key = format!("step{}.{}.{}", step + 1, kind_of(buffer), member.name);
                let (expected, got) = (file.tensor(&key), &values[member.range()]);
                let order = order(member.layout);
                compare(failures, &key, expected, got, order, STATE_TOLERANCE);
            }
        }
    }
}
