//! `UUID`.

use serde_json::json;
use uuid::Uuid;

use super::Form;

pub static UUID: Form = Form {
    name: "UUID",
    wanted: "a UUID",
    rule: "uuid",
    read,
    write_binary,
    schema: || json!({ "type": "string", "format": "uuid" }),
    examples: &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
};

/// With hyphens, without them, or in braces.
fn read(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let uuid = if text.starts_with("urn:") { None } else { Uuid::try_parse(text).ok() }?;
    out.extend_from_slice(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    Some(())
}

/// 16 bytes.
fn write_binary(text: &str, out: &mut Vec<u8>) {
    // What was not read by us would be a fault of ours.
    out.extend_from_slice(Uuid::try_parse(text).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_as_postgresql_reads_them() {
        let plain = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            plain,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(UUID.normal(text).as_deref(), Some(plain), "{text}");
        }
        for text in
            ["", "a0eebc99", "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b"]
        {
            assert_eq!(UUID.normal(text), None, "{text}");
        }
    }
}
