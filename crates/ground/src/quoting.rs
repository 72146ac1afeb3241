//! Names and texts as PostgreSQL reads them.

use sha2::{Digest, Sha256};

/// An identifier in double quotes.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text in single quotes, safe whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A name of ours made of these parts, no longer than PostgreSQL takes: a long one ends in a
/// digest.
pub fn own_name(parts: &[&str]) -> String {
    const MOST_BYTES: usize = 63;
    let name = parts.join("_");
    if name.len() <= MOST_BYTES {
        return name;
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let kept: String = name
        .chars()
        .scan(0, |bytes, character| {
            *bytes += character.len_utf8();
            (*bytes <= MOST_BYTES - 9).then_some(character)
        })
        .collect();
    format!("{kept}_{}", &digest[..8])
}
