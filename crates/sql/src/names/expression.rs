//! Every name of an expression.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArguments, Ident, ObjectName, Query, Visit, Visitor,
};

use super::scope::{Found, Item};
use super::{Resolver, folded};

/// Functions that are called without parentheses, which the parser takes for columns.
const BARE_FUNCTIONS: [&str; 11] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// Functions of any row: `t.to_jsonb` is another way to write `to_jsonb(t)`.
const FUNCTIONS_OF_ROWS: [&str; 18] = [
    "array_agg",
    "concat",
    "count",
    "hash_record",
    "json_agg",
    "json_build_array",
    "jsonb_agg",
    "jsonb_build_array",
    "max",
    "min",
    "num_nonnulls",
    "num_nulls",
    "pg_column_size",
    "pg_typeof",
    "row_to_json",
    "string_agg",
    "to_json",
    "to_jsonb",
];

pub(super) fn is_bare_function(ident: &Ident) -> bool {
    ident.quote_style.is_none() && BARE_FUNCTIONS.contains(&folded(ident).as_str())
}

/// The expression within its parentheses.
pub(super) fn unnested(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

impl Resolver<'_> {
    /// Looks up all names of an expression, those of its subqueries too.
    pub(super) fn expression(&mut self, expr: &Expr) {
        let mut walk = Walk { resolver: self, queries: 0, skipped: Vec::new() };
        let _ = expr.visit(&mut walk);
    }

    /// What an expression that is only a column's name means.
    pub(super) fn column_of(&self, expr: &Expr) -> Option<Found> {
        match unnested(expr) {
            Expr::Identifier(ident) => Some(self.find_column(&folded(ident))),
            Expr::CompoundIdentifier(idents) => self.find_qualified(idents),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let (idents, rest) = dotted(root, access_chain)?;
                let idents: Vec<Ident> = idents.into_iter().cloned().collect();
                if rest.is_empty() { self.find_qualified(&idents) } else { None }
            }
            _ => None,
        }
    }

    /// The relation of FROM whose row an expression is: `t` of `(t).name`.
    pub(super) fn row(&self, expr: &Expr) -> Option<Item> {
        match self.column_of(expr) {
            Some(Found::Row(item)) => Some(item),
            _ => None,
        }
    }

    /// The relation of `t.*`; None where there is none, which is told.
    pub(super) fn qualified_wildcard(&mut self, name: &ObjectName) -> Option<Item> {
        let idents: Vec<Ident> =
            name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let item = self.find_item(&idents).cloned();
        if item.is_none() {
            self.missing_relation(&idents);
        }
        item
    }

    fn find_qualified(&self, idents: &[Ident]) -> Option<Found> {
        let (column, qualifier) = idents.split_last()?;
        let item = self.find_item(qualifier)?;
        Some(match item.find(&folded(column)) {
            Found::Missing if FUNCTIONS_OF_ROWS.contains(&folded(column).as_str()) => Found::Open,
            found => found,
        })
    }

    fn name(&mut self, ident: &Ident) {
        match self.find_column(&folded(ident)) {
            Found::Column(..) | Found::Row(_) | Found::Open => {}
            Found::Ambiguous(holders) => self.ambiguous_column(ident, &holders),
            Found::Missing if is_bare_function(ident) => {}
            Found::Missing => self.unknown_column(ident),
        }
    }

    fn qualified_name(&mut self, idents: &[Ident]) {
        let Some((column, qualifier)) = idents.split_last() else { return };
        match self.find_qualified(idents) {
            Some(Found::Column(..) | Found::Row(_) | Found::Open) => {}
            Some(Found::Ambiguous(_)) => self.ambiguous_column(column, &[]),
            Some(Found::Missing) => self.unknown_column_of(column, qualifier),
            None => self.missing_relation(qualifier),
        }
    }

    /// A field of a row: `(t).name`, where t stands in FROM.
    fn field(&mut self, root: &Expr, field: &Ident) {
        if let Some(item) = self.row(root)
            && matches!(item.find(&folded(field)), Found::Missing)
            && !item.is_value()
            && !FUNCTIONS_OF_ROWS.contains(&folded(field).as_str())
        {
            self.unknown_field(field, &item);
        }
    }
}

impl Item {
    /// A function's one value: its row is the value itself, whose fields are not known.
    fn is_value(&self) -> bool {
        matches!(self.columns.as_slice(), [only] if only.name == self.name)
    }
}

struct Walk<'w, 't> {
    resolver: &'w mut Resolver<'t>,
    /// How many queries below the expression the walk is: they were looked at as a whole.
    queries: usize,
    /// Parts of the syntax tree that look like columns and are none.
    skipped: Vec<*const Expr>,
}

impl Visitor for Walk<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.queries == 0 {
            self.resolver.query(query);
        }
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries > 0 || self.skipped.contains(&std::ptr::from_ref(expr)) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(ident) => self.resolver.name(ident),
            Expr::CompoundIdentifier(idents) => self.resolver.qualified_name(idents),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::Function(function) => self.function(function),
            // An argument by its name: `make_interval(hours := 3)`.
            Expr::BinaryOp { left, op: BinaryOperator::Assignment, .. } => self.skip(left),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_, '_> {
    fn skip(&mut self, expr: &Expr) {
        self.skipped.push(std::ptr::from_ref(expr));
    }

    /// `a.b[1]` begins with a column's name, `(a).b` with an expression.
    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) {
        for access in chain {
            if let AccessExpr::Dot(field) = access {
                self.skip(field);
            }
        }
        match dotted(root, chain) {
            Some((idents, _)) => {
                self.skip(root);
                let idents: Vec<Ident> = idents.into_iter().cloned().collect();
                match idents.as_slice() {
                    [one] => self.resolver.name(one),
                    idents => self.resolver.qualified_name(idents),
                }
            }
            None => {
                if let Some(AccessExpr::Dot(Expr::Identifier(field))) = chain.first() {
                    self.resolver.field(root, field);
                }
            }
        }
    }

    fn function(&mut self, function: &Function) {
        let FunctionArguments::List(list) = &function.args else { return };
        for arg in &list.args {
            if let FunctionArg::ExprNamed {
                name,
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
                ..
            } = arg
            {
                self.skip(name);
            }
            let (FunctionArg::Unnamed(arg)
            | FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }) = arg;
            if let FunctionArgExpr::QualifiedWildcard(name) = arg {
                self.resolver.qualified_wildcard(name);
            }
        }
        // The form of `normalize(x, NFC)` is a word.
        if super::functions::last_name(function).as_deref() == Some("normalize")
            && let Some(form) = super::functions::arguments(function).nth(1)
        {
            self.skip(form);
        }
    }
}

/// The names of `a.b.c[1]` and what follows them; None where it does not begin with a name.
fn dotted<'e>(
    root: &'e Expr,
    chain: &'e [AccessExpr],
) -> Option<(Vec<&'e Ident>, &'e [AccessExpr])> {
    let mut idents = match root {
        Expr::Identifier(ident) => vec![ident],
        Expr::CompoundIdentifier(idents) => idents.iter().collect(),
        _ => return None,
    };
    let fields = chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident),
        _ => None,
    });
    let before = idents.len();
    idents.extend(fields);
    let taken = idents.len() - before;
    Some((idents, chain.get(taken..).unwrap_or_default()))
}
