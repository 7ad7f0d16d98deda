//! Tests of the list of networks. `tests/family.rs` compares the networks with PyTorch.

use super::*;
use crate::passes::Work;

fn network(name: &str) -> NetworkRef {
    by_name(name).expect("a name")
}

/// Returns the network with its published sizes.
fn published(name: &str) -> NetworkConfig {
    let network = network(name);
    NetworkConfig::new(network, network.default_width(), network.default_classes())
}

/// The published numbers, or those of torchvision 0.29 and timm 1.0; without auxiliary heads.
const PARAMETERS: &[(&str, usize)] = &[
    ("resnet9", 6_573_120),
    ("resnet20", 269_722),
    ("resnet32", 464_154),
    ("resnet44", 658_586),
    ("resnet56", 853_018),
    ("resnet110", 1_727_962),
    ("resnet1202", 19_421_274),
    ("resnet20-b", 272_474),
    ("resnet56-b", 855_770),
    ("resnet110-b", 1_730_714),
    ("plain20", 269_722),
    ("plain110", 1_727_962),
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("resnet50c", 25_576_264),
    ("resnet18d", 11_708_744),
    ("resnet34d", 21_816_904),
    ("resnet50d", 25_576_264),
    ("resnet101d", 44_568_392),
    ("resnet152d", 60_212_040),
    ("resnet18-cifar", 11_173_962),
    ("resnet34-cifar", 21_282_122),
    ("resnet50-cifar", 23_520_842),
    ("resnet101-cifar", 42_512_970),
    ("resnet152-cifar", 58_156_618),
    ("wide_resnet50_2", 68_883_240),
    ("wide_resnet101_2", 126_886_696),
    ("wrn-16-1", 175_066),
    ("wrn-16-2", 691_674),
    ("wrn-16-4", 2_748_890),
    ("wrn-16-8", 10_961_370),
    ("wrn-22-8", 17_158_106),
    ("wrn-28-10", 36_479_194),
    ("wrn-40-2", 2_243_546),
    ("wrn-40-4", 8_949_210),
    ("wrn-40-10", 55_841_754),
    ("wrn-28-10-dropout", 36_479_194),
    ("resnext50_32x4d", 25_028_904),
    ("resnext101_32x8d", 88_791_336),
    ("resnext101_64x4d", 83_455_272),
    ("resnext29-8x64d", 34_426_698),
    ("resnext29-16x64d", 68_155_210),
    ("resnext29-32x4d", 4_775_754),
    ("resnext29-2x64d", 9_130_314),
    ("resnext29-1x64d", 4_914_250),
    ("preact110", 1_727_962),
    ("preact164", 1_703_258),
    ("preact1001", 10_327_706),
    ("resnetv2_18", 11_687_720),
    ("resnetv2_34", 21_795_880),
    ("resnetv2_50", 25_549_352),
    ("resnetv2_101", 44_541_480),
    ("resnetv2_152", 60_185_128),
    ("resnetv2_50d", 25_568_584),
    ("res2net50_26w_4s", 25_699_120),
    ("res2net50_14w_8s", 25_059_816),
    ("res2net50_26w_6s", 37_051_448),
    ("res2net50_26w_8s", 48_403_776),
    ("res2net50_48w_2s", 25_287_304),
    ("res2net101_26w_4s", 45_206_688),
    ("res2next50", 24_671_464),
    ("res2net50d", 25_718_352),
    ("res2next29-6cx24wx4s", 23_613_482),
    ("res2next29-8cx25wx4s", 32_865_186),
    ("res2next29-6cx24wx6s", 36_053_930),
    ("pyramid110-a48", 1_772_706),
    ("pyramid110-a84", 3_904_446),
    ("pyramid110-a270", 28_485_477),
    ("pyramid164b-a48", 1_715_442),
    ("pyramid164b-a84", 3_757_494),
    ("pyramid164b-a270", 27_216_021),
    ("pyramid200b-a240", 26_752_702),
    ("pyramid236b-a220", 26_969_046),
    ("pyramid272b-a200", 26_210_842),
    ("attention56", 31_810_728),
    ("attention92", 52_466_344),
    ("googlenet", 6_624_904),
    ("inception_v3", 23_834_568),
    ("tresnet_m", 31_389_032),
    ("tresnet_l", 55_989_256),
];

#[test]
fn the_networks_have_their_published_numbers_of_parameters() {
    for &(name, n_parameters) in PARAMETERS {
        let config = published(name);
        let tape = config.tape(config.network.default_image());
        assert_eq!(tape.state().n_parameters(), n_parameters, "{name}");
    }
}

#[test]
fn the_auxiliary_heads_have_their_published_numbers_of_parameters() {
    for (name, n_parameters) in [("googlenet", 13_004_888), ("inception_v3", 27_161_264)] {
        let config = published(name);
        let image = config.network.default_image();
        let tape = config.with_auxiliary(image).tape(image);
        assert_eq!(tape.state().n_parameters(), n_parameters, "{name}");
    }
    assert!(!published("inception_v3").with_auxiliary([298, 299, 3]).auxiliary);
}

/// Returns the multiplications of convolutions and linear layers for one image, in units of 10^9.
fn multiplications(name: &str) -> f64 {
    let config = published(name);
    let tape = config.tape(config.network.default_image());
    let is_product = |name: &str| name.starts_with("conv2d") || name.starts_with("linear");
    Work::sum_of(&tape, |node| is_product(node.op.name())).flops as f64 / 2e9
}

#[test]
fn the_networks_do_the_published_work() {
    // The multiplications of ResNet-20 were counted by hand from the paper's table.
    assert_eq!((1e9 * multiplications("resnet20")) as usize, 40_550_400 + 640);
    for (name, giga) in [
        ("resnet18", "1.81"),
        ("resnet34", "3.66"),
        ("resnet50", "4.09"),
        ("resnet101", "7.80"),
        ("resnet152", "11.51"),
        ("resnet50d", "4.33"),
        ("wide_resnet50_2", "11.40"),
        ("wide_resnet101_2", "22.75"),
        ("resnext50_32x4d", "4.23"),
        ("resnext101_32x8d", "16.41"),
        ("resnetv2_50", "4.09"),
        ("res2net50_26w_4s", "4.26"),
        ("googlenet", "1.50"),
        ("inception_v3", "5.71"),
    ] {
        assert_eq!(format!("{:.2}", multiplications(name)), giga, "{name}");
    }
}

#[test]
fn each_network_names_its_stem_and_its_head() {
    for &network in NETWORKS.iter() {
        let config = NetworkConfig::new(network, network.default_width() / 2, 7);
        let tape = config.tape(network.default_image());
        let state = tape.state();
        let members = shapes(state.parameters.iter().chain(&state.running_statistics));
        assert_eq!(size_of(network, &members), [Some(config.width), Some(7)], "{network:?}");
    }
}

#[test]
fn a_network_is_recognised_by_the_names_and_shapes_of_its_tensors() {
    for name in ["resnet9", "resnet20", "resnet50", "wide_resnet50_2", "googlenet", "tresnet_m"] {
        let network = network(name);
        for image in [network.default_image(), [64, 64, 1]] {
            let config = NetworkConfig::new(network, 24, 7).with_auxiliary(network.default_image());
            let tape = config.tape(image);
            let state = tape.state();
            let members = shapes(state.parameters.iter().chain(&state.running_statistics));
            assert_eq!(recognise(&members), Some(config));
            let mut fewer = members.clone();
            fewer.pop_last();
            assert_eq!(recognise(&fewer), None);
        }
    }
}

#[test]
fn an_unknown_name_has_the_nearest_name() {
    assert_eq!(network("resnet20").name(), "resnet20");
    assert_eq!(network("wrn-22-2").default_image(), [32, 32, 3]);
    let error = by_name("resnet57").expect_err("no such network");
    assert!(error.contains("did you mean resnet5"), "{error}");
    assert!(error.contains("`wgrad networks` lists the names"), "{error}");
    for name in
        ["resnet21", "resnet020", "resnet20-a", "plain20-b", "preact163", "wrn-27-10", "wrn-28-0"]
    {
        assert!(by_name(name).is_err(), "{name}");
    }
}

#[test]
fn every_network_takes_images_that_are_not_square() {
    for &network in NETWORKS.iter() {
        let [h, ..] = network.default_image();
        let tape = NetworkConfig::new(network, 8, 7).tape([h, h + 12, 1]);
        let logits = tape.nodes().last().expect("the head").outputs[0];
        assert_eq!(tape.shape(logits), [1, 7], "{network:?}");
    }
}

/// A network takes images of its smallest size, and an image with a row less cannot be recorded.
#[test]
fn the_smallest_image_is_the_smallest() {
    for &network in NETWORKS.iter() {
        let ImageRule { smallest, multiple_of } = network.image_rule();
        let config = NetworkConfig::new(network, 8, 7);
        config.tape([smallest, smallest, 3]);
        if smallest == 1 {
            continue;
        }
        let smaller = smallest - multiple_of;
        assert!(network.check_input([smaller, smallest, 3]).is_err());
        let record = || {
            let mut tape = crate::tape::Tape::new("test", crate::tape::Mode::Eval);
            let shape = [1, smaller, smaller, 3];
            let x = tape.input("x", crate::tape::ElementType::F32, &shape);
            network.record(&mut tape, x, Sizes { width: 8, classes: 7, auxiliary: false });
        };
        assert!(
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)).is_err(),
            "{network:?} takes {smaller}"
        );
    }
}

#[test]
#[should_panic(expected = "resnet9: images of 7x32x3; the smallest are 8x8")]
fn images_that_are_too_small_are_refused() {
    published("resnet9").tape([7, 32, 3]);
}
