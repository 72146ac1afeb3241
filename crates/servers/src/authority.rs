//! An authority of certificates for tests, made when it is needed: nobody else believes it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

const DAY_S: i64 = 86_400;

/// Its certificate and its key.
#[derive(Debug)]
pub struct TestAuthority {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate that it signed, with its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Signed {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl TestAuthority {
    pub fn create() -> Result<TestAuthority> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut builder = begin("Authority of a test", &key, (-1, 1))?;
        let own_name = builder_name("Authority of a test")?;
        builder.set_issuer_name(&own_name)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(TestAuthority { certificate: builder.build(), key })
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        Ok(self.certificate.to_pem()?)
    }

    /// Signs a certificate for a server of this name or address, or for a client of this name.
    pub fn sign(&self, name: &str) -> Result<Signed> {
        self.sign_for_days(name, (-1, 1))
    }

    /// The same, valid between two days that are counted from now.
    pub fn sign_for_days(&self, name: &str, days: (i64, i64)) -> Result<Signed> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut builder = begin(name, &key, days)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        let mut names = SubjectAlternativeName::new();
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        if is_address {
            names.ip(name)
        } else {
            names.dns(name)
        };
        let names = names.build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(names)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Signed { certificate: builder.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
    }
}

impl Signed {
    /// Puts both into a folder, the key for its owner alone; answers where they are.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        use std::os::unix::fs::PermissionsExt;
        let (certificate, key) =
            (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.certificate).context("writing a certificate")?;
        std::fs::write(&key, &self.key).context("writing a key")?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        Ok((certificate, key))
    }
}

fn begin(name: &str, key: &PKey<Private>, (from, until): (i64, i64)) -> Result<X509Builder> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    let subject = builder_name(name)?;
    builder.set_subject_name(&subject)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() as i64;
    let (not_before, not_after) =
        (Asn1Time::from_unix(now + from * DAY_S)?, Asn1Time::from_unix(now + until * DAY_S)?);
    builder.set_not_before(&not_before)?;
    builder.set_not_after(&not_after)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

fn builder_name(name: &str) -> Result<openssl::x509::X509Name> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_text("CN", name)?;
    Ok(builder.build())
}
