//! Endpoints that take records, in the document.

use arrow::datatypes::{DataType, Fields};
use serde_json::{Map, Value, json};

use super::{body, object_schema, of, operation_id};
use duto_definition::{IngestEndpoint, Pipeline, RecordDefinition};
use duto_generate::{Generator, put_examples};

/// The operation of one endpoint; `answer` is the type of what its file says it answers.
pub(super) fn takes(
    pipeline: &Pipeline,
    endpoint: &IngestEndpoint,
    answer: Option<&DataType>,
) -> Value {
    let schema = match &endpoint.record {
        Some(record) => object_schema(&record.fields, &pipeline.text),
        None => of("Record"),
    };
    // Any array is taken: an element that is no record is refused alone, with the status 207.
    let many = json!({ "type": "array", "description": "Records; one that is not what is declared \
        is refused alone", "items": {} });
    let mut content = json!({ "schema": { "oneOf": [schema, many] } });
    if let Some(example) = example(pipeline, endpoint.record.as_ref().unwrap_or(&pipeline.record)) {
        content["example"] = example;
    }
    let accepted = || json!({ "type": "object", "required": ["accepted"], "properties": { "accepted": { "type": "integer" } } });
    let (one, settled) = if endpoint.stored {
        ("stored", "The record is stored")
    } else {
        ("accepted", "The log has the record")
    };
    let count = || json!({ "type": "object", "required": [one], "properties": { one: { "type": "integer" } } });
    let one_answer = answer.map_or_else(count, answer_schema);
    let mut operation = json!({
        "operationId": operation_id(&endpoint.method.to_lowercase(), &endpoint.path),
        "description": endpoint.description.clone().unwrap_or_else(|| described(endpoint)),
        "parameters": [{ "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            "description": if endpoint.stored { "A repeat of the key stores nothing and gets the \
                first answer" } else { "Not looked at" } }],
        "requestBody": { "required": true, "content": {
            "application/json": content,
            "application/x-ndjson": { "schema": { "type": "string" } },
        } },
        "responses": {
            "202": body("Every record of an array is in", &accepted()),
            "207": body("Some records were refused; one result a \
                record", &json!({ "type": "object" })),
            "400": body("The Idempotency-Key is no key", &of("Error")),
            "413": { "description": "The body is too long" },
            "422": body("The record is not what the pipeline declares", &of("Problems")),
            "500": body("The log refused the record", &of("Error")),
            "503": body("Not at the moment: Retry-After says when to come back", &of("Error")),
        },
    });
    let status = endpoint.status.to_string();
    let schema = if endpoint.status == 202 {
        json!({ "anyOf": [one_answer, accepted()] })
    } else {
        one_answer
    };
    operation["responses"][status] = body(settled, &schema);
    operation
}

fn described(endpoint: &IngestEndpoint) -> String {
    let when = if endpoint.stored { "they are stored" } else { "the log has them durably" };
    format!(
        "One record, an array of them, or one a line (application/x-ndjson). It is answered when \
            {when}."
    )
}

/// A plausible record: the generator's, with the declared examples in their places.
pub fn example(pipeline: &Pipeline, record: &RecordDefinition) -> Option<Value> {
    let mut generator =
        Generator::of_record(record, pipeline.text, None, pipeline.source.max_depth, Some(1))
            .ok()?;
    let mut made: Value = serde_json::from_slice(&generator.next_payload()).ok()?;
    put_examples(&record.fields, &mut made);
    Some(made)
}

/// What a value of this type is in JSON. Any value may be null.
fn answer_schema(data_type: &DataType) -> Value {
    match data_type {
        DataType::Struct(fields) => answer_object(fields),
        DataType::List(element) => {
            json!({ "type": ["array", "null"], "items": answer_schema(element.data_type()) })
        }
        DataType::Boolean => json!({ "type": ["boolean", "null"] }),
        DataType::LargeUtf8 | DataType::Null => json!({}),
        integer if integer.is_integer() => json!({ "type": ["integer", "null"] }),
        number if number.is_numeric() => json!({ "type": ["number", "null"] }),
        DataType::Timestamp(_, Some(_)) => {
            json!({ "type": ["string", "null"], "format": "date-time" })
        }
        DataType::Date32 => json!({ "type": ["string", "null"], "format": "date" }),
        _ => json!({ "type": ["string", "null"] }),
    }
}

fn answer_object(fields: &Fields) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name().clone(), answer_schema(field.data_type())))
        .collect();
    let names: Vec<&String> = fields.iter().map(|field| field.name()).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}
