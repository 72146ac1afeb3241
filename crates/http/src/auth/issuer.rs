//! An issuer of tokens: its keys, looked up as OpenID Connect Discovery says and kept for a while.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::Refusal;
use super::token::KeySet;

/// Keys are looked up again after this time.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// A token of an unknown key makes them be looked up, but no more often than this.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer, by its address.
pub(super) struct Issuer {
    client: reqwest::Client,
    address: String,
    keys: Mutex<Option<(KeySet, Instant)>>,
}

#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
}

impl Issuer {
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .context("preparing the HTTP client")?;
        Ok(Self { client, address: address.to_owned(), keys: Mutex::default() })
    }

    /// Its keys; a name that is not among those that are known makes them be looked up again.
    pub async fn keys(&self, wanted: Option<&str>) -> Result<KeySet, Refusal> {
        let mut kept = self.keys.lock().await;
        if let Some((keys, at)) = kept.as_ref() {
            let lacks = wanted.is_some_and(|kid| !keys.has(kid));
            if at.elapsed() < LOOK_INTERVAL || (at.elapsed() < KEPT_FOR && !lacks) {
                return Ok(keys.clone());
            }
        }
        match self.look_up().await {
            Ok(keys) => {
                *kept = Some((keys.clone(), Instant::now()));
                Ok(keys)
            }
            // Old keys are better than none.
            Err(error) => {
                let unknown = || {
                    Refusal::Unknown(format!("the issuer's keys cannot be looked up: {error:#}"))
                };
                kept.as_ref().map(|(keys, _)| keys.clone()).ok_or_else(unknown)
            }
        }
    }

    async fn look_up(&self) -> anyhow::Result<KeySet> {
        let document =
            format!("{}/.well-known/openid-configuration", self.address.trim_end_matches('/'));
        let discovery: Discovery = self.document(&document).await?;
        self.document(&discovery.jwks_uri).await
    }

    async fn document<T: DeserializeOwned>(&self, address: &str) -> anyhow::Result<T> {
        let bytes = self.client.get(address).send().await?.error_for_status()?.bytes().await?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("what {address} answers is not what OpenID Connect says"))
    }
}
