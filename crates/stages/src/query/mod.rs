//! `views:` and `endpoints:`, PostgreSQL's SQL over the tables. Pure: what each reads, and its
//! statement.

mod catalog; // what may be read
mod panels; // what a dashboard shows of it

use std::collections::{BTreeMap, BTreeSet};

use duto_sql::{
    Catalog, Columns, FunctionCall, ParameterType, PostgresQuery, analyse_postgres,
    numbered_parameter, with_parameters,
};

use crate::transform::problem_of;
use duto_definition::{Endpoint, Parameter, Pipeline, Problem, Shape, SqlText};

/// A pipeline's endpoints, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Queries {
    /// In the file's order.
    pub endpoints: Vec<EndpointQuery>,
}

/// One endpoint's statement.
#[derive(Debug, Clone)]
pub struct EndpointQuery {
    pub endpoint: Endpoint,
    /// The SELECT, with $1, $2, ... for its parameters.
    pub select: String,
    /// The same as one value: a JSON text.
    pub statement: String,
    /// What each row of the answer has.
    pub columns: Columns,
    /// The parameters in the order of their numbers, as places among the endpoint's.
    pub order: Vec<usize>,
    /// The pipeline's tables whose rows decide the answer.
    pub tables: BTreeSet<String>,
    /// Whether the answer is another a moment later, though nothing was stored.
    pub reads_clock: bool,
}

impl Queries {
    /// Looks at every SELECT; all problems are told at once.
    pub fn plan(pipeline: &Pipeline) -> Result<Self, Vec<Problem>> {
        let mut known = Known::of(pipeline);
        let mut problems = Vec::new();
        for view in &pipeline.views {
            problems.extend(numbered(&view.select));
            let (columns, reads) = match known.look(&view.select, &[]) {
                Ok((query, reads)) => {
                    problems.extend(query.parameters.first().map(|place| {
                        let span = view.select.span_of(place.start, place.end);
                        Problem::new(
                            "view.parameter",
                            span,
                            format!("a view has no parameters, and :{} is one", place.name),
                        )
                    }));
                    problems.extend(column_twice(
                        &format!("the view {}", view.name),
                        &view.select,
                        &query.columns,
                    ));
                    (query.columns, reads)
                }
                Err(found) => {
                    problems.extend(found);
                    (Columns::unknown(), Reads::default())
                }
            };
            known.catalog.add_view(&view.name, columns);
            known.relations.insert(view.name.clone(), reads);
        }
        let mut endpoints = Vec::new();
        for endpoint in &pipeline.endpoints {
            problems.extend(numbered(&endpoint.select));
            match known
                .look(&endpoint.select, &endpoint.parameters)
                .and_then(|(query, reads)| EndpointQuery::new(endpoint, &query, reads))
            {
                Ok(query) => {
                    problems.extend(column_twice(
                        "each row of the answer",
                        &endpoint.select,
                        &query.columns,
                    ));
                    endpoints.push(query);
                }
                Err(found) => problems.extend(found),
            }
        }
        problems.extend(panels::problems(pipeline, &endpoints));
        if problems.is_empty() { Ok(Self { endpoints }) } else { Err(problems) }
    }
}

/// The views and rollups that a view reads itself.
pub fn views_read(pipeline: &Pipeline, view: &str) -> Vec<String> {
    let Some(view) = pipeline.views.iter().find(|declared| declared.name == view) else {
        return Vec::new();
    };
    let mut known = Known::of(pipeline);
    pipeline.views.iter().for_each(|view| known.catalog.add_view(&view.name, Columns::unknown()));
    let query = analyse_postgres(&view.select.text, &known.catalog, &|_| ParameterType::default());
    query
        .map(|query| query.relations.into_iter().map(|relation| relation.name).collect())
        .unwrap_or_default()
}

/// `$1` is a parameter of the statement that duto sends.
fn numbered(select: &SqlText) -> Option<Problem> {
    let place = numbered_parameter(&select.text)?;
    let problem = Problem::new(
        "sql.parameter.numbered",
        select.span_of(place.start, place.end),
        "a parameter has a name here, not a number",
    );
    Some(problem.help("declare it in parameters, and write :name"))
}

/// PostgreSQL makes no view of two columns of one name, and an object has no two keys.
fn column_twice(what: &str, select: &SqlText, columns: &Columns) -> Option<Problem> {
    let again =
        |(place, name): (usize, &str)| columns.names().take(place).any(|before| before == name);
    let named = columns.columns.iter().filter(|column| column.name.is_some());
    let (column, name) =
        named.zip(columns.names()).enumerate().find(|(place, (_, name))| again((*place, name)))?.1;
    let span = select.span_of(column.start, column.end);
    let problem = Problem::new(
        "view.column.duplicate",
        span,
        format!("{what} gets two columns of the name \"{name}\""),
    );
    Some(problem.help("give one of them another name, with AS; instead of * name the columns"))
}

/// What a relation's rows depend on.
#[derive(Debug, Clone, Default)]
struct Reads {
    tables: BTreeSet<String>,
    clock: bool,
}

/// Everything that may be read.
struct Known {
    relations: BTreeMap<String, Reads>,
    /// The rollups, and whether each can be asked for a window.
    rollups: BTreeMap<String, bool>,
    catalog: Catalog,
}

impl Known {
    fn of(pipeline: &Pipeline) -> Self {
        let on = |table: &str| Reads { tables: BTreeSet::from([table.to_owned()]), clock: false };
        let tables = pipeline.tables.iter().map(|table| (table.name.clone(), on(&table.name)));
        let rollups = pipeline.rollups.iter().map(|rollup| (rollup.name.clone(), on(&rollup.from)));
        let windows =
            pipeline.rollups.iter().map(|rollup| (rollup.name.clone(), rollup.windows.is_some()));
        Self {
            relations: tables.chain(rollups).collect(),
            rollups: windows.collect(),
            catalog: catalog::catalog(pipeline),
        }
    }

    fn look(
        &self,
        sql: &SqlText,
        parameters: &[Parameter],
    ) -> Result<(PostgresQuery, Reads), Vec<Problem>> {
        let type_of = |name: &str| {
            let parameter = parameters.iter().find(|parameter| parameter.name == name);
            parameter.map_or_else(ParameterType::default, |parameter| {
                catalog::parameter_type(parameter.column_type)
            })
        };
        let query = analyse_postgres(&sql.text, &self.catalog, &type_of).map_err(|problems| {
            problems.into_iter().map(|problem| problem_of(sql, problem)).collect::<Vec<_>>()
        })?;
        let mut reads = Reads { clock: query.reads_clock, ..Reads::default() };
        for relation in &query.relations {
            match relation.schema.as_deref() {
                // What duto keeps changes with every commit, whatever the table.
                Some("duto") => reads
                    .tables
                    .extend(self.relations.values().flat_map(|reads| reads.tables.iter().cloned())),
                None | Some("public") => match self.relations.get(&relation.name) {
                    Some(other) => {
                        reads.tables.extend(other.tables.iter().cloned());
                        reads.clock |= other.clock;
                    }
                    None => reads.clock = true,
                },
                // Catalogues and other people's tables: nobody says when they change.
                Some(_) => reads.clock = true,
            }
        }
        let mut problems = Vec::new();
        for call in &query.functions {
            let Some(other) = self
                .relations
                .get(&call.name)
                .filter(|_| call.schema.as_deref().is_none_or(|schema| schema == "public"))
            else {
                continue;
            };
            match self.no_window(sql, call) {
                Some(problem) if call.is_relation => problems.push(problem),
                // It is PostgreSQL's own function, such as `date`, and a table has its name.
                Some(_) => {}
                None => {
                    reads.tables.extend(other.tables.iter().cloned());
                    reads.clock |= other.clock;
                }
            }
        }
        if problems.is_empty() { Ok((query, reads)) } else { Err(problems) }
    }

    /// Why a function of a relation's name is not the window of a rollup.
    fn no_window(&self, sql: &SqlText, call: &FunctionCall) -> Option<Problem> {
        let name = &call.name;
        let (message, help) = match self.rollups.get(name) {
            Some(true) if call.arguments == 2 => return None,
            Some(true) => (
                format!(
                    "the window of {name} is between two times, and it is given {}",
                    call.arguments
                ),
                format!(
                    "write {name}(from, to), such as {name}(now() - interval '24 hours', now()), \
                        or {name} for the whole history"
                ),
            ),
            Some(false) => (
                format!("the rollup {name} has no windows"),
                "add `over:` to it, the time of each row: then any window can be asked for"
                    .to_owned(),
            ),
            None => (
                format!("{name} cannot be asked for a window"),
                "only a rollup with `over:` can".to_owned(),
            ),
        };
        Some(
            Problem::new("sql.window.unknown", sql.span_of(call.start, call.end), message)
                .help(help),
        )
    }
}

impl EndpointQuery {
    fn new(endpoint: &Endpoint, query: &PostgresQuery, reads: Reads) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let place_of =
            |name: &str| endpoint.parameters.iter().position(|parameter| parameter.name == name);
        let mut order: Vec<usize> = Vec::new();
        for place in &query.parameters {
            match place_of(&place.name) {
                Some(parameter) if !order.contains(&parameter) => order.push(parameter),
                Some(_) => {}
                None => {
                    let span = endpoint.select.span_of(place.start, place.end);
                    let names = endpoint.parameters.iter().map(|parameter| parameter.name.as_str());
                    let problem = Problem::new(
                        "endpoint.parameter.unknown",
                        span,
                        format!("unknown parameter :{}", place.name),
                    );
                    problems.push(problem.help(duto_definition::suggest::did_you_mean_or_list(
                        &place.name,
                        "the parameters are",
                        names,
                    )));
                }
            }
        }
        for (index, parameter) in
            endpoint.parameters.iter().enumerate().filter(|(index, _)| !order.contains(index))
        {
            let message = format!("the SELECT does not use :{}", endpoint.parameters[index].name);
            problems.push(
                Problem::new("endpoint.parameter.unused", parameter.span, message)
                    .help("use it, or take it away"),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let select = with_parameters(&endpoint.select.text, &query.parameters, |name| {
            let number = place_of(name)
                .and_then(|place| order.iter().position(|other| *other == place))
                .unwrap_or_default();
            let sql_type = place_of(name).map_or_else(String::new, |place| {
                endpoint.parameters[place].column_type.to_string()
            });
            format!("(${}::text::{sql_type})", number + 1)
        });
        let select = select.trim().trim_end_matches(';').to_owned();
        // PostgreSQL writes the JSON, so that a NUMERIC keeps its digits. The line break ends a
        // comment.
        let statement = match endpoint.shape {
            Shape::Rows => format!(
                "SELECT coalesce(json_agg(row_to_json(duto_row)), '[]')::text FROM (\n{select}\n) \
                    duto_row"
            ),
            Shape::Row => {
                format!("SELECT row_to_json(duto_row)::text FROM (\n{select}\n) duto_row LIMIT 1")
            }
        };
        let (tables, reads_clock, columns) = (reads.tables, reads.clock, query.columns.clone());
        Ok(Self {
            endpoint: endpoint.clone(),
            select,
            statement,
            columns,
            order,
            tables,
            reads_clock,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::parse;

    const ECOMMERCE: &str = include_str!("../../../../pipelines/ecommerce/pipeline.yaml");

    /// A commit renews the endpoints whose tables it touched.
    #[test]
    fn a_window_depends_on_its_rollups_table() {
        let pipeline = parse("pipeline.yaml", ECOMMERCE, &|_| None).expect("a good file");
        let queries = Queries::plan(&pipeline).expect("good queries");
        for (path, tables) in [
            ("/api/metrics/event-types", vec!["events"]),
            ("/api/metrics/realtime", vec!["events", "transactions"]),
            ("/api/metrics/summary", vec!["events", "products", "transactions"]),
        ] {
            let query =
                queries.endpoints.iter().find(|query| query.endpoint.path == path).expect(path);
            assert_eq!(
                query.tables.iter().map(String::as_str).collect::<Vec<_>>(),
                tables,
                "{path}"
            );
            assert!(query.reads_clock, "{path}");
        }
    }
}
