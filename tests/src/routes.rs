//! What a server of the program answers to, from the lists that its routers are made of.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use duto_definition::parse;
use duto_http::Served;
use duto_http::auth::Guard;
use duto_http::endpoints::Answers;
use duto_http::faults::Faults;
use duto_http::routes::Route;
use duto_http::topics;
use duto_load::connect::Connector;
use duto_load::pool::Pool;
use duto_runtime::progress::Progress;
use duto_servers::ScratchFolder;
use duto_stages::Stages;
use tokio_util::sync::CancellationToken;

use crate::pipeline::TestPipeline;

/// All routes of a pipeline's server.
pub fn of_pipeline(pipeline: &TestPipeline) -> Result<Vec<Route>> {
    let variable = |name: &str| {
        let set = pipeline.environment.iter().find(|(known, _)| known == name);
        set.map(|(_, value)| value.clone())
    };
    let text = std::fs::read_to_string(&pipeline.file)?;
    let pipeline =
        parse("pipeline.yaml", &text, &variable).map_err(|problems| anyhow!("{problems:#?}"))?;
    let stages = Stages::plan(&pipeline).map_err(|problems| anyhow!("{problems:#?}"))?;
    // Nothing of it is asked: the routes are listed only.
    let folder = ScratchFolder::create("routes")?;
    let log = duto_log::open(None, &[], folder.path())?;
    let connector = Connector::new(&pipeline.database, "routes")?;
    let progress = Arc::new(Progress::default());
    let served = Served {
        file: "pipeline.yaml".to_owned(),
        guard: Guard::new([&pipeline.auth])?,
        stages: Arc::new(stages),
        changes: progress.changes.clone(),
        progress,
        readers: Pool::new(connector.read_only())?,
        pool: Pool::new(connector)?,
        answers: Answers::default(),
        faults: Faults::default(),
        stop: CancellationToken::new(),
        producer: log.producer()?.into(),
        log,
        pipeline,
    };
    Ok(duto_http::routes(&served).list().cloned().collect())
}

/// All routes of the topic browser where nobody signs in: signing in is the same at every server.
pub fn of_topic_browser() -> Vec<Route> {
    topics::routes(None).list().cloned().collect()
}
