//! Servers for the tests that break them or the way to them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use duto_servers::{
    Kafka, KafkaSettings, Postgres, PostgresSettings, Protocol, Proxy, ScratchFolder, free_port,
};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

/// A PostgreSQL of the test's own, and a proxy before it. The database is `sales_db`.
pub struct OwnPostgres {
    pub proxy: Proxy,
    pub postgres: Postgres,
    _folder: ScratchFolder,
}

impl OwnPostgres {
    pub fn start(purpose: &str) -> Result<OwnPostgres> {
        let folder = ScratchFolder::create(purpose)?;
        let postgres =
            Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests())?;
        postgres.create_database("sales_db")?;
        let proxy = Proxy::start(postgres.address(), Protocol::Postgres)?;
        Ok(OwnPostgres { proxy, postgres, _folder: folder })
    }

    /// Past the proxy.
    pub fn url(&self) -> String {
        self.postgres.url("sales_db")
    }

    pub fn url_through_proxy(&self) -> String {
        self.postgres.url_through(self.proxy.port(), "sales_db")
    }
}

/// A Kafka that may be killed, and a proxy before it.
pub struct OwnKafka {
    pub proxy: Proxy,
    pub kafka: Kafka,
    _folder: ScratchFolder,
}

impl OwnKafka {
    fn start() -> Result<OwnKafka> {
        let folder = ScratchFolder::create("own-kafka")?;
        let proxy_port = free_port()?;
        let settings = KafkaSettings { proxy_port: Some(proxy_port), ..KafkaSettings::default() };
        let kafka = Kafka::start_with(&folder.path().join("kafka"), settings)?;
        let proxy = Proxy::start_on(proxy_port, kafka.behind_proxy(), Protocol::Opaque)?;
        Ok(OwnKafka { proxy, kafka, _folder: folder })
    }

    /// What clients whose way is broken take as `bootstrap.servers`.
    pub fn servers_through_proxy(&self) -> String {
        self.proxy.address().to_string()
    }

    /// Whatever the test before left behind.
    fn mend(&mut self) -> Result<()> {
        self.proxy.handle().pass();
        if self.kafka.pid().is_some() {
            return self.kafka.resume();
        }
        self.kafka.start_again()
    }
}

/// The Kafka that fault tests share: one has it at a time, because a start takes seconds. It is not
/// the one of the other tests.
pub async fn own_kafka() -> Result<MappedMutexGuard<'static, OwnKafka>> {
    static OWN: Mutex<Option<OwnKafka>> = Mutex::const_new(None);
    let mut slot = OWN.lock().await;
    match slot.as_mut() {
        Some(own) => own.mend()?,
        None => *slot = Some(OwnKafka::start()?),
    }
    MutexGuard::try_map(slot, Option::as_mut).ok().context("it was just started")
}

/// One of PostgreSQL's programs, such as `pg_dump`.
pub fn postgres_program(name: &str) -> Result<PathBuf> {
    duto_servers::postgres::Binaries::find(None)?.program(name)
}
