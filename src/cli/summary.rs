//! `wgrad summary`

use std::process::ExitCode;

use wgrad::nn::summary;

use super::sizes::NetworkArgs;

/// Flags of `wgrad summary`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
}

/// Prints the table of layers, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let NetworkArgs { network, sizes } = &args.network;
    let (network, image) = sizes.of(*network)?;
    super::print(&summary::table(&network.tape(image)))?;
    Ok(ExitCode::SUCCESS)
}
