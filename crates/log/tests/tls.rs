//! Kafka behind TLS: who is believed, how we log in, and what is said where that does not work.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duto_ground::batch::Batch;
use duto_log::{Event, Log, NewTopic, OutgoingRecord, Start, open};
use duto_servers::{
    Kafka, KafkaSettings, ScramUser, ScratchFolder, Signed, TestAuthority, TlsListener,
};

use super::fixture::{TIMEOUT, send, settings, unique};

/// How long a wrong set-up is tried.
const PATIENCE: Duration = Duration::from_secs(8);
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// A broker with a listener for each way, and the files of a client.
struct Ground {
    kafka: Kafka,
    folder: ScratchFolder,
}

impl Ground {
    fn start() -> Ground {
        let folder = ScratchFolder::create("kafka_tls").expect("a folder");
        let authority = TestAuthority::create().expect("an authority");
        let stranger = TestAuthority::create().expect("another authority");
        let pem = authority.certificate().expect("PEM");
        let shown = |name, days| authority.sign_for_days(name, days).expect("a certificate");
        let listener = |name, certificate: Signed| TlsListener {
            name,
            certificate,
            clients_authority: None,
            mechanisms: Vec::new(),
        };
        let tls_listeners = vec![
            listener("TLS", shown("localhost", (-1, 1))),
            TlsListener {
                clients_authority: Some(pem.clone()),
                ..listener("MUTUAL", shown("localhost", (-1, 1)))
            },
            TlsListener {
                mechanisms: SCRAM.to_vec(),
                ..listener("LOGIN", shown("localhost", (-1, 1)))
            },
            listener("OTHER", shown("other.example", (-1, 1))),
            listener("EXPIRED", shown("localhost", (-3, -2))),
            listener("FUTURE", shown("localhost", (2, 3))),
        ];
        let user = |mechanism, name: &str| ScramUser {
            mechanism,
            name: name.to_owned(),
            password: "let-me-in".to_owned(),
        };
        let scram_users = vec![user(SCRAM[0], "ana"), user(SCRAM[1], "ana"), user(SCRAM[0], "old")];
        let kafka = Kafka::start_with(
            &folder.path().join("broker"),
            KafkaSettings { tls_listeners, scram_users, ..KafkaSettings::default() },
        )
        .expect("a broker");
        let ground = Ground { kafka, folder };
        ground.put("ca.pem", &pem);
        ground.put("stranger.pem", &stranger.certificate().expect("PEM"));
        let own = authority.sign("loader").expect("a certificate");
        own.write(ground.folder.path(), "own").expect("files");
        ground.put("encrypted.key", &encrypted(&own.key));
        stranger
            .sign("loader")
            .expect("one")
            .write(ground.folder.path(), "foreign")
            .expect("files");
        shown("loader", (-3, -2)).write(ground.folder.path(), "old").expect("files");
        ground.put("words.pem", b"no certificate, only words");
        ground
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join(name), content).expect("a file");
    }

    /// The log by a listener. Of values that begin with `@` the rest is the name of a file.
    fn open(&self, listener: &str, pairs: &[(&str, &str)]) -> Result<Arc<dyn Log>, String> {
        let port = match listener {
            "PLAINTEXT" => self.kafka.address().port(),
            "NOBODY" => 9,
            listener => self.kafka.port_of(listener).expect("a listener"),
        };
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| {
                let value = value.strip_prefix('@').map_or((*value).to_owned(), file);
                ((*name).to_owned(), value)
            })
            .collect();
        open(Some(&format!("localhost:{port}")), &pairs, Path::new("/nowhere"))
            .map_err(|error| error.to_string())
    }
}

fn encrypted(key: &[u8]) -> Vec<u8> {
    let key = openssl::pkey::PKey::private_key_from_pem(key).expect("a key");
    key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"opens it")
        .expect("an encrypted key")
}

const CA: (&str, &str) = ("ssl.ca.location", "@ca.pem");
const BY_TLS: (&str, &str) = ("security.protocol", "SSL");
const BY_LOGIN: (&str, &str) = ("security.protocol", "SASL_SSL");
const OWN: (&str, &str) = ("ssl.certificate.location", "@own.crt");
const OWN_KEY: (&str, &str) = ("ssl.key.location", "@own.key");

fn login<'a>(mechanism: &'a str, user: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    let who = [("sasl.username", user), ("sasl.password", password)];
    [&[CA, BY_LOGIN, ("sasl.mechanism", mechanism)], who.as_slice()].concat()
}

/// Makes a topic, sends to it, reads it in a group and without one, and appends to a journal.
fn works(log: &dyn Log) {
    let topic = unique("tls");
    log.create_topic(&NewTopic { name: topic.clone(), partitions: 1, retention: None }, TIMEOUT)
        .expect("a topic");
    let producer = log.producer().expect("a producer");
    let record = OutgoingRecord {
        topic: &topic,
        partition: None,
        key: None,
        payload: Some(b"encrypted"),
        headers: &[],
    };
    send(producer.as_ref(), record).expect("sent");
    let mut journal = log.journal(&topic, TIMEOUT).expect("a journal");
    journal.append(&[record], b"note", TIMEOUT).expect("appended");
    let mut consumer = log.consumer(&settings(&topic, &topic)).expect("a consumer");
    let (mut batch, deadline) = (Batch::default(), Instant::now() + TIMEOUT);
    while batch.len() < 2 {
        assert!(Instant::now() < deadline, "only {} of 2 records came", batch.len());
        for event in consumer.poll(&mut batch, 10, Duration::from_millis(200)) {
            if let Event::Assigned(partitions) = event {
                let starts: Vec<Start> = partitions
                    .iter()
                    .map(|&partition| Start { partition, offset: 0, leader_epoch: -1 })
                    .collect();
                consumer.assign(&starts).expect("assigned");
            }
        }
    }
    consumer.leave();
    consumer.close();
    let mut look = log.look().expect("a look");
    let span = duto_log::Span { partition: 0, from: 0, to: 2 };
    let mut seen = Batch::default();
    look.read(&topic, &[span], &mut seen, 1 << 20, TIMEOUT).expect("looked at");
    assert_eq!(seen.len(), 2);
}

/// What is wrong, the listener, the settings, and words that must be told.
type Wrong<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);

#[test]
fn every_way_that_is_right_works_and_every_wrong_one_says_what_to_do() {
    let ground = Ground::start();
    let [by_256, by_512] = SCRAM.map(|mechanism| login(mechanism, "ana", "let-me-in"));
    let right: [(&str, Vec<(&str, &str)>); 5] = [
        ("TLS", vec![BY_TLS, CA]),
        ("MUTUAL", vec![BY_TLS, CA, OWN, OWN_KEY]),
        (
            "MUTUAL",
            vec![
                BY_TLS,
                CA,
                OWN,
                ("ssl.key.location", "@encrypted.key"),
                ("ssl.key.password", "opens it"),
            ],
        ),
        ("LOGIN", by_256),
        ("LOGIN", by_512),
    ];
    std::thread::scope(|scope| {
        for (listener, pairs) in &right {
            let ground = &ground;
            scope.spawn(move || works(ground.open(listener, pairs).expect("settings").as_ref()));
        }
    });

    let wrong: Vec<Wrong<'_>> = vec![
        ("without TLS", "TLS", vec![], &["write security.protocol: SSL, or SASL_SSL"]),
        (
            "TLS where there is none",
            "PLAINTEXT",
            vec![BY_TLS, CA],
            &["bootstrap.servers has to name the port of a TLS listener"],
        ),
        (
            "another authority",
            "TLS",
            vec![BY_TLS, ("ssl.ca.location", "@stranger.pem")],
            &["ssl.ca.location has to name the authority that did", "Authority of a test did"],
        ),
        ("no authority", "TLS", vec![BY_TLS], &["ssl.ca.location has to name the authority"]),
        (
            "another name",
            "OTHER",
            vec![BY_TLS, CA],
            &["the certificate is for other.example, not for localhost", "bootstrap.servers"],
        ),
        (
            "expired",
            "EXPIRED",
            vec![BY_TLS, CA],
            &["the certificate of localhost has expired on", "renewed on the broker"],
        ),
        ("not yet valid", "FUTURE", vec![BY_TLS, CA], &["is not valid yet"]),
        (
            "a wrong password",
            "LOGIN",
            login(SCRAM[1], "ana", "wrong"),
            &["sasl.username or sasl.password is wrong"],
        ),
        (
            "an unknown user",
            "LOGIN",
            login(SCRAM[1], "bo", "let-me-in"),
            &["sasl.username or sasl.password is wrong"],
        ),
        (
            "a user of another mechanism",
            "LOGIN",
            login(SCRAM[1], "old", "let-me-in"),
            &["the broker does not know the user by this mechanism"],
        ),
        (
            "a mechanism that is not offered",
            "LOGIN",
            login("PLAIN", "ana", "let-me-in"),
            &["write one of these as sasl.mechanism", "SCRAM-SHA-512"],
        ),
        (
            "nobody logs in",
            "LOGIN",
            vec![BY_TLS, CA],
            &["write security.protocol: SASL_SSL with sasl.mechanism"],
        ),
        (
            "a login where nobody asks",
            "TLS",
            login(SCRAM[1], "ana", "let-me-in"),
            &["this listener asks nobody to log in: write security.protocol: SSL"],
        ),
        (
            "no certificate of ours",
            "MUTUAL",
            vec![BY_TLS, CA],
            &["the broker asks for a certificate of ours", "ssl.certificate.location"],
        ),
        (
            "a certificate of ours by a stranger",
            "MUTUAL",
            vec![
                BY_TLS,
                CA,
                ("ssl.certificate.location", "@foreign.crt"),
                ("ssl.key.location", "@foreign.key"),
            ],
            &["got none that it accepts", "an authority of its truststore signed"],
        ),
        ("nobody listens", "NOBODY", vec![BY_TLS, CA], &["Connection refused"]),
        (
            "our certificate has expired",
            "MUTUAL",
            vec![
                BY_TLS,
                CA,
                ("ssl.certificate.location", "@old.crt"),
                ("ssl.key.location", "@old.key"),
            ],
            &["source.kafka: ssl.certificate.location", "old.crt has expired on"],
        ),
        (
            "no such file",
            "TLS",
            vec![BY_TLS, ("ssl.ca.location", "@missing.pem")],
            &["source.kafka: ssl.ca.location: cannot read", "name a file that is there"],
        ),
        (
            "no certificate in it",
            "TLS",
            vec![BY_TLS, ("ssl.ca.location", "@words.pem")],
            &["source.kafka: ssl.ca.location", "holds no certificate in PEM"],
        ),
        (
            "the key of another certificate",
            "MUTUAL",
            vec![BY_TLS, CA, OWN, ("ssl.key.location", "@foreign.key")],
            &["source.kafka: ssl.key.location", "is not the key of the certificate in"],
        ),
        (
            "an encrypted key without a password",
            "MUTUAL",
            vec![BY_TLS, CA, OWN, ("ssl.key.location", "@encrypted.key")],
            &["ssl.key.location", "is encrypted: ssl.key.password has to open it"],
        ),
        (
            "a wrong password of the key",
            "MUTUAL",
            vec![
                BY_TLS,
                CA,
                OWN,
                ("ssl.key.location", "@encrypted.key"),
                ("ssl.key.password", "does not"),
            ],
            &["ssl.key.password does not open the key in"],
        ),
        (
            "no key in it",
            "MUTUAL",
            vec![BY_TLS, CA, OWN, ("ssl.key.location", "@words.pem")],
            &["ssl.key.location", "holds no key in PEM"],
        ),
        (
            "a key that cannot be read",
            "MUTUAL",
            vec![BY_TLS, CA, OWN, ("ssl.key.location", "@")],
            &["source.kafka: ssl.key.location: cannot read"],
        ),
        (
            "a keystore of Java's own kind",
            "MUTUAL",
            vec![BY_TLS, CA, ("ssl.keystore.location", "@words.pem")],
            &["ssl.keystore.location", "is no PKCS#12 file", "keytool"],
        ),
    ];
    std::thread::scope(|scope| {
        for (what, listener, pairs, expected) in &wrong {
            let ground = &ground;
            scope.spawn(move || {
                let began = Instant::now();
                let outcome = ground
                    .open(listener, pairs)
                    .and_then(|log| log.cluster_id(PATIENCE).map_err(|error| error.to_string()));
                let told = outcome.expect_err(what);
                for words in *expected {
                    assert!(told.contains(words), "{what}: {words:?} is not in {told:?}");
                }
                // No secret of the file is told.
                assert!(
                    !told.contains("let-me-in") && !told.contains("opens it"),
                    "{what}: {told}"
                );
                assert!(began.elapsed() < PATIENCE + Duration::from_secs(3), "{what}: too long");
                println!("{what}: {told}");
            });
        }
    });
}
