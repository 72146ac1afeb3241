//! Under which name a worker is a member of its group.
//!
//! A group misses a member that died only after its session timeout, and until then nobody reads
//! its partitions. Who joins under the name of a member that the group still knows (Kafka's static
//! membership) gets its partitions at once. So every worker has a name, and a lock on it in the
//! pipeline's database that ends with its process: a worker that starts takes the name of a member
//! whose lock is free, on whatever host that one was, and a new name where there is none. Nothing
//! is stored, and nothing is derived from a host or a folder, which may be copied or change.
//!
//! The lock is a hint. If a living worker loses its name (its connection broke, and another one
//! started just then), the group tells it that it is superseded, and it joins again under a new
//! name. What is stored is guarded by the positions' fences alone.
//!
//! A name that the file gives (`source.instance`) is used as it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use duto_definition::Pipeline;
use duto_load::connect::{Connection, Connector};
use duto_load::failure::Failure;
use duto_load::name_lock::{database_identity, try_lock};
use duto_log::{Consumer, ConsumerSettings, Log, LogError};

/// How long the log may take to tell who is in the group.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a start looks for the name of a dead member: PostgreSQL may notice the death a moment
/// after the supervisor.
const ADOPTION_PATIENCE: Duration = Duration::from_millis(300);
const ADOPTION_INTERVAL: Duration = Duration::from_millis(30);
/// How soon a lock whose connection broke is taken again.
const KEEP_INTERVAL: Duration = Duration::from_millis(500);
/// How often the connection is used, so that nobody between here and the server forgets it.
const USE_INTERVAL: Duration = Duration::from_secs(20);
/// What the log's client may hold beside the lanes.
const QUEUED_BYTES: usize = 24 * 1024 * 1024;

/// The membership of one worker.
pub struct Membership {
    log: Arc<dyn Log>,
    connector: Connector,
    settings: ConsumerSettings,
    pipeline: String,
    /// The file gives the name.
    is_named_by_file: bool,
    /// A clean end is for good.
    ends_for_good: bool,
    runtime: Handle,
    name: Option<Name>,
}

/// A name, and the task that keeps its lock. Dropping it frees the name.
struct Name(JoinHandle<()>);

impl Drop for Name {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Membership {
    /// The calls below block: they are made by threads that may wait. `ends_for_good` says that
    /// nobody is expected to go on where this worker ends cleanly.
    pub fn new(
        pipeline: &Pipeline,
        log: Arc<dyn Log>,
        connector: Connector,
        runtime: Handle,
        ends_for_good: bool,
    ) -> Self {
        let source = &pipeline.source;
        let settings = ConsumerSettings {
            topic: source.topic.clone(),
            group: source.group.clone(),
            instance_id: source.instance_id.clone(),
            session_timeout: source.session_timeout,
            max_queued_bytes: QUEUED_BYTES,
            max_record_bytes: source.max_record_bytes,
        };
        let (pipeline, is_named_by_file) = (pipeline.name.clone(), source.instance_id.is_some());
        Self {
            log,
            connector,
            settings,
            pipeline,
            is_named_by_file,
            ends_for_good,
            runtime,
            name: None,
        }
    }

    /// Joins the group, in the place of a dead member where there is one.
    pub fn join(&mut self) -> Result<Box<dyn Consumer>, LogError> {
        self.join_as(true)
    }

    /// Joins under a new name, after the group said that another member has ours. None if the name
    /// was the file's: then two processes were given the same one, and only an operator can say
    /// which is meant.
    pub fn join_anew(&mut self) -> Option<Result<Box<dyn Consumer>, LogError>> {
        (!self.is_named_by_file).then(|| self.join_as(false))
    }

    /// Leaves the group before a clean end, so that others have the partitions at once. Where
    /// nobody else is in the group the place is kept: whoever starts within the session timeout
    /// takes it, which is quicker than to make the group anew (by default a broker waits for three
    /// seconds for more members).
    pub fn leave(&self, consumer: &mut dyn Consumer) {
        let is_alone = || matches!(self.log.members(&self.settings.group, MEMBERS_TIMEOUT), Ok(Some(members)) if members.len() == 1);
        if !self.is_named_by_file && (self.ends_for_good || !is_alone()) {
            consumer.leave();
        }
        consumer.close();
    }

    fn join_as(&mut self, may_adopt: bool) -> Result<Box<dyn Consumer>, LogError> {
        if !self.is_named_by_file {
            self.name = None;
            self.settings.instance_id = match self
                .log
                .members(&self.settings.group, MEMBERS_TIMEOUT)
            {
                Ok(None) => None,
                Ok(Some(_)) => Some(self.take_name(may_adopt)),
                Err(error) => {
                    tracing::debug!(pipeline = self.pipeline, %error, "the group's members are not \
                        known");
                    Some(self.take_name(false))
                }
            };
        }
        self.log.consumer(&self.settings)
    }

    /// A name that is ours from now on. Without its lock (the database is away, or has no such
    /// locks) it is as good, only that after our death nobody can tell that it is free.
    fn take_name(&mut self, may_adopt: bool) -> String {
        let (name, connection) = self.runtime.block_on(self.find_name(may_adopt));
        tracing::debug!(pipeline = self.pipeline, name, "the name in the group");
        if self.connector.connections().shares().can_lock_names() {
            let keeping = keep(self.connector.clone(), name.clone(), connection);
            self.name = Some(Name(self.runtime.spawn(keeping)));
        }
        name
    }

    async fn find_name(&self, may_adopt: bool) -> (String, Option<Connection>) {
        let word = uuid::Uuid::new_v4().simple().to_string();
        let unlocked = |failure: &dyn std::fmt::Display| {
            tracing::info!(pipeline = self.pipeline, %failure, "this worker's place in the group \
                cannot be locked: after a crash it is waited for");
            (format!("duto-{word}"), None)
        };
        let connections = self.connector.connections();
        if !connections.shares().can_lock_names() {
            let most = connections.most();
            return unlocked(&format!("max_connections is {most}, and a lock is a connection"));
        }
        let connection = match self.connector.connect().await {
            Ok(connection) => connection,
            Err(failure) => return unlocked(&failure),
        };
        let prefix = match database_identity(&connection).await {
            Ok(identity) => prefix(&[&identity, &self.pipeline, &self.settings.topic]),
            Err(failure) => return unlocked(&failure),
        };
        let adopted = if may_adopt { self.adopt(&connection, &prefix).await } else { Ok(None) };
        match adopted {
            Ok(Some(name)) => (name, Some(connection)),
            Ok(None) => {
                let name = format!("{prefix}{}", &word[..12]);
                match try_lock(&connection, &name).await {
                    Ok(_) => (name, Some(connection)),
                    Err(failure) => unlocked(&failure),
                }
            }
            Err(failure) => unlocked(&failure),
        }
    }

    /// The name of a member that is dead: the group has it, and nobody its lock. Of several the one
    /// with the most partitions.
    async fn adopt(
        &self,
        connection: &Connection,
        prefix: &str,
    ) -> Result<Option<String>, Failure> {
        let deadline = Instant::now() + ADOPTION_PATIENCE;
        loop {
            let members = tokio::task::block_in_place(|| {
                self.log.members(&self.settings.group, MEMBERS_TIMEOUT)
            });
            let mut names: Vec<(usize, String)> = members
                .ok()
                .flatten()
                .unwrap_or_default()
                .into_iter()
                .filter_map(|member| {
                    Some((
                        member.partitions,
                        member.instance_id.filter(|name| name.starts_with(prefix))?,
                    ))
                })
                .collect();
            names.sort_unstable_by(|a, b| b.cmp(a));
            for (_, name) in &names {
                if try_lock(connection, name).await? {
                    tracing::info!(
                        pipeline = self.pipeline,
                        name,
                        "takes the place of a worker that is gone"
                    );
                    return Ok(Some(name.clone()));
                }
            }
            if names.is_empty() || Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(ADOPTION_INTERVAL).await;
        }
    }
}

/// How the names of one pipeline's workers begin: two databases may have pipelines of one name and
/// group, and neither can tell which of the other's workers live.
fn prefix(parts: &[&str]) -> String {
    let digest = parts
        .iter()
        .fold(Sha256::new(), |digest, part| digest.chain_update(part).chain_update([0]));
    let digest: String =
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("duto-{digest}-")
}

/// Holds the lock, and takes it again after its connection broke. Where somebody else has it by
/// then, the group says so to the consumer.
async fn keep(connector: Connector, name: String, mut connection: Option<Connection>) {
    let mut used_at = Instant::now();
    loop {
        tokio::time::sleep(KEEP_INTERVAL).await;
        if let Some(held) = &connection {
            let mut lives = !held.client.is_closed();
            if lives && used_at.elapsed() >= USE_INTERVAL {
                used_at = Instant::now();
                lives = held.within(held.client.simple_query("")).await.is_ok();
            }
            if lives {
                continue;
            }
        }
        // Its backend must not outlive it.
        drop(connection.take());
        if let Ok(anew) = connector.connect().await
            && try_lock(&anew, &name).await.unwrap_or(false)
        {
            connection = Some(anew);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_pipelines_or_databases_begin_otherwise() {
        let one = prefix(&["7 16384 sales_db", "sales", "sales"]);
        assert_eq!(one, prefix(&["7 16384 sales_db", "sales", "sales"]));
        for other in [
            ["8 16384 sales_db", "sales", "sales"],
            ["7 16384 sales_db", "sale", "ssales"],
            ["7 16384 sales_db", "sales", "orders"],
        ] {
            assert_ne!(one, prefix(&other));
        }
        assert!(
            one.len() < 40 && one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{one} suits Kafka"
        );
    }
}
