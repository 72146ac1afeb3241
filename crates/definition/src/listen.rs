//! `listen:`, the address of the HTTP server.

use serde_json::json;

use super::keys::{Key, Presence, Value};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "listen",
        about: "the address and port that the HTTP server binds unless --listen says otherwise, \
            such as 127.0.0.1:8081",
        presence: Presence::Optional,
        value: Value::Other(|| json!({ "type": "string", "pattern": ":[0-9]+$|\\$\\{" })),
    },
    read,
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    pipeline.listen = file.text("listen");
    let (Some(address), Some(node)) = (&pipeline.listen, file.value("listen")) else { return };
    if !is_address(address) {
        let message =
            format!("listen must be an address and a port, got {}", file.walk().quote(node.span));
        file.walk().report(
            Problem::new("listen.address.invalid", node.span, message)
                .help("for example 127.0.0.1:8081, or [::1]:8081"),
        );
    }
}

/// `host:port`; a host of several colons stands in brackets.
fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_good = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        }
    };
    host_is_good && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:8081", "0.0.0.0:0", "[::1]:80", "localhost:8081"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "8081",
            ":8081",
            "127.0.0.1",
            "127.0.0.1:99999",
            "::1:80",
            "http://localhost:80",
            "a b:80",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
