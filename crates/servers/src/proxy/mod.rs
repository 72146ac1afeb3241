//! A TCP proxy that makes faults: what stands between two processes fails on command, without
//! privileges of the kernel's.
//!
//! It runs on a thread of its own, so that tests with and without an async runtime use it alike.

mod connection;
mod control;
mod postgres_wire;
mod pump;
mod statements;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use control::{Action, Counters, Direction, Point, ProxyHandle, Trap};

use control::Control;

/// What flows through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes; traps never spring.
    Opaque,
    /// PostgreSQL's wire protocol, whose messages traps look at. A connection that turns to TLS is
    /// opaque from there on.
    Postgres,
}

/// A proxy to one target. Ends with this value, resetting its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    shutdown: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of this host and forwards to `target`, which need not be there yet.
    pub fn start(target: SocketAddr, protocol: Protocol) -> Result<Proxy> {
        Proxy::start_on(crate::free_port()?, target, protocol)
    }

    /// The same on a port that is known before, see [`crate::KafkaSettings::proxy_port`].
    pub fn start_on(port: u16, target: SocketAddr, protocol: Protocol) -> Result<Proxy> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot listen on port {port}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let control = Arc::new(Control::new());
        let (shutdown, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&control);
        let serve = move || runtime.block_on(accept(listener, target, protocol, shared, stopped));
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(serve)?;
        Ok(Proxy { address, control, shutdown, thread: Some(thread) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The switchboard; it may be cloned and used from any thread, at any time.
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle::new(Arc::clone(&self.control))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.reset_all();
        let _ = self.shutdown.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    target: SocketAddr,
    protocol: Protocol,
    control: Arc<Control>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(problem) => return tracing::error!("the proxy cannot listen: {problem}"),
    };
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    tokio::spawn(connection::serve(client, target, protocol, Arc::clone(&control)));
                }
                Err(problem) => {
                    // Out of file descriptors, for example: the next one may succeed.
                    tracing::warn!("the proxy cannot accept: {problem}");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
        }
    }
}
