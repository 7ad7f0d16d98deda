//! `wgrad summary`

use std::num::NonZeroU16;
use std::process::ExitCode;

use wgrad::nn::summary;
use wgrad::train::settings::at_least_one;

/// Flags of `wgrad summary`.
#[derive(clap::Args)]
pub struct Args {
    /// Channels of the network's first layer
    #[arg(long, value_name = "N", default_value = "64", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: NonZeroU16,
}

/// Prints the table of layers, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::print(&summary::summary(args.width.get().into()))?;
    Ok(ExitCode::SUCCESS)
}
