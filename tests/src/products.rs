//! Messages of the products topic, both forms of them, and the two applications that they go
//! through.

use anyhow::{Context, Result, ensure};
use duto_servers::{free_port, shared};
use serde_json::json;

use crate::log::TestLog;
use crate::orders::Message;
use crate::pipeline::{TestPipeline, root};
use crate::worker::Worker;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Stored { product_id: String },
    Rejected,
}

/// Products p1, p2, ...; every second message is a JSON string that holds the JSON, and every
/// hundredth is no product.
pub fn products(count: usize) -> Vec<Message<Fate>> {
    (1..=count).map(product).collect()
}

fn product(number: usize) -> Message<Fate> {
    let product_id = format!("p{number}");
    if number.is_multiple_of(100) {
        let payload = if number.is_multiple_of(200) {
            b"not JSON".to_vec()
        } else {
            br#""{\"productId\": 7}""#.to_vec()
        };
        return Message { key: product_id, payload, meaning: Fate::Rejected };
    }
    let body = json!({
        "productId": product_id, "productName": format!("Product \"{number}\""), "productDescription": "é", "price": number as f64 / 4.0,
        "currency": "BRL", "stockQuantity": number, "category": "Móveis",
    })
    .to_string();
    let payload = if number.is_multiple_of(2) { json!(body).to_string() } else { body };
    Message {
        key: product_id.clone(),
        payload: payload.into_bytes(),
        meaning: Fate::Stored { product_id },
    }
}

/// Both applications, with ports and topics of the test's own. `log.topic` is the topic that the
/// scheduler reads.
pub struct Applications {
    pub api: TestPipeline,
    pub scheduler: TestPipeline,
    pub api_port: u16,
    pub scheduler_port: u16,
    /// The topic that tells of stored products.
    pub persisted: String,
}

impl Applications {
    pub fn new(log: &TestLog, database_url: &str) -> Result<Applications> {
        let (api_port, scheduler_port) = (free_port()?, free_port()?);
        Self::calling(
            log,
            database_url,
            api_port,
            scheduler_port,
            &format!("http://127.0.0.1:{api_port}"),
        )
    }

    /// The scheduler calls another API than ours.
    pub fn calling(
        log: &TestLog,
        database_url: &str,
        api_port: u16,
        scheduler_port: u16,
        api_url: &str,
    ) -> Result<Applications> {
        let (received, persisted) =
            (shared::unique_name("received"), shared::unique_name("persisted"));
        let address = |port: u16| format!("127.0.0.1:{port}");
        let environment = [
            ("KAFKA_BOOTSTRAP_SERVERS", log.bootstrap_servers.clone()),
            ("DATABASE_URL", database_url.to_owned()),
            ("DB_RETRIES", "forever".to_owned()),
            ("KAFKA_TOPIC_CADASTRO_PRODUTO", log.topic.clone()),
            ("KAFKA_TOPIC_PRODUTOS_RECEBIDOS", received.clone()),
            ("KAFKA_TOPIC_PRODUTOS_PERSISTIDOS", persisted.clone()),
            ("PRODUCTS_API_URL", api_url.to_owned()),
            ("PRODUCTS_API_LISTEN", address(api_port)),
            ("PRODUCTS_SCHEDULER_LISTEN", address(scheduler_port)),
        ];
        let environment: Vec<(String, String)> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let copy = |name: &str| -> Result<TestPipeline> {
            let path = root().join(format!("pipelines/products/{name}.yaml"));
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            let (own, shared) =
                (format!("  group: products-{name}\n"), format!("  group: {received}-{name}\n"));
            ensure!(text.contains(&own), "{} has no {own:?} any more", path.display());
            let file = log.folder.path().join(format!("{name}.yaml"));
            let patient = "    headers:\n";
            let impatient = "    retry_backoff: 200ms\n    retry_backoff_max: 2s\n    headers:\n";
            std::fs::write(&file, text.replacen(&own, &shared, 1).replacen(patient, impatient, 1))?;
            Ok(TestPipeline {
                file,
                environment: environment.clone(),
                log_folder: log.log_folder(),
            })
        };
        Ok(Applications {
            api: copy("api")?,
            scheduler: copy("scheduler")?,
            api_port,
            scheduler_port,
            persisted,
        })
    }

    pub fn start_api(&self) -> Result<Worker> {
        Worker::start(&self.api, &[])
    }

    pub fn start_scheduler(&self) -> Result<Worker> {
        Worker::start(&self.scheduler, &[])
    }
}
