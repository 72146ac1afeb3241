//! A proxy that ends streams of events soon, so that tools which wait for the end of an answer can
//! ask for them too.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How much of a stream is seen.
const STREAM_LASTS: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(30);

/// Forwards to this port of this host, a request a connection; returns its own port. It ends with
/// the process.
pub fn start(port: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let own = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            std::thread::spawn(move || drop(forward(caller, port)));
        }
    });
    Ok(own)
}

/// In HTTP/1.0, whose answers end with their connection, so that a cut one is whole.
fn forward(mut caller: TcpStream, port: u16) -> std::io::Result<()> {
    caller.set_read_timeout(Some(PATIENCE))?;
    let (head, mut body) = read_head(&mut caller)?;
    let length = content_length(&head);
    let mut piece = [0; 16 * 1024];
    while body.len() < length {
        let read = caller.read(&mut piece)?;
        if read == 0 {
            break;
        }
        body.extend_from_slice(&piece[..read]);
    }
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.set_read_timeout(Some(Duration::from_millis(50)))?;
    server.write_all(&in_http_1_0(&head))?;
    server.write_all(&body)?;
    let (began, mut seen, mut is_stream) = (Instant::now(), Vec::new(), false);
    let mut cut_at = began + PATIENCE;
    while Instant::now() < cut_at {
        match server.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                if !is_stream && seen.len() < 4096 {
                    seen.extend_from_slice(&piece[..read]);
                    is_stream = seen.windows(17).any(|window| window == b"text/event-stream");
                    if is_stream {
                        cut_at = Instant::now() + STREAM_LASTS;
                    }
                }
                caller.write_all(&piece[..read])?;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
    }
    caller.shutdown(Shutdown::Both)
}

/// The head with its empty line, and what came of the body with it.
fn read_head(caller: &mut TcpStream) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut read, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return Ok((read, body));
        }
        match caller.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => read.extend_from_slice(&piece[..count]),
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let line =
        text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    line.unwrap_or(0)
}

fn in_http_1_0(head: &[u8]) -> Vec<u8> {
    let lines = head.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.to_ascii_lowercase().starts_with(b"connection:"))
        .flat_map(|(number, line)| match line.strip_suffix(b"HTTP/1.1\r\n") {
            Some(rest) if number == 0 => [rest, b"HTTP/1.0\r\n"].concat(),
            _ => line.to_vec(),
        })
        .collect()
}
