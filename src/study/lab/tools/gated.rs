//! A residual network with gates that select paths for the backward pass.

use anyhow::Context;
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::ops::cross_entropy::cross_entropy;
use wgrad::ops::{add::add, detach::detach, scale};
use wgrad::passes;
use wgrad::tape::{Initializer, Layout, Mode, Tape, ValueId};

use super::flow::norm;
use super::residual::{Joint, Order, Residual};
use crate::study::lab::{Lab, Probe, Trained};

/// A network with two gates in each block, which select paths for the backward pass. The forward pass is that of the
/// network.
pub struct Paths {
    probe: Probe,
    /// The names of the blocks.
    pub names: Vec<String>,
    gated: Trained,
    n_images: usize,
}

impl Paths {
    /// Returns the order and the number of blocks in each stage of a network.
    ///
    /// # Errors
    /// If the network has other blocks than those of [`Residual`].
    pub fn blocks(network: NetworkConfig) -> anyhow::Result<(Order, usize)> {
        let name = network.network.name();
        Residual::find(name).with_context(|| {
            format!("network {name}: not resnetN or preactN with N = 6n + 2; choose one, such as resnet20")
        })
    }

    /// Compiles a network with gates for batches of `n_images`.
    ///
    /// # Errors
    /// As for [`Paths::blocks`], and if the device fails.
    pub fn new(lab: &Lab<'_>, mut trained: Trained, n_images: usize) -> anyhow::Result<Self> {
        let (order, n_blocks) = Self::blocks(trained.network)?;
        let network = Residual { order, n_blocks, has_batch_norm: true, join: &joint };
        let mut names = Vec::new();
        let [h, w, c] = lab.images.size().channels_last();
        let (width, classes) = (trained.network.width, trained.network.classes);
        let probe = Probe::new(lab.device, Mode::Eval, &[n_images, h, w, c], |tape, x, labels| {
            let recorded = network.record(tape, x, width, classes);
            names = recorded.names;
            // With a smoothing of 1, the target has the same probability for every class.
            let loss = cross_entropy(tape, recorded.logits, labels, 1.0).loss;
            let d_x = passes::backward(tape, loss).get(x);
            vec![recorded.logits, d_x.expect("the loss depends on the images")]
        })?;
        let (layout, weights) = (probe.layout().clone(), Weights::initial(probe.layout(), 0));
        let mut gated = Trained { layout, weights, ..trained };
        gated.copy("", &mut trained, "");
        Ok(Self { probe, names, gated, n_images })
    }

    /// Selects the path that passes a block through its branch (true) or its shortcut (false).
    pub fn select(&mut self, on_branch: &[bool]) {
        for (name, &is_on_branch) in self.names.iter().zip(on_branch) {
            self.gated.member(&format!("{name}.branch"))[0] = f32::from(is_on_branch);
            self.gated.member(&format!("{name}.shortcut"))[0] = f32::from(!is_on_branch);
        }
    }

    /// Selects all paths at once.
    #[cfg(test)]
    pub fn select_all(&mut self) {
        for name in &self.names {
            for gate in ["branch", "shortcut"] {
                self.gated.member(&format!("{name}.{gate}"))[0] = 1.0;
            }
        }
    }

    /// Returns the logits and the gradient of the images, summed over the selected paths, for the test images of a batch.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, lab: &Lab<'_>, batch: usize) -> anyhow::Result<[Vec<f32>; 2]> {
        let test = lab.images.test();
        let numbers: Vec<u32> = (0..self.n_images)
            .map(|ix| ((batch * self.n_images + ix) % test.len()) as u32)
            .collect();
        let (x, labels) = lab.images.arrays(test, &numbers);
        self.probe.set_weights(&self.gated.weights)?;
        let [logits, d_x] = self.probe.run(&x, &labels)?.try_into().expect("two values");
        Ok([logits, d_x])
    }

    /// Returns the mean over the images of a batch of the norm of the gradient of an image's own loss.
    ///
    /// # Errors
    /// If the device fails.
    pub fn mean_norm(&mut self, lab: &Lab<'_>, batch: usize) -> anyhow::Result<f64> {
        let [_, d_x] = self.run(lab, batch)?;
        // The loss of the batch is a mean, so the gradient of an image is that of its own loss, divided by their number.
        Ok(d_x.chunks(d_x.len() / self.n_images).map(norm).sum())
    }
}

/// Records the sum of branch and shortcut, each with a gate for its gradient.
fn joint(tape: &mut Tape, joint: &Joint<'_>) -> ValueId {
    let Joint { name, branch, shortcut, .. } = *joint;
    let mut gated = |gate: &str, x: ValueId| {
        let name = format!("{name}.{gate}");
        let gate = tape.parameter(&name, &[1], Layout::Plain, Initializer::Constant(1.0));
        tape.scoped(&name, |tape| {
            let gate = detach(tape, gate);
            let open = scale::scale_by(tape, x, gate);
            let negative = scale::scale(tape, open, -1.0);
            let closed = add(tape, x, negative);
            let closed = detach(tape, closed);
            add(tape, open, closed)
        })
    };
    let (branch, shortcut) = (gated("branch", branch), gated("shortcut", shortcut));
    tape.scoped(name, |tape| add(tape, branch, shortcut))
}
