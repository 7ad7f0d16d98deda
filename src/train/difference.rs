//! A difference between the settings of a run and those that it is resumed with.

use std::fmt;

/// A setting that differs from the one that the run began with.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Key of the setting.
    pub key: String,
    /// Present value; none if it is not set.
    pub now: Option<toml::Value>,
    /// Value at the beginning of the run; none if it was not set.
    pub before: Option<toml::Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<toml::Value>| {
            value.as_ref().map_or("not set".to_string(), ToString::to_string)
        };
        write!(f, "{} is {}, but was {}", self.key, text(&self.now), text(&self.before))
    }
}
