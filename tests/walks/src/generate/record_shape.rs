//! A random `record:`: fields of every type, nested, in lists, optional, with rules.

use serde_json::{Map, Value as Json, json};

use crate::chance::Chance;

/// What kind of SQL value a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Integer,
    Big,
    Numeric,
    Text,
    Boolean,
    Timestamp,
    Timestamptz,
    Date,
    Time,
    Uuid,
    Json,
    Bytes,
    Double,
    Real,
}

/// A value that SQL can name.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: String,
    pub class: Class,
}

/// A list of the record: of scalars, or of objects with these fields.
#[derive(Debug, Clone)]
pub struct ListSource {
    pub path: String,
    pub of: Element,
}

#[derive(Debug, Clone)]
pub enum Element {
    Scalar(Class),
    Object(Vec<Source>),
}

#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub declared: Json,
    pub sources: Vec<Source>,
    pub lists: Vec<ListSource>,
}

const CLASSES: [(Class, u32); 14] = [
    (Class::Integer, 20),
    (Class::Big, 8),
    (Class::Numeric, 20),
    (Class::Text, 20),
    (Class::Boolean, 6),
    (Class::Timestamp, 8),
    (Class::Timestamptz, 8),
    (Class::Date, 4),
    (Class::Time, 3),
    (Class::Uuid, 3),
    (Class::Json, 3),
    (Class::Bytes, 2),
    (Class::Double, 2),
    (Class::Real, 1),
];

/// A class of which SQL can write a value without a column to take it from.
pub fn class_with_literal(chance: &mut Chance, sources: &[Source]) -> Class {
    loop {
        let class = class(chance);
        if !matches!(class, Class::Json | Class::Bytes)
            || sources.iter().any(|source| source.class == class)
        {
            return class;
        }
    }
}

pub fn class(chance: &mut Chance) -> Class {
    let mut left = chance.below(CLASSES.iter().map(|(_, weight)| *weight as usize).sum());
    for (class, weight) in CLASSES {
        if left < weight as usize {
            return class;
        }
        left -= weight as usize;
    }
    Class::Integer
}

pub fn shape(chance: &mut Chance) -> Shape {
    let mut shape = Shape::default();
    let mut declared = Map::new();
    declared.insert("id".to_owned(), json!("BIGINT"));
    shape.sources.push(Source { path: "id".to_owned(), class: Class::Big });
    let mut number = 0;
    for _ in 0..chance.between(2, 7) {
        field(chance, &mut declared, "", &mut shape, &mut number);
    }
    if chance.percent(35) {
        number += 1;
        let name = format!("o{number}");
        let mut inner = Map::new();
        for _ in 0..chance.between(1, 3) {
            field(chance, &mut inner, &format!("{name}."), &mut shape, &mut number);
        }
        if chance.percent(25) {
            let deep = format!("o{}", number + 1);
            number += 1;
            let mut innermost = Map::new();
            field(chance, &mut innermost, &format!("{name}.{deep}."), &mut shape, &mut number);
            inner.insert(optional(chance, deep), Json::Object(innermost));
        }
        declared.insert(optional(chance, name), Json::Object(inner));
    }
    for _ in 0..*chance.pick(&[0, 0, 1, 1, 2]) {
        number += 1;
        let name = format!("l{number}");
        let (element, of) = if chance.percent(50) {
            let class = *chance.pick(&[Class::Text, Class::Integer, Class::Numeric]);
            (type_of(chance, class), Element::Scalar(class))
        } else {
            let mut inner = Map::new();
            let mut own = Shape::default();
            for _ in 0..chance.between(1, 3) {
                field(chance, &mut inner, "", &mut own, &mut number);
            }
            (Json::Object(inner), Element::Object(own.sources))
        };
        let written = if chance.percent(20) {
            json!({ "type": "LIST", "items": element, "max_length": 3 })
        } else {
            json!([element])
        };
        declared.insert(optional(chance, name.clone()), written);
        shape.lists.push(ListSource { path: name, of });
    }
    shape.declared = Json::Object(declared);
    shape
}

fn optional(chance: &mut Chance, name: String) -> String {
    if chance.percent(60) { name + "?" } else { name }
}

fn field(
    chance: &mut Chance,
    declared: &mut Map<String, Json>,
    above: &str,
    shape: &mut Shape,
    number: &mut usize,
) {
    *number += 1;
    let class = class(chance);
    let name = format!("{}{number}", letter(class));
    shape.sources.push(Source { path: format!("{above}{name}"), class });
    let declared_type = type_of(chance, class);
    declared.insert(optional(chance, name), declared_type);
}

fn letter(class: Class) -> &'static str {
    match class {
        Class::Integer | Class::Big => "i",
        Class::Numeric => "n",
        Class::Text => "t",
        Class::Boolean => "b",
        Class::Timestamp | Class::Timestamptz => "at",
        Class::Date => "d",
        Class::Time => "c",
        Class::Uuid => "u",
        Class::Json => "j",
        Class::Bytes => "y",
        Class::Double | Class::Real => "f",
    }
}

/// A type, sometimes with rules.
fn type_of(chance: &mut Chance, class: Class) -> Json {
    let name = match class {
        Class::Integer => *chance.pick(&["INTEGER", "INTEGER", "SMALLINT"]),
        Class::Big => "BIGINT",
        Class::Numeric => {
            *chance.pick(&["NUMERIC", "NUMERIC", "NUMERIC(10,2)", "NUMERIC(20,6)", "NUMERIC(38,0)"])
        }
        Class::Text => *chance.pick(&["TEXT", "TEXT", "VARCHAR(12)"]),
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
    if !chance.percent(15) {
        return json!(name);
    }
    match class {
        Class::Integer | Class::Big | Class::Numeric => match chance.below(3) {
            0 => json!({ "type": name, "minimum": 0 }),
            1 => json!({ "type": name, "minimum": -5, "maximum": 1000 }),
            _ => json!({ "type": name, "coerce": true }),
        },
        Class::Text => match chance.below(3) {
            0 => json!({ "type": name, "min_length": 1 }),
            1 => json!({ "type": name, "max_length": 6 }),
            _ => json!({ "type": name, "enum": ["a", "b", "purchase"] }),
        },
        _ => json!(name),
    }
}

pub fn cleaning(chance: &mut Chance) -> Json {
    let mut text = Map::new();
    if chance.percent(60) {
        text.insert("trim".to_owned(), json!(true));
    }
    if chance.percent(60) {
        text.insert("remove_nul".to_owned(), json!(true));
    }
    if chance.percent(40) || text.is_empty() {
        text.insert("max_length".to_owned(), json!(chance.between(4, 30)));
    }
    Json::Object(text)
}
