//! The list of datasets, and the choice of one by its name.

use serde::{Serialize, Serializer};

#[cfg(feature = "runs")]
use super::idx;
use super::{DatasetSource, cifar10, cifar100, shapes};
use crate::base::choice::unknown;

/// Every kind of dataset, in the order of help texts and messages.
pub const DATASETS: &[&dyn DatasetSource] = &[
    &cifar10::Cifar10,
    &cifar100::Cifar100,
    #[cfg(feature = "runs")]
    &idx::MNIST,
    #[cfg(feature = "runs")]
    &idx::FASHION_MNIST,
    &shapes::Shapes,
];

/// The choice of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// CIFAR-10 if a folder is named or the default folder exists, otherwise the built-in shapes
    #[default]
    Auto,
    /// One kind of dataset; an error if it is not found
    Of(&'static dyn DatasetSource),
}

impl Source {
    /// CIFAR-10.
    pub const CIFAR10: Self = Self::Of(&cifar10::Cifar10);
    /// The built-in shapes.
    pub const SHAPES: Self = Self::Of(&shapes::Shapes);

    /// Returns every choice.
    pub fn values() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Auto).chain(DATASETS.iter().map(|&dataset| Self::Of(dataset)))
    }

    /// Returns every name with its help text.
    pub fn names() -> Vec<(&'static str, &'static str)> {
        let help = |source| match source {
            Self::Auto => {
                "CIFAR-10 if it is found or a folder is named, otherwise the built-in shapes"
            }
            Self::Of(dataset) => dataset.help(),
        };
        Self::values().map(|source| (source.name(), help(source))).collect()
    }

    /// Returns the choice with this name.
    ///
    /// # Errors
    /// If no choice has this name: the nearest name and the list.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::values().find(|source| source.name() == name);
        found.ok_or_else(|| unknown(name, &Self::values().map(Self::name).collect::<Vec<_>>()))
    }

    /// Returns the name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Of(dataset) => dataset.name(),
        }
    }

    /// Returns the kind of dataset. For [`Source::Auto`], this is CIFAR-10, because [`load`](super::load) takes CIFAR-10
    /// if it is found.
    pub fn dataset(self) -> &'static dyn DatasetSource {
        match self {
            Self::Auto => &cifar10::Cifar10,
            Self::Of(dataset) => dataset,
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
