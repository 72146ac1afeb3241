//! What is done by hand is on record: who, when, what and why; and so is who was not let in.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_definition::auth::written_hash;
use duto_servers::free_port;
use duto_tests::http::{request, request_with, wait_until_it_answers, wait_until_ready};
use duto_tests::small::Small;
use duto_tests::wait::wait_for;
use duto_tests::worker::Worker;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// A table that somebody made, whose constraint can be dropped.
const BEFOREHAND: &str = "CREATE TABLE events (id BIGINT PRIMARY KEY,
    CONSTRAINT small CHECK (id < 100))";

fn sections() -> String {
    format!(
        r#"
record: {{ id: BIGINT }}
tables:
  events: {{ columns: {{ id: BIGINT PRIMARY KEY }}, repeat: ignore, select: SELECT id FROM record }}
auth:
  keys:
    ana: {{ hash: "{}", roles: [read, operate] }}
    bob: {{ hash: "{}", roles: [read] }}
"#,
        written_hash("key of ana"),
        written_hash("key of bob")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_by_hand_is_on_record() -> Result<()> {
    let small = Small::create("audit", &sections(), BEFOREHAND).await?;
    let (code, _, error) = small.command_with(&["audit"], &[])?;
    ensure!(code == 1 && error.contains("has not run"), "{code}: {error}");
    small.send([r#"{"id": 1}"#, r#"{"id": 100}"#, r#"{"id": 101}"#, r#"{"id": 102}"#])?;
    small.load()?;
    let (code, said, _) = small.command_with(&["audit"], &[])?;
    ensure!(code == 0 && said == "nothing was done by hand\n", "{said}");

    let folder = small.pipeline.log_folder.display().to_string();
    let in_log = |more: &[&str]| [more, &["--log-folder", &folder]].concat().join("\n");
    let run = |name: &[&str], arguments: &[&str]| -> Result<String> {
        let arguments = in_log(arguments);
        let arguments: Vec<&str> = arguments.split('\n').collect();
        let (code, said, error) = small.command_with(name, &arguments)?;
        ensure!(code == 0, "{name:?}: {code}: {said}{error}");
        Ok(said)
    };
    let (code, _, error) =
        small.command_with(&["rejects", "discard"], &["--id", "3", "--why", " "])?;
    ensure!(code == 1 && error.contains("--why is empty"), "{code}: {error}");
    let discard = ["--id", "3,99", "--why", "a test order"];
    let (code, said, error) = small.command_with(&["rejects", "discard"], &discard)?;
    ensure!(code == 0, "{error}");
    ensure!(said == "rejects discarded: 1\nnumbers that are no open rejects: 1\n", "{said}");
    small.client.batch_execute("ALTER TABLE events DROP CONSTRAINT small").await?;
    run(&["rejects", "replay"], &["--id", "1", "--why", "the limit is gone"])?;
    run(&["position", "set"], &["--partition", "0", "--to", "earliest"])?;
    run(
        &["position", "set"],
        &["--partition", "0", "--to", "earliest", "--yes", "--why", "again"],
    )?;
    small.load()?;
    small.expect("SELECT id FROM events ORDER BY id", &["1", "100", "101"]).await?;

    let kept = "SELECT action, via, why, what FROM duto.audit ORDER BY id";
    let rows = small.rows(kept).await?;
    ensure!(
        rows[0] == "discard command a test order rejects discarded: 1, of the ids [3, 99]"
            && rows[1].starts_with("replay command the limit is gone rejects replayed: 1, of the ids from 1 to 1: 1 stored")
            && rows[2].starts_with("move_position command again partition 0 of ")
            && rows[2].contains("moved from 4 to 0: a rewind")
            && rows.len() == 3,
        "{rows:?}"
    );
    let user = small.rows("SELECT DISTINCT actor FROM duto.audit").await?;
    ensure!(user.len() == 1 && user[0].contains('@'), "{user:?}");
    let (code, said, _) = small.command_with(&["audit"], &["--limit", "2", "--json"])?;
    let newest: Value = serde_json::from_str(said.lines().next().unwrap_or_default())?;
    ensure!(
        code == 0 && said.lines().count() == 2 && newest["action"] == "move_position",
        "{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_who_sends_by_hand_is_on_record() -> Result<()> {
    let small = Small::create("audit_http", &sections(), BEFOREHAND).await?;
    let port = free_port()?;
    let worker = Worker::start(&small.pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_ready(port)?;
    let get = |path: &str, key: &str| {
        let authorization = format!("Bearer {key}");
        request_with(port, "GET", path, &[("Authorization", &authorization)], "")
    };
    for _ in 0..3 {
        ensure!(get("/metrics", "guessed")?.status == 401);
    }
    // Without a credential nobody tried anything.
    ensure!(request(port, "GET", "/metrics", "")?.0 == 401);
    ensure!(get("/duto/audit/entries", "key of bob")?.status == 403);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let signed_in = request_with(port, "POST", "/duto/sign-in", &form, "key=guessed+too")?;
    ensure!(signed_in.status == 401, "{signed_in:?}");
    wait_for(&small.client, "SELECT count(DISTINCT what) >= 2 FROM duto.audit", PATIENCE).await?;

    let topics = free_port()?;
    let browser = Worker::topics(&small.pipeline, topics)?;
    wait_until_it_answers(topics)?;
    let path = format!("/duto/topics/{}/messages", small.log.topic);
    let by = [("Content-Type", "application/json"), ("Authorization", "Bearer key of ana")];
    let body = r#"{"payload": "{\"id\": 7}", "partition": 0}"#;
    let sent = request_with(topics, "POST", &path, &by, body)?;
    ensure!(sent.status == 201, "{sent:?}");
    let on_record = "SELECT count(*) = 1 FROM duto.audit WHERE action = 'send'";
    wait_for(&small.client, on_record, PATIENCE).await?;

    let answer = get("/duto/audit/entries?limit=2", "key of ana")?;
    let shown: Value = serde_json::from_str(&answer.body)?;
    let newest = &shown["entries"][0];
    ensure!(
        newest["actor"] == "ana" && newest["action"] == "send" && newest["via"] == "http",
        "{shown}"
    );
    let what = newest["what"].as_str().unwrap_or_default();
    ensure!(
        what.starts_with("a message of 9 bytes sent to ") && what.contains("offset 0"),
        "{what}"
    );
    let before = shown["next"].as_i64().unwrap_or_default();
    let older = get(&format!("/duto/audit/entries?before={before}"), "key of ana")?;
    let older: Value = serde_json::from_str(&older.body)?;
    ensure!(older["next"].is_null() && !older["entries"].as_array().is_none_or(Vec::is_empty));
    ensure!(get("/duto/audit/entries?limit=0", "key of ana")?.status == 400);
    browser.stop(PATIENCE)?;
    worker.stop(PATIENCE)?;

    let refused = small
        .rows("SELECT actor, what FROM duto.audit WHERE action = 'sign_in_refused' ORDER BY what")
        .await?;
    let told = |words: &str| refused.iter().any(|row| row.contains(words));
    ensure!(
        refused.iter().all(|row| row.starts_with("127.0.0.1 not let in: "))
            && told("the key is not known")
            && told("bob may not operate"),
        "{refused:?}"
    );
    let tries: usize = refused
        .iter()
        .filter(|row| row.contains("the key is not known"))
        .map(|row| row.split_whitespace().find_map(|word| word.parse::<usize>().ok()).unwrap_or(1))
        .sum();
    ensure!(tries == 4, "{refused:?}");
    let loader = "SELECT count(*) FROM duto.audit WHERE what LIKE '%guessed%'";
    small.expect(loader, &["0"]).await
}
