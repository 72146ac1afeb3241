//! Writes one body as JSON text. Where a field is to be bad, everything on the way to it is there.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;

use super::damage::{Change, FieldDamage};
use super::maker::{FieldMaker, Maker};
use super::memory::Memory;
use duto_definition::record::When;

const WORDS: [&str; 16] = [
    "azul", "norte", "café", "river", "stone", "manhã", "copper", "lima", "vento", "paper",
    "harbor", "sol", "ponte", "meadow", "rua", "lume",
];
/// Of base64; any of them may stand anywhere in a whole group.
const DIGITS: [char; 8] = ['A', 'Q', 'b', 'w', '7', '+', '/', 'Z'];

/// So many seconds behind the last time, or so many ago; never in the future.
fn later_time(last: Option<&str>, later_seconds: u64, ago_seconds: u64) -> String {
    let now = Utc::now();
    let last =
        last.and_then(|last| DateTime::parse_from_rfc3339(last).ok()).map(|last| last.to_utc());
    let time = match last {
        Some(last) => last + TimeDelta::seconds(later_seconds as i64),
        None => now - TimeDelta::seconds(ago_seconds as i64),
    };
    time.min(now).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// One body being written.
pub struct Writer<'a> {
    body: String,
    random: &'a mut StdRng,
    /// The record's number, from which sequences count.
    record: u64,
    /// The place in the innermost list.
    index: u32,
    damage: Option<&'a FieldDamage>,
    memory: &'a mut Memory,
}

impl<'a> Writer<'a> {
    pub fn new(
        random: &'a mut StdRng,
        memory: &'a mut Memory,
        record: u64,
        damage: Option<&'a FieldDamage>,
    ) -> Self {
        memory.begin();
        Self { body: String::with_capacity(256), random, record, index: 0, damage, memory }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.body.into_bytes()
    }

    pub fn object(&mut self, fields: &[FieldMaker]) {
        self.body.push('{');
        let start = self.body.len();
        for field in fields {
            let on_the_way = self.on_the_way(field);
            let is_there = self.is_wanted(field) && self.random.random_bool(field.probability);
            if !on_the_way && !is_there {
                continue;
            }
            match self.change(field) {
                Some(Change::Omit) => {}
                Some(Change::Replace(value)) => {
                    self.name(start, &field.name);
                    self.body.push_str(value);
                }
                Some(Change::Twice) => {
                    for _ in 0..2 {
                        self.name(start, &field.name);
                        self.value(&field.maker);
                    }
                }
                None => {
                    self.name(start, &field.name);
                    let value = self.body.len();
                    self.field_value(field, on_the_way);
                    self.remember(field, value);
                }
            }
        }
        self.body.push('}');
    }

    /// Whether the field's condition holds, if it has one.
    fn is_wanted(&self, field: &FieldMaker) -> bool {
        let holds = |when: &When| {
            self.memory
                .value(&when.field)
                .is_some_and(|value| when.values.iter().any(|wanted| wanted == value))
        };
        field.when.as_ref().is_none_or(holds)
    }

    fn field_value(&mut self, field: &FieldMaker, on_the_way: bool) {
        match &field.maker {
            Maker::OneObjectOf { fields, .. } if on_the_way => self.object(fields),
            Maker::KeptBy { field: other, renewed } => {
                let with = self.memory.value(other).unwrap_or_default().to_owned();
                let (renew, fresh) = (self.random.random_bool(*renewed), self.uuid());
                let kept = self.memory.kept(field.number, &with, renew, || fresh);
                self.quoted(&kept);
            }
            Maker::Alive { from, count } => {
                let place = self.random.random_range(0..*count) as usize;
                let number =
                    self.memory.living(field.number, &field.path, place, *count as usize, *from);
                let _ = write!(self.body, "{number}");
            }
            Maker::KeptOneOf { field: other, values } => {
                let with = self.memory.value(other).unwrap_or_default().to_owned();
                let choice = self.random.random_range(0..values.len().max(1));
                let chosen = self.memory.kept(field.number, &with, false, || {
                    values.get(choice).cloned().unwrap_or_default()
                });
                self.body.push_str(&chosen);
            }
            Maker::Steps { field: other, steps } => self.step(field.number, other, steps),
            Maker::Later { field: other, least_seconds, most_seconds, ago_seconds } => {
                let with = self.memory.value(other).unwrap_or_default().to_owned();
                let (later, ago) = (
                    self.random.random_range(*least_seconds..=*most_seconds),
                    self.random.random_range(0..=*ago_seconds),
                );
                let time =
                    self.memory.go_on(field.number, &with, |last| later_time(last, later, ago));
                self.quoted(&time);
            }
            maker => self.value(maker),
        }
    }

    /// The next step of the value that another field has, or its first one.
    fn step(&mut self, number: usize, other: &str, steps: &[(String, Vec<String>)]) {
        let with = self.memory.value(other).unwrap_or_default().to_owned();
        let following = |step: &str| {
            steps
                .iter()
                .find(|(from, _)| from == step)
                .map_or(&[][..], |(_, following)| following.as_slice())
        };
        let random = &mut self.random;
        let first = || steps.first().map(|(step, _)| step.clone()).unwrap_or_default();
        let step = self.memory.go_on(number, &with, |last| match last.map(following) {
            Some(choice) if !choice.is_empty() => {
                choice[random.random_range(0..choice.len())].clone()
            }
            _ => first(),
        });
        if following(&step).is_empty() {
            self.memory.end(other, &with);
        }
        self.quoted(&step);
    }

    fn remember(&mut self, field: &FieldMaker, start: usize) {
        if !field.remembered || field.path.is_empty() {
            return;
        }
        let json = self.body.get(start..).unwrap_or_default();
        match field.maker {
            Maker::OneObjectOf { .. } => self.memory.remember_object(&field.path, json),
            _ => self.memory.remember(&field.path, json),
        }
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.random.random()).into_uuid().to_string()
    }

    fn name(&mut self, start: usize, name: &str) {
        if self.body.len() > start {
            self.body.push_str(", ");
        }
        self.quoted(name);
        self.body.push_str(": ");
    }

    fn value(&mut self, maker: &Maker) {
        match maker {
            Maker::Sequence { from, quoted } => {
                self.units(i128::from(*from) + i128::from(self.record), 0, *quoted)
            }
            Maker::Index { from, quoted } => {
                self.units(i128::from(*from) + i128::from(self.index), 0, *quoted)
            }
            Maker::Between { low, high, decimals, quoted } => {
                let units = self.random.random_range(*low..=*high);
                self.units(units, *decimals, *quoted);
            }
            Maker::OneOf(values) | Maker::OneObjectOf { objects: values, .. } => {
                let choice = self.random.random_range(0..values.len().max(1));
                self.body.push_str(values.get(choice).map_or("null", String::as_str));
            }
            Maker::Boolean => {
                let yes = self.random.random_bool(0.5);
                self.body.push_str(if yes { "true" } else { "false" });
            }
            Maker::Words { least, most } => self.words(*least as usize, *most as usize),
            Maker::Today => self.quoted(&Utc::now().format("%Y-%m-%d").to_string()),
            Maker::Now => self.quoted(&Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)),
            Maker::Uuid => {
                let uuid = self.uuid();
                self.quoted(&uuid);
            }
            Maker::Numbered { prefix, from, to, digits } => {
                let number = self.random.random_range(*from..=*to);
                self.quoted(&format!("{prefix}{number:0digits$}"));
            }
            // Of a list's element nothing is kept.
            Maker::Alive { from, .. } => {
                self.units(i128::from(*from) + i128::from(self.record), 0, false)
            }
            Maker::KeptOneOf { values, .. } => {
                let choice = self.random.random_range(0..values.len().max(1));
                self.body.push_str(values.get(choice).map_or("null", String::as_str));
            }
            Maker::Steps { steps, .. } => {
                let choice = self.random.random_range(0..steps.len().max(1));
                self.quoted(steps.get(choice).map_or("", |(step, _)| step.as_str()));
            }
            Maker::Later { .. } => {
                self.quoted(&Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true))
            }
            Maker::KeptBy { .. } => {
                let uuid = self.uuid();
                self.quoted(&uuid);
            }
            Maker::ProductOf(paths) => match self.memory.product(paths) {
                Some((units, decimals)) => self.units(units, decimals, false),
                None => self.body.push('0'),
            },
            Maker::Document => {
                let count = self.random.random_range(1..100);
                let _ = write!(self.body, "{{\"count\": {count}, \"tags\": [\"a\", \"b\"]}}");
            }
            Maker::Bytes { least, most } => self.base64(*least as usize, *most as usize),
            Maker::Object(fields) => self.object(fields),
            Maker::List { element, least, most } => self.list(element, *least, *most),
        }
    }

    fn list(&mut self, element: &FieldMaker, least: u32, most: u32) {
        let mut count = self.random.random_range(least..=most);
        if self.on_the_way(element) {
            count = count.max(1);
        }
        let outer_index = self.index;
        self.body.push('[');
        for index in 0..count {
            self.index = index;
            if index > 0 {
                self.body.push_str(", ");
            }
            match self.change(element) {
                Some(Change::Replace(value)) => self.body.push_str(value),
                _ => self.value(&element.maker),
            }
        }
        self.body.push(']');
        self.index = outer_index;
    }

    /// A decimal from its units of the last place.
    fn units(&mut self, units: i128, decimals: u32, quoted: bool) {
        let quote = if quoted { "\"" } else { "" };
        let sign = if units < 0 { "-" } else { "" };
        let magnitude = units.unsigned_abs();
        let _ = match 10_u128.checked_pow(decimals).filter(|_| decimals > 0) {
            Some(unit) => {
                let (whole, part, width) = (magnitude / unit, magnitude % unit, decimals as usize);
                write!(self.body, "{quote}{sign}{whole}.{part:0width$}{quote}")
            }
            None => write!(self.body, "{quote}{sign}{magnitude}{quote}"),
        };
    }

    /// Words of so many characters in all.
    fn words(&mut self, least: usize, most: usize) {
        let wanted = self.random.random_range(least..=most);
        let mut text = String::new();
        while text.chars().count() < wanted {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(
                WORDS.get(self.random.random_range(0..WORDS.len())).copied().unwrap_or_default(),
            );
        }
        // A space at the end would be lost to trimming, and with it the least length.
        let mut cut: String = text.chars().take(wanted).collect();
        if cut.ends_with(' ') {
            cut.pop();
            cut.push('s');
        }
        self.quoted(&cut);
    }

    fn base64(&mut self, least: usize, most: usize) {
        let bytes = self.random.random_range(least..=most);
        self.body.push('"');
        for _ in 0..bytes / 3 * 4 {
            self.body.push(DIGITS[self.random.random_range(0..DIGITS.len())]);
        }
        self.body.push_str(match bytes % 3 {
            0 => "",
            1 => "Zg==",
            _ => "Zm8=",
        });
        self.body.push('"');
    }

    fn quoted(&mut self, text: &str) {
        self.body.push_str(&Value::from(text).to_string());
    }

    /// What is done to this field, if it is the one that is to be bad.
    fn change(&self, field: &FieldMaker) -> Option<&'a Change> {
        self.damage.filter(|damage| damage.field == field.number).map(|damage| &damage.change)
    }

    /// Whether the field that is to be bad is this one or stands below it.
    fn on_the_way(&self, field: &FieldMaker) -> bool {
        self.damage.is_some_and(|damage| (field.number..field.end).contains(&damage.field))
    }
}
