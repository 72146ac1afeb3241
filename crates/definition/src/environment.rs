//! `${NAME}` and `${NAME:-default}`: the only way in which the environment acts on a pipeline.

use std::ops::Range;

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Defaults within defaults.
const MAX_DEPTH: usize = 8;

/// A text with its variables filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub text: String,
    /// In ascending order; between them the two texts are the same.
    pub runs: Vec<Run>,
}

/// A part of the filled text that stands otherwise in the text before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub filled: Range<usize>,
    pub decoded: Range<usize>,
    /// False for `$${`, which stands for `${`.
    pub is_variable: bool,
}

/// Why a variable could not be filled in. It never holds a variable's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: &'static str,
    pub place: Range<usize>,
    pub message: String,
    pub help: String,
}

/// Fills in every variable; None when there is nothing to fill in. A default is taken when the
/// variable is unset or empty, and may hold variables itself: `${FIRST:-${SECOND:-}}`. `$${` is a
/// literal `${`.
pub(super) fn substitute(
    text: &str,
    environment: Environment<'_>,
) -> Result<Option<Filled>, Vec<Fault>> {
    substitute_at_depth(text, environment, 0)
}

fn substitute_at_depth(
    text: &str,
    environment: Environment<'_>,
    depth: usize,
) -> Result<Option<Filled>, Vec<Fault>> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut filled = Filled { text: String::with_capacity(text.len()), runs: Vec::new() };
    let mut faults = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|found| at + found) {
        let is_variable = !text[at..found].ends_with('$');
        let start = if is_variable { found } else { found - 1 };
        filled.text.push_str(&text[at..start]);
        let filled_start = filled.text.len();
        if is_variable {
            let (value, end) = variable(text, found, environment, depth, &mut faults);
            filled.text.push_str(&value);
            at = end;
        } else {
            filled.text.push_str("${");
            at = found + 2;
        }
        filled.runs.push(Run {
            filled: filled_start..filled.text.len(),
            decoded: start..at,
            is_variable,
        });
    }
    filled.text.push_str(&text[at..]);
    if faults.is_empty() { Ok(Some(filled)) } else { Err(faults) }
}

/// The value of the variable that begins at `start`, and the offset behind its closing brace.
fn variable(
    text: &str,
    start: usize,
    environment: Environment<'_>,
    depth: usize,
    faults: &mut Vec<Fault>,
) -> (String, usize) {
    let Some(end) = closing_brace(text, start) else {
        faults.push(Fault {
            code: "environment.syntax",
            place: start..text.len(),
            message: "`${` is never closed".to_string(),
            help: "close it with `}`, or write `$${` for the two characters themselves".to_string(),
        });
        return (String::new(), text.len());
    };
    let inside = &text[start + 2..end];
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        faults.push(Fault {
            code: "environment.syntax",
            place: start..end + 1,
            message: "this is not a variable".to_string(),
            help: "write ${NAME} or ${NAME:-default}, the name in letters, digits and underscores"
                .to_string(),
        });
        return (String::new(), end + 1);
    }
    if depth > MAX_DEPTH {
        faults.push(Fault {
            code: "environment.syntax",
            place: start..end + 1,
            message: format!("defaults stand in each other more than {MAX_DEPTH} deep"),
            help: "write fewer".to_string(),
        });
        return (String::new(), end + 1);
    }
    let value = match (environment(name), default) {
        (Some(value), None) => value,
        (Some(value), Some(_)) if !value.is_empty() => value,
        (_, Some(default)) => match substitute_at_depth(default, environment, depth + 1) {
            Ok(filled) => filled.map_or_else(|| default.to_string(), |filled| filled.text),
            Err(inner) => {
                let offset = end - default.len();
                let moved = |fault: Fault| Fault {
                    place: fault.place.start + offset..fault.place.end + offset,
                    ..fault
                };
                faults.extend(inner.into_iter().map(moved));
                String::new()
            }
        },
        (None, None) => {
            faults.push(Fault {
                code: "environment.variable.unset",
                place: start..end + 1,
                message: format!("the environment variable {name} is not set"),
                help: format!("set it, or give it a default: ${{{name}:-...}}"),
            });
            String::new()
        }
    };
    (value, end + 1)
}

/// The brace that closes the variable at `start`; variables inside its default have braces of their
/// own.
fn closing_brace(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, start);
    while let Some(byte) = bytes.get(at) {
        if bytes[at..].starts_with(b"${") {
            depth += 1;
            at += 1;
        } else if *byte == b'}' {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
        at += 1;
    }
    None
}

fn is_name(name: &str) -> bool {
    let first_is_digit = name.starts_with(|first: char| first.is_ascii_digit());
    !name.is_empty()
        && !first_is_digit
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db1".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, expected) in [
            ("${HOST}", "db1"),
            ("${HOST:-other}:5432", "db1:5432"),
            ("${NONE:-other}", "other"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-other}", "other"),
            ("${NONE:-${EMPTY:-${HOST}}}!", "db1!"),
            ("$${HOST} $$ $HOST", "${HOST} $$ $HOST"),
            ("é${HOST}é${NONE:-ü}", "édb1éü"),
        ] {
            let filled = substitute(text, &environment).expect(text).expect(text);
            assert_eq!(filled.text, expected, "{text}");
        }
        assert_eq!(substitute("$HOST costs $5", &environment), Ok(None));
    }

    #[test]
    fn faults_point_at_their_variable() {
        for (text, code, place) in [
            ("a ${NONE} b", "environment.variable.unset", 2..9),
            ("a ${NONE:-${ALSO}} b", "environment.variable.unset", 10..17),
            ("a ${HOST", "environment.syntax", 2..8),
            ("${}", "environment.syntax", 0..3),
            ("${HOST-x}", "environment.syntax", 0..9),
            ("${1X}", "environment.syntax", 0..5),
        ] {
            let faults = substitute(text, &environment).expect_err(text);
            let found: Vec<_> =
                faults.iter().map(|fault| (fault.code, fault.place.clone())).collect();
            assert_eq!(found, [(code, place)], "{text}");
        }
    }
}
