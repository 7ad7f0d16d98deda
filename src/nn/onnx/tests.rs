//! Tests of the file's structure. `tests/onnx.rs` runs files.

use super::*;
use crate::nn::NetworkConfig;
use crate::nn::networks::NETWORKS;
use crate::ops::resize::Interpolation;
use crate::ops::{Pool, Window};
use crate::ops::{avg_pool2d as avg, resize};
use crate::tape::{ElementType, Mode, StateBuffer};
use proto::{Graph, Node};

const CHANNELS: usize = 3;

fn form(classes: &[String]) -> Form<'_> {
    Form {
        mean: &[0.5; CHANNELS],
        standard_deviation: &[0.25, 0.125, 1.0],
        classes,
        preprocessing: false,
        fold_batch_norm: false,
    }
}

/// Exports the network that `record` records on images of `plane`, with weights that are 0.
fn exported(
    [h, w]: [usize; 2],
    form: &Form<'_>,
    record: impl FnOnce(&mut Tape, ValueId) -> ValueId,
) -> Result<Model, OnnxError> {
    let mut tape = Tape::new("test", Mode::Eval);
    let x = tape.input("x", ElementType::F32, &[1, h, w, CHANNELS]);
    let logits = record(&mut tape, x);
    let zeros = |buffer| vec![0.0; tape.state().n_elements(buffer)];
    let weights = Weights {
        parameters: zeros(StateBuffer::Parameters),
        running_statistics: zeros(StateBuffer::RunningStatistics),
        n_batches: 0,
    };
    let bytes = export(&tape, x, logits, &weights, form)?;
    Ok(Model::decode(&*bytes).expect("a message"))
}

fn graph(model: Model) -> Graph {
    model.graph.expect("a graph")
}

/// Returns the integers of an attribute.
fn ints(node: &Node, name: &str) -> Vec<i64> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
    attribute.unwrap_or_else(|| panic!("{name}: missing")).ints.clone()
}

#[test]
fn every_network_of_the_list_has_a_translation() {
    for &network in NETWORKS.iter() {
        let side = network.image_rule().smallest;
        for fold_batch_norm in [false, true] {
            let model = exported([side; 2], &Form { fold_batch_norm, ..form(&[]) }, |tape, x| {
                NetworkConfig::new(network, 8, 7).record(tape, x)
            });
            let graph = graph(model.unwrap_or_else(|error| panic!("{network:?}: {error}")));
            let last = graph.node.last().expect("the head");
            assert_eq!(last.output, ["logits"], "{network:?}");
        }
    }
}

#[test]
fn a_batch_norm_behind_a_convolution_is_folded() {
    let network = crate::nn::networks::by_name("resnet9").expect("a name");
    let operators = |fold_batch_norm| {
        let form = Form { fold_batch_norm, ..form(&[]) };
        let model =
            exported([32; 2], &form, |tape, x| NetworkConfig::new(network, 8, 7).record(tape, x));
        let nodes = graph(model.expect("a file")).node;
        ["Conv", "BatchNormalization"]
            .map(|kind| nodes.iter().filter(|node| node.op_type == kind).count())
    };
    assert_eq!(operators(false), [8, 8]);
    // A max pool lies between the convolution and the batch norm of layer1, layer2 and layer3.
    assert_eq!(operators(true), [8, 3]);
}

#[test]
fn an_op_without_a_translation_is_named() {
    let error = |record: fn(&mut Tape, ValueId) -> ValueId| {
        exported([5, 7], &form(&[]), record).expect_err("no translation").to_string()
    };
    let adaptive = error(|tape, x| avg::adaptive_avg_pool2d(tape, x, [2, 2]));
    assert!(adaptive.starts_with("avg_pool2d.forward (adaptive, to 2x2"), "{adaptive}");
    // The last window of the rows extends beyond the padding, and ONNX would count that part.
    let pool = Pool { ceil_mode: true, ..Window::square(4, 3, 1).into() };
    let uneven = exported([5, 7], &form(&[]), |tape, x| avg::avg_pool2d(tape, x, pool, true));
    assert!(matches!(uneven, Err(OnnxError::Op { .. })), "{uneven:?}");
    let nearest = error(|tape, x| resize::resize(tape, x, [9, 9], Interpolation::Nearest));
    assert!(nearest.starts_with("resize.forward (to 9x9, nearest)"), "{nearest}");
}

#[test]
fn the_padding_replaces_ceil_mode() {
    let pool = |ceil_mode, padding| Pool { ceil_mode, ..Window::square(3, 2, padding).into() };
    for (pool, plane, pads) in [
        (pool(false, 1), [6, 7], [1, 1, 1, 1]),
        (pool(true, 1), [6, 7], [1, 1, 2, 1]),
        (pool(true, 0), [6, 7], [0, 0, 1, 0]),
        (pool(true, 0), [5, 8], [0, 0, 0, 1]),
    ] {
        let model = exported(plane, &form(&[]), |tape, x| {
            crate::ops::max_pool2d::max_pool2d(tape, x, pool)
        });
        assert_eq!(ints(&graph(model.expect("a file")).node[0], "pads"), pads, "{pool} {plane:?}");
    }
}

#[test]
fn the_metadata_has_commas_between_its_values() {
    let names = ["cat".to_string(), "größerer Hund".to_string()];
    let identity = |tape: &mut Tape, x| crate::ops::relu::relu(tape, x);
    let model = exported([5, 7], &form(&names), identity).expect("a file");
    let entries: Vec<_> =
        model.metadata_props.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
    let expected = [
        ("mean", "0.5,0.5,0.5"),
        ("std", "0.25,0.125,1"),
        ("classes", "cat,größerer Hund"),
        ("image_size", "5,7"),
    ];
    assert_eq!(entries, expected);

    let names = ["cat".to_string(), "dog, small".to_string()];
    let error = exported([5, 7], &form(&names), identity).expect_err("a comma");
    assert_eq!(
        error.to_string(),
        "class \"dog, small\": commas separate the names in the metadata of the file; choose a name without a comma"
    );
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let model = exported([5, 7], &form(&[]), crate::ops::relu::relu).expect("a file");
    let bytes = model.encoded_len();
    assert_eq!(encoded(&model, bytes).expect("it fits").len(), bytes);
    let error = encoded(&model, bytes - 1).expect_err("it does not fit");
    assert_eq!(error, OnnxError::TooLarge { bytes: bytes as u64 });
}
