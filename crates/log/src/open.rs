//! Which log a process uses: Kafka where bootstrap servers are named, else the embedded one.

use std::path::Path;
use std::sync::Arc;

use super::embedded::EmbeddedLog;
use super::kafka::KafkaLog;
use super::{Log, LogError, Sealing};

/// Opens the log. With bootstrap servers nothing connects yet; without them the folder is made, and
/// its file opened. `kafka_settings` are the pairs of `source.kafka`; those that would break the
/// promise are refused in either case, so that a file does not begin to fail only when it meets
/// Kafka. Its records are kept plain.
pub fn open(
    kafka_bootstrap_servers: Option<&str>,
    kafka_settings: &[(String, String)],
    embedded_folder: &Path,
) -> Result<Arc<dyn Log>, LogError> {
    open_sealed(kafka_bootstrap_servers, kafka_settings, embedded_folder, Sealing::default())
}

/// [`open`], with the keys that seal the embedded log: what Kafka keeps is Kafka's affair.
pub fn open_sealed(
    kafka_bootstrap_servers: Option<&str>,
    kafka_settings: &[(String, String)],
    embedded_folder: &Path,
    sealing: Sealing,
) -> Result<Arc<dyn Log>, LogError> {
    let kafka_log = |servers: &str| KafkaLog::new(servers, kafka_settings);
    match kafka_bootstrap_servers.map(str::trim).filter(|servers| !servers.is_empty()) {
        Some(servers) => Ok(Arc::new(kafka_log(servers)?)),
        None => {
            kafka_log("")?;
            Ok(Arc::new(EmbeddedLog::open(embedded_folder, sealing)?))
        }
    }
}
