//! Whose tokens are believed, and where the keys are that signed them.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use tokio::sync::Mutex;

use duto_definition::{Roles, Tokens};

use super::Refusal;
use super::issuer::Issuer;
use super::token::{KeySet, SignedBy, Token};

/// What a token is compared with.
pub(super) struct Believed {
    wanted: Tokens,
    source: Source,
}

enum Source {
    Issuer(Issuer),
    File(KeyFile),
    Secret(Vec<u8>),
}

/// A file of public keys, read again when it was written.
struct KeyFile {
    path: PathBuf,
    known: Mutex<(KeySet, Option<SystemTime>)>,
}

impl Believed {
    /// Reads the file, if there is one; an issuer is asked at the first token.
    pub fn new(tokens: &Tokens) -> anyhow::Result<Self> {
        let source = match (&tokens.secret, &tokens.key_set, &tokens.issuer) {
            (Some(secret), ..) => Source::Secret(secret.clone().into_bytes()),
            (None, Some(path), _) => Source::File(KeyFile::read(path.into())?),
            (None, None, issuer) => {
                Source::Issuer(Issuer::new(issuer.as_deref().unwrap_or_default())?)
            }
        };
        Ok(Self { wanted: tokens.clone(), source })
    }

    /// Whose the token is and what its holder may do.
    pub async fn check(&self, text: &str) -> Result<(String, Roles), Refusal> {
        let refused =
            |reason: &str| Refusal::Unauthorized(format!("the token is not accepted: {reason}"));
        let token = Token::parse(text).ok_or_else(|| refused("it is no signed JWT"))?;
        let roles = match &self.source {
            Source::Secret(secret) => token.verify(&SignedBy::Shared(secret), &self.wanted),
            Source::File(file) => {
                token.verify(&SignedBy::Published(&file.keys().await), &self.wanted)
            }
            Source::Issuer(issuer) => token.verify(
                &SignedBy::Published(&issuer.keys(token.kid.as_deref()).await?),
                &self.wanted,
            ),
        };
        Ok((token.subject().to_owned(), roles.map_err(refused)?))
    }
}

impl KeyFile {
    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let known = Mutex::new((read(&path)?, written_at(&path)));
        Ok(Self { path, known })
    }

    /// As they are now; a file that cannot be read any more leaves those that were known.
    async fn keys(&self) -> KeySet {
        let mut known = self.known.lock().await;
        let now = written_at(&self.path);
        if now != known.1 {
            match read(&self.path) {
                Ok(keys) => *known = (keys, now),
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "auth.key_set changed, and cannot be read: the keys stay as they were"
                    )
                }
            }
        }
        known.0.clone()
    }
}

fn read(path: &PathBuf) -> anyhow::Result<KeySet> {
    let text =
        std::fs::read(path).with_context(|| format!("auth.key_set: reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!("auth.key_set: {} is no set of public keys (JWKS)", path.display())
    })
}

fn written_at(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}
