//! `endpoints:`, answers of SQL over HTTP.

mod parameter;

use serde_json::{Value as Json, json};

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::schema::keys_schema;
use super::walk::{Fields, Walk, sql};
use super::yaml::Entry;
use super::{Pipeline, Problem, Span, SqlText};
pub use parameter::Parameter;

/// An endpoint that answers with what a SELECT finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// `/api/packages/{id}`: a name in braces is a parameter.
    pub path: String,
    pub description: Option<String>,
    pub parameters: Vec<Parameter>,
    pub shape: Shape,
    /// PostgreSQL's SQL; `:name` is a parameter.
    pub select: SqlText,
    pub span: Span,
}

/// What the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One object.
    Row,
    /// A bare array of objects.
    Rows,
}

impl Endpoint {
    /// The names in braces.
    pub fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// Paths that the server answers itself.
const TAKEN: [&str; 6] = ["/health", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "endpoints",
        about: "answers of SQL over HTTP, each `GET /path:` with `row:` or `rows:`",
        presence: Presence::Optional,
        value: Value::Other(schema),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "an endpoint",
    keys: &[
        Key {
            name: "description",
            about: "what it answers, for its documentation",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "parameters",
            about: "each a name and its type and rules; in the SQL it is :name, in the path \
                {name}, else a query parameter",
            presence: Presence::Optional,
            value: Value::Other(parameter::schema),
        },
        Key {
            name: "row",
            about: "a SELECT whose first row is the answer, an object",
            presence: Presence::Optional,
            value: Value::Sql,
        },
        Key {
            name: "rows",
            about: "a SELECT whose rows are the answer, a bare array",
            presence: Presence::Optional,
            value: Value::Sql,
        },
    ],
    later: &[],
    note: "",
};

fn schema() -> Json {
    json!({ "type": "object", "patternProperties": { "^GET \
        /": keys_schema(&KEYS) }, "additionalProperties": false })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries = file
        .value("endpoints")
        .and_then(|node| walk.entries("endpoints", node))
        .unwrap_or_default();
    for entry in entries {
        let Some(endpoint) = read_endpoint(walk, entry) else { continue };
        if pipeline.endpoints.iter().any(|other| shape_of(&other.path) == shape_of(&endpoint.path))
        {
            let message = format!("the endpoint GET {} stands twice", endpoint.path);
            walk.report(Problem::new("endpoint.duplicate", entry.key_span, message));
        }
        if endpoint.path == "/" && file.value("dashboard").is_some() {
            let problem =
                Problem::new("endpoint.path", entry.key_span, "the path / is the dashboard's");
            walk.report(problem.help("give the endpoint another path, or take the dashboard away"));
        }
        pipeline.endpoints.push(endpoint);
    }
}

/// Two paths that differ only in their parameters' names are one.
fn shape_of(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn read_endpoint(walk: &Walk<'_>, entry: &Entry) -> Option<Endpoint> {
    let fields =
        walk.fields(&format!("endpoints.{}", entry.key), &KEYS, &entry.value, entry.key_span)?;
    let path = match path_of(&entry.key) {
        Ok(path) => path,
        Err((message, help)) => {
            walk.report(Problem::new("endpoint.path", entry.key_span, message).help(help));
            return None;
        }
    };
    let parameters = parameter::read(&fields);
    let (row, rows) = (fields.entry("row"), fields.entry("rows"));
    let (shape, select) = match (row, rows) {
        (Some(row), None) => (Shape::Row, sql(walk, &fields.named("row"), row)?),
        (None, Some(rows)) => (Shape::Rows, sql(walk, &fields.named("rows"), rows)?),
        (None, None) => {
            let problem = Problem::new(
                "endpoint.select",
                entry.key_span,
                format!("the endpoint {} has no SELECT", entry.key),
            );
            walk.report(problem.help("`row:` answers one object, `rows:` an array of them"));
            return None;
        }
        (Some(_), Some(rows)) => {
            walk.report(Problem::new(
                "endpoint.select",
                rows.key_span,
                "an endpoint has row or rows, not both",
            ));
            return None;
        }
    };
    let endpoint = Endpoint {
        path,
        description: fields.text("description"),
        parameters,
        shape,
        select,
        span: entry.key_span,
    };
    for name in endpoint.path_parameters() {
        match endpoint.parameters.iter().find(|parameter| parameter.name == name) {
            None => {
                let problem = Problem::new(
                    "endpoint.parameter.missing",
                    entry.key_span,
                    format!("{{{name}}} of the path is not declared"),
                );
                walk.report(problem.help(format!("parameters: {{ {name}: {{ type: TEXT }} }}")));
            }
            Some(parameter) if parameter.default.is_some() => {
                let problem = Problem::new(
                    "endpoint.parameter.default",
                    parameter.span,
                    format!("{name} stands in the path, so it is always given"),
                );
                walk.report(problem.help("take its default away"));
            }
            Some(_) => {}
        }
    }
    Some(endpoint)
}

fn path_of(key: &str) -> Result<String, (String, String)> {
    let example =
        || "an endpoint is a method and a path, such as `GET /api/metrics/summary`".to_owned();
    let Some((method, path)) = key.split_once(' ') else {
        return Err((format!("\"{key}\" is not an endpoint"), example()));
    };
    let path = path.trim();
    if method != "GET" {
        return Err((
            format!("\"{method}\" is not a method that answers"),
            "endpoints answer GET; records are taken by `ingest:`".to_owned(),
        ));
    }
    let is_plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    let is_part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}'))
    {
        Some(name) => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        None => is_plain(part),
    };
    if !path.starts_with('/') || (path.len() > 1 && !path[1..].split('/').all(is_part)) {
        return Err((format!("\"{path}\" is not a path"), example()));
    }
    if TAKEN.contains(&path) || path.starts_with("/duto/") || path == "/duto" {
        return Err((
            format!("the path {path} belongs to duto itself"),
            format!("taken are /duto/..., {}", TAKEN.join(", ")),
        ));
    }
    Ok(path.to_owned())
}
