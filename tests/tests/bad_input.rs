//! Whatever arrives, it costs one reject, its neighbours are stored, and the flow goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{MALFORMED_KINDS, Meaning, Message, Mix, Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::{Model, connect};
use duto_tests::wait::wait_until_loaded;
use duto_tests::worker::{Worker, catch_up, command};

const PATIENCE: Duration = Duration::from_secs(120);
const NO_TROUBLE: Mix = Mix { malformed_percent: 0, repeat_percent: 0 };

fn malformed(payload: Vec<u8>) -> Message {
    Message { key: "bad".into(), payload, meaning: Meaning::Malformed }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_malformed_record_among_ten_thousand_costs_one_reject() -> Result<()> {
    for bad in [
        &b"not JSON"[..],
        br#"{"order_number": 5000000, "order_items": [{"qty": 2, "value_unit": 99999999.99}]}"#,
    ] {
        let database = TestDatabase::create("one")?;
        let log = TestLog::create(LogKind::Embedded, "one", 1)?;
        let mut messages = Orders::new(6, NO_TROUBLE).take(9_999);
        messages.insert(5_000, malformed(bad.to_vec()));
        let placed = log.send(&messages)?;
        let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
        catch_up(&pipeline, PATIENCE)?;
        let client = connect(&database.url()).await?;
        Model::of(&placed).compare(&client).await?;
        let spread: f64 = client
            .query_one(
                "SELECT extract(epoch FROM max(processed_at) -
                min(processed_at))::float8 FROM sales",
                &[],
            )
            .await?
            .get(0);
        ensure!(spread < 1.0, "the others were stored over {spread} s");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_too_deep_becomes_a_reject() -> Result<()> {
    let database = TestDatabase::create("large")?;
    let log = TestLog::create(LogKind::Embedded, "large", 2)?;
    let mut messages = Orders::new(7, USUAL_MIX).take(1_000);
    messages.push(malformed(b"[".repeat(10 << 20)));
    messages.push(malformed(
        [
            b"{\"order_number\": 1, \"order_items\": [], \"note\": \"",
            &b"x".repeat(2 << 20)[..],
            b"\"}",
        ]
        .concat(),
    ));
    messages.push(malformed(br#"{"a":"#.repeat(100_000)));
    messages.extend(
        Orders::new(8, Mix { malformed_percent: 100, repeat_percent: 0 }).take(2 * MALFORMED_KINDS),
    );
    let placed = log.send(&messages)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    let rows = client
        .query(
            "SELECT payload_bytes, length(payload), payload_sha256 FROM duto.reject
            WHERE rule = 'size' ORDER BY 1",
            &[],
        )
        .await?;
    ensure!(rows.len() == 2, "{} records are too large", rows.len());
    for row in &rows {
        ensure!(row.get::<_, i32>(1) == 64 * 1024, "{} bytes were kept", row.get::<_, i32>(1));
        ensure!(row.get::<_, Vec<u8>>(2).len() == 32, "the digest is there");
    }
    ensure!(rows[1].get::<_, i64>(0) == 10 << 20, "the length is that of the record");
    let stored: i64 = client.query_one("SELECT count(*) FROM sales", &[]).await?.get(0);
    ensure!(stored as usize == Model::of(&placed).stored(), "{stored} orders are stored");
    Ok(())
}

/// A few of them one after the other, because each is in memory for a while.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_hundred_megabytes_cost_a_reject_each_and_bounded_memory() -> Result<()> {
    const BYTES: usize = 100 << 20;
    let database = TestDatabase::create("huge")?;
    let log = TestLog::create(LogKind::Embedded, "huge", 1)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let client = connect(&database.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let mut orders = Orders::new(40, NO_TROUBLE);
    let mut placed = Vec::new();
    for _ in 0..3 {
        placed.extend(log.send(&orders.take(100))?);
        let mut huge = log.send(&[malformed(
            [&b"{\"order_number\": 1, \"note\": \""[..], &b"x".repeat(BYTES)[..]].concat(),
        )])?;
        // The first bytes are what the reject keeps.
        huge[0].message.payload.truncate(64 * 1024);
        placed.append(&mut huge);
    }
    placed.extend(log.send(&orders.take(100))?);
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    let peak = worker.peak_bytes()?;
    ensure!(peak < 8 * BYTES as u64, "the worker had {} MiB resident", peak >> 20);
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_can_be_looked_at() -> Result<()> {
    let database = TestDatabase::create("look")?;
    let log = TestLog::create(LogKind::Embedded, "look", 1)?;
    log.send(&[
        malformed(br#"{"wrong_field": "no_order_number"}"#.to_vec()),
        malformed(b"\xff\xfe".to_vec()),
    ])?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    catch_up(&pipeline, PATIENCE)?;
    let file = pipeline.file.display().to_string();
    let (code, listed, said) = command(&pipeline, &["rejects", "ls", &file])?;
    ensure!(code == 0, "{said}");
    ensure!(listed.contains("order_number is missing"), "{listed}");
    let (_, json, _) = command(&pipeline, &["rejects", "ls", "--json", &file])?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    let id = json["newest"][0]["id"].to_string();
    let (code, shown, _) = command(&pipeline, &["rejects", "show", &file, &id])?;
    ensure!(code == 0 && shown.contains("\\xfffe"), "{shown}");
    let (code, _, said) = command(&pipeline, &["rejects", "show", &file, "12345"])?;
    ensure!(code == 1 && said.contains("has no reject 12345"), "{said}");
    Ok(())
}
