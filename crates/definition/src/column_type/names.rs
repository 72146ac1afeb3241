//! Type names as PostgreSQL knows them, with its synonyms.

use std::ops::Range;

use super::ColumnType;
use crate::suggest::did_you_mean;
use crate::walk::COMMA_HELP;
use crate::words::{Word, WordKind, Words};

/// Why a type could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TypeFault {
    /// `unknown`, `unsupported` or `arguments`.
    pub reason: TypeFaultReason,
    pub range: Range<usize>,
    pub message: String,
    pub help: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeFaultReason {
    Unknown,
    Unsupported,
    Arguments,
}

/// The names that a message lists.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ColumnType::ALL.into_iter().map(|column_type| column_type.postgres().name)
}

/// Types of PostgreSQL that are not ours, and what to write instead.
const INSTEAD: [(&str, &str); 9] = [
    ("char", "write VARCHAR(n) or TEXT: CHAR pads with spaces"),
    ("character", "write VARCHAR(n) or TEXT: CHARACTER pads with spaces"),
    ("json", "write JSONB"),
    ("money", "write NUMERIC(19,2)"),
    ("timetz", "write TIMESTAMPTZ, or TIME without a zone"),
    ("interval", "write an INTEGER and put its unit into the name"),
    ("smallserial", "write SERIAL"),
    ("string", "write TEXT"),
    ("datetime", "write TIMESTAMP or TIMESTAMPTZ"),
];
const MAX_VARCHAR_CHARACTERS: u32 = 10_485_760;
const MAX_NUMERIC_DIGITS: u8 = 38;

/// Reads one type from the words and stands behind it.
pub(crate) fn read_type(words: &mut Words<'_>) -> Result<ColumnType, TypeFault> {
    let Some(word) = words.next() else {
        return Err(fault(
            TypeFaultReason::Unknown,
            words.place(),
            "a type is missing",
            "for example BIGINT or TEXT",
        ));
    };
    match words.text_of(&word).to_lowercase().as_str() {
        "double" if words.take(&["precision"]).is_some() => {
            plain(words, &word, ColumnType::DoublePrecision)
        }
        "character" | "char" if words.take(&["varying"]).is_some() => varchar(words, &word),
        name => match of_one_word(name) {
            None => Err(unknown(words, &word)),
            Some(ColumnType::Numeric(_)) => numeric(words, &word),
            Some(ColumnType::Varchar(_)) => varchar(words, &word),
            Some(ColumnType::Time) => time(words, &word),
            Some(ColumnType::Timestamp) => timestamp(words, &word),
            Some(other) => plain(words, &word, other),
        },
    }
}

fn of_one_word(name: &str) -> Option<ColumnType> {
    ColumnType::ALL.into_iter().find(|column_type| {
        let names = column_type.postgres();
        std::iter::once(&names.name)
            .chain(names.synonyms)
            .any(|known| name.eq_ignore_ascii_case(known))
    })
}

fn plain(
    words: &mut Words<'_>,
    word: &Word,
    column_type: ColumnType,
) -> Result<ColumnType, TypeFault> {
    no_arguments(words, word)?;
    Ok(column_type)
}

fn unknown(words: &Words<'_>, word: &Word) -> TypeFault {
    let written = words.text_of(word);
    if let Some((name, instead)) =
        INSTEAD.iter().find(|(name, _)| written.eq_ignore_ascii_case(name))
    {
        let message = format!("the type {} is not supported", name.to_uppercase());
        return fault(TypeFaultReason::Unsupported, word.range.clone(), message, *instead);
    }
    let synonyms =
        ColumnType::ALL.into_iter().flat_map(|column_type| column_type.postgres().synonyms);
    let help = did_you_mean(written, names().chain(synonyms.copied()).chain(["DOUBLE"]))
        .unwrap_or_else(|| format!("the types are {}", names().collect::<Vec<_>>().join(", ")));
    fault(TypeFaultReason::Unknown, word.range.clone(), format!("unknown type \"{written}\""), help)
}

fn numeric(words: &mut Words<'_>, word: &Word) -> Result<ColumnType, TypeFault> {
    let (arguments, range) = arguments(words, word)?;
    let digits = |text: &str| text.parse::<u8>().ok();
    let numeric = match arguments.as_slice() {
        [] => Some(None),
        [precision] => digits(precision).map(|precision| Some((precision, 0))),
        [precision, scale] => digits(precision).zip(digits(scale)).map(Some),
        _ => None,
    };
    match numeric {
        Some(None) => Ok(ColumnType::Numeric(None)),
        Some(Some((precision, scale)))
            if (1..=MAX_NUMERIC_DIGITS).contains(&precision) && scale <= precision =>
        {
            Ok(ColumnType::Numeric(Some((precision, scale as i8))))
        }
        _ => {
            let help = format!(
                "NUMERIC(precision,scale): 1 to {MAX_NUMERIC_DIGITS} digits in all, of which scale \
                    stand behind the point"
            );
            Err(fault(TypeFaultReason::Arguments, range, "these are not a NUMERIC's digits", help))
        }
    }
}

fn varchar(words: &mut Words<'_>, word: &Word) -> Result<ColumnType, TypeFault> {
    let (arguments, range) = arguments(words, word)?;
    let limit = |text: &str| {
        text.parse().ok().filter(|characters| (1..=MAX_VARCHAR_CHARACTERS).contains(characters))
    };
    match arguments.as_slice() {
        [] => Some(ColumnType::Text),
        [characters] => limit(characters).map(ColumnType::Varchar),
        _ => None,
    }
    .map_or_else(
        || {
            let help = format!("VARCHAR(n): 1 to {MAX_VARCHAR_CHARACTERS} characters");
            Err(fault(TypeFaultReason::Arguments, range, "this is not a VARCHAR's length", help))
        },
        Ok,
    )
}

fn timestamp(words: &mut Words<'_>, word: &Word) -> Result<ColumnType, TypeFault> {
    no_arguments(words, word)?;
    Ok(if zone(words) == Some(true) { ColumnType::Timestamptz } else { ColumnType::Timestamp })
}

fn time(words: &mut Words<'_>, word: &Word) -> Result<ColumnType, TypeFault> {
    no_arguments(words, word)?;
    if zone(words) == Some(true) {
        let message = "a time of day with a zone is not supported";
        return Err(fault(
            TypeFaultReason::Unsupported,
            word.range.clone(),
            message,
            "write TIMESTAMPTZ, or TIME without a zone",
        ));
    }
    Ok(ColumnType::Time)
}

/// Whether a zone is asked for; None if nothing is said.
fn zone(words: &mut Words<'_>) -> Option<bool> {
    let with = words.take(&["with", "time", "zone"]).map(|_| true);
    with.or_else(|| words.take(&["without", "time", "zone"]).map(|_| false))
}

fn no_arguments(words: &mut Words<'_>, word: &Word) -> Result<(), TypeFault> {
    let (arguments, range) = arguments(words, word)?;
    let name = words.text_of(word).to_uppercase();
    if !arguments.is_empty() {
        return Err(fault(
            TypeFaultReason::Arguments,
            range,
            format!("{name} takes no arguments here"),
            format!("write {name}"),
        ));
    }
    if words.comes(&["["]) {
        let help = "a record's list is a YAML list that holds its element; a column is JSONB, or \
            rows of a table";
        return Err(fault(
            TypeFaultReason::Unsupported,
            words.place(),
            "PostgreSQL's arrays are not supported",
            help,
        ));
    }
    Ok(())
}

/// What stands in parentheses behind the type's name, and the bytes from the name to the closing
/// one.
fn arguments<'t>(
    words: &mut Words<'t>,
    word: &Word,
) -> Result<(Vec<&'t str>, Range<usize>), TypeFault> {
    let mut found = Vec::new();
    if words.take(&["("]).is_none() {
        return Ok((found, word.range.clone()));
    }
    loop {
        let Some(next) = words.next() else {
            return Err(fault(
                TypeFaultReason::Arguments,
                word.range.start..words.text.len(),
                "the parenthesis is never closed",
                COMMA_HELP,
            ));
        };
        match (next.kind, words.text_of(&next)) {
            (WordKind::Symbol, ")") => return Ok((found, word.range.start..next.range.end)),
            (WordKind::Symbol, ",") => {}
            (_, text) => found.push(text),
        }
    }
}

fn fault(
    reason: TypeFaultReason,
    range: Range<usize>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> TypeFault {
    TypeFault { reason, range, message: message.into(), help: help.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ColumnType, TypeFault> {
        read_type(&mut Words::new(text))
    }

    #[test]
    fn names_and_synonyms() {
        for (text, expected) in [
            ("BIGINT", ColumnType::BigInt),
            ("int8", ColumnType::BigInt),
            ("Int", ColumnType::Integer),
            ("int2", ColumnType::SmallInt),
            ("bool", ColumnType::Boolean),
            ("double precision", ColumnType::DoublePrecision),
            ("float4", ColumnType::Real),
            ("NUMERIC", ColumnType::Numeric(None)),
            ("DECIMAL(10,2)", ColumnType::Numeric(Some((10, 2)))),
            ("numeric ( 10 )", ColumnType::Numeric(Some((10, 0)))),
            ("VARCHAR(255)", ColumnType::Varchar(255)),
            ("character varying(100)", ColumnType::Varchar(100)),
            ("VARCHAR", ColumnType::Text),
            ("TIMESTAMP", ColumnType::Timestamp),
            ("timestamp without time zone", ColumnType::Timestamp),
            ("TIMESTAMP WITH TIME ZONE", ColumnType::Timestamptz),
            ("timestamptz", ColumnType::Timestamptz),
            ("bigserial", ColumnType::BigSerial),
            ("time", ColumnType::Time),
            ("TIME WITHOUT TIME ZONE", ColumnType::Time),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn faults() {
        for (text, reason, range) in [
            ("BIGNT", TypeFaultReason::Unknown, 0..5),
            ("", TypeFaultReason::Unknown, 0..0),
            ("json", TypeFaultReason::Unsupported, 0..4),
            ("time with time zone", TypeFaultReason::Unsupported, 0..4),
            ("timetz", TypeFaultReason::Unsupported, 0..6),
            ("double", TypeFaultReason::Unknown, 0..6),
            ("TEXT[]", TypeFaultReason::Unsupported, 4..5),
            ("NUMERIC(10,", TypeFaultReason::Arguments, 0..11),
            ("NUMERIC(39,2)", TypeFaultReason::Arguments, 0..13),
            ("NUMERIC(2,3)", TypeFaultReason::Arguments, 0..12),
            ("VARCHAR(0)", TypeFaultReason::Arguments, 0..10),
            ("BIGINT(20)", TypeFaultReason::Arguments, 0..10),
            ("TIMESTAMP(3)", TypeFaultReason::Arguments, 0..12),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!((fault.reason, fault.range), (reason, range), "{text}");
        }
    }

    #[test]
    fn every_listed_name_is_read() {
        for column_type in ColumnType::ALL {
            let names = column_type.postgres();
            for name in std::iter::once(&names.name).chain(names.synonyms) {
                // A VARCHAR without a length is a TEXT.
                let is_varchar = matches!(column_type, ColumnType::Varchar(_));
                let expected = if is_varchar { ColumnType::Text } else { column_type };
                assert_eq!(read(name), Ok(expected), "{name}");
            }
        }
    }
}
