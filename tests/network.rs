//! The network: its parameters, its layer table, its number of multiply-adds, and its weights files.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::SafeTensors;
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::networks::by_name;
use wgrad::nn::{self, NetworkConfig, ResNet9, Weights};
use wgrad::ops::adam::Adam;
use wgrad::ops::cross_entropy;
use wgrad::ops::optimizer::Optimizer;
use wgrad::passes::Work;
use wgrad::passes::print::listing;
use wgrad::passes::{self, Plan, PlanOptions};
use wgrad::tape::{ElementType, Mode, Node, Phase, Tape};
use wgrad::train::{Model, ModelConfig};

/// Records the network with its loss on a batch. A training tape also gets the backward pass and the updates.
fn record(mode: Mode, width: usize, batch: usize) -> Tape {
    let mut tape = Tape::new("resnet9", mode);
    let x = tape.input("x", ElementType::F32, &[batch, 32, 32, 3]);
    let logits = nn::resnet9(&mut tape, x, ResNet9 { width, classes: 10 });
    tape.keep(logits);
    if mode == Mode::Train {
        let labels = tape.input("labels", ElementType::U32, &[batch]);
        let loss = cross_entropy::cross_entropy(&mut tape, logits, labels, 0.0).loss;
        passes::backward(&mut tape, loss);
        tape.in_phase(Phase::Update, |tape| Adam::default().record(tape));
        passes::eliminate_dead(&mut tape);
    }
    tape.optimizer_state(Adam::default().state());
    tape
}

#[test]
fn the_network_has_6_573_120_parameters() {
    assert_eq!(record(Mode::Train, 64, 1).state().n_parameters(), 6_573_120);
}

/// Networks do not assume square images, three channels or ten classes: two of them train on `[20, 24, 1]`, 7 classes.
#[test]
fn resnet9_and_resnet20_train_on_images_of_another_shape() {
    let device = Device::cpu(OpenOptions::default());
    let config = ModelConfig::new(&[20, 24, 1], 7);
    let labels: Vec<u32> = (0..7).collect();
    let x: Vec<f32> = (0..7 * 20 * 24).map(|ix| (ix as f32 * 0.37).sin()).collect();
    for network in ["resnet9", "resnet20"] {
        let network = NetworkConfig::new(by_name(network).expect("a network"), 4, 7);
        let record = |tape: &mut Tape, x| network.record(tape, x);
        let mut model = Model::new(&device, &config, record).expect("a model");
        let mut losses = Vec::new();
        for _ in 0..12 {
            model.train_step(&x, &labels, 0.01).expect("a step");
            losses.push(model.state.take_metrics().expect("metrics").loss());
        }
        assert!(losses[11] < 0.5 * losses[0], "{network}: {losses:?}");
        assert_eq!(model.predict(&x).expect("logits").len(), 7 * 7);
    }
}

#[test]
fn training_and_evaluation_share_one_state() {
    assert_eq!(record(Mode::Train, 8, 2).state(), record(Mode::Eval, 8, 3).state());
}

/// The names and shapes of the weights equal those of the model that PyTorch saved.
#[test]
fn members_have_pytorchs_names_and_shapes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resnet9_00.safetensors");
    let bytes = std::fs::read(path).expect("the project's own file");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let theirs: BTreeSet<(String, Vec<usize>)> = file
        .iter()
        .filter_map(|(name, view)| Some((name.strip_prefix("step0.param.")?, view)))
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .map(|(name, view)| (name.to_string(), view.shape().to_vec()))
        .collect();
    let tape = record(Mode::Train, 4, 1);
    let members = tape.state().parameters.iter().chain(&tape.state().running_statistics);
    let ours: BTreeSet<(String, Vec<usize>)> =
        members.map(|m| (m.name.clone(), m.layout.torch_shape(&m.shape))).collect();
    assert_eq!(ours, theirs);
}

/// Returns the work of convolutions and linear layers, in multiply-adds.
fn multiply_adds(tape: &Tape, phase: Phase) -> u64 {
    let product = |node: &Node| {
        let name = node.op.name();
        node.phase == phase && (name.starts_with("conv2d") || name.starts_with("linear"))
    };
    Work::sum_of(tape, product).flops / 2
}

#[test]
fn the_network_does_the_expected_work() {
    let batch = 3;
    let tape = record(Mode::Train, 64, batch);
    let forward = multiply_adds(&tape, Phase::Forward) / batch as u64;
    assert_eq!(forward, 379_261_952);
    // The backward pass does twice the work of the forward pass, minus the gradient of the images, which no node reads.
    let images = 32 * 32 * 9 * 3 * 64;
    let backward = multiply_adds(&tape, Phase::Backward) / batch as u64;
    assert_eq!(backward, 2 * forward - images);
    let gflop = 2.0 * (forward + backward) as f64 / 1e9;
    assert_eq!(format!("{gflop:.3}"), "2.272");
}

/// The table equals torchsummary's for the same network, character for character.
#[test]
fn the_layer_table_equals_torchsummarys() {
    assert_eq!(
        nn::summary(ResNet9 { width: 64, classes: 10 }, [32, 32, 3]),
        include_str!("fixtures/torchsummary_64.txt")
    );
    assert_eq!(
        nn::summary(ResNet9 { width: 16, classes: 10 }, [32, 32, 3]),
        include_str!("fixtures/torchsummary_16.txt")
    );
}

#[test]
fn the_listing_has_every_node_and_stays_narrow() {
    let tape = record(Mode::Train, 64, 512);
    let text = listing(&tape, &Plan::new(&tape, PlanOptions::default()), 512);
    for node in tape.nodes() {
        assert!(text.contains(&node.label()), "{} is missing", node.label());
    }
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(160), "{widest:?} columns");
}

#[test]
fn the_drawing_shows_every_block_and_both_residual_paths() {
    let text = wgrad::passes::draw::draw(&record(Mode::Train, 64, 512));
    for block in ["prep", "layer1", "res1", "layer2", "layer3", "res2", "fc"] {
        assert!(text.contains(&format!(">{block}</text>")), "{block} is missing");
    }
    assert_eq!(text.matches("class=\"skip\"").count(), 2);
}

#[test]
fn weights_of_another_width_are_rejected() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let (small, large) = (record(Mode::Eval, 4, 1), record(Mode::Eval, 8, 1));
    Weights::initial(small.state(), 1).save(small.state(), None, &path).expect("written");
    let error = Weights::load(large.state(), &path).expect_err("they do not fit");
    let text = error.to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    assert!(text.contains("the file has width 4, and the network has width 8"), "{text}");
    assert!(text.contains("prep.0.weight: shape [4, 3, 3, 3], expected [8, 3, 3, 3]"), "{text}");
    assert!(text.ends_with(" more like this") && text.lines().count() == 7, "{text}");
}

/// The rows that fill up the last batch do not count, and `predict` returns the logits from which the loss is computed.
#[test]
fn a_model_counts_every_input_once() {
    let device = Device::cpu(OpenOptions::default());
    let config = ModelConfig::new(&[6], 4);
    let network = |tape: &mut Tape, x| nn::linear(tape, "fc", x, 3, true);
    let mut model = Model::new(&device, &config, network).expect("a model");
    let x: Vec<f32> = (0..7 * 6).map(|ix| (ix as f32 * 0.7).sin()).collect();
    let labels = [0, 1, 2, 0, 1, 2, 0];

    let before = model.evaluate(&x, &labels).expect("an evaluation");
    assert_eq!(before.n_images, 7.0);
    let logits = model.predict(&x[..4 * 6]).expect("logits");
    assert_eq!(logits.len(), 4 * 3);
    let expected = logits[0..3].iter().map(|z| z.exp()).sum::<f32>().ln() - logits[0];
    let alone = model.evaluate(&x[..6], &labels[..1]).expect("an evaluation").loss();
    assert!((alone - f64::from(expected)).abs() < 1e-5, "{alone}, expected {expected}");

    for _ in 0..50 {
        model.train_step(&x[..4 * 6], &labels[..4], 0.1).expect("a step");
    }
    assert_eq!(model.state.take_metrics().expect("metrics").n_images, 200.0);
    assert!(model.evaluate(&x[..4 * 6], &labels[..4]).expect("an evaluation").loss() < 0.5);
    assert_eq!(model.state.member("fc.bias").expect("read").len(), 3);
    assert_eq!(model.state.weights().expect("read").n_batches, 50);
}
