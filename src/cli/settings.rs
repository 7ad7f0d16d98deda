//! The flags of a run's settings. [`Settings::ALL`] declares the settings; this file makes a flag from each.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgMatches, Command};
use wgrad::data::DATASETS;
use wgrad::train::Settings;
use wgrad::train::settings::{Quotes, Setting};

use super::arguments::{Sources, possible_values};

/// The flags of all [`Settings`].
#[derive(Clone)]
pub struct SettingsArgs {
    /// The settings that the flags give.
    pub settings: Settings,
}

impl clap::Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let flags = Settings::ALL.iter().map(flag);
        command.args(flags).mut_arg("weights_sha256", |flag| flag.requires("weights"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self { settings: Settings::default() };
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in Settings::ALL {
            if let Some(value) = matches.get_one::<OsString>(setting.field) {
                (setting.read_flag)(&mut self.settings, value).map_err(|error| {
                    clap::Error::raw(clap::error::ErrorKind::ValueValidation, error)
                })?;
            }
        }
        Ok(())
    }
}

/// Returns the flag of a setting.
fn flag(setting: &'static Setting) -> Arg {
    let flag = Arg::new(setting.field)
        .long(setting.key)
        .value_name(setting.value_name)
        .help(help(setting))
        .help_heading(setting.heading)
        .value_parser(parser(setting));
    match setting.quotes {
        // `--no-flip` alone means `--no-flip=true`.
        Quotes::Never("true or false") => {
            flag.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        // The rule of the setting refuses a negative number. clap would take it for an unknown flag.
        Quotes::Never(_) | Quotes::Mixed => flag.allow_negative_numbers(true),
        Quotes::Always => flag,
    }
}

/// Returns the help text of a setting's flag: the help text of the setting's declaration, the default for CIFAR-10, and
/// the default for each dataset that has a different one.
fn help(setting: &Setting) -> String {
    let help = setting.help.trim();
    // A setting without a default, or whose declared help text already states one, keeps the declared text.
    let Some(default) = setting.default.filter(|_| !help.contains("[default: ")) else {
        return help.to_string();
    };
    let mut defaults =
        DATASETS.iter().map(|dataset| (default(&dataset.defaults()), dataset.name()));
    let (first, _) = defaults.next().expect("CIFAR-10");
    let mut others = BTreeMap::<String, Vec<&str>>::new();
    for (default, name) in defaults.filter(|(default, _)| *default != first) {
        others.entry(default).or_default().push(name);
    }
    let others = others.iter().map(|(default, names)| format!("; {}: {default}", names.join(", ")));
    match others.collect::<String>() {
        // Flags without a value are off by default. The help text does not state this default.
        others if others.is_empty() && first == "false" => help.to_string(),
        others => format!("{help} [default: {first}{others}]"),
    }
}

/// Returns a parser that checks a value and returns its text.
fn parser(setting: &'static Setting) -> ValueParser {
    if setting.field == "data" {
        return Sources.map(|source| OsString::from(source.name())).into();
    }
    let names = (setting.names)();
    if !names.is_empty() {
        return PossibleValuesParser::new(possible_values(names.into_iter()))
            .map(OsString::from)
            .into();
    }
    let check =
        |value: OsString| (setting.read_flag)(&mut Settings::default(), &value).map(|()| value);
    OsStringValueParser::new().try_map(check).into()
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    fn command() -> Command {
        SettingsArgs::augment_args(Command::new("test"))
    }

    #[test]
    fn the_keys_of_a_settings_file_are_the_flags() {
        let error = Settings::parse("no-such-key = 1").expect_err("no such key").to_string();
        let expected = error.split_once("expected one of ").expect("a list of the keys").1;
        let mut keys: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let command = command();
        let mut flags: Vec<_> = command.get_arguments().filter_map(Arg::get_long).collect();
        keys.sort_unstable();
        flags.sort_unstable();
        assert_eq!(flags, keys);
    }

    #[test]
    fn the_help_has_the_defaults() {
        let command = command();
        let help = |id: &str| {
            let flag = command.get_arguments().find(|flag| flag.get_id() == id).expect("a flag");
            flag.get_help().expect("a help text").to_string()
        };
        let epochs = "images [default: 24; shapes: 10; mnist, fashion-mnist: 12]";
        assert!(help("epochs").ends_with(epochs), "{}", help("epochs"));
        let no_flip = "at random [default: false; mnist: true]";
        assert!(help("no_flip").ends_with(no_flip), "{}", help("no_flip"));
        assert!(help("max_lr").ends_with("rate [default: 0.01]"), "{}", help("max_lr"));
        assert!(help("div_factor").ends_with("[default: 10]"), "{}", help("div_factor"));
        assert!(help("ema").ends_with("save the average [default: off]"), "{}", help("ema"));
        assert!(help("no_crop").ends_with("at random"), "{}", help("no_crop"));
    }
}
