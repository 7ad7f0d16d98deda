//! `wgrad summary`

use std::fmt::Write;
use std::process::ExitCode;

use wgrad::base::units::thousands;
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
    let tape = network.tape(image);
    let mut text = summary::table(&tape);
    let with_heads = network.with_auxiliary(image);
    if with_heads.auxiliary {
        let n_parameters = with_heads.tape(image).state().n_parameters();
        let _ = writeln!(
            text,
            "Training adds auxiliary heads, {} params: {} together.",
            thousands(n_parameters - tape.state().n_parameters()),
            thousands(n_parameters),
        );
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
