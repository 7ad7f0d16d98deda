//! A study, and the place in which it runs: its device, images, seed and record.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wgrad::device::Device;
use wgrad::nn::{Network, NetworkConfig, NetworkRef, WeightsFile};

use super::images::Images;
use super::progress::ProgressLine;
use super::{Page, Record};

/// The settings that determine the numbers of a study.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The seed of initial weights, the order of images, augmentation and all other draws.
    pub seed: u64,
    /// The size of the study.
    pub size: Size,
    /// The images: name and fingerprint.
    pub data: String,
    /// The name of the network that a flag selects; none for that of the study.
    pub network: Option<String>,
    /// The number of channels of the first layer that a flag selects; none for that of the study.
    pub width: Option<usize>,
    /// The mean and the standard deviation of each channel.
    pub normalisation: [Vec<f64>; 2],
    /// The SHA-256 of the file of weights that a flag names.
    pub weights: Option<String>,
}

/// The size of a study.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// A few steps, to try a study and to test it: the numbers mean nothing.
    Tiny,
    /// A size that two cores compute in the minutes of [`Study::minutes`].
    Default,
    /// The published size, for a GPU.
    Full,
}

/// The error of a study that a signal has stopped. Its page shows the measurements so far.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Stopped;

/// A claim, the measurements that test it, and the page about them.
pub struct Study {
    /// The name in commands and folders.
    pub name: &'static str,
    /// The claim, a sentence without its full stop.
    pub claim: &'static str,
    /// The longest time of the default size on two cores, in minutes.
    pub minutes: u32,
    /// The networks that the study looks into.
    pub subject: Subject,
    /// The contents of `docs/lessons/NAME.md`.
    pub text: &'static str,
    /// The function that measures. It adds every measurement to the record with [`Lab::measure`].
    pub measure: fn(&mut Lab<'_>) -> anyhow::Result<()>,
    /// The function that fills the page from a record, in which measurements may be missing.
    pub show: fn(&Record, &mut Page),
}

/// The networks that a study looks into, and with them the flags that it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Networks of its own: neither `--network` nor `--weights`.
    Own,
    /// A network that the study trains in several ways: `--network`.
    Network,
    /// A trained network: `--network` and `--weights`.
    Weights,
}

/// A study that runs.
pub struct Lab<'a> {
    /// The device.
    pub device: &'a Device,
    /// The images.
    pub images: &'a Images,
    /// The settings that determine the numbers.
    pub settings: Settings,
    /// The network of the flag `--network`.
    pub network: Option<NetworkRef>,
    /// The weights of the flag `--weights`.
    pub weights: Option<&'a WeightsFile>,
    /// The measurements so far.
    pub record: Record,
    pub(super) study: &'static Study,
    pub(super) out: PathBuf,
    pub(super) stop: &'a AtomicBool,
    /// The seconds of earlier processes, which `--resume` continues.
    pub(super) seconds_before: f64,
    pub(super) begun: Instant,
    pub(super) progress: ProgressLine,
    /// The command, as the page shows it.
    pub(super) command: String,
    /// True after the last measurement.
    pub(super) is_whole: bool,
}

impl Lab<'_> {
    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// Returns the value for the [`Size`] of the study: tiny, default or full.
    pub fn size<T>(&self, [tiny, default, full]: [T; 3]) -> T {
        match self.settings.size {
            Size::Tiny => tiny,
            Size::Default => default,
            Size::Full => full,
        }
    }

    /// Returns `n` seeds, which begin at the seed of the study.
    pub fn seeds(&self, n: u64) -> impl Iterator<Item = u64> + use<> {
        let first = self.settings.seed;
        (0..n).map(move |ix| first.wrapping_add(ix))
    }

    /// Returns the number of channels of a network's first layer: that of the flag `--width`, else `default`.
    pub fn width(&self, default: usize) -> usize {
        self.settings.width.unwrap_or(default)
    }

    /// Returns the folder of the study's files.
    pub fn folder(&self) -> &Path {
        &self.out
    }

    /// Shows the state of a long measurement: `n` of `of` parts are done.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived.
    pub fn report(&self, n: usize, of: usize) -> Result<(), Stopped> {
        self.progress.show(n, of);
        self.check_stop()
    }

    /// Returns an error if a signal has arrived.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived.
    pub fn check_stop(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Returns true if a signal has arrived.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Returns the time of the study so far, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.begun.elapsed().as_secs_f64()
    }

    /// Returns a network of a study for the classes of its images. The network stays in memory until the program ends.
    pub fn config(&self, network: impl Network + 'static, width: usize) -> NetworkConfig {
        let network: NetworkRef = Box::leak(Box::new(network));
        NetworkConfig::new(network, width, self.images.n_classes())
    }

    /// Returns the network with this name for the classes of the images.
    ///
    /// # Panics
    /// If no network has this name.
    pub fn named(&self, name: &str, width: usize) -> NetworkConfig {
        let network = wgrad::nn::networks::by_name(name).unwrap_or_else(|error| panic!("{error}"));
        NetworkConfig::new(network, width, self.images.n_classes())
    }
}
