//! The parsers of flags whose value is one of a few names, such as `--kernels naive` and `--network resnet20`.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use wgrad::base::choice::Choice;
use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::data::Source;
use wgrad::nn::NetworkRef;
use wgrad::nn::networks::by_name;

/// A parser that accepts the names of a type's values, and returns the value with the given name. `--help` lists each
/// name with its help text.
#[derive(Clone)]
pub struct OneOf<T>(PhantomData<T>);

/// Returns the parser for a type.
pub const fn one_of<T: Choice>() -> OneOf<T> {
    OneOf(PhantomData)
}

/// Returns the names of some values with their help texts.
pub fn possible_values<'a>(
    values: impl Iterator<Item = (&'static str, &'static str)> + 'a,
) -> impl Iterator<Item = PossibleValue> + 'a {
    values.map(|(name, help)| PossibleValue::new(name).help(help))
}

/// Returns the network with this name. It is the parser of a flag whose value is a network's name.
///
/// # Errors
/// If no network has this name. The error has the nearest name and the command that lists all names.
pub fn network(name: &str) -> Result<NetworkRef, String> {
    by_name(name)
}

fn of_type<T: Choice>() -> impl Iterator<Item = PossibleValue> {
    possible_values(T::ALL.iter().map(|&(_, name, help)| (name, help)))
}

impl<T: Choice> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parser = PossibleValuesParser::new(of_type::<T>());
        let name = parser.parse_ref(command, argument, value)?;
        Ok(T::from_name(&name).expect("a possible value"))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(of_type::<T>()))
    }
}

/// The parser of a flag whose value is a dataset: its name, or the path of a folder of pictures.
#[derive(Clone)]
pub struct Sources;

impl TypedValueParser for Sources {
    type Value = Source;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Source, clap::Error> {
        // Settings files are UTF-8, and the path of the folder is a setting.
        let error = |text: String| clap::Error::raw(clap::error::ErrorKind::ValueValidation, text);
        let path =
            files::expand_home(Path::new(value)).map_err(|e| error(format!("--data: {e}\n")))?;
        let name = path.to_str().ok_or_else(|| {
            let text =
                format!("--data: {} is no UTF-8; rename the folder\n", Path::new(value).shown());
            clap::Error::raw(clap::error::ErrorKind::InvalidUtf8, text)
        })?;
        let parser = clap::builder::NonEmptyStringValueParser::new();
        parser.try_map(|name| Source::from_name(&name)).parse_ref(command, argument, name.as_ref())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(possible_values(Source::names().into_iter())))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use wgrad::kernel::Kernels;
    use wgrad::ops::finite_check::OnNonFinite;
    use wgrad::train::schedule::Anneal;

    use super::*;

    #[test]
    fn files_and_the_command_line_use_the_same_names() {
        fn check<T: Choice + Serialize>() {
            for value in T::values() {
                let json = serde_json::to_string(&value).expect("a name");
                assert_eq!(json, format!("{:?}", value.name()));
            }
        }
        check::<Kernels>();
        check::<OnNonFinite>();
        check::<Anneal>();
    }

    #[test]
    fn an_unknown_network_is_refused_with_the_nearest_name() {
        let argument = clap::Arg::new("network").long("network").value_parser(network);
        let command = clap::Command::new("test").arg(argument);
        let error = command.try_get_matches_from(["test", "--network=resnet57"]);
        let error = error.expect_err("no such name").to_string();
        assert!(error.contains("`wgrad networks` lists the names"), "{error}");
        assert!(error.contains("did you mean resnet5"), "{error}");
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_list_of_the_names() {
        let argument = clap::Arg::new("kernels").long("kernels").value_parser(one_of::<Kernels>());
        let parse = |name: &str| {
            let command = clap::Command::new("test").arg(argument.clone());
            command.try_get_matches_from(["test", "--kernels", name])
        };
        let matches = parse("tuned").expect("a name");
        assert_eq!(matches.get_one("kernels"), Some(&Kernels::Tuned));
        let error = parse("fast").expect_err("no such name").to_string();
        assert!(error.contains("[possible values: naive, default, tuned]"), "{error}");
    }
}
