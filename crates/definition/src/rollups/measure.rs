//! A measure, such as `count(*) FILTER (WHERE event_type = 'purchase')`.

use std::ops::Range;

use crate::words::Words;
use crate::{Span, SqlText};

/// One figure of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// As PostgreSQL folds it.
    pub name: String,
    pub operation: Operation,
    /// `FILTER (WHERE ...)`: only rows for which it is TRUE count.
    pub filter: Option<SqlText>,
    /// As it stands in the file.
    pub text: String,
    pub span: Span,
}

/// How a figure is made of a group's rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// The number of rows.
    Count,
    /// The sum of what is not NULL; NULL where nothing is.
    Sum(SqlText),
    Min(SqlText),
    Max(SqlText),
    /// The number of different values that are not NULL.
    CountDistinct(SqlText),
    /// The value of the row that is last in this order, of several the greatest value; rows whose order is NULL are not looked at.
    Last {
        value: SqlText,
        order: SqlText,
    },
}

/// Where in the text something is wrong, and what.
type Fault = (usize, usize, String);

/// Reads a measure, whose expressions are only cut out here.
pub(super) fn read(name: String, text: &SqlText, span: Span) -> Result<Measure, Fault> {
    let mut words = Words::new(&text.text);
    let Some(function) = words.next() else { return Err((0, text.text.len(), "the measure is empty".to_owned())) };
    let argument = parenthesis(&mut words)?;
    let is = |wanted: &str| words.text_of(&function).eq_ignore_ascii_case(wanted);
    let part = |range: Range<usize>| text.part(range.start, range.end);
    let operation = if is("count") {
        count(text, argument)?
    } else if is("sum") {
        Operation::Sum(part(filled(argument)?))
    } else if is("min") {
        Operation::Min(part(filled(argument)?))
    } else if is("max") {
        Operation::Max(part(filled(argument)?))
    } else if is("last") {
        last(text, argument)?
    } else {
        let message = format!("{} is not a measure", words.text_of(&function));
        return Err((function.range.start, function.range.end, message));
    };
    let filter = filter(&mut words)?.map(part);
    if let Some(word) = words.next() {
        return Err((word.range.start, words.text.len(), "nothing may follow a measure but FILTER (WHERE ...)".to_owned()));
    }
    let written = text.text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Measure { name, operation, filter, text: written, span })
}

fn count(text: &SqlText, argument: Range<usize>) -> Result<Operation, Fault> {
    let argument = filled(argument)?;
    let mut words = Words::new(&text.text[argument.clone()]);
    if words.take(&["*"]).is_some() && words.peek().is_none() {
        return Ok(Operation::Count);
    }
    if words.take(&["distinct"]).is_some() {
        let start = argument.start + words.place().start;
        return Ok(Operation::CountDistinct(text.part(start, argument.end)));
    }
    Err((
        argument.start,
        argument.end,
        "count takes * or distinct x; rows where x is not NULL are count(*) FILTER (WHERE x IS NOT NULL)".to_owned(),
    ))
}

fn last(text: &SqlText, argument: Range<usize>) -> Result<Operation, Fault> {
    let argument = filled(argument)?;
    let mut words = Words::new(&text.text[argument.clone()]);
    let mut depth = 0;
    while let Some(word) = words.peek().cloned() {
        if depth == 0
            && let Some(order) = words.take(&["order", "by"])
        {
            let value = text.part(argument.start, argument.start + order.start);
            return Ok(Operation::Last { value, order: text.part(argument.start + order.end, argument.end) });
        }
        depth += depth_of(words.text_of(&word));
        words.next();
    }
    Err((argument.start, argument.end, "last needs an order: last(x ORDER BY t)".to_owned()))
}

fn filter(words: &mut Words<'_>) -> Result<Option<Range<usize>>, Fault> {
    if words.take(&["filter"]).is_none() {
        return Ok(None);
    }
    let inner = parenthesis(words)?;
    let mut condition = Words::new(&words.text[inner.clone()]);
    match condition.take(&["where"]) {
        Some(keyword) => filled(inner.start + keyword.end..inner.end).map(Some),
        None => Err((inner.start, inner.end, "FILTER needs a condition: FILTER (WHERE ...)".to_owned())),
    }
}

/// What stands within the parentheses that come next.
fn parenthesis(words: &mut Words<'_>) -> Result<Range<usize>, Fault> {
    let place = words.place();
    if words.take(&["("]).is_none() {
        return Err((place.start, place.end, "a parenthesis is missing".to_owned()));
    }
    let mut depth = 1;
    while let Some(word) = words.next() {
        depth += depth_of(words.text_of(&word));
        if depth == 0 {
            return Ok(place.end..word.range.start);
        }
    }
    Err((place.start, words.text.len(), "the parenthesis is not closed".to_owned()))
}

fn depth_of(word: &str) -> i32 {
    i32::from(word == "(") - i32::from(word == ")")
}

fn filled(range: Range<usize>) -> Result<Range<usize>, Fault> {
    if range.is_empty() {
        Err((range.start.saturating_sub(1), range.end + 1, "nothing stands in the parentheses".to_owned()))
    } else {
        Ok(range)
    }
}
