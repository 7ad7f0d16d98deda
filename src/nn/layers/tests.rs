//! Tests of the layers: names, shapes and initial values of their parameters.

use super::*;
use crate::tape::ElementType;

/// Returns a tape with a convolution, a batch norm, a flatten and a linear layer.
fn record(mode: Mode) -> Tape {
    let mut tape = Tape::new("test", mode);
    let x = tape.input("x", ElementType::F32, &[2, 8, 6, 4]);
    let conv = Conv { groups: 2, bias: true, ..Conv::square(5, 2, 2) };
    let x = conv2d(&mut tape, "a", x, 6, conv);
    assert_eq!(tape.shape(x), [2, 4, 3, 6]);
    let x = batch_norm(&mut tape, "b", x);
    let x = flatten(&mut tape, "c", x);
    let x = linear(&mut tape, "d", x, 5, true);
    assert_eq!(tape.shape(x), [2, 5]);
    tape
}

#[test]
fn members_have_pytorchs_names_shapes_and_initialisation() {
    let tape = record(Mode::Train);
    let state = tape.state();
    let of = |members: &[crate::tape::StateEntry]| {
        members.iter().map(|m| m.name.clone()).collect::<Vec<_>>()
    };
    let parameters = ["a.weight", "a.bias", "b.weight", "b.bias", "d.weight", "d.bias"];
    assert_eq!(of(&state.parameters), parameters);
    assert_eq!(of(&state.running_statistics), ["b.running_mean", "b.running_var"]);
    let uniform = Initializer::Uniform { fan_in: 5 * 5 * 2 };
    assert_eq!(state.parameters[0].shape, [5, 5, 2, 6]);
    assert_eq!(state.parameters[0].initializer, uniform);
    assert_eq!(state.parameters[1].initializer, uniform);
    assert_eq!(state.parameters[4].shape, [72, 5]);
    assert_eq!(state.parameters[5].initializer, Initializer::Uniform { fan_in: 72 });
}

/// PyTorch's `_calculate_fan_in_and_fan_out` gives 36 and 54 for this convolution, whose weight is `[6, 4, 3, 3]`.
#[test]
fn normal_weights_have_pytorchs_standard_deviations() {
    let deviation = |init| {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 8, 6, 8]);
        conv2d(&mut tape, "a", x, 6, Conv { groups: 2, init, ..Conv::default() });
        match tape.state().parameters[0].initializer {
            Initializer::Normal { standard_deviation } => standard_deviation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(deviation(Init::KaimingNormal), (2.0_f64 / 36.0).sqrt());
    assert_eq!(deviation(Init::KaimingNormalFanOut), (2.0_f64 / 54.0).sqrt());
    assert_eq!(deviation(Init::Normal { standard_deviation: 0.01 }), 0.01);
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[2, 8]);
    let init = Init::KaimingNormalFanOut;
    linear_with(&mut tape, "a", x, 5, Linear { init, ..Linear::default() });
    let expected = Initializer::Normal { standard_deviation: (2.0_f64 / 5.0).sqrt() };
    assert_eq!(tape.state().parameters[0].initializer, expected);
}

#[test]
fn a_batch_norm_has_its_eps_and_initial_weight_in_both_modes() {
    for (mode, attributes) in [(Mode::Train, "eps 0.001"), (Mode::Eval, "eps 0.001")] {
        let mut tape = Tape::new("test", mode);
        let x = tape.input("x", ElementType::F32, &[2, 3, 3, 4]);
        batch_norm_with(&mut tape, "a", x, BatchNorm { eps: 1e-3, initial_weight: 0.0 });
        assert_eq!(tape.nodes()[0].op.attributes(), attributes);
        assert_eq!(tape.state().parameters[0].initializer, Initializer::Constant(0.0));
    }
}

#[test]
fn dropout_is_recorded_in_training_only() {
    for (mode, p, n_nodes) in [(Mode::Train, 0.5, 1), (Mode::Train, 0.0, 0), (Mode::Eval, 0.5, 0)] {
        let mut tape = Tape::new("test", mode);
        let x = tape.input("x", ElementType::F32, &[2, 8]);
        let numbers = tape.input("numbers", ElementType::U32, &[2]);
        tape.set_image_numbers(numbers);
        let y = dropout(&mut tape, "drop", x, p);
        assert_eq!((tape.nodes().len(), y == x), (n_nodes, n_nodes == 0));
    }
}

#[test]
#[should_panic(expected = "drop: dropout reads the numbers of the images")]
fn dropout_needs_image_numbers() {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[2, 8]);
    dropout(&mut tape, "drop", x, 0.5);
}

#[test]
fn both_modes_share_one_state() {
    assert_eq!(record(Mode::Train).state(), record(Mode::Eval).state());
}

#[test]
fn labels_of_nodes_begin_with_the_layers_name() {
    let tape = record(Mode::Eval);
    assert!(tape.nodes()[0].label().starts_with("a.conv2d"), "{}", tape.nodes()[0].label());
}
