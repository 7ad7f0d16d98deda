//! Checks of the files that a flag names as outputs.

use std::path::Path;

use same_file::is_same_file;
use wgrad::base::files::FileError;
use wgrad::base::shown::Shown;
use wgrad::train::folder::{BEST, CONFIG, METRICS, MODEL, NON_FINITE_DUMP, SUMMARY};
use wgrad::train::logs::METRICS_CSV;

use super::WrongUse;

/// Refuses an output that would replace an input of the command. Each of `inputs` is a file or a folder; a folder
/// stands for all its files, except files that end in `.{own}`: these are earlier outputs, and may be replaced. Also
/// refuses the settings, weights, checkpoints and metrics of every run.
///
/// # Errors
/// [`WrongUse`] with the name of the file.
pub fn refuse_inputs(output: &Path, inputs: &[&Path], own: &str) -> Result<(), WrongUse> {
    // `is_same_file` fails for a file that does not exist. This counts as false, because only existing files can be
    // inputs.
    let is_same = |a: &Path, b: &Path| is_same_file(a, b).unwrap_or(false);
    let is_output = output.extension().is_some_and(|extension| extension == own);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let is_in = |input: &Path| input.is_dir() && output.exists() && is_same(folder, input);
    let is_input = |input: &&Path| is_same(output, input) || (is_in(input) && !is_output);
    let refused =
        |why: &str| Err(WrongUse(format!("{}: {why}; name another file", output.shown())));
    if inputs.iter().any(is_input) {
        return refused("the command reads this file");
    }
    if output.exists() && folder.join(CONFIG).exists() && is_of_a_run(output) {
        return refused("the file is a part of a run");
    }
    Ok(())
}

/// Returns true for the names that a run gives to its files of settings and results.
fn is_of_a_run(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = [CONFIG, METRICS, MODEL, BEST, SUMMARY, NON_FINITE_DUMP, METRICS_CSV];
    names.contains(&&*name) || name.starts_with("checkpoint-") || name.starts_with("events.out.")
}

/// Writes `document` as JSON into the file of a flag `--json [FILE]`. Without a file, the flag has the value `-`, and the
/// document is printed as one line. Returns true if it was printed, so the command prints no table.
///
/// # Errors
/// If the file cannot be written.
pub fn json(file: Option<&Path>, document: &impl serde::Serialize) -> anyhow::Result<bool> {
    let Some(path) = file else { return Ok(false) };
    let in_place = path.as_os_str() == "-";
    match in_place {
        true => super::print(&format!("{}\n", serde_json::to_string(document)?))?,
        false => {
            let text = serde_json::to_string_pretty(document)? + "\n";
            std::fs::write(path, text).map_err(FileError::at(path))?;
        }
    }
    Ok(in_place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn inputs_are_refused_as_outputs_under_any_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = folder.path();
        let file = |name: &str| run.join(name);
        for name in ["model.safetensors", "report.html"] {
            fs::write(file(name), "x").expect("written");
        }
        let refused =
            |name: &str, inputs: &[&Path]| refuse_inputs(&file(name), inputs, "html").is_err();
        assert!(refused("model.safetensors", &[run]), "the command reads its folder");
        assert!(!refused("report.html", &[run]), "an earlier output");
        assert!(!refused("new.txt", &[run]), "a new file");
        assert!(refused("report.html", &[&file("report.html")]), "an input itself");
        fs::hard_link(file("model.safetensors"), file("link.html")).expect("a link");
        assert!(refused("link.html", &[&file("model.safetensors")]), "the same file");
        assert!(!refused("model.safetensors", &[]), "not in a run's folder");
        fs::write(file("config.toml"), "").expect("written");
        assert!(refused("model.safetensors", &[]), "a part of a run");
        assert!(!refused("link.html", &[]), "not a name of a run's file");
    }
}
