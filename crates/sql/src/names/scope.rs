//! The names that an expression sees: the relations of FROM, level by level, as PostgreSQL's
//! `parse_relation.c` looks them up.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Span;

use super::{ColumnKind, Columns, NamedColumn, Resolver, folded};

/// Which column of which relation of FROM.
pub(super) type Origin = (usize, usize);

/// One query around an expression.
#[derive(Default)]
pub(super) struct Level {
    /// What FROM gives. While FROM is looked at, what a LATERAL item may see.
    pub items: Vec<Item>,
    /// Its WITH queries.
    pub with: Vec<(String, Columns)>,
    /// The names of the SELECT's list, which its WHERE cannot see: only for advice.
    pub outputs: Vec<String>,
}

/// A relation of FROM, or what a join makes of two.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// None of a join without an alias.
    pub name: Option<String>,
    /// Of a table that has no alias.
    pub schema: Option<String>,
    /// The table's own name, which its alias hides.
    pub table: Option<String>,
    pub span: Span,
    pub columns: Vec<ItemColumn>,
    /// There may be more columns than these.
    pub open: bool,
    pub has_system_columns: bool,
    /// Its columns can be called as `name.column`.
    pub by_name: bool,
    /// Its columns can be called by their names alone.
    pub by_column: bool,
}

#[derive(Debug, Clone)]
pub(super) struct ItemColumn {
    pub name: Option<String>,
    pub kind: ColumnKind,
    /// None of a column that USING made of two.
    pub origin: Option<Origin>,
}

/// What a name means.
pub(super) enum Found {
    Column(ColumnKind, Option<Origin>),
    /// A relation of FROM: its whole row.
    Row(Item),
    /// It may be a column that is not known here.
    Open,
    /// The relations that have it.
    Ambiguous(Vec<String>),
    Missing,
}

/// Columns that every table has.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

impl Item {
    pub(super) fn of_columns(
        name: Option<String>,
        columns: &Columns,
        source: usize,
        span: Span,
    ) -> Self {
        let column = |(place, column): (usize, &NamedColumn)| ItemColumn {
            name: column.name.clone(),
            kind: column.kind,
            origin: Some((source, place)),
        };
        Self {
            name,
            schema: None,
            table: None,
            span,
            columns: columns.columns.iter().enumerate().map(column).collect(),
            open: columns.open,
            has_system_columns: false,
            by_name: true,
            by_column: true,
        }
    }

    pub(super) fn may_have_others(&self) -> bool {
        self.open || self.columns.iter().any(|column| column.name.is_none())
    }

    pub(super) fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s ItemColumn> + 's {
        self.columns.iter().filter(move |column| column.name.as_deref() == Some(name))
    }

    pub(super) fn find(&self, name: &str) -> Found {
        let mut columns = self.named(name);
        match (columns.next(), columns.next()) {
            (Some(column), None) => Found::Column(column.kind, column.origin),
            (Some(_), Some(_)) => Found::Ambiguous(self.name.iter().cloned().collect()),
            _ if self.has_system_columns && SYSTEM_COLUMNS.contains(&name) => {
                Found::Column(ColumnKind::Other, None)
            }
            _ if self.may_have_others() => Found::Open,
            _ => Found::Missing,
        }
    }

    fn is_called(&self, qualifier: &[Ident]) -> bool {
        match qualifier {
            [name] => self.name.as_deref() == Some(&folded(name)),
            [.., schema, name] => {
                self.schema.as_deref() == Some(&folded(schema))
                    && self.name.as_deref() == Some(&folded(name))
            }
            [] => false,
        }
    }
}

impl Level {
    /// What a column's name alone means among this level's relations.
    pub(super) fn find(&self, name: &str) -> Found {
        let mut found = Found::Missing;
        let mut holders: Vec<&Item> = Vec::new();
        for item in self.items.iter().filter(|item| item.by_column) {
            match (item.find(name), &found) {
                (Found::Missing | Found::Row(_), _) => {}
                (Found::Open, Found::Missing) => found = Found::Open,
                (Found::Open, _) => {}
                (Found::Ambiguous(_), _) => return Found::Ambiguous(self.holders(name)),
                (column @ Found::Column(..), _) => {
                    holders.push(item);
                    found = column;
                }
            }
        }
        if holders.len() > 1 { Found::Ambiguous(self.holders(name)) } else { found }
    }

    /// The relations that have a column of this name.
    fn holders(&self, name: &str) -> Vec<String> {
        let holds =
            |item: &&Item| item.by_name && !matches!(item.find(name), Found::Missing | Found::Open);
        self.items.iter().filter(holds).filter_map(|item| item.name.clone()).collect()
    }
}

impl Resolver<'_> {
    /// What a name alone means: a column of the nearest level that has one, else a relation.
    pub(super) fn find_column(&self, name: &str) -> Found {
        for level in self.levels.iter().rev() {
            match level.find(name) {
                Found::Missing => {}
                found => return found,
            }
        }
        let items = self.levels.iter().rev().flat_map(|level| &level.items);
        let row = items.into_iter().find(|item| item.by_name && item.name.as_deref() == Some(name));
        row.map_or(Found::Missing, |item| Found::Row(item.clone()))
    }

    /// The relation that stands before the point of `name.column` or `schema.name.column`.
    pub(super) fn find_item(&self, qualifier: &[Ident]) -> Option<&Item> {
        self.levels
            .iter()
            .rev()
            .flat_map(|level| &level.items)
            .find(|item| item.by_name && item.is_called(qualifier))
    }

    /// What a WITH query of this name gives.
    pub(super) fn find_with(&self, name: &str) -> Option<&Columns> {
        self.levels
            .iter()
            .rev()
            .flat_map(|level| level.with.iter().rev())
            .find(|(known, _)| known == name)
            .map(|(_, columns)| columns)
    }

    /// Looks at something that sees these relations of the query's FROM, and no others.
    pub(super) fn seeing<T>(&mut self, items: &[Item], look: impl FnOnce(&mut Self) -> T) -> T {
        let Some(level) = self.levels.last_mut() else { return look(self) };
        let before = std::mem::replace(&mut level.items, items.to_vec());
        let looked = look(self);
        if let Some(level) = self.levels.last_mut() {
            level.items = before;
        }
        looked
    }

    /// A number for a relation of FROM.
    pub(super) fn source(&mut self) -> usize {
        self.next_source += 1;
        self.next_source
    }
}
