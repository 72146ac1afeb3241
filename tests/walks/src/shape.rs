//! The declared record, as the model reads it, and the columns in which PostgreSQL gets one.

use serde_json::Value as Json;

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub required: bool,
    pub kind: Kind,
    pub rules: Rules,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// PostgreSQL's name of the type, in capitals.
    Scalar(String),
    Object(Vec<Field>),
    List(Box<Field>),
}

#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub minimum: Option<String>,
    pub maximum: Option<String>,
    pub allowed: Vec<String>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub coerce: bool,
}

/// A column of the oracle's record: a path such as `product.id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub path: String,
    pub sql_type: String,
}

/// The fields of a `record:` section, or of an object in it.
pub fn fields(declared: &Json) -> Vec<Field> {
    let entries = declared.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| {
            let (kind, rules) = value_of(value);
            Field {
                name: key.trim_end_matches('?').to_owned(),
                required: !key.ends_with('?'),
                kind,
                rules,
            }
        })
        .collect()
}

fn value_of(declared: &Json) -> (Kind, Rules) {
    let element = |declared: &Json| {
        let (kind, rules) = value_of(declared);
        Kind::List(Box::new(Field { name: "item".to_owned(), required: true, kind, rules }))
    };
    match declared {
        Json::String(name) => (Kind::Scalar(name.to_uppercase()), Rules::default()),
        Json::Array(items) => (element(items.first().unwrap_or(&Json::Null)), Rules::default()),
        _ => match declared["type"].as_str().map(str::to_uppercase).as_deref() {
            None => (Kind::Object(fields(declared)), Rules::default()),
            Some("LIST") => (element(&declared["items"]), rules_of(declared)),
            Some("OBJECT") => (Kind::Object(fields(&declared["fields"])), rules_of(declared)),
            Some(name) => (Kind::Scalar(name.to_owned()), rules_of(declared)),
        },
    }
}

fn rules_of(declared: &Json) -> Rules {
    let number = |name: &str| match &declared[name] {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let count = |name: &str| declared[name].as_u64().map(|count| count as usize);
    Rules {
        minimum: number("minimum"),
        maximum: number("maximum"),
        allowed: declared["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        min_length: count("min_length"),
        max_length: count("max_length"),
        coerce: declared["coerce"].as_bool().unwrap_or_default(),
    }
}

/// The columns of the fields, and the composite types that lists of objects need, as SQL.
pub fn columns(fields: &[Field]) -> (Vec<Column>, Vec<String>) {
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    flatten(fields, "", &mut columns, &mut types);
    (columns, types)
}

fn flatten(fields: &[Field], above: &str, columns: &mut Vec<Column>, types: &mut Vec<String>) {
    for field in fields {
        let path = format!("{above}{}", field.name);
        match &field.kind {
            Kind::Scalar(name) => columns.push(Column { path, sql_type: name.clone() }),
            Kind::Object(inner) => flatten(inner, &format!("{path}."), columns, types),
            Kind::List(element) => {
                let sql_type = match &element.kind {
                    Kind::Scalar(name) => format!("{name}[]"),
                    _ => {
                        let name = element_type(&path);
                        let inner: Vec<String> =
                            element_fields(element).iter().map(attribute).collect();
                        types.push(format!("CREATE TYPE model.{name} AS ({})", inner.join(", ")));
                        format!("model.{name}[]")
                    }
                };
                columns.push(Column { path, sql_type });
            }
        }
    }
}

fn attribute(field: &Field) -> String {
    match &field.kind {
        Kind::Scalar(name) => format!("\"{}\" {name}", field.name),
        Kind::Object(_) | Kind::List(_) => format!("\"{}\" JSONB", field.name),
    }
}

/// The fields of a list's element that is an object.
pub fn element_fields(element: &Field) -> &[Field] {
    match &element.kind {
        Kind::Object(fields) => fields,
        Kind::Scalar(_) | Kind::List(_) => &[],
    }
}

pub fn element_type(path: &str) -> String {
    format!("element_{}", path.replace('.', "_"))
}
