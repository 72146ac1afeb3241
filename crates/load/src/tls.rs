//! TLS to the database: whom we believe, and by what we are known.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, bail};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use postgres_openssl::MakeTlsConnector;

use duto_definition::{SslMode, Tls};

/// Reads the files. Which certificates are good is said when a server shows one.
pub(super) fn connector(tls: &Tls) -> anyhow::Result<MakeTlsConnector> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).context("preparing TLS")?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).context("preparing TLS")?;
    if let Some(authority) = &tls.root_certificate {
        builder.set_ca_file(authority).with_context(|| {
            format!("database.sslrootcert: {authority} holds no certificate in PEM")
        })?;
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        builder.set_certificate_chain_file(certificate).with_context(|| {
            format!("database.sslcert: {certificate} holds no certificate in PEM")
        })?;
        require_private(key)?;
        builder.set_private_key_file(key, SslFiletype::PEM).with_context(|| {
            format!("database.sslkey: {key} holds no key in PEM without a password")
        })?;
        builder
            .check_private_key()
            .with_context(|| format!("database.sslkey: {key} is not the key of {certificate}"))?;
    }
    if !tls.mode.verifies() {
        builder.set_verify(SslVerifyMode::NONE);
    }
    let mut connector = MakeTlsConnector::new(builder.build());
    let check_host = tls.mode == SslMode::VerifyFull;
    connector.set_callback(move |connection, _| {
        connection.set_verify_hostname(check_host);
        Ok(())
    });
    Ok(connector)
}

/// As libpq: a key that others may read is none. Of root's one its group may.
fn require_private(key: &str) -> anyhow::Result<()> {
    let about = fs::metadata(key).with_context(|| format!("database.sslkey: reading {key}"))?;
    let open_to_others = if about.uid() == 0 { 0o037 } else { 0o077 };
    if about.mode() & open_to_others != 0 {
        bail!("database.sslkey: others may read {key}; run: chmod 0600 {key}");
    }
    Ok(())
}

/// What to do about a handshake that failed, where that can be said.
pub(super) fn advice(error: &tokio_postgres::Error) -> Option<&'static str> {
    let mut said = String::new();
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        said.push_str(&error.to_string());
        cause = error.source();
    }
    let said = said.to_lowercase();
    let advices = [
        (
            "certificate has expired",
            "the server's certificate, or its authority's, has to be renewed",
        ),
        ("certificate is not yet valid", "the clocks differ, or the certificate is not valid yet"),
        (
            "hostname mismatch",
            "the certificate is for another host: connect by the name that it has, or write \
                sslmode: verify-ca",
        ),
        (
            "ip address mismatch",
            "the certificate is for another address: connect by the name that it has, or write \
                sslmode: verify-ca",
        ),
        (
            "certificate verify failed",
            "database.sslrootcert has to name the authority that signed the server's certificate",
        ),
        (
            "server does not support tls",
            "the server has no TLS: set ssl = on there, or write sslmode: disable where the \
                network is trusted",
        ),
        (
            "certificate required",
            "the server asks for a certificate of ours: database.sslcert and database.sslkey",
        ),
        ("unknown ca", "the server does not know the authority of database.sslcert"),
    ];
    advices.into_iter().find(|(words, _)| said.contains(words)).map(|(_, advice)| advice)
}
