//! What to do about a broker that refuses us, or that we refuse.

use openssl::x509::X509;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

/// What OpenSSL found wrong with a certificate (`X509_V_ERR_...`).
const NOT_YET_VALID: i32 = 9;
const EXPIRED: i32 = 10;
const REVOKED: i32 = 23;
const OTHER_HOST: i32 = 62;
const OTHER_ADDRESS: i32 = 64;

/// A certificate that a broker showed and that is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// `broker` is its host and port, and the certificate is in DER.
    pub fn of(x509_error: i32, broker: &str, der: &[u8]) -> Fault {
        let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
        let certificate = X509::from_der(der).ok();
        let about = |read: fn(&X509) -> String| {
            certificate.as_ref().map(read).filter(|text| !text.is_empty())
        };
        Fault(match x509_error {
            EXPIRED => format!(
                "the certificate{} has expired{}: it has to be renewed on the broker",
                about(subject).map(|name| format!(" of {name}")).unwrap_or_default(),
                about(|own| own.not_after().to_string())
                    .map(|day| format!(" on {day}"))
                    .unwrap_or_default(),
            ),
            NOT_YET_VALID => {
                "the broker's certificate is not valid yet, or the clocks differ".into()
            }
            REVOKED => "the broker's certificate was revoked: it has to be renewed there".into(),
            OTHER_HOST | OTHER_ADDRESS => format!(
                "the certificate is for {}, not for {host}: name the broker as the certificate \
                    does, in bootstrap.servers and in the broker's advertised.listeners",
                about(names).unwrap_or_else(|| "another host".into()),
            ),
            _ => format!(
                "nobody whom we believe signed the certificate{}: ssl.ca.location has to name \
                    the authority that did",
                about(issuer).map(|name| format!(", {name} did")).unwrap_or_default(),
            ),
        })
    }
}

/// What librdkafka says, and what to do about it. It has no codes that are finer, so its texts are
/// looked at.
pub fn with_advice(code: Code, reason: &str, fault: Option<&Fault>) -> String {
    if let Some(Fault(fault)) = fault {
        // Its own guess is that the authority is missing, whatever is wrong.
        let known = reason.split(OWN_GUESS).next().unwrap_or(reason);
        return format!("{known}: {fault}");
    }
    let advices = match code {
        Code::RD_KAFKA_RESP_ERR__AUTHENTICATION => OF_SASL,
        Code::RD_KAFKA_RESP_ERR__SSL | Code::RD_KAFKA_RESP_ERR__TRANSPORT => OF_TLS,
        _ => &[],
    };
    let found = advices.iter().find(|(words, _)| reason.contains(words));
    match found.map(|(_, advice)| *advice).or_else(|| of_a_closed_connection(reason)) {
        Some(advice) => format!("{reason}: {advice}"),
        None => reason.to_owned(),
    }
}

/// A broker that was not spoken to as it wants closes the connection without a word: at the first
/// request where it speaks TLS, at the second one where somebody has to log in.
fn of_a_closed_connection(reason: &str) -> Option<&'static str> {
    let (_, at) = reason.split_once("closed by peer")?.1.split_once("(after ")?;
    let (ms, state) = at.split_once("ms in state ")?;
    let state: String = state.chars().take_while(|letter| !",)".contains(*letter)).collect();
    // One that was of use for a while was closed for another reason.
    let is_soon = ms.parse::<u64>().is_ok_and(|ms| ms < 2_000);
    let (by_tls, logs_in) =
        (reason.contains("ssl://"), reason.starts_with("sasl_") || reason.contains(" sasl_"));
    match state.as_str() {
        "APIVERSION_QUERY" if !by_tls => Some(SPEAKS_TLS),
        "UP" if is_soon && !logs_in => Some(WANTS_A_LOGIN),
        _ => None,
    }
}

const SPEAKS_TLS: &str = "does the broker speak TLS on this port? Then write security.protocol: \
    SSL, or SASL_SSL where it asks for a password";
const WANTS_A_LOGIN: &str = "the broker closed the connection where nobody had logged in: write \
    security.protocol: SASL_SSL with sasl.mechanism, sasl.username and sasl.password";

const OWN_GUESS: &str = ": broker certificate could not be verified";

/// Whether the certificate was looked at, and refused.
pub fn is_of_certificate(reason: &str) -> bool {
    reason.contains("certificate verify failed")
}

/// Whether waiting does not help, because somebody has to change a setting or a certificate.
pub fn is_refusal(code: Code, reason: &str) -> bool {
    matches!(code, Code::RD_KAFKA_RESP_ERR__SSL | Code::RD_KAFKA_RESP_ERR__AUTHENTICATION)
        || reason.contains(ALERT)
}

/// What a server sends that does not go on with a handshake, as OpenSSL names it.
const ALERT: &str = " alert ";

const OF_SASL: &[(&str, &str)] = &[
    (
        "SASL state",
        "this listener asks nobody to log in: write security.protocol: SSL, or name the port of \
            another listener in bootstrap.servers",
    ),
    (
        "supported mechanisms",
        "write one of these as sasl.mechanism, or let the broker's listener offer ours \
            (sasl.enabled.mechanisms)",
    ),
    (
        "",
        "sasl.username or sasl.password is wrong, or the broker does not know the user by this \
            mechanism (kafka-configs.sh --alter --entity-type users --add-config makes it known)",
    ),
];

/// Brokers say the same where none was shown and where one is not believed.
const WANTS_OUR_CERTIFICATE: &str = "the broker asks for a certificate of ours and got none that \
    it accepts: ssl.certificate.location and ssl.key.location have to name one that an authority \
    of its truststore signed";

const OF_TLS: &[(&str, &str)] = &[
    ("alert certificate required", WANTS_OUR_CERTIFICATE),
    ("alert bad certificate", WANTS_OUR_CERTIFICATE),
    (
        "alert certificate expired",
        "our own certificate has expired: that of ssl.certificate.location has to be renewed",
    ),
    ("alert certificate unknown", WANTS_OUR_CERTIFICATE),
    ("alert unknown ca", WANTS_OUR_CERTIFICATE),
    (
        "alert handshake failure",
        "the two sides have no version or cipher of TLS in common: ssl.cipher.suites, and \
            ssl.enabled.protocols of the broker",
    ),
    (
        "wrong version number",
        "the broker does not speak TLS on this port: write security.protocol: PLAINTEXT where \
            the network is trusted, or name the port of its TLS listener in bootstrap.servers",
    ),
    (
        "connecting to a PLAINTEXT broker listener?",
        "the broker closed the connection before TLS began: does this port speak it? \
            bootstrap.servers has to name the port of a TLS listener, or security.protocol has \
            to be PLAINTEXT where the network is trusted",
    ),
];

fn subject(certificate: &X509) -> String {
    common_name(certificate.subject_name())
}

fn issuer(certificate: &X509) -> String {
    common_name(certificate.issuer_name())
}

fn common_name(name: &openssl::x509::X509NameRef) -> String {
    let entries = name.entries_by_nid(openssl::nid::Nid::COMMONNAME);
    let texts = entries.filter_map(|entry| entry.data().to_string().ok());
    quoted(&texts.collect::<Vec<_>>().join(" "))
}

/// The hosts and addresses that a certificate is for.
fn names(certificate: &X509) -> String {
    let Some(names) = certificate.subject_alt_names() else { return subject(certificate) };
    let names = names.iter().filter_map(|name| {
        let address = |bytes: &[u8]| -> Option<String> {
            if let Ok(four) = <[u8; 4]>::try_from(bytes) {
                return Some(std::net::Ipv4Addr::from(four).to_string());
            }
            <[u8; 16]>::try_from(bytes).ok().map(|six| std::net::Ipv6Addr::from(six).to_string())
        };
        name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(address))
    });
    quoted(&names.take(5).collect::<Vec<_>>().join(", "))
}

/// A stranger wrote it: no line breaks, and no end.
fn quoted(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use duto_servers::TestAuthority;

    use super::*;

    #[test]
    fn a_certificate_that_is_refused_says_whose_it_is_and_until_when() {
        let authority = TestAuthority::create().expect("an authority");
        let signed = authority.sign("other.example").expect("a certificate");
        let der = X509::from_pem(&signed.certificate).and_then(|own| own.to_der()).expect("DER");
        for (error, expected) in [
            (OTHER_HOST, "is for other.example, not for broker.example: name the broker"),
            (EXPIRED, "the certificate of other.example has expired on "),
            (20, "nobody whom we believe signed the certificate, Authority of a test did"),
            (REVOKED, "was revoked"),
            (NOT_YET_VALID, "not valid yet"),
        ] {
            let Fault(told) = Fault::of(error, "broker.example:9093", &der);
            assert!(told.contains(expected), "{told}");
        }
        // What cannot be read is no reason to say nothing.
        assert!(Fault::of(EXPIRED, "b:1", b"?").0.contains("the certificate has expired: it has"));
    }

    #[test]
    fn a_broken_network_is_no_refusal() {
        let refused = Code::RD_KAFKA_RESP_ERR__TRANSPORT;
        assert!(!is_refusal(refused, "a:1: Connect to ipv4#127.0.0.1:1 failed"));
        assert!(is_refusal(refused, "a:1: ssl/tls alert bad certificate"));
        for (told, words) in [
            (
                "a:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN \
                    (after 22ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)",
                "write security.protocol: SSL, or SASL_SSL",
            ),
            (
                "ssl://a:1/1: Disconnected: SSL connection closed by peer (after 3ms in state UP)",
                "write security.protocol: SASL_SSL with sasl.mechanism",
            ),
        ] {
            assert!(!is_refusal(refused, told));
            assert!(with_advice(refused, told, None).contains(words), "{told}");
        }
        for told in [
            "sasl_ssl://a:1/1: Disconnected: SSL connection closed by peer (after 3ms in state UP)",
            "ssl://a:1/1: Disconnected: SSL connection closed by peer (after 300000ms in state UP)",
            "a:1/1: Disconnected: connection closed by peer: receive 0 after POLLIN",
        ] {
            assert_eq!(with_advice(refused, told, None), told);
        }
        let told = "a:1: Connect to ipv4#127.0.0.1:1 failed";
        assert_eq!(with_advice(refused, told, None), told);
    }
}
