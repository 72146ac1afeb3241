//! `duto encryption key|status`: the keys that seal what duto keeps.

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;

use super::pipeline_file::load;
use super::{exit_code, table};
use duto_ground::seal::{HEAD_BYTES, MAGIC, is_id, new_key, sealed_by};
use duto_load::connect::{Connection, Connector};

/// Make what `encryption:` of a pipeline file needs, and show what is sealed by which key.
#[derive(Debug, clap::Args)]
pub struct EncryptionArgs {
    #[command(subcommand)]
    pub command: EncryptionCommand,
}

#[derive(Debug, Subcommand)]
pub enum EncryptionCommand {
    /// Make a random key of 256 bits, as `encryption.keys` and a key file have it
    Key(KeyArgs),
    /// Count what is sealed by each key in the database, and what is not sealed
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// Its name, for example the month: up to 16 letters, digits, `_`, `-` and `.`.
    #[arg(value_name = "ID")]
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Where sealed values are: a word for people, the table, and the column that tells of its row.
const PLACES: [(&str, &str, &str); 3] = [
    ("rejects", "duto.reject", "payload"),
    ("answers", "duto.answer", "body"),
    ("outbox", "duto.outbox", "value"),
];

pub async fn run(args: EncryptionArgs) -> anyhow::Result<i32> {
    match args.command {
        EncryptionCommand::Key(args) => key(&args),
        EncryptionCommand::Status(args) => status(&args).await,
    }
}

fn key(args: &KeyArgs) -> anyhow::Result<i32> {
    if !is_id(&args.id) {
        bail!(
            "{} is no name for a key: up to 16 letters, digits, `_`, `-` and `.`, for example 2026-11",
            args.id
        );
    }
    println!("{}", new_key(&args.id));
    Ok(exit_code::FINE)
}

/// So many values of one table under one key.
struct Count {
    what: &'static str,
    /// None of those that are kept plain.
    key: Option<String>,
    values: i64,
}

async fn status(args: &StatusArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let pipeline = &loaded.pipeline;
    let given = pipeline.encryption.keyring.ids()?;
    let connection = Connector::new(&pipeline.database, "encryption")?.connect().await?;
    let counts = counts(&connection, &pipeline.name).await?;
    let missing = |count: &&Count| count.key.as_ref().is_some_and(|key| !given.contains(key));
    let unreadable: Vec<&Count> = counts.iter().filter(missing).collect();
    if args.json {
        let counts: Vec<_> = counts
            .iter()
            .map(|count| json!({"what": count.what, "key": count.key, "values": count.values}))
            .collect();
        println!("{}", json!({"pipeline": pipeline.name, "keys": given, "kept": counts}));
    } else {
        print_status(&given, &counts);
    }
    for count in &unreadable {
        let Count { what, key, values } = count;
        let key = key.as_deref().unwrap_or_default();
        eprintln!(
            "{values} of the {what} are sealed by the key {key}, which is not given: they cannot be opened"
        );
    }
    Ok(if unreadable.is_empty() { exit_code::FINE } else { exit_code::FAILED })
}

fn print_status(given: &[String], counts: &[Count]) {
    match given.split_first() {
        None => println!("no keys: what is kept from now on is kept plain"),
        Some((first, [])) => println!("{first} seals and opens"),
        Some((first, rest)) => println!("{first} seals; it and {} open", rest.join(", ")),
    }
    if counts.is_empty() {
        println!("nothing is kept in the database");
        return;
    }
    let row = |count: &Count| {
        let key = count.key.clone().unwrap_or_else(|| "plain".to_owned());
        vec![count.what.to_owned(), key, count.values.to_string()]
    };
    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
    print!("\n{}", table::align(&["kept", "key", "values"], &rows));
    let is_used = |id: &&String| !counts.iter().any(|count| count.key.as_ref() == Some(*id));
    let unused: Vec<&str> = given.iter().skip(1).filter(is_used).map(String::as_str).collect();
    if !unused.is_empty() {
        println!(
            "\nnothing in the database is sealed by {} any more; the embedded log may still hold \
                records that are",
            unused.join(", ")
        );
    }
}

async fn counts(on: &Connection, pipeline: &str) -> anyhow::Result<Vec<Count>> {
    let mut counts = Vec::new();
    for (what, table, column) in PLACES {
        let there = "SELECT to_regclass($1) IS NOT NULL";
        if !on.within(on.client.query_one(there, &[&table])).await?.get::<_, bool>(0) {
            continue;
        }
        let statement = format!(
            "SELECT CASE WHEN substr({column}, 1, $2) = $3 THEN substr({column}, 1, $4) END AS head,
                count(*) FROM {table} WHERE pipeline = $1 AND {column} IS NOT NULL GROUP BY 1"
        );
        let (magic_bytes, head_bytes) = (MAGIC.len() as i32, HEAD_BYTES as i32);
        let magic: &[u8] = &MAGIC;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&pipeline, &magic_bytes, &magic, &head_bytes];
        for row in on.within(on.client.query(&statement, &values)).await? {
            let key = row.get::<_, Option<&[u8]>>(0).and_then(sealed_by).map(str::to_owned);
            let values = row.get(1);
            // Plain ones, and those that only begin like a sealed one, are the same to people.
            match counts
                .iter_mut()
                .find(|count: &&mut Count| count.what == what && count.key == key)
            {
                Some(count) => count.values += values,
                None => counts.push(Count { what, key, values }),
            }
        }
    }
    Ok(counts)
}
