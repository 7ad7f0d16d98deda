//! Tests of the residual networks whose joints a study may change.

use wgrad::tape::{ElementType, Mode, StateEntry, Tape};

use crate::study::lab::Probe;
use crate::study::lab::residual::{Join, Order, Residual, plain, sum};
use crate::study::tests::{named, with_lab};

#[test]
fn an_open_network_is_the_network_of_the_library() {
    let nets: [(&str, Order, Join<'_>); 3] = [
        ("resnet14", Order::After, &sum),
        ("plain14", Order::After, &plain),
        ("preact14", Order::Before, &sum),
    ];
    with_lab(named("gradient-flow"), |lab| {
        for (name, order, join) in nets {
            let library = lab.named(name, 4);
            let network = Residual { order, n_blocks: 2, has_batch_norm: true, join };
            let logits = [false, true].map(|is_library| {
                let mut probe =
                    Probe::new(lab.device, Mode::Train, &[3, 16, 16, 3], |tape, x, _| {
                        vec![match is_library {
                            true => library.record(tape, x),
                            false => network.record(tape, x, 4, library.classes).logits,
                        }]
                    })
                    .expect("compiled");
                probe.initialise(5).expect("initialised");
                let x: Vec<f32> = (0..3 * 16 * 16 * 3).map(|ix| (ix as f32).sin()).collect();
                let entry = |entry: &StateEntry| (entry.name.clone(), entry.shape.clone());
                let members: Vec<_> = probe.layout().parameters.iter().map(entry).collect();
                (members, probe.run(&x, &[0; 3]).expect("computed"))
            });
            assert_eq!(logits[0], logits[1], "{name}");
        }
    });
}

#[test]
fn a_network_without_batch_norm_has_convolutions_and_a_linear_layer_alone() {
    let network = Residual { order: Order::Before, n_blocks: 1, has_batch_norm: false, join: &sum };
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[1, 8, 8, 3]);
    let recorded = network.record(&mut tape, x, 2, 10);
    assert_eq!(recorded.names, ["layer1.0", "layer2.0", "layer3.0"]);
    assert_eq!(tape.shape(*recorded.branches.last().expect("a block")), [1, 2, 2, 8]);
    assert_eq!(tape.state().parameters.len(), 1 + 3 * 2 + 2);
}

#[test]
fn names_of_other_residual_networks_are_refused() {
    assert_eq!(Residual::find("resnet56"), Some((Order::After, 9)));
    assert_eq!(Residual::find("preact20"), Some((Order::Before, 3)));
    for name in ["resnet50", "resnet9", "preact164", "resnet20-b", "plain20", "resnet2"] {
        assert_eq!(Residual::find(name), None, "{name}");
    }
}
