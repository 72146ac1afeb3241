//! Reading `record:`: objects, lists and scalars, as deep as they go.

use serde_json::{Value as Json, json};

use super::rules::{LIST_KEYS, OBJECT_KEYS, SCALAR_KEYS, read_rules};
use super::{Field, Kind, RecordDefinition, Rules};
use crate::column_type::names::{TypeFault, TypeFaultReason, read_type};
use crate::schema::keys_schema;
use crate::walk::{COMMA_HELP, Fields, Walk};
use crate::words::Words;
use crate::yaml::{Content, Entry, Node, Scalar};
use crate::{ColumnType, Pipeline, Problem, Span, SqlText};

/// In SQL a record has `meta` beside its own fields.
const RESERVED_NAME: &str = "meta";
/// Arrow, SQL and people are not made for more.
const MAX_DEPTH: usize = 16;

/// Where in the record a value stands.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub depth: usize,
    pub in_list: bool,
    pub required: bool,
}

pub(super) fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let record = file.value("record").and_then(|node| read_record(file.walk(), "record", node));
    pipeline.record = record.unwrap_or_default();
}

/// A record's declaration, wherever it stands.
pub(crate) fn read_record(walk: &Walk<'_>, title: &str, node: &Node) -> Option<RecordDefinition> {
    let entries = walk.entries(title, node)?;
    let position = Position { depth: 0, in_list: false, required: true };
    let fields = read_fields(walk, title, entries, node.span, position);
    if let Some(meta) = fields.iter().find(|field| field.name == RESERVED_NAME) {
        let problem = Problem::new(
            "record.name.reserved",
            meta.span,
            "a field of the record cannot be named meta",
        );
        walk.report(problem.help(
            "in SQL, meta is the record's place: meta.topic, meta.partition, \
            meta.offset and others",
        ));
    }
    Some(RecordDefinition { fields })
}

fn read_fields(
    walk: &Walk<'_>,
    title: &str,
    entries: &[Entry],
    span: Span,
    position: Position,
) -> Vec<Field> {
    if entries.is_empty() {
        let problem = Problem::new("record.object.empty", span, format!("{title} has no fields"));
        walk.report(problem.help(
            "declare its keys, each with a type; or give it the type JSONB to take it whole",
        ));
    }
    let mut fields: Vec<Field> = Vec::new();
    for entry in entries {
        let (name, required) = match entry.key.strip_suffix('?') {
            Some(name) => (name, false),
            None => (entry.key.as_str(), true),
        };
        if name.is_empty() {
            walk.report(Problem::new("record.name.empty", entry.key_span, "a field has no name"));
        } else if fields.iter().any(|field| field.name == name) {
            let problem = Problem::new(
                "record.field.duplicate",
                entry.key_span,
                format!("the field {name} stands twice in {title}"),
            );
            walk.report(
                problem.help("a field is either required or, with a ? behind its name, optional"),
            );
            continue;
        }
        let inner = Position { required, ..position };
        let (kind, rules) =
            read_value(walk, &format!("{title}.{name}"), &entry.value, entry.key_span, inner);
        fields.push(Field { name: name.to_string(), required, kind, rules, span: entry.key_span });
    }
    fields
}

/// A value's declaration: a type's name, a list that holds its element, a mapping with a `type`, or
/// an object's fields.
fn read_value(
    walk: &Walk<'_>,
    title: &str,
    node: &Node,
    place: Span,
    position: Position,
) -> (Kind, Rules) {
    // What is read after a problem is never used.
    let nothing = (Kind::Scalar(ColumnType::Text), Rules::default());
    if position.depth > MAX_DEPTH {
        walk.report(
            Problem::new(
                "record.depth",
                place,
                format!("{title} nests more than {MAX_DEPTH} deep"),
            )
            .help("take it whole as JSONB"),
        );
        return nothing;
    }
    match &node.content {
        Content::Scalar(scalar) if scalar.broken => nothing,
        Content::Scalar(_) if node.is_unset() => {
            let problem =
                Problem::new("record.type.missing", place, format!("{title} has no type"));
            let advice = if title.ends_with(')') {
                COMMA_HELP
            } else {
                "for example BIGINT, TEXT or NUMERIC"
            };
            walk.report(problem.help(advice));
            nothing
        }
        Content::Scalar(scalar) => read_scalar_type(walk, &scalar.value)
            .map_or(nothing, |scalar| (Kind::Scalar(scalar), Rules::default())),
        Content::List(items) => {
            (read_element(walk, title, items, node.span, position), Rules::default())
        }
        Content::Mapping(entries) => match declared_type(entries) {
            Some((entry, scalar)) => read_typed(walk, title, entries, entry, scalar, position),
            None if !entries.is_empty()
                && entries.iter().all(|entry| SCALAR_KEYS.find(&entry.key).is_some()) =>
            {
                let problem = Problem::new(
                    "record.type.missing",
                    place,
                    format!("{title} has rules but no type"),
                );
                walk.report(problem.help(
                    "add its type, for example type: BIGINT; or say type: \
                    OBJECT and put its fields under fields",
                ));
                nothing
            }
            None => (
                Kind::Object(read_fields(walk, title, entries, place, deeper(position))),
                Rules::default(),
            ),
        },
    }
}

/// `type:` with a scalar behind it. An object's own field of that name is written `type: { type:
/// TEXT }`.
fn declared_type(entries: &[Entry]) -> Option<(&Entry, &Scalar)> {
    let entry = entries.iter().find(|entry| entry.key == "type")?;
    match &entry.value.content {
        Content::Scalar(scalar) => Some((entry, scalar)),
        _ => None,
    }
}

fn read_typed(
    walk: &Walk<'_>,
    title: &str,
    entries: &[Entry],
    entry: &Entry,
    scalar: &Scalar,
    position: Position,
) -> (Kind, Rules) {
    let named = scalar.value.text.to_ascii_uppercase();
    let (keys, kind) = match named.as_str() {
        "LIST" => (&LIST_KEYS, None),
        "OBJECT" => (&OBJECT_KEYS, None),
        _ => (
            &SCALAR_KEYS,
            if scalar.broken {
                None
            } else {
                read_scalar_type(walk, &scalar.value).map(Kind::Scalar)
            },
        ),
    };
    let fields = walk.fields_of(title, keys, entries, entry.key_span);
    if kind.is_none() && !matches!(named.as_str(), "LIST" | "OBJECT") {
        // Whether the rules suit an unknown type cannot be said.
        return (Kind::Scalar(ColumnType::Text), Rules::default());
    }
    let kind = kind.unwrap_or_else(|| match named.as_str() {
        "LIST" => match fields.entry("items") {
            Some(items) => {
                let element = Position { in_list: true, required: true, ..deeper(position) };
                list_of(
                    read_value(walk, &format!("{title}[]"), &items.value, items.key_span, element),
                    items.key_span,
                )
            }
            None => Kind::Scalar(ColumnType::Text),
        },
        _ => {
            let declared = fields.entry("fields");
            let inner = declared
                .and_then(|declared| walk.entries(title, &declared.value))
                .unwrap_or_default();
            match declared {
                Some(declared) => Kind::Object(read_fields(
                    walk,
                    title,
                    inner,
                    declared.key_span,
                    deeper(position),
                )),
                None => Kind::Object(Vec::new()),
            }
        }
    });
    let rules = read_rules(&fields, title, &kind, position);
    (kind, rules)
}

fn read_element(
    walk: &Walk<'_>,
    title: &str,
    items: &[Node],
    span: Span,
    position: Position,
) -> Kind {
    if items.len() != 1 {
        let message =
            format!("{title} must hold one element that stands for all, got {}", items.len());
        let problem = Problem::new("record.list.elements", span, message);
        walk.report(
            problem.help(
                "a list of objects is a YAML list with one mapping, a list of texts is [TEXT]",
            ),
        );
    }
    let Some(element) = items.first() else { return Kind::Scalar(ColumnType::Text) };
    let inside = Position { in_list: true, required: true, ..deeper(position) };
    list_of(read_value(walk, &format!("{title}[]"), element, element.span, inside), element.span)
}

fn list_of((kind, rules): (Kind, Rules), span: Span) -> Kind {
    Kind::List(Box::new(Field { name: "item".to_string(), required: true, kind, rules, span }))
}

fn deeper(position: Position) -> Position {
    Position { depth: position.depth + 1, ..position }
}

fn read_scalar_type(walk: &Walk<'_>, text: &SqlText) -> Option<ColumnType> {
    let mut words = Words::new(&text.text);
    match read_type(&mut words) {
        Err(fault) => walk.report(type_problem(text, fault)),
        Ok(found) if found.is_serial() => {
            let problem = Problem::new(
                "record.type.serial",
                text.span,
                format!("{found} is a column's type: a sequence feeds it"),
            );
            walk.report(problem.help("in the record it is INTEGER or BIGINT"));
        }
        Ok(_) if words.peek().is_some() => {
            let rest = words.rest();
            let message = format!("\"{}\" does not belong to a type", &text.text[rest.clone()]);
            let problem =
                Problem::new("record.type.extra", text.span_of(rest.start, rest.end), message);
            walk.report(problem.help(
                "a field of the record is only a type; what a column is \
                beside that stands in tables",
            ));
        }
        Ok(found) => return Some(found),
    }
    None
}

fn type_problem(text: &SqlText, fault: TypeFault) -> Problem {
    let code = match fault.reason {
        TypeFaultReason::Unknown => "record.type.unknown",
        TypeFaultReason::Unsupported => "record.type.unsupported",
        TypeFaultReason::Arguments => "record.type.arguments",
    };
    Problem::new(code, text.span_of(fault.range.start, fault.range.end), fault.message)
        .help(fault.help)
}

/// The JSON Schema of the section; its parts stand under `$defs`, since they hold each other.
pub(crate) fn record_schema() -> Json {
    json!({ "$ref": "#/$defs/record_object" })
}

/// The parts that [`record_schema`] and each other refer to.
pub(crate) fn record_definitions() -> Vec<(&'static str, Json)> {
    let value = json!({ "$ref": "#/$defs/record_value" });
    let typed = |keys, words: Json| {
        let mut schema = keys_schema(keys);
        schema["properties"]["type"]["enum"] = words;
        schema
    };
    let mut scalar = keys_schema(&SCALAR_KEYS);
    scalar["properties"]["type"] =
        json!({ "type": "string", "not": { "enum": ["LIST", "OBJECT", "list", "object"] } });
    let list = typed(&LIST_KEYS, json!(["LIST", "list"]));
    let object = typed(&OBJECT_KEYS, json!(["OBJECT", "object"]));
    let fields = json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": value,
        "description": "an object's fields; a name that ends in ? is optional",
    });
    let untyped = json!({ "allOf": [{ "$ref": "#/$defs/record_object" }, { "not": { "required": ["type"], "properties": { "type": { "type": "string" } } } }] });
    let any = json!({ "anyOf": [
        { "type": "string", "description": "a PostgreSQL type, such as BIGINT, TEXT or \
            NUMERIC(10,2)" },
        { "type": "array", "minItems": 1, "maxItems": 1, "items": value, "description": "a list; \
            its one element stands for all" },
        scalar, list, object, untyped,
    ] });
    vec![("record_object", fields), ("record_value", any)]
}
