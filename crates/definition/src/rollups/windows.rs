//! `over` and `grains` of a rollup: it also counts by stretches of time, so that any window of time
//! can be asked for.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Measure, Operation};
use crate::quantity::{format_duration, parse_duration};
use crate::suggest::did_you_mean_or_list;
use crate::walk::{Fields, sql};
use crate::yaml::Entry;
use crate::{Problem, SqlText};

/// The time by which a rollup's rows are counted, and how finely.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// An expression over the table's columns: a TIMESTAMP, which is taken as UTC, or a
    /// TIMESTAMPTZ.
    pub over: SqlText,
    /// The finest first, none twice, at least one. A finer one is kept no longer than a coarser
    /// one.
    pub grains: Vec<Grain>,
}

/// One length of the stretches in which rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grain {
    pub unit: GrainUnit,
    /// How long its counters stay after their time; None means for ever.
    pub kept: Option<Duration>,
}

/// A stretch of the clock, in UTC. Each is a multiple of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrainUnit {
    Second,
    Minute,
    Hour,
    Day,
}

const UNITS: [GrainUnit; 4] =
    [GrainUnit::Second, GrainUnit::Minute, GrainUnit::Hour, GrainUnit::Day];
const FOREVER: &str = "forever";
/// For 24 hours to the second, and an hour's delay.
const DEFAULT: [Grain; 3] = [
    Grain { unit: GrainUnit::Second, kept: Some(Duration::from_secs(25 * 3_600)) },
    Grain { unit: GrainUnit::Minute, kept: Some(Duration::from_secs(50 * 3_600)) },
    Grain { unit: GrainUnit::Hour, kept: None },
];
pub(super) const DEFAULT_TEXT: &str = "{ second: 25h, minute: 50h, hour: forever }";

impl GrainUnit {
    /// The word in the file and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl Grain {
    /// As it stands in the file.
    pub fn kept_text(&self) -> String {
        self.kept.map_or_else(|| FOREVER.to_owned(), format_duration)
    }
}

/// A hundred years: what is older than the year 1 has no time in PostgreSQL.
const LONGEST_KEPT: Duration = Duration::from_secs(36_500 * 24 * 3600);

pub(super) fn schema() -> Json {
    let kept = json!({ "anyOf": [{ "const": FOREVER }, { "type": "string", "pattern": "^[0-9]+ \
        ?(ms|s|m|h|d)$|\\$\\{" }] });
    let properties: serde_json::Map<String, Json> =
        UNITS.iter().map(|unit| (unit.as_str().to_owned(), described(&kept, *unit))).collect();
    json!({ "type": "object", "minProperties": 1, "properties": properties, "additionalProperties": false })
}

fn described(kept: &Json, unit: GrainUnit) -> Json {
    let mut schema = kept.clone();
    schema["description"] =
        json!(format!("how long the counters of each {} are kept", unit.as_str()));
    schema
}

/// Reads both keys. None without `over`, or where something is wrong, which is reported.
pub(super) fn read(fields: &Fields<'_, '_>, measures: &[Measure]) -> Option<Windows> {
    let walk = fields.walk();
    let Some(over) = fields.entry("over") else {
        if let Some(grains) = fields.entry("grains") {
            let problem = Problem::new(
                "rollup.grains.over",
                grains.key_span,
                "grains are stretches of a time, and no time is named",
            );
            walk.report(problem.help("write `over:` and the column that holds each row's time"));
        }
        return None;
    };
    for measure in
        measures.iter().filter(|measure| matches!(measure.operation, Operation::CountDistinct(_)))
    {
        let message = format!(
            "{} cannot be asked for a window: a value that comes in two grains would count twice",
            measure.name
        );
        let problem = Problem::new("rollup.windows.distinct", measure.span, message);
        walk.report(problem.help(
            "put it into a rollup of its own without `over`, by: { hour: \"date_trunc('hour', \
                ...)\" }, or count over the table in the endpoint",
        ));
    }
    let over = sql(walk, &fields.named("over"), over);
    let grains = match fields.entry("grains") {
        Some(entry) => read_grains(fields, entry)?,
        None => DEFAULT.to_vec(),
    };
    Some(Windows { over: over?, grains })
}

fn read_grains(fields: &Fields<'_, '_>, grains: &Entry) -> Option<Vec<Grain>> {
    let walk = fields.walk();
    let title = fields.named("grains");
    let entries = walk.entries(&title, &grains.value)?;
    if entries.is_empty() {
        let problem =
            Problem::new("rollup.grains.empty", grains.key_span, format!("{title} names no grain"));
        walk.report(
            problem.help(format!("such as {DEFAULT_TEXT}, which also holds when it is left out")),
        );
        return None;
    }
    let mut read: Vec<(Grain, &Entry)> = Vec::new();
    for entry in entries {
        let Some(unit) = UNITS.into_iter().find(|unit| unit.as_str() == entry.key) else {
            let problem = Problem::new(
                "rollup.grains.unknown",
                entry.key_span,
                format!("unknown grain {}", walk.quote(entry.key_span)),
            );
            walk.report(problem.help(did_you_mean_or_list(
                &entry.key,
                "the grains are",
                UNITS.map(GrainUnit::as_str),
            )));
            continue;
        };
        let Some(scalar) = walk.scalar(&format!("{title}.{}", entry.key), &entry.value) else {
            continue;
        };
        let written = scalar.value.text.trim();
        let longest = |kept: &Duration| *kept <= LONGEST_KEPT;
        let kept = if written == FOREVER {
            Some(None)
        } else {
            parse_duration(written).filter(longest).map(Some)
        };
        match kept {
            Some(kept) => read.push((Grain { unit, kept }, entry)),
            None => {
                let message = format!(
                    "{title}.{} must be a duration of at most {}, or {FOREVER}, got {}",
                    entry.key,
                    format_duration(LONGEST_KEPT),
                    walk.got(&entry.value)
                );
                let problem = walk.value_problem("rollup.grains.kept", &entry.value, message);
                walk.report(problem.help("how long its counters are kept, such as 25h or 7d"));
            }
        }
    }
    read.sort_by_key(|(grain, _)| grain.unit);
    let mut is_whole = read.len() == entries.len();
    for (place, (grain, entry)) in read.iter().enumerate() {
        let coarser = read.get(place + 1).map(|(grain, _)| grain);
        if let Some((message, help)) = too_short(grain, coarser) {
            walk.report(walk.value_problem("rollup.grains.kept", &entry.value, message).help(help));
            is_whole = false;
        }
    }
    is_whole.then(|| read.into_iter().map(|(grain, _)| grain).collect())
}

/// A window's edges are made of finer grains up to the next whole coarser one, at either end: a
/// window that ends now must find them.
fn too_short(grain: &Grain, coarser: Option<&Grain>) -> Option<(String, String)> {
    let kept = grain.kept;
    let reach = coarser.map_or(grain.unit, |coarser| coarser.unit);
    let least = Duration::from_secs(2 * u64::from(reach.seconds()));
    if kept.is_some_and(|kept| kept < least) {
        let message = format!(
            "a {} must be kept for at least {}",
            grain.unit.as_str(),
            format_duration(least)
        );
        return Some((
            message,
            format!("it makes the edge of a window up to the next whole {}", reach.as_str()),
        ));
    }
    let longer = coarser.filter(|coarser| {
        coarser.kept.is_some_and(|coarse| kept.is_none_or(|kept| kept > coarse))
    })?;
    let message = format!(
        "each {} is kept longer ({}) than each {} ({})",
        grain.unit.as_str(),
        grain.kept_text(),
        longer.unit.as_str(),
        longer.kept_text()
    );
    Some((
        message,
        format!(
            "a window is made of whole {}s and finer edges: keep {} at least as long",
            longer.unit.as_str(),
            longer.unit.as_str()
        ),
    ))
}
