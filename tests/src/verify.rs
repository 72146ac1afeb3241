//! What is in the database against what a sequential model says: every message in its partition's
//! order, one after the other.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, ensure};
use tokio_postgres::{Client, NoTls};

use crate::log::Placed;
use crate::orders::Meaning;

/// What must become of each message, and what the table must hold.
pub struct Model {
    /// By partition and offset: `s` stored, `d` repeated, `r` rejected.
    outcomes: BTreeMap<(i32, i64), char>,
    /// The total of each order.
    totals: BTreeMap<i64, String>,
    /// The bytes of each malformed message.
    malformed: BTreeMap<(i32, i64), Vec<u8>>,
}

impl Model {
    /// Repeats must have the key of what they repeat: then their order is defined.
    pub fn of(placed: &[Placed]) -> Model {
        let mut in_order: Vec<&Placed> = placed.iter().collect();
        in_order.sort_by_key(|placed| (placed.partition, placed.offset));
        let mut model = Model {
            outcomes: BTreeMap::new(),
            totals: BTreeMap::new(),
            malformed: BTreeMap::new(),
        };
        let mut seen = HashSet::new();
        for placed in in_order {
            let place = (placed.partition, placed.offset);
            let outcome = match &placed.message.meaning {
                Meaning::Malformed => {
                    model.malformed.insert(place, placed.message.payload.clone());
                    'r'
                }
                Meaning::Order { number, total } if seen.insert(*number) => {
                    model.totals.insert(*number, total.clone());
                    's'
                }
                Meaning::Order { .. } => 'd',
            };
            model.outcomes.insert(place, outcome);
        }
        model
    }

    pub fn stored(&self) -> usize {
        self.totals.len()
    }

    /// Compares rows, rejects and ledger, to the row.
    pub async fn compare(&self, client: &Client) -> Result<()> {
        self.compare_rows(client).await.context("the table")?;
        self.compare_rejects(client).await.context("the rejects")?;
        self.compare_ledger(client).await.context("the ledger")
    }

    /// The rows alone, where rejects were replayed or the topic is another.
    pub async fn compare_rows(&self, client: &Client) -> Result<()> {
        let rows = client
            .query("SELECT order_number, total_value::text, count(*) FROM sales GROUP BY 1, 2", &[])
            .await?;
        let mut found = BTreeMap::new();
        for row in &rows {
            ensure!(
                row.get::<_, i64>(2) == 1,
                "order {} is there {} times",
                row.get::<_, i64>(0),
                row.get::<_, i64>(2)
            );
            found.insert(row.get::<_, i64>(0), row.get::<_, String>(1));
        }
        same(&found, &self.totals)
    }

    async fn compare_rejects(&self, client: &Client) -> Result<()> {
        let rows = client
            .query(r#"SELECT partition, "offset", payload, stage, reason FROM duto.reject"#, &[])
            .await?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let place = (row.get::<_, i32>(0), row.get::<_, i64>(1));
            ensure!(!row.get::<_, String>(4).is_empty(), "the reject at {place:?} has no reason");
            let payload: Option<Vec<u8>> = row.get(2);
            ensure!(
                found.insert(place, payload.unwrap_or_default()).is_none(),
                "the record at {place:?} is rejected twice"
            );
        }
        same(&found, &self.malformed)
    }

    async fn compare_ledger(&self, client: &Client) -> Result<()> {
        let statement = "SELECT partition, from_offset, to_offset, records, stored, not_stored,
            outcomes, kind FROM duto.batch WHERE kind <> 'replay' ORDER BY partition, id";
        let mut at: BTreeMap<i32, i64> = BTreeMap::new();
        let mut covered: BTreeMap<(i32, i64), char> = BTreeMap::new();
        for row in &client.query(statement, &[]).await? {
            let (partition, from, to): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let expected = at.insert(partition, to).unwrap_or(0);
            ensure!(
                from == expected,
                "partition {partition}: a batch begins at {from}, the one before ended at \
                    {expected}"
            );
            if row.get::<_, String>(7) != "load" {
                // An operator moved the position, and that is on record.
                continue;
            }
            let (offsets, letters): (Vec<i64>, String) = (row.get(5), row.get(6));
            let not_stored: BTreeMap<i64, char> =
                offsets.into_iter().zip(letters.chars()).collect();
            let mut records = 0;
            for (place, _) in self.outcomes.range((partition, from)..(partition, to)) {
                records += 1;
                covered.insert(*place, not_stored.get(&place.1).copied().unwrap_or('s'));
            }
            ensure!(
                row.get::<_, i32>(3) == records,
                "partition {partition}, offsets {from} to {to}: the ledger counts {} records, it \
                    is {records}",
                row.get::<_, i32>(3)
            );
            ensure!(
                row.get::<_, i32>(4) as usize + not_stored.len() == records as usize,
                "partition {partition}, offsets {from} to {to}: the counts do not add up"
            );
        }
        same(&covered, &self.outcomes)
    }
}

/// Where each partition stands.
pub async fn positions(client: &Client) -> Result<BTreeMap<i32, i64>> {
    let rows = client.query("SELECT partition, next FROM duto.position", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Connects to a database of the tests.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("connecting to look at the result")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first few differences, not two maps of a hundred thousand entries.
fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> Result<()> {
    let missing: Vec<_> =
        expected.iter().filter(|(key, value)| found.get(key) != Some(value)).take(5).collect();
    let surplus: Vec<_> =
        found.iter().filter(|(key, value)| expected.get(key) != Some(value)).take(5).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{} entries, expected are {}; for example missing {missing:?}, surplus {surplus:?}",
        found.len(),
        expected.len()
    );
    Ok(())
}
