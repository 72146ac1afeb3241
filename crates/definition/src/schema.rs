//! The JSON Schema (2020-12) of the pipeline file, from the same tables by which the file is read.

use serde_json::{Map, Value as Json, json};

use super::column_type::names;
use super::keys::{Key, Keys, Presence, Value};
use super::parse::FILE_KEYS;
use super::record::record_definitions;

/// The schema that `duto schema` prints, so that editors complete and check a file while it is
/// written.
pub fn json_schema() -> Json {
    let mut schema = keys_schema(&FILE_KEYS);
    let definitions: Map<String, Json> =
        record_definitions().into_iter().map(|(name, schema)| (name.to_string(), schema)).collect();
    let mut whole = Map::new();
    whole.insert("$schema".to_string(), json!("https://json-schema.org/draft/2020-12/schema"));
    whole.insert("title".to_string(), json!("duto pipeline"));
    whole.insert(
        "description".to_string(),
        json!(format!(
            "A pipeline of duto. Types are PostgreSQL's: {}.",
            names::names().collect::<Vec<_>>().join(", ")
        )),
    );
    if let Some(object) = schema.as_object_mut() {
        whole.append(object);
    }
    whole.insert("$defs".to_string(), Json::Object(definitions));
    Json::Object(whole)
}

/// A mapping of these keys and no others.
pub(super) fn keys_schema(keys: &Keys) -> Json {
    let properties: Map<String, Json> =
        keys.keys.iter().map(|key| (key.name.to_string(), key_schema(key))).collect();
    let is_required = |key: &&Key| matches!(key.presence, Presence::Required);
    let required: Vec<_> = keys.keys.iter().filter(is_required).map(|key| key.name).collect();
    let mut schema =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key_schema(key: &Key) -> Json {
    let mut schema = value_schema(&key.value);
    schema["description"] = json!(key.about);
    if let Presence::Default(default) = key.presence {
        schema["default"] = match key.value {
            Value::Boolean
            | Value::Integer { .. }
            | Value::Number
            | Value::PositiveNumber { .. }
            | Value::IntegerOr { .. } => default.parse().unwrap_or_else(|_| json!(default)),
            _ => json!(default),
        };
    }
    schema
}

fn value_schema(value: &Value) -> Json {
    match value {
        Value::Text | Value::Secret => json!({ "type": ["string", "number", "boolean", "null"] }),
        Value::Boolean => or_variable(&json!({ "type": "boolean" })),
        Value::Integer { minimum, maximum } => {
            or_variable(&json!({ "type": "integer", "minimum": minimum, "maximum": maximum }))
        }
        Value::IntegerOr { minimum, maximum, word } => or_variable(
            &json!({ "anyOf": [{ "type": "integer", "minimum": minimum, "maximum": maximum }, { "const": word }] }),
        ),
        Value::Number => or_variable(&json!({ "type": "number" })),
        Value::PositiveNumber { maximum } => {
            or_variable(&json!({ "type": "number", "exclusiveMinimum": 0, "maximum": maximum }))
        }
        Value::Bytes { .. } => {
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+ \
                ?([kKMG]i?B|B)?$|\\$\\{" }] })
        }
        Value::Duration { .. } => {
            json!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$|\\$\\{" })
        }
        Value::Word(words) => or_variable(&json!({ "enum": words })),
        Value::Sql => json!({ "type": "string", "minLength": 1 }),
        Value::Keys(keys) => keys_schema(keys),
        Value::Other(schema) => schema(),
    }
}

/// A value that may also be a text with `${NAME}` in it.
fn or_variable(schema: &Json) -> Json {
    json!({ "anyOf": [schema, { "type": "string", "pattern": "\\$\\{" }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use crate::values::to_json;
    use crate::walk::Walk;
    use crate::yaml::tree;

    const SALES: &str = include_str!("../../../pipelines/sales/pipeline.yaml");

    /// As much of JSON Schema as ours uses; answers the path of what does not fit.
    fn misfit(root: &Json, schema: &Json, value: &Json, path: &str) -> Option<String> {
        let Json::Object(rules) = schema else {
            return (schema == &json!(false)).then(|| path.to_string());
        };
        rules
            .iter()
            .find_map(|(rule, wanted)| rule_misfit(root, rules, (rule, wanted), value, path))
    }

    fn rule_misfit(
        root: &Json,
        rules: &Map<String, Json>,
        (rule, wanted): (&str, &Json),
        value: &Json,
        path: &str,
    ) -> Option<String> {
        let fail = |holds: bool| (!holds).then(|| format!("{path} ({rule})"));
        let list = || wanted.as_array().expect("a list");
        let fits = |schema: &Json| misfit(root, schema, value, path).is_none();
        let number = value.as_f64();
        match rule {
            "type" if wanted.is_array() => fail(list().iter().any(|one| is_type(value, one))),
            "type" => fail(is_type(value, wanted)),
            "enum" => fail(list().contains(value)),
            "const" => fail(value == wanted),
            "pattern" => fail(
                value
                    .as_str()
                    .is_none_or(|text| matches_pattern(wanted.as_str().expect("a pattern"), text)),
            ),
            "minimum" => {
                fail(number.is_none_or(|number| number >= wanted.as_f64().expect("a number")))
            }
            "maximum" => {
                fail(number.is_none_or(|number| number <= wanted.as_f64().expect("a number")))
            }
            "exclusiveMinimum" => {
                fail(number.is_none_or(|number| number > wanted.as_f64().expect("a number")))
            }
            "minItems" => fail(
                value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= wanted.as_u64().expect("a count")),
            ),
            "maxItems" => fail(
                value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 <= wanted.as_u64().expect("a count")),
            ),
            "minLength" => fail(
                value
                    .as_str()
                    .is_none_or(|text| text.len() as u64 >= wanted.as_u64().expect("a count")),
            ),
            "maxLength" => fail(
                value
                    .as_str()
                    .is_none_or(|text| text.len() as u64 <= wanted.as_u64().expect("a count")),
            ),
            "minProperties" => fail(
                value
                    .as_object()
                    .is_none_or(|object| object.len() as u64 >= wanted.as_u64().expect("a count")),
            ),
            "required" => fail(value.as_object().is_none_or(|object| {
                list().iter().all(|key| object.contains_key(key.as_str().expect("a key")))
            })),
            "anyOf" => fail(list().iter().any(fits)),
            "oneOf" => fail(list().iter().filter(|schema| fits(schema)).count() == 1),
            "allOf" => fail(list().iter().all(fits)),
            "not" => fail(!fits(wanted)),
            "$ref" => {
                let name = wanted
                    .as_str()
                    .and_then(|name| name.strip_prefix("#/$defs/"))
                    .expect("a definition");
                misfit(root, root["$defs"].get(name).expect(name), value, path)
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .find_map(|item| misfit(root, wanted, item, &format!("{path}[]"))),
            "properties" | "patternProperties" | "additionalProperties" => {
                let keys = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(key, _)| rule_of(rules, key) == rule);
                keys.into_iter().find_map(|(key, inner)| {
                    let schema = match rule {
                        "properties" => wanted.get(key),
                        "patternProperties" => {
                            wanted.as_object().and_then(|patterns| patterns.values().next())
                        }
                        _ => Some(wanted),
                    };
                    misfit(root, schema.expect(key), inner, &format!("{path}.{key}"))
                })
            }
            "description" | "default" | "title" | "$schema" | "$defs" => None,
            _ => panic!("the test does not know the rule {rule}"),
        }
    }

    /// Which of the three rules for properties speaks of a key.
    fn rule_of(rules: &Map<String, Json>, key: &str) -> &'static str {
        let named = rules.get("properties").is_some_and(|properties| properties.get(key).is_some());
        let pattern =
            rules.get("patternProperties").and_then(Json::as_object).into_iter().flatten();
        match (named, pattern.into_iter().any(|(pattern, _)| matches_pattern(pattern, key))) {
            (true, _) => "properties",
            (false, true) => "patternProperties",
            (false, false) => "additionalProperties",
        }
    }

    fn is_type(value: &Json, name: &Json) -> bool {
        match name.as_str().expect("a type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("{other}"),
        }
    }

    /// Our patterns by hand, for there is no engine here.
    fn matches_pattern(pattern: &str, text: &str) -> bool {
        let unit = |units: &[&str]| {
            units.iter().any(|unit| {
                text.strip_suffix(unit)
                    .is_some_and(|digits| digits.trim_end().parse::<u64>().is_ok())
            })
        };
        let variable = pattern.contains("\\$\\{") && text.contains("${");
        variable
            || match pattern.split('|').next().unwrap_or_default() {
                "^(POST" => text.starts_with("POST /") || text.starts_with("PUT /"),
                "^[A-Za-z0-9_][A-Za-z0-9_.-]*$" => {
                    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
                }
                ":[0-9]+$" => {
                    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u32>().is_ok())
                }
                "^[0-9]+ ?(ms" => unit(&["ms", "s", "m", "h", "d"]),
                "^[0-9]+ ?([kKMG]i?B" => unit(&["KiB", "MiB", "GiB", "kB", "MB", "GB", "B", ""]),
                "^[0-9]{1,3} ?%$" => text
                    .strip_suffix('%')
                    .is_some_and(|digits| digits.trim_end().parse::<u8>().is_ok()),
                "\\$\\{" => false,
                other => panic!("the test does not know the pattern {other}"),
            }
    }

    /// A file as an editor sees it: variables are not filled in.
    fn as_json(text: &str) -> Json {
        let literal = text.replace("${", "$${");
        let (root, problems) = tree(&literal, &|_| None);
        assert!(problems.is_empty(), "{problems:?}");
        let walk = Walk::new(&literal);
        to_json(&walk, &root.expect("a file")).expect("a value")
    }

    #[test]
    fn the_schema_takes_good_files() {
        let schema = json_schema();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../stages/tests/golden/definition");
        let mut files = vec![SALES.to_string()];
        for name in ["good_everything", "good_smallest", "good_only_a_url", "good_json"] {
            files.push(std::fs::read_to_string(format!("{folder}/{name}.yaml")).expect(name));
        }
        for file in files {
            assert_eq!(misfit(&schema, &schema, &as_json(&file), "file"), None, "{file}");
        }
    }

    #[test]
    fn the_schema_refuses_what_the_walk_refuses() {
        let schema = json_schema();
        for (good, bad) in [
            ("topic: sales\n", "topc: sales\n"),
            ("pipeline: sales\n", ""),
            ("repeat: ignore", "repeat: sometimes"),
            ("rate: 2", "rate: 0"),
            ("POST /orders: {}", "GET /orders: {}"),
            ("workers: \"${WORKERS:-2}\"", "workers: 0"),
            ("minimum: 0, generate: { between: [1, 5] }", "min: 0"),
            ("type: LIST\n", "type: LISTE\n"),
            ("- given: { wrong_field: no_order_number }\n", "- other: {}\n"),
            ("partitions: \"${PARTITIONS:-4}\"", "retention: 7 days"),
            ("stage: transform", "stage: transforming"),
        ] {
            assert!(SALES.contains(good), "{good}");
            let text = SALES.replacen(good, bad, 1);
            assert!(parse("x.yaml", &text, &|_| None).is_err(), "the walk takes {bad}");
            assert!(
                misfit(&schema, &schema, &as_json(&text), "file").is_some(),
                "the schema takes {bad}"
            );
        }
    }

    #[test]
    fn every_key_says_what_it_is_and_every_default_is_a_good_value() {
        fn visit(schema: &Json, path: &str) {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                assert!(
                    inner["description"].as_str().is_some_and(|about| about.len() > 5),
                    "{path}"
                );
                visit(inner, &path);
                if let Some(default) = inner.get("default") {
                    assert_eq!(misfit(inner, inner, default, &path), None);
                }
            }
        }
        visit(&json_schema(), "file");
    }
}
