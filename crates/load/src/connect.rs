//! Connections to PostgreSQL: one way to make them, the same session settings in each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use postgres_openssl::MakeTlsConnector;
use tokio::sync::oneshot;
use tokio_postgres::config::{SslMode as ClientMode, TargetSessionAttrs};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Statement};

use super::connections::{Connections, Seat, Shares};
use super::failure::{Failure, Scope};
use super::search_path::WITHOUT_OWN_SCHEMA;
use super::tls;
use duto_definition::{Database, Pipeline, SslMode};

type Socket = tokio_postgres::Connection<
    tokio_postgres::Socket,
    postgres_openssl::TlsStream<tokio_postgres::Socket>,
>;

/// Every connection's `application_name` begins with it.
const APPLICATION_NAME_PREFIX: &str = "duto:";
/// PostgreSQL cuts an application_name at 63 bytes.
const APPLICATION_NAME_CHARACTERS: usize = 60;
/// How long a connection that is dropped may take to say goodbye, which an idle one does at once.
const GOODBYE: Duration = Duration::from_millis(20);
/// How long the backend of one that said goodbye may still be seen.
const BACKEND_ENDS_WITHIN: Duration = Duration::from_millis(50);
/// How often a backend in the middle of a statement looks whether its client is still there, where
/// the server can (PostgreSQL 14, on Linux).
const CLIENT_CHECK: Duration = Duration::from_secs(1);

/// How to reach a pipeline's database: the parsed settings, ready to connect.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    mode: SslMode,
    tls: MakeTlsConnector,
    /// What the file says behind our own words.
    application_name: Option<String>,
    /// That of its connections.
    wait_timeout: Duration,
    /// More settings of each session.
    session: String,
    /// Shared by all that were made of one another.
    connections: Arc<Connections>,
    /// Whether its connections are lanes.
    is_lane: bool,
}

/// A connection, and the task that serves its socket. Dropping it closes the socket at once, also
/// in the middle of a statement.
pub struct Connection {
    pub client: Client,
    /// Every single wait ends after so long, whatever the server does.
    pub(crate) wait_timeout: Duration,
    /// Statements that come with every batch, prepared once.
    prepared: Mutex<HashMap<String, Statement>>,
    /// Tells the socket's task that this is dropped; behind the client, which says goodbye first.
    _open: oneshot::Sender<()>,
}

impl Connection {
    /// The statement, prepared on this connection at its first use.
    pub async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.prepared_typed(sql, &[]).await
    }

    /// The same, with the types of its parameters where the server could not know them.
    pub async fn prepared_typed(
        &self,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, tokio_postgres::Error> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare_typed(sql, types).await?;
        self.prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Waits for the server, but not for ever: a connection that is silent for longer counts as
    /// lost.
    pub async fn within<T>(
        &self,
        wait: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.within_scope(Scope::Own, wait).await
    }

    /// The same, for a statement on a table of the pipeline's.
    pub async fn within_scope<T>(
        &self,
        scope: Scope,
        wait: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.wait_timeout, wait).await {
            Ok(answer) => answer.map_err(|error| Failure::of(&error, scope)),
            Err(_) => Err(Failure::Lost(format!("no answer within {:?}", self.wait_timeout))),
        }
    }
}

impl Connector {
    /// Reads the settings. `purpose` stands in `application_name` behind the prefix: a word, this
    /// process and a pipeline.
    pub fn new(database: &Database, purpose: &str) -> anyhow::Result<Self> {
        Self::with_lanes(database, purpose, 0)
    }

    /// The same for a process that has so many lanes: all its connections to the database are those
    /// of this one and of what is made of it.
    pub fn with_lanes(database: &Database, purpose: &str, lanes: usize) -> anyhow::Result<Self> {
        let mut config = match &database.url {
            Some(url) => {
                url.parse::<Config>().context("database.url is not a PostgreSQL connection URL")?
            }
            None => Config::new(),
        };
        if database.url.is_none() {
            config
                .host(&database.host)
                .port(database.port)
                .dbname(&database.name)
                .user(&database.user);
            if !database.password.is_empty() {
                config.password(&database.password);
            }
        }
        if config.get_hosts().len() > 1
            && config.get_target_session_attrs() == TargetSessionAttrs::Any
            && !says(database, "target_session_attrs")
        {
            // Of several servers one is written to.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.connect_timeout(database.connect_timeout);
        if !says(database, "keepalives") {
            config.keepalives(true).keepalives_idle(Duration::from_secs(15));
        }
        if !says(database, "tcp_user_timeout") {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        let wait_timeout = database.statement_timeout + database.lock_timeout;
        let (mode, tls) = (database.tls.mode, tls::connector(&database.tls)?);
        let application_name = database.application_name.clone();
        let connector = Self {
            config,
            mode,
            tls,
            application_name,
            wait_timeout,
            session: String::new(),
            connections: Connections::new(Shares::new(database.max_connections, lanes)),
            is_lane: false,
        };
        Ok(connector.named(purpose))
    }

    /// The connections that this one shares with others.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The same, with another purpose.
    pub fn named(mut self, purpose: &str) -> Self {
        let of_file =
            self.application_name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
        self.config.application_name(application_name(&format!("{purpose}{of_file}")));
        self
    }

    /// The database's name, for messages.
    pub fn database_name(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.config.get_user().unwrap_or("postgres"))
    }

    /// The same server, another database.
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// The same, for those who only read: PostgreSQL refuses anything else, and no query runs
    /// longer than an answer may take.
    pub fn read_only(&self) -> Self {
        let mut other = self.clone();
        other.session =
            "; SET default_transaction_read_only = on; SET statement_timeout = '15s'".to_owned();
        other
    }

    /// The same, where the server ends a statement, or the wait for a lock, after so long, also
    /// when nobody waits for its answer any more.
    pub fn bounded(&self, timeout: Duration) -> Self {
        let mut other = self.clone();
        let milliseconds = timeout.as_millis();
        other.session = format!(
            "{}; SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds}",
            self.session
        );
        other
    }

    /// The same, for those who load: the timeouts hold outside of their transactions too, and the
    /// statements that come with every batch are planned once. A claim may end such a connection,
    /// see [`load_application_name`], and no other.
    pub fn for_loads(&self, pipeline: &Pipeline) -> Self {
        let database = &pipeline.database;
        let mut other =
            self.clone().named(&format!("{LOADS} {} {}", pipeline.name, std::process::id()));
        other.session = format!(
            "; SET lock_timeout = {}; SET statement_timeout = {}; SET plan_cache_mode = \
                force_generic_plan",
            database.lock_timeout.as_millis(),
            database.statement_timeout.as_millis(),
        );
        other.is_lane = true;
        other
    }

    /// Where this leads, for messages; never a password.
    pub fn target(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            Some(tokio_postgres::config::Host::Unix(folder)) => folder.display().to_string(),
            None => "localhost".to_owned(),
        };
        format!(
            "{host}:{}/{}",
            self.config.get_ports().first().unwrap_or(&5432),
            self.database_name()
        )
    }

    async fn connect_by(&self, mode: ClientMode) -> Result<(Client, Socket), Failure> {
        let mut config = self.config.clone();
        config.ssl_mode(mode);
        let patience = self.patience();
        let connecting = config.connect(self.tls.clone());
        let answer = tokio::time::timeout(patience, connecting).await;
        let answer = answer.map_err(|_| {
            Failure::Lost(format!("{} gave no answer within {patience:?}", self.target()))
        })?;
        answer.map_err(|error| match Failure::of(&error, Scope::Own) {
            Failure::Lost(reason) => {
                let advice =
                    tls::advice(&error).map_or_else(String::new, |advice| format!("; {advice}"));
                Failure::Lost(format!("{}: {reason}{advice}", self.target()))
            }
            Failure::Full(reason) => Failure::Full(format!(
                "{}: {reason}; this process opens at most {} connections \
                    (database.max_connections)",
                self.target(),
                self.connections.most()
            )),
            other => other,
        })
    }

    fn patience(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(10)) * 2
    }

    /// Connects and prepares the session, when it is its turn among the connections of this
    /// process.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let Some(seat) = self.connections.seat(self.is_lane, self.patience()).await else {
            return Err(Failure::Full(format!(
                "all {} connections of this process to {} are in use (database.max_connections)",
                self.connections.most(),
                self.target()
            )));
        };
        let (client, connection) = match self.mode {
            SslMode::Disable => self.connect_by(ClientMode::Disable).await?,
            // The server says by a refusal that it wants TLS.
            SslMode::Allow => match self.connect_by(ClientMode::Disable).await {
                Ok(connected) => connected,
                Err(refused) => self.connect_by(ClientMode::Require).await.map_err(|_| refused)?,
            },
            SslMode::Prefer => self.connect_by(ClientMode::Prefer).await?,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                self.connect_by(ClientMode::Require).await?
            }
        };
        let (open, dropped) = oneshot::channel();
        tokio::spawn(serve_socket(connection, dropped, seat));
        let connection = Connection {
            client,
            wait_timeout: self.wait_timeout,
            prepared: Mutex::default(),
            _open: open,
        };
        let session = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET synchronous_commit = on; \
            SET quote_all_identifiers = off; SET idle_in_transaction_session_timeout = '60s'; SET \
            client_min_messages = warning";
        connection
            .within(
                connection
                    .client
                    .batch_execute(&format!("{session}{}; {WITHOUT_OWN_SCHEMA}", self.session)),
            )
            .await?;
        // Not every server can, and none must.
        let check = format!("SET client_connection_check_interval = {}", CLIENT_CHECK.as_millis());
        let _ = connection.within(connection.client.batch_execute(&check)).await;
        Ok(connection)
    }
}

/// Serves a connection until it ends or is dropped; then it is closed, also in the middle of a
/// statement. Its seat is free when the backend is gone.
async fn serve_socket(mut socket: Socket, dropped: oneshot::Receiver<()>, seat: Seat) {
    // An error reaches whoever waits on the client: there is nothing to add.
    let ended = tokio::select! {
        ended = &mut socket => Some(ended),
        _ = dropped => tokio::time::timeout(GOODBYE, &mut socket).await.ok(),
    };
    drop(socket);
    let lingers = match ended {
        Some(Ok(())) => BACKEND_ENDS_WITHIN,
        // The server ended it.
        Some(Err(error)) if error.as_db_error().is_some() => Duration::ZERO,
        Some(Err(_)) | None => CLIENT_CHECK + BACKEND_ENDS_WITHIN,
    };
    tokio::time::sleep(lingers).await;
    drop(seat);
}

/// How a connection that loads says what it is: the first word of its purpose.
const LOADS: &str = "load";

/// With what the `application_name` of every connection begins that loads this pipeline, whichever
/// process has it.
pub fn load_application_name(pipeline: &str) -> String {
    application_name(&format!("{LOADS} {pipeline} "))
}

fn application_name(purpose: &str) -> String {
    format!("{APPLICATION_NAME_PREFIX}{purpose}")
        .chars()
        .take(APPLICATION_NAME_CHARACTERS)
        .collect()
}

/// Whether the URL has a parameter of this name, or one whose name begins so.
fn says(database: &Database, parameter: &str) -> bool {
    let query =
        database.url.as_deref().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    query.split('&').any(|given| given.starts_with(parameter))
}
