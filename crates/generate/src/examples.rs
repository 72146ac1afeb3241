//! The examples that the file declares, in a record that was made.

use serde_json::Value;

use duto_definition::{Field, Kind};

/// Puts the declared examples in their places, also where the record has no such field.
pub fn put_examples(fields: &[Field], record: &mut Value) {
    let Value::Object(record) = record else { return };
    for field in fields {
        if let Some(example) = &field.rules.example {
            record.insert(field.name.clone(), example.clone());
        } else if let Some(value) = record.get_mut(&field.name) {
            put_inside(field, value);
        }
    }
}

fn put_inside(field: &Field, value: &mut Value) {
    match (&field.rules.example, &field.kind) {
        (Some(example), _) => *value = example.clone(),
        (None, Kind::Object(fields)) => put_examples(fields, value),
        (None, Kind::List(element)) => {
            value.as_array_mut().into_iter().flatten().for_each(|value| put_inside(element, value))
        }
        (None, Kind::Scalar(_)) => {}
    }
}
