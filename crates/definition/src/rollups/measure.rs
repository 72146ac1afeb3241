//! A measure, such as `count(*) FILTER (WHERE event_type = 'purchase')`.

use std::convert::Infallible;
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

/// How a figure is made of a group's rows, with its arguments: as texts here, later as what became
/// of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation<Argument = SqlText> {
    /// The number of rows.
    Count,
    /// The sum of what is not NULL; NULL where nothing is.
    Sum(Argument),
    /// The mean of what is not NULL; NULL where nothing is.
    Avg(Argument),
    Min(Argument),
    Max(Argument),
    /// The number of different values that are not NULL.
    CountDistinct(Argument),
    /// The value of the row that is last in this order, of several the greatest value; rows whose
    /// order is NULL are not looked at.
    Last {
        value: Argument,
        order: Argument,
    },
}

impl<Argument> Operation<Argument> {
    pub fn as_ref(&self) -> Operation<&Argument> {
        match self {
            Self::Count => Operation::Count,
            Self::Sum(value) => Operation::Sum(value),
            Self::Avg(value) => Operation::Avg(value),
            Self::Min(value) => Operation::Min(value),
            Self::Max(value) => Operation::Max(value),
            Self::CountDistinct(value) => Operation::CountDistinct(value),
            Self::Last { value, order } => Operation::Last { value, order },
        }
    }

    /// The same of what each argument becomes, in their order; the first that fails is the answer.
    pub fn try_map<To, Error>(
        self,
        mut to: impl FnMut(Argument) -> Result<To, Error>,
    ) -> Result<Operation<To>, Error> {
        Ok(match self {
            Self::Count => Operation::Count,
            Self::Sum(value) => Operation::Sum(to(value)?),
            Self::Avg(value) => Operation::Avg(to(value)?),
            Self::Min(value) => Operation::Min(to(value)?),
            Self::Max(value) => Operation::Max(to(value)?),
            Self::CountDistinct(value) => Operation::CountDistinct(to(value)?),
            Self::Last { value, order } => Operation::Last { value: to(value)?, order: to(order)? },
        })
    }

    /// The same of what each argument becomes, in their order.
    pub fn map<To>(self, mut to: impl FnMut(Argument) -> To) -> Operation<To> {
        match self.try_map(|argument| Ok::<To, Infallible>(to(argument))) {
            Ok(mapped) => mapped,
        }
    }

    /// All arguments, in their order: the value that is measured first.
    pub fn arguments(&self) -> Vec<&Argument> {
        let mut arguments = Vec::new();
        self.as_ref().map(|argument| arguments.push(argument));
        arguments
    }
}

/// What a measure may be, for help texts.
macro_rules! forms {
    () => {
        "count(*), sum(x), avg(x), min(x), max(x), count(distinct x) or last(x ORDER BY t)"
    };
}
pub(super) use forms;

/// Where in the text something is wrong, and what.
type Fault = (usize, usize, String);

/// Reads a measure, whose expressions are only cut out here.
pub(super) fn read(name: String, text: &SqlText, span: Span) -> Result<Measure, Fault> {
    let mut words = Words::new(&text.text);
    let Some(function) = words.next() else {
        return Err((0, text.text.len(), "the measure is empty".to_owned()));
    };
    let argument = parenthesis(&mut words)?;
    let part = |range: Range<usize>| text.part(range.start, range.end);
    let operation = match words.text_of(&function).to_ascii_lowercase().as_str() {
        "count" => count(text, argument)?,
        "sum" => Operation::Sum(part(filled(argument)?)),
        "avg" => Operation::Avg(part(filled(argument)?)),
        "min" => Operation::Min(part(filled(argument)?)),
        "max" => Operation::Max(part(filled(argument)?)),
        "last" => last(text, argument)?,
        _ => {
            let message = format!("{} is not a measure", words.text_of(&function));
            return Err((function.range.start, function.range.end, message));
        }
    };
    let filter = filter(&mut words)?.map(part);
    if let Some(word) = words.next() {
        return Err((
            word.range.start,
            words.text.len(),
            "nothing may follow a measure but FILTER (WHERE ...)".to_owned(),
        ));
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
        "count takes * or distinct x; rows where x is not NULL are count(*) FILTER (WHERE x IS NOT \
            NULL)".to_owned(),
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
            return Ok(Operation::Last {
                value,
                order: text.part(argument.start + order.end, argument.end),
            });
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
        None => {
            Err((inner.start, inner.end, "FILTER needs a condition: FILTER (WHERE ...)".to_owned()))
        }
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
        Err((
            range.start.saturating_sub(1),
            range.end + 1,
            "nothing stands in the parentheses".to_owned(),
        ))
    } else {
        Ok(range)
    }
}
