//! A journal in Kafka: a transactional producer of its own, whose transactions end with the note.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{Journal, LogError, OutgoingRecord};
use super::handle::{Client, Configuration, Heard, code_error, code_text, milliseconds, refused};
use super::producer::produce;
use super::trouble::on_error;
use super::{progress, transaction};

/// How long the abort of a transaction that failed may take: nobody waits for it.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

const DOING: &str = "append to a journal";

pub struct KafkaJournal {
    client: Client,
    name: String,
    note: Option<Vec<u8>>,
    /// An append failed: its transaction may be committed or not.
    failed: bool,
}

/// Why the first record of the transaction that was not taken was not. The callbacks run inside the
/// calls of the one thread that appends.
#[derive(Default)]
pub struct Deliveries(Mutex<Option<Code>>);

impl KafkaJournal {
    /// First it fences, then it reads the note: the order matters, else a commit of the one before
    /// could come in between.
    pub fn open(
        questions: &Client,
        producer: &[(String, String)],
        reader: &[(String, String)],
        name: &str,
        deadline: Instant,
    ) -> Result<KafkaJournal, LogError> {
        let configuration = Configuration::new(producer)?;
        configuration.set_callbacks(None, on_error, Some(on_delivery));
        let client = Client::new(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, configuration)?;
        transaction::initialize(&client, deadline)?;
        let note = progress::last_note(questions, reader, name, deadline)?;
        Ok(KafkaJournal { client, name: name.to_owned(), note, failed: false })
    }

    fn append_in_transaction(
        &self,
        records: &[OutgoingRecord<'_>],
        note: &[u8],
        deadline: Instant,
    ) -> Result<(), LogError> {
        transaction::begin(&self.client)?;
        for record in records {
            self.queue(record, deadline)?;
        }
        let partition = Some(progress::partition_of(&self.name));
        let note = OutgoingRecord {
            topic: progress::TOPIC,
            partition,
            key: Some(self.name.as_bytes()),
            payload: Some(note),
            headers: &[],
        };
        self.queue(&note, deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // SAFETY: the client lives. The flush runs the callbacks, so that afterwards it is known
        // which records were not taken.
        let flushed = unsafe { sys::rd_kafka_flush(self.client.raw(), milliseconds(left)) };
        self.look_at_deliveries()?;
        match flushed {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => transaction::commit(&self.client, deadline),
            code => Err(code_error(DOING, code)),
        }
    }

    fn queue(&self, record: &OutgoingRecord<'_>, deadline: Instant) -> Result<(), LogError> {
        loop {
            match produce(&self.client, record, ptr::null_mut()) {
                Err(LogError::QueueFull) if Instant::now() < deadline => {
                    // SAFETY: the client lives; the callbacks run in here.
                    unsafe { sys::rd_kafka_poll(self.client.raw(), 10) };
                    self.look_at_deliveries()?;
                }
                outcome => return outcome,
            }
        }
    }

    fn look_at_deliveries(&self) -> Result<(), LogError> {
        match self.client.heard().deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            Some(code) => Err(transaction::describe(&self.client, DOING, code, code_text(code))),
            None => Ok(()),
        }
    }
}

impl Journal for KafkaJournal {
    fn note(&self) -> Option<&[u8]> {
        self.note.as_deref()
    }

    fn append(
        &mut self,
        records: &[OutgoingRecord<'_>],
        note: &[u8],
        timeout: Duration,
    ) -> Result<(), LogError> {
        if self.failed {
            return Err(refused(
                format!("append to the journal {}", self.name),
                "an append failed before: it must be opened again",
            ));
        }
        let outcome = self.append_in_transaction(records, note, Instant::now() + timeout);
        match &outcome {
            Ok(()) => self.note = Some(note.to_vec()),
            Err(error) => {
                self.failed = true;
                if !matches!(error, LogError::Locked(_)) {
                    transaction::abort(&self.client, Instant::now() + ABORT_PATIENCE);
                }
            }
        }
        outcome
    }
}

unsafe extern "C" fn on_delivery(
    _client: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    heard: *mut c_void,
) {
    // SAFETY: the message lives through the call, and what is heard as long as the client.
    let (message, heard) = unsafe { (&*message, &*heard.cast::<Heard>()) };
    if message.err != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
        heard
            .deliveries
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(message.err);
    }
}
