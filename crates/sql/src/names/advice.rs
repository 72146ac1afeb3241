//! What is said of a name that means nothing, and what to do about it.

use sqlparser::ast::Ident;

use super::scope::{Found, Item};
use super::{Resolver, folded};
use crate::problem::{At, SqlProblem, at};
use crate::scope::advice;

/// More names than these are no help.
const LISTED: usize = 20;

/// What PostgreSQL sees where.
const SEEN: &str = "ON sees the two sides of its JOIN, and a subquery in FROM sees what stands \
    before it only with LATERAL";

impl Resolver<'_> {
    pub(super) fn unknown_column(&mut self, ident: &Ident) {
        let name = folded(ident);
        let problem = self.text.problem(
            "sql.column.unknown",
            &at(ident),
            format!("unknown column \"{name}\""),
        );
        let help = self.help_of(ident, &name);
        self.problems.push(problem.maybe_help(help));
    }

    fn help_of(&self, ident: &Ident, name: &str) -> Option<String> {
        let items = || {
            self.levels.iter().rev().flat_map(|level| &level.items).filter(|item| item.by_column)
        };
        let names: Vec<&str> = items()
            .flat_map(|item| &item.columns)
            .filter_map(|column| column.name.as_deref())
            .collect();
        if self.levels.last().is_some_and(|level| level.outputs.iter().any(|output| output == name))
        {
            return Some(format!(
                "{name} is a name of the SELECT's own list, which cannot be seen here: repeat its \
                    expression, or put the SELECT into a subquery"
            ));
        }
        let text_in_double_quotes = || {
            Some(format!(
                "double quotes are for names; a text stands in single ones: '{}'",
                ident.value
            ))
        };
        match advice(ident, names.iter().copied()) {
            Some(help) => Some(help),
            None if ident.quote_style == Some('"') => text_in_double_quotes(),
            None => listed(&names),
        }
    }

    /// `qualifier.column`, whose relation is there.
    pub(super) fn unknown_column_of(&mut self, column: &Ident, qualifier: &[Ident]) {
        let Some(item) = self.find_item(qualifier) else { return };
        let problem = self.unknown_in(column, item);
        self.problems.push(problem);
    }

    pub(super) fn unknown_field(&mut self, field: &Ident, item: &Item) {
        let problem = self.unknown_in(field, item);
        self.problems.push(problem);
    }

    fn unknown_in(&self, column: &Ident, item: &Item) -> SqlProblem {
        let called = match (&item.name, &item.table) {
            (Some(name), Some(table)) if name != table => format!("{name} ({table})"),
            (Some(name), _) => name.clone(),
            (None, _) => "it".to_owned(),
        };
        let message = format!("{called} has no column \"{}\"", folded(column));
        let help =
            columns_help(column, item.columns.iter().filter_map(|column| column.name.as_deref()));
        self.text.problem("sql.column.unknown", &at(column), message).maybe_help(help)
    }

    pub(super) fn ambiguous_column(&mut self, ident: &Ident, holders: &[String]) {
        let name = folded(ident);
        let problem = self.text.problem(
            "sql.column.ambiguous",
            &at(ident),
            format!("more than one column is called \"{name}\" here"),
        );
        let choices: Vec<String> =
            holders.iter().map(|holder| format!("{holder}.{name}")).collect();
        self.problems.push(match choices.is_empty() {
            true => problem.help("give the columns different names, with AS"),
            false => problem.help(format!("write {}", choices.join(" or "))),
        });
    }

    /// `qualifier.column`, whose relation is not in FROM.
    pub(super) fn missing_relation(&mut self, qualifier: &[Ident]) {
        let (Some(first), Some(last)) = (qualifier.first(), qualifier.last()) else { return };
        let name = folded(last);
        let items: Vec<&Item> = self
            .levels
            .iter()
            .rev()
            .flat_map(|level| &level.items)
            .filter(|item| item.by_name)
            .collect();
        let renamed = items.iter().find(|item| {
            item.table.as_deref() == Some(&name) && item.name.as_deref() != Some(&name)
        });
        let is_column =
            qualifier.len() == 1 && matches!(self.find_column(&name), Found::Column(..));
        let help = match renamed.and_then(|item| item.name.as_deref()) {
            Some(alias) => Some(format!("the table {name} is called {alias} here")),
            None if is_column => Some(format!(
                "{name} is a column; a field of it is written ({name}).field, a key of JSON {name} \
                    ->> 'key'"
            )),
            None => advice(last, items.iter().filter_map(|item| item.name.as_deref()))
                .or_else(|| Some(SEEN.to_owned())),
        };
        let message = format!("FROM has no \"{name}\" that could be seen here");
        let problem =
            self.text.problem("sql.alias.unknown", &At(first.span.union(&last.span)), message);
        self.problems.push(problem.maybe_help(help));
    }
}

/// Advice for a name that is none of these columns.
pub(super) fn columns_help<'n>(
    ident: &Ident,
    names: impl Iterator<Item = &'n str>,
) -> Option<String> {
    let names: Vec<&str> = names.collect();
    advice(ident, names.iter().copied()).or_else(|| listed(&names))
}

fn listed(names: &[&str]) -> Option<String> {
    let more = if names.len() > LISTED { ", ..." } else { "" };
    (!names.is_empty()).then(|| {
        format!(
            "the columns are {}{more}",
            names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ")
        )
    })
}
