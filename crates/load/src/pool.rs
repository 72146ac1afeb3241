//! Connections for those who ask the database now and then: health, metrics, endpoints. The lanes
//! have theirs for good.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};

use super::connect::{Connection, Connector};
use super::failure::Failure;
use duto_definition::Pipeline;

/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(3);
/// The lanes' connections have company: the reader's, and the one that looks for the goal of
/// `--until-caught-up`.
const OTHERS: usize = 2;
/// For health, metrics and positions.
const OWN: usize = 2;

/// For the relays of a worker, where it publishes.
const RELAYS: usize = 2;

/// A bounded number of connections, made when they are asked for.
#[derive(Clone)]
pub struct Pool {
    pool: managed::Pool<Maker>,
    pub connector: Connector,
}

struct Maker(Connector);

impl Pool {
    /// For health, metrics and positions.
    pub fn new(connector: Connector) -> anyhow::Result<Self> {
        Self::of_size(connector, OWN)
    }

    /// For endpoints: what `database.max_connections` leaves beside all others, but at least one.
    /// They only read.
    pub fn of_readers(
        pipeline: &Pipeline,
        connector: Connector,
        has_worker: bool,
    ) -> anyhow::Result<Self> {
        let relays = if pipeline.publishes() { RELAYS } else { 0 };
        let taken = OWN + if has_worker { pipeline.batch.workers + OTHERS + relays } else { 0 };
        Self::of_size(
            connector.read_only(),
            pipeline.database.max_connections.saturating_sub(taken).max(1),
        )
    }

    /// For the relays of a worker, which share them.
    pub fn of_relays(connector: Connector) -> anyhow::Result<Self> {
        Self::of_size(connector, RELAYS)
    }

    fn of_size(connector: Connector, size: usize) -> anyhow::Result<Self> {
        let pool = managed::Pool::builder(Maker(connector.clone()))
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, connector })
    }

    /// A connection that answered a moment ago. It goes back when it is dropped.
    pub async fn get(&self) -> Result<Object<impl managed::Manager<Type = Connection>>, Failure> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            other => Failure::Lost(other.to_string()),
        })
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
