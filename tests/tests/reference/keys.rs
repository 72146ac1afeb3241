//! The sections of a pipeline file and their keys, from the JSON Schema, which is made of the
//! tables by which a file is read.

use serde_json::Value as Json;

pub fn written(schema: &Json) -> String {
    let mut text = "## Sections and keys\n\n".to_owned();
    if let Some(types) = schema["description"].as_str() {
        text.push_str(&format!(
            "{types}\n\n`NAME` stands for a name of your own, `[]` for each element of a list. \
                Bold keys are required.\n\n"
        ));
    }
    let sections: Vec<(&String, &Json)> =
        schema["properties"].as_object().into_iter().flatten().collect();
    for (name, section) in sections {
        text.push_str(&format!("### {name}\n\n{}.\n", sentence(about(section))));
        let mut rows = Vec::new();
        describe(schema, resolved(schema, section), "", 0, &mut rows);
        if !rows.is_empty() {
            text.push_str("\n| key | value | default | what it is |\n| --- | --- | --- | --- |\n");
            rows.iter().for_each(|row| text.push_str(&format!("{row}\n")));
        }
        text.push('\n');
    }
    text
}

/// A row for each key of a mapping, those of inner mappings behind it. A field of a record may hold
/// others: they are described once.
fn describe(schema: &Json, node: &Json, path: &str, depth: usize, rows: &mut Vec<String>) {
    let join =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let required: Vec<&str> =
        node["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        let (key, resolved) = (join(name), resolved(schema, inner));
        let shown = if required.contains(&name.as_str()) {
            format!("**`{key}`**")
        } else {
            format!("`{key}`")
        };
        let default = inner.get("default").map(plain).filter(|default| !default.is_empty());
        let default = default.map_or_else(String::new, |default| format!("`{default}`"));
        rows.push(format!("| {shown} | {} | {default} | {} |", kind(resolved), cell(about(inner))));
        if depth < 3 {
            describe(schema, resolved, &key, depth + 1, rows);
        }
    }
    for named in [&node["additionalProperties"]]
        .into_iter()
        .chain(node["patternProperties"].as_object().into_iter().flat_map(|all| all.values()))
    {
        if named.is_object() && depth < 3 {
            let of = resolved(schema, named);
            describe(schema, of, &join("NAME"), depth + 1, rows);
            // A value that may be a word or a mapping.
            let mappings = of["anyOf"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|one| one["properties"].is_object());
            mappings.for_each(|one| describe(schema, one, &join("NAME"), depth + 2, rows));
        }
    }
    if node["items"]["properties"].is_object() && depth < 3 {
        describe(schema, &node["items"], &format!("{path}[]"), depth + 1, rows);
    }
}

fn resolved<'s>(schema: &'s Json, node: &'s Json) -> &'s Json {
    let name = node["$ref"].as_str().and_then(|place| place.strip_prefix("#/$defs/"));
    name.map_or(node, |name| &schema["$defs"][name])
}

/// What may stand behind a key, in a few words. Where a variable may stand its pattern is left out.
fn kind(node: &Json) -> String {
    let is_variable = |one: &Json| one["pattern"] == "\\$\\{";
    if let Some(choices) = node["anyOf"].as_array().or(node["oneOf"].as_array()) {
        let kinds: Vec<String> = choices.iter().filter(|one| !is_variable(one)).map(kind).collect();
        let is_size = kinds.iter().any(|kind| kind == "size");
        return if is_size { "size".to_owned() } else { kinds.join(" or ") };
    }
    if let Some(words) = node["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", plain(word)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(word) = node.get("const") {
        return format!("`{}`", plain(word));
    }
    let bounds = |low: &Json, high: &Json| match (low.is_null(), high.is_null()) {
        (false, false) => format!(", {low} to {high}"),
        (false, true) => format!(", {low} or more"),
        (true, false) => format!(", at most {high}"),
        (true, true) => String::new(),
    };
    match (&node["type"], node["pattern"].as_str()) {
        (_, Some(pattern)) if pattern.contains("(ms|s|m|h|d)") => "duration".to_owned(),
        (_, Some(pattern)) if pattern.contains("[kKMG]") => "size".to_owned(),
        (Json::String(one), _) if one == "string" => "text".to_owned(),
        (Json::String(one), _) if one == "integer" => {
            format!("integer{}", bounds(&node["minimum"], &node["maximum"]))
        }
        (Json::String(one), _) if one == "number" => {
            format!("number{}", bounds(&Json::Null, &node["maximum"]))
        }
        (Json::String(one), _) if one == "array" => "list".to_owned(),
        (Json::String(one), _) if one == "object" => "mapping".to_owned(),
        (Json::String(one), _) => one.clone(),
        (Json::Array(_), _) => "text".to_owned(),
        _ => "any value".to_owned(),
    }
}

fn about(node: &Json) -> &str {
    node["description"].as_str().unwrap_or_default()
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
