//! Ids of what leaves the pipeline: messages and calls. Made of where their record stands, so that
//! a re-run gives the same id, and a topic made anew, a second row or another pipeline another.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What the ids of one `publish` or `deliver` have in common.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub pipeline: &'a str,
    /// Of the publish or deliver.
    pub name: &'a str,
    pub cluster_id: &'a str,
    pub topic_id: &'a str,
}

/// The id of a record's row, counted within its record from 0. A UUID of version 8 (RFC 9562), made
/// of the first bytes of a SHA-256.
pub fn message_id(origin: &Origin<'_>, partition: i32, offset: i64, row: u32) -> Uuid {
    let mut hash = Sha256::new();
    for text in [origin.pipeline, origin.name, origin.cluster_id, origin.topic_id] {
        // With its length, so that no two origins run together.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(partition.to_be_bytes());
    hash.update(offset.to_be_bytes());
    hash.update(row.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_for_the_same_row_alone() {
        let origin = Origin { pipeline: "p", name: "n", cluster_id: "c", topic_id: "t" };
        let id = message_id(&origin, 1, 2, 0);
        assert_eq!(message_id(&origin, 1, 2, 0), id);
        assert_eq!(id.get_version_num(), 8);
        let others = [
            message_id(&origin, 1, 2, 1),
            message_id(&origin, 1, 3, 0),
            message_id(&origin, 2, 2, 0),
            message_id(&Origin { topic_id: "u", ..origin }, 1, 2, 0),
            message_id(&Origin { pipeline: "pn", name: "", ..origin }, 1, 2, 0),
        ];
        assert!(others.iter().all(|other| *other != id));
    }
}
