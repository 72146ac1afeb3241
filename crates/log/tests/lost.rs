//! A member that was silent for longer than the session's timeout learns, when it wakes, that its
//! partitions are gone.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::fixture::{Reader, kafka, new_topic, settings, unique};
use duto_log::Event;

/// Names the topic and the group for [`a_member_says_what_it_is_assigned`] when it runs as a
/// process of its own.
const ROLE: &str = "DUTO_TEST_MEMBER";

#[test]
fn a_member_that_was_stopped_has_lost_its_partitions() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 2), unique("group"));
    let mut member = Member::start(&topic, &group);
    assert!(
        member.waits_for("assigned", Duration::from_secs(30)),
        "the member was assigned nothing"
    );
    member.signal(libc::SIGSTOP);
    let mut other = Reader::new(log.as_ref(), &settings(&topic, &group));
    other.poll_until("both partitions, after the session's timeout", |reader| {
        reader.owned.len() == 2
    });
    member.signal(libc::SIGCONT);
    assert!(
        member.waits_for("lost", Duration::from_secs(30)),
        "the member was not told of its loss"
    );
    other.consumer.close();
}

/// As a process of its own it runs until it is killed; else it shows that it would be assigned
/// something.
#[test]
fn a_member_says_what_it_is_assigned() {
    let role = std::env::var(ROLE).ok();
    let log = kafka();
    let (topic, group) = match role.as_deref().and_then(|role| role.split_once(' ')) {
        Some((topic, group)) => (topic.to_owned(), group.to_owned()),
        None => (new_topic(log.as_ref(), 1), unique("group")),
    };
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &group));
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        reader.poll(100, Duration::from_millis(100));
        for event in reader.events.drain(..) {
            match event {
                Event::Assigned(_) => println!("\nassigned"),
                Event::Lost(_) => println!("\nlost"),
                other => println!("\n{other:?}"),
            }
        }
        if role.is_none() && !reader.owned.is_empty() {
            reader.consumer.close();
            return;
        }
    }
    panic!("nobody ended this member");
}

struct Member {
    child: Child,
    lines: Receiver<String>,
}

impl Member {
    fn start(topic: &str, group: &str) -> Member {
        let mut child = Command::new(std::env::current_exe().expect("this test's file"))
            .args([
                "--exact",
                "lost::a_member_says_what_it_is_assigned",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(ROLE, format!("{topic} {group}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let (tell, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Member { child, lines }
    }

    fn waits_for(&self, expected: &str, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        std::iter::from_fn(|| {
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
        })
        .any(|line| line == expected)
    }

    fn signal(&mut self, signal: libc::c_int) {
        // SAFETY: the process is a child that was not waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id().cast_signed(), signal) }, 0);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
