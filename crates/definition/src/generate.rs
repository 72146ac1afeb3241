//! `generate:`, a stream of plausible records.

use super::Pipeline;
use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::walk::Fields;

/// `generate:`: how many plausible records, and with what in them.
#[derive(Debug, Clone)]
pub struct Generate {
    /// Records a second when `--rate` is not given.
    pub rate_per_second: f64,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "generate",
        about: "a stream of plausible records, made from the record's own types, rules and hints",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "generate",
    keys: &[Key {
        name: "rate",
        about: "records a second unless --rate says otherwise",
        presence: Presence::Default("1"),
        value: Value::PositiveNumber { maximum: 10_000_000 },
    }],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    if file.entry("generate").is_none() {
        return;
    }
    let Some(fields) = file.section("generate") else { return };
    pipeline.generate =
        fields.positive_number("rate").map(|rate_per_second| Generate { rate_per_second });
}
