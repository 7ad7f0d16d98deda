//! `wgrad convert`

use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::base::files::write_whole;
use wgrad::base::shown::Shown;
use wgrad::base::units::readable_bytes;

use super::{WrongUse, outputs};

/// Flags of `wgrad convert`.
#[derive(clap::Args)]
#[command(after_help = "\
No code of IN is run: a file with more than tensors and plain data, such as a whole module, is refused.
Types and bits of the tensors stay. Their names lose the prefixes of wrappers, such as `module.`.")]
pub struct Args {
    /// The weights: a file of torch.save (.pt, .pth, .th) or of safetensors, or the folder of a run
    #[arg(value_name = "IN")]
    weights: PathBuf,
    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Converts the file, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let out = &args.out;
    if out
        .extension()
        .is_some_and(|end| ["pt", "pth", "th"].iter().any(|of_torch| end == *of_torch))
    {
        let problem = "the command writes safetensors; name a file that ends in .safetensors";
        return Err(WrongUse(format!("{}: {problem}", out.shown())).into());
    }
    let file = super::weights::read(&args.weights)?;
    outputs::refuse_inputs(out, &[file.path()], "safetensors")?;
    let (bytes, notes) = file.to_safetensors()?;
    notes.iter().for_each(|note| super::note(&format!("{}: {note}", file.path().shown())));
    write_whole(out, &bytes)?;
    super::print(&format!("weights   {} ({})\n", out.shown(), readable_bytes(bytes.len() as u64)))?;
    Ok(ExitCode::SUCCESS)
}
