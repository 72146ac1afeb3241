//! A step of the model, done by the program.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use duto_ground::batch::{Batch, Place};
use duto_ground::index::RecordIndex;
use duto_load::at_once::{BEGINNING as AT_ONCE, Shortcut};
use duto_load::audit::{Actor, Via};
use duto_load::failure::Failure;
use duto_load::move_position::{Move, move_position};
use duto_load::position::{self, Resolution};
use duto_load::rows::Path;
use duto_load::session::LoadSession;
use duto_load::transaction;
use duto_model::bounds::{Bounds, Repeat};
use duto_model::state::{
    Lane, Phase, REJECTED, REPEATED, REPLAYED, STORED, Slots, State, Transaction,
};
use duto_model::step::Step;
use duto_runtime::replay::{Choice, replay};
use duto_servers::Point;
use duto_stages::prepared::{OffsetRange, Outcome, Prepared, Verdicts};
use uuid::Uuid;

use super::choose::{has_rejects, has_repeats, partitions_of, records_of};
use super::ground::{Definition, Fences, Ground};
use super::session::{Idle, Landed, Session};

pub struct Actors<'a> {
    ground: &'a Ground,
    bounds: Bounds,
    pub fences: Fences,
    workers: [Option<Session>; 2],
    /// Their worker is gone, and something of them may still arrive.
    orphans: [Option<Session>; 2],
    replays: [Option<Session>; 2],
    /// What is to become of the records that each worker's transaction is about.
    outcomes: [Slots; 2],
}

impl<'a> Actors<'a> {
    pub fn new(ground: &'a Ground, bounds: Bounds) -> Self {
        let none = || [None, None];
        Self {
            ground,
            bounds,
            fences: Fences::default(),
            workers: none(),
            orphans: none(),
            replays: none(),
            outcomes: Default::default(),
        }
    }

    /// Does the step that leads from one state to the next; `steps` are all that are possible. The
    /// coin chooses between ways that must end alike.
    pub async fn enact(
        &mut self,
        step: Step,
        before: &State,
        after: &State,
        steps: &[(Step, State)],
        coin: bool,
    ) -> Result<()> {
        match step {
            Step::Claim { worker, partition } => {
                let claimed = self.claim(partition).await?;
                let expected = after.workers[worker].held[partition].expected;
                ensure!(
                    claimed.next == i64::from(expected),
                    "it begins at {}, not at {expected}",
                    claimed.next
                );
                self.fences[worker][partition] = Some(claimed.fence);
            }
            Step::ClaimLandsUnheard { partition, .. } => {
                self.claim(partition).await?;
            }
            Step::SeeMovedPosition { worker, partition } => {
                let control = self.ground.control.lock().await;
                let positions =
                    position::read_all(LoadSession::new(&control, self.ground.target())).await?;
                let (position, held) =
                    (&positions[partition], &before.workers[worker].held[partition]);
                let moved = (position.next, Some(position.fence))
                    != (i64::from(held.expected), self.fences[worker][partition]);
                ensure!(moved, "the position did not move");
                self.fences[worker][partition] = None;
            }
            Step::LearnLost { worker, partition } => {
                if before.workers[worker].batch & 1 << partition != 0 {
                    self.leaves(worker, before).await?;
                    self.forget_batch(worker, before);
                }
                self.fences[worker][partition] = None;
            }
            Step::MovePosition { worker, .. } => {
                if before.workers[worker].batch & !after.sessions[worker].locks == 0 {
                    if has_rejects(&self.bounds, before, worker) {
                        self.declines_at_once(worker, before).await?;
                    }
                    self.launch_load(worker, before, coin, true).await?;
                    self.session(worker).await?.held().await?;
                }
            }
            Step::Fenced { worker, .. } => {
                self.launch_load(worker, before, coin, false).await?;
                match self.session(worker).await?.landed().await? {
                    Landed::Loaded(Err(Failure::Fenced)) => self.forget_batch(worker, before),
                    other => bail!("it is not fenced: {other:?}"),
                }
            }
            Step::Write { worker } => {
                self.outcomes[worker] = after.sessions[worker].outcomes;
                let session = self.session(worker).await?;
                session.hold_at(Point::CommitRequest);
                session.release();
                session.held().await?;
            }
            Step::SendAtOnce { worker } => {
                self.outcomes[worker] = after.sessions[worker].outcomes;
                self.launch_at_once(worker, before).await?;
            }
            Step::Commit { worker } => {
                let session = self.session(worker).await?;
                session.hold_at(match before.sessions[worker].phase {
                    Phase::Sent => Point::ExecutionAnswer(AT_ONCE.to_owned()),
                    _ => Point::CommitAnswer,
                });
                session.release();
                session.held().await?;
            }
            Step::AtOnceRefused { worker } => {
                let session = self.session(worker).await?;
                session.release();
                match session.landed().await? {
                    Landed::AtOnce(Ok(Shortcut::NotTaken) | Err(Failure::Repeat(0))) => {}
                    other => bail!("the one statement is not refused: {other:?}"),
                }
            }
            Step::HearCommitted { worker } => {
                let session = self.session(worker).await?;
                session.release();
                let committed = match session.landed().await? {
                    Landed::Loaded(Ok(committed))
                    | Landed::AtOnce(Ok(Shortcut::Taken(committed))) => committed,
                    other => bail!("it is not committed: {other:?}"),
                };
                let expected = outcomes_of(&self.bounds, before, worker, self.outcomes[worker]);
                ensure!(
                    committed.outcomes == expected,
                    "it tells {:?}, not {expected:?}",
                    committed.outcomes
                );
            }
            Step::HandOver { partition, to_worker } => {
                let from = before.owner[partition] as usize;
                self.fences[to_worker][partition] = self.fences[from][partition].take();
            }
            Step::LoseConnection { worker } => self.leaves(worker, before).await?,
            Step::Crash { worker } => {
                self.leaves(worker, before).await?;
                self.fences[worker] = [None; 2];
            }
            Step::FindStored { worker } => {
                self.finds(worker, before, Resolution::Committed).await?
            }
            Step::FindNotStored { worker } => {
                self.finds(worker, before, Resolution::NotCommitted).await?
            }
            Step::FindFenced { worker } => {
                self.finds(worker, before, Resolution::Fenced).await?;
                self.forget_batch(worker, before);
            }
            Step::CommitLandsLate { worker } => {
                let mut orphan = self.orphans[worker].take().context("nothing was left behind")?;
                orphan.release();
                match orphan.landed().await? {
                    Landed::Loaded(Ok(_)) | Landed::AtOnce(Ok(Shortcut::Taken(_))) => {
                        self.ends(orphan).await?
                    }
                    other => bail!("it does not land: {other:?}"),
                }
            }
            Step::CommitNeverLands { worker } => {
                let mut orphan = self.orphans[worker].take().context("nothing was left behind")?;
                // A statement that must not land may arrive all the same.
                let may_land = steps.iter().any(|(other, _)| matches!(other, Step::CommitLandsLate { worker: other } if *other == worker));
                let waits = partitions_of(before.orphans[worker].moves)
                    .any(|partition| before.is_locked(partition));
                if !(may_land || waits || coin) {
                    orphan.release();
                    let landed = orphan.landed().await?;
                    ensure!(
                        matches!(
                            landed,
                            Landed::AtOnce(Ok(Shortcut::NotTaken) | Err(Failure::Repeat(0)))
                        ),
                        "it lands: {landed:?}"
                    );
                }
                self.ends(orphan).await?;
            }
            Step::Rewind { partition, to } | Step::Skip { partition, to } => {
                let wanted = Move {
                    partition: partition as i32,
                    to: i64::from(to),
                    appends: None,
                    really: true,
                    actor: &operator(),
                };
                move_position(
                    &mut *self.ground.control.lock().await,
                    self.ground.target(),
                    &wanted,
                )
                .await?;
            }
            Step::ReplayBegins { replay, partition } => {
                self.launch_replay(replay, partition).await?
            }
            Step::ReplayWrites { replay } => {
                let session = self.replays[replay].as_mut().context("no replay began")?;
                if after.replays[replay].phase == Phase::None {
                    session.release();
                    match session.landed().await? {
                        Landed::Replayed(Ok(replayed)) => {
                            ensure!(replayed.last.is_none(), "it found rejects: {replayed:?}")
                        }
                        other => bail!("the replay does not end: {other:?}"),
                    }
                } else {
                    session.hold_at(Point::CommitRequest);
                    session.release();
                    session.held().await?;
                }
            }
            Step::ReplayCommits { replay } => {
                let session = self.replays[replay].as_mut().context("no replay began")?;
                session.release();
                match session.landed().await? {
                    Landed::Replayed(Ok(replayed)) => {
                        ensure!(
                            told(&before.replays[replay]) == (replayed.stored, replayed.repeated),
                            "it tells {replayed:?}"
                        )
                    }
                    other => bail!("the replay does not end: {other:?}"),
                }
            }
            Step::ReplayDies { replay } => {
                let session = self.replays[replay].take().context("no replay began")?;
                self.ends(session).await?;
            }
            Step::Move { .. }
            | Step::LearnAssigned { .. }
            | Step::Fetch { .. }
            | Step::Prepare { .. }
            | Step::SendCommit { .. }
            | Step::FixDefinition => {}
            other => bail!("no way to do this: {other}"),
        }
        Ok(())
    }

    /// Everything ends, so that the next way finds nobody.
    pub async fn leave(mut self) -> Result<()> {
        let everybody = self.workers.iter_mut().chain(&mut self.orphans).chain(&mut self.replays);
        for session in everybody.filter_map(Option::take).collect::<Vec<_>>() {
            self.ends(session).await?;
        }
        Ok(())
    }

    /// The connection is no more, and nothing of it comes after this.
    async fn ends(&self, mut session: Session) -> Result<()> {
        session.client_goes().await;
        session.reset();
        self.ground.gone(session.pid).await
    }

    async fn session(&mut self, worker: usize) -> Result<&mut Session> {
        if self.workers[worker].is_none() {
            self.workers[worker] =
                Some(Session::open(self.ground.server, |port| self.ground.through(port)).await?);
        }
        self.workers[worker].as_mut().context("it was just made")
    }

    async fn claim(&self, partition: usize) -> Result<position::Position> {
        let control = self.ground.control.lock().await;
        let claimed =
            position::claim(LoadSession::new(&control, self.ground.target()), partition as i32)
                .await?;
        claimed.context("the partition has no position")
    }

    /// The worker has its connection no more. A COMMIT that it had sent stays on its way, though
    /// nobody hears of it; anything else ends.
    async fn leaves(&mut self, worker: usize, before: &State) -> Result<()> {
        let Some(session) = self.workers[worker].take() else { return Ok(()) };
        if before.sessions[worker].may_land() {
            self.orphans[worker] = Some(session);
            return Ok(());
        }
        self.ends(session).await
    }

    fn forget_batch(&mut self, worker: usize, before: &State) {
        partitions_of(before.workers[worker].batch)
            .for_each(|partition| self.fences[worker][partition] = None);
    }

    async fn finds(&mut self, worker: usize, before: &State, expected: Resolution) -> Result<()> {
        ensure!(before.workers[worker].lane == Lane::Unknown, "it knows");
        let (ranges, fences) = (ranges_of(before, worker), self.fences_of(worker));
        let target = self.ground.target().clone();
        let session = self.session(worker).await?;
        let found = position::resolve(
            LoadSession::new(&session.idle()?.connection, &target),
            &ranges,
            &fences,
        )
        .await?;
        ensure!(found == expected, "it finds {found:?}, not {expected:?}");
        Ok(())
    }

    fn fences_of(&self, worker: usize) -> HashMap<i32, Uuid> {
        let drawn = self.fences[worker].iter().enumerate();
        drawn
            .filter_map(|(partition, fence)| fence.map(|fence| (partition as i32, fence)))
            .collect()
    }

    /// Begins the transaction of the worker's batch; with `held` it waits behind its positions'
    /// move.
    async fn launch_load(
        &mut self,
        worker: usize,
        state: &State,
        coin: bool,
        held: bool,
    ) -> Result<()> {
        let definition = self.definition(state);
        let direct = match self.bounds.repeat {
            Repeat::Append => true,
            Repeat::Ignore => coin && !has_repeats(&self.bounds, state, worker),
        };
        let fences = self.fences_of(worker);
        let resolved = self.resolved(state, worker);
        let path = if direct { Path::Direct } else { Path::Staged };
        let prepare = |resolved: HashSet<RecordIndex>| {
            self.prepare(&definition, state, worker, &Verdicts::default().with_resolved(resolved))
        };
        let batches = [prepare(HashSet::new()), prepare(resolved.clone())];
        let session = self.session(worker).await?;
        for (number, prepared) in batches.into_iter().enumerate() {
            // A reject that was resolved since is found under the position's lock, and the batch
            // prepared anew.
            let is_first = number == 0;
            if is_first && (resolved.is_empty() || !held) {
                continue;
            }
            if !is_first && held {
                session.hold_at(Point::ExecutionAnswer("duto.reject".to_owned()));
            }
            let (definition, fences) = (definition.clone(), fences.clone());
            session.launch(|mut idle| async move {
                let counters = definition.stages.rollups();
                let paths = [path];
                let done = transaction::load(
                    &mut idle.connection,
                    &definition.target,
                    counters,
                    &prepared,
                    &fences,
                    &paths,
                )
                .await;
                (idle, Landed::Loaded(done))
            })?;
            if is_first {
                let records = resolved.len();
                match session.landed().await? {
                    Landed::Loaded(Err(Failure::Resolved(found))) if found.len() == records => {}
                    other => bail!("it does not see what was resolved: {other:?}"),
                }
            }
        }
        Ok(())
    }

    async fn launch_at_once(&mut self, worker: usize, state: &State) -> Result<()> {
        let definition = self.definition(state);
        let prepared = self.prepare(&definition, state, worker, &Verdicts::default());
        let fences = self.fences_of(worker);
        let session = self.session(worker).await?;
        session.hold_at(Point::Execution(AT_ONCE.to_owned()));
        session.launch(|mut idle| async move {
            let done = idle
                .at_once
                .load(
                    LoadSession::new(&idle.connection, &definition.target),
                    &prepared,
                    &fences,
                    &[Path::Direct],
                )
                .await;
            (idle, Landed::AtOnce(done))
        })?;
        session.held().await
    }

    /// Beside rejects that are on record no statement alone is right, and the program does not try
    /// it.
    async fn declines_at_once(&mut self, worker: usize, state: &State) -> Result<()> {
        let definition = self.definition(state);
        let prepared = self.prepare(&definition, state, worker, &Verdicts::default());
        let fences = self.fences_of(worker);
        let Idle { connection, at_once } = self.session(worker).await?.idle()?;
        let done = at_once
            .load(
                LoadSession::new(connection, &definition.target),
                &prepared,
                &fences,
                &[Path::Direct],
            )
            .await;
        ensure!(matches!(done, Ok(Shortcut::NotTaken)), "it is tried as one statement: {done:?}");
        Ok(())
    }

    async fn launch_replay(&mut self, number: usize, partition: usize) -> Result<()> {
        if self.replays[number].is_none() {
            self.replays[number] =
                Some(Session::open(self.ground.server, |port| self.ground.through(port)).await?);
        }
        let session = self.replays[number].as_mut().context("it was just made")?;
        // Behind the position's lock.
        session.hold_at(Point::Statement("SELECT coalesce((SELECT rollups".to_owned()));
        let definition = self.ground.mended.clone();
        session.launch(|mut idle| async move {
            let choice = Choice { ids: Vec::new(), limit: 100, after: 0, actor: operator() };
            let with = (&definition.stages, &definition.deliverer);
            let done =
                replay(&mut idle.connection, &definition.target, with, partition as i32, &choice)
                    .await;
            (idle, Landed::Replayed(done))
        })?;
        session.held().await
    }

    /// What workers run at this moment.
    fn definition(&self, state: &State) -> Arc<Definition> {
        if state.fixed { self.ground.mended.clone() } else { self.ground.broken.clone() }
    }

    fn prepare(
        &self,
        definition: &Definition,
        state: &State,
        worker: usize,
        verdicts: &Verdicts,
    ) -> Prepared {
        let mut batch = Batch::default();
        for (partition, offset, key, poison) in records_of(&self.bounds, state, worker) {
            let payload =
                format!(r#"{{"key":{key},"part":{partition},"place":{offset},"poison":{poison}}}"#);
            let place = Place {
                partition: partition as i32,
                offset: i64::from(offset),
                leader_epoch: -1,
                timestamp_ms: -1,
            };
            batch.push(place, None, Some(payload.as_bytes()), None);
        }
        definition.stages.prepare(batch, ranges_of(state, worker), verdicts).0
    }

    /// The batch's records whose reject was resolved.
    fn resolved(&self, state: &State, worker: usize) -> HashSet<RecordIndex> {
        let is_resolved = |partition, offset| {
            state.database.rejects.get(self.bounds.slot(0, partition, offset)) == REPLAYED
        };
        let records = records_of(&self.bounds, state, worker).enumerate();
        records
            .filter(|(_, (partition, offset, ..))| is_resolved(*partition, *offset))
            .map(|(record, _)| RecordIndex::new(record as u32))
            .collect()
    }
}

fn ranges_of(state: &State, worker: usize) -> Vec<OffsetRange> {
    let me = &state.workers[worker];
    let range = |partition: usize| {
        let (from, to) =
            (i64::from(me.held[partition].expected), i64::from(me.held[partition].batch.1));
        OffsetRange { partition: partition as i32, from, to, leader_epoch: -1 }
    };
    partitions_of(me.batch).map(range).collect()
}

fn outcomes_of(bounds: &Bounds, state: &State, worker: usize, outcomes: Slots) -> Vec<Outcome> {
    let outcome = |(partition, offset, ..): (usize, u8, u8, bool)| match outcomes
        .get(bounds.slot(0, partition, offset))
    {
        STORED => Outcome::Stored,
        REPEATED => Outcome::Repeated,
        REJECTED => Outcome::Rejected,
        _ => Outcome::Filtered,
    };
    records_of(bounds, state, worker).map(outcome).collect()
}

/// How many records a replay's transaction stores, and how many are repeated.
fn told(transaction: &Transaction) -> (usize, usize) {
    let count = |wanted| (0..8).filter(|slot| transaction.outcomes.get(*slot) == wanted).count();
    (count(STORED), count(REPEATED))
}

/// Who moves positions and replays.
fn operator() -> Actor {
    Actor { name: "operator".to_owned(), via: Via::Command, why: None }
}
