//! A layer of a block is frozen while its neighbour is trained: a convolution in front of a trained batch norm, and a
//! trained convolution in front of a frozen batch norm.

mod common;

use std::sync::Arc;

use wgrad::data::shapes;
use wgrad::device::cpu::CpuDevice;
use wgrad::device::{Device, LoadOptions, OpenOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::layers::{self, Conv};
use wgrad::nn::networks::by_name;
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, StateBuffer, Storage, Tape, ValueId};
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

/// The step of the central differences. It is so small that no ReLU decides differently.
const STEP: f64 = 1e-7;
/// The bound on the difference between a gradient and its central difference, relative to the largest gradient.
const TOLERANCE: f64 = 1e-6;

const SHAPE: [usize; 4] = [3, 6, 5, 3];
const N_LOGITS: usize = 3 * 2;

/// Records two blocks and a head. Returns the image and the logits.
fn record(tape: &mut Tape) -> [ValueId; 2] {
    let image = tape.input("image", ElementType::F32, &SHAPE);
    let mut y = image;
    for block in ["1", "2"] {
        y = layers::conv2d(tape, &format!("conv{block}"), y, 4, Conv::default());
        y = layers::batch_norm(tape, &format!("bn{block}"), y);
        y = layers::relu(tape, &format!("relu{block}"), y);
    }
    let y = layers::global_avg_pool2d(tape, "pool", y);
    let y = layers::flatten(tape, "flatten", y);
    [image, layers::linear(tape, "fc", y, 2, true)]
}

/// Returns the parameters of a tape: the name and the value of each.
fn parameters(tape: &Tape) -> Vec<(String, ValueId)> {
    let is_parameter = |id: &ValueId| {
        matches!(tape.value(*id).storage, Storage::State { buffer: StateBuffer::Parameters, .. })
    };
    let mut ids: Vec<_> = tape
        .nodes()
        .iter()
        .flat_map(|node| node.inputs.iter().copied())
        .filter(is_parameter)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| (tape.value(id).name.clone(), id)).collect()
}

/// In f64 each gradient of a trained parameter is a central difference of the same step, and a frozen parameter has none.
#[test]
fn gradients_beside_frozen_layers_agree_with_central_differences() {
    for fusion in [Fusion::NONE, Fusion::ALL] {
        for frozen in [
            "conv1",
            "bn1",
            "conv2",
            "bn2",
            "conv1,bn2",
            "bn1,conv2",
            "conv1.weight,bn1.bias,fc.weight",
        ] {
            let mut tape = Tape::new("test", Mode::Train);
            tape.freeze(&frozen.parse().expect("a list"));
            let [image, logits] = record(&mut tape);
            passes::fuse(&mut tape, fusion);
            let d_logits = tape.input("d_logits", ElementType::F32, &[3, 2]);
            let gradients = passes::backward_from(&mut tape, &[(logits, d_logits)]);
            let parameters = parameters(&tape);
            assert_eq!(parameters.len(), 8);
            let mut pairs = Vec::new();
            for (name, id) in parameters {
                let gradient = gradients.get(id);
                assert_eq!(
                    gradient.is_none(),
                    tape.is_frozen(&name),
                    "{name} with frozen {frozen}"
                );
                pairs.extend(gradient.map(|gradient| (name, id, gradient)));
            }
            pairs.iter().for_each(|(_, _, gradient)| tape.keep(*gradient));
            tape.keep(logits);
            passes::eliminate_dead(&mut tape);
            let tape = Arc::new(tape);

            let mut session = CpuDevice::default().session::<f64>(tape.state());
            let program = session.load(&tape, LoadOptions::default()).expect("a program");
            let mut weights = Weights::initial(tape.state(), 1);
            // Batch norms begin with the weight 1 and the variance 1, which could hide a missing factor.
            for values in [&mut weights.parameters, &mut weights.running_statistics] {
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(ix, v)| *v = *v * 0.7 + 0.3 * (ix as f32).sin());
            }
            weights.running_statistics.iter_mut().for_each(|v| *v = v.abs() + 0.25);
            session.write_state(StateBuffer::Parameters, &weights.parameters).expect("written");
            session
                .write_state(StateBuffer::RunningStatistics, &weights.running_statistics)
                .expect("written");
            let pixels: Vec<f32> =
                (0..SHAPE.iter().product()).map(|ix: usize| (1.7 * ix as f32).sin()).collect();
            session.write(program, image, &pixels).expect("written");
            let upstream: [f32; N_LOGITS] = std::array::from_fn(|ix| (2.3 * ix as f32 + 1.0).cos());
            session.write(program, d_logits, &upstream).expect("written");

            for (name, id, gradient) in pairs {
                let values = session.read_real(program, id);
                let mut at = |moved: &[f64]| {
                    session.write_real(program, id, moved);
                    session.run(program, &StepScalars::default()).expect("a run");
                    let logits = session.read_real(program, logits);
                    let loss: f64 =
                        logits.iter().zip(upstream).map(|(z, d)| z * f64::from(d)).sum();
                    (loss, session.read_real(program, gradient))
                };
                let analytic = at(&values).1;
                let largest = analytic.iter().fold(0.0_f64, |a, g| a.max(g.abs()));
                assert!(largest > 1e-3, "{name}: the gradient is at most {largest}");
                for ix in (0..values.len()).step_by(values.len().div_ceil(20)) {
                    let mut moved = |offset: f64| {
                        let mut moved = values.clone();
                        moved[ix] += offset;
                        at(&moved).0
                    };
                    let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                    assert!(
                        (numeric - analytic[ix]).abs() <= TOLERANCE * largest.max(1.0),
                        "{frozen} frozen, {fusion:?}: the gradient of {name} at {ix} is {}, differences give {numeric}",
                        analytic[ix]
                    );
                }
                at(&values);
            }
        }
    }
}

/// A frozen weight changes nothing else in a step: all other parameters, moments and statistics have the bits of the step
/// with nothing frozen.
#[test]
fn parameters_beside_a_frozen_convolution_have_the_bits_of_the_whole_step() {
    let network = by_name("resnet20").expect("a network");
    let images = shapes::draw_train(0, 8);
    let numbers: Vec<u32> = (0..8).collect();
    for device in [Device::cpu(OpenOptions::default()), common::open(OpenOptions::default())] {
        let end = |frozen: Option<&str>| {
            let mut config = StepConfig::new(NetworkConfig::new(network, 8, 10), 8);
            if let Some(frozen) = frozen {
                config.update.frozen = frozen.parse().expect("a list");
            }
            let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
            let start = trainer.state.snapshot().expect("a snapshot");
            trainer.step(&images, &numbers, 0, 0.01).expect("a step");
            (start, trainer.state.snapshot().expect("a snapshot"), trainer.state.layout.clone())
        };
        let (_, whole, _) = end(None);
        for frozen in ["conv1", "layer2.0.conv2", "layer3.1.conv1,layer1.2.conv2"] {
            let (start, end, layout) = end(Some(frozen));
            let names: Vec<&str> = frozen.split(',').collect();
            for (ix, buffer) in wgrad::train::Snapshot::BUFFERS.into_iter().enumerate() {
                for member in layout.members(buffer) {
                    let name = &member.name;
                    let is_frozen =
                        names.iter().any(|frozen| name.starts_with(&format!("{frozen}.")));
                    let expected = if is_frozen { &start } else { &whole };
                    let [found, expected] =
                        [&end, expected].map(|state| &state.buffers[ix][member.range()]);
                    let is_same =
                        found.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(
                        is_same,
                        "{frozen} frozen, {name} in {}, on {}",
                        buffer.name(),
                        device.name()
                    );
                }
            }
        }
    }
}
