//! PostgreSQL's own SQL, as endpoints and views have it. It is not planned here, only looked at: that it is one SELECT that changes
//! nothing, which tables it reads, whether it reads the clock, and where its parameters stand.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::problem::{At, SourceText, SqlProblem};
use crate::scope::fold;

/// What a SELECT in PostgreSQL's SQL looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresQuery {
    /// Each table or view once, but those of its own WITH.
    pub relations: Vec<Relation>,
    /// Every call of a function, in FROM and elsewhere.
    pub functions: Vec<FunctionCall>,
    /// Whether its answer is another a moment later, though nothing changed.
    pub reads_clock: bool,
    /// The names of its columns; None where one is not plain, such as `*`.
    pub columns: Option<Vec<String>>,
    /// Every `:name`, in the order of the text.
    pub parameters: Vec<ParameterPlace>,
}

/// A table or view that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub schema: Option<String>,
    pub name: String,
    /// Byte offsets in the SQL.
    pub start: usize,
    pub end: usize,
}

/// A function that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    pub schema: Option<String>,
    pub name: String,
    /// The number of its arguments.
    pub arguments: usize,
    /// Whether FROM reads its rows.
    pub is_relation: bool,
    /// Byte offsets of its name in the SQL.
    pub start: usize,
    pub end: usize,
}

/// A `:name` in the SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPlace {
    pub name: String,
    /// Byte offsets, the colon included.
    pub start: usize,
    pub end: usize,
}

/// Functions and keywords that read the clock.
const CLOCK: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "random",
    "age",
];

/// Looks at one SELECT. All its problems are told at once.
pub fn analyse_postgres(sql: &str) -> Result<PostgresQuery, Vec<SqlProblem>> {
    let text = SourceText(sql);
    let parameters = parameters(sql);
    // A parameter becomes a number of the same length, so that places stay as they are.
    let mut plain = sql.to_owned();
    for place in &parameters {
        plain.replace_range(place.start..place.end, &format!("{:0width$}", 0, width = place.end - place.start));
    }
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &plain).map_err(|error| vec![text.syntax_problem(&error.to_string())])?;
    let [Statement::Query(query)] = statements.as_slice() else {
        let message = if statements.len() > 1 { "this is more than one statement" } else { "this is not a SELECT" };
        return Err(vec![text.problem("sql.statement.unsupported", &At(sqlparser::tokenizer::Span::empty()), message)]);
    };
    let mut looked = Looked {
        text,
        relations: Vec::new(),
        functions: Vec::new(),
        with: Vec::new(),
        function: false,
        reads_clock: false,
        problems: Vec::new(),
    };
    let _ = query.visit(&mut looked);
    if !looked.problems.is_empty() {
        return Err(looked.problems);
    }
    let with = looked.with;
    let mut relations: Vec<Relation> = Vec::new();
    for relation in looked.relations {
        let own = relation.schema.is_none() && with.contains(&relation.name);
        if !own && !relations.iter().any(|known| known.name == relation.name && known.schema == relation.schema) {
            relations.push(relation);
        }
    }
    Ok(PostgresQuery { relations, functions: looked.functions, reads_clock: looked.reads_clock, columns: columns(query), parameters })
}

struct Looked<'t> {
    text: SourceText<'t>,
    relations: Vec<Relation>,
    functions: Vec<FunctionCall>,
    with: Vec<String>,
    /// The next relation is a function, such as generate_series.
    function: bool,
    reads_clock: bool,
    problems: Vec<SqlProblem>,
}

impl Looked<'_> {
    fn refuse(&mut self, node: &At, message: &str) {
        let problem = self.text.problem("sql.statement.unsupported", node, message);
        self.problems.push(problem);
    }

    fn call(&mut self, name: &ObjectName, arguments: usize, is_relation: bool) {
        if let Some(Relation { schema, name, start, end }) = self.named(name) {
            self.functions.push(FunctionCall { schema, name, arguments, is_relation, start, end });
        }
    }

    fn named(&self, name: &ObjectName) -> Option<Relation> {
        let idents: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let (first, last) = (idents.first()?, idents.last()?);
        let schema = (idents.len() > 1).then(|| fold(first));
        let place = self.text.problem("", &At(first.span.union(&last.span)), "");
        Some(Relation { schema, name: fold(last), start: place.start, end: place.end })
    }
}

impl Visitor for Looked<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let nowhere = At(sqlparser::tokenizer::Span::empty());
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.with.push(fold(&table.alias.name));
        }
        if !query.locks.is_empty() {
            self.refuse(&nowhere, "FOR UPDATE and FOR SHARE lock rows, and this SELECT only reads");
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => {
                self.refuse(&nowhere, "this changes rows, and it may only read them")
            }
            SetExpr::Select(select) if select.into.is_some() => self.refuse(&nowhere, "SELECT INTO makes a table, and this may only read"),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let called = match factor {
            TableFactor::Function { name, args, .. } => Some((name, args)),
            TableFactor::Table { name, args: Some(arguments), .. } => Some((name, &arguments.args)),
            _ => None,
        };
        self.function = called.is_some();
        if let Some((name, arguments)) = called {
            self.call(name, arguments.len(), true);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if !std::mem::take(&mut self.function) {
            let relation = self.named(relation);
            self.relations.extend(relation);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let arguments = match &function.args {
                FunctionArguments::List(list) => list.args.len(),
                FunctionArguments::None | FunctionArguments::Subquery(_) => 0,
            };
            self.call(&function.name, arguments, false);
        }
        let name = match expr {
            Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()),
            Expr::Identifier(ident) if ident.quote_style.is_none() => Some(ident.value.to_lowercase()),
            _ => None,
        };
        self.reads_clock |= name.is_some_and(|name| CLOCK.contains(&name.as_str()));
        ControlFlow::Continue(())
    }
}

/// The names of the columns, where every one is plain.
fn columns(query: &Query) -> Option<Vec<String>> {
    let select: &Select = match query.body.as_ref() {
        SetExpr::Select(select) => select,
        _ => return None,
    };
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(fold(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => idents.last().map(fold),
        _ => None,
    };
    select.projection.iter().map(name).collect()
}

/// The SQL with every `:name` replaced by what `write` answers for it.
pub fn with_parameters(sql: &str, places: &[ParameterPlace], write: impl Fn(&str) -> String) -> String {
    let mut written = String::with_capacity(sql.len() + 16 * places.len());
    let mut from = 0;
    for place in places {
        written.push_str(&sql[from..place.start]);
        written.push_str(&write(&place.name));
        from = place.end;
    }
    written.push_str(&sql[from..]);
    written
}

/// Every `:name` outside of texts, quoted names, comments and casts.
fn parameters(sql: &str) -> Vec<ParameterPlace> {
    let bytes = sql.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (mut places, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if let Some(skipped) = skipped(sql, at) {
            at = skipped.end;
            continue;
        }
        let begins_name = bytes.get(at + 1).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        // `::` is a cast, and `a[1:n]` an array's slice.
        let after_value = at > 0 && (bytes[at - 1] == b':' || is_name(&bytes[at - 1]) || bytes[at - 1] == b']');
        if bytes[at] == b':' && begins_name && !after_value {
            let length = bytes[at + 1..].iter().take_while(|byte| is_name(byte)).count();
            places.push(ParameterPlace { name: sql[at + 1..at + 1 + length].to_owned(), start: at, end: at + 1 + length });
            at += 1 + length;
        } else {
            at += 1;
        }
    }
    places
}

/// A text, a quoted name or a comment that begins here.
fn skipped(sql: &str, at: usize) -> Option<Range<usize>> {
    let rest = &sql.as_bytes()[at..];
    let until = |end: &str, from: usize| {
        let found = sql.get(at + from..)?.find(end)?;
        Some(at..at + from + found + end.len())
    };
    let to_the_end = Some(at..sql.len());
    match rest {
        [b'\'', ..] => until("'", 1).or(to_the_end),
        [b'"', ..] => until("\"", 1).or(to_the_end),
        [b'-', b'-', ..] => until("\n", 2).or(to_the_end),
        [b'/', b'*', ..] => until("*/", 2).or(to_the_end),
        [b'$', ..] => {
            let tag = rest[1..].iter().position(|byte| *byte == b'$')?;
            let tag = std::str::from_utf8(&rest[..tag + 2])
                .ok()
                .filter(|tag| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_'))?;
            until(tag, tag.len()).or(to_the_end)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        analyse_postgres(sql).expect("it is a SELECT").relations.into_iter().map(|relation| relation.name).collect()
    }

    #[test]
    fn relations_are_found_wherever_they_stand() {
        assert_eq!(
            names("SELECT (SELECT count(*) FROM a) FROM b JOIN public.c USING (id) WHERE EXISTS (SELECT 1 FROM \"D\")"),
            ["a", "b", "c", "D"]
        );
        assert_eq!(names("SELECT * FROM generate_series(1, 3) AS g (n) JOIN t ON t.n = g.n"), ["t"]);
        assert_eq!(names("WITH w AS (SELECT * FROM a) SELECT * FROM w, a"), ["a"]);
    }

    #[test]
    fn functions_are_told_from_relations() {
        let sql =
            "SELECT count(*), \"W\"(a, b) AS n FROM totals(now() - interval '1 day', now()) AS t (n), LATERAL public.other(1), totals";
        let query = analyse_postgres(sql).expect("it is a SELECT");
        assert_eq!(query.relations.iter().map(|relation| relation.name.as_str()).collect::<Vec<_>>(), ["totals"]);
        let mut called: Vec<(&str, usize, bool)> =
            query.functions.iter().map(|call| (call.name.as_str(), call.arguments, call.is_relation)).collect();
        called.sort_unstable();
        assert_eq!(
            called,
            [("W", 2, false), ("count", 1, false), ("now", 0, false), ("now", 0, false), ("other", 1, true), ("totals", 2, true)]
        );
        let totals = query.functions.iter().find(|call| call.name == "totals").expect("it is called");
        assert_eq!(&sql[totals.start..totals.end], "totals");
    }

    #[test]
    fn parameters_are_told_from_casts_texts_and_comments() {
        let sql = "SELECT a::text, ':no', x[1:n] FROM t -- :no\nWHERE b = :yes AND c > :other_1";
        let query = analyse_postgres(sql).expect("it is a SELECT");
        assert_eq!(query.parameters.iter().map(|place| place.name.as_str()).collect::<Vec<_>>(), ["yes", "other_1"]);
        let written = with_parameters(sql, &query.parameters, |name| format!("<{name}>"));
        assert!(written.ends_with("WHERE b = <yes> AND c > <other_1>"), "{written}");
    }

    #[test]
    fn the_clock_is_seen() {
        for (sql, expected) in
            [("SELECT now()", true), ("SELECT current_date", true), ("SELECT 'now()' FROM t", false), ("SELECT now FROM t", true)]
        {
            assert_eq!(analyse_postgres(sql).expect("it is a SELECT").reads_clock, expected, "{sql}");
        }
    }

    #[test]
    fn what_changes_rows_is_refused() {
        for sql in [
            "DELETE FROM t",
            "SELECT 1; SELECT 2",
            "WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d",
            "SELECT * FROM t FOR UPDATE",
            "SELECT 1 INTO x",
            "SELEC 1",
        ] {
            assert!(analyse_postgres(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn plain_columns_have_names() {
        assert_eq!(analyse_postgres("SELECT a, t.b, 1 AS c FROM t").unwrap().columns, Some(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(analyse_postgres("SELECT * FROM t").unwrap().columns, None);
    }
}
