//! Encryption at rest of what duto keeps: values sealed by XChaCha20-Poly1305 under keys that have
//! names, one of which writes while all of them read.
//!
//! A value says by its own first bytes how it is kept, so that plain ones, and those of several
//! keys, stand beside each other:
//!
//! ```text
//! sealed   MAGIC 0x01 id (16 bytes, padded by 0) nonce (24 bytes) ciphertext tag (16 bytes)
//! escaped  MAGIC 0x00 the value, where that begins with MAGIC itself
//! plain    the value
//! ```
//!
//! What a value belongs to (its table, its record) goes into the tag as associated data: moved to
//! another place, it opens no more. Nonces are random; 192 bits of them never meet (the draft of
//! XChaCha, draft-irtf-cfrg-xchacha-03, section 2.1).

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// How each value begins that is not plain.
pub const MAGIC: [u8; 5] = *b"\0duto";
const ESCAPED: u8 = 0;
const SEALED: u8 = 1;
const ID_BYTES: usize = 16;
/// The bytes of a sealed value that say under which key: [`MAGIC`], the kind and the id.
pub const HEAD_BYTES: usize = MAGIC.len() + 1 + ID_BYTES;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// A file of keys is looked at so often, and at once where a value has a key that it had not.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// One key: its name, and the cipher that holds it.
#[derive(Clone)]
struct NamedKey {
    id: String,
    bytes: [u8; KEY_BYTES],
}

/// Keys by name. The first one seals, all of them open.
#[derive(Clone, Default)]
pub struct Keys(Vec<NamedKey>);

/// What is wrong with a text of keys. It never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("there is no key in it")]
    None,
    #[error(
        "key {0} is not ID:KEY, a name of letters, digits, `_`, `-` and `.` (at most {ID_BYTES}) and 32 bytes in base 64"
    )]
    Form(usize),
    #[error("key {place}, {id}, has {bytes} bytes: it must have {KEY_BYTES}")]
    Length { place: usize, id: String, bytes: usize },
    #[error("two keys are called {0}")]
    Twice(String),
}

impl Keys {
    /// Keys as `ID:KEY`, with blanks, line breaks or commas between them; a line that begins with
    /// `#` is a comment. KEY is 32 bytes in base 64.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let entries = lines.flat_map(|line| line.split([',', ' ', '\t', '\r']));
        let mut keys: Vec<NamedKey> = Vec::new();
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let place = keys.len() + 1;
            let (id, key) = entry.split_once(':').ok_or(KeyFault::Form(place))?;
            let decoded = STANDARD.decode(key).map_err(|_| KeyFault::Form(place))?;
            if !is_id(id) {
                return Err(KeyFault::Form(place));
            }
            let id = id.to_owned();
            let bytes = decoded.as_slice().try_into().map_err(|_| KeyFault::Length {
                place,
                id: id.clone(),
                bytes: decoded.len(),
            })?;
            if keys.iter().any(|other| other.id == id) {
                return Err(KeyFault::Twice(id));
            }
            keys.push(NamedKey { id, bytes });
        }
        if keys.is_empty() { Err(KeyFault::None) } else { Ok(Self(keys)) }
    }

    /// What the first key of this name opens: there is one, but of several pipelines' there may be
    /// more.
    fn open(
        &self,
        id: &str,
        open: impl Fn(&NamedKey) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, SealFault> {
        let mut named = self.0.iter().filter(|key| key.id == id).peekable();
        if named.peek().is_none() {
            let known = self.ids().join(", ");
            return Err(SealFault::UnknownKey { id: id.to_owned(), known });
        }
        named.find_map(open).ok_or_else(|| SealFault::Refused { id: id.to_owned() })
    }

    /// The names, the one that seals first.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.clone()).collect()
    }
}

impl Debug for Keys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// Whether a key can be called so.
pub fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// A new key of this name, as [`Keys::parse`] reads it.
pub fn new_key(id: &str) -> String {
    format!("{id}:{}", STANDARD.encode(rand::random::<[u8; KEY_BYTES]>()))
}

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    #[error(
        "it is sealed by the key {id}, and no key is given: name the keys at `encryption` in the pipeline file"
    )]
    NoKeys { id: String },
    #[error(
        "it is sealed by the key {id}, which is not among the keys given ({known}): add it behind the first one"
    )]
    UnknownKey { id: String, known: String },
    #[error(
        "the key {id} does not open it: another key had that name when it was sealed, or its bytes were changed or moved"
    )]
    Refused { id: String },
    #[error("its first bytes are those of a sealed value, and the rest is none")]
    Damaged,
    #[error("the keys in {file} cannot be used: {reason}")]
    File { file: String, reason: String },
}

/// The keys of a pipeline, as they are now. Without any, values are kept plain. Clones share what
/// was read.
#[derive(Clone, Default)]
pub struct Keyring(Origin);

#[derive(Clone, Default)]
enum Origin {
    #[default]
    None,
    Given(Arc<Keys>),
    File(Arc<KeyFile>),
    /// Of several pipelines, where it does not matter whose.
    Any(Arc<Vec<Keyring>>),
}

struct KeyFile {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

/// What a look at the file found.
struct Read {
    at: Instant,
    stamp: Option<(SystemTime, u64)>,
    /// The last ones that were good; None before there were any.
    keys: Option<Arc<Keys>>,
    fault: Option<String>,
}

/// How new the keys must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Recent,
    Now,
}

impl Keyring {
    pub fn given(keys: Keys) -> Self {
        Self(Origin::Given(Arc::new(keys)))
    }

    /// Keys in a file, which is not read before they are needed, and again when it changes. While
    /// it cannot be read, the keys stay as they were.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(Arc::new(KeyFile { path: path.into(), read: Mutex::default() })))
    }

    /// Opens what any of these opens, and seals like the first of them that does.
    pub fn any_of(keyrings: impl IntoIterator<Item = Self>) -> Self {
        let sealing: Vec<Self> = keyrings.into_iter().filter(Self::seals).collect();
        if sealing.is_empty() { Self::default() } else { Self(Origin::Any(Arc::new(sealing))) }
    }

    /// Whether what is kept is sealed.
    pub fn seals(&self) -> bool {
        !matches!(self.0, Origin::None)
    }

    /// Where the keys are read from; None where they are given, or there are none.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Origin::File(file) => Some(&file.path),
            Origin::None | Origin::Given(_) | Origin::Any(_) => None,
        }
    }

    /// The names of the keys, the one that seals first; none without keys. An error says why there
    /// cannot be any now.
    pub fn ids(&self) -> Result<Vec<String>, SealFault> {
        Ok(self.keys(Freshness::Now)?.map(|keys| keys.ids()).unwrap_or_default())
    }

    fn keys(&self, freshness: Freshness) -> Result<Option<Arc<Keys>>, SealFault> {
        match &self.0 {
            Origin::None => Ok(None),
            Origin::Given(keys) => Ok(Some(Arc::clone(keys))),
            Origin::File(file) => file.keys(freshness).map(Some),
            Origin::Any(keyrings) => {
                let mut all = Vec::new();
                for keyring in keyrings.iter() {
                    let keys = keyring.keys(freshness)?;
                    all.extend(keys.iter().flat_map(|keys| keys.0.iter().cloned()));
                }
                Ok(Some(Arc::new(Keys(all))))
            }
        }
    }

    /// The value as it is to be kept. `belongs_to` says whose it is, part by part; the same parts
    /// open it.
    pub fn seal<'v>(
        &self,
        belongs_to: &[&[u8]],
        value: &'v [u8],
    ) -> Result<Cow<'v, [u8]>, SealFault> {
        let Some(keys) = self.keys(Freshness::Recent)? else {
            return Ok(if value.starts_with(&MAGIC) {
                Cow::Owned([&MAGIC[..], &[ESCAPED], value].concat())
            } else {
                Cow::Borrowed(value)
            });
        };
        // Keys::parse refuses an empty list.
        let Some(key) = keys.0.first() else { return Err(SealFault::Damaged) };
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let sealed = cipher_of(key)
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &joined(belongs_to) })
            .map_err(|_| SealFault::Damaged)?;
        let mut kept = Vec::with_capacity(HEAD_BYTES + NONCE_BYTES + sealed.len());
        kept.extend_from_slice(&head(&key.id));
        kept.extend_from_slice(&nonce);
        kept.extend_from_slice(&sealed);
        Ok(Cow::Owned(kept))
    }

    /// [`Keyring::seal`] of a value that may be absent.
    pub fn seal_some<'v>(
        &self,
        belongs_to: &[&[u8]],
        value: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, SealFault> {
        value.map(|value| self.seal(belongs_to, value)).transpose()
    }

    /// The value that was kept as this.
    pub fn open<'v>(
        &self,
        belongs_to: &[&[u8]],
        kept: &'v [u8],
    ) -> Result<Cow<'v, [u8]>, SealFault> {
        let Some(rest) = kept.strip_prefix(&MAGIC) else { return Ok(Cow::Borrowed(kept)) };
        match rest.split_first() {
            Some((&ESCAPED, value)) => Ok(Cow::Borrowed(value)),
            Some((&SEALED, _)) if kept.len() >= HEAD_BYTES + NONCE_BYTES + TAG_BYTES => {
                let id = sealed_by(kept).ok_or(SealFault::Damaged)?;
                let (nonce, sealed) = kept[HEAD_BYTES..].split_at(NONCE_BYTES);
                let nonce = XNonce::try_from(nonce).map_err(|_| SealFault::Damaged)?;
                let place = joined(belongs_to);
                let open = |keys: Option<Arc<Keys>>| {
                    let keys = keys.ok_or_else(|| SealFault::NoKeys { id: id.to_owned() })?;
                    let payload = || Payload { msg: sealed, aad: &place };
                    keys.open(id, |key| cipher_of(key).decrypt(&nonce, payload()).ok())
                };
                match open(self.keys(Freshness::Recent)?) {
                    Err(SealFault::UnknownKey { .. }) => open(self.keys(Freshness::Now)?),
                    opened => opened,
                }
                .map(Cow::Owned)
            }
            _ => Err(SealFault::Damaged),
        }
    }

    /// [`Keyring::open`] of a value that may be absent.
    pub fn open_some<'v>(
        &self,
        belongs_to: &[&[u8]],
        kept: Option<&'v [u8]>,
    ) -> Result<Option<Cow<'v, [u8]>>, SealFault> {
        kept.map(|kept| self.open(belongs_to, kept)).transpose()
    }
}

impl Debug for Keyring {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::None => f.write_str("no keys"),
            Origin::Given(keys) => keys.fmt(f),
            Origin::File(file) => write!(f, "keys of {}", file.path.display()),
            Origin::Any(keyrings) => keyrings.fmt(f),
        }
    }
}

impl KeyFile {
    fn keys(&self, freshness: Freshness) -> Result<Arc<Keys>, SealFault> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |read: &Read| {
            freshness == Freshness::Recent
                && read.keys.is_some()
                && read.at.elapsed() < LOOK_INTERVAL
        };
        if !read.as_ref().is_some_and(is_fresh) {
            *read = Some(self.look(read.take()));
        }
        let read = read.as_ref();
        read.and_then(|read| read.keys.clone()).ok_or_else(|| SealFault::File {
            file: self.path.display().to_string(),
            reason: read.and_then(|read| read.fault.clone()).unwrap_or_default(),
        })
    }

    /// Reads the file where it is another one than before.
    fn look(&self, before: Option<Read>) -> Read {
        let stamp = std::fs::metadata(&self.path)
            .and_then(|metadata| Ok((metadata.modified()?, metadata.len())));
        let (keys_before, stamp_before, fault_before) =
            before.map_or((None, None, None), |read| (read.keys, read.stamp, read.fault));
        if stamp_before.is_some() && stamp.as_ref().ok() == stamp_before.as_ref() {
            let (at, stamp) = (Instant::now(), stamp_before);
            return Read { at, stamp, keys: keys_before, fault: fault_before };
        }
        let text = std::fs::read_to_string(&self.path).map_err(|error| error.to_string());
        let parsed = text.and_then(|text| Keys::parse(&text).map_err(|fault| fault.to_string()));
        let (keys, fault) = match parsed {
            Ok(keys) => {
                if keys_before.is_some() {
                    tracing::info!(file = %self.path.display(), ?keys, "the keys were read again");
                }
                (Some(Arc::new(keys)), None)
            }
            Err(reason) => {
                if keys_before.is_some() && fault_before.as_ref() != Some(&reason) {
                    tracing::error!(file = %self.path.display(), reason, "the keys cannot be read again, and stay as they were");
                }
                (keys_before, Some(reason))
            }
        };
        Read { at: Instant::now(), stamp: stamp.ok(), keys, fault }
    }
}

fn cipher_of(key: &NamedKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&key.bytes.into())
}

/// The name of the key that a value is sealed by; None for one that is not sealed.
pub fn sealed_by(kept: &[u8]) -> Option<&str> {
    let id = kept.strip_prefix(&MAGIC)?.strip_prefix(&[SEALED])?.get(..ID_BYTES)?;
    let end = id.iter().position(|byte| *byte == 0).unwrap_or(ID_BYTES);
    std::str::from_utf8(&id[..end]).ok().filter(|id| is_id(id))
}

fn head(id: &str) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..MAGIC.len()].copy_from_slice(&MAGIC);
    head[MAGIC.len()] = SEALED;
    // Keys::parse lets none be longer.
    let named = id.bytes().take(ID_BYTES);
    head[MAGIC.len() + 1..].iter_mut().zip(named).for_each(|(place, byte)| *place = byte);
    head
}

/// Each part behind its length, so that no two lists of parts are the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: [&[u8]; 2] = [b"reject", b"orders"];

    fn ring(text: &str) -> Keyring {
        Keyring::given(Keys::parse(text).expect("keys"))
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let keyring = ring(&new_key("one"));
        for value in [&b""[..], b"{\"name\":\"Ana\"}", &MAGIC, &[7; 100_000]] {
            let kept = keyring.seal(&PLACE, value).expect("sealed");
            assert_eq!(sealed_by(&kept), Some("one"));
            assert_eq!(kept.len(), value.len() + HEAD_BYTES + NONCE_BYTES + TAG_BYTES);
            assert_eq!(keyring.open(&PLACE, &kept).expect("opened"), value);
            // ("a", "bc") is another place than ("ab", "c").
            let elsewhere: [&[u8]; 2] = [b"rejecto", b"rders"];
            let moved = SealFault::Refused { id: "one".to_owned() };
            assert_eq!(keyring.open(&elsewhere, &kept), Err(moved.clone()));
            let mut changed = kept.to_vec();
            *changed.last_mut().expect("a tag") ^= 1;
            assert_eq!(keyring.open(&PLACE, &changed), Err(moved));
        }
        let twice = [0, 1].map(|_| keyring.seal(&PLACE, b"the same").expect("sealed").into_owned());
        assert_ne!(twice[0], twice[1]);
    }

    #[test]
    fn without_keys_every_value_comes_back_as_it_was() {
        let none = Keyring::default();
        for value in [&b""[..], b"plain", &MAGIC, b"\0duto\x01and so on", b"\0dut"] {
            let kept = none.seal(&PLACE, value).expect("kept");
            assert_eq!(kept == value, !value.starts_with(&MAGIC));
            assert_eq!(sealed_by(&kept), None);
            for keyring in [&none, &ring(&new_key("later"))] {
                assert_eq!(keyring.open(&PLACE, &kept).expect("read"), value);
            }
        }
    }

    #[test]
    fn a_rotated_key_reads_old_and_new() {
        let (old, new) = (new_key("2026-10"), new_key("2026-11"));
        let kept_before = ring(&old).seal(&PLACE, b"old").expect("sealed").into_owned();
        let both = ring(&format!("{new}, {old}"));
        assert_eq!(both.open(&PLACE, &kept_before).expect("opened"), &b"old"[..]);
        let kept = both.seal(&PLACE, b"new").expect("sealed").into_owned();
        assert_eq!(sealed_by(&kept), Some("2026-11"));
        let known = "2026-10".to_owned();
        let fault = SealFault::UnknownKey { id: "2026-11".to_owned(), known };
        assert_eq!(ring(&old).open(&PLACE, &kept), Err(fault));
        let fault = SealFault::NoKeys { id: "2026-11".to_owned() };
        assert_eq!(Keyring::default().open(&PLACE, &kept), Err(fault));
        let other = ring(&new_key("2026-11"));
        let fault = SealFault::Refused { id: "2026-11".to_owned() };
        assert_eq!(other.open(&PLACE, &kept), Err(fault));
    }

    #[test]
    fn what_only_begins_like_a_sealed_value_is_damaged() {
        let keyring = ring(&new_key("one"));
        let kept = keyring.seal(&PLACE, b"x").expect("sealed").into_owned();
        for end in MAGIC.len()..kept.len() {
            assert!(keyring.open(&PLACE, &kept[..end]).is_err(), "{end}");
        }
        for kind in 2..=255 {
            let odd = [&MAGIC[..], &[kind], &kept[6..]].concat();
            assert_eq!(keyring.open(&PLACE, &odd), Err(SealFault::Damaged));
        }
    }

    #[test]
    fn keys_are_read_and_what_is_wrong_is_said_without_them() {
        let key = STANDARD.encode([1; KEY_BYTES]);
        let text = format!("# the newest first\nnew:{key}\r\n\n old:{key} , older.1_-:{key}\n");
        assert_eq!(Keys::parse(&text).expect("keys").ids(), ["new", "old", "older.1_-"]);
        assert_eq!(format!("{:?}", ring(&text)), r#"["new", "old", "older.1_-"]"#);
        let short = STANDARD.encode([1; 16]);
        for (text, fault) in [
            (String::new(), KeyFault::None),
            ("# nothing".to_owned(), KeyFault::None),
            (key.clone(), KeyFault::Form(1)),
            (format!("a:{key} b:{key}="), KeyFault::Form(2)),
            (format!(":{key}"), KeyFault::Form(1)),
            (format!("seventeen-letters:{key}"), KeyFault::Form(1)),
            (format!("a:{key} a:{key}"), KeyFault::Twice("a".to_owned())),
            (format!("a:{short}"), KeyFault::Length { place: 1, id: "a".to_owned(), bytes: 16 }),
        ] {
            let found = Keys::parse(&text).expect_err("a fault");
            assert!(!found.to_string().contains(&key[..8]), "{found}");
            assert_eq!(found, fault, "{text}");
        }
    }

    #[test]
    fn a_file_is_read_again_for_a_key_that_it_had_not() {
        let folder = std::env::temp_dir().join(format!("duto-seal-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("keys");
        let keyring = Keyring::file(&path);
        let missing = keyring.seal(&PLACE, b"x").expect_err("no file");
        assert!(missing.to_string().starts_with("the keys in /"), "{missing}");
        let (old, new) = (new_key("old"), new_key("new"));
        std::fs::write(&path, &old).expect("written");
        assert_eq!(keyring.ids().expect("keys"), ["old"]);
        let kept = ring(&new).seal(&PLACE, b"by another process").expect("sealed").into_owned();
        assert!(keyring.open(&PLACE, &kept).is_err());
        std::fs::write(&path, format!("{new}\n{old}\n")).expect("written");
        assert_eq!(keyring.open(&PLACE, &kept).expect("opened"), &b"by another process"[..]);
        std::fs::write(&path, "nonsense").expect("written");
        assert_eq!(keyring.ids().expect("as they were"), ["new", "old"]);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
