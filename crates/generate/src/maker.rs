//! How each field's values are made: its hint, else what its type and rules allow.

use serde_json::Value;

use duto_definition::column_type::{UNCONSTRAINED_SCALE, ValueKind};
use duto_definition::record::{GenerateHint, When};
use duto_definition::{ColumnType, Field, Kind, Problem};
use duto_stages::decode::rounded_units;

/// How often an optional key is there when nothing is said.
const DEFAULT_PROBABILITY: f64 = 0.8;
/// How wide a range of numbers is where only one end, or none, is declared.
const DEFAULT_SPREAD: i128 = 1000;
/// How many elements a list gets beyond its least.
const DEFAULT_ELEMENTS: u32 = 4;
/// Decimals of a price.
const DEFAULT_DECIMALS: u32 = 2;

/// One key of an object and how its value is made.
#[derive(Debug, Clone)]
pub struct FieldMaker {
    /// Counted through the whole record, parents first.
    pub number: usize,
    /// The numbers behind the last one below this field.
    pub end: usize,
    pub name: String,
    /// From the top of the record; empty within a list.
    pub path: String,
    /// Whether another field looks at its value, or at one below it.
    pub remembered: bool,
    pub probability: f64,
    pub when: Option<When>,
    pub maker: Maker,
}

/// How a value is made.
#[derive(Debug, Clone)]
pub enum Maker {
    Sequence {
        from: i64,
        quoted: bool,
    },
    Index {
        from: i64,
        quoted: bool,
    },
    /// In units of the last decimal, inclusive.
    Between {
        low: i128,
        high: i128,
        decimals: u32,
        quoted: bool,
    },
    /// JSON texts.
    OneOf(Vec<String>),
    Boolean,
    /// In characters.
    Words {
        least: u32,
        most: u32,
    },
    Today,
    Now,
    Uuid,
    Document,
    Bytes {
        least: u32,
        most: u32,
    },
    Object(Vec<FieldMaker>),
    /// One of these JSON objects; by its fields where one of them is to be bad.
    OneObjectOf {
        objects: Vec<String>,
        fields: Vec<FieldMaker>,
    },
    Numbered {
        prefix: String,
        from: u64,
        to: u64,
        digits: usize,
    },
    KeptBy {
        field: String,
        renewed: f64,
    },
    ProductOf(Vec<String>),
    /// So many numbers at a time.
    Alive {
        from: i64,
        count: u32,
    },
    /// One of these JSON texts, the same for one value of the field.
    KeptOneOf {
        field: String,
        values: Vec<String>,
    },
    /// Texts and those that may follow them.
    Steps {
        field: String,
        steps: Vec<(String, Vec<String>)>,
    },
    Later {
        field: String,
        least_seconds: u64,
        most_seconds: u64,
        ago_seconds: u64,
    },
    List {
        element: Box<FieldMaker>,
        least: u32,
        most: u32,
    },
}

/// The makers of a record's fields, or every problem that its hints have.
pub fn makers(fields: &[Field]) -> Result<Vec<FieldMaker>, Vec<Problem>> {
    let mut problems = Vec::new();
    let looked_at: Vec<String> = fields.iter().flat_map(looked_at).collect();
    let mut makers = object(fields, &mut 0, &mut problems);
    let mut known = Vec::new();
    set_paths(&mut makers, "", &looked_at, &mut known);
    for field in fields {
        unknown_paths(field, &known, &mut problems);
    }
    if problems.is_empty() { Ok(makers) } else { Err(problems) }
}

/// The paths that a field, or one below it, depends on.
fn looked_at(field: &Field) -> Vec<String> {
    let mut paths: Vec<String> =
        field.rules.generate_when.iter().map(|when| when.field.clone()).collect();
    match &field.rules.generate {
        Some(
            GenerateHint::KeptBy { field, .. }
            | GenerateHint::KeptOneOf { field, .. }
            | GenerateHint::Steps { field, .. }
            | GenerateHint::Later { field, .. },
        ) => paths.push(field.clone()),
        Some(GenerateHint::ProductOf(factors)) => paths.extend(factors.iter().cloned()),
        _ => {}
    }
    if let Kind::Object(fields) = &field.kind {
        paths.extend(fields.iter().flat_map(looked_at));
    }
    paths
}

/// Gives every field outside of lists its path, in the order in which they are written.
fn set_paths(
    makers: &mut [FieldMaker],
    above: &str,
    looked_at: &[String],
    known: &mut Vec<String>,
) {
    for maker in makers {
        maker.path =
            if above.is_empty() { maker.name.clone() } else { format!("{above}.{}", maker.name) };
        let below = format!("{}.", maker.path);
        maker.remembered =
            looked_at.iter().any(|path| *path == maker.path || path.starts_with(&below));
        known.push(maker.path.clone());
        let path = maker.path.clone();
        if let Maker::Object(fields) | Maker::OneObjectOf { fields, .. } = &mut maker.maker {
            set_paths(fields, &path, looked_at, known);
        }
    }
}

/// A value can depend only on what is written before it.
fn unknown_paths(field: &Field, known: &[String], problems: &mut Vec<Problem>) {
    let own = known.iter().position(|path| *path == field.name).unwrap_or(known.len());
    for path in looked_at(field) {
        if !known[..own].contains(&path) {
            let span = field
                .rules
                .generate_when
                .as_ref()
                .filter(|when| when.field == path)
                .map_or(field.span, |when| when.span);
            let problem = Problem::new(
                "generate.path.unknown",
                span,
                format!("`{}` is made from `{path}`, which does not stand before it", field.name),
            );
            problems.push(problem.help(
                "name a field of the record that stands before this one, such as product.price",
            ));
        }
    }
}

fn object(fields: &[Field], next: &mut usize, problems: &mut Vec<Problem>) -> Vec<FieldMaker> {
    fields.iter().map(|field| field_maker(field, next, problems)).collect()
}

fn field_maker(field: &Field, next: &mut usize, problems: &mut Vec<Problem>) -> FieldMaker {
    let number = *next;
    *next += 1;
    let probability = match (&field.rules.generate, field.required) {
        (_, true) => 1.0,
        (Some(GenerateHint::Probability(probability)), false) => *probability,
        // Who says how a value is made wants to see it.
        (Some(_), false) => 1.0,
        (None, false) if field.rules.generate_when.is_some() => 1.0,
        (None, false) => DEFAULT_PROBABILITY,
    };
    let made = match &field.kind {
        Kind::Object(fields) => {
            let fields = object(fields, next, problems);
            Ok(match &field.rules.generate {
                Some(GenerateHint::OneOf(objects)) if !objects.is_empty() => Maker::OneObjectOf {
                    objects: objects.iter().map(Value::to_string).collect(),
                    fields,
                },
                _ => Maker::Object(fields),
            })
        }
        Kind::List(element) => {
            let element = Box::new(field_maker(element, next, problems));
            elements(field).map(|(least, most)| Maker::List { element, least, most })
        }
        Kind::Scalar(column_type) => hinted(field, *column_type).and_then(|hinted| match hinted {
            Some(maker) => Ok(maker),
            None => by_type(field, *column_type),
        }),
    };
    let maker = made.unwrap_or_else(|problem| {
        problems.push(problem);
        Maker::Boolean
    });
    FieldMaker {
        number,
        end: *next,
        name: field.name.clone(),
        path: String::new(),
        remembered: false,
        probability: probability.clamp(0.0, 1.0),
        when: field.rules.generate_when.clone(),
        maker,
    }
}

/// How many elements a list gets, least and most.
fn elements(field: &Field) -> Result<(u32, u32), Problem> {
    let (least, most) = match field.rules.generate {
        Some(GenerateHint::Length { low, high }) => (low, high),
        _ => {
            let most = field.rules.max_length.unwrap_or(u32::MAX);
            let least = field.rules.min_length.unwrap_or(most.min(1));
            (least, most.min(least.saturating_add(DEFAULT_ELEMENTS)))
        }
    };
    if least > most { Err(empty_range(field)) } else { Ok((least, most)) }
}

fn hinted(field: &Field, column_type: ColumnType) -> Result<Option<Maker>, Problem> {
    let quoted = !column_type.is_number();
    Ok(Some(match &field.rules.generate {
        Some(GenerateHint::Sequence { from }) => Maker::Sequence { from: *from, quoted },
        Some(GenerateHint::Index { from }) => Maker::Index { from: *from, quoted },
        Some(GenerateHint::Between { low, high, decimals }) => {
            let end = |end: &str, up| {
                let problem = || {
                    Problem::new(
                        "generate.between.number",
                        field.span,
                        format!("`{end}` is not a number"),
                    )
                };
                rounded_units(end, *decimals, up).ok_or_else(problem)
            };
            between(field, end(low, true)?, end(high, false)?, *decimals, quoted)?
        }
        Some(GenerateHint::OneOf(values)) if values.is_empty() => {
            return Err(Problem::new(
                "generate.one_of.empty",
                field.span,
                format!("`{}` has no value to choose from", field.name),
            ));
        }
        Some(GenerateHint::OneOf(values)) => {
            Maker::OneOf(values.iter().map(Value::to_string).collect())
        }
        Some(GenerateHint::Uuid) => Maker::Uuid,
        Some(GenerateHint::Numbered { prefix, from, to, digits }) => {
            Maker::Numbered { prefix: prefix.clone(), from: *from, to: *to, digits: *digits }
        }
        Some(GenerateHint::KeptBy { field, renewed }) => {
            Maker::KeptBy { field: field.clone(), renewed: *renewed }
        }
        Some(GenerateHint::ProductOf(paths)) => Maker::ProductOf(paths.clone()),
        Some(GenerateHint::Alive { from, count }) => Maker::Alive { from: *from, count: *count },
        Some(GenerateHint::KeptOneOf { field, values }) => Maker::KeptOneOf {
            field: field.clone(),
            values: values.iter().map(Value::to_string).collect(),
        },
        Some(GenerateHint::Steps { field, steps }) => {
            Maker::Steps { field: field.clone(), steps: steps.clone() }
        }
        Some(GenerateHint::Later { field, least_seconds, most_seconds, ago_seconds }) => {
            Maker::Later {
                field: field.clone(),
                least_seconds: *least_seconds,
                most_seconds: *most_seconds,
                ago_seconds: *ago_seconds,
            }
        }
        Some(GenerateHint::Length { .. } | GenerateHint::Probability(_)) | None => return Ok(None),
    }))
}

fn by_type(field: &Field, column_type: ColumnType) -> Result<Maker, Problem> {
    let rules = &field.rules;
    Ok(match column_type.values() {
        ValueKind::Boolean => Maker::Boolean,
        ValueKind::SmallInt => number(field, 0, i16::MAX.into())?,
        ValueKind::Integer => number(field, 0, i32::MAX.into())?,
        ValueKind::BigInt => number(field, 0, i64::MAX.into())?,
        ValueKind::Real | ValueKind::DoublePrecision => {
            number(field, DEFAULT_DECIMALS, i128::from(i32::MAX))?
        }
        ValueKind::Numeric(limits) => {
            let (precision, scale) =
                limits.unwrap_or((UNCONSTRAINED_SCALE.unsigned_abs(), UNCONSTRAINED_SCALE));
            let decimals = DEFAULT_DECIMALS.min(scale.max(0).unsigned_abs().into());
            let whole_digits =
                u32::from(precision).saturating_sub(scale.max(0).unsigned_abs().into());
            let digits = limits.map_or(u32::from(precision), |_| whole_digits + decimals);
            number(
                field,
                decimals,
                10_i128.checked_pow(digits).map_or(i128::MAX, |limit| limit - 1),
            )?
        }
        ValueKind::Text(_) if !rules.allowed.is_empty() => Maker::OneOf(
            rules.allowed.iter().map(|text| Value::from(text.as_str()).to_string()).collect(),
        ),
        ValueKind::Text(_) | ValueKind::Jsonb | ValueKind::Formed(_) if rules.example.is_some() => {
            Maker::OneOf(rules.example.iter().map(Value::to_string).collect())
        }
        ValueKind::Text(most) => words(field, most.unwrap_or(u32::MAX))?,
        ValueKind::Date => Maker::Today,
        ValueKind::Timestamp | ValueKind::Timestamptz => Maker::Now,
        ValueKind::Formed(_) if column_type == ColumnType::Uuid => Maker::Uuid,
        ValueKind::Formed(form) => {
            Maker::OneOf(form.examples.iter().map(|text| Value::from(*text).to_string()).collect())
        }
        ValueKind::Jsonb => Maker::Document,
        ValueKind::Bytea => {
            let (least, most) = lengths(field, u32::MAX, 12)?;
            Maker::Bytes { least, most }
        }
    })
}

/// A number within the declared ends; `limit` is the type's own, in units of the last decimal.
fn number(field: &Field, decimals: u32, limit: i128) -> Result<Maker, Problem> {
    let end = |bound: &Option<String>, up| {
        bound.as_ref().and_then(|bound| rounded_units(bound, decimals, up))
    };
    let unit = 10_i128.pow(decimals);
    let spread = DEFAULT_SPREAD * unit;
    let (low, high) = match (end(&field.rules.minimum, true), end(&field.rules.maximum, false)) {
        (Some(low), Some(high)) => (low, high),
        (Some(low), None) => (low, low.saturating_add(spread)),
        (None, Some(high)) => (unit.min(high.saturating_sub(spread)), high),
        (None, None) => (unit, spread),
    };
    between(field, low.clamp(-limit, limit), high.clamp(-limit, limit), decimals, false)
}

fn between(
    field: &Field,
    low: i128,
    high: i128,
    decimals: u32,
    quoted: bool,
) -> Result<Maker, Problem> {
    if low > high {
        Err(empty_range(field))
    } else {
        Ok(Maker::Between { low, high, decimals, quoted })
    }
}

fn words(field: &Field, limit: u32) -> Result<Maker, Problem> {
    let (least, most) = lengths(field, limit, 24)?;
    Ok(Maker::Words { least, most })
}

fn lengths(field: &Field, limit: u32, usual: u32) -> Result<(u32, u32), Problem> {
    let most = field.rules.max_length.unwrap_or(u32::MAX).min(limit);
    let least = field.rules.min_length.unwrap_or(most.min(1));
    if least > most { Err(empty_range(field)) } else { Ok((least, most.min(least.max(usual)))) }
}

fn empty_range(field: &Field) -> Problem {
    Problem::new(
        "generate.range.empty",
        field.span,
        format!("no value of `{}` lies between its least and its most", field.name),
    )
}
