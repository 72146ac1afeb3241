//! Apache Kafka for tests and the bench: one combined KRaft node, ready in about ten seconds.

mod jars;
mod readiness;
mod tls_listener;

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bound_child::{signal, spawn_bound, wait_at_most};
use crate::free_port;
pub use jars::cache_folder;
pub use tls_listener::TlsListener;

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What `kafka-server-start.sh` and `kafka-run-class.sh` give Java, and half of the heap for what
/// is young. On two busy cores the collector misses the goal of 20 ms, makes the young part ever
/// smaller for it, to 50 MB at 1,000 records a second, and then stops the broker every other second
/// for 10 to 35 ms; so it does that three times a minute. What survives twice is old: left alone,
/// it copies the same 22 MB from one survivor space to the other fifteen times, 30 ms each. The
/// heap's pages are got at the start: a fault of the young part's first round would be somebody's
/// latency.
const FULL: &[&str] = &[
    "-Xms1G",
    "-Xmx1G",
    "-Xmn512m",
    "-XX:MaxTenuringThreshold=1",
    "-XX:+AlwaysPreTouch",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
];
const SMALL: &[&str] = &["-Xms128m", "-Xmx512m"];

/// How a broker is run.
#[derive(Debug, Clone, Default)]
pub struct KafkaSettings {
    /// A proxy's port: clients that bootstrap through it are told to stay with it, so that all
    /// their traffic passes the proxy. It forwards to [`Kafka::behind_proxy`].
    pub proxy_port: Option<u16>,
    /// Anything of server.properties; it wins over what is set here.
    pub configuration: Vec<(String, String)>,
    /// With the heap and the collector of Kafka's own start script, but for what is young; tests
    /// need less.
    pub full_heap: bool,
    /// Each gets a port of its own, see [`Kafka::port_of`], and tells its clients to stay with it
    /// by the name `localhost`.
    pub tls_listeners: Vec<TlsListener>,
    /// Who may log in where a listener has mechanisms.
    pub scram_users: Vec<ScramUser>,
}

/// A user whose password a broker knows by one mechanism.
#[derive(Debug, Clone)]
pub struct ScramUser {
    /// `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    pub name: String,
    pub password: String,
}

/// A broker and its data. It ends with this value, and with this process.
#[derive(Debug)]
pub struct Kafka {
    folder: PathBuf,
    settings: KafkaSettings,
    port: u16,
    controller_port: u16,
    behind_proxy_port: u16,
    /// In the order of the settings' TLS listeners.
    tls_ports: Vec<u16>,
    broker: Option<Child>,
}

impl Kafka {
    /// Formats `folder`, which must be new or empty, and starts a broker on free ports.
    pub fn start(folder: &Path) -> Result<Kafka> {
        Kafka::start_with(folder, KafkaSettings::default())
    }

    /// The same with settings. Answers when the broker serves requests.
    pub fn start_with(folder: &Path, settings: KafkaSettings) -> Result<Kafka> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let (port, controller_port, behind_proxy_port) = (free_port()?, free_port()?, free_port()?);
        let tls_ports =
            settings.tls_listeners.iter().map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
        let broker = None;
        let mut kafka =
            Kafka { folder, settings, port, controller_port, behind_proxy_port, tls_ports, broker };
        fs::write(kafka.properties_file(), kafka.properties()?)?;
        kafka.format()?;
        kafka.start_again()?;
        Ok(kafka)
    }

    /// Starts the broker on the same ports and data. Does nothing if it runs.
    pub fn start_again(&mut self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = self.java()?;
        command.arg("kafka.Kafka").arg(self.properties_file());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let broker = spawn_bound(command, libc::SIGKILL)
            .context("cannot start Java, which Kafka needs (17 or newer)")?;
        self.broker = Some(broker);
        let ready = self.wait_until_ready();
        if ready.is_err() {
            self.kill()?;
        }
        ready
    }

    /// Ends the broker in good order: it closes its log and tells its clients.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut broker) = self.broker.take() else { return Ok(()) };
        if broker.try_wait()?.is_some() {
            return Ok(());
        }
        signal(&broker, libc::SIGTERM)?;
        if wait_at_most(&mut broker, STOP_LIMIT)?.is_none() {
            broker.kill()?;
            broker.wait()?;
        }
        Ok(())
    }

    /// Ends the broker at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut broker) = self.broker.take() else { return Ok(()) };
        broker.kill()?;
        broker.wait()?;
        Ok(())
    }

    /// Stops the broker's clock (SIGSTOP): its connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        let broker = self.broker.as_ref().context("the broker does not run")?;
        signal(broker, libc::SIGSTOP).context("cannot pause the broker")
    }

    pub fn resume(&self) -> Result<()> {
        let broker = self.broker.as_ref().context("the broker does not run")?;
        signal(broker, libc::SIGCONT).context("cannot resume the broker")
    }

    /// What clients take as `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        self.address().to_string()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where a proxy on `proxy_port` forwards to.
    pub fn behind_proxy(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.behind_proxy_port).into()
    }

    /// Where a TLS listener of the settings is.
    pub fn port_of(&self, listener: &str) -> Result<u16> {
        let named = self.settings.tls_listeners.iter().map(|known| known.name);
        let found = named.zip(&self.tls_ports).find(|(name, _)| *name == listener);
        found.map(|(_, port)| *port).with_context(|| format!("there is no listener {listener}"))
    }

    pub fn pid(&mut self) -> Option<u32> {
        match self.broker.as_mut()?.try_wait() {
            Ok(None) => self.broker.as_ref().map(Child::id),
            _ => None,
        }
    }

    /// The end of what the broker said.
    pub fn log(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(log.get(log.len().saturating_sub(4_000)..).unwrap_or_default())
            .trim()
            .to_owned()
    }

    fn format(&self) -> Result<()> {
        let mut command = self.java()?;
        command
            .arg("kafka.tools.StorageTool")
            .arg("format")
            .arg("-t")
            .arg(cluster_id()?)
            .arg("-c")
            .arg(self.properties_file());
        for ScramUser { mechanism, name, password } in &self.settings.scram_users {
            let user = format!("{mechanism}=[name={name},password={password}]");
            command.args(["--add-scram", &user]);
        }
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot start Java, which Kafka needs (17 or newer)")?;
        if !output.status.success() {
            let words = [output.stdout, output.stderr].concat();
            bail!(
                "formatting Kafka's storage failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&words).trim()
            );
        }
        Ok(())
    }

    fn java(&self) -> Result<Command> {
        let mut command = Command::new(jars::java());
        command
            .current_dir(&self.folder)
            .args(if self.settings.full_heap { FULL } else { SMALL })
            .arg("-Djava.awt.headless=true");
        command.args([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ]);
        command.arg("-cp").arg(jars::folder()?.join("*"));
        Ok(command)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if self.pid().is_none() {
                bail!("Kafka ended while starting: {}", self.log());
            }
            if readiness::living_brokers(self.address(), Duration::from_secs(2))
                .is_ok_and(|brokers| brokers > 0)
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("Kafka is not ready after {} s: {}", START_LIMIT.as_secs(), self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn properties_file(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    fn properties(&self) -> Result<String> {
        let (port, controller, behind) = (self.port, self.controller_port, self.behind_proxy_port);
        let mut protocols = ["PLAINTEXT:PLAINTEXT", "PROXIED:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
            .map(str::to_owned)
            .to_vec();
        protocols.extend(self.settings.tls_listeners.iter().map(TlsListener::protocol));
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            "controller.listener.names=CONTROLLER".to_owned(),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            format!("listener.security.protocol.map={}", protocols.join(",")),
            format!("log.dirs={}", self.folder.join("data").display()),
            // One node has no second replica, and a test does not wait for group members that never
            // come.
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4".to_owned(),
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1"
                .to_owned(),
            "transaction.state.log.num.partitions=4".to_owned(),
            "group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000".to_owned(),
            // A consumer that asks for a topic by a wrong name must not make it.
            "auto.create.topics.enable=false".to_owned(),
        ];
        let (mut listeners, mut advertised) =
            (format!("PLAINTEXT://127.0.0.1:{port}"), format!("PLAINTEXT://127.0.0.1:{port}"));
        if let Some(proxy) = self.settings.proxy_port {
            listeners += &format!(",PROXIED://127.0.0.1:{behind}");
            advertised += &format!(",PROXIED://127.0.0.1:{proxy}");
        }
        for (listener, port) in self.settings.tls_listeners.iter().zip(&self.tls_ports) {
            listeners += &format!(",{}://127.0.0.1:{port}", listener.name);
            advertised += &format!(",{}://localhost:{port}", listener.name);
            lines.extend(listener.write(&self.folder)?);
        }
        lines.push(format!("listeners={listeners},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners={advertised}"));
        lines.extend(
            self.settings.configuration.iter().map(|(name, value)| format!("{name}={value}")),
        );
        Ok(lines.join("\n") + "\n")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // Its data is of no use after this value; nobody waits for an orderly end.
        let _ = self.kill();
    }
}

/// A random id as Kafka writes its own: 16 bytes in 22 characters of URL-safe base64. A leading
/// dash would look like an option.
fn cluster_id() -> Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0_u8; 18];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes[..16]))
        .context("cannot read random bytes")?;
    bytes[0] &= 0x7f;
    let mut id = String::new();
    for group in bytes.chunks_exact(3) {
        let number = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        id.extend([18, 12, 6, 0].map(|shift| ALPHABET[(number >> shift & 63) as usize] as char));
    }
    id.truncate(22);
    Ok(id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn cluster_ids_are_distinct_and_of_kafkas_form() {
        let (first, second) = (super::cluster_id().unwrap(), super::cluster_id().unwrap());
        assert_ne!(first, second);
        for id in [first, second] {
            assert!(
                id.len() == 22
                    && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
                "{id}"
            );
            assert!(!id.starts_with('-'), "{id}");
        }
    }
}
