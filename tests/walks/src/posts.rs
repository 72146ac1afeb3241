//! Requests to `ingest:` endpoints whose answer waits for the store, and what the model keeps of
//! them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value as Json;

use crate::canonical::canonical;
use crate::failure::{Failure, Kind};
use crate::ground::Ground;
use crate::oracle::{Oracle, Verdict};
use crate::walk::Post;

/// What the answer says of a record that is in the log, and that the database refused.
const CANNOT_BE_STORED: &str = "the record cannot be stored";

/// By key and place in the body: what became of the record that came first, and its answer.
#[derive(Debug, Default)]
pub struct Kept {
    answers: BTreeMap<(String, Option<usize>), (Verdict, String)>,
    /// The same of records that the database refused: they are rejects, so that their key is used
    /// up.
    refusals: BTreeMap<(String, Option<usize>), String>,
}

impl Kept {
    /// How many records are stored, at least and at most.
    pub fn stored(&self) -> RangeInclusive<usize> {
        let count = |is_stored: fn(&Verdict) -> bool| {
            self.answers.values().filter(|(verdict, _)| is_stored(verdict)).count()
        };
        count(|verdict| verdict.letter == 's' && verdict.or == 's')..=count(|verdict| {
            verdict.letter == 's' || verdict.or == 's'
        })
    }

    pub fn messages(&self) -> impl Iterator<Item = &(String, String)> {
        self.answers.values().flat_map(|(verdict, _)| &verdict.messages)
    }
}

/// Makes the requests, one after the other, and holds each answer against the model's.
pub async fn post(
    ground: &Ground,
    pipeline: &Json,
    posts: &[Post],
    kept: &mut Kept,
    oracle: &Oracle,
) -> Result<Result<(), Failure>> {
    let here = &ground.surroundings;
    let listen = format!("127.0.0.1:{}", ground.http_port);
    let arguments = ["run", "--listen", &listen];
    let mut process = here.start(&arguments, true, &here.database_url)?;
    let deadline = Instant::now() + here.patience * 2;
    while !request(ground.http_port, "GET", "/readyz", "", "")
        .is_ok_and(|(status, _)| status == 200)
    {
        if Instant::now() > deadline {
            return Ok(Err(Failure::new(
                Kind::Stuck,
                format!("duto run is not ready\n{}", process.tail()),
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for post in posts {
        let many = post.bulk || post.bodies.len() != 1;
        let body =
            if many { format!("[{}]", post.bodies.join(", ")) } else { post.bodies.concat() };
        let (status, text) = loop {
            let (status, text) = request(ground.http_port, "POST", &post.path, &post.key, &body)
                .context("a request")?;
            // What a caller does that is told to come back.
            if !(status == 503 || text.contains("\"status\":503")) || Instant::now() > deadline {
                break (status, text);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let answer: Json = serde_json::from_str(&text).unwrap_or(Json::Null);
        let wrong = |what: String| {
            Ok(Err(Failure::new(
                Kind::Answer,
                format!(
                    "POST {} of {body} under {}: {what}; got {status} {text}",
                    post.path, post.key
                ),
            )))
        };
        for (place, body) in post.bodies.iter().enumerate() {
            let (status, found) = match many {
                true => (
                    answer["results"][place]["status"].as_u64().unwrap_or(0),
                    answer["results"][place]["answer"].to_string(),
                ),
                false => (u64::from(status), text.clone()),
            };
            let key = (post.key.clone(), many.then_some(place));
            if let Some(first) = kept.refusals.get(&key) {
                if status != 422 || canonical(&found) != canonical(first) {
                    return wrong(format!("element {place} should be answered as before: {first}"));
                }
                continue;
            }
            if !kept.answers.contains_key(&key) {
                let verdict = oracle.take(0, 0, body.as_bytes(), false).await?;
                if verdict.letter == 'r' {
                    if status < 400 {
                        return wrong(format!(
                            "element {place} should be refused: {}",
                            verdict.why
                        ));
                    }
                    // One that was refused before it came into the log is kept nowhere.
                    if found.contains(CANNOT_BE_STORED) {
                        kept.refusals.insert(key, found);
                    }
                    continue;
                }
                let expected = expected_answer(pipeline, &post.path, oracle).await?;
                kept.answers.insert(key.clone(), (verdict, expected));
            }
            let (_, expected) = &kept.answers[&key];
            if status >= 300 {
                return wrong(format!("element {place} should be stored"));
            }
            if !expected.is_empty() && canonical(&found) != canonical(expected) {
                return wrong(format!("element {place} should be answered {expected}"));
            }
        }
    }
    process.terminate();
    Ok(process.succeeds(&arguments, here.patience))
}

/// The answer to the record that the oracle has just taken; empty where the file declares none.
async fn expected_answer(pipeline: &Json, path: &str, oracle: &Oracle) -> Result<String> {
    match pipeline["ingest"][format!("POST {path}")]["answer"].as_str() {
        None => Ok(String::new()),
        Some(select) => Ok(oracle
            .client
            .query_one(&format!("SELECT to_jsonb(a)::text FROM ({select}) AS a"), &[])
            .await?
            .get(0)),
    }
}

fn request(port: u16, method: &str, path: &str, key: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \
            application/json\r\n{key}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head and a body")?;
    Ok((head.split(' ').nth(1).context("an answer has a status")?.parse()?, body.to_owned()))
}
