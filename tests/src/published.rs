//! Messages that relays published: the outbox that they come from, and what a consumer of what is
//! committed sees of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use duto_ground::batch::{decode_headers, encode_headers};
use duto_ground::seal::Keyring;
use duto_load::connect::Connector;
use duto_load::ensure::ensure as ensure_tables;
use duto_load::pool::Pool;
use duto_log::Log;
use duto_runtime::progress::Progress;
use duto_runtime::publish::message::MESSAGE_ID;
use duto_runtime::publish::outbox::Position;
use duto_runtime::publish::relay::Surroundings;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::log::read_committed;
use crate::pipeline::TestPipeline;

/// What a relay needs, made from a test's pipeline; the schema `duto` is made where it is missing.
pub async fn surroundings(
    pipeline: &TestPipeline,
    log: Arc<dyn Log>,
    keep_sent: Duration,
) -> Result<Surroundings> {
    let (connector, source_topic) = connector(&pipeline.file, &pipeline.environment).await?;
    let progress = Arc::<Progress>::default();
    let runtime = tokio::runtime::Handle::current();
    Ok(Surroundings {
        log,
        pool: Pool::of_relays(connector)?,
        progress,
        runtime,
        source_topic,
        keep_sent,
        keyring: Keyring::default(),
    })
}

async fn connector(file: &Path, environment: &[(String, String)]) -> Result<(Connector, String)> {
    let text = std::fs::read_to_string(file)?;
    let value = |name: &str| {
        environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let name = file.display().to_string();
    let parsed = duto_definition::parse(&name, &text, &value)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let connector = Connector::new(&parsed.database, "publish")?;
    ensure_tables(&mut connector.connect().await?, &parsed, None).await?;
    Ok((connector, parsed.source.topic))
}

/// Writes messages into the outbox, as a load does: each call is a transaction with a token of its
/// own.
pub struct Outbox {
    pub position: Position,
    pub target: String,
    /// The number that the next message bears.
    pub next: u64,
}

impl Outbox {
    /// The same number has the same message id, whatever happens in between.
    pub fn message_id(&self, number: u64) -> Uuid {
        Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("{}/{}/{number}", self.position.topic, self.position.partition).as_bytes(),
        )
    }

    pub async fn write(&mut self, client: &mut Client, count: u64) -> Result<()> {
        let Position { pipeline, topic, partition } = &self.position;
        let transaction = client.transaction().await?;
        let token = Uuid::new_v4();
        let insert = transaction
            .prepare(
                "INSERT INTO duto.outbox (pipeline, topic, partition, target, key, value, headers,
                 message_id, token)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .await?;
        for number in self.next..self.next + count {
            let value = number.to_string().into_bytes();
            // Some without a key, some with headers of their own.
            let key: Option<Vec<u8>> = None;
            let headers =
                (number % 3 == 0).then(|| encode_headers([("trace", Some(value.as_slice()))]));
            let id = self.message_id(number);
            transaction
                .execute(
                    &insert,
                    &[
                        pipeline,
                        topic,
                        partition,
                        &self.target,
                        &key,
                        &value,
                        &headers,
                        &id,
                        &token,
                    ],
                )
                .await?;
        }
        transaction.commit().await?;
        self.next += count;
        Ok(())
    }
}

/// A message as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub message_id: Uuid,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Published {
    /// The number that [`Outbox::write`] gave it.
    pub fn number(&self) -> Result<u64> {
        Ok(std::str::from_utf8(self.value.as_deref().context("no value")?)?.parse()?)
    }
}

/// Everything that relays wrote to a topic, by partition in the order of the offsets.
pub fn read_all(log: &dyn Log, topic: &str) -> Result<Vec<Published>> {
    let batch = read_committed(log, topic)?;
    let mut published = Vec::new();
    for record in batch.iter() {
        let mut headers = record.headers.map(decode_headers).unwrap_or_default();
        let id = headers
            .iter()
            .position(|(name, _)| name == MESSAGE_ID)
            .context("a message without an id")?;
        let (_, id) = headers.remove(id);
        published.push(Published {
            partition: record.head.partition,
            key: record.key.map(<[u8]>::to_vec),
            value: record.payload.map(<[u8]>::to_vec),
            message_id: std::str::from_utf8(&id.context("an empty id")?)?.parse()?,
            headers,
        });
    }
    published.sort_by_key(|message| message.partition);
    Ok(published)
}
