//! Networks that a study makes from a function.

use std::fmt;

use wgrad::nn::networks::{Heads, Network, Sizes};
use wgrad::tape::{Tape, ValueId};

/// A function that records a network on images `x`, `[N, H, W, C]`, and returns the logits, `[N, classes]`.
type RecordNetwork = Box<dyn Fn(&mut Tape, ValueId, Sizes) -> ValueId + Send + Sync>;

/// A network for images of CIFAR, whose first convolution has the name `conv1`, and whose last layer has the name
/// `linear`.
pub struct Custom {
    name: String,
    record: RecordNetwork,
}

impl Custom {
    /// Returns the network that `record` records.
    pub fn new(
        name: &str,
        record: impl Fn(&mut Tape, ValueId, Sizes) -> ValueId + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_string(), record: Box::new(record) }
    }
}

impl fmt::Debug for Custom {
    /// Writes the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Network for Custom {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        "a network of a study"
    }

    fn default_width(&self) -> usize {
        16
    }

    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }

    fn stem(&self) -> String {
        "conv1.weight".to_string()
    }

    fn head(&self) -> String {
        "linear.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        (self.record)(tape, x, sizes).into()
    }
}
