//! One direction of a connection: reads what comes, and forwards it as the faults allow.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::Link;
use super::control::{Action, Control, Direction, Faults, Point};
use super::postgres_wire::{Follower, Message, has_commit};

const CHUNK_BYTES: usize = 16 * 1024;
/// So much waits in the proxy when the other side is slow or the delay long: 4 MiB.
const WAITING_CHUNKS: usize = 256;

/// What was read, and when: a delay counts from there, so that it adds latency and does not cut the
/// throughput.
struct Arrival {
    at: Instant,
    what: io::Result<Vec<u8>>,
}

pub struct Pump<'a> {
    direction: Direction,
    writer: WriteHalf<'a>,
    control: &'a Control,
    faults: watch::Receiver<Faults>,
    link: &'a Link,
    follower: Option<Follower>,
    /// Bytes of the COPY that is under way.
    copied_bytes: u64,
}

impl<'a> Pump<'a> {
    pub fn new(
        direction: Direction,
        writer: WriteHalf<'a>,
        control: &'a Control,
        link: &'a Link,
        follower: Option<Follower>,
    ) -> Pump<'a> {
        Pump {
            direction,
            writer,
            control,
            faults: control.faults.subscribe(),
            link,
            follower,
            copied_bytes: 0,
        }
    }

    /// Ok when the reading side ended in good order and the other side was told.
    pub async fn run(&mut self, reader: ReadHalf<'_>) -> io::Result<()> {
        let (arrivals, incoming) = channel(WAITING_CHUNKS);
        tokio::select! {
            outcome = self.write(incoming) => outcome,
            never = read(reader, arrivals) => match never {},
        }
    }

    async fn write(&mut self, mut incoming: Receiver<Arrival>) -> io::Result<()> {
        while let Some(Arrival { at, what }) = incoming.recv().await {
            let delay = self.faults.borrow().delay;
            tokio::time::sleep_until(at + delay).await;
            // A broken connection is news too, and a silent network does not deliver it.
            self.wait_until_open(self.direction).await;
            let bytes = what?;
            if bytes.is_empty() {
                return self.writer.shutdown().await;
            }
            if let Err(problem) = self.forward(&bytes).await {
                let opposite = if self.direction == Direction::ToServer {
                    Direction::ToClient
                } else {
                    Direction::ToServer
                };
                self.wait_until_open(opposite).await;
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Sends a chunk, but for what stands behind a message at which a trap springs.
    async fn forward(&mut self, chunk: &[u8]) -> io::Result<()> {
        let (mut sent_until, mut at) = (0, 0);
        while let Some(message) = self.next_message(chunk, at) {
            at = message.ends_at;
            if self.direction == Direction::ToServer {
                self.link.statements.note(&message);
            }
            let Some(action) = self.control.spring(|point| self.is_at(point, &message)) else {
                self.count_copy(&message);
                continue;
            };
            self.send(&chunk[sent_until..message.starts_at]).await?;
            sent_until = message.starts_at;
            if action == Action::Hold {
                self.link
                    .held_until_release
                    .store(self.faults.borrow().releases + 1, Ordering::Release);
            }
            self.control.counted.sprung.fetch_add(1, Ordering::Release);
            match action {
                Action::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
                Action::Hold => self.wait_until_open(self.direction).await,
            }
            self.count_copy(&message);
        }
        self.send(&chunk[sent_until..]).await
    }

    fn next_message(&mut self, chunk: &[u8], at: usize) -> Option<Message> {
        self.follower.as_mut()?.next(chunk, at, &self.link.handshake)
    }

    fn is_at(&self, point: &Point, message: &Message) -> bool {
        match (point, self.direction, message.tag) {
            (Point::CommitRequest, Direction::ToServer, Some(b'Q')) => has_commit(&message.body),
            (Point::CommitAnswer, Direction::ToClient, Some(b'C')) => message.body == b"COMMIT\0",
            (Point::CopyData { after_bytes }, Direction::ToServer, Some(b'd')) => {
                self.copied_bytes + message.body_bytes > *after_bytes
            }
            (Point::Statement(part), Direction::ToServer, Some(b'Q' | b'P')) => {
                String::from_utf8_lossy(&message.body).to_lowercase().contains(&part.to_lowercase())
            }
            (Point::Execution(part), Direction::ToServer, Some(b'B'))
            | (Point::ExecutionAnswer(part), Direction::ToClient, Some(b'C')) => {
                self.link.statements.is_bound(part)
            }
            _ => false,
        }
    }

    fn count_copy(&mut self, message: &Message) {
        match message.tag {
            Some(b'd') => self.copied_bytes += message.body_bytes,
            Some(b'c' | b'f') => self.copied_bytes = 0,
            _ => {}
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let piece_bytes = self.faults.borrow().piece_bytes.unwrap_or(bytes.len()).max(1);
        for piece in bytes.chunks(piece_bytes) {
            self.wait_until_open(self.direction).await;
            self.writer.write_all(piece).await?;
            self.control.count(self.direction, piece.len());
            if piece.len() < bytes.len() {
                // The other tasks must see the pieces one by one.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Returns when the direction is not silent and no trap holds the connection. A proxy that is
    /// gone opens everything.
    async fn wait_until_open(&self, direction: Direction) {
        let mut faults = self.faults.clone();
        let held_until_release = || self.link.held_until_release.load(Ordering::Acquire);
        let _ = faults
            .wait_for(|faults| {
                !faults.silences(direction) && faults.releases >= held_until_release()
            })
            .await;
    }
}

/// Reads until the end or an error, which it passes on like what was read. What happens then is the
/// writer's affair.
async fn read(mut reader: ReadHalf<'_>, arrivals: Sender<Arrival>) -> Infallible {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let what = reader.read(&mut chunk).await.map(|read_bytes| {
            chunk.truncate(read_bytes);
            chunk
        });
        let is_last = what.as_ref().map_or(true, Vec::is_empty);
        let arrival = Arrival { at: Instant::now(), what };
        if arrivals.send(arrival).await.is_err() || is_last {
            return std::future::pending().await;
        }
    }
}
