//! Networks, one file each. A network is a type that implements [`Network`]; [`by_name`] finds it by its name.
//!
//! [`NETWORKS`] lists the networks. `docs/adding_a_network.md` shows how to add one.

mod network;
pub mod resnet9;
pub mod resnet_cifar;

use std::collections::BTreeMap;

use crate::base::choice::unknown;
use crate::tape::StateEntry;

pub use network::{Network, NetworkConfig, NetworkEntry, NetworkRef};

/// All networks, in the order in which lists and messages name them.
pub static NETWORKS: [NetworkRef; 5] = [
    &resnet9::NETWORK,
    &resnet_cifar::RESNET20,
    &resnet_cifar::RESNET32,
    &resnet_cifar::RESNET44,
    &resnet_cifar::RESNET56,
];

/// The network of a run whose settings name none, and of a file of weights that records none.
pub const DEFAULT: NetworkRef = &resnet9::NETWORK;

/// Returns the network with this name.
///
/// # Errors
/// If no network has this name. The error text has the most similar name and all names.
pub fn by_name(name: &str) -> Result<NetworkRef, String> {
    let network = NETWORKS.into_iter().find(|network| network.name() == name);
    network.ok_or_else(|| unknown(name, &NETWORKS.map(Network::name)))
}

/// A map from the name of a tensor to its shape in PyTorch.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Returns the names of parameters and running statistics with their shapes in PyTorch.
pub(super) fn shapes<'a>(members: impl IntoIterator<Item = &'a StateEntry>) -> Shapes {
    let shape = |member: &StateEntry| member.layout.torch_shape(&member.shape);
    members.into_iter().map(|member| (member.name.clone(), shape(member))).collect()
}

/// Returns the width and the number of classes of a network, from the shapes of its stem and its head in `tensors`;
/// None for a number whose tensor is missing.
pub(super) fn size_of(network: NetworkRef, tensors: &Shapes) -> [Option<usize>; 2] {
    [network.stem(), network.head()].map(|name| tensors.get(name)?.first().copied())
}

/// Returns the network whose parameters and running statistics have exactly the names in `tensors`; None if no network
/// has them.
pub(super) fn recognise(tensors: &Shapes) -> Option<NetworkConfig> {
    let config = |&network: &NetworkRef| match size_of(network, tensors) {
        [Some(width @ 1..), Some(classes @ 1..)] => Some(NetworkConfig { network, width, classes }),
        _ => None,
    };
    let is_it = |config: &NetworkConfig| {
        // The names do not depend on width and number of classes, so the smallest network has them too.
        let small = NetworkConfig { width: 1, classes: 1, ..*config };
        let tape = small.tape([32, 32, 3]);
        let state = tape.state();
        let members = shapes(state.parameters.iter().chain(&state.running_statistics));
        members.keys().eq(tensors.keys())
    };
    NETWORKS.iter().filter_map(config).find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::Work;

    fn config(name: &str) -> NetworkConfig {
        let network = by_name(name).expect("a name");
        NetworkConfig { network, width: network.default_width(), classes: 10 }
    }

    #[test]
    fn the_networks_have_their_published_numbers_of_parameters() {
        for (name, n_parameters) in [
            ("resnet9", 6_573_120),
            ("resnet20", 269_722),
            ("resnet32", 464_154),
            ("resnet44", 658_586),
            ("resnet56", 853_018),
        ] {
            let tape = config(name).tape([32, 32, 3]);
            assert_eq!(tape.state().n_parameters(), n_parameters, "{name}");
        }
    }

    #[test]
    fn resnet20_does_the_published_work() {
        let tape = config("resnet20").tape([32, 32, 3]);
        let products = Work::sum_of(&tape, |node| {
            node.op.name().starts_with("conv2d") || node.op.name().starts_with("linear")
        });
        // The expected number of multiplications in convolutions and linear layer was counted by hand from the paper's
        // table.
        assert_eq!(products.flops / 2, 40_550_400 + 640);
    }

    #[test]
    fn each_network_names_its_stem_and_its_head() {
        for network in NETWORKS {
            let config = NetworkConfig { network, width: 6, classes: 7 };
            let tape = config.tape([32, 32, 3]);
            let state = tape.state();
            let members = shapes(state.parameters.iter().chain(&state.running_statistics));
            assert_eq!(size_of(network, &members), [Some(6), Some(7)], "{network:?}");
            assert_eq!(recognise(&members), Some(config));
            let mut fewer = members.clone();
            fewer.pop_last();
            assert_eq!(recognise(&fewer), None);
        }
    }

    #[test]
    fn an_unknown_name_has_the_nearest_name_and_the_list() {
        assert_eq!(by_name("resnet20"), Ok(&resnet_cifar::RESNET20 as NetworkRef));
        let error = by_name("resnet5").expect_err("no such network");
        assert!(error.contains("did you mean resnet56?"), "{error}");
        assert!(error.ends_with("resnet9, resnet20, resnet32, resnet44, resnet56"), "{error}");
    }

    #[test]
    fn every_network_takes_images_that_are_not_square() {
        for network in NETWORKS {
            let tape = NetworkConfig { network, width: 4, classes: 7 }.tape([20, 24, 1]);
            let logits = tape.nodes().last().expect("the head").outputs[0];
            assert_eq!(tape.shape(logits), [1, 7], "{network:?}");
        }
    }

    #[test]
    #[should_panic(expected = "resnet9: images of 7x32x3; the smallest are 8x8")]
    fn images_that_are_too_small_are_refused() {
        config("resnet9").tape([7, 32, 3]);
    }
}
