//! PostgreSQL's own SQL, as endpoints and views have it. It is not planned here, only looked at:
//! that it is one SELECT that changes nothing, which tables it reads, whether it reads the clock,
//! and where its parameters stand.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, FunctionArguments, Ident, ObjectName, Query, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::names::{Catalog, Columns, ParameterType, resolve};
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
    /// What it gives.
    pub columns: Columns,
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

/// Looks at one SELECT, whose names are those of `catalog`. All its problems are told at once.
pub fn analyse_postgres(
    sql: &str,
    catalog: &Catalog,
    parameter_type: &dyn Fn(&str) -> ParameterType,
) -> Result<PostgresQuery, Vec<SqlProblem>> {
    let text = SourceText(sql);
    let parameters = parameters(sql);
    // A parameter becomes a number of the same length, so that places stay as they are.
    let mut plain = sql.to_owned();
    for place in &parameters {
        plain.replace_range(
            place.start..place.end,
            &format!("{:0width$}", 0, width = place.end - place.start),
        );
    }
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &plain)
        .map_err(|error| vec![text.syntax_problem(&error.to_string())])?;
    let [Statement::Query(query)] = statements.as_slice() else {
        let message = if statements.len() > 1 {
            "this is more than one statement"
        } else {
            "this is not a SELECT"
        };
        return Err(vec![text.problem(
            "sql.statement.unsupported",
            &At(sqlparser::tokenizer::Span::empty()),
            message,
        )]);
    };
    let mut looked =
        Looked { text, functions: Vec::new(), reads_clock: false, problems: Vec::new() };
    let _ = query.visit(&mut looked);
    let types = parameters.iter().map(|place| (place.start, parameter_type(&place.name))).collect();
    let resolved = resolve(query, text, catalog, &types);
    let problems: Vec<SqlProblem> = looked.problems.into_iter().chain(resolved.problems).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let (functions, reads_clock) = (looked.functions, looked.reads_clock);
    Ok(PostgresQuery {
        relations: resolved.relations,
        functions,
        reads_clock,
        columns: resolved.columns,
        parameters,
    })
}

struct Looked<'t> {
    text: SourceText<'t>,
    functions: Vec<FunctionCall>,
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
        if !query.locks.is_empty() {
            self.refuse(&nowhere, "FOR UPDATE and FOR SHARE lock rows, and this SELECT only reads");
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => {
                self.refuse(&nowhere, "this changes rows, and it may only read them")
            }
            SetExpr::Select(select) if select.into.is_some() => {
                self.refuse(&nowhere, "SELECT INTO makes a table, and this may only read")
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Function { name, args, .. } => self.call(name, args.len(), true),
            TableFactor::Table { name, args: Some(arguments), .. } => {
                self.call(name, arguments.args.len(), true)
            }
            _ => {}
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
            Expr::Function(function) => function
                .name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .map(|ident| ident.value.to_lowercase()),
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                Some(ident.value.to_lowercase())
            }
            _ => None,
        };
        self.reads_clock |= name.is_some_and(|name| CLOCK.contains(&name.as_str()));
        ControlFlow::Continue(())
    }
}

/// The SQL with every `:name` replaced by what `write` answers for it.
pub fn with_parameters(
    sql: &str,
    places: &[ParameterPlace],
    write: impl Fn(&str) -> String,
) -> String {
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
        let begins_name =
            bytes.get(at + 1).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        // `::` is a cast, and `a[1:n]` an array's slice.
        let after_value =
            at > 0 && (bytes[at - 1] == b':' || is_name(&bytes[at - 1]) || bytes[at - 1] == b']');
        if bytes[at] == b':' && begins_name && !after_value {
            let length = bytes[at + 1..].iter().take_while(|byte| is_name(byte)).count();
            places.push(ParameterPlace {
                name: sql[at + 1..at + 1 + length].to_owned(),
                start: at,
                end: at + 1 + length,
            });
            at += 1 + length;
        } else {
            at += 1;
        }
    }
    places
}

/// The first `$1`, `$2`, ... outside of texts, quoted names and comments.
pub fn numbered_parameter(sql: &str) -> Option<Range<usize>> {
    let bytes = sql.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$';
    let mut at = 0;
    while at < bytes.len() {
        if let Some(skipped) = skipped(sql, at) {
            at = skipped.end;
        } else if bytes[at] == b'$'
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            && (at == 0 || !is_name(&bytes[at - 1]))
        {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            return Some(at..at + 1 + digits);
        } else {
            at += 1;
        }
    }
    None
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
            let tag = std::str::from_utf8(&rest[..tag + 2]).ok().filter(|tag| {
                tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_')
            })?;
            until(tag, tag.len()).or(to_the_end)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relations of which nothing but the names is known.
    fn analyse(sql: &str) -> Result<PostgresQuery, Vec<SqlProblem>> {
        let mut catalog = Catalog::default();
        ["t", "a", "b", "c", "D"]
            .into_iter()
            .for_each(|name| catalog.add_table(name, Columns::unknown()));
        analyse_postgres(sql, &catalog, &|_| ParameterType::default())
    }

    fn names(sql: &str) -> Vec<String> {
        analyse(sql)
            .expect("it is a SELECT")
            .relations
            .into_iter()
            .map(|relation| relation.name)
            .collect()
    }

    #[test]
    fn relations_are_found_wherever_they_stand() {
        assert_eq!(
            names(
                "SELECT (SELECT count(*) FROM a) FROM b JOIN public.c USING (id)
                    WHERE EXISTS (SELECT 1 FROM \"D\")"
            ),
            ["a", "b", "c", "D"]
        );
        assert_eq!(
            names("SELECT * FROM generate_series(1, 3) AS g (n) JOIN t ON t.n = g.n"),
            ["t"]
        );
        assert_eq!(names("WITH w AS (SELECT * FROM a) SELECT * FROM w, a"), ["a"]);
        // The name of a WITH query ends with its query.
        assert_eq!(
            names("SELECT (WITH b AS (SELECT 1 AS x) SELECT x FROM b) FROM a, b"),
            ["a", "b"]
        );
    }

    #[test]
    fn functions_are_told_from_relations() {
        let sql =
            "SELECT count(*), \"W\"(1, 2) AS n FROM totals(now() - interval '1 day', now()) AS
            w (n), LATERAL public.other(1), t";
        let query = analyse(sql).expect("it is a SELECT");
        assert_eq!(
            query.relations.iter().map(|relation| relation.name.as_str()).collect::<Vec<_>>(),
            ["t"]
        );
        let mut called: Vec<(&str, usize, bool)> = query
            .functions
            .iter()
            .map(|call| (call.name.as_str(), call.arguments, call.is_relation))
            .collect();
        called.sort_unstable();
        assert_eq!(
            called,
            [
                ("W", 2, false),
                ("count", 1, false),
                ("now", 0, false),
                ("now", 0, false),
                ("other", 1, true),
                ("totals", 2, true)
            ]
        );
        let totals =
            query.functions.iter().find(|call| call.name == "totals").expect("it is called");
        assert_eq!(&sql[totals.start..totals.end], "totals");
    }

    #[test]
    fn parameters_are_told_from_casts_texts_and_comments() {
        let sql = "SELECT a::text, ':no', x[1:n] FROM t -- :no\nWHERE b = :yes AND c > :other_1";
        let query = analyse(sql).expect("it is a SELECT");
        assert_eq!(
            query.parameters.iter().map(|place| place.name.as_str()).collect::<Vec<_>>(),
            ["yes", "other_1"]
        );
        let written = with_parameters(sql, &query.parameters, |name| format!("<{name}>"));
        assert!(written.ends_with("WHERE b = <yes> AND c > <other_1>"), "{written}");
    }

    #[test]
    fn the_clock_is_seen() {
        for (sql, expected) in [
            ("SELECT now()", true),
            ("SELECT current_date", true),
            ("SELECT 'now()' FROM t", false),
            ("SELECT now FROM t", true),
        ] {
            assert_eq!(analyse(sql).expect("it is a SELECT").reads_clock, expected, "{sql}");
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
            assert!(analyse(sql).is_err(), "{sql}");
        }
    }
}
