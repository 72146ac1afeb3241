//! A file that somebody writes while it is loaded: of every line that is stored it is known that
//! the file's digest stands for it.

use std::io::{Seek, SeekFrom, Write};

use anyhow::{Context, Result, ensure};
use duto_tests::pipeline::Settings;
use duto_tests::tracking::{HEADING, Trackings, file_of};
use duto_tests::verify::connect;
use duto_tests::wait::wait_for;
use duto_tests::worker::program;

use crate::logistics::{PATIENCE, Tracked};

const BAD_DATA: i32 = 65;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_of_what_was_written_during_the_load() -> Result<()> {
    let tracked =
        Tracked::create("changing", &Settings { batch_records: 500, ..Settings::default() })
            .await?;
    // The tables are there before the load that is held up.
    let line = "999999,Natal,Acre,CANCELADO,2025-10-12T00:00:00Z\n";
    tracked.loaded(&tracked.write("first.csv", format!("{HEADING}\n{line}"))?)?;
    let text = file_of(&Trackings::new(35, 4_000).take(60_000));
    let file = tracked.write("eventos.csv", &text)?;
    ensure!(text.len() > 3 << 20, "the file is too short to be read in parts: {}", text.len());

    let holder = connect(&tracked.database.url()).await?;
    holder.batch_execute("BEGIN; LOCK TABLE pacotes IN ACCESS EXCLUSIVE MODE").await?;
    let (pipeline, path) =
        (tracked.pipeline.file.display().to_string(), file.display().to_string());
    let load = std::process::Command::new(program()?)
        .args(["load", &pipeline, &path])
        .envs(tracked.pipeline.environment.iter().cloned())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .context("starting a load")?;
    wait_for(
        &tracked.client,
        "SELECT EXISTS (SELECT 1 FROM pg_locks
        WHERE relation = 'pacotes'::regclass AND NOT granted)",
        PATIENCE,
    )
    .await?;
    // As long as before, so that only the bytes tell.
    let mut written = std::fs::OpenOptions::new().write(true).open(&file)?;
    written.seek(SeekFrom::End(-(line.len() as i64)))?;
    written.write_all(line.as_bytes())?;
    drop(written);
    holder.batch_execute("COMMIT").await?;
    let ended = load.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(
        ended.status.code() == Some(BAD_DATA) && said.contains("it changed while it was loaded"),
        "{}: {said}",
        ended.status
    );
    ensure!(said.contains("what is stored counts as repeated"), "{said}");

    // What is stored is the beginning of the file as it was, whole portions, and the ledger has it.
    let next: i64 = tracked
        .one(
            "SELECT max(next) FROM duto.position WHERE topic <> (SELECT topic
            FROM duto.batch ORDER BY id LIMIT 1)",
        )
        .await?;
    ensure!(
        next > 1 && said.contains(&format!("before line {next} ")),
        "the position is {next}: {said}"
    );
    ensure!(next < 60_001, "the changed part was stored");
    // And the advice holds: the file of now is loaded, and what was stored counts as repeated.
    let figures = tracked.loaded(&file)?;
    ensure!(figures["records"].as_i64().is_some_and(|records| records >= 59_999), "{figures}");
    tracked.verify_rollups()
}
