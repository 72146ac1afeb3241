//! A listener of the broker that speaks TLS, beside the one in clear text that the broker itself
//! and its readiness use.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Signed;

/// How a broker meets clients on one port of its own.
#[derive(Debug, Clone)]
pub struct TlsListener {
    /// Capital letters: a listener's name, such as `MUTUAL`.
    pub name: &'static str,
    /// What it shows.
    pub certificate: Signed,
    /// In PEM: the authority of the certificates that clients must show; None asks for none.
    pub clients_authority: Option<Vec<u8>>,
    /// SASL mechanisms, such as `SCRAM-SHA-512`; none is TLS alone.
    pub mechanisms: Vec<&'static str>,
}

impl TlsListener {
    /// Its line of `listener.security.protocol.map`.
    pub(super) fn protocol(&self) -> String {
        let protocol = if self.mechanisms.is_empty() { "SSL" } else { "SASL_SSL" };
        format!("{}:{protocol}", self.name)
    }

    /// Its lines of server.properties, and its files beside them.
    pub(super) fn write(&self, folder: &Path) -> Result<Vec<String>> {
        let file = |what: &str| folder.join(format!("{}-{what}.pem", self.name));
        let both = [self.certificate.key.as_slice(), &self.certificate.certificate].concat();
        fs::write(file("own"), both).context("writing a listener's certificate")?;
        let prefix = format!("listener.name.{}", self.name.to_lowercase());
        let mut lines = vec![
            format!("{prefix}.ssl.keystore.type=PEM"),
            format!("{prefix}.ssl.keystore.location={}", file("own").display()),
        ];
        if let Some(authority) = &self.clients_authority {
            fs::write(file("clients"), authority).context("writing a listener's authority")?;
            lines.extend([
                format!("{prefix}.ssl.client.auth=required"),
                format!("{prefix}.ssl.truststore.type=PEM"),
                format!("{prefix}.ssl.truststore.location={}", file("clients").display()),
            ]);
        }
        if !self.mechanisms.is_empty() {
            lines.push(format!("{prefix}.sasl.enabled.mechanisms={}", self.mechanisms.join(",")));
            lines.extend(self.mechanisms.iter().map(|mechanism| {
                format!("{prefix}.{}.sasl.jaas.config={LOGIN}", mechanism.to_lowercase())
            }));
        }
        Ok(lines)
    }
}

/// Who logs in is known by what was written when the storage was formatted, see
/// [`super::ScramUser`].
const LOGIN: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
