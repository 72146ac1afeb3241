//! One panel of a dashboard.

use serde_json::{Map, Value as Json, json};

use super::kinds::{self, KINDS, PanelKind};
use super::{Needs, ShownField, text, text_schema};
use crate::keys::{Key, Keys, Presence, Value};
use crate::suggest::did_you_mean_or_list;
use crate::walk::{Fields, Walk};
use crate::yaml::Node;
use crate::{Pipeline, Problem, Span};

const FORMATS: &[&str] =
    &["text", "integer", "number", "currency", "percent", "duration", "date", "time", "datetime"];

pub(super) static KEYS: Keys = Keys {
    of: "a panel",
    keys: &[
        Key {
            name: "kind",
            about: "number, gauge, timeline, bars (horizontal), columns (vertical), donut, pie or \
                table",
            presence: Presence::Required,
            value: Value::Word(&kinds::NAMES),
        },
        Key {
            name: "title",
            about: "a text, or one a language",
            presence: Presence::Required,
            value: Value::Other(text_schema),
        },
        Key {
            name: "from",
            about: "the path of the endpoint that it shows",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "value",
            about: "the field that is shown",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "label",
            about: "the field that names a bar or a slice",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "time",
            about: "the field that is a timeline's time",
            presence: Presence::Optional,
            value: Value::Text,
        },
        FORMAT,
        Key {
            name: "minimum",
            about: "where a gauge begins",
            presence: Presence::Default("0"),
            value: Value::Number,
        },
        Key {
            name: "maximum",
            about: "where a gauge ends",
            presence: Presence::Optional,
            value: Value::Number,
        },
        Key {
            name: "thresholds",
            about: "from which value on a gauge warns, and from which on it is critical; where \
                critical is below warning, low values are bad",
            presence: Presence::Optional,
            value: Value::Keys(&THRESHOLD_KEYS),
        },
        Key {
            name: "detail",
            about: "a second figure of a number or a gauge",
            presence: Presence::Optional,
            value: Value::Keys(&FIGURE_KEYS),
        },
        Key {
            name: "series",
            about: "the lines of a timeline",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": crate::schema::keys_schema(&FIGURE_KEYS) }),
            ),
        },
        Key {
            name: "columns",
            about: "the columns of a table",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": crate::schema::keys_schema(&FIGURE_KEYS) }),
            ),
        },
    ],
    later: &[],
    note: "",
};

const FORMAT: Key = Key {
    name: "format",
    about: "how a value is written",
    presence: Presence::Default("number"),
    value: Value::Word(FORMATS),
};

static FIGURE_KEYS: Keys = Keys {
    of: "a figure",
    keys: &[
        Key {
            name: "value",
            about: "the field that is shown",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "title",
            about: "a text, or one a language",
            presence: Presence::Optional,
            value: Value::Other(text_schema),
        },
        FORMAT,
    ],
    later: &[],
    note: "",
};

static THRESHOLD_KEYS: Keys = Keys {
    of: "thresholds",
    keys: &[
        Key {
            name: "warning",
            about: "the first value that is worth a look",
            presence: Presence::Optional,
            value: Value::Number,
        },
        Key {
            name: "critical",
            about: "the first value that asks for action",
            presence: Presence::Optional,
            value: Value::Number,
        },
    ],
    later: &[],
    note: "",
};

/// A panel's JSON Schema.
pub(super) fn schema() -> Json {
    let names: Vec<&str> = KEYS.keys.iter().map(|key| key.name).collect();
    let mut schema = crate::schema::keys_schema(&KEYS);
    schema["allOf"] = kinds::rules(&names);
    schema
}

/// The panel as the page reads it. The fields that it shows are added to `shown`.
pub(super) fn read(
    walk: &Walk<'_>,
    node: &Node,
    pipeline: &Pipeline,
    shown: &mut Vec<ShownField>,
) -> Option<Json> {
    let place =
        Span::new(node.span.start, node.span.start.max(node.span.end.min(node.span.start + 1)));
    let fields = walk.fields("a panel", &KEYS, node, place)?;
    let (kind, from) = (fields.word("kind")?, fields.text("from")?);
    let kind = KINDS.iter().find(|known| known.name == kind)?;
    check_source(&fields, &from, pipeline);
    let mut panel = Map::new();
    panel.insert("kind".into(), kind.name.into());
    panel.insert(
        "title".into(),
        fields.value("title").and_then(|node| text(&fields, "title", node))?,
    );
    panel.insert("from".into(), from.clone().into());
    check_keys(&fields, kind);
    let format = fields.word("format");
    for key in ["value", "label", "time"] {
        if let Some(value) = fields.value(key).and_then(|_| fields.text(key)) {
            let needs = match key {
                "value" => needs_of_value(kind.is_drawn, written(&fields, format)),
                "time" => Needs::Moment,
                _ => Needs::Any,
            };
            shown.push(ShownField {
                from: from.clone(),
                name: value.clone(),
                needs,
                span: fields.span(key).unwrap_or(place),
            });
            panel.insert(key.into(), value.into());
        }
    }
    panel.insert("format".into(), format.unwrap_or("number").into());
    if fields.value("detail").is_some() {
        let detail = fields.section("detail")?;
        panel.insert("detail".into(), figure(&detail, &from, false, shown));
    }
    if kind.takes("maximum") {
        gauge(&fields, &mut panel);
    }
    for key in ["series", "columns"] {
        let Some(list) = fields.value(key).and_then(|node| walk.list(key, node)) else { continue };
        let mut figures = Vec::new();
        for item in list {
            let Some(fields) = walk.fields(key, &FIGURE_KEYS, item, item.span) else { continue };
            figures.push(figure(&fields, &from, kind.is_drawn, shown));
        }
        panel.insert(key.into(), figures.into());
    }
    Some(Json::Object(panel))
}

/// A figure as the page reads it. The field that it shows is added to `shown`.
fn figure(
    fields: &Fields<'_, '_>,
    from: &str,
    is_drawn: bool,
    shown: &mut Vec<ShownField>,
) -> Json {
    let (value, format) = (fields.text("value"), fields.word("format"));
    if let (Some(name), Some(span)) = (&value, fields.span("value")) {
        let needs = needs_of_value(is_drawn, written(fields, format));
        shown.push(ShownField { from: from.to_owned(), name: name.clone(), needs, span });
    }
    let value = value.unwrap_or_default();
    let title = fields
        .value("title")
        .and_then(|node| text(fields, "title", node))
        .unwrap_or_else(|| value.clone().into());
    json!({ "value": value, "title": title, "format": format.unwrap_or("number") })
}

/// What the kind lacks, and what means nothing to it.
fn check_keys(fields: &Fields<'_, '_>, kind: &PanelKind) {
    let (walk, name) = (fields.walk(), kind.name);
    for key in kind.needed.iter().filter(|key| fields.value(key).is_none()) {
        let span = fields.span("kind").unwrap_or(fields.place());
        let problem = Problem::new(
            "dashboard.panel.key",
            span,
            format!("a panel of kind {name} needs {key}"),
        );
        walk.report(problem.help(format!("{name} needs {}", kind.needed.join(" and "))));
    }
    for (key, entry) in KEYS
        .keys
        .iter()
        .filter(|key| !kind.takes(key.name))
        .filter_map(|key| Some((key.name, fields.entry(key.name)?)))
    {
        let problem = Problem::new(
            "dashboard.panel.inert",
            entry.key_span,
            format!("{key} means nothing to a panel of kind {name}"),
        );
        let taken: Vec<&str> = kind.needed.iter().chain(kind.also).copied().collect();
        let others: Vec<&str> =
            KINDS.iter().filter(|kind| kind.takes(key)).map(|kind| kind.name).collect();
        walk.report(problem.help(format!(
            "{name} takes {}; {key} is for {}",
            taken.join(", "),
            others.join(", ")
        )));
    }
}

/// Where a gauge begins and ends, and from where on it warns.
fn gauge(fields: &Fields<'_, '_>, panel: &mut Map<String, Json>) {
    let walk = fields.walk();
    let (minimum, maximum) = (fields.number("minimum").unwrap_or(0.0), fields.number("maximum"));
    panel.insert("minimum".into(), json!(minimum));
    panel.insert("maximum".into(), json!(maximum));
    if maximum.is_some_and(|maximum| maximum <= minimum) {
        let span = fields.span("maximum").unwrap_or(fields.place());
        let problem = Problem::new(
            "dashboard.gauge.range",
            span,
            format!("a gauge from {minimum} has nothing to show up to here"),
        );
        walk.report(problem.help("maximum must be above minimum, which is 0 if it is left out"));
    }
    let Some(thresholds) = fields.value("thresholds").and_then(|_| fields.section("thresholds"))
    else {
        return;
    };
    let mut known = Map::new();
    for key in ["warning", "critical"] {
        let Some(value) = thresholds.value(key).and_then(|_| thresholds.number(key)) else {
            continue;
        };
        let span = thresholds.span(key).unwrap_or(fields.place());
        if value < minimum || maximum.is_some_and(|maximum| value > maximum) {
            let problem = Problem::new(
                "dashboard.gauge.threshold",
                span,
                format!("{key} is outside of the gauge"),
            );
            walk.report(problem.help("a threshold stands between minimum and maximum"));
        }
        if known.get("warning") == Some(&json!(value)) {
            let problem = Problem::new(
                "dashboard.gauge.threshold",
                span,
                "warning and critical are the same value".to_owned(),
            );
            walk.report(problem.help(
                "leave warning out, or say where it begins; where low values \
                are bad, critical is below it",
            ));
        }
        known.insert(key.into(), json!(value));
    }
    panel.insert("thresholds".into(), known.into());
}

/// The format, where the file says it.
fn written<'f>(fields: &Fields<'_, '_>, format: Option<&'f str>) -> Option<&'f str> {
    format.filter(|_| fields.value("format").is_some())
}

/// What is drawn as long as its value is a number; a text stands as it is where nothing but the
/// default says that it is one.
fn needs_of_value(is_drawn: bool, format: Option<&str>) -> Needs {
    match format {
        Some("duration") => Needs::Duration,
        Some("integer" | "number" | "currency" | "percent") => Needs::Number,
        Some("date" | "time" | "datetime") if !is_drawn => Needs::Moment,
        _ if is_drawn => Needs::Number,
        _ => Needs::Any,
    }
}

fn check_source(fields: &Fields<'_, '_>, from: &str, pipeline: &Pipeline) {
    let span = fields.span("from").unwrap_or_default();
    let walk = fields.walk();
    match pipeline.endpoints.iter().find(|endpoint| endpoint.path == from) {
        None => {
            let paths = pipeline.endpoints.iter().map(|endpoint| endpoint.path.as_str());
            let problem = Problem::new(
                "dashboard.source.unknown",
                span,
                format!("no endpoint answers GET {from}"),
            );
            walk.report(problem.help(did_you_mean_or_list(from, "the endpoints are", paths)));
        }
        Some(endpoint) => {
            if let Some(parameter) =
                endpoint.parameters.iter().find(|parameter| parameter.default.is_none())
            {
                let problem = Problem::new(
                    "dashboard.source.parameter",
                    span,
                    format!("GET {from} needs {}, which the page cannot know", parameter.name),
                );
                walk.report(problem.help("give the parameter a default, or show another endpoint"));
            }
        }
    }
}
