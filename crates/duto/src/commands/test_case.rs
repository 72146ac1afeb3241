//! One example of a pipeline file: the record goes through the stages, what comes out is compared
//! with what is expected.

use arrow::array::{Array, ArrayRef};
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};

use super::pipeline_file::Loaded;
use duto_definition::{ColumnType, Expectation, Given, PipelineTest};
use duto_ground::batch::{Batch, Place};
use duto_stages::prepared::{Prepared, Verdicts};

/// Ok, or a sentence about the first difference.
pub fn run(loaded: &Loaded, test: &PipelineTest) -> Result<(), String> {
    let payload = match &test.given {
        Given::Value(value) => value.to_string().into_bytes(),
        Given::Bytes(bytes) => bytes.clone(),
    };
    let mut batch = Batch::default();
    batch.push(
        Place { partition: 0, offset: 0, leader_epoch: -1, timestamp_ms: -1 },
        None,
        Some(&payload),
        None,
    );
    let (prepared, _) = loaded.stages.prepare(batch, Vec::new(), &Verdicts::default());
    match &test.expect {
        Expectation::Reject { stage, path, reason } => {
            compare_reject(&prepared, stage.as_deref(), path.as_deref(), reason.as_deref())
        }
        Expectation::Rows(tables) => {
            if let Some(reject) = prepared.rejects.first() {
                return Err(format!(
                    "the record is rejected ({}): {}",
                    reject.stage.as_str(),
                    reject.reason
                ));
            }
            tables.iter().try_for_each(|(table, rows)| compare_rows(loaded, &prepared, table, rows))
        }
    }
}

fn compare_reject(
    prepared: &Prepared,
    stage: Option<&str>,
    path: Option<&str>,
    reason: Option<&str>,
) -> Result<(), String> {
    let Some(reject) = prepared.rejects.first() else {
        return Err("a reject is expected, but the record passes".to_owned());
    };
    let found = [
        ("stage", stage, reject.stage.as_str()),
        ("path", path, reject.path.as_str()),
        ("reason", reason, reject.reason.as_str()),
    ];
    for (what, expected, got) in found {
        if let Some(expected) = expected
            && expected != got
        {
            return Err(format!(
                "the reject's {what} is expected to be {expected:?}, it is {got:?} ({})",
                reject.reason
            ));
        }
    }
    Ok(())
}

fn compare_rows(
    loaded: &Loaded,
    prepared: &Prepared,
    table: &str,
    expected: &[Map<String, Value>],
) -> Result<(), String> {
    let Some(index) = loaded.pipeline.tables.iter().position(|known| known.name == table) else {
        return compare_calls(loaded, prepared, table, expected);
    };
    let (rows, written) = (&prepared.tables[index], &loaded.stages.written()[index]);
    if rows.rows.len() != expected.len() {
        return Err(format!(
            "table {table}: {} rows are expected, it is {}",
            expected.len(),
            rows.rows.len()
        ));
    }
    for (row, expected) in rows.rows.iter().zip(expected) {
        for (column, expected) in expected {
            let place = written.iter().position(|index_of| {
                loaded.pipeline.tables[index].columns[*index_of].name == *column
            });
            let Some(place) = place else {
                return Err(format!("table {table}: the pipeline writes no column {column}"));
            };
            let (column_type, array) = &rows.columns[place];
            let got = cell(*column_type, array, row.place())?;
            if !same(*column_type, expected, got.as_deref()) {
                let got = got.unwrap_or_else(|| "null".to_owned());
                return Err(format!(
                    "table {table}: {column} is expected to be {expected}, it is {got}"
                ));
            }
        }
    }
    Ok(())
}

fn compare_calls(
    loaded: &Loaded,
    prepared: &Prepared,
    deliver: &str,
    expected: &[Map<String, Value>],
) -> Result<(), String> {
    let Some(place) = loaded.pipeline.deliver.iter().position(|known| known.name == deliver) else {
        return Err(format!("there is no table and no deliver {deliver}"));
    };
    let made: Vec<&str> = prepared
        .calls
        .iter()
        .filter(|call| call.deliver == place)
        .map(|call| call.body.as_str())
        .collect();
    if made.len() != expected.len() {
        return Err(format!(
            "deliver {deliver}: {} calls are expected, it makes {}",
            expected.len(),
            made.len()
        ));
    }
    for (body, expected) in made.into_iter().zip(expected) {
        let got: Value = serde_json::from_str(body)
            .map_err(|error| format!("deliver {deliver}: the body is not JSON: {error}"))?;
        if let Some(difference) = difference("the body", &Value::Object(expected.clone()), &got) {
            return Err(format!("deliver {deliver}: {difference}"));
        }
    }
    Ok(())
}

/// The first key that is not as expected; keys of which nothing is expected are not compared.
fn difference(path: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            expected.iter().find_map(|(key, expected)| {
                difference(&format!("{path}.{key}"), expected, got.get(key).unwrap_or(&Value::Null))
            })
        }
        (Value::Number(expected), Value::Number(got))
            if plain(&expected.to_string()) == plain(&got.to_string()) =>
        {
            None
        }
        _ if expected == got => None,
        _ => Some(format!("{path} is expected to be {expected}, it is {got}")),
    }
}

/// The cell as PostgreSQL would print it; None is NULL.
fn cell(column_type: ColumnType, array: &ArrayRef, row: usize) -> Result<Option<String>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = array_value_to_string(array, row).map_err(|error| error.to_string())?;
    Ok(Some(if column_type == ColumnType::Bytea { format!("\\x{text}") } else { text }))
}

fn same(column_type: ColumnType, expected: &Value, got: Option<&str>) -> bool {
    match (expected, got) {
        (Value::Null, got) => got.is_none(),
        (_, None) => false,
        (expected, Some(got)) if column_type == ColumnType::Jsonb => {
            serde_json::from_str::<Value>(got).is_ok_and(|got| got == *expected)
        }
        (Value::String(expected), Some(got)) => {
            expected == got
                || moment(expected).is_some_and(|expected| Some(expected) == moment(got))
        }
        (Value::Number(expected), Some(got)) => plain(&expected.to_string()) == plain(got),
        (Value::Bool(expected), Some(got)) => expected.to_string() == got,
        _ => false,
    }
}

/// A number without the zeros that say nothing, so that 200 is 200.00.
fn plain(number: &str) -> &str {
    if number.contains('.') && !number.contains(['e', 'E']) {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// A point in time, however it is written; without a zone it is UTC.
fn moment(text: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let text = text.replacen(' ', "T", 1);
    chrono::DateTime::parse_from_rfc3339(&text)
        .map(|moment| moment.to_utc())
        .or_else(|_| text.parse::<chrono::NaiveDateTime>().map(|moment| moment.and_utc()))
        .ok()
}
