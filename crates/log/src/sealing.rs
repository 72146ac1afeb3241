//! Which keys seal the records of which topic, where the log is one that duto keeps itself.

use std::borrow::Cow;
use std::collections::HashMap;

use duto_ground::seal::{Keyring, SealFault};

/// The keys of each topic.
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    topics: HashMap<String, Keyring>,
    /// Of every other topic.
    others: Keyring,
}

/// Where a value stands in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Key,
    Payload,
    Headers,
}

impl From<Keyring> for Sealing {
    /// One keyring for every topic.
    fn from(others: Keyring) -> Self {
        Self { topics: HashMap::new(), others }
    }
}

impl Sealing {
    /// Topics with keyrings of their own. Records of others are opened by any of these.
    pub fn of_topics(topics: HashMap<String, Keyring>) -> Self {
        let others = Keyring::any_of(topics.values().cloned());
        Self { topics, others }
    }

    pub(crate) fn seal<'v>(
        &self,
        topic: &str,
        part: Part,
        value: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, SealFault> {
        self.of(topic).seal_some(&place(topic, part), value)
    }

    pub(crate) fn open<'v>(
        &self,
        topic: &str,
        part: Part,
        kept: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, SealFault> {
        self.of(topic).open_some(&place(topic, part), kept)
    }

    fn of(&self, topic: &str) -> &Keyring {
        self.topics.get(topic).unwrap_or(&self.others)
    }
}

/// Not the offset: it is not known yet when a record is sealed.
fn place(topic: &str, part: Part) -> [&[u8]; 3] {
    let part: &[u8] = match part {
        Part::Key => b"key",
        Part::Payload => b"payload",
        Part::Headers => b"headers",
    };
    [b"log", topic.as_bytes(), part]
}
