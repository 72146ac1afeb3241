//! `encryption:`, the keys that seal what duto keeps of the records.

use duto_ground::seal::{Keyring, Keys as SealKeys};

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// Without it, what duto keeps is kept as it came.
#[derive(Debug, Clone, Default)]
pub struct Encryption {
    pub keyring: Keyring,
    /// Keys and values of the messages to publish too.
    pub outbox: bool,
}

impl Encryption {
    /// What seals the messages that wait in the outbox.
    pub fn of_outbox(&self) -> Keyring {
        if self.outbox { self.keyring.clone() } else { Keyring::default() }
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "encryption",
        about: "encryption at rest, by XChaCha20-Poly1305, of what duto keeps of the records \
            beside the tables: rejects, kept answers, the embedded log",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "encryption",
    keys: &[
        Key {
            name: "keys",
            about: "ID:KEY, several with commas or line breaks between them: the first one seals, \
                all of them open. KEY is 32 bytes in base 64; `duto encryption key ID` makes one",
            presence: Presence::Optional,
            value: Value::Secret,
        },
        Key {
            name: "key_file",
            about: "a file of such keys instead, read again when it changes",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "outbox",
            about: "seal the messages that wait in the outbox too",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    if file.entry("encryption").is_none() {
        return;
    }
    let Some(fields) = file.section("encryption") else { return };
    let walk = fields.walk();
    let given = |name: &str| fields.value(name).is_some_and(|value| !value.is_unset());
    let keyring = match (given("keys"), given("key_file")) {
        (true, true) => {
            let message = "encryption.keys and encryption.key_file are two places of the keys";
            let place = fields.span("key_file").unwrap_or_default();
            walk.report(
                Problem::new("encryption.contradiction", place, message).help("keep one of them"),
            );
            return;
        }
        (false, false) => {
            let message = "encryption has no keys, so nothing could be sealed";
            let help = "name an environment variable that holds them, `keys: ${DUTO_KEYS}`, or a \
                file, `key_file: /etc/duto/keys`; `duto encryption key ID` makes one";
            walk.report(Problem::new("encryption.keys", fields.place(), message).help(help));
            return;
        }
        (true, false) => match SealKeys::parse(&fields.text("keys").unwrap_or_default()) {
            Ok(keys) => Keyring::given(keys),
            Err(fault) => {
                let message = format!("encryption.keys cannot be used: {fault}");
                let place = fields.span("keys").unwrap_or_default();
                let help = "`duto encryption key ID` makes one as it must be written";
                walk.report(Problem::new("encryption.keys", place, message).help(help));
                return;
            }
        },
        (false, true) => Keyring::file(fields.text("key_file").unwrap_or_default()),
    };
    let outbox = fields.boolean("outbox").unwrap_or(false);
    pipeline.encryption = Encryption { keyring, outbox };
}
