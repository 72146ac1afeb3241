//! Regular expressions, and what takes the place of a match.

use arrow::array::StringArray;
use arrow::compute::regexp_is_match_scalar;
use datafusion_common::ScalarValue;
use sqlparser::ast;

use super::casts::shaped;
use super::literals::constant;
use super::{Planned, Planner};
use crate::type_name::{Class, class};

impl Planner<'_> {
    /// A pattern in which a point is any character, a line's end too, as in PostgreSQL. One that
    /// stands in the file is tried.
    pub(super) fn regular_expression(
        &mut self,
        node: &ast::Expr,
        pattern: Planned,
    ) -> Option<Planned> {
        let Some(text) = pattern.literal_text() else {
            return Some(reshaped(pattern, across_lines));
        };
        let text = across_lines(text);
        if regexp_is_match_scalar(&StringArray::from(vec![""]), &text, None).is_err() {
            let message = "this is no regular expression that can be used here";
            let problem = self.text.problem("sql.literal.invalid", node, message);
            return self.refuse(problem.help(
                "look-around, back references and `\\m`, `\\M`, `\\y` and `\\Z` are not known: \
                    write `(^|\\W)` for the beginning of a word and `(\\W|$)` for its end",
            ));
        }
        Some(constant(ScalarValue::Utf8(Some(text))))
    }

    /// The arguments of a regexp function.
    pub(super) fn regular_arguments(
        &mut self,
        name: &str,
        nodes: &[&ast::Expr],
        planned: Vec<Planned>,
    ) -> Option<Vec<Planned>> {
        let mut arguments = Vec::with_capacity(planned.len());
        for (place, (node, argument)) in nodes.iter().zip(planned).enumerate() {
            arguments.push(match place {
                1 => self.regular_expression(node, argument)?,
                2 if name == "regexp_replace" => match argument.literal_text().map(replacement) {
                    Some(text) => constant(ScalarValue::Utf8(Some(text))),
                    None => reshaped(argument, replacement),
                },
                _ => argument,
            });
        }
        Some(arguments)
    }
}

fn reshaped(text: Planned, shape: fn(&str) -> String) -> Planned {
    match class(&text.data_type) {
        Class::Text => shaped(text, move |text| Ok(shape(text))),
        _ => text,
    }
}

/// A class such as `[:alpha:]` holds the letters of every script, as in a database of UTF-8.
fn across_lines(pattern: &str) -> String {
    let mut pattern = format!("(?s){pattern}");
    for (class, property) in [
        ("[:alnum:]", r"\p{Alphabetic}\p{N}"),
        ("[:alpha:]", r"\p{Alphabetic}"),
        ("[:lower:]", r"\p{Lowercase}"),
        ("[:upper:]", r"\p{Uppercase}"),
    ] {
        if pattern.contains(class) {
            pattern = pattern.replace(class, property);
        }
    }
    pattern
}

/// `\1` to `\9` and `\&` are groups and the match, `\\` is a backslash, and `$` is itself.
fn replacement(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek().copied()) {
            ('$', _) => written.push_str("$$"),
            ('\\', Some(group @ '1'..='9')) => written.push_str(&format!("${{{group}}}")),
            ('\\', Some('&')) => written.push_str("${0}"),
            ('\\', Some('\\')) => written.push('\\'),
            (other, _) => {
                written.push(other);
                continue;
            }
        }
        if character == '\\' {
            characters.next();
        }
    }
    written
}
