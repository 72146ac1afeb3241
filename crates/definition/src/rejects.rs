//! `rejects:`, how many rejects are still the records' affair.

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// What is done about many rejects. Rejects of every stage count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RejectLimits {
    /// The load pauses before a batch by which this share of the last records, in per cent, would
    /// be rejects. None never pauses.
    pub pause_at_percent: Option<u8>,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "rejects",
        about: "what is done about many rejects; without it they are told by the health and the \
            page, and hold up nothing",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "rejects",
    keys: &[Key {
        name: "pause_at",
        about: "the load pauses when this share of the last 1,000 records (or of 100 at least) \
            would be rejects: 90%",
        presence: Presence::Optional,
        value: Value::Other(|| json!({ "type": "string", "pattern": "^[0-9]{1,3} ?%$|\\$\\{" })),
    }],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("rejects") else { return };
    let (Some(text), Some(node)) = (fields.text("pause_at"), fields.value("pause_at")) else {
        return;
    };
    match parse_percent(&text) {
        Some(percent) => pipeline.rejects.pause_at_percent = Some(percent),
        None => {
            let message =
                format!("{} is not a share of the records", fields.walk().quote(node.span));
            fields.walk().report(
                Problem::new("rejects.pause_at.invalid", node.span, message)
                    .help("write a whole percentage from 1% to 100%: `pause_at: 90%`"),
            );
        }
    }
}

fn parse_percent(text: &str) -> Option<u8> {
    let digits = text.trim().strip_suffix('%')?.trim_end();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|percent| (1..=100).contains(percent))
}
