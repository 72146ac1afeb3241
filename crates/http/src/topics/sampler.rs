//! Sizes, rates and lag, taken every second while somebody looks, and by nobody otherwise.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::sync::watch;

use super::looks::PATIENCE;
use super::refusal::Refusal;
use super::{Browser, ReadingPipeline};
use duto_load::failure::Failure;
use duto_log::{TopicListing, Watermarks};

/// From one sample to the next, or five times as long as one takes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Rates are means over so many samples.
const RATE_SAMPLES: usize = 11;
/// The last that asked for the list is forgotten after so long.
const INTEREST: Duration = Duration::from_secs(10);
/// A sample older than this is not an answer.
const FRESH: Duration = Duration::from_secs(4);
/// What a database does not answer within this time it does not know.
const DATABASE_PATIENCE: Duration = Duration::from_millis(800);

/// The log and the positions at one moment.
pub struct Sample {
    pub taken: Instant,
    /// Why the log could not be asked, else its topics.
    pub topics: Result<Vec<TopicSample>, Refusal>,
    /// In the order of the pipelines.
    pub positions: Vec<Result<BTreeMap<i32, i64>, String>>,
}

pub struct TopicSample {
    pub listing: TopicListing,
    /// By partition.
    pub ends: Vec<Option<Watermarks>>,
    /// Of the last seconds; None after the first sample.
    pub records_per_second: Option<f64>,
}

pub struct Sampler {
    interest: Mutex<Interest>,
    newest: watch::Sender<Option<Arc<Sample>>>,
}

#[derive(Default)]
struct Interest {
    last: Option<Instant>,
    is_sampling: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Sampler { interest: Mutex::default(), newest: watch::channel(None).0 }
    }
}

impl Browser {
    /// The newest sample; the first look waits for one, and starts the sampling.
    pub(super) async fn sample(self: &Arc<Self>) -> Result<Arc<Sample>, Refusal> {
        let mut newest = self.sampler.newest.subscribe();
        let must_start = {
            let mut interest = self.sampler.interest.lock().unwrap_or_else(PoisonError::into_inner);
            interest.last = Some(Instant::now());
            !std::mem::replace(&mut interest.is_sampling, true)
        };
        if must_start {
            tokio::spawn(sample_while_wanted(self.clone()));
        }
        let fresh = newest.wait_for(|sample| {
            sample.as_ref().is_some_and(|sample| sample.taken.elapsed() < FRESH)
        });
        let waited = tokio::time::timeout(PATIENCE * 3, fresh).await;
        waited.ok().and_then(Result::ok).and_then(|sample| sample.clone()).ok_or_else(|| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the log does not answer: the page asks again by itself",
            )
        })
    }
}

async fn sample_while_wanted(browser: Arc<Browser>) {
    let mut history = VecDeque::new();
    loop {
        let began = Instant::now();
        let log = browser.ask({
            let mut known = std::mem::take(&mut history);
            move |browser| Ok((topics(browser, &mut known), known))
        });
        let (asked, positions) =
            tokio::join!(log, join_all(browser.pipelines.iter().map(positions)));
        let topics = asked.and_then(|(topics, known)| {
            history = known;
            topics
        });
        browser.sampler.newest.send_replace(Some(Arc::new(Sample {
            taken: Instant::now(),
            topics,
            positions,
        })));
        let pause = INTERVAL.max(began.elapsed() * 5);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = browser.stop.cancelled() => return,
        }
        let mut interest = browser.sampler.interest.lock().unwrap_or_else(PoisonError::into_inner);
        if interest.last.is_none_or(|last| last.elapsed() > INTEREST) {
            interest.is_sampling = false;
            return;
        }
    }
}

/// The high watermarks of a moment, summed by topic.
type Highs = (Instant, HashMap<String, i64>);

fn topics(browser: &Browser, history: &mut VecDeque<Highs>) -> Result<Vec<TopicSample>, Refusal> {
    let listings = browser.log.topics(PATIENCE)?;
    let partitions = |listing: &TopicListing| {
        (0..listing.partitions)
            .map(|partition| (listing.name.clone(), partition))
            .collect::<Vec<_>>()
    };
    let asked: Vec<(String, i32)> = listings.iter().flat_map(partitions).collect();
    let mut ends = browser.log.ends(&asked, PATIENCE)?.into_iter();
    let now = Instant::now();
    let mut highs = HashMap::new();
    let mut samples = Vec::new();
    for listing in listings {
        let ends: Vec<Option<Watermarks>> =
            ends.by_ref().take(usize::try_from(listing.partitions).unwrap_or(0)).collect();
        let high: i64 = ends.iter().flatten().map(|ends| ends.high).sum();
        let records_per_second = history.front().and_then(|(at, before)| {
            let seconds = now.duration_since(*at).as_secs_f64();
            // A topic made anew has fewer than before.
            before
                .get(&listing.name)
                .map(|before| (high - before).max(0) as f64 / seconds.max(0.001))
        });
        highs.insert(listing.name.clone(), high);
        samples.push(TopicSample { listing, ends, records_per_second });
    }
    history.push_back((now, highs));
    if history.len() > RATE_SAMPLES {
        history.pop_front();
    }
    Ok(samples)
}

/// Where the pipeline stands, or why its database does not say.
async fn positions(reading: &ReadingPipeline) -> Result<BTreeMap<i32, i64>, String> {
    let asking = async {
        let connection = reading.readers.get().await?;
        let there = connection
            .within(
                connection.client.query_one("SELECT to_regclass('duto.position') IS NOT NULL", &[]),
            )
            .await?;
        if !there.get::<_, bool>(0) {
            return Ok(BTreeMap::new());
        }
        let statement =
            "SELECT partition, next FROM duto.position WHERE pipeline = $1 AND topic = $2";
        let statement = connection.within(connection.prepared(statement)).await?;
        let rows = connection
            .within(
                connection
                    .client
                    .query(&statement, &[&reading.pipeline.name, &reading.pipeline.source.topic]),
            )
            .await?;
        Ok::<_, Failure>(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    };
    match tokio::time::timeout(DATABASE_PATIENCE, asking).await {
        Ok(answer) => answer.map_err(|failure| failure.to_string()),
        Err(_) => Err(format!("the database did not answer within {DATABASE_PATIENCE:?}")),
    }
}
