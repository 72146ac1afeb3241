//! The database, the pipeline, and what must stand there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use duto_definition::{Pipeline, parse};
use duto_load::connect::{Connection, Connector};
use duto_load::ensure::ensure as make_tables;
use duto_load::position;
use duto_load::register::register;
use duto_load::rollups::RollupTargets;
use duto_load::session::LoadSession;
use duto_load::target::Target;
use duto_model::bounds::{Bounds, Repeat};
use duto_model::state::{DISCARDED, NO_FENCE, OPEN, REPLAYED, State};
use duto_runtime::deliver::Deliverer;
use duto_servers::shared::TestDatabase;
use duto_stages::Stages;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use uuid::Uuid;

use super::session::PATIENCE;

/// For each worker and partition, the fence that it drew.
pub type Fences = [[Option<Uuid>; 2]; 2];

/// A pipeline that is ready to load.
pub struct Definition {
    pub pipeline: Pipeline,
    pub stages: Stages,
    pub target: Target,
    pub deliverer: Deliverer,
}

pub struct Ground {
    pub database: TestDatabase,
    pub server: SocketAddr,
    /// Refuses poison.
    pub broken: Arc<Definition>,
    /// Lets it pass.
    pub mended: Arc<Definition>,
    /// Claims, an operator's moves, and looks: never in flight.
    pub control: tokio::sync::Mutex<Connection>,
}

impl Ground {
    pub async fn make(name: &str, bounds: &Bounds) -> Result<Self> {
        let database = TestDatabase::create(&format!("traces-{name}"))?;
        let config: Config = database.url().parse()?;
        let (Some(Host::Tcp(host)), Some(port)) =
            (config.get_hosts().first(), config.get_ports().first())
        else {
            return Err(anyhow!("the server has no address"));
        };
        let server = SocketAddr::new(host.parse().context("the server's address")?, *port);
        let (broken, mended) = (
            definition(&database.url(), bounds, true)?,
            definition(&database.url(), bounds, false)?,
        );
        let connector = Connector::new(&broken.pipeline.database, "traces")?;
        let mut control = connector.connect().await?;
        make_tables(&mut control, &broken.pipeline, None).await?;
        register(&mut control, &connector, &broken.pipeline, &RollupTargets::default()).await?;
        let (broken, mended, control) =
            (Arc::new(broken), Arc::new(mended), tokio::sync::Mutex::new(control));
        Ok(Self { database, server, broken, mended, control })
    }

    /// How to reach the database through a proxy on this port.
    pub fn through(&self, port: u16) -> Result<Connector> {
        let url = self.database.url().replacen(
            &format!(":{}/", self.server.port()),
            &format!(":{port}/"),
            1,
        );
        let mut database = self.broken.pipeline.database.clone();
        database.url = Some(url);
        Ok(Connector::new(&database, "traces")?.for_loads(&self.broken.pipeline))
    }

    pub fn target(&self) -> &Target {
        &self.broken.target
    }

    /// Empty tables, and each partition at its start.
    pub async fn begin(&self, bounds: &Bounds) -> Result<()> {
        let control = self.control.lock().await;
        control
            .client
            .batch_execute("TRUNCATE stored, duto.position, duto.batch, duto.reject, duto.replay")
            .await?;
        for partition in 0..bounds.partitions {
            let begun =
                position::begin(LoadSession::new(&control, self.target()), partition as i32, 0)
                    .await?;
            ensure!(begun.is_some(), "no position was made");
        }
        Ok(())
    }

    /// Waits until the backend is gone, and with it its transaction.
    pub async fn gone(&self, pid: i32) -> Result<()> {
        let control = self.control.lock().await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while control
            .client
            .query_one("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", &[&pid])
            .await?
            .get::<_, i64>(0)
            > 0
        {
            ensure!(tokio::time::Instant::now() < deadline, "its backend does not end");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Everything that is committed, against the model.
    pub async fn compare(&self, bounds: &Bounds, state: &State, fences: &Fences) -> Result<()> {
        let control = self.control.lock().await;
        let model = &state.database;
        for position in position::read_all(LoadSession::new(&control, self.target())).await? {
            let partition = position.partition as usize;
            let expected = &model.positions[partition];
            ensure!(
                position.next == i64::from(expected.next),
                "partition {partition} is at {}, not at {}",
                position.next,
                expected.next
            );
            for (worker, fences) in fences.iter().enumerate() {
                let held = state.workers[worker].held[partition].fence;
                ensure!(
                    (held != NO_FENCE) == fences[partition].is_some(),
                    "worker {worker} holds another fence of partition {partition}"
                );
                let is_mine = fences[partition] == Some(position.fence);
                ensure!(
                    is_mine == (held == expected.fence),
                    "the fence of partition {partition} is worker {worker}'s: {is_mine}"
                );
            }
        }
        let rows =
            counts(&control, "SELECT part, place, count(*) FROM stored GROUP BY 1, 2").await?;
        let rejects = format!(
            r#"SELECT partition, "offset", CASE status WHEN 'open' THEN {OPEN} WHEN 'replayed' THEN {REPLAYED} ELSE {DISCARDED} END::bigint FROM duto.reject"#
        );
        let rejects = counts(&control, &rejects).await?;
        // Since the last rewind to it or before it.
        let loads = "SELECT b.partition, place, count(*)
             FROM duto.batch b, generate_series(b.from_offset, b.to_offset - 1) AS place
             WHERE kind = 'load' AND b.id > coalesce((SELECT max(m.id) FROM duto.batch m
               WHERE m.kind = 'rewind' AND m.partition = b.partition AND m.to_offset <= place), 0)
             GROUP BY 1, 2";
        let loads = counts(&control, loads).await?;
        let mut stored = 0;
        for (_, partition, offset, ..) in bounds.all_records() {
            let (slot, place) =
                (bounds.slot(0, partition, offset), (partition as i32, i64::from(offset)));
            for (what, found, expected) in [
                ("rows", &rows, model.rows),
                ("a reject's state", &rejects, model.rejects),
                ("loads", &loads, model.ledger_loads),
            ] {
                let (found, expected) =
                    (found.get(&place).copied().unwrap_or(0), i64::from(expected.get(slot)));
                ensure!(
                    found == expected,
                    "record {partition}:{offset} has {what} {found}, not {expected}"
                );
            }
            stored += i64::from(model.ledger_stored.get(slot));
        }
        let ledger: i64 = control
            .client
            .query_one("SELECT coalesce(sum(stored), 0)::bigint FROM duto.batch", &[])
            .await?
            .get(0);
        ensure!(ledger == stored, "the ledger has {ledger} records stored, not {stored}");
        Ok(())
    }
}

async fn counts(on: &Connection, statement: &str) -> Result<BTreeMap<(i32, i64), i64>> {
    let rows = on.client.query(&on.prepared(statement).await?, &[]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

fn definition(url: &str, bounds: &Bounds, refuses_poison: bool) -> Result<Definition> {
    let checks = if refuses_poison { "checks: { sound: NOT poison }\n" } else { "" };
    let (key, repeat) = match bounds.repeat {
        Repeat::Ignore => ("BIGINT PRIMARY KEY", "ignore"),
        Repeat::Append => ("BIGINT", "append"),
    };
    let text = format!(
        "pipeline: traces\nsource: {{ topic: t, partitions: {} }}\ndatabase: {{ url: \"{url}\" \
            }}\nrecord: {{ key: BIGINT, part: INTEGER, place: BIGINT, poison: \
         BOOLEAN }}\n{checks}tables:\n  stored:\n    columns: {{ key: {key}, part: INTEGER, place: \
            BIGINT }}\n    repeat: {repeat}\n    \
         select: SELECT key, part, place FROM record\n",
        bounds.partitions
    );
    let pipeline =
        parse("traces.yaml", &text, &|_| None).map_err(|problems| anyhow!("{problems:?}"))?;
    let stages = Stages::plan(&pipeline).map_err(|problems| anyhow!("{problems:?}"))?;
    let target = Target::new(
        &pipeline,
        stages.written(),
        stages.rollups(),
        "cluster".into(),
        "topic".into(),
        "traces".into(),
    );
    let deliverer = Deliverer::new(&pipeline)?;
    Ok(Definition { pipeline, stages, target, deliverer })
}
