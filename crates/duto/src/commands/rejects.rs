//! `duto rejects ls|show|replay|discard FILE`: what was not stored, and why.

use std::borrow::Cow;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::pipeline_file::load;
use super::{exit_code, table};
use crate::actor::actor;
use duto_definition::Pipeline;
use duto_ground::batch::decode_headers;
use duto_load::connect::{Connection, Connector};
use duto_load::rejects::{self, sealed_reason_of};
use duto_load::sealed::{RejectColumn, RejectPlace};
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
    /// Give open rejects up; they stay on record, and never come again
    Discard(DiscardArgs),
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

#[derive(Debug, clap::Args)]
pub struct DiscardArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// These, by their numbers from `ls`.
    #[arg(long, value_name = "ID", value_delimiter = ',', required_unless_present = "all")]
    pub id: Vec<i64>,
    /// All that are open.
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
    /// Why they are given up, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    pub why: String,
}

pub async fn run(args: RejectsArgs) -> anyhow::Result<i32> {
    let file = match &args.command {
        RejectsCommand::Ls(args) => &args.file,
        RejectsCommand::Show(args) => &args.file,
        RejectsCommand::Discard(args) => &args.file,
        RejectsCommand::Replay(args) => return super::replay::run(args).await,
    };
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let connector = Connector::new(&loaded.pipeline.database, "rejects")?;
    let connection = connector.connect().await?;
    let name = &loaded.pipeline.name;
    let Some(sealed_reason) = sealed_reason_of(&connection).await? else {
        bail!("the pipeline {name} has not run in {} yet: it has no rejects", connector.target());
    };
    let kept = Kept { on: &connection, pipeline: &loaded.pipeline, sealed_reason };
    match args.command {
        RejectsCommand::Ls(args) => ls(&kept, &args).await,
        RejectsCommand::Show(args) => show(&kept, &args).await,
        RejectsCommand::Discard(args) => discard(&kept, &args).await,
        RejectsCommand::Replay(args) => super::replay::run(&args).await,
    }
}

/// The rejects of a pipeline, and how they are opened.
struct Kept<'a> {
    on: &'a Connection,
    pipeline: &'a Pipeline,
    /// The column, see [`sealed_reason_of`].
    sealed_reason: &'static str,
}

/// The columns of a row that say whose reject it is.
#[derive(Clone, Copy)]
struct PlaceColumns {
    topic: usize,
    partition: usize,
    offset: usize,
}

impl Kept<'_> {
    fn place<'r>(&'r self, row: &'r Row, columns: PlaceColumns) -> RejectPlace<'r> {
        RejectPlace {
            pipeline: &self.pipeline.name,
            topic: row.get(columns.topic),
            partition: row.get(columns.partition),
            offset: row.get(columns.offset),
        }
    }

    /// The sentence, of the columns that hold the masked and the sealed one.
    fn reason(&self, row: &Row, columns: PlaceColumns, (masked, sealed): (usize, usize)) -> String {
        let keyring = &self.pipeline.encryption.keyring;
        self.place(row, columns).reason(keyring, row.get(masked), row.get(sealed))
    }

    /// Bytes as they came; what cannot be opened is said.
    fn opened(
        &self,
        row: &Row,
        columns: PlaceColumns,
        of: RejectColumn,
        column: usize,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let keyring = &self.pipeline.encryption.keyring;
        let opened = self.place(row, columns).open(keyring, of, row.get(column));
        let opened = opened.with_context(|| format!("opening the reject's {}", of.name()))?;
        Ok(opened.map(Cow::into_owned))
    }

    /// The name of the file that a reject is a line of, as it was called when it was loaded; None
    /// of a record of the topic. Headers that do not open leave it without a name.
    fn file_of(&self, row: &Row, columns: PlaceColumns, headers: usize) -> Option<String> {
        if !row.get::<_, &str>(columns.topic).starts_with(TOPIC_PREFIX) {
            return None;
        }
        let headers = self.opened(row, columns, RejectColumn::Headers, headers);
        let headers = decode_headers(&headers.ok().flatten().unwrap_or_default());
        let name = headers.into_iter().find(|(name, _)| name == NAME_HEADER);
        let name = name.and_then(|(_, value)| value);
        Some(
            name.map_or_else(
                || "file".to_owned(),
                |name| String::from_utf8_lossy(&name).into_owned(),
            ),
        )
    }
}

async fn ls(kept: &Kept<'_>, args: &LsArgs) -> anyhow::Result<i32> {
    let Kept { on, pipeline, sealed_reason } = kept;
    let pipeline = &pipeline.name;
    // Numbers and texts inside a reason differ from record to record: what groups is the stage, the
    // rule and the path without its places.
    let counts = "SELECT count(*), stage, rule, regexp_replace(path, '\\[[0-9]+\\]', '[]', 'g'),
         max(last_at)::text, (array_agg(id ORDER BY reason, id))[1]
         FROM duto.reject WHERE pipeline = $1 AND status = 'open' GROUP BY 2, 3, 4
         ORDER BY 1 DESC, 2, 3, 4";
    let counts = format!(
        "SELECT count, counted.stage, counted.rule, path_of_all, reason, newest, topic, partition,
         \"offset\", {sealed_reason}
         FROM ({counts}) AS counted (count, stage, rule, path_of_all, newest, example)
         JOIN duto.reject ON id = example ORDER BY 1 DESC, 2, 3, 4"
    );
    let counts = on.within(on.client.query(&counts, &[&pipeline])).await?;
    let newest = format!(
        "SELECT id, partition, \"offset\", stage, path, reason, last_at::text, topic, headers,
         {sealed_reason}
         FROM duto.reject WHERE pipeline = $1 AND status = 'open' ORDER BY id DESC LIMIT $2"
    );
    let newest = on.within(on.client.query(&newest, &[&pipeline, &args.limit])).await?;
    let text = |row: &Row, column: usize| row.get::<_, String>(column);
    let of_counts = PlaceColumns { topic: 6, partition: 7, offset: 8 };
    let example = |row: &Row| kept.reason(row, of_counts, (4, 9));
    let of_newest = PlaceColumns { topic: 7, partition: 1, offset: 2 };
    let reason = |row: &Row| kept.reason(row, of_newest, (5, 9));
    let file = |row: &Row| kept.file_of(row, of_newest, 8);
    if args.json {
        let reasons: Vec<Value> = counts
            .iter()
            .map(|row| json!({"count": row.get::<_, i64>(0), "stage": text(row, 1), "rule": text(row, 2), "path": text(row, 3), "example": example(row), "last_at": text(row, 5)}))
            .collect();
        let newest: Vec<Value> = newest
            .iter()
            .map(|row| {
                json!({"id": row.get::<_, i64>(0), "topic": text(row, 7), "file": file(row), "partition": row.get::<_, i32>(1), "offset": row.get::<_, i64>(2),
                       "stage": text(row, 3), "path": text(row, 4), "reason": reason(row), "last_at": text(row, 6)})
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
                example(row),
            ]
        })
        .collect();
    print!("{}", table::align(&["count", "stage", "rule", "path", "for example"], &rows));
    let rows: Vec<Vec<String>> = newest
        .iter()
        .map(|row| {
            let place = match file(row) {
                Some(file) => format!("{file}:{}", row.get::<_, i64>(2)),
                None => format!("{}/{}", row.get::<_, i32>(1), row.get::<_, i64>(2)),
            };
            vec![row.get::<_, i64>(0).to_string(), place, text(row, 3), reason(row), text(row, 6)]
        })
        .collect();
    println!("\nthe newest; `duto rejects show {} ID` shows one whole:", args.file.display());
    print!(
        "{}",
        table::align(
            &["id", place_heading(newest.iter().map(file)), "stage", "reason", "at"],
            &rows
        )
    );
    Ok(exit_code::FINE)
}

async fn show(kept: &Kept<'_>, args: &ShowArgs) -> anyhow::Result<i32> {
    let Kept { on, pipeline, sealed_reason } = kept;
    let pipeline = &pipeline.name;
    let statement = format!(
        "SELECT id, topic, partition, \"offset\", stage, path, rule, reason, sqlstate,
         status, first_at::text, last_at::text, key, headers, payload, payload_bytes, {sealed_reason}
         FROM duto.reject WHERE pipeline = $1 AND id = $2"
    );
    let Some(row) = on.within(on.client.query_opt(&statement, &[&pipeline, &args.id])).await?
    else {
        bail!(
            "the pipeline {pipeline} has no reject {}; `duto rejects ls {}` lists them",
            args.id,
            args.file.display()
        );
    };
    let columns = PlaceColumns { topic: 1, partition: 2, offset: 3 };
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let opened = |of, column| kept.opened(&row, columns, of, column);
    let readable = |bytes: Option<Vec<u8>>| bytes.map(|bytes| readable(&bytes));
    let headers = opened(RejectColumn::Headers, 13)?.unwrap_or_default();
    let headers: Vec<Value> = decode_headers(&headers)
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": readable(value)}))
        .collect();
    let reason = kept.reason(&row, columns, (7, 16));
    let (key, payload) = (opened(RejectColumn::Key, 12)?, opened(RejectColumn::Payload, 14)?);
    let shown = json!({
        "id": row.get::<_, i64>(0), "file": kept.file_of(&row, columns, 13), "topic": text(1), "partition": row.get::<_, i32>(2), "offset": row.get::<_, i64>(3),
        "stage": text(4), "path": text(5), "rule": text(6), "reason": reason, "sqlstate": text(8), "status": text(9),
        "first_at": text(10), "last_at": text(11), "key": readable(key), "headers": headers, "payload": readable(payload), "payload_bytes": row.get::<_, Option<i64>>(15),
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

async fn discard(kept: &Kept<'_>, args: &DiscardArgs) -> anyhow::Result<i32> {
    if args.why.trim().is_empty() {
        bail!("--why is empty: say why the rejects are given up");
    }
    let ids = (!args.all).then_some(args.id.as_slice());
    let actor = actor(Some(args.why.clone()));
    let discarded = rejects::discard(kept.on, &kept.pipeline.name, ids, &actor).await?;
    println!("rejects discarded: {discarded}");
    let asked = ids.map_or(discarded, |ids| ids.len() as u64);
    if asked > discarded {
        println!("numbers that are no open rejects: {}", asked - discarded);
    }
    Ok(exit_code::FINE)
}

/// What the places of the rejects are, by the files that they are lines of.
fn place_heading(files: impl Iterator<Item = Option<String>>) -> &'static str {
    let (of_files, of_topics): (Vec<_>, Vec<_>) = files.partition(Option::is_some);
    match (of_files.is_empty(), of_topics.is_empty()) {
        (true, _) => "partition/offset",
        (false, true) => "file:line",
        (false, false) => "place",
    }
}

/// Bytes for a person: as text where they are UTF-8, else in base 16.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("\\x{}", hex::encode(bytes)),
    }
}
