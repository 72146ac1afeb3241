//! What an operator does on purpose: a position is moved, rejects come again.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Meaning, Message, Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::{Model, connect};
use duto_tests::worker::{catch_up, command};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_reads_again_and_changes_nothing() -> Result<()> {
    let database = TestDatabase::create("rewind")?;
    let log = TestLog::create(LogKind::Embedded, "rewind", 1)?;
    let placed = log.send(&Orders::new(14, USUAL_MIX).take(3_000))?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    Model::of(&placed).compare(&client).await?;
    let rows =
        "SELECT count(*), sum(total_value)::text, (SELECT count(*) FROM duto.reject) FROM sales";
    let before = client.query_one(rows, &[]).await?;

    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    let set =
        ["position", "set", &file, "--partition", "0", "--to", "1000", "--log-folder", &folder];
    let (code, said, _) = command(&pipeline, &set)?;
    ensure!(
        code == 0 && said.contains("a rewind: 2000 records") && said.contains("--yes"),
        "{said}"
    );
    let next: i64 = client.query_one("SELECT next FROM duto.position", &[]).await?.get(0);
    ensure!(next == 3_000, "without --yes the position stays, it is {next}");
    let (code, said, error) = command(&pipeline, &[&set[..], &["--yes"]].concat())?;
    ensure!(code == 0, "{said}{error}");
    catch_up(&pipeline, PATIENCE)?;
    let after = client.query_one(rows, &[]).await?;
    ensure!(
        before.get::<_, i64>(0) == after.get::<_, i64>(0)
            && before.get::<_, String>(1) == after.get::<_, String>(1),
        "rows changed"
    );
    ensure!(before.get::<_, i64>(2) == after.get::<_, i64>(2), "rejects changed");
    let kinds = client
        .query("SELECT kind, from_offset, to_offset FROM duto.batch WHERE kind <> 'load'", &[])
        .await?;
    ensure!(
        kinds.len() == 1
            && kinds[0].get::<_, String>(0) == "rewind"
            && kinds[0].get::<_, i64>(2) == 1_000,
        "the rewind is on record"
    );
    let (code, _, error) = command(
        &pipeline,
        &["position", "set", &file, "--partition", "0", "--to", "9999", "--log-folder", &folder],
    )?;
    ensure!(code == 1 && error.contains("is not in the log"), "{error}");
    Ok(())
}

/// A constraint of the table's refused two orders. It is dropped, and their rejects come again:
/// once, whoever replays.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_come_again_once() -> Result<()> {
    let database = TestDatabase::create("replay")?;
    let log = TestLog::create(LogKind::Embedded, "replay", 2)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    let client = connect(&database.url()).await?;
    let (_, ddl, _) = command(&pipeline, &["ddl", &file])?;
    client
        .batch_execute(&format!(
            "{ddl}; ALTER TABLE sales ADD CONSTRAINT refused CHECK (order_number NOT IN (10, 20))"
        ))
        .await?;
    let mut messages =
        Orders::new(15, duto_tests::orders::Mix { malformed_percent: 0, repeat_percent: 0 })
            .take(100);
    messages.push(Message {
        key: "bad".into(),
        payload: b"not JSON".to_vec(),
        meaning: Meaning::Malformed,
    });
    let placed = log.send(&messages)?;
    catch_up(&pipeline, PATIENCE)?;
    let count = async |statement: &str| {
        Ok::<i64, anyhow::Error>(client.query_one(statement, &[]).await?.get(0))
    };
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open'").await? == 3,
        "three are rejected"
    );

    let replay = ["rejects", "replay", &file, "--log-folder", &folder];
    let (code, said, error) = command(&pipeline, &replay)?;
    ensure!(
        code == 0 && said.contains("0 stored") && said.contains("3 are refused still"),
        "{said}{error}"
    );
    client.batch_execute("ALTER TABLE sales DROP CONSTRAINT refused").await?;
    std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| command(&pipeline, &replay))).collect();
        both.into_iter().try_for_each(|one| {
            let (code, said, error) = one.join().expect("the thread does not panic")?;
            ensure!(code == 0, "{said}{error}");
            Ok(())
        })
    })?;
    ensure!(count("SELECT count(*) FROM sales").await? == 100, "all orders are stored");
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open'").await? == 1,
        "what is malformed stays open"
    );
    ensure!(
        count("SELECT sum(stored)::bigint FROM duto.batch WHERE kind = 'replay'").await? == 2,
        "each came once"
    );
    // Read again, what was resolved counts as repeated and is not rejected anew.
    for partition in ["0", "1"] {
        let (code, said, error) = command(
            &pipeline,
            &[
                "position",
                "set",
                &file,
                "--partition",
                partition,
                "--to",
                "earliest",
                "--yes",
                "--log-folder",
                &folder,
            ],
        )?;
        ensure!(code == 0, "{said}{error}");
    }
    catch_up(&pipeline, PATIENCE)?;
    ensure!(
        count("SELECT count(*) FROM sales").await? == 100 && placed.len() == 101,
        "a rewind changes nothing"
    );
    ensure!(count("SELECT count(*) FROM duto.reject").await? == 3, "no reject is new");
    Ok(())
}

/// Read again alone, without a neighbour that was stored before: what passes now closes its reject,
/// also where a batch is loaded at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reject_that_passes_when_it_is_read_again_is_closed() -> Result<()> {
    let database = TestDatabase::create("passes")?;
    let log = TestLog::create(LogKind::Embedded, "passes", 1)?;
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records: 1, ..Settings::default() },
    )?;
    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    let client = connect(&database.url()).await?;
    let (_, ddl, _) = command(&pipeline, &["ddl", &file])?;
    client
        .batch_execute(&format!("{ddl}; ALTER TABLE sales ADD CONSTRAINT refused CHECK (false)"))
        .await?;
    log.send(
        &Orders::new(16, duto_tests::orders::Mix { malformed_percent: 0, repeat_percent: 0 })
            .take(3),
    )?;
    catch_up(&pipeline, PATIENCE)?;
    let count = async |statement: &str| {
        Ok::<i64, anyhow::Error>(client.query_one(statement, &[]).await?.get(0))
    };
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open'").await? == 3,
        "three are rejected"
    );

    client.batch_execute("ALTER TABLE sales DROP CONSTRAINT refused").await?;
    let set = [
        "position",
        "set",
        &file,
        "--partition",
        "0",
        "--to",
        "earliest",
        "--yes",
        "--log-folder",
        &folder,
    ];
    let (code, said, error) = command(&pipeline, &set)?;
    ensure!(code == 0, "{said}{error}");
    catch_up(&pipeline, PATIENCE)?;
    ensure!(count("SELECT count(*) FROM sales").await? == 3, "all are stored");
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open'").await? == 0,
        "no reject is open any more"
    );
    Ok(())
}
