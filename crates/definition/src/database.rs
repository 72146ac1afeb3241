//! `database:`, the PostgreSQL that holds the tables, the rejects and the position.

mod tls;
mod url;

use std::time::Duration;

pub use tls::{SslMode, Tls};

use super::keys::{Key, Keys, Presence, Value, hours, milliseconds};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem, Span};

/// How to reach the database, and how patient to be with it.
#[derive(Clone, Default, PartialEq)]
pub struct Database {
    /// A connection URL, without what stands in other fields here; when it is set the five fields
    /// below are not looked at.
    pub url: Option<String>,
    pub host: String,
    pub port: u16,
    pub name: String,
    pub user: String,
    pub password: String,
    pub tls: Tls,
    /// Stands in the `application_name` of every connection, behind what duto says itself.
    pub application_name: Option<String>,
    /// The most connections that a process opens, all its parts together.
    pub max_connections: usize,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
    /// How often a batch or a connection is tried again before the worker stops with a non-zero
    /// exit; None never gives up.
    pub max_retries: Option<u32>,
    /// The first pause between retries; it doubles up to `retry_backoff_max`.
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    /// Ranges of the ledger are kept so long, and the last one of each partition for ever.
    pub keep_ledger: Duration,
    /// Answers of requests are kept so long: longer than any caller may be away.
    pub keep_answers: Duration,
}

impl std::fmt::Debug for Database {
    /// Without the password and the URL, which may hold one: secrets are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "database",
        about: "the PostgreSQL that holds the tables, the rejects and the position",
        presence: Presence::Required,
        value: Value::Keys(&KEYS),
    },
    read,
};

/// A setting with a default and a range.
const fn timeout(name: &'static str, default: &'static str, about: &'static str) -> Key {
    let value = Value::Duration { minimum: milliseconds(1), maximum: hours(24) };
    Key { name, about, presence: Presence::Default(default), value }
}

/// One that loads, and two for everything else.
const LEAST_CONNECTIONS: i64 = 1 + CONNECTIONS_BESIDE_WORKERS as i64;
/// The connections that a process needs beside those that load: two fill a rollup.
pub const CONNECTIONS_BESIDE_WORKERS: usize = 2;

static KEYS: Keys = Keys {
    of: "database",
    keys: &[
        Key {
            name: "url",
            about: "a connection URL, postgresql://user:password@host:port/name, with libpq's \
                parameters; when it is set, host, port, name, user and password are not looked at",
            presence: Presence::Optional,
            value: Value::Secret,
        },
        Key {
            name: "host",
            about: "the server's name or address",
            presence: Presence::Default("localhost"),
            value: Value::Text,
        },
        Key {
            name: "port",
            about: "the server's port",
            presence: Presence::Default("5432"),
            value: Value::Integer { minimum: 1, maximum: 65_535 },
        },
        Key {
            name: "name",
            about: "the database's name; each pipeline has its own database",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "user",
            about: "the role that connects",
            presence: Presence::Default("postgres"),
            value: Value::Text,
        },
        Key {
            name: "password",
            about: "the role's password",
            presence: Presence::Default(""),
            value: Value::Secret,
        },
        Key {
            name: "sslmode",
            about: "whether the connection is encrypted and the server's certificate is verified, \
                as libpq has it",
            presence: Presence::Default("prefer"),
            value: Value::Word(tls::MODES),
        },
        Key {
            name: "sslrootcert",
            about: "the file of the authority's certificate, in PEM; without it verify-ca and \
                verify-full believe the system's authorities",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "sslcert",
            about: "the file of a certificate of our own, in PEM, by which the server knows us",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "sslkey",
            about: "the file of its key, in PEM, which nobody but its owner may read",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "application_name",
            about: "stands behind duto's own words in the application_name of its connections",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "max_connections",
            about: "the most connections that a process opens, all its parts together",
            presence: Presence::Default("10"),
            value: Value::Integer { minimum: LEAST_CONNECTIONS, maximum: 1000 },
        },
        timeout("connect_timeout", "10s", "how long a connection may take to stand"),
        timeout("statement_timeout", "60s", "how long one statement may take"),
        timeout("lock_timeout", "10s", "how long a statement may wait for a lock"),
        Key {
            name: "retries",
            about: "how often a batch or a connection is tried again before the worker stops with \
                a non-zero exit; forever never gives up",
            presence: Presence::Default("5"),
            value: Value::IntegerOr { minimum: 0, maximum: 1_000_000, word: "forever" },
        },
        timeout(
            "retry_backoff",
            "200ms",
            "the first pause between retries; it doubles up to retry_backoff_max",
        ),
        timeout("retry_backoff_max", "30s", "the longest pause between retries"),
        Key {
            name: "keep_ledger",
            about: "how long the ledger of loads is kept; the last one of each partition stays for \
                ever",
            presence: Presence::Default("90d"),
            value: Value::Duration { minimum: hours(1), maximum: hours(24 * 36_500) },
        },
        Key {
            name: "keep_answers",
            about: "how long the answers of requests that wait for the store are kept: longer than \
                any caller may be away",
            presence: Presence::Default("30d"),
            value: Value::Duration { minimum: hours(1), maximum: hours(24 * 36_500) },
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("database") else { return };
    let place = file.entry("database").map(|entry| entry.key_span).unwrap_or_default();
    let mut database = Database {
        url: fields.text("url"),
        host: fields.text("host").unwrap_or_default(),
        port: fields.integer("port").unwrap_or_default(),
        name: fields.text("name").unwrap_or_default(),
        user: fields.text("user").unwrap_or_default(),
        password: fields.text("password").unwrap_or_default(),
        tls: Tls {
            mode: fields.word("sslmode").and_then(SslMode::of).unwrap_or_default(),
            root_certificate: fields.text("sslrootcert"),
            certificate: fields.text("sslcert"),
            key: fields.text("sslkey"),
        },
        application_name: fields.text("application_name"),
        max_connections: fields.integer("max_connections").unwrap_or_default(),
        connect_timeout: fields.duration("connect_timeout").unwrap_or_default(),
        statement_timeout: fields.duration("statement_timeout").unwrap_or_default(),
        lock_timeout: fields.duration("lock_timeout").unwrap_or_default(),
        max_retries: fields.integer_or_word("retries").flatten(),
        retry_backoff: fields.duration("retry_backoff").unwrap_or_default(),
        retry_backoff_max: fields.duration("retry_backoff_max").unwrap_or_default(),
        keep_ledger: fields.duration("keep_ledger").unwrap_or_default(),
        keep_answers: fields.duration("keep_answers").unwrap_or_default(),
    };
    take_parameters(&fields, &mut database, place);
    tls::check(&fields, &mut database.tls, place);
    check(&fields, &database, place);
    pipeline.database = database;
}

/// What the URL says of TLS and the session becomes what the keys say of it; both at once must
/// agree.
fn take_parameters(fields: &Fields<'_, '_>, database: &mut Database, place: Span) {
    let Some(written) = &database.url else { return };
    let (walk, span) = (fields.walk(), fields.span("url").unwrap_or(place));
    let parts = match url::take_parameters(written) {
        Ok(parts) => parts,
        Err(faults) => {
            for fault in faults {
                walk.report(
                    Problem::new("database.url.parameter", span, fault.message).help(fault.help),
                );
            }
            return;
        }
    };
    for (name, value) in parts.taken {
        let is_good = match name.as_str() {
            "sslmode" => settle(fields, "sslmode", &mut database.tls.mode, SslMode::of(&value)),
            "sslrootcert" => settle(
                fields,
                "sslrootcert",
                &mut database.tls.root_certificate,
                Some(Some(value.clone())),
            ),
            "sslcert" => {
                settle(fields, "sslcert", &mut database.tls.certificate, Some(Some(value.clone())))
            }
            "sslkey" => settle(fields, "sslkey", &mut database.tls.key, Some(Some(value.clone()))),
            "application_name" => settle(
                fields,
                "application_name",
                &mut database.application_name,
                Some(Some(value.clone())),
            ),
            "connect_timeout" => {
                let seconds = value
                    .parse()
                    .ok()
                    .filter(|seconds| (1..=86_400).contains(seconds))
                    .map(Duration::from_secs);
                settle(fields, "connect_timeout", &mut database.connect_timeout, seconds)
            }
            // A pooler is recognised by what it answers.
            _ => Settlement::Good,
        };
        let problem = match is_good {
            Settlement::Good => continue,
            Settlement::NoValue => {
                let known = if name == "sslmode" {
                    tls::MODES.join(", ")
                } else {
                    "1 to 86400 seconds".to_owned()
                };
                Problem::new(
                    "database.url.parameter",
                    span,
                    format!("{name}={value} of database.url is no value of it"),
                )
                .help(known)
            }
            Settlement::Contradiction => {
                let message = format!(
                    "database.url says {name}={value}, and database.{name} says something else"
                );
                Problem::new("database.url.contradiction", span, message).help("keep one of them")
            }
        };
        walk.report(problem);
    }
    database.url = Some(parts.url);
}

enum Settlement {
    Good,
    NoValue,
    Contradiction,
}

/// Takes the URL's value, unless the key of this name says another one.
fn settle<T: PartialEq>(
    fields: &Fields<'_, '_>,
    key: &str,
    known: &mut T,
    value: Option<T>,
) -> Settlement {
    match value {
        None => Settlement::NoValue,
        Some(value) if fields.value(key).is_some() && *known != value => Settlement::Contradiction,
        Some(value) => {
            *known = value;
            Settlement::Good
        }
    }
}

fn check(fields: &Fields<'_, '_>, database: &Database, place: Span) {
    let walk = fields.walk();
    if let (Some(url), Some(span)) = (&database.url, fields.span("url"))
        && !url.starts_with("postgres://")
        && !url.starts_with("postgresql://")
    {
        let problem =
            Problem::new("database.url.invalid", span, "database.url is not a PostgreSQL URL");
        walk.report(problem.help("postgresql://user:password@host:port/name"));
    }
    // A name or URL that could not be read is reported already.
    if fields.value("url").is_none() && fields.value("name").is_none() {
        let problem = Problem::new("file.key.missing", place, "database has no name");
        walk.report(problem.help("name: the database's name; or url, which says all in one"));
    }
    if database.retry_backoff > database.retry_backoff_max
        && let (Some(_), Some(span)) = (
            fields.duration("retry_backoff_max"),
            fields.span("retry_backoff").or(fields.span("retry_backoff_max")),
        )
    {
        walk.report(Problem::new(
            "database.backoff.order",
            span,
            "database.retry_backoff is more than database.retry_backoff_max",
        ));
    }
}
