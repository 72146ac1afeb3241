//! The files that settings of `source.kafka` name. They are looked at before librdkafka reads them:
//! it says of most faults only where in OpenSSL they were found.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::super::LogError;
use super::handle::refused;

/// A list that OpenSSL looks up by itself.
const PROBE: &str = "probe";

/// Reads what the settings name; the error says which setting, which file and what to do.
pub fn check(pairs: &[(String, String)]) -> Result<(), LogError> {
    let value = |name: &str| {
        let set = pairs.iter().rev().find(|(known, _)| known == name);
        set.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let password = value("ssl.key.password");
    for list in ["ssl.ca.location", "ssl.crl.location"] {
        if let Some(path) = value(list).filter(|path| *path != PROBE && !Path::new(path).is_dir()) {
            let text = read(list, path)?;
            if list == "ssl.ca.location" {
                certificates(list, path, &text)?;
            }
        }
    }
    let own = match value("ssl.certificate.location") {
        Some(path) => {
            let name = "ssl.certificate.location";
            let own = certificates(name, path, &read(name, path)?)?;
            still_valid(name, path, &own)?;
            Some((path, own))
        }
        None => None,
    };
    if let Some(path) = value("ssl.key.location") {
        let key = key(path, password)?;
        if let Some((certificate, own)) = own
            && !own.public_key().is_ok_and(|public| public.public_eq(&key))
        {
            let reason = format!("{path} is not the key of the certificate in {certificate}");
            return Err(fault("ssl.key.location", &reason));
        }
    }
    if let Some(path) = value("ssl.keystore.location") {
        let name = "ssl.keystore.location";
        let store = read(name, path)?;
        let password = value("ssl.keystore.password").unwrap_or_default();
        let opened = Pkcs12::from_der(&store).map_err(|_| {
            fault(name, &format!("{path} is no PKCS#12 file; Java's own kind (JKS) is turned into one by keytool -importkeystore -deststoretype PKCS12"))
        })?;
        let opened = opened
            .parse2(password)
            .map_err(|_| fault(name, &format!("{path} does not open by ssl.keystore.password")))?;
        if let Some(own) = &opened.cert {
            still_valid(name, path, own)?;
        }
    }
    Ok(())
}

fn fault(name: &str, reason: &str) -> LogError {
    refused(format!("source.kafka: {name}"), reason)
}

fn read(name: &str, path: &str) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "the user that runs duto needs the right to read it"
            }
            _ => "the setting has to name a file that is there",
        };
        fault(name, &format!("cannot read {path}: {error}; {what}"))
    })
}

/// The first one, which is our own where it is ours.
fn certificates(name: &str, path: &str, text: &[u8]) -> Result<X509, LogError> {
    let found = X509::stack_from_pem(text).ok().and_then(|all| all.into_iter().next());
    found.ok_or_else(|| {
        fault(
            name,
            &format!(
                "{path} holds no certificate in PEM (-----BEGIN CERTIFICATE-----); one in DER is \
                    turned into it by openssl x509 -inform DER"
            ),
        )
    })
}

fn key(path: &str, password: Option<&str>) -> Result<PKey<Private>, LogError> {
    let name = "ssl.key.location";
    let text = read(name, path)?;
    // A password that nobody asked for is never asked for at a terminal.
    let found = match password {
        Some(password) => PKey::private_key_from_pem_passphrase(&text, password.as_bytes()),
        None => PKey::private_key_from_pem_callback(&text, |_| Ok(0)),
    };
    let is_encrypted = String::from_utf8_lossy(&text).contains("ENCRYPTED");
    found.map_err(|_| match (is_encrypted, password) {
        (true, None) => {
            fault(name, &format!("the key in {path} is encrypted: ssl.key.password has to open it"))
        }
        (true, Some(_)) => {
            fault(name, &format!("ssl.key.password does not open the key in {path}"))
        }
        (false, _) => {
            fault(name, &format!("{path} holds no key in PEM (-----BEGIN PRIVATE KEY-----)"))
        }
    })
}

/// A broker says no more of an expired certificate than that it does not like it.
fn still_valid(name: &str, path: &str, own: &X509) -> Result<(), LogError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Ok(now) = Asn1Time::from_unix(i64::try_from(now).unwrap_or(i64::MAX)) else {
        return Ok(());
    };
    if own.not_after() < now {
        let day = own.not_after();
        return Err(fault(
            name,
            &format!("our own certificate in {path} has expired on {day}: it has to be renewed"),
        ));
    }
    if own.not_before() > now {
        let day = own.not_before();
        return Err(fault(
            name,
            &format!(
                "our own certificate in {path} is not valid before {day}: do the clocks differ?"
            ),
        ));
    }
    Ok(())
}
