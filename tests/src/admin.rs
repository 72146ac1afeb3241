//! What an operator of Kafka's may do to a topic.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use duto_log::NewTopic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::log::TestLog;
use crate::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// An admin client of the log's broker.
pub struct Admin<'a> {
    log: &'a TestLog,
    client: AdminClient<DefaultClientContext>,
}

impl<'a> Admin<'a> {
    pub fn of(log: &'a TestLog) -> Result<Admin<'a>> {
        let client = ClientConfig::new()
            .set("bootstrap.servers", &log.bootstrap_servers)
            .create()
            .context("an admin client")?;
        Ok(Admin { log, client })
    }

    /// More partitions; those that are there stay.
    pub async fn grow(&self, partitions: usize) -> Result<()> {
        let wanted = [NewPartitions::new(&self.log.topic, partitions)];
        first(self.client.create_partitions(&wanted, &AdminOptions::new()).await?)
    }

    /// Deletes the topic, and waits until it is gone.
    pub async fn delete(&self) -> Result<()> {
        first(self.client.delete_topics(&[&self.log.topic], &AdminOptions::new()).await?)?;
        let is_gone =
            || self.log.log().topic(&self.log.topic, PATIENCE).is_ok_and(|found| found.is_none());
        wait_until("the topic is gone", PATIENCE, is_gone).await
    }

    /// Makes the topic after it was deleted.
    pub fn make(&self, partitions: i32) -> Result<()> {
        Ok(self.log.log().create_topic(
            &NewTopic { name: self.log.topic.clone(), partitions, retention: None },
            PATIENCE,
        )?)
    }

    /// Changes a setting of a topic.
    pub async fn set(&self, topic: &str, name: &str, value: &str) -> Result<()> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        for outcome in self.client.alter_configs([&change], &AdminOptions::new()).await? {
            outcome.map_err(|(topic, code)| anyhow!("{topic:?}: {code}"))?;
        }
        Ok(())
    }

    /// Deletes a partition's records below the offset.
    pub async fn delete_records_below(&self, partition: i32, offset: i64) -> Result<()> {
        let mut below = TopicPartitionList::new();
        below.add_partition_offset(&self.log.topic, partition, Offset::Offset(offset))?;
        self.client.delete_records(&below, &AdminOptions::new()).await?;
        let low = self.log.log().watermarks(&self.log.topic, partition, PATIENCE)?.low;
        ensure!(low == offset, "the log begins at {low}");
        Ok(())
    }
}

fn first(outcomes: Vec<rdkafka::admin::TopicResult>) -> Result<()> {
    for outcome in outcomes {
        outcome.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
    }
    Ok(())
}
