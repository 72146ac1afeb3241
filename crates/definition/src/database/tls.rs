//! How the connection to the database is encrypted, and by what the two sides know each other.

use super::Problem;
use crate::Span;
use crate::walk::Fields;

/// `sslmode`, as libpq has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Clear text.
    Disable,
    /// Clear text, TLS where the server asks for it.
    Allow,
    /// TLS where the server has it.
    #[default]
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, and an authority vouches for the server's certificate.
    VerifyCa,
    /// The same, and the certificate is for this host.
    VerifyFull,
}

/// The words of the file.
pub(super) const MODES: &[&str] =
    &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// See [`SslMode`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub mode: SslMode,
    /// The file of the authorities that are believed, in PEM; None for those of the system.
    pub root_certificate: Option<String>,
    /// The file of our own certificate and those between it and the authority, in PEM.
    pub certificate: Option<String>,
    /// The file of its key, in PEM.
    pub key: Option<String>,
}

impl SslMode {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether a server that nobody vouches for is refused.
    pub fn verifies(self) -> bool {
        match self {
            Self::Disable | Self::Allow | Self::Prefer | Self::Require => false,
            Self::VerifyCa | Self::VerifyFull => true,
        }
    }
}

/// What cannot be meant together is a problem; nothing is less secure than what was written.
pub(super) fn check(fields: &Fields<'_, '_>, tls: &mut Tls, place: Span) {
    let walk = fields.walk();
    let span = |name| fields.span(name).or(fields.span("url")).unwrap_or(place);
    if tls.root_certificate.as_deref() == Some("system") {
        // libpq's word for the authorities of the system, with which it asks for the strongest
        // mode.
        tls.root_certificate = None;
        if tls.mode != SslMode::VerifyFull {
            let problem = Problem::new(
                "database.tls.contradiction",
                span("sslrootcert"),
                "sslrootcert: system goes with sslmode: verify-full",
            );
            walk.report(problem.help(
                "anybody gets a certificate of such an authority, so that the \
                host's name has to be looked at",
            ));
        }
    }
    if tls.root_certificate.is_some() {
        match tls.mode {
            // As libpq: who names an authority wants it to be looked at.
            SslMode::Require => tls.mode = SslMode::VerifyCa,
            SslMode::Disable | SslMode::Allow | SslMode::Prefer => {
                let message =
                    format!("sslrootcert is not looked at with sslmode: {}", tls.mode.as_str());
                let problem =
                    Problem::new("database.tls.contradiction", span("sslrootcert"), message);
                walk.report(problem.help("write sslmode: verify-full, or leave sslrootcert out"));
            }
            SslMode::VerifyCa | SslMode::VerifyFull => {}
        }
    }
    if tls.certificate.is_some() != tls.key.is_some() {
        let (given, missing) =
            if tls.certificate.is_some() { ("sslcert", "sslkey") } else { ("sslkey", "sslcert") };
        let problem = Problem::new(
            "database.tls.pair",
            span(given),
            format!("{given} needs {missing} beside it"),
        );
        walk.report(problem.help("a certificate and its key go together, both in PEM"));
    }
    if tls.certificate.is_some() && tls.mode == SslMode::Disable {
        let problem = Problem::new(
            "database.tls.contradiction",
            span("sslcert"),
            "sslcert is never sent with sslmode: disable",
        );
        walk.report(problem.help("write sslmode: verify-full, or leave sslcert and sslkey out"));
    }
}
