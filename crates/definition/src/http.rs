//! `http:`, how the HTTP server meets the network: TLS, other origins, limits.

use std::time::Duration;

pub use ipnet::IpNet;
use serde_json::json;

use super::keys::{Key, Keys, Presence, Value, milliseconds};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// Nothing of it has to be set: then the server speaks in clear text, to its own pages, without
/// limits of rate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// The files of certificate and key.
    pub tls: Option<(String, String)>,
    /// Pages of these origins may ask; empty means none but our own.
    pub origins: Vec<String>,
    pub limits: Limits,
}

/// What one caller may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of one caller at one route; None does not count them.
    pub rate: Option<u32>,
    /// So many at once.
    pub burst: u32,
    /// Those whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A request must have come, with its body, and be answered within this time; streams only
    /// begin within it.
    pub request_timeout: Duration,
    /// The head of a request must have come within this time.
    pub header_timeout: Duration,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "http",
        about: "how the HTTP server meets the network: TLS, pages of other origins, limits",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "http",
    keys: &[
        Key {
            name: "tls",
            about: "serve by TLS, HTTP/2 included",
            presence: Presence::Optional,
            value: Value::Keys(&TLS),
        },
        Key {
            name: "origins",
            about: "origins whose pages may ask (CORS), such as https://shop.example; empty means \
                none but our own",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "items": { "type": "string" } })),
        },
        Key {
            name: "limits",
            about: "what one caller may take",
            presence: Presence::Optional,
            value: Value::Keys(&LIMITS),
        },
    ],
    later: &[],
    note: "",
};

static TLS: Keys = Keys {
    of: "http.tls",
    keys: &[
        Key {
            name: "certificate",
            about: "the file of the certificate and those between it and the authority, in PEM; \
                read again when it changes",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "key",
            about: "the file of its key, in PEM",
            presence: Presence::Required,
            value: Value::Text,
        },
    ],
    later: &[],
    note: "",
};

static LIMITS: Keys = Keys {
    of: "http.limits",
    keys: &[
        Key {
            name: "rate",
            about: "requests a second that one caller, a key or an address, may send to one route; \
                beyond it 429 with Retry-After",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 1, maximum: 1_000_000 },
        },
        Key {
            name: "burst",
            about: "so many at once; without it twice the rate",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 1, maximum: 1_000_000 },
        },
        Key {
            name: "trusted_proxies",
            about: "addresses or networks of proxies whose X-Forwarded-For is believed, such as \
                10.0.0.0/8",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "items": { "type": "string" } })),
        },
        Key {
            name: "request_timeout",
            about: "how long a request may take from its head to its answer",
            presence: Presence::Default("60s"),
            value: Value::Duration {
                minimum: milliseconds(100),
                maximum: Duration::from_secs(3600),
            },
        },
        Key {
            name: "header_timeout",
            about: "how long the head of a request may take to come",
            presence: Presence::Default("10s"),
            value: Value::Duration {
                minimum: milliseconds(100),
                maximum: Duration::from_secs(600),
            },
        },
    ],
    later: &[],
    note: "",
};

const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for Limits {
    /// Where the file says nothing.
    fn default() -> Self {
        Self {
            rate: None,
            burst: 0,
            trusted_proxies: Vec::new(),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            header_timeout: DEFAULT_HEADER_TIMEOUT,
        }
    }
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("http") else { return };
    let tls = fields
        .value("tls")
        .and_then(|_| fields.section("tls"))
        .and_then(|tls| Some((tls.text("certificate")?, tls.text("key")?)));
    let origins = read_list(
        &fields,
        "origins",
        "http.origin",
        "an origin",
        "a scheme and a host, such as https://shop.example",
        origin,
    );
    let limits =
        fields.section("limits").map_or_else(Limits::default, |limits| read_limits(&limits));
    pipeline.http = Http { tls, origins, limits };
}

fn read_limits(limits: &Fields<'_, '_>) -> Limits {
    let rate: Option<u32> = limits.integer("rate");
    let network = |text: &str| {
        text.parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
    };
    if let (None, Some(span)) = (rate, limits.span("burst")) {
        let problem = Problem::new("http.limits", span, "burst means nothing without a rate");
        limits.walk().report(problem.help("write rate, the requests a second, beside it"));
    }
    Limits {
        rate,
        burst: limits
            .integer("burst")
            .unwrap_or_else(|| rate.unwrap_or_default().saturating_mul(2)),
        trusted_proxies: read_list(
            limits,
            "trusted_proxies",
            "http.proxy",
            "an address or a network",
            "for example 10.0.0.7 or 10.0.0.0/8",
            network,
        ),
        request_timeout: limits.duration("request_timeout").unwrap_or(DEFAULT_REQUEST_TIMEOUT),
        header_timeout: limits.duration("header_timeout").unwrap_or(DEFAULT_HEADER_TIMEOUT),
    }
}

/// Scheme and authority and nothing behind them, as a browser sends it.
fn origin(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let is_good = matches!(scheme, "http" | "https")
        && !authority.is_empty()
        && authority.bytes().all(is_plain);
    is_good.then(|| text.to_ascii_lowercase())
}

fn read_list<T>(
    fields: &Fields<'_, '_>,
    name: &'static str,
    code: &'static str,
    wanted: &str,
    help: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let walk = fields.walk();
    let items = fields
        .value(name)
        .and_then(|node| walk.list(&fields.named(name), node))
        .unwrap_or_default();
    let mut found = Vec::new();
    for item in items.iter().filter(|item| !item.is_unset()) {
        let Some(scalar) = walk.scalar(&fields.named(name), item) else { continue };
        match parse(&scalar.value.text) {
            Some(value) => found.push(value),
            None => walk.report(
                Problem::new(code, item.span, format!("{} is not {wanted}", walk.quote(item.span)))
                    .help(help),
            ),
        }
    }
    found
}
