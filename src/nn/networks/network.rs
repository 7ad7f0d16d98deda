//! The traits of networks: [`Network`], [`Family`], and [`NetworkConfig`], a network with its sizes.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::tape::{ElementType, Mode, Tape, ValueId};

/// A reference to a network; see [`by_name`](super::by_name).
pub type NetworkRef = &'static dyn Network;

/// A family of networks, which one file of this folder defines.
pub struct Family {
    /// The names that lists show.
    pub names: &'static [&'static str],
    /// The form of all names of the family, for messages, such as `wrn-D-K`; None if `names` has all of them.
    pub pattern: Option<&'static str>,
    /// Returns the network with this name; None if the family has none. The function may accept names that `names` does
    /// not list, for example for other depths.
    pub find: fn(&str) -> Option<Box<dyn Network>>,
}

/// The image sizes that a network takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageRule {
    /// Number of rows, and of columns, of the smallest images.
    pub smallest: usize,
    /// The number of which rows and columns must be multiples.
    pub multiple_of: usize,
}

impl ImageRule {
    /// The rule of a network that takes images of any size.
    pub const ANY: Self = Self { smallest: 1, multiple_of: 1 };
}

/// The sizes with which a network is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Number of channels of the first layer. The numbers of channels of all other layers are proportional to it.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// True to record the auxiliary heads too.
    pub auxiliary: bool,
}

/// The outputs of a network.
#[derive(Clone, PartialEq, Debug)]
pub struct Heads {
    /// The logits, `[N, classes]`.
    pub logits: ValueId,
    /// The logits of the auxiliary heads, `[N, classes]`, each with the factor of its loss in the sum of all losses.
    pub auxiliary: Vec<(ValueId, f32)>,
}

impl From<ValueId> for Heads {
    /// Returns the outputs of a network with one head.
    fn from(logits: ValueId) -> Self {
        Self { logits, auxiliary: Vec::new() }
    }
}

/// A network of any width for any number of classes.
pub trait Network: fmt::Debug + Send + Sync {
    /// Returns the network's name, such as `resnet9`.
    fn name(&self) -> &str;

    /// Returns a line that describes the network.
    fn description(&self) -> &str;

    /// Returns the default width: that of the published network, or that of the recipe for CIFAR-10.
    fn default_width(&self) -> usize;

    /// Returns the shape of the images for which the network was published, `[H, W, C]`.
    fn default_image(&self) -> [usize; 3];

    /// Returns the number of classes for which the network was published: 10 for CIFAR-10, 1,000 for ImageNet.
    fn default_classes(&self) -> usize {
        if self.default_image()[0] > 32 { 1000 } else { 10 }
    }

    /// Returns the image sizes that the network takes.
    fn image_rule(&self) -> ImageRule {
        ImageRule::ANY
    }

    /// Returns the name of the parameter whose number of output channels is the width.
    fn stem(&self) -> String;

    /// Returns the name of the parameter whose number of output features is the number of classes.
    fn head(&self) -> String;

    /// Returns the beginnings of the names of the auxiliary heads' parameters; empty for a network without auxiliary
    /// heads.
    fn auxiliary_prefixes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns true if the network has auxiliary heads that images of this shape, `[H, W, C]`, are large enough for.
    fn has_auxiliary(&self, _image: [usize; 3]) -> bool {
        !self.auxiliary_prefixes().is_empty()
    }

    /// Records the network on images `x`, `[N, H, W, C]`. The caller has checked the shape of the images.
    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads;
}

impl dyn Network {
    /// Checks the shape of an image, `[H, W, C]`.
    ///
    /// # Errors
    /// If the network does not take images of this shape. The error names the smallest that it takes.
    pub fn check_input(&self, [h, w, c]: [usize; 3]) -> Result<(), String> {
        let ImageRule { smallest, multiple_of } = self.image_rule();
        let fits = |side: usize| side >= smallest && side.is_multiple_of(multiple_of);
        if fits(h) && fits(w) && c > 0 {
            return Ok(());
        }
        let multiples = match multiple_of {
            1 => String::new(),
            n => format!(", and sides are multiples of {n}"),
        };
        let [fits_h, fits_w] = [h, w].map(|side| side.max(smallest).next_multiple_of(multiple_of));
        Err(format!(
            "{}: images of {h}x{w}x{c}; the smallest are {smallest}x{smallest}{multiples}; use {fits_h}x{fits_w}",
            self.name()
        ))
    }
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
    /// Number of channels of the first layer. The numbers of channels of all other layers are proportional to it.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// True if the network has its auxiliary heads. They train the network's first layers; evaluation does not run
    /// them.
    pub auxiliary: bool,
}

impl NetworkConfig {
    /// Returns a network without auxiliary heads.
    pub fn new(network: NetworkRef, width: usize, classes: usize) -> Self {
        Self { network, width, classes, auxiliary: false }
    }

    /// Returns this network with its auxiliary heads, if it has any and images of this shape, `[H, W, C]`, are large
    /// enough for them.
    pub fn with_auxiliary(self, image: [usize; 3]) -> Self {
        Self { auxiliary: self.network.has_auxiliary(image), ..self }
    }

    /// Records the network on images `x`, `[N, H, W, C]`, and returns the logits, `[N, classes]`.
    ///
    /// # Panics
    /// If `width` or `classes` is 0, or the network does not take images of this shape.
    pub fn record(&self, tape: &mut Tape, x: ValueId) -> ValueId {
        self.record_heads(tape, x).logits
    }

    /// Records the network on images `x`, `[N, H, W, C]`, and returns the logits of all heads.
    ///
    /// # Panics
    /// As for [`NetworkConfig::record`].
    pub fn record_heads(&self, tape: &mut Tape, x: ValueId) -> Heads {
        let Self { network, width, classes, auxiliary } = *self;
        let name = network.name();
        assert!(
            width > 0 && classes > 0,
            "{name}: width {width} and {classes} classes; both must be above 0"
        );
        let &[_, h, w, c] = tape.shape(x) else {
            panic!("{name}: images are [N, H, W, C], not {:?}", tape.shape(x));
        };
        network.check_input([h, w, c]).unwrap_or_else(|problem| panic!("{problem}"));
        network.record(tape, x, Sizes { width, classes, auxiliary })
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
