//! The log that holds the events: Apache Kafka, or the embedded durable log. One trait, two
//! implementations.
//!
//! Both count offsets per partition, never use one twice, and keep what they acknowledged. The
//! caller owns the position: the log's own committed offsets are a copy for lag tools.

mod look; // without joining a group
mod sealing; // with which keys
mod open; // which of the two
mod kafka; // Apache Kafka, by librdkafka
mod embedded; // SQLite, one file

use std::time::Duration;

use duto_ground::batch::Batch;

pub use self::embedded::EmbeddedLog;
pub use self::embedded::backup;
pub use self::kafka::KafkaLog;
pub use self::look::{Look, Span, TopicListing};
pub use self::open::{open, open_sealed};
pub use self::sealing::Sealing;

/// A connection to a log. Calls block; each has the given timeout.
pub trait Log: Send + Sync {
    /// The name of the log for messages and metrics: `kafka` or `embedded`.
    fn kind(&self) -> &'static str;

    /// An id that another cluster, or a log made anew, does not have.
    fn cluster_id(&self, timeout: Duration) -> Result<String, LogError>;

    /// What the log knows of a topic; None if there is no such topic.
    fn topic(&self, name: &str, timeout: Duration) -> Result<Option<TopicDescription>, LogError>;

    /// Makes the topic if it is missing. A topic that is there keeps its settings.
    fn create_topic(&self, topic: &NewTopic, timeout: Duration) -> Result<(), LogError>;

    /// The offsets between which a partition's records stand.
    fn watermarks(
        &self,
        topic: &str,
        partition: i32,
        timeout: Duration,
    ) -> Result<Watermarks, LogError>;

    /// All topics by name, the log's own among them.
    fn topics(&self, timeout: Duration) -> Result<Vec<TopicListing>, LogError>;

    /// The ends of many partitions at once, in their order; None for one that is gone.
    fn ends(
        &self,
        partitions: &[(String, i32)],
        timeout: Duration,
    ) -> Result<Vec<Option<Watermarks>>, LogError>;

    /// The first offset whose record is of this time (milliseconds since 1970) or later; None if
    /// there is none.
    fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        time_ms: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, LogError>;

    /// Reads records where it is told to, and leaves no trace.
    fn look(&self) -> Result<Box<dyn Look>, LogError>;

    /// The members that the group has now, also those that died and were not missed yet; None where
    /// the log has no groups, because it lets one worker in at a time.
    fn members(&self, group: &str, timeout: Duration) -> Result<Option<Vec<Member>>, LogError>;

    /// Joins the group and reads the topic. One thread polls it.
    fn consumer(&self, settings: &ConsumerSettings) -> Result<Box<dyn Consumer>, LogError>;

    /// A producer whose sends are idempotent and acknowledged by all replicas (or synced to disk).
    fn producer(&self) -> Result<Box<dyn Producer>, LogError>;

    /// Takes over the journal of this name: whoever held it before can append nothing more, and
    /// what it had begun is either in the log or never will be. Names are shared by all who use the
    /// log.
    fn journal(&self, name: &str, timeout: Duration) -> Result<Box<dyn Journal>, LogError>;

    /// The last note of a journal, without taking it over; None if there never was one.
    fn journal_note(&self, name: &str, timeout: Duration) -> Result<Option<Vec<u8>>, LogError>;
}

/// A topic as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Another one after the topic was deleted and made anew.
    pub id: String,
    pub partitions: i32,
}

/// A topic to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: i32,
    pub retention: Option<Duration>,
}

/// A partition's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The offset that the next record gets.
    pub high: i64,
    /// Every record below it is decided: `high` less what open transactions hold back. "Caught up"
    /// means this one.
    pub last_stable: i64,
}

/// A member of a group as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A static member's name.
    pub instance_id: Option<String>,
    /// The number of partitions that the group gave it.
    pub partitions: usize,
}

/// How a consumer joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSettings {
    pub topic: String,
    pub group: String,
    /// A static member's name, see Kafka's `group.instance.id`.
    pub instance_id: Option<String>,
    pub session_timeout: Duration,
    /// Bytes that may wait in the client beside what `poll` answered.
    pub max_queued_bytes: usize,
    /// Bytes of one record that are still fetched.
    pub max_record_bytes: usize,
}

/// One member of a group. Not shared: a single thread calls it.
///
/// After [`Event::Assigned`] nothing is read from those partitions until `assign` names a start for
/// each. After [`Event::Revoked`] the partitions still belong to this member until `unassign`
/// answers it; after [`Event::Lost`] they belong to somebody else already.
pub trait Consumer: Send {
    /// Waits at most `timeout`, then answers what happened. Records are appended to `into`, at most
    /// `max_records` of them, and may be of partitions that are no longer assigned: the caller
    /// drops those. Must be called often enough, also when nothing can be taken: `max_records` 0
    /// keeps the membership alive.
    fn poll(&mut self, into: &mut Batch, max_records: usize, timeout: Duration) -> Vec<Event>;

    /// Starts reading partitions that were announced by [`Event::Assigned`], once for all of them
    /// or in parts; even an empty list is an answer, without which the group waits. A pause of
    /// theirs ends. For one that is assigned already it is a [`Consumer::seek`].
    fn assign(&mut self, starts: &[Start]) -> Result<(), LogError>;

    /// Gives up partitions that [`Event::Revoked`] or [`Event::Lost`] named.
    fn unassign(&mut self, partitions: &[i32]) -> Result<(), LogError>;

    /// Reads an assigned partition from another offset; what is queued of it is thrown away.
    fn seek(&mut self, start: Start) -> Result<(), LogError>;

    /// Stops fetching these partitions, and throws away nothing that was already answered.
    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError>;

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError>;

    /// Tells the group how far the tables are: a copy, for lag tools. May be lost.
    fn commit_copy(&mut self, positions: &[(i32, i64)]);

    /// Makes the group forget this member at once, a static one too, so that the others need not
    /// wait for its session timeout. Only `close` may follow. May fail silently: then the session
    /// timeout decides.
    fn leave(&mut self);

    /// Ends the membership. A dynamic member leaves the group; a static one stays known for its
    /// session timeout, unless it left before.
    fn close(&mut self);
}

/// Where to begin reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub partition: i32,
    pub offset: i64,
    /// The epoch of the record before, so that a cut log is noticed; -1 where none is known.
    pub leader_epoch: i32,
}

/// What happened to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These partitions are ours, beside those that were: answer with `assign`.
    Assigned(Vec<i32>),
    /// These are wanted by another member: finish with them, then answer with `unassign`.
    Revoked(Vec<i32>),
    /// These went to another member already: answer with `unassign` at once, and write nothing.
    Lost(Vec<i32>),
    /// The partition was read up to here; it may lie behind the last record (transaction markers,
    /// compaction).
    End { partition: i32, offset: i64 },
    /// The log was cut below what this partition's position had seen, the position is outside the
    /// log, or what stands there cannot be read. Nothing more of the partition is answered until a
    /// seek.
    OutOfRange { partition: i32, reason: String },
    /// The partition's next record cannot be opened: nothing of it is answered until it can be,
    /// which the client tries by itself. None: it was opened.
    Unreadable { partition: i32, reason: Option<String> },
    /// Something went wrong that the client goes on trying by itself.
    Trouble(String),
    /// Another member joined under this static member's name, so the group knows this one no more:
    /// this consumer is finished, and what it had belongs to the other.
    Superseded(String),
    /// Something went wrong that it cannot get over: this consumer is finished.
    Fatal(String),
}

/// Sends records. Shared between threads.
pub trait Producer: Send + Sync {
    /// Queues a record and answers at once; `outcome` is called once, from a thread of the
    /// producer's, when it is durable or given up. [`LogError::QueueFull`] means that nothing was
    /// queued: wait, then try again.
    fn send(
        &self,
        record: OutgoingRecord<'_>,
        outcome: Box<dyn FnOnce(Result<Sent, LogError>) + Send>,
    ) -> Result<(), LogError>;

    /// Waits until everything that was queued has its outcome.
    fn flush(&self, timeout: Duration) -> Result<(), LogError>;
}

/// Appends records together with a note of how far their source was read: all of it, or nothing.
pub trait Journal: Send {
    /// The note of the last append that was committed; None if there never was one.
    fn note(&self) -> Option<&[u8]>;

    /// Appends all records, in their order, and the note. Whoever reads what is committed sees them
    /// from the moment of the answer, once. No records at all is an append too. After an error the
    /// outcome is unknown, and this journal takes nothing more: open it again and look at its note.
    /// A holder that was taken over gets [`LogError::Locked`].
    fn append(
        &mut self,
        records: &[OutgoingRecord<'_>],
        note: &[u8],
        timeout: Duration,
    ) -> Result<(), LogError>;
}

/// A record to send.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRecord<'a> {
    pub topic: &'a str,
    /// None lets the key decide (Kafka's murmur2 over the key, as the Java client does), or the
    /// turn where there is no key.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub partition: i32,
    pub offset: i64,
}

/// What a log answers when it cannot do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nobody answered in time, or the connection broke: try again.
    #[error("{doing}: the log cannot be reached: {reason}")]
    Unreachable { doing: String, reason: String },
    /// The send queue or the disk is full: wait.
    #[error("the log is full: its send queue or its disk has no room")]
    QueueFull,
    /// The record is longer than the topic, or the client, takes. It is so each time, until
    /// somebody changes that.
    #[error("{doing}: {reason}")]
    TooLarge { doing: String, reason: String },
    /// Another process has what only one may have.
    #[error("{0}")]
    Locked(String),
    /// Anything else; trying again will not help by itself.
    #[error("{doing}: {reason}")]
    Refused { doing: String, reason: String },
}
