//! Parsers of flags whose value is one of a few names, such as `--kernels naive`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use wgrad::data::Source;
use wgrad::kernel::Kernels;
use wgrad::measure::profile::table::Sort;
use wgrad::ops::finite_check::OnNonFinite;
use wgrad::passes::fuse;
use wgrad::train::lr_find::curve::{self, Scale};
use wgrad::train::schedule::Anneal;

/// A parser that accepts the names of a few values of type `T`, and returns the value with the given name. `--help`
/// lists each name with its help text.
pub struct OneOf<T: 'static> {
    name: fn(T) -> &'static str,
    values: &'static [(T, &'static str)],
}

/// The kinds of kernels.
pub const KERNELS: OneOf<Kernels> = OneOf {
    name: Kernels::name,
    values: &[
        (Kernels::Naive, "Simple kernels to read: each invocation computes one element"),
        (Kernels::Default, "Fast kernels, chosen by shape and kind of adapter"),
        (Kernels::Tuned, "Fast kernels, chosen by one measurement on the adapter"),
    ],
};

/// The datasets.
pub const SOURCE: OneOf<Source> = OneOf {
    name: Source::name,
    values: &[
        (
            Source::Auto,
            "CIFAR-10 if it is found or a folder is named, otherwise the built-in shapes",
        ),
        (Source::Cifar10, "CIFAR-10; an error if it is not found"),
        (Source::Shapes, "The built-in shapes: drawn figures, no download"),
    ],
};

/// The reactions to a gradient that is not finite.
pub const ON_NAN: OneOf<OnNonFinite> = OneOf {
    name: OnNonFinite::name,
    values: &[
        (OnNonFinite::Stop, "This step and all later steps change nothing, and the run ends"),
        (OnNonFinite::Skip, "This step changes nothing and is counted, and the run continues"),
    ],
};

/// The curves of the learning rate's schedule.
pub const ANNEAL: OneOf<Anneal> = OneOf {
    name: Anneal::name,
    values: &[(Anneal::Linear, "A straight line"), (Anneal::Cos, "Half a period of the cosine")],
};

/// The rules of fusion.
pub const FUSION: OneOf<fuse::Rule> = OneOf {
    name: fuse::Rule::name,
    values: &[
        (fuse::Rule::ConvMaxPool, "A convolution and the max pool after it"),
        (fuse::Rule::BatchNormRelu, "A batch norm and the ReLU after it"),
        (
            fuse::Rule::ResidualAdd,
            "A batch norm, the ReLU after it, and the residual addition after the ReLU",
        ),
        (
            fuse::Rule::ConvBatchNorm,
            "A convolution and the mean and M2 of its output, for the batch norm after it",
        ),
    ],
};

/// The scales of a sweep.
pub const SCALE: OneOf<Scale> = OneOf {
    name: Scale::name,
    values: &[
        (
            Scale::Log,
            "Each learning rate is the previous one times a constant: every power of ten has as many steps",
        ),
        (Scale::Linear, "Each learning rate is the previous one plus a constant"),
    ],
};

/// The rules that read a learning rate from a curve.
pub const SUGGESTION: OneOf<curve::Rule> = OneOf {
    name: curve::Rule::name,
    values: &[
        (
            curve::Rule::Steepest,
            "The learning rate at which the loss falls fastest becomes the middle of the schedule's range",
        ),
        (curve::Rule::Minimum, "A tenth of the learning rate with the smallest loss"),
        (
            curve::Rule::Valley,
            "fastai's valley: a learning rate within the longest range over which the loss falls",
        ),
    ],
};

/// The orders of a profile's nodes.
pub const SORT: OneOf<Sort> = OneOf {
    name: Sort::name,
    values: &[(Sort::Tape, "Order of execution"), (Sort::Time, "Longest time first")],
};

impl<T: Copy> OneOf<T> {
    fn possible(&self) -> impl Iterator<Item = PossibleValue> + use<T> {
        let name = self.name;
        self.values.iter().map(move |&(value, help)| PossibleValue::new(name(value)).help(help))
    }
}

impl<T> Clone for OneOf<T> {
    fn clone(&self) -> Self {
        Self { name: self.name, values: self.values }
    }
}

impl<T: Copy + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parser = PossibleValuesParser::new(self.possible());
        let found = parser.parse_ref(command, argument, value)?;
        let value = self.values.iter().find(|&&(value, _)| (self.name)(value) == found);
        Ok(value.expect("a possible value").0)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.possible()))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn assert_lists<T: Copy + PartialEq + Debug>(parser: &OneOf<T>, all: &[T]) {
        let values: Vec<_> = parser.values.iter().map(|(value, _)| *value).collect();
        assert_eq!(values, all);
    }

    #[test]
    fn every_value_has_a_help_text() {
        assert_lists(&KERNELS, &Kernels::ALL);
        assert_lists(&SOURCE, &Source::ALL);
        assert_lists(&ON_NAN, &OnNonFinite::ALL);
        assert_lists(&ANNEAL, &Anneal::ALL);
        assert_lists(&FUSION, &fuse::Rule::ALL);
        assert_lists(&SCALE, &Scale::ALL);
        assert_lists(&SUGGESTION, &curve::Rule::ALL);
        assert_lists(&SORT, &Sort::ALL);
    }

    #[test]
    fn files_and_the_command_line_use_the_same_names() {
        let json = |value: &dyn Fn() -> serde_json::Result<String>| value().expect("a name");
        let quoted = |name: &str| format!("{name:?}");
        for value in Kernels::ALL {
            assert_eq!(json(&|| serde_json::to_string(&value)), quoted(value.name()));
        }
        for value in OnNonFinite::ALL {
            assert_eq!(json(&|| serde_json::to_string(&value)), quoted(value.name()));
        }
        for value in Anneal::ALL {
            assert_eq!(json(&|| serde_json::to_string(&value)), quoted(value.name()));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_list_of_the_names() {
        let argument = clap::Arg::new("kernels").long("kernels").value_parser(KERNELS);
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
