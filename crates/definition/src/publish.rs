//! `publish:`, messages written to a topic for each stored row.

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::schema::keys_schema;
use super::source::check_topic;
use super::suggest::did_you_mean_or_list;
use super::walk::{Fields, Walk, sql};
use super::yaml::Entry;
use super::{Pipeline, Problem, Repeat, Span, SqlText, identifier};

/// One message for each row of a table, written in the row's transaction and sent after its commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// The messages' ids are made with it: another name sends other ids.
    pub name: String,
    /// The table whose stored rows are told.
    pub from: String,
    pub topic: String,
    /// An expression over the row's columns; its text is the message's key.
    pub key: Option<SqlText>,
    /// A SELECT from the table, whose columns are the message's keys, or one expression over the
    /// row's columns.
    pub value: SqlText,
    pub span: Span,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "publish",
        about: "messages for stored rows: each a name, the table it tells of, and the topic that \
            gets one message a stored row, exactly once",
        presence: Presence::Optional,
        value: Value::Other(
            || json!({ "type": "object", "additionalProperties": keys_schema(&KEYS) }),
        ),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "a message to publish",
    keys: &[
        Key {
            name: "from",
            about: "the table whose stored rows are told",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "topic",
            about: "the topic that gets the messages; it is made if it is missing",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "key",
            about: "an expression over the row's columns; messages of one key keep their order",
            presence: Presence::Optional,
            value: Value::Sql,
        },
        Key {
            name: "value",
            about: "a SELECT from the table whose columns are the message's keys, or one \
                expression such as a JSONB column",
            presence: Presence::Required,
            value: Value::Sql,
        },
    ],
    later: &["headers"],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("publish").and_then(|node| walk.entries("publish", node)).unwrap_or_default();
    for entry in entries {
        pipeline.publish.extend(read_one(walk, entry, pipeline));
    }
}

fn read_one(walk: &Walk<'_>, entry: &Entry, pipeline: &Pipeline) -> Option<Publish> {
    let title = format!("publish.{}", entry.key);
    let fields = walk.fields(&title, &KEYS, &entry.value, entry.key_span)?;
    let from = fields.text("from").map(|from| identifier::fold(&from).unwrap_or(from));
    if let Some(problem) =
        from.as_deref().and_then(|from| problem_of_table(&fields, from, pipeline))
    {
        walk.report(problem);
    }
    let topic = fields.text("topic");
    check_topic(&fields, "topic");
    if topic.as_ref() == Some(&pipeline.source.topic) {
        let problem = Problem::new(
            "publish.topic.source",
            fields.span("topic").unwrap_or_default(),
            format!("{title} writes to the topic that the pipeline reads"),
        );
        walk.report(
            problem
                .help("every stored row would make another record, for ever; name another topic"),
        );
    }
    let expression = |name: &'static str| {
        fields
            .entry(name)
            .filter(|entry| !entry.value.is_unset())
            .and_then(|entry| sql(walk, &fields.named(name), entry))
    };
    let (key, value) = (expression("key"), expression("value"));
    Some(Publish {
        name: entry.key.clone(),
        from: from?,
        topic: topic?,
        key,
        value: value?,
        span: entry.key_span,
    })
}

fn problem_of_table(fields: &Fields<'_, '_>, from: &str, pipeline: &Pipeline) -> Option<Problem> {
    let span = fields.span("from").unwrap_or_default();
    let Some(table) = pipeline.tables.iter().find(|table| table.name == from) else {
        let names = pipeline.tables.iter().map(|table| table.name.as_str());
        let problem =
            Problem::new("publish.table.unknown", span, format!("unknown table \"{from}\""));
        return Some(problem.help(did_you_mean_or_list(from, "the tables are", names)));
    };
    let replaced = table.repeat == Repeat::Update;
    replaced.then(|| {
        let message = format!(
            "rows of {from} take the place of others (repeat: update), so a \
            message would not stand for one row"
        );
        Problem::new("publish.table.updated", span, message).help(
            "publish the rows of a table \
            with repeat: ignore or append",
        )
    })
}
