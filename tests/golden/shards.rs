//! Steps over shards: the gradients are added in a tree, and one update follows.

use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, Session};
use wgrad::distributed::tree::{Carry, carries};
use wgrad::kernel::StepScalars;
use wgrad::nn::{NetworkConfig, ResNet9};
use wgrad::ops::metrics::Metrics;
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, StateBuffer, StateLayout, Tape};
use wgrad::train::UpdateConfig;

use crate::bench::compare;
use crate::case_file::CaseFile;
use crate::compare::{Failures, Order};
use crate::network::{order, write_state};
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
    let n_shards: usize = file.attribute("shards");
    let update = UpdateConfig { n_shards, fusion, ..UpdateConfig::default() };
    let mut tape = Tape::new("network", Mode::Train);
    // The images of all steps: [steps, N, C, H, W].
    let &[_, n, c, h, w] = &file.tensor("x").shape[..] else { panic!("x: five axes") };
    let rows = n / n_shards;
    let x = tape.input("x", ElementType::F32, &[rows, h, w, c]);
    let labels = tape.input("labels", ElementType::U32, &[rows]);
    let network = NetworkConfig::from(ResNet9 { width: file.attribute("width"), classes: 10 });
    let heads = network.record_heads(&mut tape, x);
    tape.keep(heads.logits);
    update.record_training(&mut tape, &heads, labels);
    let of_all = passes::split_update(&mut tape);

    let layout = tape.state().clone();
    let mut session = device.session(&layout).expect("a session");
    let load = |session: &mut dyn Session, tape| {
        session.load(&Arc::new(tape), LoadOptions::default()).expect("a program")
    };
    let of_shard = load(&mut *session, tape);
    let of_all = load(&mut *session, of_all);
    for step in 0..file.attribute("steps") {
        write_state(file, step, &layout, &mut *session);
        let images = file.tensor("x").at(step);
        let images = Order::Activation.to_ours(&images.shape, images.f32());
        let target = file.tensor("target").at(step).u32();
        let mut logits = Vec::new();
        for (shard, carry) in carries(n_shards, 0..n_shards).iter().enumerate() {
            let pixels = &images[shard * rows * h * w * c..][..rows * h * w * c];
            session.write(of_shard, x, pixels).expect("written");
            session
                .write_words(of_shard, labels, &target[shard * rows..][..rows])
                .expect("written");
            let Carry { added_levels, stored_level, .. } = *carry;
            let scalars = StepScalars { added_levels, stored_level, ..StepScalars::default() };
            session.run(of_shard, &scalars).expect("a run");
            logits.extend(session.read(of_shard, heads.logits).expect("read"));
        }
        let optimizer = update.optimizer.get().scalars(file.attribute("lr"), step as u64 + 1);
        session.run(of_all, &StepScalars { optimizer, ..StepScalars::default() }).expect("a run");

        let metrics = session.read_state(StateBuffer::Metrics).expect("read");
        session.write_state(StateBuffer::Metrics, &vec![0.0; metrics.len()]).expect("written");
        let loss = [Metrics::from_slice(&metrics).loss() as f32];
        for (key, got) in [("losses", &loss[..]), ("logits", &logits)] {
            let (what, expected) = (format!("{key}[{step}]"), file.tensor(key).at(step));
            compare(failures, &what, &expected, got, Order::Plain, OP_TOLERANCE);
        }
        compare_state(file, step, &layout, &mut *session, failures);
    }
}

/// Compares the gradients of a step, and the state after it.
fn compare_state(
    file: &CaseFile,
    step: usize,
    layout: &StateLayout,
    session: &mut dyn Session,
    failures: &mut Failures,
) {
    for (buffer, kind, step) in [
        (StateBuffer::Gradients, "grad", step),
        (StateBuffer::Parameters, "param", step + 1),
        (StateBuffer::RunningStatistics, "param", step + 1),
        (StateBuffer::Optimizer(0), "exp_avg", step + 1),
        (StateBuffer::Optimizer(1), "exp_avg_sq", step + 1),
    ] {
        let values = session.read_state(buffer).expect("read");
        for member in layout.members(buffer) {
            let key = format!("step{step}.{kind}.{}", member.name);
            let (expected, got) = (file.tensor(&key), &values[member.range()]);
            compare(failures, &key, expected, got, order(member.layout), STATE_TOLERANCE);
        }
    }
}
