//! The shape of a table's SQL: one SELECT over one record. Whatever would mix records is refused
//! here, with its place.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinOperator, ObjectName, Query, Select, SelectFlavor, SelectItem,
    SetExpr, Spanned, Statement, TableFactor,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

use crate::dialect::RecordDialect;
use crate::problem::{At, HasSpan, SourceText, SqlProblem};
use crate::scope::fold;

/// The parts of a SELECT over one record.
#[derive(Debug)]
pub(crate) struct RecordSelect {
    pub(crate) items: Vec<Item>,
    pub(crate) unnest: Option<Unnest>,
    pub(crate) condition: Option<Expr>,
}

/// `expr AS name`.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) expr: Expr,
    pub(crate) name: Ident,
}

/// `UNNEST(list) AS name`.
#[derive(Debug)]
pub(crate) struct Unnest {
    pub(crate) list: Expr,
    pub(crate) name: Ident,
}

/// A bare expression, the whole of a check's condition.
pub(crate) fn parse_expression(text: SourceText) -> Result<Expr, Vec<SqlProblem>> {
    let parsed = Parser::new(&RecordDialect).try_with_sql(text.0).and_then(|mut parser| {
        let expr = parser.parse_expr()?;
        parser.expect_token(&Token::EOF)?;
        Ok(expr)
    });
    parsed.map_err(|error| vec![text.syntax_problem(&error.to_string())])
}

/// A SELECT of the one shape that is allowed.
pub(crate) fn parse_select<'t>(
    text: SourceText<'t>,
    relation: &'t str,
) -> Result<RecordSelect, Vec<SqlProblem>> {
    let parsed = Parser::new(&RecordDialect)
        .try_with_sql(text.0)
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| vec![text.syntax_problem(&error.to_string())])?;
    let mut refusals = Refusals { text, relation, problems: Vec::new() };
    let select = match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => refusals.select_of(*query),
        (Some(other), _) => {
            refusals.add(
                "sql.statement.unsupported",
                &other,
                "a table is filled by one SELECT and nothing else",
            );
            None
        }
        (None, _) => {
            refusals.problems.push(text.syntax_problem("expected a SELECT, found nothing"));
            None
        }
    };
    let shape = select.and_then(|select| refusals.shape(select));
    match shape {
        Some(shape) if refusals.problems.is_empty() => Ok(shape),
        _ => Err(refusals.problems),
    }
}

/// The names that a table's SELECT gives, as PostgreSQL folds them; none where it is wrong, which
/// planning it tells.
pub fn select_names(sql: &str) -> Vec<String> {
    let items =
        parse_select(SourceText(sql), RECORD).map(|select| select.items).unwrap_or_default();
    items.iter().map(|item| fold(&item.name)).collect()
}

/// The keys of a nested SELECT, which makes an object of what is in sight already.
pub(crate) fn parse_object(
    text: SourceText<'_>,
    query: &Query,
) -> Result<Vec<Item>, Vec<SqlProblem>> {
    let mut refusals = Refusals { text, relation: RECORD, problems: Vec::new() };
    let items = refusals.select_of(query.clone()).map(|select| {
        refusals.refuse_clauses(&select);
        for table in &select.from {
            let problem = refusals.text.problem(
                "sql.construct.unsupported",
                &table.relation,
                "FROM cannot be used in a nested SELECT",
            );
            refusals.problems.push(
                problem.help("it makes an object of what is in sight already: leave FROM out"),
            );
        }
        if let Some(condition) = &select.selection {
            let problem = refusals.text.problem(
                "sql.construct.unsupported",
                condition,
                "WHERE cannot be used in a nested SELECT",
            );
            refusals
                .problems
                .push(problem.help("`CASE WHEN ... THEN (SELECT ...) END` is an object or NULL"));
        }
        select.projection.into_iter().filter_map(|item| refusals.item(item)).collect::<Vec<_>>()
    });
    match items {
        Some(items) if refusals.problems.is_empty() && !items.is_empty() => Ok(items),
        _ if refusals.problems.is_empty() => {
            Err(vec![text.problem("sql.select.empty", query, "the SELECT gives no key")])
        }
        _ => Err(refusals.problems),
    }
}

/// What a record is called where nothing else is said.
pub(crate) const RECORD: &str = "record";

struct Refusals<'t> {
    text: SourceText<'t>,
    /// The name by which FROM calls the one row that is seen.
    relation: &'t str,
    problems: Vec<SqlProblem>,
}

const ONE_RECORD: &str = "a table's SELECT is a projection of one record; what mixes records \
    belongs to rollups and views";

impl Refusals<'_> {
    fn is_relation(&self, name: &ObjectName) -> bool {
        name.to_string().trim_matches('"').eq_ignore_ascii_case(self.relation)
    }

    fn add(&mut self, code: &'static str, node: &dyn HasSpan, message: impl Into<String>) {
        self.problems.push(self.text.problem(code, node, message));
    }

    /// A construct that would need more than one record.
    fn mixes_records(&mut self, node: &dyn HasSpan, construct: &str) {
        let problem = self.text.problem(
            "sql.construct.unsupported",
            node,
            format!("{construct} cannot be used here"),
        );
        self.problems.push(problem.help(ONE_RECORD));
    }

    fn select_of(&mut self, query: Query) -> Option<Select> {
        if let Some(with) = &query.with {
            self.mixes_records(with, "WITH");
        }
        if let Some(order_by) = &query.order_by {
            self.mixes_records(order_by, "ORDER BY");
        }
        if let Some(limit) = &query.limit_clause {
            self.mixes_records(limit, "LIMIT");
        }
        if let Some(fetch) = &query.fetch {
            self.mixes_records(
                &At(fetch.quantity.as_ref().map_or_else(|| query.span(), Spanned::span)),
                "FETCH",
            );
        }
        if !query.locks.is_empty() {
            self.mixes_records(&*query.body, "FOR UPDATE");
        }
        match *query.body {
            SetExpr::Select(select) => Some(*select),
            SetExpr::Query(inner) => self.select_of(*inner),
            SetExpr::SetOperation { op, left, right, .. } => {
                let place = At(left.span().union(&right.span()));
                self.mixes_records(&place, &op.to_string());
                None
            }
            other => {
                self.add(
                    "sql.statement.unsupported",
                    &other,
                    "a table is filled by one SELECT and nothing else",
                );
                None
            }
        }
    }

    fn shape(&mut self, select: Select) -> Option<RecordSelect> {
        self.refuse_clauses(&select);
        let items: Vec<_> =
            select.projection.into_iter().filter_map(|item| self.item(item)).collect();
        if items.is_empty() && self.problems.is_empty() {
            self.add(
                "sql.select.empty",
                &At(select.select_token.0.span),
                "the SELECT gives no column",
            );
        }
        let mut relations: Vec<_> = Vec::new();
        for table in select.from {
            relations.push(table.relation);
            for join in table.joins {
                match join.relation {
                    unnest @ TableFactor::UNNEST { .. }
                        if matches!(join.join_operator, JoinOperator::CrossJoin(_)) =>
                    {
                        relations.push(unnest)
                    }
                    other => self.mixes_records(&other, "JOIN"),
                }
            }
        }
        let unnest = self.relations(relations);
        Some(RecordSelect { items, unnest, condition: select.selection })
    }

    fn refuse_clauses(&mut self, select: &Select) {
        let start = At(select.select_token.0.span);
        if select.distinct.is_some() {
            self.mixes_records(&start, "DISTINCT");
        }
        match &select.group_by {
            GroupByExpr::All(_) => self.mixes_records(&start, "GROUP BY ALL"),
            GroupByExpr::Expressions(by, _) if !by.is_empty() => {
                self.mixes_records(&select.group_by, "GROUP BY")
            }
            GroupByExpr::Expressions(..) => {}
        }
        if let Some(having) = &select.having {
            self.mixes_records(having, "HAVING");
        }
        if let Some(window) = select.named_window.first() {
            self.mixes_records(window, "WINDOW");
        }
        if let Some(qualify) = &select.qualify {
            self.mixes_records(qualify, "QUALIFY");
        }
        let other = select.top.is_some()
            || select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.flavor != SelectFlavor::Standard;
        if other {
            self.add(
                "sql.construct.unsupported",
                &start,
                "only SELECT, FROM record, UNNEST and WHERE can be used here",
            );
        }
    }

    fn item(&mut self, item: SelectItem) -> Option<Item> {
        match item {
            SelectItem::ExprWithAlias { expr, alias } => Some(Item { expr, name: alias }),
            SelectItem::UnnamedExpr(expr) => match own_name(&expr) {
                Some(name) => Some(Item { expr, name }),
                None => {
                    let problem =
                        self.text.problem("sql.name.missing", &expr, "this expression has no name");
                    self.problems.push(problem.help("write `AS` and the table's column behind it"));
                    None
                }
            },
            other => {
                let problem =
                    self.text.problem("sql.construct.unsupported", &other, "* cannot be used here");
                self.problems.push(
                    problem.help(
                        "name every column, so that a new key of the record changes no table",
                    ),
                );
                None
            }
        }
    }

    fn relations(&mut self, relations: Vec<TableFactor>) -> Option<Unnest> {
        let mut unnest = None;
        let mut record_seen = false;
        for relation in relations {
            match relation {
                TableFactor::Table { name, alias: None, args: None, .. }
                    if self.is_relation(&name) && !record_seen =>
                {
                    record_seen = true
                }
                TableFactor::UNNEST {
                    alias: Some(alias),
                    mut array_exprs,
                    with_ordinality: false,
                    with_offset: false,
                    ..
                } if array_exprs.len() == 1 && alias.columns.is_empty() && unnest.is_none() => {
                    unnest = array_exprs.pop().map(|list| Unnest { list, name: alias.name });
                }
                TableFactor::UNNEST { array_exprs, alias, .. } => {
                    let place = At(array_exprs
                        .iter()
                        .map(Spanned::span)
                        .fold(None, union)
                        .unwrap_or_else(Span::empty));
                    let what = match (unnest.is_some(), alias) {
                        (true, _) => "a second UNNEST cannot be used here",
                        (false, None) => "UNNEST needs a name for the element",
                        (false, Some(_)) => "UNNEST takes one list and one name",
                    };
                    let problem = self.text.problem("sql.unnest.unsupported", &place, what);
                    self.problems.push(problem.help("write `UNNEST(list) AS item`, at most once"));
                }
                TableFactor::Table { name, alias: Some(alias), .. }
                    if self.is_relation(&name) && !record_seen =>
                {
                    record_seen = true;
                    let what = if self.relation == RECORD { "the record" } else { self.relation };
                    let message = format!("{what} has no other name here");
                    let place = At(alias.name.span);
                    let problem = self.text.problem("sql.from.alias", &place, message);
                    let advice =
                        format!("write `FROM {}`, and columns by their names", self.relation);
                    self.problems.push(problem.help(advice));
                }
                TableFactor::Table { name, .. } if self.is_relation(&name) => {
                    let construct = format!(
                        "{} a second time",
                        if self.relation == RECORD { "the record" } else { self.relation }
                    );
                    self.mixes_records(&name, &construct);
                }
                TableFactor::Table { name, .. } => {
                    let seen = if self.relation == RECORD {
                        "a record has only itself"
                    } else {
                        "a row has only itself"
                    };
                    let message = format!("there is no table {name}; {seen}");
                    let problem = self.text.problem("sql.table.unknown", &name, message);
                    self.problems.push(problem.help(format!("write `FROM {}`", self.relation)));
                }
                TableFactor::Derived { subquery, .. } => {
                    self.mixes_records(&*subquery, "a subquery")
                }
                other => self.mixes_records(&other, "this"),
            }
        }
        unnest
    }
}

/// The name that an expression brings along: a column's, or the last key of a path.
fn own_name(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(path) => path.last().cloned(),
        _ => None,
    }
}

fn union(left: Option<Span>, right: Span) -> Option<Span> {
    Some(left.map_or(right, |left| left.union(&right)))
}
