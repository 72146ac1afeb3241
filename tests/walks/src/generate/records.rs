//! Random records of a shape: mostly good, some with a value that does not fit, some that are no
//! record at all.

use serde_json::Value as Json;

use super::known::{Known, avoids};
use crate::chance::Chance;
use crate::decode::split_type;
use crate::shape::{Field, Kind, fields};
use crate::walk::Record;

/// Records whose ids come again.
pub fn records(
    chance: &mut Chance,
    declared: &Json,
    partitions: i32,
    count: usize,
    ids: i64,
) -> Vec<Record> {
    let fields = fields(declared);
    let bad = *chance.pick(&[0, 3, 10, 30]);
    let mut last: Option<Record> = None;
    let mut records = Vec::new();
    for _ in 0..count {
        if let Some(again) = last.clone().filter(|_| chance.percent(8)) {
            records.push(again);
            continue;
        }
        let id = chance.between(1, ids);
        let payload = if chance.percent(bad / 2) {
            garbage(chance)
        } else {
            record(chance, &fields, id, bad / 2)
        };
        let record = Record { partition: (id % i64::from(partitions)) as i32, payload };
        last = Some(record.clone());
        records.push(record);
    }
    records
}

/// One record as a JSON text. `bad` percent have a value that does not fit.
pub fn record(chance: &mut Chance, fields: &[Field], id: i64, bad: u32) -> String {
    let wrong = if chance.percent(bad) { chance.below(fields.len().max(1)) } else { usize::MAX };
    let mut entries: Vec<String> = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        if field.name == "id" && place != wrong {
            entries.push(format!("\"id\": {id}"));
            continue;
        }
        entry(chance, field, place == wrong, &mut entries);
    }
    if chance.percent(10) {
        entries.push("\"else\": {\"any\": [1, null, \"x\"]}".to_owned());
    }
    if chance.percent(10) {
        entries.reverse();
    }
    format!("{{{}}}", entries.join(", "))
}

fn entry(chance: &mut Chance, field: &Field, wrong: bool, entries: &mut Vec<String>) {
    if wrong && chance.percent(30) {
        // Missing, null, or twice.
        match chance.below(3) {
            0 => {}
            1 => entries.push(format!("{:?}: null", field.name)),
            _ => {
                let value = value(chance, &field.kind, &field.rules.allowed, false);
                entries.extend([
                    format!("{:?}: {value}", field.name),
                    format!("{:?}: {value}", field.name),
                ]);
            }
        }
        return;
    }
    if !field.required && chance.percent(25) {
        if chance.percent(30) {
            entries.push(format!("{:?}: null", field.name));
        }
        return;
    }
    entries.push(format!(
        "{:?}: {}",
        field.name,
        value(chance, &field.kind, &field.rules.allowed, wrong)
    ));
}

fn value(chance: &mut Chance, kind: &Kind, allowed: &[String], wrong: bool) -> String {
    match kind {
        Kind::Object(fields) => {
            let mut entries = Vec::new();
            let wrong = if wrong { chance.below(fields.len()) } else { usize::MAX };
            fields
                .iter()
                .enumerate()
                .for_each(|(place, field)| entry(chance, field, place == wrong, &mut entries));
            format!("{{{}}}", entries.join(", "))
        }
        Kind::List(element) => {
            let count = *chance.pick(&[0, 1, 1, 2, 3]);
            let items: Vec<String> = (0..count)
                .map(|_| value(chance, &element.kind, &element.rules.allowed, wrong))
                .collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Scalar(name) if wrong => bad_scalar(chance, split_type(name).0),
        Kind::Scalar(_) if !allowed.is_empty() => format!("{:?}", chance.pick(allowed)),
        Kind::Scalar(name) => scalar(chance, name),
    }
}

fn scalar(chance: &mut Chance, name: &str) -> String {
    let (base, arguments) = split_type(name);
    match base {
        "BOOLEAN" => chance.pick(&["true", "false"]).to_string(),
        "SMALLINT" => chance.pick(&["0", "1", "7", "-3", "40", "327", "2.0", "1e2"]).to_string(),
        "INTEGER" if chance.percent(8) && !avoids(Known::IntegerWidth) => {
            chance.pick(&["2147483647", "-2147483648", "3.0", "1E3"]).to_string()
        }
        "INTEGER" => chance.between(-3, 60).to_string(),
        "BIGINT" if chance.percent(6) => chance
            .pick(&["9223372036854775807", "-9223372036854775808", "9007199254740993"])
            .to_string(),
        "BIGINT" => chance.between(-3, 1000).to_string(),
        "NUMERIC" if arguments.get(1) == Some(&0) => chance.between(-99, 9_999_999).to_string(),
        "NUMERIC" if chance.percent(6) && arguments.is_empty() && avoids(Known::NumericPlaces) => {
            chance.pick(&["1234567890", "0.000001", "1.5e-3"]).to_string()
        }
        "NUMERIC" if chance.percent(6) && arguments.is_empty() && !avoids(Known::NumericPlaces) => {
            chance
                .pick(&[
                    "12345678901234567890",
                    "0.000000000000000001",
                    "1.5e-3",
                    "99999999999999999999.999999999999999999",
                ])
                .to_string()
        }
        "NUMERIC" => format!("{}.{:02}", chance.between(-20, 500), chance.between(0, 99)),
        "DOUBLE PRECISION" | "REAL" => chance.pick(&["0.5", "-1.25", "1e10", "3"]).to_string(),
        "TEXT" | "VARCHAR" => text(chance),
        "DATE" => format!(
            "\"20{:02}-{:02}-{:02}\"",
            chance.between(0, 60),
            chance.between(1, 12),
            chance.between(1, 28)
        ),
        "TIMESTAMP" | "TIMESTAMPTZ" => time(chance),
        "TIME" => clock(chance),
        "UUID" => format!(
            "\"0000000{}-0000-4000-8000-00000000000{}\"",
            chance.between(0, 9),
            chance.between(0, 9)
        ),
        "JSONB" => chance
            .pick(&["{}", "[1, 2.50, \"x\"]", "\"text\"", "{\"b\": 1, \"a\": null}", "12"])
            .to_string(),
        "BYTEA" => chance.pick(&["\"\"", "\"AAEC\"", "\"/+8=\""]).to_string(),
        _ => "null".to_owned(),
    }
}

fn text(chance: &mut Chance) -> String {
    let words = [
        "\"a\"",
        "\"b\"",
        "\"purchase\"",
        "\"\"",
        "\" padded \"",
        "\"it's\"",
        "\"São Paulo\"",
        "\"a\\tb\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"nul\\u0000nul\"",
        "\"longer than twelve characters\"",
        "\"a,b\\\\c\\\"d\"",
        "\"NULL\"",
        "\"x\"",
    ];
    if chance.percent(2) {
        return format!("\"{}\"", "long ".repeat(chance.below(400)));
    }
    if chance.percent(55) {
        chance.pick(&words[..3]).to_string()
    } else {
        chance.pick(&words).to_string()
    }
}

fn time(chance: &mut Chance) -> String {
    let date = format!(
        "20{:02}-{:02}-{:02}",
        chance.between(20, 27),
        chance.between(1, 12),
        chance.between(1, 28)
    );
    let clock = format!(
        "{:02}:{:02}:{:02}",
        chance.between(0, 23),
        chance.between(0, 59),
        chance.between(0, 59)
    );
    match chance.below(8) {
        0 => format!("\"{date}\""),
        1 => format!("\"{date} {clock}\""),
        2 => format!("\"{date}T{clock}Z\""),
        3 => format!("\"{date}T{clock}.{:03}-03:00\"", chance.between(0, 999)),
        4 => format!("\"{date}T{clock}.123456789+05:30\""),
        5 => format!("\"{date}T24:00:00\""),
        6 => format!("\"{date}T{}\"", &clock[..5]),
        _ => format!("\"{date}T{clock}\""),
    }
}

/// A time of day, in the ways in which it may be written.
fn clock(chance: &mut Chance) -> String {
    let clock = format!("{:02}:{:02}", chance.between(0, 23), chance.between(0, 59));
    match chance.below(6) {
        0 => "\"24:00:00\"".to_owned(),
        1 => format!("\"{clock}:60\""),
        2 => format!("\"{clock}:05.{:03}\"", chance.between(0, 999)),
        3 => format!("\"{clock}:05.1234565\""),
        4 => format!("\"{clock}:{:02}\"", chance.between(0, 59)),
        _ => format!("\"{clock}\""),
    }
}

fn bad_scalar(chance: &mut Chance, base: &str) -> String {
    let of_all = ["[]", "{}", "true1", "\"wrong\"", "[1]"];
    let own: &[&str] = match base {
        "BOOLEAN" => &["1", "\"yes please\"", "null"],
        "SMALLINT" => &["32768", "1.5", "\"x\""],
        "INTEGER" => &["2147483648", "-2147483649", "2.5", "1e400", "true"],
        "BIGINT" => &["9223372036854775808", "0.5", "1e400", "\"12x\""],
        // A NUMERIC(38,0) takes it.
        "NUMERIC" if avoids(Known::NumericPlaces) => {
            &["0.0000000000000000001", "1e400", "\"1,5\"", "true"]
        }
        "NUMERIC" => {
            &["0.0000000000000000001", "123456789012345678901", "1e400", "\"1,5\"", "true"]
        }
        "TEXT" | "VARCHAR" => &["1", "true", "{}", "\"\\ud800\""],
        "DATE" => &["\"2024-02-30\"", "\"20240220\"", "20240220"],
        "TIMESTAMP" | "TIMESTAMPTZ" => {
            &["\"2024-13-01T00:00:00Z\"", "\"yesterday\"", "1700000000", "\"2024-05-20T25:00:00\""]
        }
        "TIME" => &["\"25:00\"", "\"08:30+02\"", "\"8:30\"", "\"noon\"", "830", "\"24:00:01\""],
        "UUID" => &["\"not one\"", "5"],
        "JSONB" => &["\"\\u0000\"", "{\"a\": nope}"],
        "BYTEA" => &["\"***\"", "7"],
        _ => &["\"x\"", "1e4000"],
    };
    if chance.percent(70) { chance.pick(own).to_string() } else { chance.pick(&of_all).to_string() }
}

/// What is no record.
fn garbage(chance: &mut Chance) -> String {
    match chance.below(10) {
        9 => "huge:1200000".to_owned(),
        0 => "not JSON".to_owned(),
        1 => "{\"id\": 1".to_owned(),
        2 => "[1, 2]".to_owned(),
        3 => "null".to_owned(),
        4 => "hex:7b22696422ff7d".to_owned(),
        5 => String::new(),
        6 => "{}".to_owned(),
        7 => format!("{{\"id\": 1, \"deep\": {}1{}}}", "[".repeat(2_000), "]".repeat(2_000)),
        _ => "\"text\"".to_owned(),
    }
}
