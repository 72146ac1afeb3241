//! A connection to PostgreSQL that is held where the model stands between two steps.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use duto_load::at_once::{AtOnceLoader, Shortcut};
use duto_load::connect::{Connection, Connector};
use duto_load::failure::Failure;
use duto_load::transaction::Committed;
use duto_runtime::replay::Replayed;
use duto_servers::{Action, Point, Protocol, Proxy, Trap};
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a client works with.
pub struct Idle {
    pub connection: Connection,
    pub at_once: AtOnceLoader,
}

/// How what was in flight ended.
#[derive(Debug)]
pub enum Landed {
    Loaded(Result<Committed, Failure>),
    AtOnce(Result<Shortcut, Failure>),
    Replayed(Result<Replayed, Failure>),
}

pub struct Session {
    pub pid: i32,
    proxy: Proxy,
    sprung: u64,
    idle: Option<Idle>,
    flight: Option<JoinHandle<(Idle, Landed)>>,
}

impl Session {
    pub async fn open(
        server: SocketAddr,
        connector: impl FnOnce(u16) -> Result<Connector>,
    ) -> Result<Self> {
        let proxy = Proxy::start(server, Protocol::Postgres)?;
        let connection = connector(proxy.port())?.connect().await?;
        let pid = connection.client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Self {
            pid,
            proxy,
            sprung: 0,
            idle: Some(Idle { connection, at_once: AtOnceLoader::default() }),
            flight: None,
        })
    }

    /// The connection, while nothing is in flight.
    pub fn idle(&mut self) -> Result<&mut Idle> {
        self.idle.as_mut().context("something is in flight on this connection")
    }

    /// Sends something on its way: it takes the connection, and brings it back when it ends.
    pub fn launch<F>(&mut self, flight: impl FnOnce(Idle) -> F) -> Result<()>
    where
        F: Future<Output = (Idle, Landed)> + Send + 'static,
    {
        let idle = self.idle.take().context("something is in flight on this connection")?;
        self.flight = Some(tokio::spawn(flight(idle)));
        Ok(())
    }

    /// What is in flight will be held there.
    pub fn hold_at(&self, at: Point) {
        self.proxy.handle().set_trap(Trap { at, action: Action::Hold, times: 1 });
    }

    /// Waits until it is.
    pub async fn held(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.proxy.handle().counters().sprung_traps <= self.sprung {
            if self.flight.as_ref().is_none_or(JoinHandle::is_finished) {
                bail!("it ended before it came there: {:?}", self.landed().await?);
            }
            ensure!(tokio::time::Instant::now() < deadline, "it does not come there");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.sprung += 1;
        Ok(())
    }

    pub fn release(&self) {
        self.proxy.handle().release();
    }

    pub async fn landed(&mut self) -> Result<Landed> {
        let flight = self.flight.take().context("nothing is in flight on this connection")?;
        let ended = tokio::time::timeout(PATIENCE, flight).await.context("it does not end")?;
        let (idle, landed) = ended.map_err(|problem| anyhow!("it panicked: {problem}"))?;
        self.idle = Some(idle);
        Ok(landed)
    }

    /// The client is gone, whatever it was doing.
    pub async fn client_goes(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.abort();
            // Its connection is closed when it has ended.
            let _ = flight.await;
        }
        self.idle = None;
    }

    /// Both sides learn that the connection is no more; what was held never arrives.
    pub fn reset(&self) {
        self.proxy.handle().reset_all();
    }
}
