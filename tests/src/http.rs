//! Plain HTTP to a running program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// As they came, a line each.
    pub headers: String,
    pub body: String,
}

/// One request with a JSON body; answers the status and the body.
pub fn request(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let answer = request_with(port, method, path, &[("Content-Type", "application/json")], body)?;
    Ok((answer.status, answer.body))
}

/// One request on a connection of its own.
pub fn request_with(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: \
            close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head and a body")?;
    let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
    Ok(Answer { status, headers: head.to_owned(), body: body.to_owned() })
}

/// Waits until the program listens.
pub fn wait_until_it_answers(port: u16) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while request(port, "GET", "/livez", "").is_err() {
        ensure!(Instant::now() < deadline, "nothing answers on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until the program can do its work: its tables are made.
pub fn wait_until_ready(port: u16) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !request(port, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200) {
        ensure!(Instant::now() < deadline, "what listens on port {port} is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Server-sent events, as an open page hears them.
pub struct EventStream {
    lines: BufReader<TcpStream>,
}

impl EventStream {
    pub fn open(port: u16, path: &str) -> Result<EventStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        )?;
        Ok(EventStream { lines: BufReader::new(stream) })
    }

    /// The next event of any name: the name and its data.
    pub fn next_event(&mut self) -> Result<(String, String)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            ensure!(self.lines.read_line(&mut line)? > 0, "the stream ended");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Ok((name, data.trim_end().to_owned()));
            }
        }
    }

    /// The data of the next event of this name.
    pub fn next(&mut self, name: &str) -> Result<String> {
        let mut is_next = false;
        loop {
            let mut line = String::new();
            ensure!(self.lines.read_line(&mut line)? > 0, "the stream ended");
            if let Some(event) = line.strip_prefix("event: ") {
                is_next = event.trim_end() == name;
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_next) {
                return Ok(data.trim_end().to_owned());
            }
        }
    }
}
