//! Ports that nobody has.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below Linux's ephemeral ports (32768 and up): an outgoing connection of anybody cannot take the
/// port between two starts of a server.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_000;

/// Ports already handed out by this process: two servers that start at once must not get the same
/// one.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Default::default);

/// A TCP port on which nobody listens now, never given twice by this process. Another process may
/// still take it first: a server whose port is not prescribed tries again with another one.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = LAST_PORT - FIRST_PORT;
    // Processes begin at different places, so that two test runs rarely want the same port.
    let start = (std::process::id().wrapping_mul(2_654_435_761) >> 16) as u16;
    for step in 0..count {
        let port = FIRST_PORT + (start % count + step) % count;
        if !given.contains(&port) && is_free(port) {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free TCP port between {FIRST_PORT} and {LAST_PORT}")
}

/// Whether a server could bind the port on 127.0.0.1 and on all addresses.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_given_twice() {
        let ports: Vec<u16> = (0..20).map(|_| free_port().unwrap()).collect();
        let distinct: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
        assert!(ports.iter().all(|port| (FIRST_PORT..LAST_PORT).contains(port)));
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
