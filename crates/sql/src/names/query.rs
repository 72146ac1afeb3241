//! WITH, UNION, VALUES: what stands around SELECTs.

use sqlparser::ast::{
    Expr, LimitClause, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, Values, With,
};
use sqlparser::tokenizer::Span;

use super::scope::{Item, Level};
use super::select::Targets;
use super::{ColumnKind, Columns, NamedColumn, Resolver, folded};

impl Resolver<'_> {
    /// Looks at a query and answers what it gives.
    pub(super) fn query(&mut self, query: &Query) -> Columns {
        self.ordered_query(query, &[])
    }

    /// The same for one in parentheses that is ordered from outside.
    fn ordered_query(&mut self, query: &Query, outer: &[&OrderByExpr]) -> Columns {
        self.levels.push(Level::default());
        if let Some(with) = &query.with {
            self.with(with);
        }
        let order: Vec<&OrderByExpr> = order_by(query).chain(outer.iter().copied()).collect();
        let columns = self.body(&query.body, &order);
        for limit in limits(query) {
            self.expression(limit);
        }
        self.levels.pop();
        self.outputs.insert(std::ptr::from_ref(query), columns.clone());
        columns
    }

    fn with(&mut self, with: &With) {
        if with.recursive {
            // Each may read each, also one that stands after it.
            let all =
                with.cte_tables.iter().map(|table| (folded(&table.alias.name), Columns::unknown()));
            let all: Vec<_> = all.collect();
            self.own_with(|own| own.extend(all));
        }
        for table in &with.cte_tables {
            let name = folded(&table.alias.name);
            if with.recursive
                && let SetExpr::SetOperation { op: SetOperator::Union, left, .. } =
                    table.query.body.as_ref()
            {
                // Its first part says what it gives; the second one reads that.
                let first = Query {
                    body: left.clone(),
                    order_by: None,
                    limit_clause: None,
                    fetch: None,
                    ..table.query.as_ref().clone()
                };
                let (problems, relations) = (self.problems.len(), self.relations.len());
                let columns = renamed(self.query(&first), &table.alias.columns);
                self.problems.truncate(problems);
                self.relations.truncate(relations);
                self.own_with(|own| replace(own, &name, columns));
            }
            let columns = renamed(self.query(&table.query), &table.alias.columns);
            self.own_with(|own| replace(own, &name, columns));
        }
    }

    fn own_with(&mut self, change: impl FnOnce(&mut Vec<(String, Columns)>)) {
        if let Some(level) = self.levels.last_mut() {
            change(&mut level.with);
        }
    }

    fn body(&mut self, body: &SetExpr, order: &[&OrderByExpr]) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::Query(query) => self.ordered_query(query, order),
            SetExpr::SetOperation { left, right, .. } => {
                let (left, right) = (self.body(left, &[]), self.body(right, &[]));
                let columns = united(left, &right);
                self.order_of_outputs(&columns, order);
                columns
            }
            SetExpr::Values(values) => {
                let columns = self.values(values);
                self.order_of_outputs(&columns, order);
                columns
            }
            SetExpr::Table(table) => {
                let named = table.table_name.as_deref().map(|name| name.trim_matches('"'));
                let columns = named.and_then(|name| {
                    self.find_with(name)
                        .or_else(|| self.catalog.get(name).map(|(columns, _)| columns))
                });
                columns.cloned().unwrap_or_else(Columns::unknown)
            }
            // They change rows, which is refused elsewhere.
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Columns::unknown()
            }
        }
    }

    fn values(&mut self, values: &Values) -> Columns {
        let mut kinds: Vec<ColumnKind> = Vec::new();
        for (row, parens) in values.rows.iter().enumerate() {
            for (place, value) in parens.content.iter().enumerate() {
                self.expression(value);
                let kind = self.kind(value);
                match kinds.get_mut(place) {
                    Some(known) => *known = known.or(kind),
                    None if row == 0 => kinds.push(kind),
                    None => {}
                }
            }
        }
        let columns = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| NamedColumn::new(format!("column{}", place + 1), *kind));
        Columns::new(columns.collect())
    }

    /// ORDER BY behind UNION or VALUES sees what comes out, and nothing else.
    fn order_of_outputs(&mut self, columns: &Columns, order: &[&OrderByExpr]) {
        if order.is_empty() {
            return;
        }
        let source = self.source();
        let mut item = Item::of_columns(None, columns, source, Span::empty());
        item.by_name = false;
        self.seeing(&[item], |resolver| {
            for ordered in order {
                resolver.ordered(&ordered.expr, &Targets::default());
            }
        });
    }
}

/// The columns under the names of an alias: `AS t (a, b)`.
pub(super) fn renamed(
    mut columns: Columns,
    names: &[sqlparser::ast::TableAliasColumnDef],
) -> Columns {
    for (place, name) in names.iter().enumerate() {
        match columns.columns.get_mut(place) {
            Some(column) => column.name = Some(folded(&name.name)),
            None => columns.columns.push(NamedColumn::new(folded(&name.name), ColumnKind::Unknown)),
        }
    }
    columns
}

fn replace(with: &mut Vec<(String, Columns)>, name: &str, columns: Columns) {
    match with.iter_mut().find(|(known, _)| known == name) {
        Some(known) => known.1 = columns,
        None => with.push((name.to_owned(), columns)),
    }
}

/// The names of the first, the kinds of both.
fn united(mut left: Columns, right: &Columns) -> Columns {
    for (place, column) in left.columns.iter_mut().enumerate() {
        let other = right.columns.get(place).filter(|_| !left.open && !right.open);
        column.kind = other.map_or(ColumnKind::Unknown, |other| column.kind.or(other.kind));
    }
    left
}

fn order_by(query: &Query) -> impl Iterator<Item = &OrderByExpr> {
    query.order_by.iter().flat_map(|order| match &order.kind {
        OrderByKind::Expressions(expressions) => expressions.as_slice(),
        OrderByKind::All(_) => &[],
    })
}

/// What stands behind LIMIT and OFFSET, which sees no column of the query's own.
fn limits(query: &Query) -> Vec<&Expr> {
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter().chain(offset.iter().map(|offset| &offset.value)).collect()
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => vec![offset, limit],
        None => Vec::new(),
    }
}
