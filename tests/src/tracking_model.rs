//! What the logistics tables and endpoints must say, computed from the records one after the other,
//! without SQL.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::tracking::{Record, Tracking, TrackingMeaning};

/// The state after every record.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TrackingModel {
    /// Where each package goes, by its first record.
    packages: BTreeMap<i32, (String, String)>,
    /// The first status of a package and a moment.
    events: BTreeMap<(i32, i64), &'static str>,
    pub bad: usize,
    /// Records that wrote nothing.
    pub repeats: usize,
}

/// The dashboard's figures by plain SQL over the two tables, as the contract has them.
const PLAIN_STATUSES: &str = "SELECT status_rastreamento, count(*) FROM (
         SELECT status_rastreamento, ROW_NUMBER() OVER (PARTITION BY id_pacote
         ORDER BY data_evento DESC) AS n FROM eventos_rastreamento) e
     WHERE n = 1 GROUP BY 1 ORDER BY 2 DESC, 1";
const PLAIN_MEAN: &str = "SELECT round(extract(epoch FROM avg(entrega - envio)), 3)::text, count(*)
         FROM (
         SELECT MAX(data_evento) FILTER (WHERE status_rastreamento = 'ENTREGUE') AS entrega,
         MIN(data_evento) AS envio
         FROM eventos_rastreamento GROUP BY id_pacote) p
     WHERE entrega IS NOT NULL";

impl TrackingModel {
    /// Records of one package must be in their order.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> TrackingModel {
        let mut model = TrackingModel::default();
        for record in records {
            match &record.message.meaning {
                TrackingMeaning::Bad => model.bad += 1,
                TrackingMeaning::Event(tracking) => model.take(tracking),
            }
        }
        model
    }

    fn take(&mut self, tracking: &Tracking) {
        let Tracking { id, from, to, status, at_micros } = tracking;
        self.packages.entry(*id).or_insert_with(|| (from.clone(), to.clone()));
        match self.events.entry((*id, *at_micros)) {
            Entry::Occupied(_) => self.repeats += 1,
            Entry::Vacant(place) => {
                place.insert(status);
            }
        }
    }

    pub fn records(&self) -> usize {
        self.events.len() + self.repeats + self.bad
    }

    /// Compares both tables, row by row.
    pub async fn compare(&self, client: &Client) -> Result<()> {
        let rows = client
            .query("SELECT id_pacote, origem, destino, data_criacao IS NOT NULL FROM pacotes", &[])
            .await?;
        let packages = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        ensure!(rows.iter().all(|row| row.get(3)), "a package has no data_criacao");
        same("pacotes", &packages, &self.packages)?;
        let statement = "SELECT id_pacote, (extract(epoch FROM data_evento) * 1000000)::bigint,
            status_rastreamento FROM eventos_rastreamento";
        let rows = client.query(statement, &[]).await?;
        let events: BTreeMap<(i32, i64), String> =
            rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        ensure!(events.len() == rows.len(), "an event is there twice");
        same(
            "eventos_rastreamento",
            &events,
            &self.events.iter().map(|(key, status)| (*key, (*status).to_owned())).collect(),
        )
    }

    /// Each package's latest status, counted.
    pub fn statuses(&self) -> BTreeMap<&'static str, i64> {
        let latest: BTreeMap<i32, &'static str> =
            self.events.iter().map(|((id, _), status)| (*id, *status)).collect();
        let mut counts = BTreeMap::new();
        latest.values().for_each(|status| *counts.entry(*status).or_default() += 1);
        counts
    }

    /// From the first event to the last delivery, for each package that was delivered, in
    /// microseconds.
    fn deliveries(&self) -> Vec<i64> {
        let first =
            |id: i32| self.events.range((id, i64::MIN)..).next().map_or(0, |((_, at), _)| *at);
        let last = |id: i32| {
            let own = self.events.range((id, i64::MIN)..=(id, i64::MAX)).rev();
            own.filter(|(_, status)| **status == "ENTREGUE").map(|((_, at), _)| *at).next()
        };
        self.packages.keys().filter_map(|id| Some(last(*id)? - first(*id))).collect()
    }

    /// Compares an answer of the statuses, in their order.
    pub fn compare_statuses(&self, answer: &Value) -> Result<()> {
        let mut expected: Vec<(&str, i64)> = self.statuses().into_iter().collect();
        expected.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        let total: i64 = expected.iter().map(|(_, count)| count).sum();
        let rows: Vec<(&str, i64)> = answer
            .as_array()
            .context("an array")?
            .iter()
            .map(|row| {
                (
                    row["status"].as_str().unwrap_or_default(),
                    row["pacotes"].as_i64().unwrap_or_default(),
                )
            })
            .collect();
        ensure!(rows == expected, "{answer}, expected is {expected:?}");
        for (row, (_, count)) in answer.as_array().into_iter().flatten().zip(&expected) {
            let share = row["percentual"].as_f64().context("a share")?;
            ensure!((share - 100.0 * *count as f64 / total as f64).abs() < 0.006, "{row}");
        }
        Ok(())
    }

    /// Compares an answer of the mean time.
    pub fn compare_mean(&self, answer: &Value) -> Result<()> {
        let deliveries = self.deliveries();
        ensure!(
            answer["pacotes_entregues"] == deliveries.len(),
            "{answer}, expected are {} deliveries",
            deliveries.len()
        );
        if deliveries.is_empty() {
            ensure!(
                answer["segundos"].is_null() && answer["tempo_medio_entrega"].is_null(),
                "{answer}, expected is nothing"
            );
            return Ok(());
        }
        let mean = deliveries.iter().map(|micros| *micros as f64).sum::<f64>()
            / deliveries.len() as f64
            / 1e6;
        let found = answer["segundos"].as_f64().context("seconds")?;
        ensure!((found - mean).abs() < 0.002, "{found} seconds, expected are {mean}");
        Ok(())
    }

    pub fn compare_total(&self, answer: &Value) -> Result<()> {
        ensure!(
            *answer == json!({ "total_pacotes": self.packages.len() }),
            "{answer}, expected are {}",
            self.packages.len()
        );
        Ok(())
    }

    /// The figures of the page are those of plain SQL over the two tables.
    pub async fn compare_plain_sql(
        &self,
        client: &Client,
        statuses: &Value,
        mean: &Value,
    ) -> Result<()> {
        let rows = client.query(PLAIN_STATUSES, &[]).await?;
        let mut plain: Vec<(String, i64)> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        plain.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
        let told: Vec<(String, i64)> = statuses
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| {
                (
                    row["status"].as_str().unwrap_or_default().to_owned(),
                    row["pacotes"].as_i64().unwrap_or_default(),
                )
            })
            .collect();
        ensure!(plain == told, "plain SQL says {plain:?}, the endpoint {told:?}");
        let row = client.query_one(PLAIN_MEAN, &[]).await?;
        let seconds: Option<String> = row.get(0);
        let plain = seconds.map(|seconds| seconds.parse::<f64>()).transpose()?;
        let agree = match (plain, mean["segundos"].as_f64()) {
            (None, None) => true,
            (Some(plain), Some(told)) => (plain - told).abs() < 0.002,
            _ => false,
        };
        ensure!(
            agree && mean["pacotes_entregues"] == row.get::<_, i64>(1),
            "plain SQL says {plain:?}, the endpoint {mean}"
        );
        Ok(())
    }
}

fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> Result<()> {
    let missing: Vec<_> =
        expected.iter().filter(|(key, value)| found.get(key) != Some(value)).take(5).collect();
    let surplus: Vec<_> =
        found.iter().filter(|(key, value)| expected.get(key) != Some(value)).take(5).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: {} rows, expected are {}; for example missing {missing:?}, surplus {surplus:?}",
        found.len(),
        expected.len()
    );
    Ok(())
}
