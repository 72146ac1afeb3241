//! `deliver:`, an HTTP call for each record, made before the transaction that moves the position
//! past it. So a call may be made again, with the same Idempotency-Key, and none is lost.

mod answer; // what a status means
mod gate; // one probe at a time while the other side is down

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream;

use crate::http_client::describe;
use crate::progress::Progress;
use answer::{Verdict, verdict};
use duto_definition::{Deliver, Pipeline};
use duto_ground::index::RecordIndex;
use duto_ground::message_id::{Origin, message_id};
use duto_ground::reject::{Reject, Stage};
use duto_load::target::Target;
use duto_stages::calls::Call;
use duto_stages::prepared::Prepared;
use gate::Gate;

/// Makes calls. Shared by the load connections of a worker, so that they hear of a failure from
/// each other.
pub struct Deliverer {
    client: reqwest::Client,
    receivers: Vec<Receiver>,
}

struct Receiver {
    deliver: Deliver,
    gate: Gate,
}

impl Deliverer {
    pub fn new(pipeline: &Pipeline) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("duto/", env!("CARGO_PKG_VERSION")))
            // An answer that points elsewhere is not one of success.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .context("preparing the HTTP client")?;
        let receiver =
            |deliver: &Deliver| Receiver { gate: Gate::new(deliver), deliver: deliver.clone() };
        Ok(Self { client, receivers: pipeline.deliver.iter().map(receiver).collect() })
    }

    /// Makes every call of a batch; ends when each was answered 2xx or refused for good. Calls of
    /// one message key follow each other, in the log's order. Answers the records that were
    /// refused. Dropping the future gives up what is open.
    pub async fn deliver(
        &self,
        target: &Target,
        batch: &Prepared,
        progress: &Progress,
    ) -> Vec<Reject> {
        let mut rejects = Vec::new();
        for (place, receiver) in self.receivers.iter().enumerate() {
            let refused = stream::iter(chains(batch, place))
                .map(|chain: Vec<usize>| async move {
                    let mut refused = Vec::new();
                    for call in chain {
                        refused.extend(
                            self.make(receiver, target, batch, &batch.calls[call], progress).await,
                        );
                    }
                    refused
                })
                .buffer_unordered(receiver.deliver.concurrency)
                .concat();
            rejects.extend(refused.await);
        }
        rejects
    }

    /// One call, as often as it takes; Some if it was refused for good.
    async fn make(
        &self,
        receiver: &Receiver,
        target: &Target,
        batch: &Prepared,
        call: &Call,
        progress: &Progress,
    ) -> Option<Reject> {
        let Receiver { deliver, gate } = receiver;
        let head = &batch.batch.records[call.record.place()];
        let origin = Origin {
            pipeline: &target.pipeline,
            name: &deliver.name,
            cluster_id: &target.cluster_id,
            topic_id: &target.topic_id,
        };
        let key = message_id(&origin, head.partition, head.offset, call.row).to_string();
        loop {
            let probe = gate.pass().await;
            progress.call_made();
            let verdict = self.send(deliver, &key, &call.body).await;
            match verdict {
                Verdict::Delivered => {
                    if gate.succeeded() {
                        progress.delivery_trouble(&deliver.name, None);
                        tracing::info!(
                            pipeline = target.pipeline,
                            deliver = deliver.name,
                            "calls are answered again"
                        );
                    }
                    return None;
                }
                Verdict::Refused { status, reason } => {
                    gate.succeeded();
                    let (rule, path) = (format!("http_{status}"), String::new());
                    return Some(Reject {
                        record: call.record,
                        stage: Stage::Deliver,
                        path,
                        rule,
                        reason,
                        sqlstate: None,
                    });
                }
                Verdict::Again { reason, after } => {
                    self.wait_out(receiver, target, progress, &reason, after, probe.is_some())
                }
                Verdict::Halt { reason } => {
                    self.wait_out(receiver, target, progress, &reason, None, probe.is_some())
                }
            }
        }
    }

    fn wait_out(
        &self,
        receiver: &Receiver,
        target: &Target,
        progress: &Progress,
        reason: &str,
        after: Option<Duration>,
        probing: bool,
    ) {
        let name = &receiver.deliver.name;
        progress.call_failed();
        progress.delivery_trouble(name, Some(reason));
        // Of the calls that fail together one speaks.
        if let Some((pause, attempt)) = receiver.gate.failed(after, probing) {
            tracing::warn!(pipeline = target.pipeline, deliver = name, reason, retry_in = ?pause, attempt, "calls are not answered; nothing is lost, they are tried again");
        }
    }

    async fn send(&self, deliver: &Deliver, idempotency_key: &str, body: &str) -> Verdict {
        let method =
            reqwest::Method::from_bytes(deliver.method.as_bytes()).unwrap_or(reqwest::Method::POST);
        let mut request = self.client.request(method, &deliver.url).timeout(deliver.timeout);
        request = request
            .header("content-type", "application/json")
            .header("idempotency-key", idempotency_key);
        for (name, value) in &deliver.headers {
            request = request.header(name, value);
        }
        let response = match request.body(body.to_owned()).send().await {
            Ok(response) => response,
            Err(error) => return Verdict::Again { reason: describe(&error), after: None },
        };
        verdict(response).await
    }
}

/// The calls of one receiver, by their places in the batch: those of a message key in one chain; a
/// record without a key is a chain of its own.
fn chains(batch: &Prepared, deliver: usize) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut chain_of: HashMap<Result<&[u8], RecordIndex>, usize> = HashMap::new();
    for (place, call) in batch.calls.iter().enumerate().filter(|(_, call)| call.deliver == deliver)
    {
        let key = batch.batch.get(call.record.place()).key.ok_or(call.record);
        let chain = *chain_of.entry(key).or_insert(chains.len());
        if chain == chains.len() {
            chains.push(Vec::new());
        }
        chains[chain].push(place);
    }
    chains
}
