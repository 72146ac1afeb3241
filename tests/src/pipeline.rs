//! A copy of a pipeline with a topic, a group and a database of the test's own. Everything else is
//! the product's file.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::log::TestLog;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The copied file, and what the program's environment must say.
#[derive(Debug, Clone)]
pub struct TestPipeline {
    pub file: PathBuf,
    pub environment: Vec<(String, String)>,
    pub log_folder: PathBuf,
}

/// What a test changes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub batch_records: usize,
    pub workers: usize,
    /// A static member's name.
    pub instance: Option<String>,
    /// Empty leaves it to the product.
    pub session_timeout: String,
    pub retries: String,
    /// More replacements in the file's text: what stands there, and what shall.
    pub replace: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: 10_000,
            workers: 2,
            instance: None,
            session_timeout: "6s".into(),
            retries: "forever".into(),
            replace: Vec::new(),
        }
    }
}

impl Settings {
    /// Notices a silent database within five seconds, and tries again soon.
    pub fn impatient(mut self) -> Self {
        let retries = r#"retries: "${DB_RETRIES:-5}""#;
        let more = format!(
            "{retries}\n  connect_timeout: 2s\n  statement_timeout: 3s\n  lock_timeout: \
                2s\n  retry_backoff_max: 1s"
        );
        self.replace.push((retries.to_owned(), more));
        self
    }

    /// Another setting of librdkafka's.
    pub fn kafka(mut self, name: &str, value: &str) -> Self {
        self.replace
            .push(("  kafka:\n".to_owned(), format!("  kafka:\n    {name}: \"{value}\"\n")));
        self
    }
}

impl TestPipeline {
    /// Copies `pipelines/sales/pipeline.yaml`.
    pub fn sales(log: &TestLog, database_url: &str, settings: &Settings) -> Result<TestPipeline> {
        Self::copy_of(
            "pipelines/sales/pipeline.yaml",
            "sales",
            "sales-group",
            log,
            database_url,
            settings,
        )
    }

    /// Copies `pipelines/ecommerce/pipeline.yaml`.
    pub fn ecommerce(
        log: &TestLog,
        database_url: &str,
        settings: &Settings,
    ) -> Result<TestPipeline> {
        Self::copy_of(
            "pipelines/ecommerce/pipeline.yaml",
            "ecommerce-events",
            "ecommerce-consumer-group",
            log,
            database_url,
            settings,
        )
    }

    /// Copies `pipelines/logistics/pipeline.yaml`.
    pub fn logistics(
        log: &TestLog,
        database_url: &str,
        settings: &Settings,
    ) -> Result<TestPipeline> {
        let (topic, group) = ("eventos_rastreamento", "rastreamento_consumer_group");
        Self::copy_of(
            "pipelines/logistics/pipeline.yaml",
            topic,
            group,
            log,
            database_url,
            settings,
        )
    }

    /// A pipeline of these sections, named `small`, that takes its topic's records as JSON.
    pub fn of_sections(log: &TestLog, database_url: &str, sections: &str) -> Result<TestPipeline> {
        let TestLog { topic, .. } = log;
        let head = format!(
            "pipeline: small\nsource:\n  topic: {topic}\n  group: {topic}-group\n  partitions: \
                1\n  format: json\n  kafka:\n    \
             bootstrap.servers: \"${{KAFKA_BOOTSTRAP_SERVERS:-}}\"\ndatabase: {{ \
                url: \"${{DATABASE_URL}}\", retries: forever }}\n"
        );
        let file = log.folder.path().join("small.yaml");
        std::fs::write(&file, head + sections)?;
        let environment = [
            ("KAFKA_BOOTSTRAP_SERVERS", log.bootstrap_servers.as_str()),
            ("DATABASE_URL", database_url),
        ];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(TestPipeline { file, environment, log_folder: log.log_folder() })
    }

    fn copy_of(
        file: &str,
        topic: &str,
        group: &str,
        log: &TestLog,
        database_url: &str,
        settings: &Settings,
    ) -> Result<TestPipeline> {
        let path = root().join(file);
        let mut text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let mut source = format!("topic: {}", log.topic);
        if !settings.session_timeout.is_empty() {
            source.push_str(&format!("\n  session_timeout: {}", settings.session_timeout));
        }
        if let Some(instance) = &settings.instance {
            source.push_str(&format!("\n  instance: {instance}"));
        }
        let mut replacements = vec![
            (format!("topic: {topic}"), source),
            (format!("group: {group}"), format!("group: {}-group", log.topic)),
        ];
        replacements.extend(settings.replace.iter().cloned());
        for (from, to) in &replacements {
            ensure!(text.contains(from.as_str()), "{} has no {from:?} any more", path.display());
            text = text.replacen(from.as_str(), to, 1);
        }
        let name = settings.instance.clone().unwrap_or_else(|| "pipeline".to_owned());
        let file = log.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        let environment = [
            ("KAFKA_BOOTSTRAP_SERVERS", log.bootstrap_servers.clone()),
            ("DATABASE_URL", database_url.to_owned()),
            ("TIMESCALE_DATABASE_URL", String::new()),
            ("BATCH_SIZE", settings.batch_records.to_string()),
            ("WORKERS", settings.workers.to_string()),
            ("DB_RETRIES", settings.retries.clone()),
        ];
        let environment =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(TestPipeline { file, environment, log_folder: log.log_folder() })
    }

    /// Where its database is.
    pub fn database_url(&self) -> String {
        let url = self.environment.iter().find(|(name, _)| name == "DATABASE_URL");
        url.map(|(_, url)| url.clone()).unwrap_or_default()
    }

    /// The same file with another value of one of its variables.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment
            .iter_mut()
            .filter(|(known, _)| known == name)
            .for_each(|(_, known)| *known = value.to_owned());
        self
    }
}
