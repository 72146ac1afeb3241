//! `pipeline:`, the name by which positions, rejects and metrics know it.

use serde_json::json;

use super::keys::{Key, Presence, Value};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

const MAX_NAME_BYTES: usize = 63;

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "pipeline",
        about: "the pipeline's name: positions, rejects and metrics are kept under it",
        presence: Presence::Required,
        value: Value::Other(
            || json!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$|\\$\\{", "maxLength": MAX_NAME_BYTES }),
        ),
    },
    read,
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let (Some(name), Some(node)) = (file.text("pipeline"), file.value("pipeline")) else { return };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let starts_well = !name.starts_with(['-', '.']);
    if name.len() > MAX_NAME_BYTES || !starts_well || !name.bytes().all(allowed) {
        let message = format!("{} is not a name for a pipeline", file.walk().quote(node.span));
        let help = format!("letters, digits, `_`, `-` and `.`, at most {MAX_NAME_BYTES}");
        file.walk().report(Problem::new("pipeline.name.invalid", node.span, message).help(help));
    }
    pipeline.name = name;
}
