//! Connections for those who ask the database now and then: health, metrics, endpoints. The lanes
//! have theirs for good.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};

use super::connect::{Connection, Connector};
use super::connections::Connections;
use super::failure::Failure;
use duto_definition::Pipeline;

/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(3);
/// For health, metrics and positions.
const OWN: usize = 2;
/// For the relays of a worker, where it publishes.
const RELAYS: usize = 2;

/// A bounded number of connections, made when they are asked for.
#[derive(Clone)]
pub struct Pool {
    pool: Arc<managed::Pool<Maker>>,
    pub connector: Connector,
}

/// A connection of a pool, to which it goes back when it is dropped, unless somebody else waits for
/// one.
pub struct Pooled {
    connection: Option<Object<Maker>>,
    connections: Arc<Connections>,
}

impl Deref for Pooled {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken away by its drop alone")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(connection) if self.connections.is_wanted() => drop(Object::take(connection)),
            connection => drop(connection),
        }
        // Who began to wait in between found nothing idle.
        if self.connections.is_wanted() {
            self.connections.close_idle();
        }
    }
}

pub struct Maker(Connector);

impl Pool {
    /// For health, metrics and positions.
    pub fn new(connector: Connector) -> anyhow::Result<Self> {
        Self::of_size(connector, OWN)
    }

    /// For endpoints: what is left of `database.max_connections` beside all others, but at least
    /// one. They only read.
    pub fn of_readers(pipeline: &Pipeline, connector: &Connector) -> anyhow::Result<Self> {
        let shares = connector.connections().shares();
        Self::of_size(connector.read_only(), shares.readers(pipeline.publishes()))
    }

    /// For the relays of a worker, which share them.
    pub fn of_relays(connector: Connector) -> anyhow::Result<Self> {
        Self::of_size(connector, RELAYS)
    }

    fn of_size(connector: Connector, size: usize) -> anyhow::Result<Self> {
        let pool = managed::Pool::builder(Maker(connector.clone()))
            .max_size(size.min(connector.connections().shares().others))
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .build()?;
        let pool = Arc::new(pool);
        let known = Arc::downgrade(&pool);
        connector.connections().register(move || {
            if let Some(pool) = known.upgrade() {
                pool.retain(|_, _| false);
            }
        });
        Ok(Self { pool, connector })
    }

    /// A connection that answered a moment ago.
    pub async fn get(&self) -> Result<Pooled, Failure> {
        let connection = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            PoolError::Timeout(_) => Failure::Full(format!(
                "no connection was free within {WAIT:?}: this part of the process has at most {} \
                    (database.max_connections is {})",
                self.pool.status().max_size,
                self.connector.connections().most()
            )),
            other => Failure::Lost(other.to_string()),
        })?;
        let connections = self.connector.connections().clone();
        Ok(Pooled { connection: Some(connection), connections })
    }
}

impl managed::Manager for Maker {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        self.0.connect().await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Failure> {
        connection
            .within(connection.client.batch_execute("SELECT 1"))
            .await
            .map_err(RecycleError::Backend)
    }
}
