//! Settings from a settings file: each key names a [`Setting`], which reads its value.
//!
//! serde's derived code would have every setting in one function, and serde compiles this function three times, for
//! TOML's three kinds of tables. Here the settings are a list of function pointers.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

use super::{Setting, Settings};

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Settings, M::Error> {
        let mut settings = Settings::default();
        while let Some(Key(setting)) = map.next_key()? {
            map.next_value_seed(ValueOf { setting, settings: &mut settings })?;
        }
        Ok(settings)
    }
}

/// The setting that a key names.
struct Key(&'static Setting);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let setting = Settings::ALL.iter().find(|setting| setting.key == key);
        setting.map(Self).ok_or_else(|| D::Error::unknown_field(&key, Settings::KEYS))
    }
}

/// The settings into which the value of a setting is read.
struct ValueOf<'a> {
    setting: &'static Setting,
    settings: &'a mut Settings,
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        (self.setting.read_value)(self.settings, &value).map_err(D::Error::custom)
    }
}
