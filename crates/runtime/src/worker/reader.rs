//! Reads the log into the lanes, and answers the group's wishes. One thread, which owns the
//! membership.

mod balance;
mod claiming;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use tokio::runtime::Handle;

use self::balance::Balance;
use super::lane::Lane;
use super::membership::Membership;
use super::patience::Patience;
use super::shared::{Message, Shared};
use duto_ground::batch::Batch;
use duto_load::connect::Connection;
use duto_log::{Consumer, Event};

/// How long one wait for records may last: so quickly messages and a stop are noticed.
const POLL: Duration = Duration::from_millis(50);
/// How long a full lane is waited for before its partitions are paused for the others' sake.
const ROOM_PATIENCE: Duration = Duration::from_millis(250);
/// How long a lane may take to finish what is in flight before it is dropped.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);
/// Between two copies of the positions into the group's committed offsets.
const COPY_INTERVAL: Duration = Duration::from_secs(1);
/// Between two lines about trouble with the log.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);
const POLL_RECORDS: usize = 5_000;
/// After fewer than [`FEW_RECORDS`] the next look waits so long, or as long as a batch lingers, if
/// that is less: of a stream several records are then read by one wake-up, and nothing is later for
/// it.
const BREATH: Duration = Duration::from_millis(1);
const FEW_RECORDS: usize = 64;

/// How reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// Something that is gone for good; nothing is lost.
    GaveUp(String),
    /// A part of the worker panicked.
    Failed(String),
}

/// The reader and what it owns.
pub struct Reader {
    shared: Arc<Shared>,
    lanes: Vec<Arc<Lane>>,
    membership: Membership,
    consumer: Box<dyn Consumer>,
    inbox: Receiver<Message>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    /// The lane of each partition that is ours and claimed.
    lane_of: BTreeMap<i32, usize>,
    /// Given to us by the group and not claimed yet; true where the consumer already reads it.
    unclaimed: BTreeMap<i32, bool>,
    balance: Balance,
    /// Not read until an operator decides; true where the consumer has it already.
    halted: BTreeMap<i32, bool>,
    paused: BTreeSet<i32>,
    /// Partitions of which this process saw a position.
    seen: BTreeSet<i32>,
    control: Option<Connection>,
    patience: Patience,
    claim_again_at: Instant,
    copied_at: Instant,
    looked_at: Instant,
    trouble_at: Option<Instant>,
    fatal: Option<Ended>,
}

impl Reader {
    pub fn new(
        shared: Arc<Shared>,
        lanes: Vec<Arc<Lane>>,
        (membership, consumer): (Membership, Box<dyn Consumer>),
        inbox: Receiver<Message>,
        runtime: Handle,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let patience = Patience::new(&shared.pipeline.database);
        Self {
            shared,
            lanes,
            membership,
            consumer,
            inbox,
            runtime,
            stop,
            lane_of: BTreeMap::new(),
            balance: Balance::new(Instant::now()),
            unclaimed: BTreeMap::new(),
            halted: BTreeMap::new(),
            paused: BTreeSet::new(),
            seen: BTreeSet::new(),
            control: None,
            patience,
            claim_again_at: Instant::now(),
            copied_at: Instant::now(),
            looked_at: Instant::now(),
            trouble_at: None,
            fatal: None,
        }
    }

    /// Reads until it is told to stop or cannot go on, then finishes what is in flight and leaves
    /// the group.
    pub fn run(mut self) -> Ended {
        let mut records = Batch::default();
        while !self.stop.load(Ordering::Relaxed) && self.fatal.is_none() {
            let events = self.consumer.poll(&mut records, POLL_RECORDS, POLL);
            let breathes =
                records.len() < FEW_RECORDS && !(records.is_empty() && events.is_empty());
            self.distribute(&mut records);
            for event in events {
                if let Event::Superseded(reason) = event {
                    // What else the finished consumer told is of no use.
                    self.rejoin(&reason);
                    break;
                }
                self.handle(event);
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
            self.look_at_positions();
            self.claim_waiting();
            self.pause_and_resume();
            self.balance();
            self.copy_positions();
            if breathes {
                std::thread::sleep(BREATH.min(self.shared.pipeline.batch.linger));
            }
        }
        self.leave()
    }

    fn distribute(&mut self, records: &mut Batch) {
        if records.is_empty() {
            return;
        }
        let mut went_back = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let lane_of = &self.lane_of;
            let own = records
                .iter()
                .filter(|record| lane_of.get(&record.head.partition) == Some(&number));
            went_back.extend(lane.append(own));
        }
        records.records.clear();
        records.bytes.clear();
        for partition in went_back {
            self.drop_lanes_of(&[partition]);
            self.halt(
                partition,
                true,
                &format!(
                    "partition {partition}: a record has an older leader epoch than one that was \
                        loaded before: the log was cut or restored"
                ),
            );
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Assigned(partitions) => {
                tracing::info!(pipeline = self.shared.pipeline.name, ?partitions, "assigned");
                self.unclaimed.extend(partitions.into_iter().map(|partition| (partition, false)));
                self.claim_again_at = Instant::now();
            }
            Event::Revoked(partitions) => {
                tracing::info!(pipeline = self.shared.pipeline.name, ?partitions, "revoked");
                self.release(&partitions);
            }
            Event::Lost(partitions) => {
                tracing::warn!(
                    pipeline = self.shared.pipeline.name,
                    ?partitions,
                    "lost: another worker has them already"
                );
                self.drop_lanes_of(&partitions);
                // Nobody waits for them: the partitions' new owner fences them.
                self.shared.relays.stop(&partitions, Duration::ZERO);
                self.give_up(&partitions);
            }
            Event::End { partition, offset } => {
                if let Some(lane) = self.lane_of.get(&partition) {
                    self.lanes[*lane].reached(partition, offset);
                }
            }
            Event::OutOfRange { partition, reason } => {
                let reason = format!("partition {partition}: {reason}");
                self.drop_lanes_of(&[partition]);
                self.halt(partition, true, &reason);
            }
            Event::Unreadable { partition, reason } => {
                let pipeline = &self.shared.pipeline.name;
                match &reason {
                    Some(reason) => {
                        tracing::error!(pipeline, partition, reason, "the log cannot be read on");
                    }
                    None => tracing::info!(pipeline, partition, "the log is read on"),
                }
                self.shared.progress.unreadable(partition, reason);
            }
            Event::Trouble(reason) => self.report_trouble(&reason),
            Event::Fatal(reason) | Event::Superseded(reason) => {
                self.fatal = Some(Ended::GaveUp(reason))
            }
        }
    }

    /// The client repeats itself several times a second while a broker is away: one line a while is
    /// enough.
    fn report_trouble(&mut self, reason: &str) {
        if self.trouble_at.is_none_or(|at| at.elapsed() >= TROUBLE_INTERVAL) {
            self.trouble_at = Some(Instant::now());
            tracing::warn!(
                pipeline = self.shared.pipeline.name,
                reason,
                "the log is in trouble; the client goes on trying"
            );
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Fenced { lane, epoch } if self.lanes[lane].is_of_epoch(epoch) => {
                self.reset_lane(lane)
            }
            Message::Fenced { .. } => {}
            Message::TopicChanged(reason) => {
                for lane in 0..self.lanes.len() {
                    for partition in self.lanes[lane].reset() {
                        self.lane_of.remove(&partition);
                        self.halt(partition, true, &reason);
                    }
                }
                for (partition, reading) in std::mem::take(&mut self.unclaimed) {
                    self.halt(partition, reading, &reason);
                }
            }
            Message::GaveUp(reason) => self.fatal = Some(Ended::GaveUp(reason)),
            Message::Failed(reason) => self.fatal = Some(Ended::Failed(reason)),
        }
    }

    /// Throws the lane's buffers away; what is still assigned is claimed anew and read from its
    /// position.
    fn reset_lane(&mut self, lane: usize) {
        let partitions = self.lanes[lane].reset();
        tracing::info!(pipeline = self.shared.pipeline.name, ?partitions, "claiming anew");
        for partition in partitions {
            self.lane_of.remove(&partition);
            self.unclaimed.insert(partition, true);
        }
        self.claim_again_at = Instant::now();
    }

    fn drop_lanes_of(&mut self, partitions: &[i32]) {
        let lanes: BTreeSet<usize> = partitions
            .iter()
            .filter_map(|partition| self.lane_of.get(partition).copied())
            .collect();
        for lane in lanes {
            self.reset_lane(lane);
        }
    }

    /// Finishes what is in flight of these partitions, then gives them up.
    fn release(&mut self, partitions: &[i32]) {
        for lane in 0..self.lanes.len() {
            let own: Vec<i32> = partitions
                .iter()
                .copied()
                .filter(|partition| self.lane_of.get(partition) == Some(&lane))
                .collect();
            if !own.is_empty() && !self.lanes[lane].release(&own, RELEASE_PATIENCE) {
                self.reset_lane(lane);
            }
        }
        self.copied_at = Instant::now() - COPY_INTERVAL;
        self.copy_positions();
        self.shared.relays.stop(partitions, RELEASE_PATIENCE);
        self.give_up(partitions);
    }

    fn give_up(&mut self, partitions: &[i32]) {
        self.forget(partitions);
        if let Err(error) = self.consumer.unassign(partitions) {
            tracing::warn!(pipeline = self.shared.pipeline.name, %error, "giving partitions up");
        }
        self.publish_partitions();
    }

    /// Another worker has this one's name in the group, and what was read under it: joins under a
    /// new one, unless the name is the file's.
    fn rejoin(&mut self, reason: &str) {
        let consumer = match self.membership.join_anew() {
            None => {
                let reason = format!(
                    "another process is in the group under the name that source.instance gives to \
                        this one: {reason}"
                );
                self.fatal = Some(Ended::GaveUp(reason));
                return;
            }
            Some(Err(error)) => {
                self.fatal = Some(Ended::GaveUp(error.to_string()));
                return;
            }
            Some(Ok(consumer)) => consumer,
        };
        tracing::warn!(
            pipeline = self.shared.pipeline.name,
            reason,
            "another worker took this one's place in the group; joining anew"
        );
        let partitions: Vec<i32> = self
            .lane_of
            .keys()
            .chain(self.unclaimed.keys())
            .chain(self.halted.keys())
            .copied()
            .collect();
        self.drop_lanes_of(&partitions);
        self.shared.relays.stop(&partitions, Duration::ZERO);
        self.forget(&partitions);
        self.consumer = consumer;
        self.publish_partitions();
    }

    fn forget(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.lane_of.remove(partition);
            self.unclaimed.remove(partition);
            self.halted.remove(partition);
            self.paused.remove(partition);
            self.shared.progress.unhalted(*partition);
            self.shared.progress.unreadable(*partition, None);
        }
    }

    /// Waits a little for full lanes; a lane that stays full has its partitions paused, so that the
    /// others go on.
    fn pause_and_resume(&mut self) {
        for number in 0..self.lanes.len() {
            let own: Vec<i32> = self
                .lane_of
                .iter()
                .filter(|(_, lane)| **lane == number)
                .map(|(partition, _)| *partition)
                .collect();
            let (lane, is_paused) =
                (&self.lanes[number], own.iter().any(|partition| self.paused.contains(partition)));
            let is_full = lane.is_full() && (is_paused || !lane.wait_for_room(ROOM_PATIENCE));
            let (pause, resume) = room::changes(&own, &self.paused, is_full);
            // What does not come off is tried again at the next look.
            if !pause.is_empty() {
                match self.consumer.pause(&pause) {
                    Ok(()) => self.paused.extend(pause),
                    Err(error) => self.report_trouble(&error.to_string()),
                }
            }
            if !resume.is_empty() {
                match self.consumer.resume(&resume) {
                    Ok(()) => self.paused.retain(|partition| !resume.contains(partition)),
                    Err(error) => self.report_trouble(&error.to_string()),
                }
            }
        }
    }

    fn copy_positions(&mut self) {
        if self.copied_at.elapsed() < COPY_INTERVAL {
            return;
        }
        self.copied_at = Instant::now();
        let positions: Vec<(i32, i64)> = self
            .lanes
            .iter()
            .flat_map(|lane| lane.positions())
            .map(|(partition, committed, _)| (partition, committed))
            .collect();
        if !positions.is_empty() {
            self.consumer.commit_copy(&positions);
        }
    }

    fn publish_partitions(&self) {
        self.shared.progress.set_partitions(self.lane_of.keys().copied().collect());
        if self.unclaimed.is_empty() {
            self.shared.progress.claim_trouble(None);
        }
        self.tell_connections();
    }

    fn leave(mut self) -> Ended {
        let partitions: Vec<i32> = self.lane_of.keys().copied().collect();
        if self.fatal.is_none() {
            self.release(&partitions);
        }
        for lane in &self.lanes {
            lane.close();
        }
        self.membership.leave(self.consumer.as_mut());
        self.fatal.unwrap_or(Ended::Stopped)
    }
}
