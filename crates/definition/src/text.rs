//! `text:`, what is done to every text of a record before it is checked.

use super::Pipeline;
use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::walk::Fields;

/// The cleaning of texts; nothing unless the file says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextCleaning {
    pub trim: bool,
    /// Without it a NUL in a text that goes to PostgreSQL is a reject.
    pub remove_nul: bool,
    /// Cut at so many characters.
    pub max_length: Option<u32>,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "text",
        about: "what is done to every text of a record before it is checked",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "text",
    keys: &[
        Key {
            name: "trim",
            about: "takes white space away from both ends",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
        Key {
            name: "remove_nul",
            about: "takes NUL characters away, which PostgreSQL cannot hold; without it a text \
                with one is a reject",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
        Key {
            name: "max_length",
            about: "cuts a longer text at so many characters",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 1, maximum: 10_485_760 },
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("text") else { return };
    pipeline.text = TextCleaning {
        trim: fields.boolean("trim").unwrap_or_default(),
        remove_nul: fields.boolean("remove_nul").unwrap_or_default(),
        max_length: fields.integer("max_length"),
    };
}
