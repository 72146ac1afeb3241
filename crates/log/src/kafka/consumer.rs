//! Reading Kafka as a member of a group.
//!
//! librdkafka's rebalance callback only notes what is asked for, see `rebalance`. Records and
//! events come in two queues, so that a member that can take no records still hears of a rebalance,
//! and nothing that was fetched need be thrown away.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{Consumer, Event, LogError, Start};
use super::handle::{
    Client, Configuration, Queue, Topic, c_string, code_error, object_result, refused,
};
use super::partitions::PartitionList;
use super::rebalance::{on_error, on_rebalance};
use super::records::{Progress, Stage, Taking};
use super::settings::{CLOSE_TIMEOUT, HEARTBEAT, JOIN_TIMEOUT, LEAVE_TIMEOUT};
use super::wake::Wake;
use duto_ground::batch::Batch;

/// How long librdkafka may take to confirm a start before the partition is given back to it and
/// assigned anew: it refuses to seek a partition that it stopped by itself.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// The fields are dropped in this order: whatever belongs to the client goes before it, what it
/// points at after it.
pub struct KafkaConsumer {
    records: Queue,
    events: Queue,
    topic: Topic,
    client: Client,
    wake: Arc<Wake>,
    topic_name: CString,
    progress: BTreeMap<i32, Progress>,
    starting_since: Option<Instant>,
    turn: usize,
    nudged_at: Instant,
    /// Nothing is read any more.
    closed: bool,
    /// The client was told to close.
    ended: bool,
}

impl KafkaConsumer {
    /// Joins the group. What is assigned is told by the first polls.
    pub fn join(pairs: &[(String, String)], topic: &str) -> Result<KafkaConsumer, LogError> {
        let doing = format!("read the topic {topic}");
        let topic_name = c_string(topic, &doing)?;
        let configuration = Configuration::new(pairs)?;
        configuration.set_callbacks(Some(on_rebalance), on_error, None);
        let client = Client::new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, configuration)?;
        // SAFETY: the client lives. From here on the events' queue also gets what is of no
        // partition.
        match unsafe { sys::rd_kafka_poll_set_consumer(client.raw()) } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            code => return Err(code_error(doing, code)),
        }
        let no_memory = || refused(&doing, "no memory");
        let events = Queue::of_consumer(&client).ok_or_else(no_memory)?;
        let records = Queue::new(&client).ok_or_else(no_memory)?;
        let handle = Topic::new(&client, &topic_name).ok_or_else(no_memory)?;
        let wake = Arc::<Wake>::default();
        wake.ring_for(&events);
        wake.ring_for(&records);
        let consumer = KafkaConsumer {
            records,
            events,
            topic: handle,
            client,
            wake,
            topic_name,
            progress: BTreeMap::new(),
            starting_since: None,
            turn: 0,
            nudged_at: Instant::now(),
            closed: false,
            ended: false,
        };
        let subscription = PartitionList::subscription(&consumer.topic_name);
        // SAFETY: client and list live; the list is copied.
        match unsafe { sys::rd_kafka_subscribe(consumer.client.raw(), subscription.raw()) } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(consumer),
            code => Err(code_error(doing, code)),
        }
    }

    /// Serves both queues once.
    fn take(&mut self, into: &mut Batch, max_records: usize, events: &mut Vec<Event>) {
        let mut taking = Taking {
            client: &self.client,
            progress: &mut self.progress,
            into,
            left: max_records,
            events,
        };
        taking.serve_events(&self.events);
        taking.events.append(&mut self.client.heard().told.take());
        if max_records > 0 {
            let reading: Vec<i32> = readable(taking.progress).collect();
            if let Some(partition) = reading.get(self.turn % reading.len().max(1)) {
                taking.take(&self.topic, *partition);
            }
            self.turn = self.turn.wrapping_add(1);
        }
    }

    /// Seeks what was assigned or sought: only a seek makes librdkafka validate the epoch, throws
    /// away what is queued of the partition, and confirms that the partition is started. Then its
    /// records are forwarded, which a stop before had undone.
    fn start_partitions(&mut self, events: &mut Vec<Event>) {
        let starts: Vec<Start> = self
            .progress
            .values()
            .filter(|progress| progress.stage == Stage::Starting)
            .map(|progress| progress.next)
            .collect();
        if starts.is_empty() {
            self.starting_since = None;
            return;
        }
        let since = *self.starting_since.get_or_insert_with(Instant::now);
        let list = PartitionList::of_starts(&self.topic_name, &starts);
        // SAFETY: client and list live.
        let error = unsafe { sys::rd_kafka_seek_partitions(self.client.raw(), list.raw(), 1_000) };
        if let Err((_, error)) = object_result("seek", error) {
            events.push(Event::Trouble(error.to_string()));
            return;
        }
        let mut waiting = Vec::new();
        for ((partition, _, code), start) in list.outcomes().into_iter().zip(&starts) {
            match code {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR if self.forward(partition) => {
                    self.progress
                        .insert(partition, Progress { stage: Stage::Reading, next: *start });
                }
                _ => waiting.push(*start),
            }
        }
        if waiting.is_empty() {
            self.starting_since = None;
        } else if since.elapsed() > START_PATIENCE {
            self.starting_since = None;
            self.assign_anew(&waiting, events);
        }
    }

    /// Wakes librdkafka's thread that sends heartbeats, which sleeps for up to a second while
    /// nothing else comes: a member that hears of a rebalance so late keeps all others waiting.
    fn nudge(&mut self) {
        if self.nudged_at.elapsed() >= HEARTBEAT / 3 {
            self.nudged_at = Instant::now();
            self.is_member();
        }
    }

    /// Whether the group gave this member an id that it has not given back.
    fn is_member(&self) -> bool {
        // SAFETY: the client lives; the text is ours and given back to librdkafka's allocator.
        unsafe {
            let id = sys::rd_kafka_memberid(self.client.raw());
            let is_member = !id.is_null() && *id != 0;
            if !id.is_null() {
                sys::rd_kafka_mem_free(self.client.raw(), id.cast::<c_void>());
            }
            is_member
        }
    }

    /// Answers what librdkafka had asked before the end began: it waits for the answer. What it
    /// asks from now on is answered at once.
    fn begin_to_close(&mut self) {
        match self.client.heard().told.begin_to_close() {
            Some(Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) => drop(self.add(&[])),
            Some(_) => {
                let ours: Vec<i32> = std::mem::take(&mut self.progress).into_keys().collect();
                drop(self.subtract(&ours));
            }
            None => {}
        }
    }

    /// Lets `on_rebalance` answer what is asked for, while closing, until this holds.
    fn answer_until(&self, patience: Duration, holds: impl Fn(&KafkaConsumer) -> bool) {
        let deadline = Instant::now() + patience;
        while !holds(self) && Instant::now() < deadline {
            // SAFETY: the queue lives; a message is ours until destroyed.
            unsafe {
                let message = sys::rd_kafka_consume_queue(self.events.raw(), 5);
                if !message.is_null() {
                    sys::rd_kafka_message_destroy(message);
                }
            }
        }
    }

    /// Sends a partition's records to the records' queue; what its own queue holds already is
    /// moved, in its order.
    fn forward(&self, partition: i32) -> bool {
        let Some(queue) = Queue::of_partition(&self.client, &self.topic_name, partition) else {
            return false;
        };
        // SAFETY: both queues live; librdkafka counts its own references to them.
        unsafe { sys::rd_kafka_queue_forward(queue.raw(), self.records.raw()) };
        true
    }

    fn assign_anew(&self, starts: &[Start], events: &mut Vec<Event>) {
        let partitions: Vec<i32> = starts.iter().map(|start| start.partition).collect();
        let outcome = self.subtract(&partitions).and_then(|()| self.add(starts));
        if let Err(error) = outcome {
            events.push(Event::Trouble(error.to_string()));
        }
    }

    fn add(&self, starts: &[Start]) -> Result<(), LogError> {
        for start in starts {
            // Before the assignment, else librdkafka forwards it to the events' queue.
            if !self.forward(start.partition) {
                return Err(refused(format!("read partition {}", start.partition), "no memory"));
            }
        }
        let list = PartitionList::of_starts(&self.topic_name, starts);
        // SAFETY: client and list live; the list is copied.
        let error = unsafe { sys::rd_kafka_incremental_assign(self.client.raw(), list.raw()) };
        object_result("take over partitions", error).map_err(|(_, error)| error)
    }

    fn subtract(&self, partitions: &[i32]) -> Result<(), LogError> {
        let list = PartitionList::of(&self.topic_name, partitions);
        // SAFETY: client and list live; the list is copied.
        let error = unsafe { sys::rd_kafka_incremental_unassign(self.client.raw(), list.raw()) };
        object_result("give up partitions", error).map_err(|(_, error)| error)
    }

    fn listed(&self, partitions: &[i32]) -> PartitionList {
        let ours: Vec<i32> = partitions
            .iter()
            .copied()
            .filter(|partition| self.progress.contains_key(partition))
            .collect();
        PartitionList::of(&self.topic_name, &ours)
    }
}

impl Consumer for KafkaConsumer {
    fn poll(&mut self, into: &mut Batch, max_records: usize, timeout: Duration) -> Vec<Event> {
        let deadline = Instant::now() + timeout;
        let (mut events, records_before) = (Vec::new(), into.len());
        if self.closed {
            return events;
        }
        loop {
            self.wake.forget();
            self.nudge();
            self.start_partitions(&mut events);
            self.take(into, max_records, &mut events);
            let left = deadline.saturating_duration_since(Instant::now());
            if !events.is_empty() || into.len() > records_before || left.is_zero() {
                return events;
            }
            let patience = if self.starting_since.is_some() { 3 } else { 500 };
            self.wake.wait(left.min(Duration::from_millis(patience)));
        }
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), LogError> {
        self.client.heard().told.answered(Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
        let (again, new): (Vec<Start>, Vec<Start>) =
            starts.iter().partition(|start| self.progress.contains_key(&start.partition));
        self.add(&new)?;
        for start in new.iter().chain(&again) {
            self.progress
                .insert(start.partition, Progress { stage: Stage::Starting, next: *start });
        }
        // A pause would outlast the assignment that it was meant for.
        let partitions: Vec<i32> = new.iter().map(|start| start.partition).collect();
        self.resume(&partitions)?;
        let mut events = Vec::new();
        self.start_partitions(&mut events);
        events.into_iter().for_each(|event| self.client.heard().told.tell(event));
        Ok(())
    }

    fn unassign(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        let was_asked =
            self.client.heard().told.answered(Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
        // Those that were announced and never assigned are not known to librdkafka, which would
        // refuse the whole list.
        let ours: Vec<i32> = partitions
            .iter()
            .copied()
            .filter(|partition| self.progress.remove(partition).is_some())
            .collect();
        if ours.is_empty() && !was_asked {
            return Ok(());
        }
        self.subtract(&ours)
    }

    fn seek(&mut self, start: Start) -> Result<(), LogError> {
        if !self.progress.contains_key(&start.partition) {
            return Err(refused(
                format!("seek partition {}", start.partition),
                "it is not assigned to this member",
            ));
        }
        self.assign(&[start])
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        let list = self.listed(partitions);
        // SAFETY: client and list live.
        match unsafe { sys::rd_kafka_pause_partitions(self.client.raw(), list.raw()) } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code_error("pause partitions", code)),
        }
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        let list = self.listed(partitions);
        // SAFETY: client and list live.
        match unsafe { sys::rd_kafka_resume_partitions(self.client.raw(), list.raw()) } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code_error("resume partitions", code)),
        }
    }

    fn commit_copy(&mut self, positions: &[(i32, i64)]) {
        let ours = positions.iter().filter(|(partition, _)| self.progress.contains_key(partition));
        let starts: Vec<Start> = ours
            .map(|&(partition, offset)| Start { partition, offset, leader_epoch: -1 })
            .collect();
        if !starts.is_empty() {
            let list = PartitionList::of_starts(&self.topic_name, &starts);
            // SAFETY: client and list live; the list is copied. Nobody waits for the answer.
            unsafe { sys::rd_kafka_commit(self.client.raw(), list.raw(), 1) };
        }
    }

    /// librdkafka spares a static member the request to leave when it closes, but not when it
    /// unsubscribes.
    fn leave(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.begin_to_close();
        // Whoever is in the middle of joining has no id by which it could leave.
        self.answer_until(JOIN_TIMEOUT, |consumer| consumer.is_member());
        // SAFETY: the client lives.
        if unsafe { sys::rd_kafka_unsubscribe(self.client.raw()) }
            == Code::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            // The id is forgotten when the request is on its way, and closing waits for its answer.
            self.answer_until(LEAVE_TIMEOUT, |consumer| !consumer.is_member());
        }
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.closed = true;
        let Some(closing) = Queue::new(&self.client) else { return };
        // SAFETY: client and queues live.
        let error = unsafe { sys::rd_kafka_consumer_close_queue(self.client.raw(), closing.raw()) };
        if object_result("leave the group", error).is_err() {
            return;
        }
        self.begin_to_close();
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        // SAFETY: client and queue live; what comes is only rebalances, which `on_rebalance`
        // answers by itself while closing.
        unsafe {
            while sys::rd_kafka_consumer_closed(self.client.raw()) == 0 && Instant::now() < deadline
            {
                let message = sys::rd_kafka_consume_queue(closing.raw(), 20);
                if !message.is_null() {
                    sys::rd_kafka_message_destroy(message);
                }
            }
        }
    }
}

impl Drop for KafkaConsumer {
    /// Without `close` the member is gone like one that died: the group waits for its session
    /// timeout.
    fn drop(&mut self) {
        Wake::silence(&self.events);
        Wake::silence(&self.records);
    }
}

fn readable(progress: &BTreeMap<i32, Progress>) -> impl Iterator<Item = i32> {
    progress
        .iter()
        .filter(|(_, progress)| progress.stage != Stage::Starting)
        .map(|(partition, _)| *partition)
}
