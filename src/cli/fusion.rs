//! The flags of commands that switch rules of fusion off.

use wgrad::passes::fuse::{Fusion, Rule};

use super::arguments;

/// Flags for the rules of fusion.
#[derive(clap::Args)]
pub struct FusionArgs {
    /// Turn these rules of fusion off; without a value, all of them
    #[arg(long, value_name = "RULE", num_args = 0.., value_delimiter = ',', value_parser = arguments::one_of::<Rule>())]
    no_fuse: Option<Vec<Rule>>,
    /// Compute every convolution by its definition, without Winograd's algorithm; the same as --no-fuse winograd
    #[arg(long)]
    no_winograd: bool,
}

impl FusionArgs {
    /// Returns the rules that the flags leave on.
    pub fn fusion(&self) -> Fusion {
        let fusion = self.no_fuse.as_deref().map_or(Fusion::ALL, Fusion::without);
        Fusion { winograd: fusion.winograd && !self.no_winograd, ..fusion }
    }
}
