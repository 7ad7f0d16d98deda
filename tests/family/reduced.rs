//! Networks of two blocks a stage and an eighth of the width, by the names in the references, and networks without dropout.

use wgrad::nn::networks::attention::Attention;
use wgrad::nn::networks::googlenet::GoogLeNet;
use wgrad::nn::networks::inception_v3::InceptionV3;
use wgrad::nn::networks::pre_activation::{self, PreActivation};
use wgrad::nn::networks::pyramidnet::PyramidNet;
use wgrad::nn::networks::resnet::ResNet;
use wgrad::nn::networks::tresnet::TResNet;
use wgrad::nn::networks::{by_name, res2net, resnet_cifar, resnet_v2, resnext, wide_resnet};
use wgrad::nn::{Network, NetworkRef};

/// Returns a reference as the list of networks has it. A test makes a few of them.
fn leak(network: impl Network + 'static) -> NetworkRef {
    Box::leak(Box::new(network))
}

/// Returns the published network with this name, without dropout.
pub fn without_dropout(name: &str) -> NetworkRef {
    match name {
        "googlenet" => leak(GoogLeNet { dropout: 0.0, auxiliary_dropout: 0.0 }),
        "inception_v3" => leak(InceptionV3 { dropout: 0.0 }),
        "wrn-28-10-dropout" => {
            let network = wide_resnet::named(name).expect("a name");
            leak(PreActivation { dropout: 0.0, ..network })
        }
        _ => by_name(name).unwrap_or_else(|problem| panic!("{problem}")),
    }
}

/// Returns the reduced network with this name, and its width.
pub fn reduced(name: &str) -> (NetworkRef, usize) {
    match name {
        "resnet9" => (without_dropout(name), 8),
        "resnet-basic" => (resnet(ResNet::named("resnet18"), 4), 8),
        "resnet-bottleneck" => (resnet(ResNet::named("resnet50"), 4), 8),
        "wide_resnet" => (resnet(wide_resnet::for_imagenet("wide_resnet50_2"), 4), 8),
        "resnext-4x16d" => (groups(resnext::named("resnext50_32x4d"), 4, 16, 4), 8),
        "resnet-c" => (resnet(ResNet::named("resnet50c"), 4), 8),
        "resnet-d-basic" => (resnet(ResNet::named("resnet18d"), 4), 8),
        "resnet-d-bottleneck" => (resnet(ResNet::named("resnet50d"), 4), 8),
        "resnetv2-basic" => (pre_activation(resnet_v2::named("resnetv2_18"), 4), 8),
        "resnetv2-bottleneck" => (pre_activation(resnet_v2::named("resnetv2_50"), 4), 8),
        "resnetv2-d" => (pre_activation(resnet_v2::named("resnetv2_50d"), 4), 8),
        "res2net-24w_4s" => (groups(res2net::named("res2net50_26w_4s"), 1, 24, 4), 8),
        "res2next-4c_16w_4s" => (groups(res2net::named("res2next50"), 4, 16, 4), 8),
        "res2net-d" => (groups(res2net::named("res2net50d"), 1, 24, 4), 8),
        "googlenet" => (without_dropout(name), 8),
        "inception_v3" => (without_dropout(name), 4),
        "tresnet" => {
            let network = TResNet::named("tresnet_m").expect("a name");
            (leak(TResNet { depths: [2; 4], ..network }), 8)
        }
        "attention" => (leak(Attention::named("attention56").expect("a name")), 8),
        "attention-cifar" => (leak(Attention::named("attention56-cifar").expect("a name")), 4),
        "cifar-a" => (resnet(resnet_cifar::named("resnet20"), 3), 2),
        "cifar-b" => (resnet(resnet_cifar::named("resnet20-b"), 3), 2),
        "cifar-plain" => (resnet(resnet_cifar::named("plain20"), 3), 2),
        "cifar-concat" => (resnet(resnet_cifar::named("resnet20-concat"), 3), 2),
        "cifar18" => (resnet(ResNet::named("resnet18-cifar"), 4), 8),
        "cifar50" => (resnet(ResNet::named("resnet50-cifar"), 4), 8),
        "preact-basic" => (pre_activation(pre_activation::named("preact20"), 3), 2),
        "preact-bottleneck" => (pre_activation(pre_activation::named("preact164"), 3), 2),
        "wrn-16-4" => (pre_activation(wide_resnet::named("wrn-16-4"), 3), 2),
        "resnext29-4x16d" => (groups(resnext::named("resnext29-8x64d"), 4, 16, 3), 8),
        "res2next29-4cx16wx4s" => (groups(res2net::named("res2next29-6cx24wx4s"), 4, 16, 3), 8),
        "pyramid-a48" => (pyramid("pyramid110-a48"), 2),
        "pyramidb-a48" => (pyramid("pyramid164b-a48"), 2),
        _ => panic!("{name}: no reduced network has this name"),
    }
}

fn resnet(network: Option<ResNet>, n_stages: usize) -> NetworkRef {
    leak(ResNet { depths: vec![2; n_stages], ..network.expect("a name") })
}

/// Returns a network with this number of groups and this base width, which leave a channel to each group of a narrow network.
fn groups(
    network: Option<ResNet>,
    groups: usize,
    base_width: usize,
    n_stages: usize,
) -> NetworkRef {
    resnet(Some(ResNet { groups, base_width, ..network.expect("a name") }), n_stages)
}

fn pre_activation(network: Option<PreActivation>, n_stages: usize) -> NetworkRef {
    leak(PreActivation { depths: vec![2; n_stages], ..network.expect("a name") })
}

fn pyramid(name: &str) -> NetworkRef {
    leak(PyramidNet { depth: 2, ..PyramidNet::named(name).expect("a name") })
}
