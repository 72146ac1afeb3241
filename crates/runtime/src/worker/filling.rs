//! Counts, beside the load, the rows that were there before their rollup. What fails is tried
//! again, and shown until it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::progress::Progress;
use duto_definition::Pipeline;
use duto_ground::backoff;
use duto_load::connect::Connector;
use duto_load::fill;
use duto_load::register::{Fill, register};
use duto_load::rollups::RollupTargets;

/// Between two tries; each begins anew and draws new fences, so they are not too many.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Between two looks at what another process fills.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
const STOP_INTERVAL: Duration = Duration::from_millis(250);

/// What a filling works with.
pub(crate) struct Filling {
    pub connector: Connector,
    pub pipeline: Pipeline,
    pub rollups: RollupTargets,
    pub progress: Arc<Progress>,
    pub stop: Arc<AtomicBool>,
}

impl Filling {
    /// Ends when every rollup is filled, by whomever, or when it is stopped; with `tries`, at the
    /// latest after so many, with the last reason.
    pub async fn run(self, mut fill: Option<Fill>, tries: Option<u32>) -> Result<(), String> {
        let mut failures = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let pause = match self.step(fill.take()).await {
                Ok(true) => break,
                Ok(false) => LOOK_INTERVAL,
                Err(problem) => {
                    let pause = backoff::pause(FIRST_PAUSE, LONGEST_PAUSE, failures);
                    failures += 1;
                    let names: Vec<&str> =
                        self.rollups.rollups.iter().map(|rollup| rollup.name.as_str()).collect();
                    let names = names.join(", ");
                    let reason = format!(
                        "rows that were there before are not all counted in the rollups {names}: \
                            {problem:#}"
                    );
                    tracing::error!(pipeline = self.pipeline.name, reason, retry_in = ?pause, "rollups are not filled yet; it is tried again");
                    self.progress.fill_trouble(Some(reason.clone()));
                    if tries.is_some_and(|tries| failures >= tries) {
                        return Err(reason);
                    }
                    pause
                }
            };
            self.wait(pause).await;
        }
        self.progress.fill_trouble(None);
        Ok(())
    }

    /// Fills what is begun, or begins what is unfilled; whether everything is filled.
    async fn step(&self, fill: Option<Fill>) -> anyhow::Result<bool> {
        let Self { connector, pipeline, rollups, .. } = self;
        let fill = match fill {
            Some(fill) => Some(fill),
            // Whose snapshot is gone must be made anew; what another process fills is left to it
            // for as long as that lives.
            None if self.is_unfilled().await? => {
                let mut connection =
                    connector.connect().await.context("connecting to fill rollups")?;
                register(&mut connection, connector, pipeline, rollups).await?
            }
            None => return Ok(true),
        };
        let Some(fill) = fill else { return Ok(false) };
        fill::run(connector, &pipeline.name, fill).await?;
        Ok(!self.is_unfilled().await?)
    }

    /// Whether a rollup is not filled that is as this program's file declares it: what another file
    /// declares is another worker's.
    async fn is_unfilled(&self) -> anyhow::Result<bool> {
        let connection = self.connector.connect().await.context("looking for unfilled rollups")?;
        let statement =
            "SELECT EXISTS (SELECT 1 FROM duto.rollup r JOIN duto.pipeline p USING (pipeline)
             WHERE r.pipeline = $1 AND r.state = 'filling' AND p.rollups = $2)";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.pipeline.name, &self.rollups.digest];
        Ok(connection.within(connection.client.query_one(statement, &values)).await?.get(0))
    }

    async fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Relaxed) && Instant::now() < until {
            tokio::time::sleep(STOP_INTERVAL).await;
        }
    }
}
