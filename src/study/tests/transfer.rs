//! The layers that a copy takes, and the training of the others.

use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::StateEntry;

use super::super::transfer;
use super::with_lab;
use crate::study::lab::{Features, Recipe, Task, Trained, layers_up_to, stem_and_stages};

#[test]
fn a_copy_keeps_the_layers_up_to_its_cut_and_trains_the_others() {
    with_lab(&transfer::STUDY, |lab| {
        let task = Task::of_classes(lab.images, &[0, 1, 2, 3, 4]);
        let config = NetworkConfig { classes: 5, ..lab.named("resnet8", 4) };
        let tape = config.tape(lab.images.size().channels_last());
        let end = stem_and_stages(&tape, tape.nodes()[0].inputs[0])[1];
        let end = tape.nodes().iter().position(|node| node.outputs.contains(&end)).expect("a node");
        let copied = layers_up_to(&tape, end).expect("names");
        let names =
            ["conv1.weight", "bn1.bias", "layer1.0.conv2.weight", "layer1.0.bn2.running_var"];
        assert!(names.iter().all(|name| copied.select(name)), "{copied}");
        let names = ["layer2.0.conv1.weight", "layer3.0.bn2.running_mean", "linear.weight"];
        assert!(!names.iter().any(|name| copied.select(name)), "{copied}");

        let mut base = Trained::empty(lab, config).expect("a network");
        base.weights = Weights::initial(&base.layout, 8);
        base.weights.running_statistics.iter_mut().for_each(|value| *value += 0.25);
        let recipe = Recipe { network: "", width: 4, batch_size: 8, n_steps: 2 };
        let (mut copy, _) =
            task.train(lab, config, recipe, 9, Some((&base, copied.clone()))).expect("trained");
        let members = base.layout.parameters.iter().chain(&base.layout.running_statistics);
        let names: Vec<String> = members.map(|member: &StateEntry| member.name.clone()).collect();
        for name in names {
            let is_same = copy.member(&name) == base.member(&name);
            assert_eq!(is_same, copied.select(&name), "{name}");
        }
    });
}

#[test]
fn a_task_has_its_classes_alone() {
    with_lab(&transfer::STUDY, |lab| {
        let task = Task::of_classes(lab.images, &[7, 2]);
        let all = &lab.images.train().labels;
        let n = all.iter().filter(|&&label| label == 7 || label == 2).count();
        let first = all.iter().find(|&&label| label == 7 || label == 2).expect("an image");
        assert_eq!(task.train.len(), n);
        assert_eq!(task.train.labels[0], if *first == 7 { 0 } else { 1 });
        assert_eq!(Task::of_turns(lab.images).train.labels[..5], [0, 1, 2, 3, 0]);
    });
}

#[test]
fn features_are_those_of_all_images() {
    with_lab(&transfer::STUDY, |lab| {
        let network = Trained::empty(lab, lab.named("resnet8", 4)).expect("a network");
        let train = lab.images.train();
        // 130 images fill one batch of 100 and a part of another one.
        let many = train.select(&(0..130).map(|ix| ix % 40).collect::<Vec<_>>());
        let few = Features::of(lab, &network, train).expect("features");
        let many = Features::of(lab, &network, &many).expect("features");
        for (few, many) in few.iter().zip(&many) {
            assert_eq!(many.classes.len(), 130);
            assert_eq!(many.classes[120..], few.classes[..10]);
            for (a, b) in many.values[120 * few.length..].iter().zip(&few.values) {
                assert!((a - b).abs() < 1e-5, "{a} and {b}");
            }
        }
    });
}
