//! `/openapi.json`: the HTTP side of a pipeline as OpenAPI 3.1, made from the file.

pub mod ingest; // endpoints that take records
mod security; // what a caller has to bring

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use tokio_postgres::types::Type;

use super::Served;
use super::routes::Routes;
use duto_definition::Role;
use duto_definition::column_type::{ValueKind, digits_of};
use duto_definition::{
    ColumnType, Endpoint, Field, Kind, Parameter, Pipeline, Shape, TextCleaning,
};
use duto_stages::Stages;

/// The columns of each endpoint's SELECT, as far as the database could be asked.
pub type Columns = HashMap<String, Vec<(String, Type)>>;

pub fn routes() -> Routes<Arc<Served>> {
    Routes::new().get(Role::Read, "/openapi.json", serve)
}

async fn serve(State(served): State<Arc<Served>>) -> Json<Value> {
    Json(document(&served.pipeline, &served.stages, &ask(&served).await))
}

/// Prepares every SELECT; an endpoint that cannot be prepared has no columns here, and answers why
/// itself.
async fn ask(served: &Served) -> Columns {
    let mut columns = Columns::new();
    let Ok(connection) = served.readers.get().await else { return columns };
    for query in &served.stages.queries().endpoints {
        if let Ok(statement) = connection.prepared(&query.select).await {
            let of_statement = statement
                .columns()
                .iter()
                .map(|column| (column.name().to_owned(), column.type_().clone()))
                .collect();
            columns.insert(query.endpoint.path.clone(), of_statement);
        }
    }
    columns
}

/// The whole document.
pub fn document(pipeline: &Pipeline, stages: &Stages, columns: &Columns) -> Value {
    let mut paths = Map::new();
    for endpoint in &pipeline.endpoints {
        let mut operation = answers(endpoint, columns.get(&endpoint.path));
        security::describe(pipeline, Role::Read, &mut operation);
        paths.insert(endpoint.path.clone(), json!({ "get": operation }));
    }
    for endpoint in &pipeline.ingest {
        let item = paths.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        let mut operation =
            ingest::takes(pipeline, endpoint, stages.answer_type(endpoint).as_ref());
        security::describe(pipeline, Role::Ingest, &mut operation);
        item[endpoint.method.to_lowercase()] = operation;
    }
    let mut health = health();
    security::describe(pipeline, Role::Read, &mut health);
    paths.insert("/health".into(), json!({ "get": health }));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": pipeline.name, "version": env!("CARGO_PKG_VERSION"), "description": format!("The HTTP side of the pipeline {}.", pipeline.name) },
        "paths": paths,
        "components": { "schemas": {
            "Record": object_schema(&pipeline.record.fields, &pipeline.text),
            "Error": { "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } },
            "Problems": {
                "type": "object", "required": ["error", "problems"],
                "properties": { "error": { "type": "string" }, "problems": { "type": "array", "items": {
                    "type": "object", "required": ["path", "reason"],
                    "properties": { "path": { "type": "string" }, "reason": { "type": "string" }, "rule": { "type": "string" } },
                } } },
            },
        } },
    });
    if let Some(schemes) = security::schemes(pipeline) {
        document["components"]["securitySchemes"] = schemes;
    }
    document
}

fn of(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn body(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn answers(endpoint: &Endpoint, columns: Option<&Vec<(String, Type)>>) -> Value {
    let row = columns.map_or_else(|| json!({ "type": "object" }), |columns| row_schema(columns));
    let answer =
        if endpoint.shape == Shape::Row { row } else { json!({ "type": "array", "items": row }) };
    let in_path: Vec<&str> = endpoint.path_parameters().collect();
    let parameters: Vec<Value> =
        endpoint.parameters.iter().map(|parameter| parameter_of(parameter, &in_path)).collect();
    let mut operation = json!({
        "operationId": operation_id("get", &endpoint.path),
        "parameters": parameters,
        "responses": {
            "200": body("What the tables say", &answer),
            "304": { "description": "As it was: the ETag is the one that was sent" },
            "500": body("The database could not answer", &of("Error")),
        },
    });
    if let Some(description) = &endpoint.description {
        operation["description"] = json!(description);
    }
    if !endpoint.parameters.is_empty() {
        operation["responses"]["422"] =
            body("A parameter is not what is declared", &of("Problems"));
    }
    if endpoint.shape == Shape::Row {
        operation["responses"]["404"] = body("There is no such row", &of("Error"));
    }
    operation
}

fn operation_id(method: &str, path: &str) -> String {
    let words =
        path.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn parameter_of(parameter: &Parameter, in_path: &[&str]) -> Value {
    let place = if in_path.contains(&parameter.name.as_str()) { "path" } else { "query" };
    let mut schema = scalar_schema(parameter.column_type);
    if !parameter.allowed.is_empty() {
        schema["enum"] = json!(parameter.allowed);
    }
    if let Some(minimum) = parameter.minimum {
        schema["minimum"] = json!(minimum);
    }
    if let Some(maximum) = parameter.maximum {
        schema["maximum"] = json!(maximum);
    }
    if schema["type"] == "string" && schema.get("format").is_none() {
        schema["maxLength"] = json!(parameter.max_length);
    }
    if let Some(default) = &parameter.default {
        schema["default"] = if schema["type"] == "string" {
            json!(default)
        } else {
            serde_json::from_str(default).unwrap_or_else(|_| json!(default))
        };
    }
    json!({ "name": parameter.name, "in": place, "required": parameter.default.is_none(), "schema": schema })
}

fn health() -> Value {
    let schema = json!({ "type": "object", "required": ["status", "timestamp"], "properties": {
        "status": { "type": "string", "enum": ["healthy", "degraded", "unhealthy"] }, "timestamp": { "type": "string", "format": "date-time" }, "error": { "type": "string" },
        "problems": { "type": "array", "items": { "type": "string" } },
    } });
    json!({ "operationId": "health", "responses": { "200": body("Records are stored; what is \
        degraded is named", &schema), "500": body("Records are not stored", &schema) } })
}

fn row_schema(columns: &[(String, Type)]) -> Value {
    let properties: Map<String, Value> = columns
        .iter()
        .map(|(name, column_type)| (name.clone(), answer_schema(column_type)))
        .collect();
    let names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

/// Any column of an answer may be NULL.
fn answer_schema(column_type: &Type) -> Value {
    match *column_type {
        Type::INT2 | Type::INT4 | Type::INT8 => json!({ "type": ["integer", "null"] }),
        Type::NUMERIC | Type::FLOAT4 | Type::FLOAT8 => json!({ "type": ["number", "null"] }),
        Type::BOOL => json!({ "type": ["boolean", "null"] }),
        Type::JSON | Type::JSONB => json!({}),
        Type::DATE => json!({ "type": ["string", "null"], "format": "date" }),
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::UUID
        | Type::TIME
        | Type::TIMESTAMP
        | Type::TIMESTAMPTZ
        | Type::INTERVAL => {
            json!({ "type": ["string", "null"] })
        }
        _ => json!({}),
    }
}

fn object_schema(fields: &[Field], cleaning: &TextCleaning) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.clone(), field_schema(field, cleaning))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field_schema(field: &Field, cleaning: &TextCleaning) -> Value {
    let rules = &field.rules;
    let mut schema = match &field.kind {
        Kind::Scalar(column_type) => scalar_schema(*column_type),
        Kind::Object(fields) => object_schema(fields, cleaning),
        Kind::List(element) => json!({ "type": "array", "items": field_schema(element, cleaning) }),
    };
    let number = |text: &Option<String>| {
        text.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    for (name, value) in [
        ("minimum", number(&rules.minimum)),
        ("maximum", number(&rules.maximum)),
        ("example", rules.example.clone()),
    ] {
        if let Some(value) = value {
            schema[name] = value;
        }
    }
    let (least, most) = if matches!(field.kind, Kind::List(_)) {
        ("minItems", "maxItems")
    } else {
        ("minLength", "maxLength")
    };
    for (name, value) in [(least, rules.min_length), (most, rules.max_length)] {
        if let Some(value) = value {
            schema[name] = json!(value);
        }
    }
    if least == "minLength" && rules.min_length.is_some_and(|least| least > 0) && cleaning.trim {
        // What is left when white space is taken away.
        schema["pattern"] = json!("[^\\s\\x00\\x85]");
    }
    if !rules.allowed.is_empty() {
        schema["enum"] = json!(rules.allowed);
    }
    if field.required { schema } else { or_null(schema) }
}

/// A field that may be missing may also be null.
fn or_null(mut schema: Value) -> Value {
    if let Some(single) = schema.get("type").filter(|single| single.is_string()).cloned() {
        schema["type"] = json!([single, "null"]);
    }
    if let Some(allowed) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        allowed.push(Value::Null);
    }
    schema
}

/// A NUMERIC of so many digits, of which so many stand behind the point.
fn numeric_schema(precision: u8, scale: i8) -> Value {
    let beyond = 10_f64.powi(i32::from(precision) - i32::from(scale));
    json!({ "type": "number", "exclusiveMinimum": -beyond, "exclusiveMaximum": beyond })
}

fn scalar_schema(column_type: ColumnType) -> Value {
    match column_type.values() {
        ValueKind::Boolean => json!({ "type": "boolean" }),
        ValueKind::SmallInt => {
            json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX })
        }
        ValueKind::Integer => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        ValueKind::BigInt => json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
        ValueKind::Numeric(digits) => {
            let (precision, scale) = digits_of(digits);
            numeric_schema(precision, scale)
        }
        ValueKind::Real | ValueKind::DoublePrecision => json!({ "type": "number" }),
        ValueKind::Date => json!({ "type": "string", "format": "date" }),
        ValueKind::Timestamp | ValueKind::Timestamptz => {
            json!({ "type": "string", "format": "date-time" })
        }
        ValueKind::Formed(form) => (form.schema)(),
        ValueKind::Jsonb => json!({}),
        ValueKind::Bytea => json!({ "type": "string", "contentEncoding": "base64" }),
        ValueKind::Text(Some(characters)) => json!({ "type": "string", "maxLength": characters }),
        ValueKind::Text(None) => json!({ "type": "string" }),
    }
}
