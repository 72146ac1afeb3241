//! One request of an endpoint, and its answer's bytes.

use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH, LINK};
use reqwest::{Client, StatusCode, Url, redirect};

use super::note::Note;
use crate::http_client::{describe, retry_after};
use duto_definition::{Cursor, Pull};

/// A pause that an endpoint asks for is kept, but none longer than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_REDIRECTS: usize = 5;

/// Makes requests.
pub struct Requests {
    client: Client,
    url: Url,
    pull: Pull,
}

/// What came back.
pub enum Fetched {
    Body {
        bytes: Vec<u8>,
        etag: Option<String>,
        links: Vec<String>,
    },
    /// Nothing changed since the answer with this tag.
    NotModified,
}

/// Why nothing of use came back.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    pub reason: String,
    /// The pause that the endpoint asks for.
    pub retry_after: Option<Duration>,
}

impl Requests {
    pub fn new(pull: &Pull) -> anyhow::Result<Requests> {
        let url = Url::parse(pull.url.as_deref().unwrap_or_default())?;
        let own = origin(&url);
        // Headers of ours, which may hold a secret, go nowhere else.
        let redirects = redirect::Policy::custom(move |attempt| {
            match origin(attempt.url()) == own && attempt.previous().len() <= MOST_REDIRECTS {
                true => attempt.follow(),
                false => attempt.stop(),
            }
        });
        let client = Client::builder()
            .timeout(pull.timeout)
            .redirect(redirects)
            .no_proxy()
            .user_agent(concat!("duto/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Requests { client, url, pull: pull.clone() })
    }

    /// Asks for what comes behind the note.
    pub async fn fetch(&self, note: &Note) -> Result<Fetched, Failed> {
        let mut request = self.client.get(self.url_for(note)?);
        for (name, value) in &self.pull.headers {
            request = request.header(name, value);
        }
        if let Some(etag) = &note.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|error| failed(describe(&error)))?;
        let headers = response.headers().clone();
        match response.status() {
            StatusCode::NOT_MODIFIED if note.etag.is_some() => return Ok(Fetched::NotModified),
            status if status.is_success() => {}
            status => {
                return Err(Failed {
                    reason: refusal(status),
                    retry_after: retry_after(&headers, LONGEST_RETRY_AFTER),
                });
            }
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(describe(&error)))? {
            if bytes.len() + chunk.len() > self.pull.max_answer_bytes {
                return Err(failed(format!(
                    "the answer has more than {} bytes (max_answer_bytes)",
                    self.pull.max_answer_bytes
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = |value: &reqwest::header::HeaderValue| value.to_str().ok().map(str::to_owned);
        let etag = headers.get(ETAG).and_then(text);
        let links = headers.get_all(LINK).iter().filter_map(text).collect();
        Ok(Fetched::Body { bytes, etag, links })
    }

    fn url_for(&self, note: &Note) -> Result<Url, Failed> {
        let Some(at) = &note.at else { return Ok(self.url.clone()) };
        match &self.pull.cursor {
            Some(Cursor::Value { query, .. } | Cursor::Since { query, .. }) => {
                let mut url = self.url.clone();
                let others: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(name, _)| name != query)
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(query, at);
                Ok(url)
            }
            Some(Cursor::Page { .. } | Cursor::Link { .. }) => {
                let url = self.url.join(at).map_err(|error| {
                    failed(format!("the next page's address cannot be read: {error}"))
                })?;
                match origin(&url) == origin(&self.url) {
                    true => Ok(url),
                    false => Err(failed(format!(
                        "the next page is at {}, which is not where the first one is",
                        origin(&url)
                    ))),
                }
            }
            None => Ok(self.url.clone()),
        }
    }
}

fn failed(reason: String) -> Failed {
    Failed { reason, retry_after: None }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn refusal(status: StatusCode) -> String {
    let advice = match status.as_u16() {
        300..400 => ": it leads elsewhere, and headers go nowhere but to the declared address",
        401 | 403 => ": look at `headers`",
        404 => ": look at `url`",
        400 | 410 => ": where the cursor is no longer known, another name for the pull begins anew",
        _ => "",
    };
    format!("the answer is {status}{advice}")
}
