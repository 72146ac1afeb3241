//! A mapping of the file, read by the table of its keys.

use std::str::FromStr;
use std::time::Duration;

use super::{COMMA_HELP, Walk};
use crate::keys::{Key, Keys, Presence, Value};
use crate::parse::FILE;
use crate::quantity::{format_bytes, format_duration, parse_bytes, parse_duration};
use crate::suggest::{did_you_mean, did_you_mean_or_list};
use crate::yaml::{Entry, Node};
use crate::{Problem, Span};

/// A mapping whose keys were looked at: unknown ones are reported, and so are missing ones.
///
/// A getter answers None where the key is absent without a default, and where its value is wrong;
/// the latter is reported. Keys must stand in the table, whose kind of value must be the getter's.
pub(crate) struct Fields<'n, 'w> {
    walk: &'w Walk<'w>,
    keys: &'static Keys,
    /// `source`, or `tables.sales`.
    title: String,
    entries: &'n [Entry],
    place: Span,
}

/// What a value should have been.
struct Expected {
    /// It is of the right kind, but too small or too great.
    range: bool,
    text: String,
}

impl<'n, 'w> Fields<'n, 'w> {
    /// `place` is underlined where a key is missing.
    pub(super) fn new(
        walk: &'w Walk<'w>,
        title: &str,
        keys: &'static Keys,
        entries: &'n [Entry],
        place: Span,
    ) -> Self {
        let fields = Fields { walk, keys, title: title.to_string(), entries, place };
        let unknown: Vec<_> = entries
            .iter()
            .filter(|entry| keys.find(&entry.key).is_none())
            .map(|entry| fields.unknown(entry))
            .collect();
        for key in keys.keys.iter().filter(|key| {
            matches!(key.presence, Presence::Required) && fields.value(key.name).is_none()
        }) {
            let help = format!("{}: {}", key.name, key.about);
            if let Some(entry) = fields.entry(key.name) {
                let place = if entry.value.span.start < entry.value.span.end {
                    entry.value.span
                } else {
                    entry.key_span
                };
                walk.report(
                    Problem::new(
                        "file.value.empty",
                        place,
                        format!("{} is empty", fields.named(key.name)),
                    )
                    .help(help),
                );
            } else if !unknown.iter().any(|problem| {
                problem.help.as_deref() == Some(&format!("did you mean \"{}\"?", key.name))
            }) {
                // A key that is only misspelt is one problem, not two.
                walk.report(
                    Problem::new("file.key.missing", place, format!("{title} has no {}", key.name))
                        .help(help),
                );
            }
        }
        unknown.into_iter().for_each(|problem| walk.report(problem));
        fields
    }

    pub fn walk(&self) -> &'w Walk<'w> {
        self.walk
    }

    /// The mapping behind a key whose table is in ours. An absent section that is not required is
    /// one without keys.
    pub fn section(&self, name: &'static str) -> Option<Fields<'n, 'w>> {
        let key = self.key(name)?;
        let Value::Keys(keys) = key.value else { return None };
        match self.entry(name) {
            Some(entry) => self.walk.fields(&self.named(name), keys, &entry.value, entry.key_span),
            None if matches!(key.presence, Presence::Required) => None,
            None => Some(self.walk.fields_of(&self.named(name), keys, &[], Span::default())),
        }
    }

    /// What is underlined where a key is missing.
    pub fn place(&self) -> Span {
        self.place
    }

    /// Whether the table has this key.
    pub fn knows(&self, name: &str) -> bool {
        self.keys.find(name).is_some()
    }

    pub fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// The value, unless nothing stands there.
    pub fn value(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|entry| &entry.value).filter(|node| !node.is_unset())
    }

    /// Underlines the key's value, or nothing if it is absent.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.value(name).map(|node| node.span)
    }

    pub fn text(&self, name: &'static str) -> Option<String> {
        self.parsed(name, |text| Ok(text.to_string()))
    }

    pub fn boolean(&self, name: &'static str) -> Option<bool> {
        self.parsed(name, |text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Expected { range: false, text: "true or false".to_string() }),
        })
    }

    /// The table's range must fit `T`.
    pub fn integer<T: TryFrom<i64>>(&self, name: &'static str) -> Option<T> {
        self.integer_or_word(name).flatten()
    }

    /// `Some(None)` is the word.
    pub fn integer_or_word<T: TryFrom<i64>>(&self, name: &'static str) -> Option<Option<T>> {
        let (minimum, maximum, word) = match self.key(name)?.value {
            Value::Integer { minimum, maximum } => (minimum, maximum, None),
            Value::IntegerOr { minimum, maximum, word } => (minimum, maximum, Some(word)),
            _ => return None,
        };
        self.parsed(name, |text| {
            if word.is_some_and(|word| word == text) {
                return Ok(None);
            }
            let number = i64::from_str(text).ok();
            let or_word = word.map(|word| format!(", or {word}")).unwrap_or_default();
            let in_range = number
                .filter(|number| (minimum..=maximum).contains(number))
                .and_then(|number| T::try_from(number).ok());
            let expected = || Expected {
                range: is_integer(text),
                text: format!("a whole number from {minimum} to {maximum}{or_word}"),
            };
            in_range.map(Some).ok_or_else(expected)
        })
    }

    pub fn number(&self, name: &'static str) -> Option<f64> {
        self.parsed(name, |text| {
            let number = f64::from_str(text).ok().filter(|number| number.is_finite());
            number.ok_or_else(|| Expected { range: false, text: "a number".to_string() })
        })
    }

    pub fn positive_number(&self, name: &'static str) -> Option<f64> {
        let Value::PositiveNumber { maximum } = self.key(name)?.value else { return None };
        self.parsed(name, |text| {
            let number = f64::from_str(text).ok();
            let expected = || Expected {
                range: number.is_some(),
                text: format!("a number above 0, at most {maximum}"),
            };
            number
                .filter(|number| *number > 0.0 && *number <= f64::from(maximum))
                .ok_or_else(expected)
        })
    }

    pub fn bytes(&self, name: &'static str) -> Option<usize> {
        let Value::Bytes { minimum, maximum } = self.key(name)?.value else { return None };
        self.parsed(name, |text| {
            let bytes = parse_bytes(text);
            let expected = || {
                let (minimum, maximum) = (format_bytes(minimum), format_bytes(maximum));
                Expected {
                    range: bytes.is_some(),
                    text: format!("a size such as 16 MiB, from {minimum} to {maximum}"),
                }
            };
            let in_range = bytes.filter(|bytes| (minimum..=maximum).contains(bytes));
            in_range.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(expected)
        })
    }

    pub fn duration(&self, name: &'static str) -> Option<Duration> {
        let Value::Duration { minimum, maximum } = self.key(name)?.value else { return None };
        self.parsed(name, |text| {
            let duration = parse_duration(text);
            let expected = || {
                let (minimum, maximum) = (format_duration(minimum), format_duration(maximum));
                Expected {
                    range: duration.is_some(),
                    text: format!(
                        "a duration such as 500ms, 30s or 7d, from {minimum} to {maximum}"
                    ),
                }
            };
            duration.filter(|duration| (minimum..=maximum).contains(duration)).ok_or_else(expected)
        })
    }

    /// One of the table's words.
    pub fn word(&self, name: &'static str) -> Option<&'static str> {
        let Value::Word(words) = self.key(name)?.value else { return None };
        let Some(node) = self.value(name) else {
            return self
                .default(name)
                .and_then(|word| words.iter().find(|one| **one == word).copied());
        };
        let scalar = self.walk.scalar(&self.named(name), node)?;
        let found = words.iter().find(|word| **word == scalar.value.text).copied();
        if found.is_none() {
            let message = format!(
                "{} must be one of {}, got {}",
                self.named(name),
                words.join(", "),
                self.walk.got(node)
            );
            let problem = self.walk.value_problem("file.value.choice", node, message);
            let advice = did_you_mean(&scalar.value.text, words.iter().copied())
                .filter(|_| !scalar.substituted);
            self.walk.report(match advice {
                Some(advice) => problem.help(advice),
                None => problem,
            });
        }
        found
    }

    /// `name` of this mapping, for messages: `source.topic`.
    pub fn named(&self, name: &str) -> String {
        if self.title == FILE { name.to_string() } else { format!("{}.{name}", self.title) }
    }

    fn unknown(&self, entry: &Entry) -> Problem {
        let key = &entry.key;
        if self.keys.later.contains(&key.as_str()) {
            let what = if self.title == FILE {
                format!("section {key}")
            } else {
                format!("{key} in {}", self.title)
            };
            let problem = Problem::new(
                "section.unsupported",
                entry.key_span,
                format!("{what} is not supported by this version"),
            );
            return problem.help("take it away: nothing would happen by it");
        }
        let names = self.keys.keys.iter().map(|key| key.name);
        let problem = Problem::new(
            "file.key.unknown",
            entry.key_span,
            format!("unknown key \"{key}\" in {}", self.title),
        );
        if key.ends_with(')') && entry.value.is_unset() {
            return problem.help(COMMA_HELP);
        }
        let help = did_you_mean_or_list(key, &format!("{} knows", self.keys.of), names);
        problem.help(if help.starts_with("did you") {
            help
        } else {
            format!("{help}{}", self.keys.note)
        })
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        let Some(node) = self.value(name) else {
            return self.default(name).and_then(|text| parse(text).ok());
        };
        let scalar = self.walk.scalar(&self.named(name), node)?;
        match parse(&scalar.value.text) {
            Ok(value) => Some(value),
            Err(expected) => {
                let message = format!(
                    "{} must be {}, got {}",
                    self.named(name),
                    expected.text,
                    self.walk.got(node)
                );
                let code = if expected.range { "file.value.range" } else { "file.value.type" };
                self.walk.report(self.walk.value_problem(code, node, message));
                None
            }
        }
    }

    fn default(&self, name: &str) -> Option<&'static str> {
        match self.key(name)?.presence {
            Presence::Default(text) => Some(text),
            Presence::Required | Presence::Optional => None,
        }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.keys.find(name);
        debug_assert!(key.is_some(), "{name} does not stand in the table of {}", self.keys.of);
        key
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
