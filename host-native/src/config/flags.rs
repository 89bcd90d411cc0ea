//! The option table: what a flag is, and the macro that turns one table into a typed struct.
//!
//! The table is the only place where an option is written down. A flag points at its field with two accessors, so
//! its type decides how it is read and printed, and a table that does not fit its struct does not compile.

use super::OptionValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A program that has options.
#[derive(Debug)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// One line: what it is.
    pub title: &'static str,
    /// A paragraph or two for the top of the help page.
    pub about: &'static str,
    /// Commands that work as they stand, each with what it does.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Flags that belong together.
#[derive(Debug)]
pub struct Group<O: 'static> {
    /// Heading on the help page.
    pub title: &'static str,
    /// What the flags have in common.
    pub intro: &'static str,
    /// The flags, in the order they are explained.
    pub flags: &'static [Flag<O>],
}

/// One flag.
pub struct Flag<O: 'static> {
    /// Name without dashes.
    pub name: &'static str,
    /// What stands for the value in the help page, if the type's own word would say too little.
    pub placeholder: Option<&'static str>,
    /// Name in the config file, if it is not the flag's with underscores.
    pub key: Option<&'static str>,
    /// The explanation. Its first sentence is the summary.
    pub help: &'static str,
    /// What the flag does.
    pub role: Role<O>,
}

impl<O> std::fmt::Debug for Flag<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Flag").field(&self.name).finish()
    }
}

/// What a flag does.
pub enum Role<O: 'static> {
    /// It is for the command line only.
    Builtin(Builtin),
    /// It sets a field.
    Option {
        /// The field.
        get: fn(&O) -> &dyn OptionValue,
        /// The field, to set it.
        get_mut: fn(&mut O) -> &mut dyn OptionValue,
    },
}

/// Flags every program may have, that are no option of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Print the help page and end. Also answers to `-h`.
    Help,
    /// Print the version and end.
    Version,
    /// Read this config file.
    Config,
    /// Print a completion script for this shell and end.
    Completions,
    /// Print the page for `man` and end.
    Man,
    /// A switch that once did something.
    Deprecated,
}

impl Builtin {
    /// Stands alone and never takes the next word.
    pub fn is_switch(self) -> bool {
        match self {
            Self::Help | Self::Version | Self::Man | Self::Deprecated => true,
            Self::Config | Self::Completions => false,
        }
    }
}

/// The typed options of a program, with the table they came from. Implemented by `options!`.
pub trait OptionSet: Default + 'static {
    /// Who they belong to.
    const PROGRAM: Program;
    /// The table.
    fn groups() -> &'static [Group<Self>];
    /// Which options were set.
    fn sources(&self) -> &Sources;
    /// Which options were set, to add to it.
    fn sources_mut(&mut self) -> &mut Sources;
}

/// Where the value of an option came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The config file.
    File,
    /// The command line.
    Flag,
}

/// For each option that was set, by flag name: where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<&'static str, Source>);

impl Sources {
    /// Where the value of `flag` came from.
    pub fn of(&self, flag: &str) -> Source {
        self.0.get(flag).copied().unwrap_or(Source::Default)
    }

    /// Somebody set `flag`.
    pub fn is_set(&self, flag: &str) -> bool {
        self.of(flag) != Source::Default
    }

    pub(super) fn note(&mut self, flag: &'static str, source: Source) {
        self.0.insert(flag, source);
    }
}

impl<O> Flag<O> {
    /// Name in the config file and of `/config/:opt`; none for flags that are no option.
    pub fn config_key(&self) -> Option<Cow<'static, str>> {
        match (&self.role, self.key) {
            (Role::Builtin(_), _) => None,
            (Role::Option { .. }, Some(key)) => Some(key.into()),
            (Role::Option { .. }, None) if self.name.contains('-') => Some(self.name.replace('-', "_").into()),
            (Role::Option { .. }, None) => Some(self.name.into()),
        }
    }
}

/// Every flag of the table.
pub(super) fn all_flags<O: OptionSet>() -> impl Iterator<Item = &'static Flag<O>> {
    O::groups().iter().flat_map(|group| group.flags)
}

/// The flag called `name`, without dashes.
pub fn find_flag<O: OptionSet>(name: &str) -> Option<&'static Flag<O>> {
    all_flags::<O>().find(|flag| flag.name == name)
}

/// The option with that name in the config file.
pub(super) fn find_key<O: OptionSet>(key: &str) -> Option<&'static Flag<O>> {
    all_flags::<O>().find(|flag| flag.config_key().is_some_and(|own| own == key))
}

/// The body of `GET /config/:opt`, or `None` if there is no such option.
pub fn read_option<O: OptionSet>(options: &O, key: &str) -> Option<String> {
    match find_key::<O>(key)?.role {
        Role::Option { get, .. } => Some(get(options).encode()),
        Role::Builtin(_) => None,
    }
}

/// The candidate that `name` was probably meant to be.
pub(crate) fn suggest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    const ALIKE: f64 = 0.8;
    let name = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Defines a struct of options together with their table.
///
/// ```text
/// options! {
///     /// Doc of the struct.
///     pub struct EchodOptions for Program { name: "echod", .. };
///
///     group "Basics": "What they have in common." {
///         builtin "config" <"FILE"> = Config, "Help text.";
///         "max-size" <"BYTES"> key "size" => max_size: u64 = 1024, "Help text, also the doc of the field.";
///     }
/// }
/// ```
///
/// The placeholder in angle brackets and the `key` may be left out. The default of a list must be empty: each flag
/// adds to it. Built-ins come first in their group.
macro_rules! options {
    (
        $(#[$meta:meta])*
        pub struct $Options:ident for $program:expr;
        $(
            group $title:literal: $intro:literal {
                $( builtin $bname:literal $(<$bplace:literal>)? = $builtin:ident, $bhelp:literal; )*
                $( $name:literal $(<$place:literal>)? $(key $key:literal)? => $field:ident: $Type:ty = $default:expr, $help:literal; )*
            }
        )+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Options {
            $($( #[doc = $help] pub $field: $Type, )*)+
            /// Which options were set, and where.
            pub sources: $crate::config::Sources,
        }

        impl Default for $Options {
            fn default() -> Self {
                Self {
                    $($( $field: $default, )*)+
                    sources: $crate::config::Sources::default(),
                }
            }
        }

        impl $crate::config::OptionSet for $Options {
            const PROGRAM: $crate::config::Program = $program;

            fn groups() -> &'static [$crate::config::Group<Self>] {
                use $crate::config::{Builtin, Flag, Group, Role};
                &[$( Group {
                    title: $title,
                    intro: $intro,
                    flags: &[
                        $( Flag {
                            name: $bname,
                            placeholder: options!(@optional $($bplace)?),
                            key: None,
                            help: $bhelp,
                            role: Role::Builtin(Builtin::$builtin),
                        }, )*
                        $( Flag {
                            name: $name,
                            placeholder: options!(@optional $($place)?),
                            key: options!(@optional $($key)?),
                            help: $help,
                            role: Role::Option { get: |options| &options.$field, get_mut: |options| &mut options.$field },
                        }, )*
                    ],
                } ),+]
            }

            fn sources(&self) -> &$crate::config::Sources {
                &self.sources
            }

            fn sources_mut(&mut self) -> &mut $crate::config::Sources {
                &mut self.sources
            }
        }
    };
    (@optional) => { None };
    (@optional $value:literal) => { Some($value) };
}
pub(crate) use options;
