//! To what each value belongs that is sealed in the schema `duto`: moved to another row or column,
//! it opens no more.

use std::borrow::Cow;

use uuid::Uuid;

use super::failure::Failure;
use duto_ground::seal::{Keyring, SealFault};

/// A record's place, by which its reject is known.
#[derive(Debug, Clone, Copy)]
pub struct RejectPlace<'a> {
    pub pipeline: &'a str,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

/// A column of `duto.reject` that is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectColumn {
    Key,
    Payload,
    Headers,
    PayloadSha256,
    SealedReason,
}

impl RejectColumn {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Payload => "payload",
            Self::Headers => "headers",
            Self::PayloadSha256 => "payload_sha256",
            Self::SealedReason => "sealed_reason",
        }
    }
}

impl RejectPlace<'_> {
    /// The value as `duto.reject` keeps it.
    pub fn seal<'v>(
        &self,
        keyring: &Keyring,
        column: RejectColumn,
        value: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, Failure> {
        let seal = |parts: &[&[u8]]| keyring.seal_some(parts, value);
        self.with_parts(column, seal).map_err(cannot_seal("a reject"))
    }

    /// The value that `duto.reject` keeps as this.
    pub fn open<'v>(
        &self,
        keyring: &Keyring,
        column: RejectColumn,
        kept: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, SealFault> {
        self.with_parts(column, |parts| keyring.open_some(parts, kept))
    }

    /// The sentence: the one that was sealed where it opens, else the masked one and why.
    pub fn reason(&self, keyring: &Keyring, masked: String, sealed: Option<&[u8]>) -> String {
        match self.open(keyring, RejectColumn::SealedReason, sealed) {
            Ok(None) => masked,
            Ok(Some(opened)) => String::from_utf8_lossy(&opened).into_owned(),
            Err(fault) => format!("{masked}: {fault}"),
        }
    }

    fn with_parts<T>(&self, column: RejectColumn, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let (partition, offset) = (self.partition.to_be_bytes(), self.offset.to_be_bytes());
        let (pipeline, topic) = (self.pipeline.as_bytes(), self.topic.as_bytes());
        then(&[b"reject", pipeline, topic, &partition, &offset, column.name().as_bytes()])
    }
}

/// What the load does about a value that cannot be sealed: it waits.
pub(super) fn cannot_seal(what: &'static str) -> impl Fn(SealFault) -> Failure {
    move |fault| Failure::Pause(format!("{what} cannot be sealed: {fault}"))
}

/// Of the body of a kept answer.
pub fn answer_place<'a>(pipeline: &'a str, idempotency_key: &'a str) -> [&'a [u8]; 3] {
    [b"answer", pipeline.as_bytes(), idempotency_key.as_bytes()]
}

/// Of a message in the outbox; `column` is `key` or `value`.
pub fn outbox_place<'a>(message_id: &'a Uuid, column: &'a str) -> [&'a [u8]; 3] {
    [b"outbox", message_id.as_bytes(), column.as_bytes()]
}

/// The sentence of a reject for those who have no key: where, and which rule.
pub fn masked_reason(path: &str, rule: &str) -> String {
    let place = if path.is_empty() { "the record" } else { path };
    format!("{place}: {rule} (sealed)")
}
