//! A receiver of calls: a small HTTP server that answers as it is told, and remembers what it was
//! sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: Instant,
    pub idempotency_key: String,
    pub authorization: String,
    pub body: String,
    /// What it was answered.
    pub status: u16,
}

/// Decides the status of a request, by its body.
pub type Decide = dyn Fn(&str) -> u16 + Send + Sync;

/// The server; it ends when it is dropped.
pub struct Receiver {
    pub port: u16,
    requests: Arc<Mutex<Vec<Received>>>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    pub fn start(decide: impl Fn(&str) -> u16 + Send + Sync + 'static) -> Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let decide: Arc<Decide> = Arc::new(decide);
        std::thread::spawn({
            let (requests, stop) = (requests.clone(), stop.clone());
            move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (requests, decide) = (requests.clone(), decide.clone());
                    std::thread::spawn(move || answer_all(stream, &requests, decide.as_ref()));
                }
            }
        });
        Ok(Receiver { port, requests, stop })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything so far, in the order in which it came.
    pub fn received(&self) -> Vec<Received> {
        self.requests.lock().expect("no holder panics").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Until the caller closes the connection.
fn answer_all(stream: TcpStream, requests: &Mutex<Vec<Received>>, decide: &Decide) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream);
    while let Ok(mut received) = read_request(&mut lines) {
        received.status = decide(&received.body);
        let (status, body) = (received.status, "{}");
        requests.lock().expect("no holder panics").push(received);
        let head = format!(
            "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: \
                {}\r\n\r\n",
            body.len()
        );
        if answers.write_all((head + body).as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(lines: &mut BufReader<TcpStream>) -> Result<Received> {
    let mut received = Received {
        at: Instant::now(),
        idempotency_key: String::new(),
        authorization: String::new(),
        body: String::new(),
        status: 0,
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        anyhow::ensure!(lines.read_line(&mut line)? > 0, "the connection ended");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => received.idempotency_key = value.to_owned(),
            "authorization" => received.authorization = value.to_owned(),
            "content-length" => length = value.parse().context("a length")?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    received.body = String::from_utf8(body)?;
    received.at = Instant::now();
    Ok(received)
}
