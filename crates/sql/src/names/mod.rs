//! Names in PostgreSQL's own SQL: what each column, table and alias means, by PostgreSQL's rules,
//! against the relations that the pipeline declares. A name that PostgreSQL would refuse is a
//! problem; whatever is not known offline is let through.

mod columns; // what a relation gives, and the relations that there are
mod scope; // the names that an expression sees
mod query; // WITH, UNION, VALUES
mod select; // one SELECT: its list, and who may call its columns by their names
mod from; // FROM: tables, subqueries, joins
mod functions; // functions in FROM, and what they give
mod expression; // every name of an expression
mod output; // the names that PostgreSQL gives to columns without AS
mod kind; // the kind of an expression's values, where it is plain
mod advice; // what is said of a name that means nothing

use std::collections::{BTreeMap, HashMap};

use sqlparser::ast::{Ident, Query};

use crate::postgres::Relation;
use crate::problem::{SourceText, SqlProblem};
pub use columns::{Catalog, ColumnKind, Columns, NamedColumn, ParameterType};
use scope::Level;

/// What a SELECT's names mean.
pub(crate) struct Resolved {
    /// What the SELECT gives.
    pub columns: Columns,
    /// Each table or view that is read, once.
    pub relations: Vec<Relation>,
    /// In the order of the text.
    pub problems: Vec<SqlProblem>,
}

/// Looks up every name of the SELECT. `parameters` are its numbers that stand for a parameter, by
/// where they begin.
pub(crate) fn resolve(
    query: &Query,
    text: SourceText<'_>,
    catalog: &Catalog,
    parameters: &BTreeMap<usize, ParameterType>,
) -> Resolved {
    let mut resolver = Resolver {
        text,
        catalog,
        parameters,
        levels: Vec::new(),
        next_source: 0,
        outputs: HashMap::new(),
        relations: Vec::new(),
        problems: Vec::new(),
    };
    let columns = resolver.query(query);
    let Resolver { mut relations, mut problems, .. } = resolver;
    relations.sort_by_key(|relation| relation.start);
    problems.sort_by_key(|problem| (problem.start, problem.end));
    problems.dedup();
    Resolved { columns, relations, problems }
}

struct Resolver<'t> {
    text: SourceText<'t>,
    catalog: &'t Catalog,
    parameters: &'t BTreeMap<usize, ParameterType>,
    /// The queries around the one that is looked at, the innermost last.
    levels: Vec<Level>,
    /// Numbers the relations of FROM, so that two ways to call a column are known to be one.
    next_source: usize,
    /// What each query gives, by its place in memory: the syntax tree outlives the resolver.
    outputs: HashMap<*const Query, Columns>,
    relations: Vec<Relation>,
    problems: Vec<SqlProblem>,
}

/// PostgreSQL cuts longer names.
const NAME_BYTES: usize = 63;

/// A name as PostgreSQL folds it: the letters A to Z alone, and no more than it keeps.
fn folded(ident: &Ident) -> String {
    let mut name = if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_ascii_lowercase()
    };
    if name.len() > NAME_BYTES {
        let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        name.truncate(end);
    }
    name
}
