//! One SELECT: its list, and who may call its columns by their names. GROUP BY and ORDER BY may,
//! WHERE and HAVING may not.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, NamedWindowExpr, OrderByExpr, Select, SelectItem,
    SelectItemQualifiedWildcardKind,
};
use sqlparser::tokenizer::Span;

use super::expression::unnested;
use super::scope::{Found, Item, Level, Origin};
use super::{Columns, NamedColumn, Resolver, folded};
use crate::problem::{At, HasSpan};

/// The columns of a SELECT's list.
#[derive(Default)]
pub(super) struct Targets {
    targets: Vec<Target>,
    /// A `*` of which not every column is known.
    open: bool,
}

struct Target {
    column: NamedColumn,
    what: What,
}

/// Two columns of one name are no question when they are the same.
#[derive(PartialEq)]
enum What {
    Column(Option<Origin>),
    Expression(Box<Expr>),
}

/// Who calls a column of the list by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Looks at FROM first.
    GroupBy,
    /// Looks at the list first.
    OrderBy,
}

impl Resolver<'_> {
    pub(super) fn select(&mut self, select: &Select, order: &[&OrderByExpr]) -> Columns {
        self.levels.push(Level::default());
        let items = self.from(&select.from);
        if let Some(level) = self.levels.last_mut() {
            level.items = items;
        }
        let targets = self.targets(&select.projection);
        if let Some(level) = self.levels.last_mut() {
            level.outputs =
                targets.targets.iter().filter_map(|target| target.column.name.clone()).collect();
        }
        for condition in select.selection.iter().chain(&select.having) {
            self.expression(condition);
        }
        if let GroupByExpr::Expressions(expressions, _) = &select.group_by {
            expressions.iter().for_each(|expression| self.grouped(expression, &targets));
        }
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
                spec.partition_by
                    .iter()
                    .chain(spec.order_by.iter().map(|order| &order.expr))
                    .for_each(|expr| self.expression(expr));
            }
        }
        if let Some(Distinct::On(expressions)) = &select.distinct {
            expressions.iter().for_each(|expression| self.ordered(expression, &targets));
        }
        order.iter().for_each(|order| self.ordered(&order.expr, &targets));
        self.levels.pop();
        Columns {
            columns: targets.targets.into_iter().map(|target| target.column).collect(),
            open: targets.open,
        }
    }

    /// An item of ORDER BY or DISTINCT ON.
    pub(super) fn ordered(&mut self, expression: &Expr, targets: &Targets) {
        self.by_name(expression, targets, Caller::OrderBy);
    }

    fn grouped(&mut self, expression: &Expr, targets: &Targets) {
        match unnested(expression) {
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter().flatten().for_each(|expression| self.grouped(expression, targets));
            }
            Expr::Tuple(expressions) => {
                expressions.iter().for_each(|expression| self.grouped(expression, targets))
            }
            expression => self.by_name(expression, targets, Caller::GroupBy),
        }
    }

    fn by_name(&mut self, expression: &Expr, targets: &Targets, caller: Caller) {
        let expression = unnested(expression);
        let Expr::Identifier(ident) = expression else { return self.expression(expression) };
        let name = folded(ident);
        let is_of_from = self
            .levels
            .last()
            .is_some_and(|level| !matches!(level.find(&name), Found::Missing | Found::Open));
        if caller == Caller::GroupBy && is_of_from {
            return self.expression(expression);
        }
        let mut named =
            targets.targets.iter().filter(|target| target.column.name.as_deref() == Some(&name));
        match named.next() {
            Some(first) => {
                if let Some(other) = named.find(|other| first.is_another(other)) {
                    let holders = vec![self.written(first), self.written(other)];
                    self.ambiguous_output(ident, &holders);
                }
            }
            None if targets.open && matches!(self.find_column(&name), Found::Missing) => {}
            None => self.expression(expression),
        }
    }

    fn targets(&mut self, list: &[SelectItem]) -> Targets {
        let mut targets = Targets::default();
        for item in list {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.expression(expr);
                    let name = self.output_name(expr);
                    targets.targets.push(self.target(name, expr, expr.place()));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expression(expr);
                    targets.targets.push(self.target(Some(folded(alias)), expr, alias.span));
                }
                SelectItem::ExprWithAliases { expr, .. } => {
                    self.expression(expr);
                    targets.open = true;
                }
                SelectItem::Wildcard(options) => {
                    let items: Vec<Item> = self
                        .levels
                        .last()
                        .into_iter()
                        .flat_map(|level| &level.items)
                        .cloned()
                        .collect();
                    let place = options.wildcard_token.0.span;
                    items
                        .iter()
                        .filter(|item| item.by_column)
                        .for_each(|item| self.all_of(item, place, &mut targets));
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => match self.qualified_wildcard(name) {
                    Some(item) => self.all_of(&item, options.wildcard_token.0.span, &mut targets),
                    None => targets.open = true,
                },
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::Expr(expr),
                    options,
                ) => {
                    self.expression(expr);
                    match self.row(expr) {
                        Some(item) => {
                            self.all_of(&item, options.wildcard_token.0.span, &mut targets)
                        }
                        None => targets.open = true,
                    }
                }
            }
        }
        targets
    }

    fn all_of(&self, item: &Item, place: Span, targets: &mut Targets) {
        let (start, end) = self.text.range(place);
        targets.targets.extend(item.columns.iter().map(|column| Target {
            column: NamedColumn { name: column.name.clone(), kind: column.kind, start, end },
            what: What::Column(column.origin),
        }));
        targets.open |= item.open;
    }

    fn target(&self, name: Option<String>, expr: &Expr, place: Span) -> Target {
        let (start, end) = self.text.range(place);
        let what = match self.column_of(expr) {
            Some(Found::Column(_, origin)) => What::Column(origin),
            _ => What::Expression(Box::new(unnested(expr).clone())),
        };
        Target { column: NamedColumn { name, kind: self.kind(expr), start, end }, what }
    }

    fn written(&self, target: &Target) -> String {
        self.text.0.get(target.column.start..target.column.end).unwrap_or_default().to_owned()
    }

    fn ambiguous_output(&mut self, ident: &sqlparser::ast::Ident, written: &[String]) {
        let message = format!("the SELECT gives two columns of the name \"{}\"", folded(ident));
        let problem = self.text.problem("sql.column.ambiguous", &At(ident.span), message);
        self.problems
            .push(problem.help(format!("give one of {} another name", written.join(" and "))));
    }
}

impl Target {
    /// Whether it is surely not the same column as another of its name. Of two expressions nobody
    /// can say it by their text.
    fn is_another(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::Column(Some(one)), What::Column(Some(two))) => one != two,
            (What::Column(Some(_)), What::Expression(expression))
            | (What::Expression(expression), What::Column(Some(_))) => {
                matches!(
                    expression.as_ref(),
                    Expr::Value(_) | Expr::Function(_) | Expr::BinaryOp { .. } | Expr::Case { .. }
                )
            }
            _ => false,
        }
    }
}
