//! FROM: tables, subqueries and joins become the relations that the rest of the SELECT sees.

use sqlparser::ast::{
    Ident, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};
use sqlparser::tokenizer::Span;

use super::query::renamed;
use super::scope::{Item, ItemColumn};
use super::{Columns, Resolver, folded};
use crate::postgres::Relation;
use crate::problem::{At, HasSpan};

impl Resolver<'_> {
    /// Everything that FROM gives, in order.
    pub(super) fn from(&mut self, tables: &[TableWithJoins]) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for table in tables {
            let more = self.joined(table, &items);
            self.refuse_twice(&items, &more);
            items.extend(more);
        }
        items
    }

    /// `before` is what a LATERAL item sees: all that stands before it.
    fn joined(&mut self, table: &TableWithJoins, before: &[Item]) -> Vec<Item> {
        let mut left = self.factor(&table.relation, before);
        for join in &table.joins {
            let seen: Vec<Item> = before.iter().chain(&left).cloned().collect();
            let right = self.factor(&join.relation, &seen);
            self.refuse_twice(&left, &right);
            left = self.join(left, right, constraint(&join.join_operator));
        }
        left
    }

    fn factor(&mut self, factor: &TableFactor, before: &[Item]) -> Vec<Item> {
        match factor {
            TableFactor::Table { name, alias, args: None, with_ordinality: false, .. } => {
                vec![self.table(name, alias.as_ref())]
            }
            TableFactor::Table { name, alias, args, with_ordinality, .. } => {
                let args = args.as_ref().map_or(&[][..], |args| args.args.as_slice());
                vec![self.function(name, args, *with_ordinality, alias.as_ref(), before)]
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                vec![self.function(name, args, *with_ordinality, alias.as_ref(), before)]
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, .. } => {
                vec![self.unnest(array_exprs, *with_ordinality, alias.as_ref(), before)]
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let seen = if *lateral { before } else { &[] };
                let columns = self.seeing(seen, |resolver| resolver.query(subquery));
                vec![self.item(alias.as_ref(), None, columns)]
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let items = self.joined(table_with_joins, before);
                match (alias, items.iter().find(|item| item.by_column)) {
                    (Some(alias), Some(join)) => {
                        let mut named = join.clone();
                        for (column, name) in named.columns.iter_mut().zip(&alias.columns) {
                            column.name = Some(folded(&name.name));
                        }
                        (named.name, named.by_name, named.span) =
                            (Some(folded(&alias.name)), true, alias.name.span);
                        vec![named]
                    }
                    _ => items,
                }
            }
            TableFactor::TableFunction { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::OpenJsonTable { alias, .. }
            | TableFactor::Pivot { alias, .. }
            | TableFactor::Unpivot { alias, .. }
            | TableFactor::MatchRecognize { alias, .. }
            | TableFactor::XmlTable { alias, .. }
            | TableFactor::SemanticView { alias, .. } => {
                vec![self.item(alias.as_ref(), None, Columns::unknown())]
            }
        }
    }

    /// A relation of FROM under its alias, or else under its own name.
    pub(super) fn item(
        &mut self,
        alias: Option<&TableAlias>,
        own: Option<&Ident>,
        columns: Columns,
    ) -> Item {
        let source = self.source();
        let name = alias.map(|alias| &alias.name).or(own);
        let columns =
            alias.map_or_else(|| columns.clone(), |alias| renamed(columns.clone(), &alias.columns));
        let mut item = Item::of_columns(
            name.map(folded),
            &columns,
            source,
            name.map_or(Span::empty(), |name| name.span),
        );
        item.by_name = name.is_some();
        item
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Item {
        let idents: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let Some(own) = idents.last().copied() else {
            return self.item(alias, None, Columns::unknown());
        };
        let schema = idents
            .len()
            .checked_sub(2)
            .and_then(|place| idents.get(place))
            .map(|ident| folded(ident));
        let table = folded(own);
        if schema.is_none()
            && let Some(columns) = self.find_with(&table).cloned()
        {
            return self.item(alias, Some(own), columns);
        }
        let place = At(idents.first().map_or(own.span, |first| first.span.union(&own.span)));
        let (columns, has_system_columns) = match (schema.as_deref(), self.catalog.get(&table)) {
            (None | Some("public"), Some((columns, system))) => (columns.clone(), system),
            (None, None) if super::expression::is_bare_function(own) => {
                return self.function(name, &[], false, alias, &[]);
            }
            // PostgreSQL's own need no schema.
            (None, None) if table.starts_with("pg_") => (Columns::unknown(), true),
            (None | Some("public"), None) => {
                self.unknown_relation(&table, &place);
                (Columns::unknown(), true)
            }
            (Some(_), _) => (Columns::unknown(), true),
        };
        let (start, end) = self.text.range(place.0);
        let known = self
            .relations
            .iter()
            .any(|relation| relation.name == table && relation.schema == schema);
        if !known {
            self.relations.push(Relation {
                schema: schema.clone(),
                name: table.clone(),
                start,
                end,
            });
        }
        let mut item = self.item(alias, Some(own), columns);
        item.has_system_columns = has_system_columns;
        item.table = Some(table);
        if alias.is_none() {
            item.schema = Some(schema.unwrap_or_else(|| "public".to_owned()));
        }
        item
    }

    fn join(
        &mut self,
        left: Vec<Item>,
        right: Vec<Item>,
        constraint: Option<&JoinConstraint>,
    ) -> Vec<Item> {
        let of_both = |items: &[Item]| items.iter().find(|item| item.by_column).cloned();
        let (Some(one), Some(two)) = (of_both(&left), of_both(&right)) else { return left };
        let merged = match constraint {
            Some(JoinConstraint::Using(names)) => {
                let idents: Vec<Ident> =
                    names.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect();
                idents.iter().for_each(|ident| self.check_using(ident, &one, &two));
                let is_there = |name: &String| {
                    one.named(name).next().is_some() || two.named(name).next().is_some()
                };
                idents.iter().map(folded).filter(is_there).collect()
            }
            Some(JoinConstraint::Natural) => self.common(&one, &two),
            Some(JoinConstraint::On(condition)) => {
                let both: Vec<Item> = left.iter().chain(&right).cloned().collect();
                self.seeing(&both, |resolver| resolver.expression(condition));
                Vec::new()
            }
            Some(JoinConstraint::None) | None => Vec::new(),
        };
        let join = Item {
            name: None,
            schema: None,
            table: None,
            span: Span::empty(),
            columns: join_columns(&one, &two, &merged),
            open: one.open || two.open,
            has_system_columns: false,
            by_name: false,
            by_column: true,
        };
        let inner = left.into_iter().chain(right).map(|item| Item { by_column: false, ..item });
        std::iter::once(join).chain(inner).collect()
    }

    /// A column of USING stands once on either side.
    fn check_using(&mut self, ident: &Ident, one: &Item, two: &Item) {
        let name = folded(ident);
        for (item, side) in [(one, "left"), (two, "right")] {
            match item.named(&name).count() {
                0 if !item.may_have_others() => {
                    let message =
                        format!("what stands {side} of the JOIN has no column \"{name}\"");
                    let problem = self.text.problem("sql.column.unknown", &At(ident.span), message);
                    self.problems.push(problem.maybe_help(super::advice::columns_help(
                        ident,
                        item.columns.iter().filter_map(|column| column.name.as_deref()),
                    )));
                }
                0 | 1 => {}
                _ => {
                    let message = format!(
                        "what stands {side} of the JOIN has more than one column \"{name}\""
                    );
                    let problem =
                        self.text.problem("sql.column.ambiguous", &At(ident.span), message);
                    self.problems.push(problem.help("join ON a condition that says which"));
                }
            }
        }
    }

    /// The columns by which NATURAL joins.
    fn common(&mut self, one: &Item, two: &Item) -> Vec<String> {
        let mut common: Vec<String> = Vec::new();
        for name in one.columns.iter().filter_map(|column| column.name.as_deref()) {
            if two.named(name).next().is_some() && !common.iter().any(|known| known == name) {
                common.push(name.to_owned());
            }
        }
        for name in &common {
            if one.named(name).count() > 1 || two.named(name).count() > 1 {
                let message =
                    format!("NATURAL JOIN finds more than one column \"{name}\" on one side");
                let problem = self.text.problem("sql.column.ambiguous", &At(two.span), message);
                self.problems.push(problem.help("join ON a condition that says which"));
            }
        }
        common
    }

    fn refuse_twice(&mut self, before: &[Item], more: &[Item]) {
        for item in more.iter().filter(|item| item.by_name) {
            let same = |other: &&Item| other.by_name && other.name == item.name;
            // Tables of different schemas can be told apart.
            let apart = |other: &Item| {
                item.schema.is_some() && other.schema.is_some() && item.schema != other.schema
            };
            if let (Some(name), Some(other)) = (&item.name, before.iter().find(same))
                && !apart(other)
            {
                let message = format!("FROM has two relations of the name \"{name}\"");
                let problem = self.text.problem("sql.alias.twice", &At(item.span), message);
                self.problems
                    .push(problem.help(format!("give one of them another name: {name} AS ...")));
            }
        }
    }

    fn unknown_relation(&mut self, name: &str, place: &dyn HasSpan) {
        let of_with =
            self.levels.iter().flat_map(|level| level.with.iter().map(|(name, _)| name.as_str()));
        let known: Vec<&str> = of_with.chain(self.catalog.names()).collect();
        let help =
            crate::problem::did_you_mean(name, known.iter().copied()).unwrap_or_else(
                || match known.is_empty() {
                    true => "the file declares no table".to_owned(),
                    false => format!("the tables, rollups and views are {}", known.join(", ")),
                },
            );
        let problem =
            self.text.problem("sql.relation.unknown", place, format!("unknown table \"{name}\""));
        self.problems.push(problem.help(help));
    }
}

/// What USING merged, then what is left of either side.
fn join_columns(one: &Item, two: &Item, merged: &[String]) -> Vec<ItemColumn> {
    let is_merged =
        |column: &&ItemColumn| column.name.as_ref().is_some_and(|name| merged.contains(name));
    let merge = |name: &String| {
        let kind =
            |item: &Item| item.named(name).next().map(|column| column.kind).unwrap_or_default();
        ItemColumn { name: Some(name.clone()), kind: kind(one).or(kind(two)), origin: None }
    };
    let rest = |item: &Item| {
        item.columns.iter().filter(|column| !is_merged(column)).cloned().collect::<Vec<_>>()
    };
    merged.iter().map(merge).chain(rest(one)).chain(rest(two)).collect()
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}
