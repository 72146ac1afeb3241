//! Functions in FROM, and the columns that they give.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableAlias,
};

use super::expression::unnested;
use super::scope::Item;
use super::{ColumnKind, Columns, NamedColumn, Resolver, folded};

/// Functions that give one value a row, whose column is called by the alias, or else by the
/// function.
const OF_ONE_VALUE: [(&str, ColumnKind); 16] = [
    ("generate_series", ColumnKind::Unknown),
    ("generate_subscripts", ColumnKind::Number),
    ("regexp_split_to_table", ColumnKind::Text),
    ("regexp_matches", ColumnKind::Other),
    ("string_to_table", ColumnKind::Text),
    ("json_object_keys", ColumnKind::Text),
    ("jsonb_object_keys", ColumnKind::Text),
    ("jsonb_path_query", ColumnKind::Other),
    ("now", ColumnKind::Moment),
    ("date_trunc", ColumnKind::Unknown),
    ("timezone", ColumnKind::Unknown),
    ("current_date", ColumnKind::Moment),
    ("current_timestamp", ColumnKind::Moment),
    ("localtimestamp", ColumnKind::Moment),
    ("coalesce", ColumnKind::Unknown),
    ("current_user", ColumnKind::Text),
];

/// Functions whose results have names of their own.
const OF_NAMED_COLUMNS: [(&str, &[(&str, ColumnKind)]); 8] = [
    ("json_array_elements", &[("value", ColumnKind::Other)]),
    ("jsonb_array_elements", &[("value", ColumnKind::Other)]),
    ("json_array_elements_text", &[("value", ColumnKind::Unknown)]),
    ("jsonb_array_elements_text", &[("value", ColumnKind::Unknown)]),
    ("json_each", &[("key", ColumnKind::Text), ("value", ColumnKind::Other)]),
    ("jsonb_each", &[("key", ColumnKind::Text), ("value", ColumnKind::Other)]),
    ("json_each_text", &[("key", ColumnKind::Text), ("value", ColumnKind::Unknown)]),
    ("jsonb_each_text", &[("key", ColumnKind::Text), ("value", ColumnKind::Unknown)]),
];

impl Resolver<'_> {
    /// A function sees what stands before it, with or without LATERAL.
    pub(super) fn function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        before: &[Item],
    ) -> Item {
        self.seeing(before, |resolver| {
            args.iter().filter_map(argument).for_each(|expr| resolver.expression(expr))
        });
        let Some(own) = name.0.last().and_then(|part| part.as_ident()) else {
            return self.item(alias, None, Columns::unknown());
        };
        let function = folded(own);
        let mut columns = match alias {
            // The caller says what comes: `AS t (a integer, b text)`.
            Some(alias) if alias.columns.iter().any(|column| column.data_type.is_some()) => {
                Columns::default()
            }
            _ if function == "unnest" => {
                let arrays: Vec<&Expr> = args.iter().filter_map(argument).collect();
                unnested_columns(&arrays, alias)
            }
            _ => self.given(&function, args, alias),
        };
        if with_ordinality {
            columns.columns.push(NamedColumn::new("ordinality", ColumnKind::Number));
        }
        self.item(alias, Some(own), columns)
    }

    pub(super) fn unnest(
        &mut self,
        arrays: &[Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        before: &[Item],
    ) -> Item {
        self.seeing(before, |resolver| arrays.iter().for_each(|expr| resolver.expression(expr)));
        let mut columns = unnested_columns(&arrays.iter().collect::<Vec<_>>(), alias);
        if with_ordinality {
            columns.columns.push(NamedColumn::new("ordinality", ColumnKind::Number));
        }
        self.item(alias, Some(&Ident::new("unnest")), columns)
    }

    fn given(&self, function: &str, args: &[FunctionArg], alias: Option<&TableAlias>) -> Columns {
        if let Some((_, columns)) = OF_NAMED_COLUMNS.iter().find(|(name, _)| *name == function) {
            return Columns::new(
                columns.iter().map(|(name, kind)| NamedColumn::new(*name, *kind)).collect(),
            );
        }
        let Some((_, kind)) = OF_ONE_VALUE.iter().find(|(name, _)| *name == function) else {
            // The window of a rollup gives what its view gives.
            return self
                .catalog
                .get(function)
                .map_or_else(Columns::unknown, |(columns, _)| columns.clone());
        };
        let kind = match function {
            "generate_series" => {
                args.first().and_then(argument).map(|expr| self.kind(expr)).unwrap_or_default()
            }
            _ => *kind,
        };
        Columns::new(vec![NamedColumn::new(
            alias.map_or_else(|| function.to_owned(), |alias| folded(&alias.name)),
            kind,
        )])
    }
}

/// One column an array. An array of rows gives more, unless it is plain that its elements are none.
fn unnested_columns(arrays: &[&Expr], alias: Option<&TableAlias>) -> Columns {
    let name = match (arrays, alias) {
        ([_], Some(alias)) => folded(&alias.name),
        _ => "unnest".to_owned(),
    };
    let columns = arrays.iter().map(|_| NamedColumn::new(name.clone(), ColumnKind::Unknown));
    Columns {
        columns: columns.collect(),
        open: !arrays.iter().all(|array| is_of_plain_values(array)),
    }
}

fn is_of_plain_values(array: &Expr) -> bool {
    match unnested(array) {
        Expr::Array(array) => array.elem.iter().all(|element| {
            matches!(unnested(element), Expr::Value(_) | Expr::Cast { .. } | Expr::BinaryOp { .. })
        }),
        Expr::Cast { data_type: sqlparser::ast::DataType::Array(inner), .. } => {
            !matches!(inner, sqlparser::ast::ArrayElemTypeDef::SquareBracket(inner, _) if matches!(inner.as_ref(), sqlparser::ast::DataType::Custom(..)))
        }
        Expr::Function(function) => matches!(
            last_name(function).as_deref(),
            Some("string_to_array" | "regexp_split_to_array")
        ),
        _ => false,
    }
}

/// A function's name without its schema.
pub(super) fn last_name(function: &Function) -> Option<String> {
    function.name.0.last().and_then(|part| part.as_ident()).map(folded)
}

/// The arguments that are expressions.
pub(super) fn arguments(function: &Function) -> impl Iterator<Item = &Expr> {
    let list: &[FunctionArg] = match &function.args {
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    list.iter().filter_map(argument)
}

fn argument(arg: &FunctionArg) -> Option<&Expr> {
    let (FunctionArg::Unnamed(arg)
    | FunctionArg::Named { arg, .. }
    | FunctionArg::ExprNamed { arg, .. }) = arg;
    match arg {
        FunctionArgExpr::Expr(expr) => Some(expr),
        FunctionArgExpr::QualifiedWildcard(_)
        | FunctionArgExpr::Wildcard
        | FunctionArgExpr::WildcardWithOptions(_) => None,
    }
}
