//! A difference between the settings at the beginning of a run and the settings with which it is resumed.

use std::fmt;

/// A setting whose value differs from its value at the beginning of the run.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Key of the setting.
    pub key: String,
    /// Present value; none if the setting is not set.
    pub now: Option<toml::Value>,
    /// Value at the beginning of the run; none if the setting was not set.
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
