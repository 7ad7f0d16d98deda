//! Hints for runs that cannot be resumed: the command that starts a new run from their weights.

use std::path::Path;

use wgrad::base::shown::{Shown, escaped, quoted};
use wgrad::train::Difference;
use wgrad::train::folder::CONFIG;
use wgrad::train::{NotResumed, RunFolder};

/// Returns the hint for the run in `folder`, which cannot be resumed.
pub fn hint_of_resume(
    folder: &Path,
    cause: &NotResumed,
    has: &dyn Fn(&str) -> bool,
) -> Option<String> {
    match cause {
        NotResumed::NoCheckpoint { .. } => {
            Some(format!("{} starts a new run from its weights", begin_from(folder, "")))
        }
        NotResumed::Settings(differences) => Some(of_settings(folder, differences)),
        NotResumed::Images { .. } => has("--data-dir")
            .then(|| "name the present folder of those images with --data-dir".to_string()),
    }
}

fn of_settings(folder: &Path, differences: &[Difference]) -> String {
    // A changed `weights` or `weights-sha256` has a separate hint: only a new run can start from other weights.
    let (weights, others): (Vec<_>, Vec<_>) =
        differences.iter().partition(|difference| difference.key.starts_with("weights"));
    let flags: String = others.iter().filter_map(|difference| flag(difference)).collect();
    let begin = match weights.is_empty() {
        true => format!(
            "{} starts a new run with these settings, from its weights",
            begin_from(folder, &flags)
        ),
        false => "to start a run from other weights, name another folder with --out".to_string(),
    };
    format!("{begin}; to resume this run, undo the change")
}

/// Returns the flag for a setting that has changed since the run began, with the setting's new value. The text starts
/// with a space: ` --max-lr 0.02`. None if the setting has no value now.
fn flag(difference: &Difference) -> Option<String> {
    let (key, value) = (&difference.key, difference.now.as_ref()?);
    Some(match value {
        toml::Value::Boolean(_) => format!(" --{key}={value}"),
        toml::Value::String(text) => format!(" --{key} {}", quoted(&escaped(text))),
        _ => format!(" --{key} {value}"),
    })
}

/// Returns the command, in backticks, that starts a new run with the settings and weights of the run in `path`. `flags`
/// override the settings.
pub fn begin_from(path: &Path, flags: &str) -> String {
    let name = path.in_command();
    match RunFolder::finished(path) {
        Some(_) => format!("`wgrad train --another-cycle {name}{flags}`"),
        None => {
            let config = path.join(CONFIG).in_command();
            format!("`wgrad train --config {config} --weights {name}{flags}`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_setting_becomes_a_flag() {
        let flag = |key: &str, now| flag(&Difference { key: key.to_string(), now, before: None });
        assert_eq!(flag("max-lr", Some(0.02.into())), Some(" --max-lr 0.02".to_string()));
        assert_eq!(flag("no-crop", Some(true.into())), Some(" --no-crop=true".to_string()));
        let folder = flag("data", Some("/my photos".into()));
        assert_eq!(folder, Some(" --data '/my photos'".to_string()));
        assert_eq!(flag("patience", None), None);
    }
}
