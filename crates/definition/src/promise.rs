//! The delivery promise that a file's parts add up to, in sentences.

use serde_json::{Value as Json, json};

use super::{Cursor, Deliver, IngestEndpoint, Pipeline, Publish, Pull, Repeat, Table, identifier};

/// What a pipeline promises, part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    pub parts: Vec<Part>,
}

/// One part of the pipeline and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// For example `table sales`.
    pub subject: String,
    pub guarantee: Guarantee,
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    ExactlyOnce,
    AtLeastOnce,
    /// Nothing is promised.
    Outside,
}

impl Guarantee {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly once",
            Self::AtLeastOnce => "at least once",
            Self::Outside => "outside",
        }
    }
}

/// The promise of a pipeline whose file has no problem: what could not be kept is a problem of the
/// file.
pub fn promise(pipeline: &Pipeline) -> Promise {
    let topic = &pipeline.source.topic;
    let whole = format!(
        "every record of the topic {topic} ends once: as its rows, as a reject with its reason, or \
            counted as a repeat or as filtered; \
         position, rows and rejects change in one transaction"
    );
    let mut parts = vec![Part {
        subject: "records".to_string(),
        guarantee: Guarantee::ExactlyOnce,
        sentence: whole,
    }];
    parts.extend(pipeline.tables.iter().map(|table| table_part(table, pipeline.source.partitions)));
    parts.extend(pipeline.ingest.iter().map(|endpoint| ingest_part(endpoint, pipeline)));
    if pipeline.files.is_some() {
        let sentence = "a file is known by its content: loaded a second time it changes nothing, \
            and a load that was interrupted goes on at its line";
        parts.push(Part {
            subject: "files".to_string(),
            guarantee: Guarantee::ExactlyOnce,
            sentence: sentence.to_string(),
        });
    }
    parts.extend(pipeline.pull.iter().filter(|pull| pull.url.is_some()).map(pull_part));
    parts.extend(pipeline.deliver.iter().map(deliver_part));
    parts.extend(pipeline.publish.iter().map(publish_part));
    let sentence = format!(
        "a topic {topic} that is deleted, made anew and refilled past the position within one \
            second"
    );
    parts.push(Part { subject: "topic".to_string(), guarantee: Guarantee::Outside, sentence });
    Promise { parts }
}

fn ingest_part(endpoint: &IngestEndpoint, pipeline: &Pipeline) -> Part {
    let subject = format!("{} {}", endpoint.method, endpoint.path);
    let again = "a client that sends again after a lost answer";
    let (guarantee, sentence) = match (&endpoint.topic, endpoint.stored) {
        (_, true) => (
            Guarantee::ExactlyOnce,
            "an answer of success means that the record is in the tables; a repeat of its \
                Idempotency-Key writes nothing and gets the first \
             answer; without the header every request is a record of its own"
                .to_owned(),
        ),
        (Some(topic), false) => (
            Guarantee::AtLeastOnce,
            format!(
                "an answer of success means that the log holds the record in the topic \
                {topic}; {again} adds a second one"
            ),
        ),
        (None, false) => (
            Guarantee::AtLeastOnce,
            format!(
                "an answer of success means that the log holds the record; {again} adds a second \
                    one{}",
                second_record(&pipeline.tables)
            ),
        ),
    };
    Part { subject, guarantee, sentence }
}

fn deliver_part(deliver: &Deliver) -> Part {
    let sentence = "the position moves only past records whose call was answered 2xx, or 400, 413 \
        or 422, which makes a reject; a call may be \
                    made again, with the same Idempotency-Key: a receiver that heeds it takes each \
        record exactly once";
    Part {
        subject: format!("deliver {}", deliver.name),
        guarantee: Guarantee::AtLeastOnce,
        sentence: sentence.to_owned(),
    }
}

fn publish_part(publish: &Publish) -> Part {
    let sentence = format!(
        "one message in the topic {} for each row of {} that is stored, once for a consumer that \
            reads committed messages, in order within a \
         partition of the source; after the database was restored from a backup messages may come \
            again, with the same duto-message-id",
        publish.topic, publish.from
    );
    Part {
        subject: format!("publish {}", publish.name),
        guarantee: Guarantee::ExactlyOnce,
        sentence,
    }
}

impl Promise {
    /// One line a part, for a person.
    pub fn to_text(&self) -> String {
        let width = self.parts.iter().map(|part| part.subject.chars().count()).max().unwrap_or(0);
        let line = |part: &Part| {
            format!(
                "  {:width$}  {:13}  {}\n",
                part.subject,
                part.guarantee.as_str(),
                part.sentence
            )
        };
        self.parts.iter().map(line).collect()
    }

    pub fn to_json(&self) -> Json {
        let part = |part: &Part| json!({ "subject": part.subject, "guarantee": part.guarantee.as_str(), "sentence": part.sentence });
        self.parts.iter().map(part).collect()
    }
}

fn pull_part(pull: &Pull) -> Part {
    let (guarantee, sentence) = match &pull.cursor {
        Some(Cursor::Since { field, .. }) => (
            Guarantee::ExactlyOnce,
            format!(
                "the cursor is kept with the items; the endpoint must answer items of the same {} \
                    again, and none with a smaller one later",
                field.join(".")
            ),
        ),
        Some(_) => (Guarantee::ExactlyOnce, "the cursor is kept with the items; the endpoint must \
            add items at its end only".to_string()),
        None => (
            Guarantee::AtLeastOnce,
            "an answer that changed is read whole; an item that was read before is a repeat by its \
                key".to_string(),
        ),
    };
    Part { subject: format!("pull {}", pull.name), guarantee, sentence }
}

fn table_part(table: &Table, partitions: i32) -> Part {
    let key: Vec<_> = table.key().iter().map(|column| identifier::to_sql(&column.name)).collect();
    let key = key.join(", ");
    let sentence = match table.repeat {
        Repeat::Ignore | Repeat::Keep => format!(
            "repeat: ignore; a row whose {key} is already \
            there changes nothing, the first stays"
        ),
        Repeat::Update if partitions > 1 => format!(
            "repeat: update; a row whose {key} is already there takes its place, the last wins; \
             the order is kept within a partition, so records of one {key} need one message key"
        ),
        Repeat::Update => format!(
            "repeat: update; a row whose {key} is already there takes its \
            place, the last wins"
        ),
        Repeat::Append => {
            "repeat: append; every record adds its rows, also one that was sent twice; the \
                position cannot be rewound"
                .to_string()
        }
    };
    // PostgreSQL holds two NULLs for different, so such a row would never be found again.
    let may_be_null = table.key().iter().any(|column| !column.not_null);
    let exception = if may_be_null {
        format!("; a record whose {key} is NULL is a reject")
    } else {
        String::new()
    };
    Part {
        subject: format!("table {}", table.name),
        guarantee: Guarantee::ExactlyOnce,
        sentence: sentence + &exception,
    }
}

/// What a record that was sent twice does to the tables.
fn second_record(tables: &[Table]) -> String {
    let named = |append: bool| {
        let names: Vec<_> = tables
            .iter()
            .filter(|table| (table.repeat == Repeat::Append) == append)
            .map(|table| table.name.as_str())
            .collect();
        names.join(", ")
    };
    match (named(false), named(true)) {
        (keyed, appended) if appended.is_empty() => {
            format!(", which leaves one row a key in {keyed}")
        }
        (keyed, appended) if keyed.is_empty() => {
            format!(", which adds its rows again to {appended}")
        }
        (keyed, appended) => {
            format!(", which leaves one row a key in {keyed} and adds its rows again to {appended}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn sentences(columns: &str, repeat: &str, ingest: &str) -> Vec<(Guarantee, String)> {
        let text = format!(
            "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {{ a: TEXT }}\n\
             tables: {{ t: {{ columns: {{ {columns} }}, repeat: {repeat}, select: SELECT a FROM \
                record }} }}\ningest: {{ {ingest} }}\n"
        );
        let pipeline = parse("p.yaml", &text, &|_| None).expect("a good file");
        promise(&pipeline).parts.into_iter().map(|part| (part.guarantee, part.sentence)).collect()
    }

    #[test]
    fn each_table_says_what_a_repeat_does() {
        for (columns, repeat, expected) in [
            (
                "a: TEXT PRIMARY KEY",
                "ignore",
                "repeat: ignore; a row whose a is already there changes nothing, the first stays",
            ),
            ("a: TEXT UNIQUE", "ignore", "; a record whose a is NULL is a reject"),
            ("a: TEXT PRIMARY KEY", "update", "records of one a need one message key"),
            ("a: TEXT", "append", "every record adds its rows, also one that was sent twice"),
        ] {
            let (guarantee, sentence) = sentences(columns, repeat, "").swap_remove(1);
            assert_eq!(guarantee, Guarantee::ExactlyOnce);
            assert!(sentence.contains(expected), "{sentence}");
        }
    }

    #[test]
    fn a_client_that_sends_again_is_at_least_once() {
        for (columns, repeat, expected) in [
            ("a: TEXT PRIMARY KEY", "ignore", "leaves one row a key in t"),
            ("a: TEXT PRIMARY KEY", "append", "adds its rows again to t"),
        ] {
            let (guarantee, sentence) = sentences(columns, repeat, "POST /a: {}").swap_remove(2);
            assert_eq!(guarantee, Guarantee::AtLeastOnce);
            assert!(sentence.ends_with(expected), "{sentence}");
        }
    }
}
