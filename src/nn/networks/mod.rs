//! Networks: one file for each family. A network is a type that implements [`Network`]; [`by_name`] finds it by its
//! name.
//!
//! [`FAMILIES`] lists the families. `docs/adding_a_network.md` shows how to add one, and `docs/networks.md` compares
//! them.

pub mod attention;
pub mod googlenet;
pub mod inception_v3;
mod network;
pub mod parts;
pub mod pre_activation;
pub mod pyramidnet;
pub mod res2net;
pub mod resnet;
pub mod resnet9;
pub mod resnet_cifar;
pub mod resnet_v2;
pub mod resnext;
pub mod tresnet;
pub mod wide_resnet;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::base::choice::unknown;
use crate::tape::StateEntry;

pub use network::{
    Family, Heads, ImageRule, Network, NetworkConfig, NetworkEntry, NetworkRef, Sizes,
};

/// All families, in the order in which lists and messages name their networks.
pub static FAMILIES: [&Family; 13] = [
    &resnet9::FAMILY,
    &resnet_cifar::FAMILY,
    &resnet::FAMILY,
    &wide_resnet::FAMILY,
    &resnext::FAMILY,
    &pre_activation::FAMILY,
    &resnet_v2::FAMILY,
    &res2net::FAMILY,
    &pyramidnet::FAMILY,
    &attention::FAMILY,
    &googlenet::FAMILY,
    &inception_v3::FAMILY,
    &tresnet::FAMILY,
];

/// The network of a run whose settings name none, and of a file of weights that records none.
pub const DEFAULT: NetworkRef = &resnet9::NETWORK;

/// The networks that lists show. Some families have more; see [`Family::pattern`].
pub static NETWORKS: LazyLock<Vec<NetworkRef>> = LazyLock::new(|| {
    let names = FAMILIES.iter().flat_map(|family| family.names);
    names.map(|name| find(name).unwrap_or_else(|| panic!("{name}: no such network"))).collect()
});

/// Returns the network with this name.
///
/// # Errors
/// If no network has this name. The error text has the most similar name and all names.
pub fn by_name(name: &str) -> Result<NetworkRef, String> {
    find(name).ok_or_else(|| {
        let listed = FAMILIES.iter().flat_map(|family| family.names).copied();
        let patterns = FAMILIES.iter().filter_map(|family| family.pattern);
        unknown(name, &listed.chain(patterns).collect::<Vec<_>>())
    })
}

/// Returns the network with this name; None if no family has it. A network that was found stays in memory until the
/// program ends, so references to it can be copied freely.
fn find(name: &str) -> Option<NetworkRef> {
    static FOUND: Mutex<BTreeMap<String, NetworkRef>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&network) = found.get(name) {
        return Some(network);
    }
    let network: NetworkRef = Box::leak(FAMILIES.iter().find_map(|family| (family.find)(name))?);
    found.insert(name.to_string(), network);
    Some(network)
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
    [network.stem(), network.head()].map(|name| tensors.get(&name)?.first().copied())
}

/// Returns the network whose parameters and running statistics have exactly the names and shapes in `tensors`; None if
/// no listed network has them.
pub(super) fn recognise(tensors: &Shapes) -> Option<NetworkConfig> {
    let config = |&network: &NetworkRef| match size_of(network, tensors) {
        // A damaged file may give a huge width.
        [Some(width @ 1..=65_535), Some(classes @ 1..)] => {
            Some(NetworkConfig { network, width, classes, auxiliary: auxiliary(network, tensors) })
        }
        _ => None,
    };
    let is_it = |config: &NetworkConfig| {
        let [h, w, _] = config.network.default_image();
        // The images are in colour or grey.
        [3, 1].into_iter().any(|channels| {
            let tape = config.tape([h, w, channels]);
            let state = tape.state();
            shapes(state.parameters.iter().chain(&state.running_statistics)) == *tensors
        })
    };
    NETWORKS.iter().filter_map(config).find(is_it)
}

/// Returns true if `tensors` has parameters of auxiliary heads of this network.
pub(super) fn auxiliary(network: NetworkRef, tensors: &Shapes) -> bool {
    let is_auxiliary =
        |name: &str| network.auxiliary_prefixes().iter().any(|prefix| name.starts_with(prefix));
    tensors.keys().any(|name| is_auxiliary(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::Work;

    fn config(name: &str) -> NetworkConfig {
        let network = by_name(name).expect("a name");
        NetworkConfig::new(network, network.default_width(), 10)
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
            let config = NetworkConfig::new(network, 6, 7);
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
            let tape = NetworkConfig::new(network, 4, 7).tape([20, 24, 1]);
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
