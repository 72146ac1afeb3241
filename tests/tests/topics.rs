//! The topic browser over HTTP, on Kafka and on the embedded log: what it lists, what became of
//! each message, and sending by hand.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{EventStream, request, request_with, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::Message;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::connect;
use duto_tests::worker::{Worker, catch_up};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A topic browser on the pipeline's log.
struct Browser {
    port: u16,
    topic: String,
    program: Worker,
}

impl Browser {
    fn start(pipeline: &TestPipeline, log: &TestLog) -> Result<Browser> {
        let port = free_port()?;
        let program = Worker::topics(pipeline, port)?;
        wait_until_it_answers(port)?;
        Ok(Browser { port, topic: log.topic.clone(), program })
    }

    fn get(&self, rest: &str) -> Result<Value> {
        let (status, body) =
            request(self.port, "GET", &format!("/duto/topics/{}/{rest}", self.topic), "")?;
        ensure!(status == 200, "{rest}: {status}: {body}\n{}", self.program.tail());
        Ok(serde_json::from_str(&body)?)
    }

    fn post(&self, rest: &str, body: &Value) -> Result<(u16, Value)> {
        let (status, body) = request(
            self.port,
            "POST",
            &format!("/duto/topics/{}/{rest}", self.topic),
            &body.to_string(),
        )?;
        Ok((status, serde_json::from_str(&body).with_context(|| body.clone())?))
    }

    /// The topic as the list has it.
    fn listed(&self) -> Result<Value> {
        let (status, body) = request(self.port, "GET", "/duto/topics", "")?;
        ensure!(status == 200, "{status}: {body}\n{}", self.program.tail());
        let list: Value = serde_json::from_str(&body)?;
        let topics = list["topics"].as_array().context("topics")?;
        ensure!(
            topics
                .iter()
                .all(|topic| topic["name"].as_str().is_some_and(|name| !name.starts_with("__"))),
            "internal topics are hidden"
        );
        topics
            .iter()
            .find(|topic| topic["name"] == self.topic.as_str())
            .cloned()
            .context("the topic is listed")
    }

    /// What became of a message, by the one pipeline.
    fn outcome(&self, partition: i32, offset: i64) -> Result<Value> {
        let answer = self.get(&format!("outcomes?at={partition}:{offset}"))?;
        let one = &answer["pipelines"][0];
        ensure!(one["away"].is_null(), "{answer}");
        Ok(one["outcomes"][0].clone())
    }

    /// All that a search finds, until it stops: the matches' payloads, the last event, and how
    /// often it told its progress.
    fn search(&self, query: &str) -> Result<(Vec<String>, Value, usize)> {
        let mut stream =
            EventStream::open(self.port, &format!("/duto/topics/{}/search?{query}", self.topic))?;
        let (mut found, mut progress) = (Vec::new(), 0);
        loop {
            let (name, data) = stream.next_event()?;
            let data: Value = serde_json::from_str(&data)?;
            match name.as_str() {
                "matches" => found.extend(payloads(&data)),
                "progress" => progress += 1,
                "stopped" => return Ok((found, data, progress)),
                other => anyhow::bail!("{other}: {data}"),
            }
        }
    }
}

fn payloads(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().into_iter().flatten();
    messages
        .map(|message| message["payload"]["text"].as_str().unwrap_or("not a text").to_owned())
        .collect()
}

fn message(key: &str, payload: &str) -> Message<()> {
    Message { key: key.to_owned(), payload: payload.as_bytes().to_vec(), meaning: () }
}

fn order(number: i64) -> String {
    format!(
        r#"{{"order_number": {number}, "order_items": [{{"item_id": 1, "qty": 2, "value_unit": 1.50}}]}}"#
    )
}

/// Order 404 goes to no table.
fn with_a_filter() -> Settings {
    let from = (
        "      FROM record\n".to_owned(),
        "      FROM record WHERE order_number <> 404\n".to_owned(),
    );
    Settings { replace: vec![from], ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_told_on_kafka() -> Result<()> {
    every_outcome(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_told_on_the_embedded_log() -> Result<()> {
    every_outcome(LogKind::Embedded).await
}

async fn every_outcome(kind: LogKind) -> Result<()> {
    let database = TestDatabase::create("topics-outcomes")?;
    let log = TestLog::create(kind, "topics-outcomes", 3)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &with_a_filter())?;
    let browser = Browser::start(&pipeline, &log)?;

    // Before the pipeline has ever run, everything waits.
    let first = log.send(&[
        message("1", &order(1)),
        message("1", &order(1)),
        message("bad", r#"{"wrong_field": 1}"#),
        message("404", &order(404)),
    ])?;
    let at = |index: usize| (first[index].partition, first[index].offset);
    let outcome_at = |index: usize| browser.outcome(at(index).0, at(index).1);
    for index in 0..4 {
        ensure!(outcome_at(index)?["outcome"] == "waiting", "{}", outcome_at(index)?);
    }
    catch_up(&pipeline, PATIENCE)?;
    let waiting = log.send(&[message("7", &order(7))])?;

    let expected = [(0, "stored"), (1, "duplicate"), (2, "rejected"), (3, "filtered")];
    for (index, word) in expected {
        let outcome = outcome_at(index)?;
        ensure!(
            outcome["outcome"] == word && outcome["batch"].is_i64() && outcome["at"].is_string(),
            "{index}: {outcome}"
        );
    }
    let rejected = outcome_at(2)?;
    ensure!(
        rejected["reason"] == "order_number is missing"
            && rejected["stage"] == "decode"
            && rejected["reject"].is_i64(),
        "{rejected}"
    );
    ensure!(
        browser.outcome(waiting[0].partition, waiting[0].offset)?["outcome"] == "waiting",
        "the last one waits"
    );
    let listed = browser.listed()?;
    ensure!(listed["records"] == 5 && listed["partitions"] == 3 && listed["end"] == 5, "{listed}");
    let lag = || -> Result<bool> { Ok(browser.listed()?["pipelines"][0]["lag"] == 1) };
    until("a lag of one", lag)?;

    let client = connect(&database.url()).await?;
    client.execute("DELETE FROM duto.batch", &[]).await?;
    let pruned = outcome_at(0)?;
    ensure!(pruned["outcome"] == "unknown" && pruned["why"] == "pruned", "{pruned}");
    ensure!(outcome_at(2)?["outcome"] == "rejected", "a reject outlives the ledger");
    client.execute("UPDATE duto.position SET topic_id = 'another'", &[]).await?;
    ensure!(outcome_at(0)?["why"] == "other_topic", "{}", outcome_at(0)?);
    ensure!(browser.program.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_and_sent_by_hand_on_kafka() -> Result<()> {
    found_and_sent(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_and_sent_by_hand_on_the_embedded_log() -> Result<()> {
    found_and_sent(LogKind::Embedded).await
}

async fn found_and_sent(kind: LogKind) -> Result<()> {
    let database = TestDatabase::create("topics")?;
    let log = TestLog::create(kind, "topics", 2)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let orders: Vec<Message<()>> =
        (0..300).map(|number| message(&format!("key-{number}"), &order(number))).collect();
    let placed = log.send(&orders)?;
    let browser = Browser::start(&pipeline, &log)?;
    pages(&browser)?;
    places(&browser, &placed[17], &orders[17])?;

    let (found, stopped, progress) = browser.search("key=key-17")?;
    ensure!(
        found == [order(17)]
            && stopped["why"] == "end"
            && stopped["scanned"] == 300
            && stopped["remaining"] == 0,
        "{found:?} {stopped}"
    );
    ensure!(progress > 0, "it told nothing of its progress");
    ensure!(
        browser.search("text=NUMBER%22:%20123,")?.0.is_empty(),
        "capital letters are looked for as they are"
    );
    ensure!(browser.search("text=number%22:%20123,")?.0 == [order(123)], "a text is found");
    let (ten, stopped, _) = browser.search("key=key-*&matches=10")?;
    ensure!(ten.len() == 10 && stopped["why"] == "matches", "{stopped}");
    let before = stopped["before"].as_str().context("a cursor")?;
    let (more, _, _) = browser.search(&format!("key=key-*&matches=10&before={before}"))?;
    ensure!(
        more.len() == 10 && more.iter().all(|payload| !ten.contains(payload)),
        "it goes on behind what it found"
    );

    send_by_hand(&browser)?;
    refuse_others(&browser)?;
    ensure!(browser.program.stop(PATIENCE)?.success(), "it did not end cleanly");

    // What was sent is a record like any other.
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    let total: String = client
        .query_one("SELECT total_value::text FROM sales WHERE order_number = 5000", &[])
        .await?
        .get(0);
    ensure!(total == "3.00", "{total}");
    let rejects: i64 = client.query_one("SELECT count(*) FROM duto.reject", &[]).await?.get(0);
    ensure!(rejects == 2, "{rejects} rejects");
    Ok(())
}

/// All messages, the newest first, page by page, and back again.
fn pages(browser: &Browser) -> Result<()> {
    let mut seen = Vec::new();
    let mut query = "messages?limit=70".to_owned();
    let mut pages = 0;
    loop {
        let page = browser.get(&query)?;
        seen.extend(payloads(&page));
        pages += 1;
        ensure!(page["has_newer"] == (pages > 1), "{}", page["has_newer"]);
        let Some(older) = page["older"].as_str() else { break };
        query = format!("messages?limit=70&before={older}");
    }
    ensure!(pages == 5 && seen.len() == 300, "{pages} pages, {} messages", seen.len());
    let all: std::collections::BTreeSet<String> = (0..300).map(order).collect();
    ensure!(seen.iter().cloned().collect::<std::collections::BTreeSet<_>>() == all, "each once");
    let newest = browser.get("messages?limit=2&partition=1")?;
    let oldest = browser.get("messages?limit=3&after=0:0,1:0")?;
    ensure!(
        oldest["messages"].as_array().is_some_and(|messages| messages.len() == 3)
            && oldest["older"].is_null(),
        "{oldest}"
    );
    ensure!(
        newest["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|message| message["partition"] == 1),
        "{newest}"
    );
    Ok(())
}

/// An offset, a time, one message, its payload as a file.
fn places(
    browser: &Browser,
    placed: &duto_tests::log::Placed<()>,
    sent: &Message<()>,
) -> Result<()> {
    let (partition, offset) = (placed.partition, placed.offset);
    let page = browser.get(&format!("messages?partition={partition}&offset={offset}&limit=1"))?;
    ensure!(page["messages"][0]["offset"] == offset && page["has_newer"] == true, "{page}");
    let one = browser.get(&format!("messages/{partition}/{offset}"))?;
    ensure!(
        one["key"]["text"] == sent.key.as_str() && one["payload"]["bytes"] == sent.payload.len(),
        "{one}"
    );
    let time_ms = one["time_ms"].as_i64().context("a time")?;
    let page = browser.get(&format!("messages?partition={partition}&time={time_ms}&limit=1"))?;
    ensure!(page["messages"][0]["time_ms"] == time_ms, "{page}");
    let page = browser.get("messages?time=1000")?;
    ensure!(page["messages"].as_array().is_some_and(Vec::is_empty), "nothing is that old");
    let file = request_with(
        browser.port,
        "GET",
        &format!("/duto/topics/{}/messages/{partition}/{offset}/payload", browser.topic),
        &[],
        "",
    )?;
    ensure!(
        file.headers.to_lowercase().contains("content-disposition: attachment")
            && file.body.as_bytes() == sent.payload,
        "{file:?}"
    );
    for (rest, status) in [
        ("messages/9/0", 404),
        ("messages/0/999999", 404),
        ("messages?partition=9", 404),
        ("messages?offset=1", 400),
        ("messages?before=x", 400),
    ] {
        let answer =
            request(browser.port, "GET", &format!("/duto/topics/{}/{rest}", browser.topic), "")?;
        ensure!(answer.0 == status && answer.1.contains("error"), "{rest}: {answer:?}");
    }
    let missing = request(browser.port, "GET", "/duto/topics/not-there/messages", "")?;
    ensure!(missing.0 == 404 && missing.1.contains("there is no topic not-there"), "{missing:?}");
    Ok(())
}

/// The example, a check, a refusal, and sending all the same; a follower hears each.
fn send_by_hand(browser: &Browser) -> Result<()> {
    let mut follower =
        EventStream::open(browser.port, &format!("/duto/topics/{}/follow", browser.topic))?;
    let mut by_key = EventStream::open(
        browser.port,
        &format!("/duto/topics/{}/follow?key=mine", browser.topic),
    )?;
    follower.next("pulse")?;
    by_key.next("pulse")?;
    let example = browser.get("example")?;
    let payload = example["payload"].as_str().context("an example")?;
    ensure!(
        payload.starts_with(r#"{"order_number":301,"#),
        "it goes on where a generator would: {payload}"
    );
    let (status, good) = browser.post("check", &json!({ "payload": payload }))?;
    ensure!(status == 200 && good["ok"] == true, "{good}");

    let bad = r#"{"order_items": [{"qty": true}]}"#;
    let (_, checked) = browser.post("check", &json!({ "payload": bad }))?;
    let reasons: Vec<&str> = checked["pipelines"][0]["problems"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|problem| problem["reason"].as_str())
        .collect();
    ensure!(
        checked["ok"] == false
            && reasons.contains(&"order_number is missing")
            && reasons.len() == 3,
        "{checked}"
    );
    let (status, refused) = browser.post("messages", &json!({ "payload": bad }))?;
    ensure!(
        status == 422
            && refused["pipelines"][0]["problems"]
                .as_array()
                .is_some_and(|problems| problems.len() == 3),
        "{refused}"
    );
    let (status, sent) = browser.post("messages", &json!({ "payload": bad, "anyway": true }))?;
    ensure!(status == 201, "{sent}");
    ensure!(follower.next("messages")?.contains("qty"), "the follower hears it");

    let headers =
        json!([{ "name": "trace", "value": "7" }, { "name": "bytes", "value_hex": "00ff" }]);
    let (status, sent) = browser.post(
        "messages",
        &json!({ "key": "mine", "payload": order(5000), "headers": headers, "partition": 1 }),
    )?;
    ensure!(status == 201 && sent["partition"] == 1, "{sent}");
    let heard: Value = serde_json::from_str(&by_key.next("messages")?)?;
    ensure!(
        payloads(&heard) == [order(5000)]
            && heard["messages"][0]["headers"][1]["value"]["hex"] == "00ff",
        "{heard}"
    );
    let (status, sent) =
        browser.post("messages", &json!({ "payload_hex": "ff00", "key": null, "anyway": true }))?;
    ensure!(status == 201, "{sent}");
    let place = format!("messages/{}/{}", sent["partition"], sent["offset"]);
    let bytes = browser.get(&place)?;
    ensure!(bytes["payload"]["hex"] == "ff00" && bytes["key"].is_null(), "{bytes}");
    for bad in
        [json!({ "payload_hex": "xx" }), json!({ "payload": "{}", "anyway": true, "partition": 9 })]
    {
        let (status, answer) = browser.post("messages", &bad)?;
        ensure!((400..=500).contains(&status) && answer["error"].is_string(), "{answer}");
    }
    Ok(())
}

/// Another site's page gets nowhere.
fn refuse_others(browser: &Browser) -> Result<()> {
    let path = format!("/duto/topics/{}/messages", browser.topic);
    let body = json!({ "payload": order(6000) }).to_string();
    for (headers, expected) in [
        (vec![("Content-Type", "application/json"), ("Origin", "https://evil.example")], 403),
        (vec![("Content-Type", "text/plain")], 415),
        (vec![], 415),
    ] {
        let answer = request_with(browser.port, "POST", &path, &headers, &body)?;
        ensure!(answer.status == expected, "{headers:?}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_only_hides_what_it_knows() -> Result<()> {
    let log = TestLog::create(LogKind::Embedded, "topics-away", 1)?;
    let nowhere = format!("postgres://nobody@127.0.0.1:{}/none", free_port()?);
    let pipeline = TestPipeline::sales(&log, &nowhere, &Settings::default())?;
    let placed = log.send(&[message("1", &order(1))])?;
    let browser = Browser::start(&pipeline, &log)?;
    let listed = browser.listed()?;
    ensure!(
        listed["records"] == 1
            && listed["pipelines"][0]["lag"].is_null()
            && listed["pipelines"][0]["away"].is_string(),
        "{listed}"
    );
    ensure!(payloads(&browser.get("messages")?) == [order(1)], "the messages are there");
    let outcomes = browser.get(&format!("outcomes?at=0:{}", placed[0].offset))?;
    ensure!(outcomes["pipelines"][0]["away"].is_string(), "{outcomes}");
    let (status, sent) = browser.post("messages", &json!({ "payload": order(2) }))?;
    ensure!(status == 201, "sending needs no database: {sent}");
    Ok(())
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
