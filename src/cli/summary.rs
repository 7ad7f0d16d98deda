//! `wgrad summary`

use std::num::NonZeroU16;
use std::process::ExitCode;

use wgrad::data::cifar10::CLASSES;
use wgrad::nn::{NetworkConfig, NetworkRef, summary};
use wgrad::train::settings::at_least_one;

use super::arguments;

/// Flags of `wgrad summary`.
#[derive(clap::Args)]
pub struct Args {
    /// The network; `wgrad networks` lists them
    #[arg(long, value_name = "NAME", default_value = "resnet9", value_parser = arguments::network())]
    network: NetworkRef,
    /// Channels of the network's first layer [default: as `wgrad networks` lists]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: Option<NonZeroU16>,
}

/// Prints the table of layers, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let network = args.network;
    let width = args.width.map_or(network.default_width(), |n| n.get().into());
    super::print(&summary::summary(NetworkConfig { network, width, classes: CLASSES.len() }))?;
    Ok(ExitCode::SUCCESS)
}
