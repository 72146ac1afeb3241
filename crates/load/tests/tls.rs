//! `sslmode` and what goes with it, on a PostgreSQL with certificates of an authority of our own.

use duto_definition::{Database, parse};
use duto_load::connect::{Connection, Connector};
use duto_load::failure::Failure;
use duto_servers::{Postgres, PostgresSettings, ScratchFolder, TestAuthority, postgres};

use super::rollups::wait_for;

/// Who comes by which role: with TLS alone, without it alone, with a certificate alone, and anybody
/// else as always.
const RULES: &str = "
local   all all               trust
hostssl all only_tls all      trust
host    all only_tls all      reject
hostnossl all only_clear all  trust
host    all only_clear all    reject
hostssl all known_by_certificate all cert
host    all all     all       trust
";

struct Server {
    postgres: Postgres,
    folder: ScratchFolder,
    authority: TestAuthority,
}

impl Server {
    /// Without TLS.
    fn start() -> Self {
        let folder = ScratchFolder::create("tls").expect("a folder");
        let postgres =
            Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests())
                .expect("PostgreSQL");
        let roles = "CREATE ROLE only_tls LOGIN; CREATE ROLE only_clear LOGIN; CREATE ROLE
            known_by_certificate LOGIN";
        postgres::execute(&postgres.url("postgres"), roles).expect("the roles");
        postgres.put_file("pg_hba.conf", RULES.as_bytes()).expect("the rules");
        Self { postgres, folder, authority: TestAuthority::create().expect("an authority") }
    }

    /// Shows a certificate for this name from now on, valid between two days.
    fn show(&self, name: &str, days: (i64, i64)) {
        let signed = self.authority.sign_for_days(name, days).expect("a certificate");
        self.postgres.put_file("server.crt", &signed.certificate).expect("the certificate");
        self.postgres.put_file("server.key", &signed.key).expect("the key");
        self.postgres
            .put_file("root.crt", &self.authority.certificate().expect("PEM"))
            .expect("the authority");
        for setting in ["ssl_ca_file = 'root.crt'", "ssl = on"] {
            postgres::execute(
                &self.postgres.url("postgres"),
                &format!("ALTER SYSTEM SET {setting}"),
            )
            .expect("a setting");
        }
        self.reload();
    }

    fn reload(&self) {
        postgres::execute(&self.postgres.url("postgres"), "SELECT pg_reload_conf()")
            .expect("a reload");
        // The server reads its files a moment later.
        std::thread::sleep(std::time::Duration::from_millis(300));
    }

    fn authority_file(&self) -> String {
        let file = self.folder.path().join("authority.pem");
        std::fs::write(&file, self.authority.certificate().expect("PEM")).expect("a file");
        file.display().to_string()
    }

    /// The settings of `database`, in the file's words; `url` is the address without parameters.
    fn database(&self, role: &str, host: &str, more: &str) -> Database {
        let port = self.postgres.port();
        read(&format!("{{ url: \"postgresql://{role}@{host}:{port}/postgres\", {more} }}"))
    }
}

fn read(database: &str) -> Database {
    let file = format!(
        "pipeline: p\nsource: {{ topic: t }}\ndatabase: {database}\nrecord: {{ id: BIGINT \
            }}\ntables:\n  t:\n    columns: {{ id: BIGINT PRIMARY KEY }}\n    \
         repeat: ignore\n    select: SELECT id FROM record\n"
    );
    parse("pipeline.yaml", &file, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .database
}

async fn connect(database: &Database) -> Result<Connection, String> {
    let connector = Connector::new(database, "test").map_err(|error| format!("{error:#}"))?;
    connector.connect().await.map_err(|failure| match failure {
        Failure::Lost(reason) | Failure::Pause(reason) => reason,
        other => other.to_string(),
    })
}

/// Whether the connection is encrypted, as the server sees it.
async fn is_encrypted(database: &Database) -> Result<bool, String> {
    let connection = connect(database).await?;
    let row = connection
        .client
        .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .await;
    Ok(row.expect("an answer").get(0))
}

#[test]
fn a_connection_is_as_secure_as_was_written() {
    let server = Server::start();
    server.reload();
    wait_for(async {
        let encrypted = |role, host, more: &str| {
            let database = server.database(role, host, more);
            async move { is_encrypted(&database).await }
        };
        // A server without TLS.
        assert_eq!(encrypted("postgres", "127.0.0.1", "sslmode: prefer").await, Ok(false));
        let refused =
            encrypted("postgres", "127.0.0.1", "sslmode: require").await.expect_err("no TLS");
        assert!(refused.contains("the server has no TLS"), "{refused}");

        server.show("localhost", (-1, 1));
        let root = format!("sslrootcert: \"{}\"", server.authority_file());
        for (role, mode, expected) in [
            ("postgres", "disable", Ok(false)),
            ("postgres", "allow", Ok(false)),
            ("only_tls", "allow", Ok(true)),
            ("postgres", "prefer", Ok(true)),
            ("postgres", "require", Ok(true)),
            ("only_clear", "disable", Ok(false)),
        ] {
            assert_eq!(
                encrypted(role, "127.0.0.1", &format!("sslmode: {mode}")).await,
                expected,
                "{role} {mode}"
            );
        }
        assert!(encrypted("only_tls", "127.0.0.1", "sslmode: disable").await.is_err());
        assert_eq!(
            encrypted("postgres", "localhost", &format!("sslmode: verify-full, {root}")).await,
            Ok(true)
        );
        assert_eq!(
            encrypted("postgres", "127.0.0.1", &format!("sslmode: verify-ca, {root}")).await,
            Ok(true)
        );

        let wrong_name =
            encrypted("postgres", "127.0.0.1", &format!("sslmode: verify-full, {root}"))
                .await
                .expect_err("a wrong name");
        assert!(wrong_name.contains("the certificate is for another"), "{wrong_name}");
        let nobody_vouches = encrypted("postgres", "localhost", "sslmode: verify-full")
            .await
            .expect_err("nobody vouches");
        assert!(
            nobody_vouches.contains("database.sslrootcert has to name the authority"),
            "{nobody_vouches}"
        );
        let stranger = server.folder.path().join("stranger.pem");
        std::fs::write(
            &stranger,
            TestAuthority::create().expect("another").certificate().expect("PEM"),
        )
        .expect("a file");
        // As libpq: who names an authority wants it to be looked at.
        for mode in ["require", "verify-ca", "verify-full"] {
            let more = format!("sslmode: {mode}, sslrootcert: \"{}\"", stranger.display());
            let wrong_authority =
                encrypted("postgres", "localhost", &more).await.expect_err("a wrong authority");
            assert!(
                wrong_authority.contains("certificate verify failed"),
                "{mode}: {wrong_authority}"
            );
        }

        server.show("localhost", (-3, -2));
        let expired = encrypted("postgres", "localhost", &format!("sslmode: verify-full, {root}"))
            .await
            .expect_err("expired");
        assert!(expired.contains("has to be renewed"), "{expired}");
    });
}

#[test]
fn a_server_knows_us_by_a_certificate_of_ours() {
    let server = Server::start();
    server.show("localhost", (-1, 1));
    let own = server.authority.sign("known_by_certificate").expect("a certificate");
    let (certificate, key) = own.write(server.folder.path(), "own").expect("files");
    let more = format!(
        "sslmode: verify-full, sslrootcert: \"{}\", sslcert: \"{}\", sslkey: \"{}\"",
        server.authority_file(),
        certificate.display(),
        key.display()
    );
    wait_for(async {
        assert_eq!(
            is_encrypted(&server.database("known_by_certificate", "localhost", &more)).await,
            Ok(true)
        );
        let without = server.database("known_by_certificate", "localhost", "sslmode: require");
        let refused = connect(&without).await.err().expect("no certificate");
        assert!(refused.contains("certificate"), "{refused}");
        // The same by the URL's parameters.
        let port = server.postgres.port();
        let (root, certificate, key) =
            (server.authority_file(), certificate.display(), key.display());
        let url = format!(
            "{{ \
                url: \"postgresql://known_by_certificate@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={root}&sslcert={certificate}\
             &sslkey={key}&application_name=ours\" }}"
        );
        let connection = connect(&read(&url)).await.expect("a connection");
        let row = connection.client.query_one(
            "SELECT ssl, current_setting('application_name') FROM pg_stat_ssl
                WHERE pid = pg_backend_pid()",
            &[],
        );
        let row = row.await.expect("an answer");
        assert_eq!((row.get::<_, bool>(0), row.get::<_, &str>(1)), (true, "duto:test ours"));

        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(key.to_string(), std::fs::Permissions::from_mode(0o644))
            .expect("permissions");
        let refused = connect(&read(&url)).await.err().expect("others may read the key");
        assert!(refused.contains("chmod 0600"), "{refused}");
    });
}

#[test]
fn of_several_servers_the_one_that_is_written_to_is_taken() {
    let folder = ScratchFolder::create("several").expect("a folder");
    let server = |name: &str, read_only: &str| {
        let configuration =
            vec![("default_transaction_read_only".to_owned(), read_only.to_owned())];
        Postgres::start(
            &folder.path().join(name),
            PostgresSettings { configuration, ..PostgresSettings::for_tests() },
        )
        .expect("PostgreSQL")
    };
    let (standby, primary) = (server("standby", "on"), server("primary", "off"));
    for server in [&standby, &primary] {
        server.put_file("pg_hba.conf", b"host all all all trust\n").expect("the rules");
        postgres::execute(&server.url("postgres"), "SELECT pg_reload_conf()").expect("a reload");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (first, second) = (standby.port(), primary.port());
    wait_for(async {
        for more in ["", "?target_session_attrs=primary", "?target_session_attrs=read-write"] {
            let url = format!(
                "{{ \
                    url: \"postgresql://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres{more}\" }}"
            );
            let connection = connect(&read(&url)).await.expect("a connection");
            let port: i32 = connection
                .client
                .query_one("SELECT inet_server_port()", &[])
                .await
                .expect("an answer")
                .get(0);
            assert_eq!(port, i32::from(second), "{more}");
        }
    });
}
