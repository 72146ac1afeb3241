//! A carrier's API: a small server that gives its items page by page, grows, and sometimes fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

const PAGE: usize = 25;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `?after=N`; the answer names the next value, also at its end, where it stays.
    Cursor,
    /// `?page=N`; the Link header names the next page, but for the last one, which grows.
    Link,
    /// `?since=N`: items whose `order_number` is at least N, `PAGE` of them.
    Since,
    /// Everything, with an ETag.
    Whole,
}

/// Runs until it is dropped.
pub struct Carrier {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    style: Style,
    items: Mutex<Vec<String>>,
    /// Every so many requests one fails, each time in another way.
    fails_each: AtomicUsize,
    requests: AtomicUsize,
    /// Answers that said that nothing changed.
    not_modified: AtomicUsize,
    stopped: AtomicBool,
}

impl Carrier {
    pub fn start(style: Style) -> Result<Carrier> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            style,
            items: Mutex::default(),
            fails_each: AtomicUsize::new(usize::MAX),
            requests: AtomicUsize::default(),
            not_modified: AtomicUsize::default(),
            stopped: AtomicBool::default(),
        });
        std::thread::spawn({
            let state = state.clone();
            move || {
                for stream in listener.incoming().map_while(|stream| stream.ok()) {
                    if state.stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let state = state.clone();
                    std::thread::spawn(move || state.serve(stream));
                }
            }
        });
        Ok(Carrier { port, state })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/items?limit=many", self.port)
    }

    pub fn add(&self, items: impl IntoIterator<Item = String>) {
        self.state.lock().extend(items);
    }

    /// From now on one of so many requests fails.
    pub fn fail_each(&self, requests: usize) {
        self.state.fails_each.store(requests, Ordering::Relaxed);
    }

    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    pub fn not_modified(&self) -> usize {
        self.state.not_modified.load(Ordering::Relaxed)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request a connection.
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let Ok(reading) = stream.try_clone() else { return };
        let mut lines = BufReader::new(reading).lines().map_while(|line| line.ok());
        let Some(first) = lines.next() else { return };
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let fails_each = self.fails_each.load(Ordering::Relaxed);
        let mut stream = stream;
        if request % fails_each == fails_each - 1 {
            let _ = stream.write_all(failure(request / fails_each).as_bytes());
            return;
        }
        let _ = stream.write_all(self.answer(&path, &headers).as_bytes());
        let _ = stream.flush();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0]);
    }

    fn answer(&self, path: &str, headers: &[String]) -> String {
        let header = |name: &str| {
            headers.iter().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned)
            })
        };
        if header("authorization").as_deref() != Some("bearer of-a-carrier") {
            return with_head("401 Unauthorized", "", "");
        }
        let query = |name: &str| {
            let pairs = path.split_once('?').map_or("", |(_, query)| query).split('&');
            pairs
                .filter_map(|pair| pair.split_once('='))
                .find(|(known, _)| *known == name)
                .and_then(|(_, value)| value.parse::<usize>().ok())
        };
        let items = self.lock();
        match self.style {
            Style::Cursor => {
                let from = query("after").unwrap_or(0);
                let page = &items[from..items.len().min(from + PAGE)];
                with_head(
                    "200 OK",
                    "",
                    &format!(
                        "{{\"data\":{{\"orders\":[{}]}},\"next\":{}}}",
                        page.join(","),
                        from + page.len()
                    ),
                )
            }
            Style::Link => {
                let page = query("page").unwrap_or(0);
                let (from, to) = (items.len().min(page * PAGE), items.len().min((page + 1) * PAGE));
                let more = items.len() > (page + 1) * PAGE;
                let link = if more {
                    format!("Link: </items?page={}>; rel=\"next\"\r\n", page + 1)
                } else {
                    String::new()
                };
                with_head(
                    "200 OK",
                    &link,
                    &format!("{{\"data\":{{\"orders\":[{}]}}}}", items[from..to].join(",")),
                )
            }
            Style::Since => {
                let since = query("since").unwrap_or(0);
                let page: Vec<&str> = items
                    .iter()
                    .map(String::as_str)
                    .filter(|item| order_number(item) >= since)
                    .take(PAGE)
                    .collect();
                with_head(
                    "200 OK",
                    "",
                    &format!("{{\"data\":{{\"orders\":[{}]}}}}", page.join(",")),
                )
            }
            Style::Whole => {
                let etag = format!("\"v{}\"", items.len());
                if header("if-none-match").as_deref() == Some(&etag) {
                    self.not_modified.fetch_add(1, Ordering::Relaxed);
                    return with_head("304 Not Modified", "", "");
                }
                with_head(
                    "200 OK",
                    &format!("ETag: {etag}\r\n"),
                    &format!("{{\"data\":{{\"orders\":[{}]}}}}", items.join(",")),
                )
            }
        }
    }
}

fn order_number(item: &str) -> usize {
    serde_json::from_str::<serde_json::Value>(item)
        .ok()
        .and_then(|item| item["order_number"].as_u64())
        .unwrap_or(0) as usize
}

fn with_head(status: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: \
            {}\r\n{more}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Refusals, an answer that is cut, one that is no JSON, and a connection that is closed without a
/// word.
fn failure(turn: usize) -> String {
    match turn % 5 {
        0 => with_head("503 Service Unavailable", "Retry-After: 0\r\n", ""),
        1 => with_head("500 Internal Server Error", "", "oops"),
        2 => "HTTP/1.1 200 OK\r\nContent-Length: \
            1000\r\n\r\n{\"data\":{\"orders\":[{\"order_number\":"
            .to_owned(),
        3 => with_head("200 OK", "", "<html>"),
        _ => String::new(),
    }
}
