//! What the program left, against what the model holds for true.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::canonical::canonical;
use crate::definition::{Table, Window, pairs, publishes, rollups, tables};
use crate::failure::{Failure, Kind};
use crate::ground::TOPIC;
use crate::log_file::LogFile;
use crate::measure::as_aggregate;
use crate::oracle::Oracle;
use crate::play::Expected;
use crate::walk::Walk;

/// The first promise that is broken.
pub async fn judge(
    database: &Client,
    oracle: &Oracle,
    log: &LogFile,
    pipeline: &Json,
    walk: &Walk,
    expected: &Expected,
) -> Result<Option<Failure>> {
    let judge = Judge {
        database,
        oracle: &oracle.client,
        log,
        pipeline,
        expected,
        requests: walk.has_posts(),
    };
    if let Some(failure) = judge.tables().await? {
        return Ok(Some(failure));
    }
    if let Some(failure) = judge.ledger().await? {
        return Ok(Some(failure));
    }
    if let Some(failure) = judge.rejects().await? {
        return Ok(Some(failure));
    }
    if let Some(failure) = judge.rollups().await? {
        return Ok(Some(failure));
    }
    judge.messages().await
}

struct Judge<'a> {
    database: &'a Client,
    oracle: &'a Client,
    log: &'a LogFile,
    pipeline: &'a Json,
    expected: &'a Expected,
    /// The log was written by requests, so what stands at an offset is not known before.
    requests: bool,
}

impl Judge<'_> {
    async fn tables(&self) -> Result<Option<Failure>> {
        for table in tables(self.pipeline) {
            let columns = compared_columns(self.oracle, &table).await?;
            let from = format!("SELECT {} FROM public.{}", columns.join(", "), table.name);
            let expected = rows(self.oracle, &from).await.with_context(|| from.clone())?;
            let found = match rows(self.database, &from).await {
                Ok(found) => found,
                Err(error) => {
                    return Ok(Some(
                        Failure::new(Kind::Rows, format!("{from}: {error:#}")).in_way("unreadable"),
                    ));
                }
            };
            if let Some(difference) = difference(&found, &expected) {
                let detail =
                    format!("table {} ({}): {}", table.name, columns.join(", "), difference.shown);
                return Ok(Some(Failure::new(Kind::Rows, detail).in_way(difference.way)));
            }
        }
        Ok(None)
    }

    async fn ledger(&self) -> Result<Option<Failure>> {
        let logged = self.log.read(TOPIC)?;
        let wrong = |detail: String| Ok(Some(Failure::new(Kind::Ledger, detail)));
        let statement =
            "SELECT partition, from_offset, to_offset, records, stored, repeated, rejected,
                         filtered, not_stored, outcomes, kind
                         FROM duto.batch WHERE kind <> 'replay' ORDER BY partition, id";
        let mut at: BTreeMap<i32, i64> = BTreeMap::new();
        let mut letters: BTreeMap<(i32, i64), char> = BTreeMap::new();
        let mut stored_in_all = 0;
        for row in self.database.query(statement, &[]).await? {
            let (partition, from, to): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let before = at.insert(partition, to).unwrap_or(0);
            if from != before {
                return wrong(format!(
                    "partition {partition}: a batch begins at {from}, the one before it ended at \
                        {before}"
                ));
            }
            if row.get::<_, String>(10) != "load" {
                continue;
            }
            let (offsets, outcomes): (Vec<i64>, String) = (row.get(8), row.get(9));
            let not_stored: BTreeMap<i64, char> =
                offsets.into_iter().zip(outcomes.chars()).collect();
            let inside: Vec<i64> = logged
                .iter()
                .filter(|one| one.partition == partition && (from..to).contains(&one.offset))
                .map(|one| one.offset)
                .collect();
            let [records, stored, repeated, rejected, filtered] =
                [3_usize, 4, 5, 6, 7].map(|column| row.get::<_, i32>(column) as usize);
            stored_in_all += stored;
            let count =
                |letter: char| not_stored.values().filter(|other| **other == letter).count();
            let sums =
                (inside.len(), inside.len() - not_stored.len(), count('d'), count('r'), count('f'));
            if (records, stored, repeated, rejected, filtered) != sums {
                return wrong(format!(
                    "partition {partition}, {from} to {to}: {:?} is not {sums:?}",
                    (records, stored, repeated, rejected, filtered)
                ));
            }
            for offset in inside {
                letters
                    .insert((partition, offset), not_stored.get(&offset).copied().unwrap_or('s'));
            }
        }
        if let Some(one) =
            logged.iter().find(|one| !letters.contains_key(&(one.partition, one.offset)))
        {
            return wrong(format!(
                "partition {} offset {} is in no batch",
                one.partition, one.offset
            ));
        }
        if self.requests {
            let expected = self.expected.posts.stored();
            let detail =
                format!("{stored_in_all} records are counted as stored, it should be {expected:?}");
            return Ok(
                (!expected.contains(&stored_in_all)).then(|| Failure::new(Kind::Outcome, detail))
            );
        }
        for (place, letter) in &letters {
            let Some(verdict) = self.expected.verdicts.get(place) else { continue };
            if *letter != verdict.letter && *letter != verdict.or {
                let payload = logged
                    .iter()
                    .find(|one| (one.partition, one.offset) == *place)
                    .map(|one| excerpt(&one.payload));
                let detail = format!(
                    "{place:?} is {letter}, expected {} ({}): {}",
                    verdict.letter,
                    verdict.why,
                    payload.unwrap_or_default()
                );
                return Ok(Some(
                    Failure::new(Kind::Outcome, detail)
                        .in_way(format!("{letter} for {}", verdict.letter)),
                ));
            }
        }
        Ok(None)
    }

    async fn rejects(&self) -> Result<Option<Failure>> {
        if self.requests {
            return Ok(None);
        }
        let wrong = |detail: String| Ok(Some(Failure::new(Kind::Reject, detail)));
        let mut open = BTreeMap::new();
        for row in self
            .database
            .query(
                "SELECT partition, \"offset\", stage, reason FROM duto.reject
            WHERE status = 'open'",
                &[],
            )
            .await?
        {
            let stage = match row.get::<_, &str>(2) {
                "transform" | "load" => "sql".to_owned(),
                other => other.to_owned(),
            };
            open.insert(
                (row.get::<_, i32>(0), row.get::<_, i64>(1)),
                (stage, row.get::<_, String>(3)),
            );
        }
        for (place, verdict) in &self.expected.verdicts {
            if verdict.letter != verdict.or && (verdict.letter == 'r' || verdict.or == 'r') {
                open.remove(place);
                continue;
            }
            let expected = verdict.letter == 'r' && !self.expected.replayed.contains(place);
            match open.remove(place) {
                Some((_, reason)) if !expected => {
                    return wrong(format!(
                        "{place:?} is an open reject ({reason}), expected {}",
                        verdict.letter
                    ));
                }
                None if expected => {
                    return wrong(format!(
                        "{place:?} is no open reject, expected one: {}",
                        verdict.why
                    ));
                }
                Some((stage, reason)) if stage != verdict.stage => {
                    return wrong(format!(
                        "{place:?} is rejected by {stage} ({reason}), expected {} ({})",
                        verdict.stage, verdict.why
                    ));
                }
                _ => {}
            }
        }
        match open.into_iter().next() {
            Some((place, (_, reason))) => {
                wrong(format!("{place:?} is an open reject and in no log: {reason}"))
            }
            None => Ok(None),
        }
    }

    async fn rollups(&self) -> Result<Option<Failure>> {
        for rollup in rollups(self.pipeline) {
            let mut columns: Vec<String> =
                rollup.by.iter().map(|(name, sql)| format!("{sql} AS {name}")).collect();
            columns.extend(
                rollup
                    .measures
                    .iter()
                    .map(|(name, sql)| format!("{} AS {name}", as_aggregate(sql))),
            );
            let group: Vec<String> = (1..=rollup.by.len()).map(|place| place.to_string()).collect();
            let group = if group.is_empty() {
                String::new()
            } else {
                format!(" GROUP BY {}", group.join(", "))
            };
            let (table, name) =
                (format!("public.{}", rollup.from), format!("public.{}", rollup.name));
            let counted =
                |within: &str| format!("SELECT {} FROM {table}{within}{group}", columns.join(", "));
            let names: Vec<&str> =
                rollup.by.iter().chain(&rollup.measures).map(|(name, _)| name.as_str()).collect();
            let view = format!("SELECT {} FROM {name}", names.join(", "));
            if let Some(failure) = self.same(&view, &counted(""), Kind::Rollup).await? {
                return Ok(Some(failure));
            }
            let Some(window) = &rollup.window else { continue };
            for (from, to) in self.stretches(&table, window).await? {
                let within =
                    format!(" WHERE {over} >= '{from}' AND {over} < '{to}'", over = window.over);
                if let Some(failure) = self
                    .same(&format!("{view}('{from}', '{to}')"), &counted(&within), Kind::Window)
                    .await?
                {
                    return Ok(Some(failure));
                }
            }
        }
        for (name, select) in pairs(&self.pipeline["views"]) {
            if let Some(failure) =
                self.same(&format!("SELECT * FROM public.{name}"), &select, Kind::View).await?
            {
                return Ok(Some(failure));
            }
        }
        Ok(None)
    }

    /// Some stretches of time between the first row of the table and the last.
    async fn stretches(
        &self,
        table: &str,
        Window { over, unit }: &Window,
    ) -> Result<Vec<(String, String)>> {
        let edges = format!(
            "SELECT at::text, (at + interval '1 {unit}')::text
             FROM (SELECT DISTINCT date_trunc('{unit}', {over}) AS at FROM {table}
             WHERE {over} IS NOT \
             NULL) AS edges ORDER BY at"
        );
        let edges: Vec<(String, String)> = self
            .database
            .query(&edges, &[])
            .await?
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let (Some((first, _)), Some((last, end))) = (edges.first(), edges.last()) else {
            return Ok(Vec::new());
        };
        let (middle, _) = &edges[edges.len() / 2];
        let stretches = [(first, last), (first, middle), (middle, end), (last, end)];
        Ok(stretches.into_iter().map(|(from, to)| (from.clone(), to.clone())).collect())
    }

    async fn same(&self, found: &str, expected: &str, kind: Kind) -> Result<Option<Failure>> {
        let right = match rows(self.database, expected).await {
            Ok(right) => right,
            // What was counted as it came can never be counted again: a back-fill and a
            // verification fail.
            Err(error) => {
                return Ok(Some(
                    Failure::new(kind, format!("PostgreSQL refuses {expected}: {error:#}"))
                        .in_way("refused"),
                ));
            }
        };
        let left = match rows(self.database, found).await {
            Ok(left) => left,
            Err(error) => {
                return Ok(Some(
                    Failure::new(kind, format!("{found}: {error:#}")).in_way("unreadable"),
                ));
            }
        };
        Ok(difference(&left, &right).map(|difference| {
            Failure::new(kind, format!("{found} against {expected}: {}", difference.shown))
                .in_way(difference.way)
        }))
    }

    async fn messages(&self) -> Result<Option<Failure>> {
        for publish in publishes(self.pipeline) {
            let told = self.log.read(&publish.topic)?;
            let found: Vec<String> = told
                .iter()
                .map(|message| canonical(&String::from_utf8_lossy(&message.payload)))
                .collect();
            let own = self
                .expected
                .messages
                .iter()
                .chain(self.expected.posts.messages())
                .filter(|(name, _)| *name == publish.name);
            let expected: Vec<String> = own.map(|(_, value)| canonical(value)).collect();
            let (mut found, mut expected) = (found, expected);
            found.sort();
            expected.sort();
            if let Some(difference) = difference(&found, &expected) {
                let detail = format!("{}: {}", publish.name, difference.shown);
                return Ok(Some(Failure::new(Kind::Published, detail).in_way(difference.way)));
            }
            let mut ids: Vec<&[u8]> =
                told.iter().map(|message| message.headers.as_slice()).collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.len() != told.len() {
                return Ok(Some(Failure::new(
                    Kind::Published,
                    format!("{}: {} messages have {} ids", publish.name, told.len(), ids.len()),
                )));
            }
        }
        Ok(None)
    }
}

/// The columns of the oracle's table that are the same in every run, as texts.
async fn compared_columns(oracle: &Client, table: &Table) -> Result<Vec<String>> {
    let statement = "SELECT column_name FROM information_schema.columns
                     WHERE table_schema = 'public' AND table_name = $1 AND (is_identity = 'NO'
                     OR column_name = ANY($2))
                       AND coalesce(column_default, '') !~
                     '(nextval|now|CURRENT_TIMESTAMP|gen_random|clock)' ORDER BY ordinal_position";
    // An identity column that the record feeds is no sequence's.
    let declared: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let names = oracle.query(statement, &[&table.name, &declared]).await?;
    let names =
        names.iter().map(|row| row.get::<_, String>(0)).filter(|name| !table.is_volatile(name));
    Ok(names.map(|name| format!("\"{name}\"")).collect())
}

/// The rows of a SELECT as sorted texts, numbers without zeros that do not matter.
async fn rows(client: &Client, select: &str) -> Result<Vec<String>> {
    let prepared = client.prepare(select).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let columns: Vec<String> = prepared
        .columns()
        .iter()
        .map(|column| match column.type_().name() {
            "numeric" => format!("trim_scale(\"{}\")", column.name()),
            _ => format!("\"{}\"", column.name()),
        })
        .collect();
    let mut rows = Vec::new();
    for message in client
        .simple_query(&format!(
            "SELECT ROW({})::text FROM ({select}) AS compared",
            columns.join(", ")
        ))
        .await?
    {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push(row.get(0).unwrap_or_default().to_owned());
        }
    }
    rows.sort();
    Ok(rows)
}

const SHOWN: usize = 4;

/// What two lists differ by.
struct Difference {
    /// `missing`, `surplus` or `other`.
    way: &'static str,
    shown: String,
}

fn difference(found: &[String], expected: &[String]) -> Option<Difference> {
    let mut count: BTreeMap<&String, i64> = BTreeMap::new();
    found.iter().for_each(|row| *count.entry(row).or_default() += 1);
    expected.iter().for_each(|row| *count.entry(row).or_default() -= 1);
    let surplus: Vec<_> =
        count.iter().filter(|(_, count)| **count > 0).map(|(row, count)| (*row, *count)).collect();
    let missing: Vec<_> =
        count.iter().filter(|(_, count)| **count < 0).map(|(row, count)| (*row, -count)).collect();
    let way = match (missing.is_empty(), surplus.is_empty()) {
        (true, true) => return None,
        (false, true) => "missing",
        (true, false) => "surplus",
        (false, false) => "other",
    };
    let (few_missing, few_surplus) =
        (&missing[..missing.len().min(SHOWN)], &surplus[..surplus.len().min(SHOWN)]);
    let shown = format!(
        "{} rows, expected {}; missing {few_missing:?}, surplus {few_surplus:?}",
        found.len(),
        expected.len()
    );
    Some(Difference { way, shown })
}

pub fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}
