//! Walks a walk: each step with the real program, and by the model. Then both are held against each
//! other.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use duto_servers::{Action, Point, Trap};
use tokio_postgres::Client;

use crate::failure::{End, Failure};
use crate::ground::{Ground, TOPIC};
use crate::judge;
use crate::log_file::LogFile;
use crate::oracle::{Oracle, Verdict};
use crate::posts;
use crate::walk::{CutPoint, Step, Walk};

/// What the model holds for true after some steps.
#[derive(Debug, Default)]
pub struct Expected {
    /// The last verdict of each record, by partition and offset.
    pub verdicts: BTreeMap<(i32, i64), Verdict>,
    /// Records whose reject was replayed and passed.
    pub replayed: Vec<(i32, i64)>,
    /// By `publish`, the messages of rows that were stored.
    pub messages: Vec<(String, String)>,
    /// Where each partition stands.
    pub next: BTreeMap<i32, i64>,
    /// Answers that are kept, and bodies that were stored by requests.
    pub posts: posts::Kept,
}

/// Walks it. An error is the machine's own; what the program breaks is an end.
pub async fn play(ground: &Ground, walk: &Walk) -> Result<End> {
    let here = &ground.surroundings;
    std::fs::write(here.file(), serde_json::to_string_pretty(&walk.pipeline)?)?;
    if let Some(problems) = here.check()? {
        return Ok(End::Refused(problems));
    }
    let (database, oracle) = ground.clear(walk.partitions()).await?;
    for sql in &walk.beforehand {
        if let Err(error) = database.batch_execute(sql).await {
            return Ok(End::Unjudged(format!("{sql}: {error:?}")));
        }
    }
    let mut oracle = match Oracle::begin(oracle, &walk.beforehand).await {
        Ok(oracle) => oracle,
        Err(error) => return Ok(End::Unjudged(format!("{error:#}"))),
    };
    if let Err(error) = oracle.declare(&walk.pipeline).await {
        return Ok(End::Unjudged(format!("{error:#}")));
    }
    let mut player = Player {
        ground,
        database,
        oracle,
        log: LogFile::of(&here.log_folder()),
        expected: Expected::default(),
    };
    let mut pipeline = walk.pipeline.clone();
    for step in &walk.steps {
        if let Step::Change(changed) = step {
            std::fs::write(here.file(), serde_json::to_string_pretty(changed)?)?;
            if let Some(problems) = here.check()? {
                return Ok(End::Refused(problems));
            }
            if let Err(error) = player.oracle.declare(changed).await {
                return Ok(End::Unjudged(format!("{error:#}")));
            }
            pipeline = changed.clone();
            continue;
        }
        if let Err(end) = player.step(step, &pipeline).await? {
            return Ok(end);
        }
    }
    // What a replay stored is told by the next worker; and whatever came before, nothing may be
    // left to do.
    if !matches!(walk.steps.last(), None | Some(Step::Run | Step::Posts(_)))
        && let Err(end) = player.step(&Step::Run, &pipeline).await?
    {
        return Ok(end);
    }
    match judge::judge(
        &player.database,
        &player.oracle,
        &player.log,
        &pipeline,
        walk,
        &player.expected,
    )
    .await?
    {
        Some(failure) => return Ok(End::Broken(failure)),
        None if pipeline["rollups"].as_object().is_some_and(|rollups| !rollups.is_empty()) => {
            if let Err(mut failure) = here.succeed(&["rollups", "verify"], false)? {
                failure.kind = crate::failure::Kind::Verify;
                return Ok(End::Broken(failure));
            }
        }
        None => {}
    }
    Ok(End::Kept)
}

struct Player<'g> {
    ground: &'g Ground,
    database: Client,
    oracle: Oracle,
    log: LogFile,
    expected: Expected,
}

const RUN: [&str; 2] = ["run", "--until-caught-up"];

impl Player<'_> {
    async fn step(&mut self, step: &Step, pipeline: &serde_json::Value) -> Result<Result<(), End>> {
        let here = &self.ground.surroundings;
        let broken = |outcome: Result<(), Failure>| outcome.map_err(End::Broken);
        match step {
            Step::Send(records) => self.log.append(TOPIC, records)?,
            Step::Run => match here.succeed(&RUN, true)? {
                Ok(()) => self.follow().await?,
                Err(failure) => return Ok(Err(End::Broken(failure))),
            },
            Step::Kill { after_ms } => {
                let mut process =
                    here.start(&["run", "--only", "worker"], true, &here.database_url)?;
                tokio::time::sleep(Duration::from_millis(*after_ms)).await;
                process.kill();
            }
            Step::Cut { at, times } => {
                let handle = self.ground.proxy.handle();
                handle.set_trap(Trap { at: point(*at), action: Action::Reset, times: *times });
                let outcome = here
                    .start(&RUN, true, &self.ground.url_through_proxy)?
                    .succeeds(&RUN, here.patience);
                handle.pass();
                if let Err(failure) = outcome {
                    return Ok(Err(End::Broken(failure)));
                }
                self.follow().await?;
            }
            Step::Lock { table, ms } => {
                let holder = self.ground.connect().await?;
                // A table that is not there yet cannot be held.
                let held = holder
                    .batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                    .await
                    .is_ok();
                let mut process = here.start(&RUN, true, &here.database_url)?;
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                if held {
                    holder.batch_execute("COMMIT").await?;
                }
                drop(holder);
                if let Err(failure) = process.succeeds(&RUN, here.patience) {
                    return Ok(Err(End::Broken(failure)));
                }
                self.follow().await?;
            }
            Step::Twins => {
                // The embedded log has one reader: the second one may be refused, but whatever it
                // does, the promise holds.
                let mut first = here.start(&RUN, true, &here.database_url)?;
                let mut second = here.start(&RUN, true, &here.database_url)?;
                let ends = [first.end(here.patience), second.end(here.patience)];
                if !ends.iter().flatten().any(std::process::ExitStatus::success)
                    && let Err(failure) = here.succeed(&RUN, true)?
                {
                    return Ok(Err(End::Broken(failure)));
                }
                self.follow().await?;
            }
            Step::Sql(sql) => {
                for client in [&self.database, &self.oracle.client] {
                    if let Err(error) = client.batch_execute(sql).await {
                        return Ok(Err(End::Unjudged(format!("{sql}: {error:?}"))));
                    }
                }
            }
            Step::Replay => match here.succeed(&["rejects", "replay"], true)? {
                Ok(()) => self.replay().await?,
                Err(failure) => return Ok(Err(End::Broken(failure))),
            },
            Step::Rewind { partition, to } => {
                let to = (*to).min(self.expected.next.get(partition).copied().unwrap_or(0));
                let (partition, offset) = (partition.to_string(), to.to_string());
                let arguments =
                    ["position", "set", "--yes", "--partition", &partition, "--to", &offset];
                if let Err(failure) = here.succeed(&arguments, true)? {
                    return Ok(Err(End::Broken(failure)));
                }
                self.expected.next.insert(partition.parse()?, to);
            }
            Step::Posts(posts) => {
                let outcome = posts::post(
                    self.ground,
                    pipeline,
                    posts,
                    &mut self.expected.posts,
                    &self.oracle,
                )
                .await?;
                return Ok(broken(outcome));
            }
            Step::Change(_) => {}
        }
        Ok(Ok(()))
    }

    /// The model takes everything that is in the log and that it has not taken.
    async fn follow(&mut self) -> Result<()> {
        for record in self.log.read(TOPIC)? {
            let next = self.expected.next.entry(record.partition).or_insert(0);
            if record.offset < *next {
                continue;
            }
            *next = record.offset + 1;
            let place = (record.partition, record.offset);
            if self.expected.replayed.contains(&place) {
                // Read again after its reject was resolved: it counts as repeated.
                let verdict = Verdict {
                    letter: 'd',
                    or: 'd',
                    stage: "",
                    why: "replayed before".to_owned(),
                    messages: Vec::new(),
                };
                self.expected.verdicts.insert(place, verdict);
                continue;
            }
            let verdict =
                self.oracle.take(record.partition, record.offset, &record.payload, false).await?;
            self.expected.messages.extend(verdict.messages.iter().cloned());
            self.expected.verdicts.insert(place, verdict);
        }
        Ok(())
    }

    /// Open rejects once more, in the log's order.
    async fn replay(&mut self) -> Result<()> {
        for record in self.log.read(TOPIC)? {
            let place = (record.partition, record.offset);
            if self.expected.verdicts.get(&place).is_none_or(|verdict| verdict.letter != 'r')
                || self.expected.replayed.contains(&place)
            {
                continue;
            }
            let verdict =
                self.oracle.take(record.partition, record.offset, &record.payload, true).await?;
            if verdict.letter == 'r' || verdict.or == 'r' {
                // One that may be called either may be open or not.
                if verdict.letter != verdict.or
                    && let Some(before) = self.expected.verdicts.get_mut(&place)
                {
                    before.or = 'd';
                }
                continue;
            }
            self.expected.messages.extend(verdict.messages);
            self.expected.replayed.push(place);
        }
        Ok(())
    }
}

/// How the statement begins by which a few rows are loaded, a transaction by itself.
const AT_ONCE: &str = "WITH moved AS";

fn point(at: CutPoint) -> Point {
    match at {
        CutPoint::CommitRequest => Point::CommitRequest,
        CutPoint::CommitAnswer => Point::CommitAnswer,
        CutPoint::CopyData => Point::CopyData { after_bytes: 0 },
        CutPoint::Position => Point::Execution("duto.position".to_owned()),
        CutPoint::Ledger => Point::Execution("duto.batch".to_owned()),
        CutPoint::AtOnce => Point::Execution(AT_ONCE.to_owned()),
        CutPoint::AtOnceAnswer => Point::ExecutionAnswer(AT_ONCE.to_owned()),
    }
}
