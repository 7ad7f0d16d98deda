//! `wgrad compare`

use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::report::{LoadedRun, compare};

/// Flags of `wgrad compare`.
#[derive(clap::Args)]
#[command(after_help = "\
The command also prints the table. The page replaces an earlier page.")]
pub struct Args {
    /// The folders of the runs, two or more
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    runs: Vec<PathBuf>,
    /// The file of the page with the table and the curves
    #[arg(long, value_name = "FILE", default_value = "compare.html")]
    out: PathBuf,
}

/// Prints the table, writes the page, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runs = args.runs.iter().map(|path| LoadedRun::read(path)).collect::<Result<Vec<_>, _>>()?;
    let folders: Vec<_> = args.runs.iter().map(PathBuf::as_path).collect();
    super::outputs::refuse_inputs(&args.out, &folders, "html")?;
    super::print(&compare::text(&runs))?;
    files::write_whole(&args.out, compare::page(&runs).as_bytes())?;
    super::print(&format!("\nreport    {}\n", args.out.shown()))?;
    Ok(ExitCode::SUCCESS)
}
