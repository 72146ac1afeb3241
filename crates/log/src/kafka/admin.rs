//! Questions to the cluster: its id, its topics, a topic's id and partitions; and making a topic.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_admin_op_t as Question;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{LogError, NewTopic, TopicDescription, TopicListing};
use super::handle::{
    Client, Queue, c_string, code_error, describe_error, milliseconds, read_text, refused,
};

/// How long one attempt to make a topic may take. librdkafka looks for a broker when it is asked, and
/// may stop looking while none is there: a question that waits would not see the broker that comes up
/// later. A topic that was made without our hearing of it is there at the next attempt.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The cluster's id, which no other cluster has.
pub fn cluster_id(client: &Client, timeout: Duration) -> Result<String, LogError> {
    reached(client, "ask for the cluster's id", timeout)
}

/// Waits until a broker answered, at once where one did before; the answer is the cluster's id.
fn reached(client: &Client, doing: &str, timeout: Duration) -> Result<String, LogError> {
    let waiting = Waiting::begin(client, doing, timeout);
    loop {
        // SAFETY: the client lives; a text is copied, then given back to librdkafka's allocator.
        unsafe {
            let id = sys::rd_kafka_clusterid(client.raw(), milliseconds(waiting.piece()));
            if !id.is_null() {
                let text = CStr::from_ptr(id).to_string_lossy().into_owned();
                sys::rd_kafka_mem_free(client.raw(), id.cast::<c_void>());
                return Ok(text);
            }
        }
        waiting.go_on()?;
    }
}

/// A call that waits in pieces, so that it hears meanwhile why nothing comes.
struct Waiting<'a> {
    client: &'a Client,
    doing: &'a str,
    began: Instant,
    timeout: Duration,
}

/// How long librdkafka is not listened to.
const PIECE: Duration = Duration::from_millis(200);

impl<'a> Waiting<'a> {
    fn begin(client: &'a Client, doing: &'a str, timeout: Duration) -> Waiting<'a> {
        Waiting { client, doing, began: Instant::now(), timeout }
    }

    fn piece(&self) -> Duration {
        self.timeout.saturating_sub(self.began.elapsed()).min(PIECE)
    }

    /// Whether it is still worth waiting; the error says why nothing came.
    fn go_on(&self) -> Result<(), LogError> {
        self.client.listen();
        let trouble = &self.client.heard().trouble;
        let unreachable =
            |reason| Err(LogError::Unreachable { doing: self.doing.to_owned(), reason });
        if let Some(reason) = trouble.refusal_since(self.began) {
            return unreachable(reason);
        }
        if self.began.elapsed() >= self.timeout {
            return unreachable(trouble.why(format!("no answer within {:?}", self.timeout)));
        }
        Ok(())
    }
}

/// The topic's id and partitions; None if there is no such topic, or cannot be.
pub fn describe_topic(
    client: &Client,
    name: &str,
    timeout: Duration,
) -> Result<Option<TopicDescription>, LogError> {
    let doing = format!("describe the topic {name}");
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let answer = ask(
        client,
        Question::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        &doing,
        timeout,
        |options, queue| {
            let mut names: [*const c_char; 1] = [name.as_ptr()];
            // SAFETY: the names are copied into the collection, and the collection into the
            // request.
            unsafe {
                let topics =
                    sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
                sys::rd_kafka_DescribeTopics(client.raw(), topics, options, queue);
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
            Ok(())
        },
    )?;
    // SAFETY: what the answer points at lives as long as the answer does.
    unsafe {
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(
            sys::rd_kafka_event_DescribeTopics_result(answer.raw()),
            &mut count,
        );
        if topics.is_null() || count != 1 {
            return Err(refused(doing, "the answer does not name the topic"));
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            match sys::rd_kafka_error_code(error) {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                // Nor is there one of a name that no topic can have.
                Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | Code::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION => return Ok(None),
                code => {
                    let reason = CStr::from_ptr(sys::rd_kafka_error_string(error))
                        .to_string_lossy()
                        .into_owned();
                    client.listen();
                    let error = describe_error(doing, code, reason);
                    return Err(client.heard().trouble.explain(error));
                }
            }
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic));
        if id.is_null() {
            return Err(refused(
                doing,
                "the broker knows no topic ids: Kafka 2.8 or newer is needed",
            ));
        }
        let id = CStr::from_ptr(id).to_string_lossy().into_owned();
        Ok(Some(TopicDescription { id, partitions: i32::try_from(partitions).unwrap_or(i32::MAX) }))
    }
}

/// Makes the topic if it is missing, with these settings beside its own, and waits until the
/// brokers know it.
pub fn create_topic(
    client: &Client,
    topic: &NewTopic,
    settings: &[(&CStr, &CStr)],
    timeout: Duration,
) -> Result<(), LogError> {
    let first = Instant::now();
    let deadline = first + timeout;
    let doing = format!("make the topic {}", topic.name);
    let new_topic = RawNewTopic::new(topic, &doing)?;
    for (name, value) in settings {
        new_topic.set(name, value, &doing)?;
    }
    let answer = loop {
        let began = Instant::now();
        let left = deadline.saturating_duration_since(began);
        let send = |options: *mut sys::rd_kafka_AdminOptions_t,
                    queue: *mut sys::rd_kafka_queue_t| {
            let mut topics = [new_topic.0.as_ptr()];
            // SAFETY: the topic is copied into the request.
            unsafe {
                sys::rd_kafka_CreateTopics(
                    client.raw(),
                    topics.as_mut_ptr(),
                    topics.len(),
                    options,
                    queue,
                )
            };
            Ok(())
        };
        let question = Question::RD_KAFKA_ADMIN_OP_CREATETOPICS;
        match ask(client, question, &doing, left.min(ATTEMPT), send) {
            // An error that came sooner has a reason that stays, and so has a broker that refuses
            // us.
            Err(LogError::Unreachable { .. })
                if left > ATTEMPT
                    && began.elapsed() >= ATTEMPT
                    && client.heard().trouble.refusal_since(first).is_none() => {}
            answered => break answered?,
        }
    };
    // SAFETY: what the answer points at lives as long as the answer does.
    unsafe {
        let mut count = 0;
        let topics = sys::rd_kafka_CreateTopics_result_topics(
            sys::rd_kafka_event_CreateTopics_result(answer.raw()),
            &mut count,
        );
        if topics.is_null() || count != 1 {
            return Err(refused(doing, "the answer does not name the topic"));
        }
        match sys::rd_kafka_topic_result_error(*topics) {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR | Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS => {}
            code => {
                let reason = sys::rd_kafka_topic_result_error_string(*topics);
                let reason = if reason.is_null() {
                    String::new()
                } else {
                    CStr::from_ptr(reason).to_string_lossy().into_owned()
                };
                client.listen();
                let error = describe_error(doing, code, reason);
                return Err(client.heard().trouble.explain(error));
            }
        }
    }
    // A topic's metadata reach the brokers a moment after its making.
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if describe_topic(client, &topic.name, left.max(Duration::from_millis(100)))?.is_some() {
            return Ok(());
        }
        if left.is_zero() {
            return Err(LogError::Unreachable {
                doing,
                reason: format!("no broker knows it after {timeout:?}"),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// All topics of the cluster by name.
pub fn topics(client: &Client, timeout: Duration) -> Result<Vec<TopicListing>, LogError> {
    let doing = "list the topics";
    let began = Instant::now();
    reached(client, doing, timeout)?;
    let left = timeout.saturating_sub(began.elapsed()).max(PIECE);
    let mut metadata = ptr::null();
    // SAFETY: the client lives; the answer is ours until destroyed, and what it points at lives as
    // long as it does.
    unsafe {
        match sys::rd_kafka_metadata(
            client.raw(),
            1,
            ptr::null_mut(),
            &mut metadata,
            milliseconds(left),
        ) {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            code => {
                client.listen();
                return Err(client.heard().trouble.explain(code_error(doing, code)));
            }
        }
        let count = usize::try_from((*metadata).topic_cnt).unwrap_or(0);
        let topics = if count > 0 { slice::from_raw_parts((*metadata).topics, count) } else { &[] };
        let mut found: Vec<TopicListing> = topics
            .iter()
            // One that is being made or deleted has an error, and is left out until it is there.
            .filter(|topic| topic.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR)
            .map(|topic| TopicListing {
                name: CStr::from_ptr(topic.topic).to_string_lossy().into_owned(),
                partitions: topic.partition_cnt,
            })
            .collect();
        sys::rd_kafka_metadata_destroy(metadata);
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// Sends one question and waits for its answer.
pub fn ask(
    client: &Client,
    question: Question,
    doing: &str,
    timeout: Duration,
    send: impl FnOnce(
        *mut sys::rd_kafka_AdminOptions_t,
        *mut sys::rd_kafka_queue_t,
    ) -> Result<(), LogError>,
) -> Result<Answer, LogError> {
    let queue = Queue::new(client).ok_or_else(|| refused(doing, "no memory"))?;
    let options = Options::new(client, question, timeout, doing)?;
    send(options.0.as_ptr(), queue.raw())?;
    // The request has the timeout too; the half second beyond it lets librdkafka name the reason.
    let waiting = Waiting::begin(client, doing, timeout + Duration::from_millis(500));
    let answer = loop {
        // SAFETY: the queue lives; the event is ours.
        let event = unsafe { sys::rd_kafka_queue_poll(queue.raw(), milliseconds(waiting.piece())) };
        match NonNull::new(event) {
            Some(event) => break Answer(event),
            None => waiting.go_on()?,
        }
    };
    // SAFETY: the event lives; its text lives as long as it does.
    unsafe {
        match sys::rd_kafka_event_error(answer.raw()) {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(answer),
            code => {
                let reason = CStr::from_ptr(sys::rd_kafka_event_error_string(answer.raw()))
                    .to_string_lossy()
                    .into_owned();
                client.listen();
                let trouble = &client.heard().trouble;
                Err(trouble.explain(describe_error(doing.to_owned(), code, reason)))
            }
        }
    }
}

/// What the cluster answered; what it points at lives as long as it does.
pub struct Answer(NonNull<sys::rd_kafka_event_t>);

impl Answer {
    pub fn raw(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

struct Options(NonNull<sys::rd_kafka_AdminOptions_t>);

impl Options {
    fn new(
        client: &Client,
        question: Question,
        timeout: Duration,
        doing: &str,
    ) -> Result<Options, LogError> {
        // SAFETY: the client lives.
        let raw = unsafe { sys::rd_kafka_AdminOptions_new(client.raw(), question) };
        let options = NonNull::new(raw)
            .map(Options)
            .ok_or_else(|| refused(doing, "the client is not made for it"))?;
        let mut text = [0 as c_char; 256];
        let limit = milliseconds(timeout).min(3_600_000);
        // SAFETY: the options are ours, and the text's size is given.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0.as_ptr(),
                limit,
                text.as_mut_ptr(),
                text.len(),
            )
        };
        match code {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(options),
            _ => Err(refused(doing, &read_text(&text))),
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: they are ours, once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}

struct RawNewTopic(NonNull<sys::rd_kafka_NewTopic_t>);

impl RawNewTopic {
    fn new(topic: &NewTopic, doing: &str) -> Result<RawNewTopic, LogError> {
        let name: CString = c_string(&topic.name, doing)?;
        let mut text = [0 as c_char; 256];
        // As many replicas as the brokers' default says.
        let replicas = -1;
        // SAFETY: the name ends with a NUL and is copied, and the text's size is given.
        let raw = unsafe {
            sys::rd_kafka_NewTopic_new(
                name.as_ptr(),
                topic.partitions,
                replicas,
                text.as_mut_ptr(),
                text.len(),
            )
        };
        let new_topic =
            NonNull::new(raw).map(RawNewTopic).ok_or_else(|| refused(doing, &read_text(&text)))?;
        if let Some(retention) = topic.retention {
            new_topic.set(
                c"retention.ms",
                &c_string(&retention.as_millis().to_string(), doing)?,
                doing,
            )?;
        }
        Ok(new_topic)
    }

    fn set(&self, name: &CStr, value: &CStr, doing: &str) -> Result<(), LogError> {
        // SAFETY: the topic is ours; both texts end with a NUL and are copied.
        match unsafe {
            sys::rd_kafka_NewTopic_set_config(self.0.as_ptr(), name.as_ptr(), value.as_ptr())
        } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code_error(doing, code)),
        }
    }
}

impl Drop for RawNewTopic {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_NewTopic_destroy(self.0.as_ptr()) };
    }
}
