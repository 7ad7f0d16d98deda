//! Residual networks with the blocks of another network, and with more blocks or fewer.

use anyhow::bail;
use wgrad::nn::networks::resnet::ResNet;
use wgrad::nn::networks::resnet_cifar;
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::Mode;

use super::flow::norm;
use super::residual::{Order, Residual, sum};
use crate::study::lab::{Lab, Probe, Stopped, Trained};

/// The blocks of a stage: the number of the block that gives the weights, and a factor for its residual branch.
pub type Blocks = Vec<(Option<usize>, f32)>;

/// Returns the number of blocks in each of the three stages of a network.
///
/// # Errors
/// If the network is not one of `resnetN` with N = 6n + 2.
pub fn n_blocks(network: NetworkConfig) -> anyhow::Result<usize> {
    let name = network.network.name();
    match Residual::find(name) {
        Some((Order::After, n_blocks)) => Ok(n_blocks),
        _ => bail!("network {name}: not resnetN with N = 6n + 2; choose one, such as resnet20"),
    }
}

impl Trained {
    /// Returns a network with stem and head of this one, and with these blocks in each stage: the number of a block in
    /// the same stage of this network, which gives the weights, and a factor for the output of the residual branch. With
    /// the number none, a block has new weights of the lab's seed. The stages 2 and 3 begin with block 0, which changes
    /// the shape.
    ///
    /// # Errors
    /// As for [`n_blocks`].
    pub fn with_blocks(&mut self, lab: &Lab<'_>, stages: &[Blocks; 3]) -> anyhow::Result<Self> {
        n_blocks(self.network)?;
        let name = self.network.network.name();
        let network = resnet_cifar::named(name).expect("a residual network for CIFAR");
        let depths: Vec<usize> = stages.iter().map(Vec::len).collect();
        let network = ResNet { name: format!("{name} of other blocks"), depths, ..network };
        let NetworkConfig { width, classes, .. } = self.network;
        let mut other = Self::empty(lab, NetworkConfig { classes, ..lab.config(network, width) })?;
        other.weights = Weights::initial(&other.layout, lab.seed());
        for part in ["conv1.", "bn1.", "linear."] {
            other.copy(part, self, part);
        }
        for (ix, blocks) in stages.iter().enumerate() {
            let stage = format!("layer{}", ix + 1);
            for (to, &(from, factor)) in blocks.iter().enumerate() {
                let to = format!("{stage}.{to}");
                if let Some(from) = from {
                    other.copy(&format!("{to}."), self, &format!("{stage}.{from}."));
                }
                other.scale(&format!("{to}.bn2"), factor);
            }
        }
        Ok(other)
    }

    /// Returns the logits for all test images, `[n, classes]`.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived, and if the device fails or a logit is not finite.
    pub fn logits(&self, lab: &Lab<'_>) -> anyhow::Result<Vec<f32>> {
        let mut evaluator = self.evaluator(lab)?;
        evaluator.set_weights(&self.weights)?;
        Ok(evaluator.logits(lab.images.test(), &|| lab.is_stopped())?.ok_or(Stopped)?)
    }
}

/// Measures the norm of a branch f(x) divided by that of x, a mean over test images, for each block that keeps the shape:
/// the numbers of the blocks, and the ratios.
///
/// # Errors
/// As for [`n_blocks`], and if the device fails.
pub fn branch_sizes(
    lab: &Lab<'_>,
    trained: &Trained,
) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let (n_blocks, n_images) = (n_blocks(trained.network)?, lab.size([4, 128, 256]));
    let [h, w, c] = lab.images.size().channels_last();
    let network = Residual { order: Order::After, n_blocks, has_batch_norm: true, join: &sum };
    let mut numbers = Vec::new();
    let mut probe = Probe::new(lab.device, Mode::Eval, &[n_images, h, w, c], |tape, x, _| {
        let recorded = network.record(tape, x, trained.network.width, trained.network.classes);
        let pairs = recorded.states.into_iter().zip(recorded.branches).enumerate();
        let keeps_shape = |(_, (x, f)): &(usize, _)| tape.shape(*x) == tape.shape(*f);
        let kept: Vec<_> = pairs.filter(keeps_shape).collect();
        numbers = kept.iter().map(|(ix, _)| (ix + 1) as f64).collect();
        kept.into_iter().flat_map(|(_, (x, f))| [x, f]).collect()
    })?;
    probe.set_weights(&trained.weights)?;
    let images: Vec<u32> = (0..n_images).map(|ix| (ix % lab.images.test().len()) as u32).collect();
    let (x, labels) = lab.images.arrays(lab.images.test(), &images);
    let values = probe.run(&x, &labels)?;
    let size = |pair: &[Vec<f32>]| {
        let [x, f] = [0, 1].map(|ix| pair[ix].chunks(pair[ix].len() / n_images).map(norm));
        f.zip(x).map(|(f, x)| f / x.max(f64::MIN_POSITIVE)).sum::<f64>() / n_images as f64
    };
    Ok(vec![("blocks", numbers), ("ratios", values.chunks(2).map(size).collect())])
}
