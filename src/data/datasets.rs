//! The list of datasets, and the choice of one of them by its name.

use serde::{Serialize, Serializer};

#[cfg(feature = "runs")]
use super::idx;
use super::{DatasetSource, cifar10, cifar100, shapes};
use crate::base::choice::unknown;

/// Every kind of dataset, in the order in which help texts and messages list them.
pub const DATASETS: &[&dyn DatasetSource] = &[
    &cifar10::Cifar10,
    &cifar100::Cifar100,
    #[cfg(feature = "runs")]
    &idx::MNIST,
    #[cfg(feature = "runs")]
    &idx::FASHION_MNIST,
    &shapes::Shapes,
];

/// The value of the setting `data`: one kind of dataset, or the automatic choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// CIFAR-10 if the user or `$WGRAD_DATA` names a folder or the default folder exists, otherwise the built-in
    /// shapes.
    #[default]
    Auto,
    /// One kind of dataset. Loading returns an error if its files are not found.
    Of(&'static dyn DatasetSource),
}

impl Source {
    /// The choice of CIFAR-10.
    pub const CIFAR10: Self = Self::Of(&cifar10::Cifar10);
    /// The choice of the built-in shapes.
    pub const SHAPES: Self = Self::Of(&shapes::Shapes);

    /// Returns every choice: first [`Source::Auto`], then each of [`DATASETS`].
    pub fn values() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Auto).chain(DATASETS.iter().map(|&dataset| Self::Of(dataset)))
    }

    /// Returns the name of every choice, with its help text.
    pub fn names() -> Vec<(&'static str, &'static str)> {
        let help = |source| match source {
            Self::Auto => {
                "CIFAR-10 if it is found or a folder is named, otherwise the built-in shapes"
            }
            Self::Of(dataset) => dataset.help(),
        };
        Self::values().map(|source| (source.name(), help(source))).collect()
    }

    /// Returns the choice with this name: a known name, or the path of a folder of pictures. A text with a separator of
    /// paths is a path, even if nothing is there. Another text is the path of an existing folder.
    ///
    /// # Errors
    /// If it is neither. The error has the nearest name and the list of all names.
    pub fn from_name(name: &str) -> Result<Self, String> {
        if let Some(source) = Self::values().find(|source| source.name() == name) {
            return Ok(source);
        }
        #[cfg(feature = "runs")]
        if name.contains(std::path::is_separator) || std::path::Path::new(name).is_dir() {
            return Ok(Self::Of(super::pictures::PictureFolder::at(name.as_ref())?));
        }
        let names = Self::values().map(Self::name).collect::<Vec<_>>();
        Err(format!("{}; a folder of pictures is a path, such as ./{name}", unknown(name, &names)))
    }

    /// Returns true for a folder of the user's pictures.
    pub fn is_folder(self) -> bool {
        matches!(self, Self::Of(dataset) if dataset.is_folder())
    }

    /// Returns the name of this choice in settings, such as `cifar10`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Of(dataset) => dataset.name(),
        }
    }

    /// Returns the chosen kind of dataset. For [`Source::Auto`], this is CIFAR-10, because [`load`](super::load) reads
    /// CIFAR-10 if its folder is found.
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
