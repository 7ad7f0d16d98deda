//! The macro that makes everything about a setting from one declaration.

/// Returns the bytes of a name in kebab case.
pub(super) const fn kebab_case<const N: usize>(name: &str) -> [u8; N] {
    let (mut key, mut at) = ([0; N], 0);
    while at < N {
        let byte = name.as_bytes()[at];
        key[at] = if byte == b'_' { b'-' } else { byte };
        at += 1;
    }
    key
}

/// Declares all settings. A declaration is a help text, a name, a [`Kind`](super::kind::Kind), the word for the value in
/// help texts, and the default as a function of [`Defaults`](super::Defaults). `only schedule = ScheduleKind::Step` restricts a setting to
/// runs whose setting `schedule` has this value. A setting without a default, or with a restriction, is optional in a
/// recipe.
///
/// The macro makes:
///
/// - [`Settings`](super::Settings), in which every setting is optional, and which [`file`](super::file) reads from a settings file;
/// - [`Recipe`](super::Recipe), in which settings with a default have a value, and which is written to `config.toml`;
/// - [`Settings::ALL`](super::Settings::ALL), the [`Setting`](super::Setting)s, from which the command line makes its flags;
/// - functions over all settings: `Settings::or_each`, `Settings::check_restrictions` and `Recipe::filled`.
macro_rules! settings {
    ($($heading:literal {$(
        $(#[doc = $help:literal])+
        $field:ident: $kind:ty [$value_name:literal] $(= $default:expr)? $(, only $owner:ident = $value:expr)?;
    )+})+) => {
        /// The settings of a run as the user gives them, in flags and settings files. Each is optional:
        /// [`Recipe::resolve`] fills in the others. The keys of a settings file are the names of the fields in kebab
        /// case.
        #[derive(Clone, Default, PartialEq, Debug)]
        pub struct Settings {$($(
            $(#[doc = $help])+
            pub $field: Option<$kind>,
        )+)+}

        /// All settings of a run, with the defaults filled in. [`Settings::read`] reads them back from the file that
        /// [`Recipe::to_toml`] makes.
        #[derive(Clone, PartialEq, Debug, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Recipe {$($(
            $(#[doc = $help])+
            pub $field: settings!(@type $kind, [$($default)?], [$($owner)?]),
        )+)+}

        impl Settings {
            /// Every setting, in the order of help texts.
            pub const ALL: &'static [Setting] = &[$($(
                Setting {
                    field: stringify!($field),
                    key: settings!(@key $field),
                    heading: $heading,
                    help: concat!($($help),+),
                    value_name: $value_name,
                    quotes: <$kind as Kind>::QUOTES,
                    names: <$kind as Kind>::NAMES,
                    read_flag: |settings, value| {
                        settings.$field = Some(<$kind as Kind>::from_flag(value)?);
                        Ok(())
                    },
                    read_value: |settings, value| {
                        settings.$field = Some(<$kind as Kind>::from_file(value)?);
                        Ok(())
                    },
                    is_given: |settings| settings.$field.is_some(),
                    default: settings!(@text $kind, [$($default)?]),
                },
            )+)+];

            /// The keys of all settings, in the same order.
            const KEYS: &'static [&'static str] = &[$($(settings!(@key $field),)+)+];

            /// Returns these settings, with those of `other` where these are none. A setting of `other` that is
            /// restricted to another schedule than that of these settings is left out.
            pub(super) fn or_each(self, mut other: Self) -> Self {
                $($($(
                    if self.$owner.is_some_and(|owner| owner != $value) {
                        other.$field = None;
                    }
                )?)+)+
                Self {$($($field: self.$field.or(other.$field),)+)+}
            }

            /// Checks that every restricted setting that is given belongs to the recipe that was made from the settings.
            ///
            /// # Errors
            /// [`ConfigError::Restricted`] for the first setting that does not.
            pub(super) fn check_restrictions(&self, recipe: &Recipe) -> Result<(), ConfigError> {
                $($($(
                    if self.$field.is_some() && recipe.$owner != $value {
                        return Err(ConfigError::Restricted {
                            setting: settings!(@key $field),
                            owner: settings!(@key $owner),
                            given: recipe.$owner.name(),
                            needed: $value.name(),
                        });
                    }
                )?)+)+
                Ok(())
            }
        }

        impl Recipe {
            /// Returns the settings with the defaults filled in. Checks nothing.
            pub(super) fn filled(settings: Settings, defaults: &Defaults) -> Self {
                #[allow(unused_mut)]
                let mut recipe = Self {$($(
                    $field: settings!(@value settings.$field, defaults, $kind, [$($default)?], [$($owner)?]),
                )+)+};
                $($($(
                    if recipe.$owner != $value {
                        recipe.$field = None;
                    }
                )?)+)+
                recipe
            }
        }
    };
    (@key $field:ident) => {{
        const KEY: [u8; stringify!($field).len()] = declare::kebab_case(stringify!($field));
        match std::str::from_utf8(&KEY) {
            Ok(key) => key,
            Err(_) => unreachable!(),
        }
    }};
    (@type $kind:ty, [$default:expr], []) => { <$kind as Kind>::Value };
    (@type $kind:ty, $default:tt, $owner:tt) => { Option<<$kind as Kind>::Value> };
    (@text $kind:ty, []) => { None };
    (@text $kind:ty, [$default:expr]) => {
        Some(|defaults| {
            let default: fn(&Defaults) -> <$kind as Kind>::Value = $default;
            declare::text(&default(defaults))
        })
    };
    (@value $setting:expr, $defaults:ident, $kind:ty, [], $owner:tt) => { $setting.and_then(Kind::value) };
    (@value $setting:expr, $defaults:ident, $kind:ty, [$default:expr], []) => {{
        let default: fn(&Defaults) -> <$kind as Kind>::Value = $default;
        $setting.and_then(Kind::value).unwrap_or_else(|| default($defaults))
    }};
    (@value $setting:expr, $defaults:ident, $kind:ty, [$default:expr], [$owner:ident]) => {
        Some(settings!(@value $setting, $defaults, $kind, [$default], []))
    };
}

pub(super) use settings;

/// Returns a value as it stands in a settings file, without quotation marks.
pub(super) fn text(value: &impl serde::Serialize) -> String {
    match toml::Value::try_from(value).expect("a number, a name or a path") {
        toml::Value::String(text) => text,
        toml::Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}
