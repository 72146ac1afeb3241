//! One connection through the proxy: two pumps that share a fate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use super::Protocol;
use super::control::{Control, Direction};
use super::postgres_wire::{Follower, Handshake};
use super::pump::Pump;
use super::statements::Statements;

/// What the two directions of a connection share.
#[derive(Debug, Default)]
pub struct Link {
    pub handshake: Handshake,
    pub statements: Statements,
    /// Nothing flows before the proxy's count of releases is as high as this.
    pub held_until_release: AtomicU64,
}

/// Forwards both ways until both sides have ended, one is reset, or the proxy is told to reset.
pub async fn serve(
    client: TcpStream,
    target: SocketAddr,
    protocol: Protocol,
    control: Arc<Control>,
) {
    let mut faults = control.faults.subscribe();
    let (is_refused, resets_before) = {
        let now = faults.borrow_and_update();
        (now.refuse, now.resets)
    };
    if is_refused {
        control.counted.refused.fetch_add(1, Ordering::Relaxed);
        return reset(&client);
    }
    control.counted.accepted.fetch_add(1, Ordering::Relaxed);
    let mut streams = Streams { client, server: None };
    let outcome = tokio::select! {
        _ = faults.wait_for(|faults| faults.resets > resets_before) => Err(io::ErrorKind::ConnectionReset.into()),
        outcome = streams.forward(target, protocol, &control) => outcome,
    };
    if outcome.is_err() {
        streams.reset();
        control.counted.reset.fetch_add(1, Ordering::Relaxed);
    }
}

struct Streams {
    client: TcpStream,
    server: Option<TcpStream>,
}

impl Streams {
    /// Ok when both sides have ended in good order.
    async fn forward(
        &mut self,
        target: SocketAddr,
        protocol: Protocol,
        control: &Control,
    ) -> io::Result<()> {
        let server = self.server.insert(TcpStream::connect(target).await?);
        self.client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let link = Link::default();
        let (from_client, to_client) = self.client.split();
        let (from_server, to_server) = server.split();
        let follow = |follower| (protocol == Protocol::Postgres).then_some(follower);
        let mut requests = Pump::new(
            Direction::ToServer,
            to_server,
            control,
            &link,
            follow(Follower::of_client()),
        );
        let mut answers = Pump::new(
            Direction::ToClient,
            to_client,
            control,
            &link,
            follow(Follower::of_server()),
        );
        tokio::try_join!(requests.run(from_client), answers.run(from_server)).map(|_| ())
    }

    fn reset(&self) {
        reset(&self.client);
        if let Some(server) = &self.server {
            reset(server);
        }
    }
}

/// Has the socket answer RST when it is dropped, rather than an orderly end. One that is gone
/// already needs nothing.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
