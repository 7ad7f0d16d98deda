//! A difference between the settings of a run and those that it is resumed with.

use std::fmt;

/// A setting that is not as it was.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Key of the setting.
    pub key: String,
    /// Value of now; none where it is not set.
    pub now: Option<toml::Value>,
    /// Value of when the run began; none where it was not set.
    pub before: Option<toml::Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<toml::Value>| {
            value.as_ref().map_or("not set".to_string(), ToString::to_string)
        };
        write!(f, "{} is {}, and was {}", self.key, text(&self.now), text(&self.before))
    }
}
