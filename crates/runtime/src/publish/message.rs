//! Rows of the outbox as records of their topics.

use super::outbox::OutboxRow;
use super::relay::{LOG_TIMEOUT, Surroundings};
use super::targets::Targets;
use duto_ground::batch::decode_headers;
use duto_log::{LogError, OutgoingRecord};

/// The header by which a consumer knows a message that came before.
pub const MESSAGE_ID: &str = "duto-message-id";

/// A row as it is sent.
pub struct Message<'a> {
    row: &'a OutboxRow,
    /// None lets the key decide.
    partition: Option<i32>,
    id: String,
    more_headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Without a key all messages of a position go to one partition, so that they keep their order.
pub fn messages<'a>(
    surroundings: &Surroundings,
    targets: &mut Targets,
    partition: i32,
    rows: &'a [OutboxRow],
) -> Result<Vec<Message<'a>>, LogError> {
    let message = |row: &'a OutboxRow| {
        let partitions = targets.partitions(
            surroundings.log.as_ref(),
            &row.target,
            &surroundings.source_topic,
            LOG_TIMEOUT,
        )?;
        let partition = row.key.is_none().then(|| partition.rem_euclid(partitions.max(1)));
        let mut more_headers = row.headers.as_deref().map(decode_headers).unwrap_or_default();
        more_headers.retain(|(name, _)| name != MESSAGE_ID);
        Ok(Message { row, partition, id: row.message_id.to_string(), more_headers })
    };
    rows.iter().map(message).collect()
}

impl Message<'_> {
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        let id = (MESSAGE_ID, self.id.as_bytes());
        let more = self
            .more_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()));
        std::iter::once(id).chain(more).collect()
    }

    pub fn record<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> OutgoingRecord<'a> {
        OutgoingRecord {
            topic: &self.row.target,
            partition: self.partition,
            key: self.row.key.as_deref(),
            payload: self.row.value.as_deref(),
            headers,
        }
    }
}
