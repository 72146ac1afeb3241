//! `duto check --connect FILE...`: what a start would find in the database and the log.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::check::CheckArgs;
use super::exit_code;
use super::pipeline_file::{Loaded, LogArgs, load, names_kafka, open_log};
use super::run::Part;
use duto_load::connect::Connector;
use duto_load::roles::Part as Rights;
use duto_load::rollups::RollupTargets;
use duto_load::survey::{self, Survey};
use duto_load::time_partition;

const LOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks every file, also after a bad one.
pub async fn run(args: CheckArgs) -> anyhow::Result<i32> {
    let wanted = |part: &Part| args.only.is_empty() || args.only.contains(part);
    let mut parts = Vec::new();
    if [Part::Worker, Part::Ingest, Part::Pull].iter().any(wanted) {
        parts.push(Rights::Loader);
    }
    if wanted(&Part::Serve) {
        parts.push(Rights::Reader);
    }
    let mut worst = exit_code::FINE;
    for file in &args.files {
        let code = match load(file) {
            Ok(loaded) => check(&loaded, &parts, &args).await,
            Err(code) => code,
        };
        worst = worst.max(code);
    }
    Ok(worst)
}

async fn check(loaded: &Loaded, parts: &[Rights], args: &CheckArgs) -> i32 {
    let found = look(loaded, parts).await;
    let log = tokio::task::block_in_place(|| look_at_log(loaded, &args.log));
    let lacks = found.as_ref().ok().and_then(|found| found.survey.lacks());
    let code = match (&found, &log) {
        (Err(_), _) | (_, Err(_)) => exit_code::UNAVAILABLE,
        _ if lacks.is_some() => exit_code::FAILED,
        _ => exit_code::FINE,
    };
    let problems: Vec<String> = [found.as_ref().err(), log.as_ref().err()]
        .into_iter()
        .flatten()
        .map(|error| format!("{error:#}"))
        .chain(lacks)
        .collect();
    if args.json {
        let survey = found.as_ref().ok().map(|found| &found.survey);
        let object = json!({
            "file": loaded.file,
            "pipeline": loaded.pipeline.name,
            "ok": problems.is_empty(),
            "database": found.as_ref().ok().map(|found| &found.target),
            "role": survey.map(|survey| &survey.role),
            "server_version": survey.map(|survey| &survey.server_version),
            "makes": survey.map(|survey| &survey.makes),
            "statements": survey.map(|survey| &survey.statements),
            "notes": survey.map(notes),
            "log": log.as_ref().ok(),
            "problems": problems,
        });
        println!("{object}");
        return code;
    }
    println!("{}: the pipeline {}", loaded.file, loaded.pipeline.name);
    if let Ok(Found { target, survey }) = &found {
        println!("  database  {target} as {}, PostgreSQL {}", survey.role, survey.server_version);
        println!("  limits    {}", survey.limits.to_text());
        let makes = if survey.makes.is_empty() {
            "makes nothing: all is there".to_owned()
        } else {
            format!("makes {}", survey.makes.join(", "))
        };
        if survey.lacks().is_none() {
            println!("  a start   {makes}");
        }
        notes(survey).iter().for_each(|note| println!("  note      {note}"));
    }
    if let Ok(log) = &log {
        println!("  log       {log}");
    }
    problems.iter().for_each(|problem| eprintln!("error: {}: {problem}", loaded.file));
    code
}

fn notes(survey: &Survey) -> Vec<String> {
    survey.notes.iter().cloned().chain(survey.limits.notes()).collect()
}

struct Found {
    target: String,
    survey: Survey,
}

/// In a transaction that can change nothing.
async fn look(loaded: &Loaded, parts: &[Rights]) -> anyhow::Result<Found> {
    let Loaded { pipeline, stages, .. } = loaded;
    let connector = Connector::new(&pipeline.database, "check")?;
    let target = connector.target();
    let mut connection =
        connector.connect().await.with_context(|| format!("connecting to {target}"))?;
    let keeper = time_partition::keeper_as_it_is(&connection).await?;
    let transaction = connection.client.build_transaction().read_only(true).start().await?;
    let rollups = RollupTargets::new(stages.rollups());
    let survey = survey::look(&transaction, pipeline, Some(&rollups), parts, keeper).await?;
    Ok(Found { target, survey })
}

/// The topic. An embedded log is not opened: that would make it.
fn look_at_log(loaded: &Loaded, args: &LogArgs) -> anyhow::Result<String> {
    let source = &loaded.pipeline.source;
    if !names_kafka(&loaded.pipeline) {
        let folder = Path::new(&args.log_folder);
        let is_there = if folder.join("log.db").exists() { "is there" } else { "a start makes it" };
        return Ok(format!("the embedded log in {}: {is_there}", folder.display()));
    }
    let log = open_log(&loaded.pipeline, args)?;
    let cluster = log.cluster_id(LOG_TIMEOUT).context("connecting to Kafka")?;
    let topic = log.topic(&source.topic, LOG_TIMEOUT).context("asking Kafka for the topic")?;
    Ok(match topic {
        Some(topic) => format!(
            "Kafka, cluster {cluster}: the topic {} has {} partitions",
            source.topic, topic.partitions
        ),
        None => format!(
            "Kafka, cluster {cluster}: a start makes the topic {} with {} partitions",
            source.topic, source.partitions
        ),
    })
}
