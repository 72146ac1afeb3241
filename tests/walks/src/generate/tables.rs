//! Random `tables:`. A record's partition is decided by its id, so that every table whose key is
//! made of the id has a defined order whatever the number of partitions; other keys are for one
//! partition.

use serde_json::{Map, Value as Json, json};

use super::expression::Scope;
use super::known::{Known, avoids};
use super::record_shape::{Class, Element, Shape, Source, class_with_literal};
use crate::chance::Chance;

pub struct Tables {
    /// By name, as the file has them.
    pub declared: Vec<(String, Json)>,
    pub once: bool,
    /// For each table, what its rows hold.
    pub columns: Vec<Vec<Source>>,
    pub appends: bool,
}

pub fn tables(chance: &mut Chance, shape: &Shape, partitions: i32) -> Tables {
    let once = chance.percent(30);
    let mut tables = Tables { declared: Vec::new(), once, columns: Vec::new(), appends: false };
    let mut parent: Option<String> = None;
    for number in 1..=*chance.pick(&[1, 1, 2, 2, 3, 4]) {
        let name = format!("t{number}");
        let is_once = once && number == 1;
        let repeat = if is_once {
            "ignore"
        } else {
            *chance.pick(&["ignore", "ignore", "update", "append"])
        };
        let made = table(
            chance,
            shape,
            &Wanted { partitions, repeat, is_once, parent: parent.clone().filter(|_| !is_once) },
        );
        tables.appends |= repeat == "append";
        // Of every record it gets a row, so that a child finds its parent in the same record.
        if made.is_parent {
            parent = Some(name.clone());
        }
        tables.columns.push(made.columns);
        tables.declared.push((name, made.declared));
    }
    tables
}

struct Wanted<'a> {
    partitions: i32,
    repeat: &'a str,
    is_once: bool,
    /// A table whose key is the id and that has a row of every record.
    parent: Option<String>,
}

struct Made {
    declared: Json,
    columns: Vec<Source>,
    is_parent: bool,
}

fn table(chance: &mut Chance, shape: &Shape, wanted: &Wanted<'_>) -> Made {
    let unnest = !wanted.is_once && !shape.lists.is_empty() && chance.percent(30);
    let list = unnest.then(|| chance.pick(&shape.lists).clone());
    let mut sources = shape.sources.clone();
    match list.as_ref().map(|list| &list.of) {
        Some(Element::Scalar(class)) => {
            sources.push(Source { path: "e".to_owned(), class: *class })
        }
        Some(Element::Object(fields)) => {
            sources.extend(
                fields
                    .iter()
                    .map(|field| Source { path: format!("e.{}", field.path), class: field.class }),
            );
        }
        None => {}
    }
    let scope = Scope { sources: &sources, lists: &shape.lists };
    let mut columns = Map::new();
    let mut outputs: Vec<String> = Vec::new();
    let mut held: Vec<Source> = vec![Source { path: "id".to_owned(), class: Class::Big }];
    let mut primary_key: Vec<String> = Vec::new();
    let serial_first = chance.percent(20);
    if serial_first {
        columns.insert(
            "row_number".to_owned(),
            json!(*chance.pick(&["SERIAL PRIMARY KEY", "BIGSERIAL PRIMARY KEY"])),
        );
    }
    outputs.push("id AS id".to_owned());
    let reference = match &wanted.parent {
        Some(parent) if chance.percent(40) => format!(" REFERENCES {parent}(id)"),
        _ => String::new(),
    };
    let mut is_parent = false;
    let line = match wanted.repeat {
        "append" => {
            format!("BIGINT{}{reference}", if chance.percent(50) { " NOT NULL" } else { "" })
        }
        _ if list.is_some() => {
            primary_key =
                if serial_first { Vec::new() } else { vec!["id".to_owned(), "element".to_owned()] };
            let class = match list.as_ref().map(|list| &list.of) {
                Some(Element::Scalar(class)) => *class,
                _ => Class::Text,
            };
            if serial_first {
                format!("BIGINT NOT NULL UNIQUE{reference}")
            } else {
                columns.insert("element".to_owned(), json!(column_type(chance, class, false)));
                outputs.push(format!(
                    "{} AS element",
                    scope.expression(chance, class, 0).replace("'x''y'", "'x'")
                ));
                format!("BIGINT{reference}")
            }
        }
        _ if serial_first => {
            is_parent = true;
            format!("BIGINT NOT NULL UNIQUE{reference}")
        }
        _ => {
            is_parent = true;
            format!("BIGINT PRIMARY KEY{reference}")
        }
    };
    columns.insert("id".to_owned(), json!(line));
    let times: Vec<&Source> = sources
        .iter()
        .filter(|source| {
            matches!(source.class, Class::Timestamp | Class::Timestamptz | Class::Date)
        })
        .collect();
    let mut time_partition = None;
    if !wanted.is_once
        && list.is_none()
        && !serial_first
        && reference.is_empty()
        && !times.is_empty()
        && chance.percent(15)
    {
        let time = *chance.pick(&times);
        is_parent = false;
        columns.insert("id".to_owned(), json!("BIGINT NOT NULL"));
        columns.insert("happened".to_owned(), json!(column_type(chance, time.class, true)));
        outputs.push(format!("{} AS happened", time.path));
        held.push(Source { path: "happened".to_owned(), class: time.class });
        if wanted.repeat != "append" {
            primary_key = vec!["id".to_owned(), "happened".to_owned()];
        }
        time_partition = Some(
            json!({ "column": "happened", "interval": *chance.pick(&["day", "week", "month", "year"]) }),
        );
    }
    // Another key: of one partition, whose order is defined.
    let own_key = wanted.partitions == 1
        && !wanted.is_once
        && wanted.repeat != "append"
        && list.is_none()
        && !serial_first
        && time_partition.is_none()
        && chance.percent(20);
    if own_key {
        is_parent = false;
        columns.insert("id".to_owned(), json!(format!("BIGINT{reference}")));
        let class = *chance.pick(&[Class::Text, Class::Integer]);
        columns.insert(
            "code".to_owned(),
            json!(format!("{} UNIQUE", if class == Class::Text { "TEXT" } else { "INTEGER" })),
        );
        outputs.push(format!("{} AS code", scope.expression(chance, class, 1)));
        held.push(Source { path: "code".to_owned(), class });
    }
    for number in 1..=chance.between(1, 5) {
        let class = class_with_literal(chance, &sources);
        let name = format!("c{number}");
        let expression = match class {
            Class::Timestamp if chance.percent(25) => "now()".to_owned(),
            _ => scope.expression(chance, class, 2),
        };
        let not_null = chance.percent(15);
        columns.insert(name.clone(), json!(column_type(chance, class, not_null)));
        if expression != "now()" {
            held.push(Source { path: name.clone(), class });
        }
        outputs.push(format!("{expression} AS {name}"));
    }
    if chance.percent(20) {
        columns.insert(
            "filled".to_owned(),
            json!(*chance.pick(&[
                "TEXT DEFAULT 'so'",
                "INTEGER NOT NULL DEFAULT 7",
                "TIMESTAMP DEFAULT CURRENT_TIMESTAMP"
            ])),
        );
    }
    let may_filter = !wanted.is_once || !avoids(Known::OnceWithWhere);
    let mut select = format!("SELECT {} FROM record", outputs.join(", "));
    if let Some(list) = &list {
        select.push_str(&format!(", UNNEST({}) AS e", list.path));
    }
    if may_filter && chance.percent(35) {
        is_parent = false;
        select.push_str(&format!(" WHERE {}", scope.condition(chance, 1)));
    }
    let mut declared = Map::new();
    declared.insert("columns".to_owned(), Json::Object(columns));
    if !primary_key.is_empty() {
        declared.insert("primary_key".to_owned(), json!(primary_key));
    }
    if let Some(time_partition) = time_partition {
        declared.insert("time_partition".to_owned(), time_partition);
    }
    declared.insert("repeat".to_owned(), json!(wanted.repeat));
    declared.insert("select".to_owned(), json!(select));
    Made { declared: Json::Object(declared), columns: held, is_parent }
}

fn column_type(chance: &mut Chance, class: Class, not_null: bool) -> String {
    let name = match class {
        Class::Integer => *chance.pick(&["INTEGER", "BIGINT", "INTEGER"]),
        Class::Big => "BIGINT",
        Class::Numeric => {
            *chance.pick(&["NUMERIC", "NUMERIC", "NUMERIC(12,2)", "NUMERIC(20,4)", "NUMERIC(5,1)"])
        }
        Class::Text => *chance.pick(&["TEXT", "TEXT", "VARCHAR(8)", "VARCHAR(100)"]),
        Class::Boolean => "BOOLEAN",
        Class::Timestamp => "TIMESTAMP",
        Class::Timestamptz => "TIMESTAMPTZ",
        Class::Date => "DATE",
        Class::Time => "TIME",
        Class::Uuid => "UUID",
        Class::Json => "JSONB",
        Class::Bytes => "BYTEA",
        Class::Double => "DOUBLE PRECISION",
        Class::Real => "REAL",
    };
    if not_null { format!("{name} NOT NULL") } else { name.to_owned() }
}

pub fn checks(chance: &mut Chance, shape: &Shape) -> Json {
    let scope = Scope { sources: &shape.sources, lists: &shape.lists };
    let mut checks = Map::new();
    for number in 1..=chance.between(1, 2) {
        let condition = scope.condition(chance, 1);
        // A check that refuses nearly everything would leave nothing to judge.
        let condition = format!("(id % 3 = 0) OR {condition}");
        checks.insert(format!("rule {number}"), json!(condition));
    }
    Json::Object(checks)
}
