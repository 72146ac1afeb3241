//! Which partitions are ours to read: claimed, waiting for their claim, or halted until an operator
//! decides.

use std::time::{Duration, Instant};

use super::super::claims::{Claim, NotClaimed, claim};
use super::super::patience::Patience;
use super::{Ended, Reader};
use duto_load::failure::Failure;
use duto_load::position::{self, Position};
use duto_load::session::LoadSession;
use duto_log::{LogError, Start};

/// Between two looks at positions that nobody loads at the moment.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

fn start_of(position: &Position) -> Start {
    Start {
        partition: position.partition,
        offset: position.next,
        leader_epoch: position.leader_epoch,
    }
}

impl Reader {
    pub(super) fn halt(&mut self, partition: i32, reading: bool, reason: &str) {
        tracing::error!(
            pipeline = self.shared.pipeline.name,
            partition,
            reason,
            "halted: `duto position` shows and, deliberately, moves a position"
        );
        self.unclaimed.remove(&partition);
        self.halted.insert(partition, reading);
        self.shared.progress.halted(partition, reason);
        if reading {
            let _ = self.consumer.pause(&[partition]);
        }
    }

    /// Claims what was assigned, as soon as the database answers; until then those partitions wait
    /// and the membership stays alive.
    pub(super) fn claim_waiting(&mut self) {
        if self.unclaimed.is_empty() || Instant::now() < self.claim_again_at {
            return;
        }
        match self.claim_all() {
            Ok(()) => self.patience = Patience::new(&self.shared.pipeline.database),
            Err(NotClaimed::Database(Failure::Lost(reason))) => {
                self.control = None;
                self.shared.progress.database_trouble(&reason);
                self.shared.progress.claim_trouble(Some(reason.clone()));
                match self.patience.after_loss() {
                    Some(pause) => {
                        tracing::warn!(pipeline = self.shared.pipeline.name, reason, retry_in = ?pause, "the database cannot be reached to claim partitions");
                        self.claim_again_at = Instant::now() + pause;
                    }
                    None => self.fatal = Some(Ended::GaveUp(reason)),
                }
            }
            Err(problem) => {
                let pause = self.patience.after_pause();
                self.shared.progress.claim_trouble(Some(problem.to_string()));
                tracing::error!(pipeline = self.shared.pipeline.name, %problem, retry_in = ?pause, "partitions cannot be claimed");
                self.claim_again_at = Instant::now() + pause;
            }
        }
    }

    /// A partition is ours only when the consumer is known to read it from its position: else it
    /// stays unclaimed, and everything that comes of it is dropped until the next try.
    fn claim_all(&mut self) -> Result<(), NotClaimed> {
        let shared = self.shared.clone();
        if self.control.is_none() {
            self.control = Some(self.runtime.block_on(shared.connector.connect())?);
        }
        let mut claimed = Vec::new();
        let mut answers_the_group = false;
        let mut result = Ok(());
        for (partition, reading) in self.unclaimed.clone() {
            let Some(control) = &self.control else { break };
            match self.runtime.block_on(claim(
                &shared,
                control,
                partition,
                self.seen.contains(&partition),
            )) {
                Err(problem) => {
                    result = Err(problem);
                    break;
                }
                Ok(Claim::Halt(reason)) => self.halt(partition, reading, &reason),
                Ok(Claim::Ours(position)) if reading => match self.read_from(&position) {
                    Ok(()) => self.take_over(position),
                    Err(error) => {
                        result = Err(error.into());
                        break;
                    }
                },
                Ok(Claim::Ours(position)) => claimed.push(position),
            }
            answers_the_group |= !reading;
        }
        if answers_the_group {
            // Also with no start at all: the group waits for an answer.
            let starts: Vec<Start> = claimed.iter().map(start_of).collect();
            self.consumer.assign(&starts)?;
            claimed.into_iter().for_each(|position| self.take_over(position));
        }
        self.publish_partitions();
        self.give_control_back();
        result
    }

    /// Of a partition that the consumer has already.
    fn read_from(&mut self, position: &Position) -> Result<(), LogError> {
        self.consumer.seek(start_of(position))?;
        self.consumer.resume(&[position.partition])
    }

    fn take_over(&mut self, position: Position) {
        let partition = position.partition;
        self.unclaimed.remove(&partition);
        self.seen.insert(partition);
        self.paused.remove(&partition);
        self.shared.progress.unhalted(partition);
        let places = if self.balance.is_gathered { 1 } else { self.lanes.len() };
        let lane = (0..places).min_by_key(|lane| self.lanes[*lane].partition_count()).unwrap_or(0);
        self.lanes[lane].add(partition, position.next, position.fence, position.leader_epoch);
        self.lane_of.insert(partition, lane);
        self.shared.relays.start(partition);
    }

    /// Every so often: what an operator moved is claimed anew, and halted partitions are looked at
    /// again.
    pub(super) fn look_at_positions(&mut self) {
        if self.looked_at.elapsed() < LOOK_INTERVAL {
            return;
        }
        self.looked_at = Instant::now();
        self.unclaimed.extend(std::mem::take(&mut self.halted));
        let idle: Vec<usize> =
            (0..self.lanes.len()).filter(|lane| self.lanes[*lane].is_idle()).collect();
        let shared = self.shared.clone();
        let read = async {
            let control = match self.control.take() {
                Some(control) => control,
                None => shared.connector.connect().await?,
            };
            let positions = position::read_all(LoadSession::new(&control, &shared.target)).await?;
            Ok::<_, Failure>((control, positions))
        };
        match self.runtime.block_on(read) {
            Err(failure) => shared.progress.database_trouble(&failure.to_string()),
            Ok((control, positions)) => {
                self.control = Some(control);
                for lane in idle {
                    if self.lanes[lane].is_idle() && self.lanes[lane].disagrees(&positions) {
                        tracing::warn!(
                            pipeline = shared.pipeline.name,
                            "a position was moved by somebody else"
                        );
                        self.reset_lane(lane);
                    }
                }
            }
        }
        self.give_control_back();
    }

    /// Where there are few connections, none is kept for what is needed now and then.
    fn give_control_back(&mut self) {
        if self.shared.connector.connections().shares().are_tight() {
            self.control = None;
        }
    }
}
