//! PostgreSQL's messages in a stream of bytes, whatever the pieces in which it comes.
//!
//! A message is a tag, a length that counts itself, and a body. The client's first ones have no
//! tag: StartupMessage, SSLRequest, GSSENCRequest and CancelRequest. The answer to the middle two
//! is one bare byte.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// So much of a body is kept, which is all of it for a statement of any sense.
const BODY_KEPT_BYTES: usize = 64 * 1024;
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
const GSSENC_REQUEST: [u8; 4] = 80_877_104_u32.to_be_bytes();

/// A message whose last byte was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// None for the client's first messages.
    pub tag: Option<u8>,
    /// At most the first 64 KiB.
    pub body: Vec<u8>,
    pub body_bytes: u64,
    /// Where in the chunk it begins; 0 if it began in an earlier one.
    pub starts_at: usize,
    /// Where in the chunk the next one begins.
    pub ends_at: usize,
}

/// What the two directions of a connection must tell each other.
#[derive(Debug, Default)]
pub struct Handshake {
    /// Bare bytes that the server still owes.
    bare_answers_due: AtomicU32,
    /// The connection is encrypted: nothing can be read any more.
    opaque: AtomicBool,
}

/// Follows one direction.
#[derive(Debug)]
pub struct Follower {
    is_client: bool,
    tagged: bool,
    header: Vec<u8>,
    body: Vec<u8>,
    body_bytes: u64,
    body_bytes_left: u64,
    lost: bool,
}

impl Follower {
    pub fn of_client() -> Follower {
        Follower {
            is_client: true,
            tagged: false,
            header: Vec::new(),
            body: Vec::new(),
            body_bytes: 0,
            body_bytes_left: 0,
            lost: false,
        }
    }

    pub fn of_server() -> Follower {
        Follower { is_client: false, tagged: true, ..Follower::of_client() }
    }

    /// The next message that ends in `chunk`, looking from `at` on. None: the rest of the chunk is
    /// taken in, and the next call begins with the next chunk. A stream that breaks the protocol is
    /// not followed any longer.
    pub fn next(&mut self, chunk: &[u8], at: usize, handshake: &Handshake) -> Option<Message> {
        let mut at = self.skip_bare_answers(chunk, at, handshake);
        let mut starts_at = if self.header.is_empty() { at } else { 0 };
        if self.lost || handshake.opaque.load(Ordering::Acquire) {
            return None;
        }
        while let Some(byte) = chunk.get(at).filter(|_| self.header.len() < self.header_bytes()) {
            if self.header.is_empty() {
                starts_at = at;
            }
            self.header.push(*byte);
            at += 1;
            if self.header.len() == self.header_bytes() {
                self.begin_body()?;
            }
        }
        if self.header.len() < self.header_bytes() {
            return None;
        }
        let rest = chunk.get(at..).unwrap_or_default();
        let taken = usize::try_from(self.body_bytes_left).unwrap_or(usize::MAX).min(rest.len());
        let kept = taken.min(BODY_KEPT_BYTES - self.body.len());
        self.body.extend_from_slice(&rest[..kept]);
        self.body_bytes_left -= taken as u64;
        at += taken;
        (self.body_bytes_left == 0).then(|| self.finish(starts_at, at, handshake))
    }

    fn header_bytes(&self) -> usize {
        if self.tagged { 5 } else { 4 }
    }

    /// None if the length is no length.
    fn begin_body(&mut self) -> Option<()> {
        let length = self.header.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))?;
        let Some(body_bytes) = length.checked_sub(4).filter(|_| length <= i32::MAX as u32) else {
            self.lost = true;
            return None;
        };
        self.body_bytes = u64::from(body_bytes);
        self.body_bytes_left = self.body_bytes;
        Some(())
    }

    fn finish(&mut self, starts_at: usize, ends_at: usize, handshake: &Handshake) -> Message {
        let tag = if self.tagged { self.header.first().copied() } else { None };
        self.header.clear();
        let body = std::mem::take(&mut self.body);
        if self.is_client && !self.tagged {
            if body == SSL_REQUEST || body == GSSENC_REQUEST {
                // Before the request is forwarded, so that the answer cannot come first.
                handshake.bare_answers_due.fetch_add(1, Ordering::AcqRel);
            } else {
                self.tagged = true;
            }
        }
        Message { tag, body, body_bytes: self.body_bytes, starts_at, ends_at }
    }

    /// Between messages the server may owe a bare byte: `N`, or the last byte that can be read. An
    /// `E` is an old server's ErrorResponse.
    fn skip_bare_answers(&mut self, chunk: &[u8], at: usize, handshake: &Handshake) -> usize {
        let due = handshake.bare_answers_due.load(Ordering::Acquire);
        if self.is_client || !self.header.is_empty() || due == 0 {
            return at;
        }
        let Some(byte) = chunk.get(at) else { return at };
        handshake.bare_answers_due.store(due - 1, Ordering::Release);
        match byte {
            b'E' => at,
            b'N' => at + 1,
            _ => {
                handshake.opaque.store(true, Ordering::Release);
                at + 1
            }
        }
    }
}

/// Whether one of the statements of a simple query is a COMMIT (or END). `ON COMMIT DROP` is none.
pub fn has_commit(query: &[u8]) -> bool {
    let text = String::from_utf8_lossy(query);
    text.split(';').any(|statement| {
        let word = statement
            .trim_start()
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        word.eq_ignore_ascii_case("commit") || word.eq_ignore_ascii_case("end")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    fn untagged(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    /// The tags and bodies found when the stream comes in pieces of `piece_bytes`, with the places
    /// in the whole stream.
    fn follow(
        mut follower: Follower,
        handshake: &Handshake,
        stream: &[u8],
        piece_bytes: usize,
    ) -> Vec<(Option<u8>, Vec<u8>, usize)> {
        let mut found = Vec::new();
        for (number, chunk) in stream.chunks(piece_bytes).enumerate() {
            let mut at = 0;
            while let Some(message) = follower.next(chunk, at, handshake) {
                at = message.ends_at;
                assert!(message.starts_at <= message.ends_at);
                found.push((message.tag, message.body, number * piece_bytes + message.ends_at));
            }
        }
        found
    }

    #[test]
    fn a_clients_stream_in_pieces_of_any_size() {
        let startup = b"\0\x03\0\0user\0me\0\0";
        let messages = [
            untagged(&SSL_REQUEST),
            untagged(startup),
            message(b'Q', b"BEGIN\0"),
            message(b'S', b""),
            message(b'Q', b"COMMIT\0"),
        ];
        let ends: Vec<usize> = (1..=5).map(|count| messages[..count].concat().len()).collect();
        let stream = messages.concat();
        let bodies: [&[u8]; 5] = [&SSL_REQUEST, startup, b"BEGIN\0", b"", b"COMMIT\0"];
        let tags = [None, None, Some(b'Q'), Some(b'S'), Some(b'Q')];
        for piece_bytes in 1..=stream.len() {
            let handshake = Handshake::default();
            let found = follow(Follower::of_client(), &handshake, &stream, piece_bytes);
            let expected: Vec<_> = (0..5).map(|i| (tags[i], bodies[i].to_vec(), ends[i])).collect();
            assert_eq!(found, expected, "pieces of {piece_bytes}");
            assert_eq!(handshake.bare_answers_due.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn a_servers_stream_with_bare_answers() {
        let rest = [message(b'R', &[0, 0, 0, 0]), message(b'C', b"COMMIT\0")].concat();
        let expected = [(Some(b'R'), vec![0; 4]), (Some(b'C'), b"COMMIT\0".to_vec())];
        for (due, bare) in [(0, &b""[..]), (1, b"N"), (2, b"NN")] {
            let stream = [bare, &rest].concat();
            for piece_bytes in 1..=stream.len() {
                let handshake = Handshake::default();
                handshake.bare_answers_due.store(due, Ordering::Relaxed);
                // Each bare answer comes alone in practice; several in one chunk are taken one a
                // call.
                let found = follow(
                    Follower::of_server(),
                    &handshake,
                    &stream,
                    if due == 2 { 1 } else { piece_bytes },
                );
                let found: Vec<_> = found.into_iter().map(|(tag, body, _)| (tag, body)).collect();
                assert_eq!(found, expected, "{due} due, pieces of {piece_bytes}");
            }
        }
    }

    #[test]
    fn after_tls_nothing_is_read() {
        let handshake = Handshake::default();
        handshake.bare_answers_due.store(1, Ordering::Relaxed);
        let stream = [b"S".to_vec(), message(b'C', b"COMMIT\0")].concat();
        assert_eq!(follow(Follower::of_server(), &handshake, &stream, stream.len()), []);
        assert_eq!(follow(Follower::of_client(), &handshake, &untagged(b"anything"), 3), []);
    }

    #[test]
    fn long_bodies_are_cut_and_bad_lengths_end_the_following() {
        let long = message(b'd', &vec![7; BODY_KEPT_BYTES + 100]);
        let handshake = Handshake::default();
        let mut follower = Follower::of_server();
        let found = follower.next(&long, 0, &handshake).unwrap();
        assert_eq!(
            (found.body.len(), found.body_bytes, found.ends_at),
            (BODY_KEPT_BYTES, BODY_KEPT_BYTES as u64 + 100, long.len())
        );
        for length in [0_u32, 3, u32::MAX] {
            let bad = [&b"Q"[..], &length.to_be_bytes(), b"anything at all"].concat();
            let mut follower = Follower::of_server();
            assert_eq!(follower.next(&bad, 0, &handshake), None, "length {length}");
            assert_eq!(follower.next(&message(b'Q', b"x"), 0, &handshake), None);
        }
    }

    #[test]
    fn commits() {
        let cases = [
            ("COMMIT", true),
            ("select 1; commit", true),
            ("SELECT 1;\n COMMIT;\0", true),
            ("END", true),
            ("COMMIT AND CHAIN", true),
            ("CREATE TEMP TABLE t (id int) ON COMMIT DROP", false),
            ("SELECT 'commit'", false),
            ("COMMIT_LOG", false),
            ("ROLLBACK", false),
            ("", false),
        ];
        for (query, expected) in cases {
            assert_eq!(has_commit(query.as_bytes()), expected, "{query}");
        }
    }
}
