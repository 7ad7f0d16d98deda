//! The trait [`Network`], and [`NetworkConfig`]: a network with its width and number of classes.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::tape::{ElementType, Mode, Tape, ValueId};

/// A reference to one of the networks in [`NETWORKS`](super::NETWORKS).
pub type NetworkRef = &'static dyn Network;

/// A network of any width for any number of classes.
pub trait Network: fmt::Debug + Sync {
    /// Returns the network's name, such as `resnet9`.
    fn name(&self) -> &'static str;

    /// Returns a line that describes the network.
    fn description(&self) -> &'static str;

    /// Returns the default width: that of the published network, or that of the recipe for CIFAR-10.
    fn default_width(&self) -> usize;

    /// Checks the shape of an image, `[H, W, C]`.
    ///
    /// # Errors
    /// If the network does not take images of this shape. The error names the shapes that the network takes.
    fn check_input(&self, image: [usize; 3]) -> Result<(), String>;

    /// Returns the name of the parameter whose number of output channels is the width.
    fn stem(&self) -> &'static str;

    /// Returns the name of the parameter whose number of output features is the number of classes.
    fn head(&self) -> &'static str;

    /// Records the network on images `x`, `[N, H, W, C]`, and returns the logits, `[N, classes]`. The caller has
    /// checked the shape of the images.
    fn record(&self, tape: &mut Tape, x: ValueId, width: usize, classes: usize) -> ValueId;
}

impl PartialEq for dyn Network {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Serialize for dyn Network {
    /// Serialises the network as its name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A network and the settings that determine its size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NetworkConfig {
    /// The network.
    pub network: NetworkRef,
    /// Number of channels of the first layer. The numbers of channels of all other layers are multiples of it.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

impl NetworkConfig {
    /// Records the network on images `x`, `[N, H, W, C]`, and returns the logits, `[N, classes]`.
    ///
    /// # Panics
    /// If `width` or `classes` is 0, or the network does not take images of this shape.
    pub fn record(&self, tape: &mut Tape, x: ValueId) -> ValueId {
        let Self { network, width, classes } = *self;
        let name = network.name();
        assert!(
            width > 0 && classes > 0,
            "{name}: width {width} and {classes} classes; both must be above 0"
        );
        let &[_, h, w, c] = tape.shape(x) else {
            panic!("{name}: images are [N, H, W, C], not {:?}", tape.shape(x));
        };
        network.check_input([h, w, c]).unwrap_or_else(|problem| panic!("{problem}"));
        network.record(tape, x, width, classes)
    }

    /// Returns a tape with the network for one image, `[H, W, C]`, without loss, optimizer and fusion. Such a tape
    /// serves for a table of layers, a count of parameters or a count of operations.
    ///
    /// # Panics
    /// As for [`NetworkConfig::record`].
    pub fn tape(&self, [h, w, c]: [usize; 3]) -> Tape {
        let mut tape = Tape::new(self.network.name(), Mode::Eval);
        let x = tape.input("x", ElementType::F32, &[1, h, w, c]);
        let logits = self.record(&mut tape, x);
        tape.keep(logits);
        tape
    }
}

impl fmt::Display for NetworkConfig {
    /// Writes name and width: `resnet9, width 64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, width {}", self.network.name(), self.width)
    }
}

/// The record of a network in a file. It has no number of classes, which follows from the shape of the head's tensor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkEntry {
    /// Name of the network. A file from a later version of wgrad may name a network that this version does not have.
    pub name: String,
    /// Number of channels of the first layer.
    pub width: usize,
}

impl From<NetworkConfig> for NetworkEntry {
    fn from(config: NetworkConfig) -> Self {
        Self { name: config.network.name().to_string(), width: config.width }
    }
}
