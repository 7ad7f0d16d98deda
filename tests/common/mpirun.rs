//! Ranks that a launcher starts. `$MPIRUN` selects the launcher, which must belong to the MPI of the build.
#![allow(dead_code, reason = "no test file calls all of it")]

use std::env;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// The longest time from the failure of a rank to the end of all.
pub const IN_TIME: Duration = Duration::from_secs(5);

/// Name of the launcher.
pub fn launcher() -> String {
    env::var("MPIRUN").unwrap_or("mpirun".to_string())
}

/// Returns true if the launcher is that of MPICH.
pub fn is_mpich() -> bool {
    version().contains("HYDRA")
}

/// Returns the text with which the launcher states its name and version.
pub fn version() -> String {
    text(&Command::new(launcher()).arg("--version").output().expect("a launcher"))
}

/// Returns a launcher without ranks. Open MPI refuses the user root and more ranks than cores, and pins ranks to cores;
/// MPICH ignores the variables.
pub fn starter(launcher: &str) -> Command {
    let mut command = Command::new(launcher);
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command.env("OMPI_MCA_hwloc_base_binding_policy", "none");
    command
}

/// Returns the command that starts `n` ranks of a program.
pub fn started_by(launcher: &str, n: usize, program: &Path) -> Command {
    let mut command = starter(launcher);
    command.args(["-n", &n.to_string()]).arg(program);
    command
}

/// Returns everything that all ranks printed.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Sends a signal, such as `TERM`.
pub fn send(signal: &str, child: &Child) {
    let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(kill.expect("kill is everywhere").success());
}

/// Waits until a condition is true, at most a minute.
pub fn wait_until(is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing happened for a minute");
        thread::sleep(Duration::from_millis(5));
    }
}
