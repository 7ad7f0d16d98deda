//! `wgrad devices` (being written on another branch)

use std::process::ExitCode;

/// Flags of `wgrad devices`.
#[derive(clap::Args)]
pub struct Args {}

/// Lists.
pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
