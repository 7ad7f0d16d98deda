//! Values that a setting or a flag selects by name, such as `naive`, `default` and `tuned`.

/// A type with a few values. Each value has a name, in kebab case, and a help text.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// Every value with its name and its help text, in the order of help texts and messages.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// Returns the name.
    ///
    /// # Panics
    /// If the value is missing in [`Choice::ALL`].
    fn name(self) -> &'static str {
        let entry = Self::ALL.iter().find(|(value, ..)| *value == self);
        entry.expect("every value is in the list").1
    }

    /// Returns every value.
    fn values() -> impl Iterator<Item = Self> + Clone {
        Self::ALL.iter().map(|&(value, ..)| value)
    }

    /// Returns the value with this name.
    ///
    /// # Errors
    /// If no value has this name: the names.
    fn from_name(name: &str) -> Result<Self, String> {
        let value = Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0);
        value.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|entry| entry.1).collect();
            format!("{name:?} is not one of {}", names.join(", "))
        })
    }
}
