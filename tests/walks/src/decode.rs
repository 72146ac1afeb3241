//! What a record's bytes mean by the declared record: a literal of SQL for each column, or that the
//! record is refused. Written from the documentation, not from the program's decoder.

use serde_json::Value as Json;

use crate::decimal::Decimal;
use crate::json_text::{Node, Value, parse};
use crate::shape::{Field, Kind, Rules, element_fields, element_type};

/// `text:`, what is done to texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cleaning {
    pub trim: bool,
    pub remove_nul: bool,
    pub max_length: Option<usize>,
}

impl Cleaning {
    pub fn of(pipeline: &Json) -> Self {
        let text = &pipeline["text"];
        Self {
            trim: text["trim"].as_bool().unwrap_or_default(),
            remove_nul: text["remove_nul"].as_bool().unwrap_or_default(),
            max_length: text["max_length"].as_u64().map(|length| length as usize),
        }
    }

    fn clean(self, text: &str) -> String {
        let text = self.whole(text);
        match self.max_length {
            Some(length) => text.chars().take(length).collect(),
            None => text,
        }
    }

    /// What stands for a time, a UUID or bytes is not cut: it would be another one.
    fn whole(self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.remove_nul {
            text.retain(|character| character != '\0');
        }
        if self.trim {
            text = text.trim().to_owned();
        }
        text
    }
}

/// Why a record is refused.
pub type Refused = String;

/// A literal for each column that [`crate::shape::columns`] names, in its order.
pub fn decode(
    bytes: &[u8],
    fields: &[Field],
    cleaning: Cleaning,
    max_bytes: usize,
) -> Result<Vec<String>, Refused> {
    if bytes.len() > max_bytes {
        return Err("too long".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "no UTF-8".to_owned())?;
    let document = parse(text).ok_or("no JSON")?;
    let mut literals = Vec::new();
    object(Some(&document), fields, cleaning, "", &mut literals)?;
    Ok(literals)
}

/// None is an optional object that is missing: its columns are NULL.
fn object(
    node: Option<&Node>,
    fields: &[Field],
    cleaning: Cleaning,
    above: &str,
    literals: &mut Vec<String>,
) -> Result<(), Refused> {
    let entries = match node.map(|node| &node.value) {
        None => None,
        Some(Value::Object(entries)) => Some(entries),
        Some(_) => return Err(format!("{above} is no object")),
    };
    for field in fields {
        let path = format!("{above}{}", field.name);
        let found: Vec<&Node> = entries
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key == field.name)
            .map(|(_, node)| node)
            .collect();
        if found.len() > 1 {
            return Err(format!("{path} stands twice"));
        }
        let present = found.first().copied().filter(|node| node.value != Value::Null);
        if present.is_none() && field.required && entries.is_some() {
            return Err(format!("{path} is missing"));
        }
        match &field.kind {
            Kind::Object(inner) => object(present, inner, cleaning, &format!("{path}."), literals)?,
            Kind::Scalar(name) => literals.push(match present {
                Some(node) => scalar(node, name, &field.rules, cleaning)
                    .map_err(|reason| format!("{path}: {reason}"))?,
                None => "NULL".to_owned(),
            }),
            Kind::List(element) => literals.push(match present {
                Some(node) => list(node, element, &field.rules, cleaning, &path)?,
                None => "NULL".to_owned(),
            }),
        }
    }
    Ok(())
}

fn list(
    node: &Node,
    element: &Field,
    rules: &Rules,
    cleaning: Cleaning,
    path: &str,
) -> Result<String, Refused> {
    let Value::List(items) = &node.value else { return Err(format!("{path} is no list")) };
    length(items.len(), rules).map_err(|reason| format!("{path}: {reason}"))?;
    let mut literals = Vec::new();
    for item in items {
        if item.value == Value::Null {
            return Err(format!("{path} holds a null"));
        }
        literals.push(match &element.kind {
            Kind::Scalar(name) => scalar(item, name, &element.rules, cleaning)
                .map_err(|reason| format!("{path}: {reason}"))?,
            Kind::Object(_) | Kind::List(_) => {
                let mut inner = Vec::new();
                object(Some(item), element_fields(element), cleaning, path, &mut inner)?;
                format!("ROW({})::model.{}", inner.join(", "), element_type(path))
            }
        });
    }
    let sql_type = match &element.kind {
        Kind::Scalar(name) => name.clone(),
        Kind::Object(_) | Kind::List(_) => format!("model.{}", element_type(path)),
    };
    Ok(format!("ARRAY[{}]::{sql_type}[]", literals.join(", ")))
}

fn length(length: usize, rules: &Rules) -> Result<(), Refused> {
    let fits = rules.min_length.is_none_or(|least| length >= least)
        && rules.max_length.is_none_or(|most| length <= most);
    if fits { Ok(()) } else { Err(format!("its length is {length}")) }
}

fn scalar(node: &Node, name: &str, rules: &Rules, cleaning: Cleaning) -> Result<String, Refused> {
    let (base, arguments) = split_type(name);
    let wrong = || Err(format!("{} is no {name}", node.raw.chars().take(40).collect::<String>()));
    match (base, &node.value) {
        ("BOOLEAN", Value::Boolean(value)) => Ok(value.to_string()),
        ("BOOLEAN", Value::Text(text))
            if rules.coerce && matches!(text.trim(), "true" | "false") =>
        {
            Ok(text.trim().to_owned())
        }
        (
            "SMALLINT" | "INTEGER" | "BIGINT" | "NUMERIC" | "REAL" | "DOUBLE PRECISION",
            Value::Number(text),
        ) => number(text, base, &arguments, rules),
        (
            "SMALLINT" | "INTEGER" | "BIGINT" | "NUMERIC" | "REAL" | "DOUBLE PRECISION",
            Value::Text(text),
        ) if rules.coerce => number(text.trim(), base, &arguments, rules),
        ("TEXT" | "VARCHAR", Value::Text(text)) => {
            let text = cleaning.clean(text);
            if text.contains('\0') || (!rules.allowed.is_empty() && !rules.allowed.contains(&text))
            {
                return wrong();
            }
            let characters = text.chars().count();
            length(characters, rules)?;
            if arguments.first().is_some_and(|most| characters > *most as usize) {
                wrong()
            } else {
                Ok(quoted(&text))
            }
        }
        // Without a zone it is UTC; with one, TIMESTAMP is the time in UTC.
        ("TIMESTAMP", Value::Text(text)) if is_time(&cleaning.whole(text)) => {
            Ok(format!("({}::timestamptz AT TIME ZONE 'UTC')", quoted(&cleaning.whole(text))))
        }
        ("TIMESTAMPTZ", Value::Text(text)) if is_time(&cleaning.whole(text)) => {
            Ok(format!("{}::timestamptz", quoted(&cleaning.whole(text))))
        }
        ("DATE", Value::Text(text)) if is_date(&cleaning.whole(text)) => {
            Ok(format!("{}::date", quoted(&cleaning.whole(text))))
        }
        ("TIME", Value::Text(text)) if is_clock(&cleaning.whole(text)) => {
            Ok(format!("{}::time", quoted(&cleaning.whole(text))))
        }
        ("UUID", Value::Text(text)) => Ok(format!("{}::uuid", quoted(&cleaning.whole(text)))),
        ("BYTEA", Value::Text(text))
            if text.len().is_multiple_of(4)
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)) =>
        {
            Ok(format!("decode({}, 'base64')", quoted(text)))
        }
        ("JSONB", _) => Ok(format!("{}::jsonb", quoted(&node.raw))),
        _ => wrong(),
    }
}

fn number(text: &str, base: &str, arguments: &[u32], rules: &Rules) -> Result<String, Refused> {
    let decimal = Decimal::parse(text).ok_or_else(|| format!("{text} is no number"))?;
    let bound = |bound: &Option<String>| bound.as_deref().and_then(Decimal::parse);
    let outside = bound(&rules.minimum).is_some_and(|least| decimal < least)
        || bound(&rules.maximum).is_some_and(|most| decimal > most);
    let whole = |least: &str, most: &str| {
        let ends = [least, most].map(|end| Decimal::parse(end).unwrap_or_default());
        decimal.decimals() == 0 && decimal >= ends[0] && decimal <= ends[1]
    };
    let fits = match base {
        "SMALLINT" => whole("-32768", "32767"),
        "INTEGER" => whole("-2147483648", "2147483647"),
        "BIGINT" => whole("-9223372036854775808", "9223372036854775807"),
        "NUMERIC" => {
            let (precision, scale) = match arguments {
                [] => (38, 18),
                [precision] => (*precision, 0),
                [precision, scale, ..] => (*precision, *scale),
            };
            decimal.decimals() <= scale as usize
                && decimal.whole_digits() <= (precision - scale) as usize
        }
        "REAL" => text.parse::<f32>().is_ok_and(f32::is_finite),
        _ => text.parse::<f64>().is_ok_and(f64::is_finite),
    };
    if outside || !fits {
        return Err(format!("{text} does not fit"));
    }
    Ok(if matches!(base, "REAL" | "DOUBLE PRECISION") {
        format!("'{text}'::{base}")
    } else {
        format!("'{decimal}'::{base}")
    })
}

/// `NUMERIC(10,2)` as its name and its numbers.
pub fn split_type(name: &str) -> (&str, Vec<u32>) {
    match name.split_once('(') {
        Some((base, arguments)) => (
            base.trim(),
            arguments
                .trim_end_matches(')')
                .split(',')
                .filter_map(|number| number.trim().parse().ok())
                .collect(),
        ),
        None => (name, Vec::new()),
    }
}

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `0000-00-00` in shape; whether there is such a day PostgreSQL says.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() }
        })
}

/// `00:00`, `00:00:00` or `00:00:00.0` in shape, without a zone.
fn is_clock(text: &str) -> bool {
    let (clock, fraction) =
        text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let has_shape = clock
        .bytes()
        .enumerate()
        .all(|(at, byte)| if at % 3 == 2 { byte == b':' } else { byte.is_ascii_digit() });
    let is_fraction =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    has_shape
        && (clock.len() == 8 || clock.len() == 5 && fraction.is_none())
        && fraction.is_none_or(is_fraction)
}

fn is_time(text: &str) -> bool {
    let Some(date) = text.get(..10).filter(|date| is_date(date)) else { return false };
    let rest = &text[date.len()..];
    if rest.is_empty() {
        return true;
    }
    let Some(time) = rest.strip_prefix(['T', 't', ' ']) else { return false };
    let end = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let (clock, fraction) =
        clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<&str> = clock.split(':').collect();
    let two = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction_fits = fraction.is_none_or(|digits| {
        parts.len() == 3 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let zone_fits = match zone.strip_prefix(['+', '-']) {
        Some(offset) => {
            let (hours, minutes) = offset.split_at_checked(2).unwrap_or((offset, ""));
            let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
            two(&hours) && (two(&minutes) || offset.len() == 2)
        }
        None => zone.len() <= 1,
    };
    matches!(parts.len(), 2 | 3) && parts.iter().all(two) && fraction_fits && zone_fits
}
