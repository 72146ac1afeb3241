//! `duto rejects ls|show|replay FILE`: what was not stored, and why.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::pipeline_file::load;
use super::{exit_code, table};
use duto_ground::batch::decode_headers;
use duto_load::connect::{Connection, Connector};
use duto_runtime::files::{NAME_HEADER, TOPIC_PREFIX};

/// Shows what was not stored, and why.
#[derive(Debug, clap::Args)]
pub struct RejectsArgs {
    #[command(subcommand)]
    pub command: RejectsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum RejectsCommand {
    /// Count the open rejects by reason, and list the newest
    Ls(LsArgs),
    /// Show one reject with its record
    Show(ShowArgs),
    /// Send open rejects through the pipeline again, as it is now
    Replay(super::replay::ReplayArgs),
}

#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many of the newest are listed.
    #[arg(long, default_value_t = 10)]
    pub limit: i64,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The reject's number, from `ls`.
    #[arg(value_name = "ID")]
    pub id: i64,
    /// Print a JSON object; bytes that are not UTF-8 are in base 16.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: RejectsArgs) -> anyhow::Result<i32> {
    let file = match &args.command {
        RejectsCommand::Ls(args) => &args.file,
        RejectsCommand::Show(args) => &args.file,
        RejectsCommand::Replay(args) => return super::replay::run(args).await,
    };
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let connector = Connector::new(&loaded.pipeline.database, "rejects")?;
    let connection = connector.connect().await?;
    let name = &loaded.pipeline.name;
    let there: bool = connection
        .within(connection.client.query_one("SELECT to_regclass('duto.reject') IS NOT NULL", &[]))
        .await?
        .get(0);
    if !there {
        bail!("the pipeline {name} has not run in {} yet: it has no rejects", connector.target());
    }
    match args.command {
        RejectsCommand::Ls(args) => ls(&connection, name, &args).await,
        RejectsCommand::Show(args) => show(&connection, name, &args).await,
        RejectsCommand::Replay(args) => super::replay::run(&args).await,
    }
}

async fn ls(on: &Connection, pipeline: &str, args: &LsArgs) -> anyhow::Result<i32> {
    // Numbers and texts inside a reason differ from record to record: what groups is the stage, the
    // rule and the path without its places.
    let counts = "SELECT count(*), stage, rule, regexp_replace(path, '\\[[0-9]+\\]', '[]', 'g'),
         min(reason), max(last_at)::text
         FROM duto.reject WHERE pipeline = $1 AND status = 'open' GROUP BY 2, 3, 4
         ORDER BY 1 DESC, 2, 3, 4";
    let counts = on.within(on.client.query(counts, &[&pipeline])).await?;
    let newest =
        "SELECT id, partition, \"offset\", stage, path, reason, last_at::text, topic, headers
         FROM duto.reject WHERE pipeline = $1 AND status = 'open' ORDER BY id DESC LIMIT $2";
    let newest = on.within(on.client.query(newest, &[&pipeline, &args.limit])).await?;
    let text = |row: &Row, column: usize| row.get::<_, String>(column);
    if args.json {
        let reasons: Vec<Value> = counts
            .iter()
            .map(|row| json!({"count": row.get::<_, i64>(0), "stage": text(row, 1), "rule": text(row, 2), "path": text(row, 3), "example": text(row, 4), "last_at": text(row, 5)}))
            .collect();
        let newest: Vec<Value> = newest
            .iter()
            .map(|row| {
                json!({"id": row.get::<_, i64>(0), "topic": text(row, 7), "file": file_of(row, 7, 8), "partition": row.get::<_, i32>(1), "offset": row.get::<_, i64>(2),
                       "stage": text(row, 3), "path": text(row, 4), "reason": text(row, 5), "last_at": text(row, 6)})
            })
            .collect();
        println!("{}", json!({"pipeline": pipeline, "reasons": reasons, "newest": newest}));
        return Ok(exit_code::FINE);
    }
    if counts.is_empty() {
        println!("no open rejects");
        return Ok(exit_code::FINE);
    }
    let rows: Vec<Vec<String>> = counts
        .iter()
        .map(|row| {
            vec![
                row.get::<_, i64>(0).to_string(),
                text(row, 1),
                text(row, 2),
                text(row, 3),
                text(row, 4),
            ]
        })
        .collect();
    print!("{}", table::align(&["count", "stage", "rule", "path", "for example"], &rows));
    let rows: Vec<Vec<String>> = newest
        .iter()
        .map(|row| {
            let place = match file_of(row, 7, 8) {
                Some(file) => format!("{file}:{}", row.get::<_, i64>(2)),
                None => format!("{}/{}", row.get::<_, i32>(1), row.get::<_, i64>(2)),
            };
            vec![row.get::<_, i64>(0).to_string(), place, text(row, 3), text(row, 5), text(row, 6)]
        })
        .collect();
    println!("\nthe newest; `duto rejects show {} ID` shows one whole:", args.file.display());
    print!("{}", table::align(&["id", place_heading(&newest), "stage", "reason", "at"], &rows));
    Ok(exit_code::FINE)
}

async fn show(on: &Connection, pipeline: &str, args: &ShowArgs) -> anyhow::Result<i32> {
    let statement = "SELECT id, topic, partition, \"offset\", stage, path, rule, reason, sqlstate,
         status, first_at::text, last_at::text, key, headers, payload, payload_bytes
         FROM duto.reject WHERE pipeline = $1 AND id = $2";
    let Some(row) = on.within(on.client.query_opt(statement, &[&pipeline, &args.id])).await? else {
        bail!(
            "the pipeline {pipeline} has no reject {}; `duto rejects ls {}` lists them",
            args.id,
            args.file.display()
        );
    };
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let bytes = |column: usize| row.get::<_, Option<Vec<u8>>>(column).map(|bytes| readable(&bytes));
    let headers: Vec<Value> =
        decode_headers(&row.get::<_, Option<Vec<u8>>>(13).unwrap_or_default())
            .into_iter()
            .map(
                |(name, value)| json!({"name": name, "value": value.map(|value| readable(&value))}),
            )
            .collect();
    let shown = json!({
        "id": row.get::<_, i64>(0), "file": file_of(&row, 1, 13), "topic": text(1), "partition": row.get::<_, i32>(2), "offset": row.get::<_, i64>(3),
        "stage": text(4), "path": text(5), "rule": text(6), "reason": text(7), "sqlstate": text(8), "status": text(9),
        "first_at": text(10), "last_at": text(11), "key": bytes(12), "headers": headers, "payload": bytes(14), "payload_bytes": row.get::<_, Option<i64>>(15),
    });
    if args.json {
        println!("{shown}");
        return Ok(exit_code::FINE);
    }
    for (name, value) in shown
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null() && **value != json!([]))
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        println!("{name:<14} {value}");
    }
    Ok(exit_code::FINE)
}

/// The name of the file that a reject is a line of, as it was called when it was loaded; None of a
/// record of the topic.
fn file_of(row: &Row, topic: usize, headers: usize) -> Option<String> {
    if !row.get::<_, String>(topic).starts_with(TOPIC_PREFIX) {
        return None;
    }
    let headers = decode_headers(&row.get::<_, Option<Vec<u8>>>(headers).unwrap_or_default());
    let name =
        headers.into_iter().find(|(name, _)| name == NAME_HEADER).and_then(|(_, value)| value);
    Some(name.map_or_else(|| "file".to_owned(), |name| String::from_utf8_lossy(&name).into_owned()))
}

/// What the places of the rejects are.
fn place_heading(rows: &[Row]) -> &'static str {
    match rows.iter().filter(|row| file_of(row, 7, 8).is_some()).count() {
        0 => "partition/offset",
        files if files == rows.len() => "file:line",
        _ => "place",
    }
}

/// Bytes for a person: as text where they are UTF-8, else in base 16.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("\\x{}", hex::encode(bytes)),
    }
}
