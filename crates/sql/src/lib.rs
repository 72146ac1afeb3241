//! A pipeline's SQL: expressions over one record, planned once against the record's Arrow schema
//! and evaluated batch by batch.
//!
//! This crate is everything that knows DataFusion. DataFusion gives the comparisons, the logic and
//! the text functions; where its answers differ from PostgreSQL's (arithmetic, casts, rounding, the
//! clock, lists) the kernels are ours. The modules stand in the order in which a statement meets
//! them.

mod dialect; // what may be written
mod problem; // what is wrong with it, and where
mod statement; // the shape: one SELECT over one record
mod scope; // the names that an expression sees
mod plan; // syntax into expressions, node by node
mod functions; // the functions that an expression may call
mod native; // a function of ours, as DataFusion wants it
mod arithmetic; // + - * / %, checked and exact
mod math; // functions on DOUBLE PRECISION
mod rounding; // round, trunc, ceil, floor, abs, sign
pub mod forms; // types whose values travel as texts
mod cast; // values of one type as another, as PostgreSQL does it
mod decimal; // decimals from and to text
mod moment; // dates and timestamps from and to text, and their parts
mod lists; // lists: their lengths, and what a lambda makes of their elements
mod field; // a key of an object
mod json; // values as JSON
mod type_name; // PostgreSQL's names for Arrow's types
mod compile; // expressions into what runs
mod halves; // evaluating in halves until the failing rows are found
mod postgres; // PostgreSQL's own SQL, looked at
mod names; // its names, looked up
mod select; // a table's SELECT
mod condition; // a check's condition

pub use cast::{assignable, cast, conversions, help_of};
pub use condition::{Condition, ConditionOutput, plan_condition};
pub use functions::names as function_names;
pub use halves::{Failure, run_in_halves};
pub use json::to_json;
pub use names::{Catalog, ColumnKind, Columns, NamedColumn, ParameterType};
pub use plan::Recomputed;
pub use postgres::{
    FunctionCall, ParameterPlace, PostgresQuery, Relation, analyse_postgres, numbered_parameter,
    with_parameters,
};
pub use problem::SqlProblem;
pub use select::{
    FailedRow, OutputColumn, Select, SelectOutput, plan_expression, plan_select, plan_select_from,
    recompute,
};
pub use statement::select_names;
pub use type_name::type_name;

#[cfg(test)]
mod tests;
