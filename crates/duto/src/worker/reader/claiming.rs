//! Which partitions are ours to read: claimed, waiting for their claim, or halted until an operator decides.

use std::time::{Duration, Instant};

use super::super::claims::{Claim, NotClaimed, claim};
use super::super::patience::Patience;
use super::Reader;
use crate::load::failure::Failure;
use crate::load::position::{self, Position};
use crate::log::Start;

/// Between two looks at positions that nobody loads at the moment.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

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

    /// Claims what was assigned, as soon as the database answers; until then those partitions wait and the membership stays alive.
    pub(super) fn claim_waiting(&mut self) {
        if self.unclaimed.is_empty() || Instant::now() < self.claim_again_at {
            return;
        }
        match self.claim_all() {
            Ok(()) => self.patience = Patience::new(&self.shared.pipeline.database),
            Err(NotClaimed::Database(Failure::Lost(reason))) => {
                self.control = None;
                self.shared.progress.database_trouble(&reason);
                match self.patience.after_loss() {
                    Some(pause) => {
                        tracing::warn!(pipeline = self.shared.pipeline.name, reason, retry_in = ?pause, "the database cannot be reached to claim partitions");
                        self.claim_again_at = Instant::now() + pause;
                    }
                    None => self.fatal = Some(reason),
                }
            }
            Err(problem) => {
                let pause = self.patience.after_pause();
                tracing::error!(pipeline = self.shared.pipeline.name, %problem, retry_in = ?pause, "partitions cannot be claimed");
                self.claim_again_at = Instant::now() + pause;
            }
        }
    }

    fn claim_all(&mut self) -> Result<(), NotClaimed> {
        let shared = self.shared.clone();
        if self.control.is_none() {
            self.control = Some(self.runtime.block_on(shared.connector.connect())?);
        }
        let mut starts = Vec::new();
        let mut answers_the_group = false;
        let mut result = Ok(());
        for (partition, reading) in self.unclaimed.clone() {
            let Some(control) = &self.control else { break };
            match self.runtime.block_on(claim(&shared, control, partition, self.seen.contains(&partition))) {
                Err(problem) => {
                    result = Err(problem);
                    break;
                }
                Ok(Claim::Halt(reason)) => self.halt(partition, reading, &reason),
                Ok(Claim::Ours(position)) => {
                    let start = Start { partition, offset: position.next, leader_epoch: position.leader_epoch };
                    self.take_over(position);
                    if reading {
                        self.consumer.seek(start)?;
                        self.consumer.resume(&[partition])?;
                    } else {
                        starts.push(start);
                    }
                }
            }
            answers_the_group |= !reading;
        }
        if answers_the_group {
            // Also with no start at all: the group waits for an answer.
            self.consumer.assign(&starts)?;
        }
        self.publish_partitions();
        result
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

    /// Every so often: what an operator moved is claimed anew, and halted partitions are looked at again.
    pub(super) fn look_at_positions(&mut self) {
        if self.looked_at.elapsed() < LOOK_INTERVAL {
            return;
        }
        self.looked_at = Instant::now();
        self.unclaimed.extend(std::mem::take(&mut self.halted));
        let idle: Vec<usize> = (0..self.lanes.len()).filter(|lane| self.lanes[*lane].is_idle()).collect();
        let shared = self.shared.clone();
        let read = async {
            let control = match self.control.take() {
                Some(control) => control,
                None => shared.connector.connect().await?,
            };
            let positions = position::read_all(&control, &shared.connector, &shared.target).await?;
            Ok::<_, Failure>((control, positions))
        };
        match self.runtime.block_on(read) {
            Err(failure) => shared.progress.database_trouble(&failure.to_string()),
            Ok((control, positions)) => {
                self.control = Some(control);
                for lane in idle {
                    if self.lanes[lane].is_idle() && self.lanes[lane].disagrees(&positions) {
                        tracing::warn!(pipeline = shared.pipeline.name, "a position was moved by somebody else");
                        self.reset_lane(lane);
                    }
                }
            }
        }
    }
}
