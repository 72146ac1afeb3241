//! A server that asks nobody who he is listens on this host alone, unless it is told otherwise.

use std::net::SocketAddr;

use anyhow::bail;

/// `--allow-anonymous` of the commands that serve.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ExposureArgs {
    /// Serve on an address of the network although nobody is asked who he is.
    #[arg(long, env = "DUTO_ALLOW_ANONYMOUS", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_anonymous: bool,
}

/// An error that says what to do, where an address of the network would be served to everybody.
pub fn require_guard(
    address: SocketAddr,
    is_guarded: bool,
    allow_anonymous: bool,
) -> anyhow::Result<()> {
    if is_guarded || allow_anonymous || address.ip().is_loopback() {
        return Ok(());
    }
    bail!(
        "{address} can be reached from the network, and nobody is asked who he is: write `auth:` \
            into the pipeline file, listen on 127.0.0.1, \
         or start with --allow-anonymous where the network is trusted"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_serves_everybody_by_accident() {
        let on_network: SocketAddr = "0.0.0.0:8080".parse().expect("an address");
        let on_host: SocketAddr = "127.0.0.1:8080".parse().expect("an address");
        assert!(require_guard(on_host, false, false).is_ok());
        assert!(require_guard(on_network, true, false).is_ok());
        assert!(require_guard(on_network, false, true).is_ok());
        let told = require_guard(on_network, false, false).expect_err("it is refused").to_string();
        assert!(told.contains("--allow-anonymous"), "{told}");
    }
}
