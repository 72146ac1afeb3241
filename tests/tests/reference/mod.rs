//! `docs/reference.md` is made of the definitions themselves, and of what the running program says.
//! `UPDATE_GOLDEN=1` writes it anew.

mod errors;
mod functions;
mod keys;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use duto_servers::free_port;
use duto_tests::carrier::{Carrier, Style};
use duto_tests::http::{request, wait_until_ready};
use duto_tests::pipeline::root;
use duto_tests::small::{EVENTS, Small};
use duto_tests::worker::Worker;

const HEAD: &str = "# Reference\n\nMade by `UPDATE_GOLDEN=1 scripts/test reference` from the \
    program itself; a test fails where it differs.\n\n\
    [Sections and keys](#sections-and-keys) · [Functions](#functions) · [Errors](#errors) · \
    [Metrics](#metrics) · [Tables of the schema duto](#tables-of-the-schema-duto)\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_is_what_the_program_says() -> Result<()> {
    let mut small = Small::create("reference", EVENTS, "").await?;
    small.send([r#"{"id": 1}"#])?;
    small.load()?;
    let reference = format!(
        "{HEAD}\n{}\n{}\n{}\n{}\n{}",
        keys::written(&duto_definition::json_schema()),
        functions::written(),
        errors::written()?,
        metrics().await?,
        tables(&mut small).await?
    );
    let path = root().join("docs/reference.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &reference)?;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = reference.lines().zip(kept.lines()).find(|(now, kept)| now != kept);
    ensure!(
        kept == reference,
        "docs/reference.md is not what the program says, first at {differing:?}: UPDATE_GOLDEN=1 \
            writes it anew"
    );
    Ok(())
}

/// What `/metrics` says of each of its measures. Messages out and an endpoint that is read have
/// measures of their own.
async fn metrics() -> Result<String> {
    let carrier = Carrier::start(Style::Whole)?;
    let sections = format!(
        "{EVENTS}
publish:
  told: {{ from: events, topic: told, key: id, value: SELECT id FROM events }}
pull:
  carrier:
    url: {}
    headers: {{ Authorization: Bearer of-a-carrier }}
    items: data.orders
",
        carrier.url()
    );
    let small = Small::create("reference_metrics", &sections, "").await?;
    let port = free_port()?;
    let _worker = Worker::start(&small.pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_ready(port)?;
    let (status, body) = request(port, "GET", "/metrics", "")?;
    ensure!(status == 200, "/metrics answers {status}: {body}");
    let described = |kind: &str| {
        let lines = body
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("# {kind} "))?.split_once(' '));
        lines.map(|(name, words)| (name.to_owned(), words.to_owned())).collect::<Vec<_>>()
    };
    let types = described("TYPE");
    let mut text = "## Metrics\n\nOf `/metrics`, in the OpenMetrics text format; each has the \
        label `pipeline`.\n\n| name | type | what it is |\n| --- | --- | --- |\n"
        .to_owned();
    for (name, help) in described("HELP") {
        let kind =
            types.iter().find(|(known, _)| *known == name).map_or("", |(_, kind)| kind.as_str());
        let suffix = if kind == "counter" { "_total" } else { "" };
        text.push_str(&format!("| `{name}{suffix}` | {kind} | {} |\n", help.trim_end_matches('.')));
    }
    for wanted in ["duto_lag", "duto_publish", "duto_pull"] {
        ensure!(text.contains(wanted), "no {wanted} in {body}");
    }
    Ok(text)
}

/// The tables as a start makes them.
async fn tables(small: &mut Small) -> Result<String> {
    let columns = small
        .rows(
            "SELECT table_name || '|' || string_agg(column_name || ' ' || data_type || CASE
                 is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END,
                 ', ' ORDER BY ordinal_position)
             FROM information_schema.columns WHERE table_schema = 'duto' GROUP BY table_name
                 ORDER BY table_name",
        )
        .await?;
    let mut text =
        "## Tables of the schema duto\n\nMade at the first start. They may be read; who writes to \
            them by hand breaks the promise.\n\n\
        | table | columns |\n| --- | --- |\n"
            .to_owned();
    let mut names = BTreeSet::new();
    for (table, columns) in columns.iter().filter_map(|row| row.split_once('|')) {
        text.push_str(&format!("| `duto.{table}` | {columns} |\n"));
        names.insert(table.to_owned());
    }
    ensure!(
        names.contains("position") && names.contains("reject"),
        "there are no tables: {names:?}"
    );
    Ok(text)
}
