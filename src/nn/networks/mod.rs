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
pub mod stages;
pub mod tresnet;
pub mod wide_resnet;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::base::choice::unknown_of_many;
use crate::tape::StateEntry;

pub use network::{
    Family, Heads, ImageRule, Network, NetworkConfig, NetworkEntry, NetworkRef, Sizes,
};

/// All families, in the order in which lists and messages name their networks.
pub static FAMILIES: [&Family; 13] = [
    &resnet9::FAMILY,
    // `resnet50` also has the form 6n + 2 of the networks for CIFAR. The family of the networks for ImageNet comes first
    // and takes the name.
    &resnet::FAMILY,
    &resnet_cifar::FAMILY,
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
/// If no network has this name. The error text has the most similar name, and the command that lists all names.
pub fn by_name(name: &str) -> Result<NetworkRef, String> {
    find(name).ok_or_else(|| {
        let listed = FAMILIES.iter().flat_map(|family| family.names).copied();
        let patterns = FAMILIES.iter().filter_map(|family| family.pattern);
        let names: Vec<_> = listed.chain(patterns).collect();
        unknown_of_many(name, &names, "`wgrad networks` lists the names")
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
mod tests;
