//! The `wgrad` command; see [`cli`]. [`study`] has the experiments of `wgrad study`.

mod cli;
mod study;

fn main() -> std::process::ExitCode {
    cli::main()
}
