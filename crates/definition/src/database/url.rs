//! Parameters of a connection URL, as libpq has them
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>): each works,
//! or is refused by its name with what to write instead.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A URL without the parameters that are not for the client, and these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub url: String,
    /// Names and decoded values.
    pub taken: Vec<(String, String)>,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    pub help: String,
}

/// Those that the client reads by itself.
const OF_CLIENT: [&str; 15] = [
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "tcp_user_timeout",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
];
/// Those that become settings of `database`.
const TAKEN: [&str; 7] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "connect_timeout",
    "pgbouncer",
];

/// Those that are not for a loader, and what to do instead.
const INSTEAD: [(&str, &str); 24] = [
    ("connection_limit", "write `max_connections` beside the URL"),
    ("pool_size", "write `max_connections` beside the URL"),
    ("pool_timeout", "write `connect_timeout` beside the URL"),
    ("socket_timeout", "write `statement_timeout` beside the URL"),
    ("statement_cache_size", "leave it out: statements are prepared as they are needed"),
    ("schema", "write options=-c%20search_path%3DNAME, or ALTER ROLE ... SET search_path"),
    (
        "sslaccept",
        "write sslmode=verify-full, or sslmode=require for a certificate that nobody vouches for",
    ),
    (
        "sslcrl",
        "revocation lists are not read: leave it out where the authority's certificates live short",
    ),
    (
        "sslcrldir",
        "revocation lists are not read: leave it out where the authority's certificates live short",
    ),
    ("sslpassword", "give the key without a password, in a file that only its owner may read"),
    ("sslsni", "leave it out: the server's name is always sent"),
    ("sslcertmode", "leave it out: a certificate is sent where sslcert names one"),
    ("ssl_min_protocol_version", "leave it out: TLS 1.2 is the least"),
    ("ssl_max_protocol_version", "leave it out: the newest that both sides know is taken"),
    ("require_auth", "leave it out, and let pg_hba.conf of the server ask for scram-sha-256"),
    ("requirepeer", "leave it out, and use TLS with sslmode=verify-full"),
    ("krbsrvname", "GSSAPI is not supported: use a password or a client certificate"),
    ("gsslib", "GSSAPI is not supported: use a password or a client certificate"),
    ("gssdelegation", "GSSAPI is not supported: use a password or a client certificate"),
    ("service", "write what the service file says: host, port, database and role"),
    ("passfile", "write `password: ${PGPASSWORD}`, or the password into the URL"),
    ("replication", "leave it out: replication is not used"),
    ("keepalives_count", "write keepalives_retries"),
    ("sslcompression", "leave it out: TLS is not compressed"),
];

/// Takes the parameters out of a URL.
pub(super) fn take_parameters(url: &str) -> Result<Parts, Vec<Fault>> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok(Parts { url: url.to_owned(), taken: Vec::new() });
    };
    let (mut taken, mut rest, mut faults) =
        (Vec::<(String, String)>::new(), Vec::new(), Vec::new());
    let mut seen: Vec<&str> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, written) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decoded(written);
        if seen.contains(&name) {
            faults.push(fault(format!("{name} stands twice in database.url"), "keep one of them"));
            continue;
        }
        seen.push(name);
        match judge(name, &value) {
            Judged::Client => rest.push(parameter.to_owned()),
            Judged::ClientAs(written) => rest.push(written),
            Judged::Taken(name, value) => taken.push((name.to_owned(), value)),
            Judged::Nothing => {}
            Judged::Refused(found) => faults.push(found),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok(Parts { url, taken })
}

enum Judged {
    Client,
    /// The same in the client's words.
    ClientAs(String),
    Taken(&'static str, String),
    /// It asks for what is so anyway.
    Nothing,
    Refused(Fault),
}

fn judge(name: &str, value: &str) -> Judged {
    let refused = |help: &str| {
        Judged::Refused(fault(format!("{name}={value} of database.url is not supported"), help))
    };
    match (name, value) {
        // JDBC's word, which libpq takes too.
        ("ssl", "true") => Judged::Taken("sslmode", "require".to_owned()),
        ("gssencmode", "disable" | "prefer") | ("sslcompression", "0") => Judged::Nothing,
        ("gssencmode", _) => refused("GSSAPI is not supported: encrypt with sslmode=verify-full"),
        ("client_encoding", "UTF8" | "utf8" | "UTF-8" | "utf-8" | "auto") => Judged::Nothing,
        ("client_encoding", _) => {
            refused("leave it out: texts travel as UTF-8, the database may have another encoding")
        }
        ("target_session_attrs", "primary" | "read-write") => {
            Judged::ClientAs("target_session_attrs=read-write".to_owned())
        }
        ("target_session_attrs", "any") => Judged::Client,
        ("target_session_attrs", _) => refused("a loader writes: read-write, primary or any"),
        ("fallback_application_name", _) => Judged::Taken("application_name", value.to_owned()),
        _ if OF_CLIENT.contains(&name) => Judged::Client,
        _ => match TAKEN.iter().find(|known| **known == name) {
            Some(known) => Judged::Taken(known, value.to_owned()),
            None => match INSTEAD.iter().find(|(known, _)| *known == name) {
                Some((_, instead)) => Judged::Refused(fault(
                    format!("{name} of database.url is not supported"),
                    *instead,
                )),
                None => Judged::Refused(unknown(name)),
            },
        },
    }
}

fn unknown(name: &str) -> Fault {
    let known = OF_CLIENT.into_iter().chain(TAKEN).chain(["target_session_attrs"]);
    let help = crate::suggest::did_you_mean(name, known.clone())
        .unwrap_or_else(|| format!("the parameters are {}", known.collect::<Vec<_>>().join(", ")));
    fault(format!("database.url has an unknown parameter {name}"), help)
}

/// Percent-encoded bytes as what they stand for; what is no UTF-8 then stays as it was written.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

fn fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { message: message.into(), help: help.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_the_client_is_taken_out() {
        let parts = take_parameters(
            "postgresql://me@a:5432,b/shop?sslmode=verify-full&options=-c%20geqo%3Doff&sslrootcert=%2Fetc%2Fca.pem&gssencmode=disable\
             &target_session_attrs=primary",
        );
        let parts = parts.expect("all of it is known");
        assert_eq!(
            parts.url,
            "postgresql://me@a:5432,b/shop?options=-c%20geqo%3Doff&target_session_attrs=read-write"
        );
        let taken: Vec<(&str, &str)> =
            parts.taken.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(taken, [("sslmode", "verify-full"), ("sslrootcert", "/etc/ca.pem")]);
        assert_eq!(
            take_parameters("postgresql://db/shop").map(|parts| parts.url),
            Ok("postgresql://db/shop".to_owned())
        );
        assert_eq!(
            take_parameters("postgresql://db/shop?ssl=true").map(|parts| parts.taken[0].1.clone()),
            Ok("require".to_owned())
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_by_its_name() {
        for (query, said) in [
            ("connection_limit=5", "connection_limit of database.url is not supported"),
            ("sslcrl=a", "sslcrl of database.url is not supported"),
            ("gssencmode=require", "gssencmode=require of database.url is not supported"),
            (
                "target_session_attrs=standby",
                "target_session_attrs=standby of database.url is not supported",
            ),
            ("sslmod=require", "database.url has an unknown parameter sslmod"),
            ("sslmode=require&sslmode=disable", "sslmode stands twice in database.url"),
        ] {
            let faults =
                take_parameters(&format!("postgresql://db/shop?{query}")).expect_err(query);
            assert_eq!(
                faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(),
                [said]
            );
            assert!(faults.iter().all(|fault| !fault.help.is_empty()));
        }
    }
}
