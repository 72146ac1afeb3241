//! Records that are fetched: HTTP endpoints that are read at an interval or page by page, each item
//! of an answer a record of the topic. How far an endpoint was read is the note of a journal,
//! appended together with the items: a kill neither loses nor doubles one.

mod answer; // items and what comes next, out of an answer's bytes
mod link; // an answer's Link header
mod note; // how far an endpoint was read
mod take; // which items of an answer are new
mod request; // one request and its answer
pub mod run; // request after request
mod owner; // one process at a time

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::progress::Progress;
use duto_definition::Pipeline;
use duto_log::Log;
use duto_stages::Stages;

/// Whether there is anything to read.
pub fn pulls(pipeline: &Pipeline) -> bool {
    pipeline.pull.iter().any(|pull| pull.url.is_some())
}

/// Starts reading all endpoints of the pipeline; each ends by itself once `stop` is set. The topic
/// must be there.
pub fn start(
    pipeline: &Pipeline,
    stages: &Arc<Stages>,
    log: &Arc<dyn Log>,
    progress: &Arc<Progress>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<tokio::task::JoinHandle<()>>> {
    let mut tasks = Vec::new();
    for pull in pipeline.pull.iter().filter(|pull| pull.url.is_some()) {
        let puller =
            run::Puller::new(pipeline, pull, stages.clone(), log.clone(), progress.clone())?;
        tasks.push(tokio::spawn(puller.run(stop.clone())));
    }
    Ok(tasks)
}
