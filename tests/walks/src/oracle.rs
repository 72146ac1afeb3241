//! The sequential model: record after record, each in a transaction of its own, in a database where
//! PostgreSQL itself evaluates the checks, the SELECTs and the repeat rules. What PostgreSQL
//! refuses there must be a reject here.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::decode::{Cleaning, decode};
use crate::definition::{Publish, Table, pairs, publishes, rollups, tables};
use crate::shape::{self, Column, Field};
use crate::sql_words::{translate, without_from};

/// What may become of a record, as letters of the ledger: `s` stored, `d` repeated, `r` rejected,
/// `f` filtered.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub letter: char,
    /// Another letter that is as good: of two rows of one key in an `update` table a batch writes
    /// the last alone.
    pub or: char,
    /// Of a reject: `decode`, `check`, or `sql` for what the database or an expression refuses.
    pub stage: &'static str,
    pub why: String,
    /// By the name of `publish`, the messages of the rows that were stored.
    pub messages: Vec<(String, String)>,
}

impl Verdict {
    fn plain(letter: char) -> Self {
        Self { letter, or: letter, stage: "", why: String::new(), messages: Vec::new() }
    }

    fn reject(stage: &'static str, why: String) -> Self {
        Self { letter: 'r', or: 'r', stage, why, messages: Vec::new() }
    }
}

/// A table with its statements.
struct Target {
    table: Table,
    select: String,
    /// Without the clause for a repeat.
    insert: String,
    /// Of an `update` table, all rows of the record into a table of the same columns.
    probe: Option<String>,
    outputs: Vec<String>,
    /// The messages of a stored row: names and expressions over it.
    messages: Vec<(String, String)>,
    /// What the rollups evaluate over a stored row.
    expressions: Vec<String>,
}

pub struct Oracle {
    pub client: Client,
    fields: Vec<Field>,
    columns: Vec<Column>,
    cleaning: Cleaning,
    max_bytes: usize,
    checks: Vec<String>,
    targets: Vec<Target>,
    has_once: bool,
}

const META: [(&str, &str); 2] = [("meta.partition", "INTEGER"), ("meta.offset", "BIGINT")];

impl Oracle {
    /// An empty database with what somebody made beforehand.
    pub async fn begin(client: Client, beforehand: &[String]) -> Result<Oracle> {
        client
            .batch_execute(
                "SET client_min_messages = error; SET TimeZone = 'UTC'; SET \
            search_path = public, model",
            )
            .await?;
        for sql in beforehand {
            client.batch_execute(sql).await.with_context(|| format!("the oracle refuses {sql}"))?;
        }
        let (fields, columns, checks, targets) = Default::default();
        Ok(Oracle {
            client,
            fields,
            columns,
            cleaning: Cleaning::default(),
            max_bytes: 1 << 20,
            checks,
            targets,
            has_once: false,
        })
    }

    /// Takes the pipeline file, the first one or another. An error says that the oracle cannot
    /// judge it.
    pub async fn declare(&mut self, pipeline: &Json) -> Result<()> {
        self.fields = shape::fields(&pipeline["record"]);
        let (columns, types) = shape::columns(&self.fields);
        self.columns = columns;
        self.columns.extend(META.map(|(path, sql_type)| Column {
            path: path.to_owned(),
            sql_type: sql_type.to_owned(),
        }));
        self.cleaning = Cleaning::of(pipeline);
        self.max_bytes =
            pipeline["source"]["max_record_bytes"].as_u64().map_or(1 << 20, |bytes| bytes as usize);
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("\"{}\" {}", column.path, column.sql_type))
            .collect();
        let script = format!(
            "DROP SCHEMA IF EXISTS model CASCADE; CREATE SCHEMA model; {}; CREATE TABLE \
                model.record ({})",
            types.join("; "),
            columns.join(", ")
        );
        self.client.batch_execute(&script).await.context("the record's table")?;
        self.checks = pairs(&pipeline["checks"])
            .into_iter()
            .map(|(_, sql)| translate(&sql, &self.columns))
            .collect();
        self.has_once = pipeline["once"].is_object();
        self.targets.clear();
        let (publishes, rollups) = (publishes(pipeline), rollups(pipeline));
        for table in tables(pipeline) {
            self.client.batch_execute(&table.ddl()).await.with_context(|| table.ddl())?;
            for (name, line) in &table.columns {
                let sql =
                    format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {name} {line}", table.name);
                self.client.batch_execute(&sql).await.context(sql)?;
            }
            let target = self.target(table, &publishes, &rollups).await?;
            self.targets.push(target);
        }
        Ok(())
    }

    async fn target(
        &self,
        table: Table,
        publishes: &[Publish],
        rollups: &[crate::definition::Rollup],
    ) -> Result<Target> {
        let select = translate(&table.select, &self.columns);
        let prepared = self
            .client
            .prepare(&select)
            .await
            .with_context(|| format!("the oracle cannot plan {select}"))?;
        let outputs: Vec<String> =
            prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        let names = outputs.join(", ");
        // Of one record's rows an update takes the last of each key.
        let key = table.key();
        let source = match table.repeat.as_str() {
            "update" => format!(
                "SELECT DISTINCT ON ({key}) {names}
                    FROM (SELECT *, row_number() OVER () AS place_of_row
                    FROM ({select}) AS made) AS made ORDER BY {key}, place_of_row DESC",
                key = key.join(", ")
            ),
            _ => select.clone(),
        };
        let insert =
            format!("INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE {source}", table.name);
        // Each row must fit by itself, also one that is replaced by another of its record.
        let probe = (table.repeat == "update").then(|| {
            format!(
                "INSERT INTO model.probe_{} ({names}) OVERRIDING SYSTEM VALUE {select}",
                table.name
            )
        });
        if probe.is_some() {
            let sql = format!(
                "CREATE TABLE model.probe_{name} (LIKE {name} INCLUDING DEFAULTS INCLUDING GENERATED
                    INCLUDING IDENTITY)",
                name = table.name
            );
            self.client.batch_execute(&sql).await.context(sql)?;
        }
        let message = |publish: &Publish| {
            let value = translate(&publish.value, &[]);
            let value = if value.trim_start().to_lowercase().starts_with("select") {
                format!("(SELECT to_jsonb(p)::text FROM ({}) AS p)", without_from(&value))
            } else {
                format!("to_jsonb({value})::text")
            };
            (publish.name.clone(), value)
        };
        let messages =
            publishes.iter().filter(|publish| publish.from == table.name).map(message).collect();
        let own = rollups.iter().filter(|rollup| rollup.from == table.name);
        let expressions =
            own.flat_map(|rollup| rollup.by.iter().map(|(_, sql)| sql.clone())).collect();
        Ok(Target { table, select, insert, probe, outputs, messages, expressions })
    }

    /// One record of the log. A replay leaves what an `update` table has.
    pub async fn take(
        &self,
        partition: i32,
        offset: i64,
        bytes: &[u8],
        replay: bool,
    ) -> Result<Verdict> {
        let mut literals = match decode(bytes, &self.fields, self.cleaning, self.max_bytes) {
            Ok(literals) => literals,
            Err(why) => return Ok(Verdict::reject("decode", why)),
        };
        literals.extend([partition.to_string(), offset.to_string()]);
        // In a transaction of its own: it is looked at again behind one that is rolled back.
        let insert = format!(
            "BEGIN; DELETE FROM model.record; INSERT INTO model.record VALUES ({}); COMMIT; BEGIN",
            literals.join(", ")
        );
        if let Err(error) = self.client.batch_execute(&insert).await {
            self.client.batch_execute("ROLLBACK").await?;
            return Ok(Verdict::reject("decode", error_text(&error)));
        }
        match self.transform(replay).await {
            Ok(verdict) => Ok(verdict),
            Err((stage, error)) => {
                self.client.batch_execute("ROLLBACK").await?;
                if error.as_db_error().is_none() {
                    return Err(error).context("the oracle's own connection");
                }
                Ok(Verdict::reject(stage, error_text(&error)))
            }
        }
    }

    async fn transform(
        &self,
        replay: bool,
    ) -> Result<Verdict, (&'static str, tokio_postgres::Error)> {
        for check in &self.checks {
            let passes = self
                .client
                .simple_query(&format!("SELECT ({check}) IS TRUE FROM model.record"))
                .await
                .map_err(|error| ("check", error))?;
            if first_value(&passes).as_deref() != Some("t") {
                self.client.batch_execute("ROLLBACK").await.map_err(|error| ("check", error))?;
                return Ok(Verdict::reject("check", format!("not true: {check}")));
            }
        }
        let sql = |error| ("sql", error);
        let (mut made, mut stored, mut updated) = (0, 0, false);
        let mut messages = Vec::new();
        for (place, target) in self.targets.iter().enumerate() {
            let (rows, keyless) = self.count(target).await.map_err(sql)?;
            if rows == 0 {
                continue;
            }
            if keyless > 0 {
                // A key that is NULL would never be found again.
                self.client.batch_execute("ROLLBACK").await.map_err(sql)?;
                return Ok(Verdict::reject(
                    "sql",
                    format!("the key of {} is NULL", target.table.name),
                ));
            }
            made += rows;
            if let Some(probe) = &target.probe {
                self.client.batch_execute(probe).await.map_err(sql)?;
            }
            let written = match self.client.simple_query(&target.statement(replay)).await {
                Ok(written) => written,
                Err(error) => return self.refused(target, error, replay).await,
            };
            let mut inserted = 0;
            for row in written.iter().filter_map(|message| {
                if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None }
            }) {
                inserted += 1;
                let told = target.messages.iter().enumerate().filter_map(|(at, (name, _))| {
                    Some((name.clone(), row.get(at + 1)?.to_owned()))
                });
                messages.extend(told);
            }
            if target.table.repeat == "append" && inserted < rows {
                self.client.batch_execute("ROLLBACK").await.map_err(sql)?;
                return Ok(Verdict::reject(
                    "sql",
                    format!("a trigger of {} swallows a row", target.table.name),
                ));
            }
            stored += inserted;
            updated |= target.table.repeat == "update" && inserted > 0;
            if place == 0 && self.has_once && inserted == 0 {
                return self.repeated_once(replay).await.map_err(sql);
            }
        }
        self.client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(sql)?;
        self.client.batch_execute("COMMIT").await.map_err(sql)?;
        let mut verdict = Verdict::plain(match (made, stored) {
            (0, _) => 'f',
            (_, 0) => 'd',
            _ => 's',
        });
        verdict.messages = messages;
        if updated {
            verdict.or = 'd';
        }
        Ok(verdict)
    }

    /// The rows that the record makes for a table, and those whose key is NULL.
    async fn count(&self, target: &Target) -> Result<(u64, u64), tokio_postgres::Error> {
        let key: Vec<String> = target
            .table
            .key()
            .into_iter()
            .filter(|name| target.outputs.contains(name))
            .map(|name| format!("{name} IS NULL"))
            .collect();
        let keyless = if key.is_empty() { "FALSE".to_owned() } else { key.join(" OR ") };
        let select = format!(
            "SELECT count(*), count(*) FILTER (WHERE {keyless}) FROM ({}) AS made",
            target.select
        );
        let row = self.client.query_one(&select, &[]).await?;
        Ok((row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64))
    }

    /// The key of the `once` table is there already: the record writes nothing anywhere. Where it
    /// would be refused if it came for the first time, it may be called one or the other.
    async fn repeated_once(&self, replay: bool) -> Result<Verdict, tokio_postgres::Error> {
        let mut verdict = Verdict::plain('d');
        for target in &self.targets[1..] {
            let keyless = self.count(target).await.map_or(1, |(_, keyless)| keyless);
            let fits = match &target.probe {
                Some(probe) => self.client.batch_execute(probe).await.is_ok(),
                None => true,
            };
            if keyless > 0
                || !fits
                || self.client.batch_execute(&target.statement(replay)).await.is_err()
            {
                verdict.or = 'r';
                break;
            }
        }
        self.client.batch_execute("ROLLBACK").await?;
        Ok(verdict)
    }

    /// A row was refused. If it is the only table, and its key is there already, the record may as
    /// well be called repeated: the constraint and the key are both in its way.
    async fn refused(
        &self,
        target: &Target,
        error: tokio_postgres::Error,
        replay: bool,
    ) -> Result<Verdict, (&'static str, tokio_postgres::Error)> {
        if error.as_db_error().is_none() {
            return Err(("sql", error));
        }
        let sql = |error| ("sql", error);
        self.client.batch_execute("ROLLBACK").await.map_err(sql)?;
        let mut verdict = Verdict::reject("sql", error_text(&error));
        let key = target.table.key();
        let keeps = target.table.repeat == "ignore" || target.table.repeat == "update" && replay;
        if self.targets.len() == 1 && keeps && !key.is_empty() {
            let key = key.join(", ");
            let there = format!(
                "SELECT count(*) FROM ({}) AS made WHERE ({key}) IN (SELECT {key} FROM {})",
                target.select, target.table.name
            );
            if self.client.query_one(&there, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) > 0) {
                verdict.or = 'd';
            }
        }
        Ok(verdict)
    }
}

impl Target {
    fn statement(&self, replay: bool) -> String {
        let key = self.table.key();
        // PostgreSQL lets nobody set an identity, not even to what it is.
        let beside: Vec<&String> = self.outputs.iter().filter(|name| !key.contains(name)).collect();
        let set = if beside.is_empty() { self.outputs.iter().collect() } else { beside };
        let others: Vec<String> =
            set.iter().map(|name| format!("{name} = EXCLUDED.{name}")).collect();
        let key = key.join(", ");
        let repeat = match self.table.repeat.as_str() {
            "ignore" => format!("ON CONFLICT ({key}) DO NOTHING"),
            "update" if replay => format!("ON CONFLICT ({key}) DO NOTHING"),
            "update" => format!("ON CONFLICT ({key}) DO UPDATE SET {}", others.join(", ")),
            _ => String::new(),
        };
        let mut returning = vec!["1".to_owned()];
        returning.extend(self.messages.iter().map(|(_, sql)| sql.clone()));
        returning.extend(self.expressions.iter().map(|sql| format!("({sql})::text")));
        format!("{} {repeat} RETURNING {}", self.insert, returning.join(", "))
    }
}

fn first_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

fn error_text(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |error| format!("{} {}", error.code().code(), error.message()),
    )
}
