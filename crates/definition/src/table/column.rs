//! A column's line, in PostgreSQL's words: `NUMERIC(10,2) NOT NULL DEFAULT 0`.

use std::ops::Range;

use super::Column;
use crate::column_type::names::{TypeFault, TypeFaultReason, read_type};
use crate::suggest::did_you_mean;
use crate::walk::Walk;
use crate::words::{WordKind, Words};
use crate::yaml::Entry;
use crate::{ColumnType, Problem, SqlText, identifier};

/// What may follow the type, and so ends a DEFAULT's expression.
const CONSTRAINTS: [&str; 9] = [
    "not",
    "null",
    "primary",
    "unique",
    "default",
    "references",
    "check",
    "constraint",
    "generated",
];
/// Constraints of PostgreSQL that are not read here, and what to do instead.
const UNSUPPORTED: [(&str, &str); 6] = [
    (
        "check",
        "write the rule under checks: there it rejects one record with its reason, and not a batch",
    ),
    ("constraint", "leave the constraint's name away"),
    ("generated", "use SERIAL or BIGSERIAL, or calculate the value in select"),
    ("collate", "the database's collation is used"),
    ("on", "rows are only added: an action ON DELETE or ON UPDATE has nothing to do"),
    ("deferrable", "tables are written in foreign-key order, so nothing needs to be deferred"),
];

/// Reads one column; None if its line is wrong, which is reported.
pub(super) fn read(walk: &Walk<'_>, title: &str, name: String, entry: &Entry) -> Option<Column> {
    if entry.value.is_unset() {
        let problem =
            Problem::new("table.column.type", entry.key_span, format!("{title} has no type"));
        walk.report(problem.help("for example BIGINT PRIMARY KEY, or NUMERIC(10,2) NOT NULL"));
        return None;
    }
    let text = &walk.scalar(title, &entry.value)?.value;
    let mut words = Words::new(&text.text);
    let column_type = match read_type(&mut words) {
        Ok(column_type) => column_type,
        Err(fault) => {
            walk.report(type_problem(text, fault));
            return None;
        }
    };
    let mut line = Line { words, column: new_column(name, column_type, entry), null: None };
    while line.words.peek().is_some() {
        if let Err(fault) = line.constraint() {
            let place = text.span_of(fault.range.start, fault.range.end);
            let problem = Problem::new(fault.code, place, fault.message);
            walk.report(match fault.help {
                Some(help) => problem.help(help),
                None => problem,
            });
            return None;
        }
    }
    Some(line.finish(walk, title, text))
}

struct Line<'t> {
    words: Words<'t>,
    column: Column,
    /// Where `NULL` stands, which only matters where it contradicts.
    null: Option<Range<usize>>,
}

struct Fault {
    code: &'static str,
    range: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Line<'_> {
    fn constraint(&mut self) -> Result<(), Fault> {
        if self.words.take(&["not", "null"]).is_some() {
            self.column.not_null = true;
        } else if let Some(range) = self.words.take(&["null"]) {
            self.null = Some(range);
        } else if self.words.take(&["primary", "key"]).is_some() {
            self.column.primary_key = true;
        } else if self.words.take(&["unique"]).is_some() {
            self.column.unique = true;
        } else if let Some(range) = self.words.take(&["default"]) {
            let expression = self.default(range)?;
            self.column.default = Some(expression);
        } else if let Some(range) = self.words.take(&["references"]) {
            self.column.references = Some(self.reference(range)?);
        } else {
            return Err(self.unknown());
        }
        Ok(())
    }

    /// Everything up to the next constraint that stands outside of parentheses.
    fn default(&mut self, keyword: Range<usize>) -> Result<String, Fault> {
        let Some(first) = self.words.next() else {
            return Err(fault(
                "table.column.default",
                keyword,
                "DEFAULT has no value",
                Some("for example DEFAULT now()"),
            ));
        };
        let mut depth = i32::from(self.words.text_of(&first) == "(");
        let mut end = first.range.end;
        while let Some(word) = self.words.peek().cloned() {
            let text = self.words.text_of(&word);
            if depth == 0
                && CONSTRAINTS.iter().any(|constraint| text.eq_ignore_ascii_case(constraint))
            {
                break;
            }
            depth += i32::from(text == "(") - i32::from(text == ")");
            end = word.range.end;
            self.words.next();
        }
        if depth != 0 {
            let range = first.range.start..end;
            return Err(fault(
                "table.column.default",
                range,
                "the parentheses of the DEFAULT do not match",
                None,
            ));
        }
        Ok(self.words.text[first.range.start..end].to_string())
    }

    /// `table`, whose key it then is, or `table(column)`.
    fn reference(&mut self, keyword: Range<usize>) -> Result<(String, String), Fault> {
        let table = self.name(keyword.clone(), "REFERENCES names no table")?;
        if self.words.take(&["("]).is_none() {
            return Ok((table, String::new()));
        }
        let column = self.name(keyword.clone(), "REFERENCES names no column")?;
        if self.words.take(&[")"]).is_none() {
            let message = "REFERENCES names one column in parentheses";
            return Err(fault(
                "table.reference.syntax",
                self.words.place(),
                message,
                Some("REFERENCES table(column)"),
            ));
        }
        Ok((table, column))
    }

    fn name(&mut self, keyword: Range<usize>, missing: &str) -> Result<String, Fault> {
        let named =
            self.words.next().filter(|word| matches!(word.kind, WordKind::Bare | WordKind::Quoted));
        let name = named.and_then(|word| identifier::fold(self.words.text_of(&word)).ok());
        name.ok_or_else(|| {
            fault("table.reference.syntax", keyword, missing, Some("REFERENCES table(column)"))
        })
    }

    fn unknown(&self) -> Fault {
        let place = self.words.place();
        let written = self.words.text.get(place.clone()).unwrap_or_default();
        if let Some((name, help)) =
            UNSUPPORTED.iter().find(|(name, _)| written.eq_ignore_ascii_case(name))
        {
            let message = format!("{} is not supported in a column", name.to_uppercase());
            return fault("table.constraint.unsupported", place, message, Some(help));
        }
        if let Some((name, whole)) = [("not", "NOT NULL"), ("primary", "PRIMARY KEY")]
            .iter()
            .find(|(name, _)| written.eq_ignore_ascii_case(name))
        {
            let message = format!("{} does not stand alone", name.to_uppercase());
            return fault(
                "table.constraint.unknown",
                place,
                message,
                Some(&format!("did you mean \"{whole}\"?")),
            );
        }
        let advice = did_you_mean(
            written,
            ["NOT", "NULL", "PRIMARY KEY", "PRIMARY", "UNIQUE", "DEFAULT", "REFERENCES"],
        );
        let list = "behind the type stand NOT NULL, PRIMARY KEY, UNIQUE, DEFAULT ... and \
            REFERENCES table(column)";
        let message = format!("\"{written}\" is not a constraint of a column");
        fault("table.constraint.unknown", place, message, Some(advice.as_deref().unwrap_or(list)))
    }

    /// The column, after its parts were held against each other.
    fn finish(mut self, walk: &Walk<'_>, title: &str, text: &SqlText) -> Column {
        let contradiction = |message: String| {
            let place =
                self.null.clone().map_or(text.span, |null| text.span_of(null.start, null.end));
            walk.report(Problem::new("table.column.contradiction", place, message));
        };
        let column = &self.column;
        if self.null.is_some() && column.not_null {
            contradiction(format!("{title} is NULL and NOT NULL"));
        } else if self.null.is_some() && (column.primary_key || column.column_type.is_serial()) {
            contradiction(format!("{title} is NULL, but a primary key or a serial never is"));
        }
        let defaults_to_null =
            column.default.as_deref().is_some_and(|default| default.eq_ignore_ascii_case("null"));
        if defaults_to_null && (column.not_null || column.primary_key) {
            contradiction(format!("{title} is NOT NULL, but its DEFAULT is NULL"));
        }
        if column.column_type.is_serial() && column.default.is_some() {
            contradiction(format!(
                "{title} is a {}, whose default is its sequence",
                column.column_type
            ));
        }
        self.column.not_null |= self.column.primary_key || self.column.column_type.is_serial();
        self.column
    }
}

fn new_column(name: String, column_type: ColumnType, entry: &Entry) -> Column {
    let span = entry.key_span;
    Column {
        name,
        column_type,
        not_null: false,
        primary_key: false,
        unique: false,
        default: None,
        references: None,
        span,
    }
}

fn type_problem(text: &SqlText, fault: TypeFault) -> Problem {
    let code = match fault.reason {
        TypeFaultReason::Unknown => "table.type.unknown",
        TypeFaultReason::Unsupported => "table.type.unsupported",
        TypeFaultReason::Arguments => "table.type.arguments",
    };
    Problem::new(code, text.span_of(fault.range.start, fault.range.end), fault.message)
        .help(fault.help)
}

fn fault(
    code: &'static str,
    range: Range<usize>,
    message: impl Into<String>,
    help: Option<&str>,
) -> Fault {
    Fault { code, range, message: message.into(), help: help.map(str::to_string) }
}
