//! How brokers and duto know each other. What librdkafka would leave out without a word is a
//! problem here, because the connection would be less secure than the file says.

use crate::suggest::did_you_mean_or_list;
use crate::walk::Walk;
use crate::yaml::{Content, Entry};
use crate::{Problem, Span};

const PROTOCOL: &str = "security.protocol";
const PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
/// What this program is built with; all of them have a user and a password.
const MECHANISMS: &[&str] = &["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

/// The settings of TLS whose names do not begin as the others do.
const VERIFICATION: &str = "enable.ssl.certificate.verification";

/// Names of Kafka's own client, which is written in Java, and what to write instead.
const OF_JAVA: &[(&str, &str)] = &[
    ("sasl.jaas.config", "write sasl.mechanism, sasl.username and sasl.password"),
    (
        "ssl.truststore.",
        "write ssl.ca.location, a file of the authorities in PEM; keytool -exportcert -rfc makes \
            one of a truststore",
    ),
    (
        "ssl.keystore.type",
        "take the line away: ssl.keystore.location is read as PKCS#12, and PEM files are \
            ssl.certificate.location and ssl.key.location",
    ),
    (
        "ssl.keystore.certificate.chain",
        "write ssl.certificate.pem, or the file's name as ssl.certificate.location",
    ),
    ("ssl.keystore.key", "write ssl.key.pem, or the file's name as ssl.key.location"),
    ("ssl.protocol", "take the line away: TLS 1.2 and 1.3 are spoken"),
    ("ssl.enabled.protocols", "take the line away: TLS 1.2 and 1.3 are spoken"),
    (
        "sasl.client.callback.handler.class",
        "take the line away: the mechanisms are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
    ),
    (
        "sasl.login.",
        "take the line away: the mechanisms are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
    ),
];

/// Settings that go together, two and two.
const PAIRS: &[(&str, &str)] =
    &[("ssl.certificate.location", "ssl.key.location"), ("ssl.certificate.pem", "ssl.key.pem")];

/// What is set, as far as it can be read.
struct Settings<'n, 'w> {
    walk: &'w Walk<'w>,
    entries: &'n [Entry],
}

pub(super) fn check(walk: &Walk<'_>, entries: &[Entry]) {
    let settings = Settings { walk, entries };
    if settings.are_of_java() {
        return;
    }
    let Some(protocol) = settings.protocol() else { return };
    let (has_tls, has_sasl) = (protocol.ends_with("SSL"), protocol.starts_with("SASL"));
    settings.look_at_tls(&protocol, has_tls, has_sasl);
    settings.look_at_sasl(&protocol, has_tls, has_sasl);
}

impl<'n> Settings<'n, '_> {
    /// Those that have a value.
    fn set(&self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        self.entries.iter().filter(|entry| !entry.value.is_unset())
    }

    fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.set().find(|entry| entry.key == name)
    }

    /// A value; None where there is none, or where it is broken, which was told.
    fn value(&self, name: &str) -> Option<&'n str> {
        match &self.entry(name)?.value.content {
            Content::Scalar(scalar) if !scalar.broken => Some(&scalar.value.text),
            _ => None,
        }
    }

    fn report(&self, code: &'static str, place: Span, message: String, help: String) {
        self.walk.report(Problem::new(code, place, message).help(help));
    }

    fn are_of_java(&self) -> bool {
        let mut found = false;
        for entry in self.set() {
            let known = |(name, _): &&(&str, &str)| match name.strip_suffix('.') {
                Some(_) => entry.key.starts_with(name),
                None => entry.key == *name,
            };
            if let Some((_, instead)) = OF_JAVA.iter().find(known) {
                found = true;
                let message =
                    format!("{} is a setting of Kafka's Java client, not of librdkafka", entry.key);
                self.report("source.kafka.java", entry.key_span, message, (*instead).to_owned());
            }
        }
        found
    }

    /// In capital letters; PLAINTEXT where nothing is set, as librdkafka has it. None where it is
    /// wrong.
    fn protocol(&self) -> Option<String> {
        let Some(entry) = self.entry(PROTOCOL) else { return Some("PLAINTEXT".to_owned()) };
        let written = self.value(PROTOCOL)?.to_ascii_uppercase();
        if PROTOCOLS.contains(&written.as_str()) {
            return Some(written);
        }
        let message = format!("{} is no {PROTOCOL}", self.walk.quote(entry.value.span));
        let help = did_you_mean_or_list(&written, "they are", PROTOCOLS.iter().copied());
        self.report("source.kafka.protocol", entry.value.span, message, help);
        None
    }

    fn look_at_tls(&self, protocol: &str, has_tls: bool, has_sasl: bool) {
        let is_of_tls = |entry: &&Entry| entry.key.starts_with("ssl.") || entry.key == VERIFICATION;
        if !has_tls {
            let instead = if has_sasl || self.set().any(is_of_sasl) { "SASL_SSL" } else { "SSL" };
            for entry in self.set().filter(is_of_tls) {
                let message = format!("{} is not looked at with {PROTOCOL}: {protocol}", entry.key);
                let help = format!(
                    "write {PROTOCOL}: {instead}, or take the line away: nothing is encrypted"
                );
                self.report("source.kafka.tls", entry.key_span, message, help);
            }
            return;
        }
        for (one, other) in PAIRS.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            if let (Some(entry), None) = (self.entry(one), self.entry(other)) {
                let message = format!("{one} needs {other} beside it");
                let help = "a certificate and its key go together, both in PEM".to_owned();
                self.report("source.kafka.tls", entry.key_span, message, help);
            }
        }
        let is_off = self.value(VERIFICATION).is_some_and(|value| {
            ["false", "f", "0"].contains(&value.to_ascii_lowercase().as_str())
        });
        let authority =
            ["ssl.ca.location", "ssl.ca.pem"].into_iter().find_map(|name| self.entry(name));
        if let Some(authority) = authority.filter(|_| is_off) {
            let message = format!("{} is not looked at with {VERIFICATION}: false", authority.key);
            let help = format!("take {VERIFICATION} away: with it anybody can be the broker");
            self.report("source.kafka.tls", authority.key_span, message, help);
        }
    }

    fn look_at_sasl(&self, protocol: &str, has_tls: bool, has_sasl: bool) {
        if !has_sasl {
            let instead = if has_tls {
                "SASL_SSL"
            } else {
                "SASL_SSL, or SASL_PLAINTEXT where the network is trusted"
            };
            for entry in self.set().filter(|entry| is_of_sasl(entry)) {
                let message = format!("{} is not looked at with {PROTOCOL}: {protocol}", entry.key);
                let help =
                    format!("write {PROTOCOL}: {instead}, or take the line away: nobody logs in");
                self.report("source.kafka.sasl", entry.key_span, message, help);
            }
            return;
        }
        let place = self.entry(PROTOCOL).map(|entry| entry.value.span).unwrap_or_default();
        let (one, other) = (self.entry("sasl.mechanism"), self.entry("sasl.mechanisms"));
        if let (Some(_), Some(other)) = (one, other) {
            let message = "sasl.mechanisms is another name of sasl.mechanism".to_owned();
            let help = "take one of the two away".to_owned();
            return self.report("source.kafka.sasl", other.key_span, message, help);
        }
        match one.or(other) {
            None => {
                let message = format!("{PROTOCOL}: {protocol} needs sasl.mechanism beside it");
                let help = format!("for example sasl.mechanism: {}", MECHANISMS[0]);
                return self.report("source.kafka.sasl", place, message, help);
            }
            Some(entry) => {
                let Some(written) = self.value(&entry.key) else { return };
                if !MECHANISMS.contains(&written) {
                    let message = format!(
                        "{} is no {} that duto knows",
                        self.walk.quote(entry.value.span),
                        entry.key
                    );
                    let help =
                        did_you_mean_or_list(written, "they are", MECHANISMS.iter().copied());
                    return self.report("source.kafka.sasl", entry.value.span, message, help);
                }
            }
        }
        for (name, example) in
            [("sasl.username", "${KAFKA_USERNAME}"), ("sasl.password", "${KAFKA_PASSWORD}")]
        {
            if self.entry(name).is_none() {
                let empty = self.entries.iter().find(|entry| entry.key == name);
                let message = match empty {
                    Some(_) => format!("{name} is empty, and {PROTOCOL}: {protocol} needs it"),
                    None => format!("{PROTOCOL}: {protocol} needs {name} beside it"),
                };
                let place = empty.map_or(place, |entry| entry.key_span);
                self.report("source.kafka.sasl", place, message, format!("{name}: \"{example}\""));
            }
        }
    }
}

fn is_of_sasl(entry: &Entry) -> bool {
    entry.key.starts_with("sasl.")
}
