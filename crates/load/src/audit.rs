//! `duto.audit`: who did what by hand, and who was not let in. Rows are only ever added.

use chrono::{DateTime, Utc};
use tokio_postgres::GenericClient;

use super::connect::Connection;
use super::failure::Failure;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Rejects came through the pipeline again.
    Replay,
    /// Rejects were given up.
    Discard,
    MovePosition,
    /// A message was made by hand.
    Send,
    /// A key, a token or a sign-in was not accepted.
    SignInRefused,
}

impl Action {
    /// The word in `duto.audit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::MovePosition => "move_position",
            Self::Send => "send",
            Self::SignInRefused => "sign_in_refused",
        }
    }
}

/// By which way it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Command,
    Http,
}

impl Via {
    /// The word in `duto.audit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Http => "http",
        }
    }
}

/// Who does something, by which way, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of a key, the subject of a token, an account and its host, or an address.
    pub name: String,
    pub via: Via,
    pub why: Option<String>,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub actor: Actor,
    pub action: Action,
    /// A sentence for a person, without what is in the records.
    pub what: String,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub via: String,
    pub action: String,
    pub what: String,
    pub why: Option<String>,
}

/// Of a text so many characters are kept.
const MOST_CHARACTERS: usize = 1_000;

const INSERT: &str = "INSERT INTO duto.audit (pipeline, actor, via, action, what, why)
     VALUES ($1, $2, $3, $4, $5, $6)";

/// Adds an entry within the transaction of what it tells of, so that both are there or neither.
pub async fn write(on: &Connection, pipeline: &str, entry: &Entry) -> Result<(), Failure> {
    on.within(insert(&on.client, pipeline, entry)).await
}

/// [`write`] by a client or a transaction of its.
pub(super) async fn insert(
    on: &impl GenericClient,
    pipeline: &str,
    entry: &Entry,
) -> Result<(), tokio_postgres::Error> {
    let Entry { actor, action, what } = entry;
    let kept = |text: &str| text.replace('\0', "\\0").chars().take(MOST_CHARACTERS).collect();
    let (name, what): (String, String) = (kept(&actor.name), kept(what));
    let why: Option<String> = actor.why.as_deref().map(kept);
    let (via, action) = (actor.via.as_str(), action.as_str());
    on.execute(INSERT, &[&pipeline, &name, &via, &action, &what, &why]).await.map(|_| ())
}

/// Adds entries in a transaction of their own, on a connection that may be one that only reads.
pub async fn write_alone(
    on: &Connection,
    pipeline: &str,
    entries: &[Entry],
) -> Result<(), Failure> {
    on.within(on.client.batch_execute("BEGIN READ WRITE")).await?;
    for entry in entries {
        if let Err(failure) = write(on, pipeline, entry).await {
            on.within(on.client.batch_execute("ROLLBACK")).await?;
            return Err(failure);
        }
    }
    on.within(on.client.batch_execute("COMMIT")).await
}

/// Whether there is a table of entries: not before a pipeline has run here.
pub async fn is_there(on: &Connection) -> Result<bool, Failure> {
    let asked = on.client.query_one("SELECT to_regclass('duto.audit') IS NOT NULL", &[]);
    Ok(on.within(asked).await?.get(0))
}

/// The newest entries of a pipeline below an id, newest first.
pub async fn read(
    on: &Connection,
    pipeline: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Kept>, Failure> {
    let statement = "SELECT id, at, actor, via, action, what, why FROM duto.audit
        WHERE pipeline = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    let before = before.unwrap_or(i64::MAX);
    let rows = on.within(on.client.query(statement, &[&pipeline, &before, &limit])).await?;
    let kept = |row: &tokio_postgres::Row| Kept {
        id: row.get(0),
        at: row.get(1),
        actor: row.get(2),
        via: row.get(3),
        action: row.get(4),
        what: row.get(5),
        why: row.get(6),
    };
    Ok(rows.iter().map(kept).collect())
}
