//! What the e-commerce tables, views and endpoints must say, computed from the messages one after
//! the other, without SQL.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::events::{Event, EventMeaning, Product, decimal};
use crate::log::Placed;

const HOUR_MICROS: i64 = 3_600_000_000;
const MINUTE_MICROS: i64 = 60_000_000;
pub const SECOND_MICROS: i64 = 1_000_000;

/// The state after every message.
#[derive(Debug, Default)]
pub struct EventModel {
    events: BTreeMap<String, Event>,
    products: BTreeMap<String, Product>,
    malformed: usize,
    repeats: usize,
}

/// What a product sold.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sold {
    sales: i64,
    quantity: i64,
    revenue_cents: i64,
}

/// Rows of a query, each as its columns' texts.
type Rows = Vec<Vec<String>>;

impl EventModel {
    /// Messages count in their partition's order. What is the first of its key in two partitions
    /// must be the same in both.
    pub fn of(placed: &[Placed<EventMeaning>]) -> EventModel {
        let mut in_order: Vec<_> = placed.iter().collect();
        in_order.sort_by_key(|placed| (placed.partition, placed.offset));
        let mut model = EventModel::default();
        for placed in in_order {
            match &placed.message.meaning {
                EventMeaning::Malformed => model.malformed += 1,
                EventMeaning::Event(event) if model.events.contains_key(&event.event_id) => {
                    model.repeats += 1
                }
                EventMeaning::Event(event) => {
                    if let Some(product) = &event.product {
                        model.products.entry(product.id.clone()).or_insert_with(|| product.clone());
                    }
                    model.events.insert(event.event_id.clone(), (**event).clone());
                }
            }
        }
        model
    }

    /// How many events are stored.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Compares tables, views, ledger and rejects.
    pub async fn compare(&self, client: &Client) -> Result<()> {
        for (statement, expected) in [
            (
                "SELECT event_id, event_type, to_char(timestamp, 'YYYY-MM-DD HH24:MI:SS.US'),
                    user_id, session_id FROM events",
                self.event_rows(),
            ),
            ("SELECT product_id, product_name, category, price::text
                FROM products", self.product_rows()),
            (
                "SELECT transaction_id, event_id, product_id, quantity::text, total_amount::text,
                 payment_method,
                 to_char(timestamp, 'YYYY-MM-DD HH24:MI:SS.US') FROM transactions",
                self.transaction_rows(),
            ),
            (
                "SELECT category, total_transactions::text, total_quantity::text,
                    total_revenue::text, avg_transaction_value::text FROM sales_by_category",
                self.category_rows(),
            ),
            (
                "SELECT product_id, product_name, category, total_sales::text, total_quantity::text,
                    total_revenue::text FROM top_products",
                self.top_rows(),
            ),
            (
                "SELECT date::text, total_events::text, unique_users::text, total_sessions::text,
                    total_purchases::text FROM daily_metrics",
                self.daily_rows(),
            ),
            (
                "SELECT sum(records)::text, sum(stored)::text, sum(repeated)::text,
                    sum(rejected)::text, sum(filtered)::text FROM duto.batch WHERE kind = 'load'",
                self.ledger_rows(),
            ),
            ("SELECT count(*)::text FROM duto.reject", vec![vec![self.malformed.to_string()]]),
        ] {
            same_rows(client, statement, expected).await.with_context(|| statement.to_owned())?;
        }
        Ok(())
    }

    /// What an endpoint must answer at this moment, with the clock's own fields taken out.
    pub fn answer(&self, path: &str, now_micros: i64) -> Value {
        // Windows are of whole seconds: the current one is not over yet.
        let second = now_micros - now_micros.rem_euclid(SECOND_MICROS);
        let hour_of = |at: i64| at - at.rem_euclid(HOUR_MICROS);
        let is_recent =
            |event: &&Event| (second - 24 * HOUR_MICROS..second).contains(&event.at_micros);
        let recent = || self.events.values().filter(is_recent);
        let total = |events: &mut dyn Iterator<Item = &Event>| {
            sum(events.map(|event| event.purchase.as_ref().map_or(0, |bought| bought.total_cents)))
        };
        match path {
            "/api/metrics/summary" => {
                let purchases = self.purchases().count() as i64;
                let events = self.events.len() as i64;
                json!({
                    "total_events": events, "events_24h": recent().count(), "total_transactions": purchases,
                    "total_revenue": number(&decimal(total(&mut self.events.values()))), "revenue_24h": number(&decimal(total(&mut recent()))),
                    "unique_users": self.distinct(self.events.values(), |event| &event.user_id), "unique_products": self.products.len(),
                    "conversion_rate": number(&decimal(rounded(purchases * 10_000, events))),
                })
            }
            "/api/metrics/timeline" => (0..24)
                .map(|back| hour_of(now_micros) - (23 - back) * HOUR_MICROS)
                .map(|hour| {
                    let within: Vec<&Event> = self.events.values().filter(|event| hour_of(event.at_micros) == hour).collect();
                    let purchases = within.iter().filter(|event| event.purchase.is_some()).count();
                    json!({
                        "hour": moment(hour).format("%Y-%m-%dT%H:%M:%S").to_string(), "events": within.len(),
                        "users": self.distinct(within.iter().copied(), |event| &event.user_id), "purchases": purchases,
                    })
                })
                .collect(),
            "/api/metrics/top-products" => {
                let row = |row: Vec<String>| json!({"name": row[1], "category": row[2], "sales": number(&row[3]), "quantity": number(&row[4]), "revenue": number(&row[5])});
                self.top_rows().into_iter().map(row).collect()
            }
            "/api/metrics/by-category" => {
                let mut rows: Vec<(String, Sold)> = self.by_category().into_iter().collect();
                rows.sort_by(|one, other| other.1.revenue_cents.cmp(&one.1.revenue_cents).then_with(|| one.0.cmp(&other.0)));
                let row = |(category, sold): (String, Sold)| json!({"category": category, "transactions": sold.sales, "quantity": sold.quantity, "revenue": number(&decimal(sold.revenue_cents))});
                rows.into_iter().map(row).collect()
            }
            "/api/metrics/event-types" => {
                let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
                recent().for_each(|event| *counts.entry(event.event_type).or_default() += 1);
                let mut rows: Vec<(&str, i64)> = counts.into_iter().collect();
                rows.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
                rows.into_iter().map(|(event_type, count)| json!({"type": event_type, "count": count})).collect()
            }
            "/api/metrics/realtime" => {
                let within: Vec<&Event> =
                    self.events.values().filter(|event| (second - MINUTE_MICROS..second).contains(&event.at_micros)).collect();
                json!({
                    "events_per_minute": within.len(), "purchases_per_minute": within.iter().filter(|event| event.purchase.is_some()).count(),
                    "revenue_per_minute": number(&decimal(total(&mut within.into_iter()))),
                })
            }
            other => json!({"error": format!("the model knows no {other}")}),
        }
    }

    fn purchases(&self) -> impl Iterator<Item = (&Event, &Product, Sold)> {
        self.events.values().filter_map(|event| {
            let bought = event.purchase.as_ref()?;
            Some((
                event,
                event.product.as_ref()?,
                Sold { sales: 1, quantity: bought.quantity, revenue_cents: bought.total_cents },
            ))
        })
    }

    fn distinct<'a>(
        &'a self,
        events: impl Iterator<Item = &'a Event>,
        of: fn(&Event) -> &String,
    ) -> usize {
        events.map(of).collect::<BTreeSet<_>>().len()
    }

    fn event_rows(&self) -> Rows {
        let row = |event: &Event| {
            let Event { event_id, event_type, at_micros, user_id, session_id, .. } = event;
            vec![
                event_id.clone(),
                (*event_type).to_owned(),
                full(*at_micros),
                user_id.clone(),
                session_id.clone(),
            ]
        };
        self.events.values().map(row).collect()
    }

    fn product_rows(&self) -> Rows {
        let row = |product: &Product| {
            vec![
                product.id.clone(),
                product.name.clone(),
                product.category.clone(),
                decimal(product.price_cents),
            ]
        };
        self.products.values().map(row).collect()
    }

    fn transaction_rows(&self) -> Rows {
        let row = |(event, product, sold): (&Event, &Product, Sold)| {
            let payment = event.purchase.as_ref().map_or("", |bought| bought.payment);
            vec![
                format!("TXN_{}", event.event_id),
                event.event_id.clone(),
                product.id.clone(),
                sold.quantity.to_string(),
                decimal(sold.revenue_cents),
                payment.to_owned(),
                full(event.at_micros),
            ]
        };
        self.purchases().map(row).collect()
    }

    fn by_product(&self) -> BTreeMap<String, Sold> {
        grouped(self.purchases().map(|(_, product, sold)| (product.id.clone(), sold)))
    }

    fn by_category(&self) -> BTreeMap<String, Sold> {
        grouped(
            self.by_product()
                .into_iter()
                .map(|(id, sold)| (self.products[&id].category.clone(), sold)),
        )
    }

    fn category_rows(&self) -> Rows {
        let row = |(category, sold): (String, Sold)| {
            let average = decimal(rounded(sold.revenue_cents, sold.sales));
            vec![
                category,
                sold.sales.to_string(),
                sold.quantity.to_string(),
                decimal(sold.revenue_cents),
                average,
            ]
        };
        self.by_category().into_iter().map(row).collect()
    }

    fn top_rows(&self) -> Rows {
        let mut sold: Vec<(String, Sold)> = self.by_product().into_iter().collect();
        sold.sort_by(|one, other| {
            other.1.revenue_cents.cmp(&one.1.revenue_cents).then_with(|| one.0.cmp(&other.0))
        });
        let row = |(id, sold): (String, Sold)| {
            let Product { name, category, .. } = &self.products[&id];
            vec![
                id.clone(),
                name.clone(),
                category.clone(),
                sold.sales.to_string(),
                sold.quantity.to_string(),
                decimal(sold.revenue_cents),
            ]
        };
        sold.into_iter().take(10).map(row).collect()
    }

    fn daily_rows(&self) -> Rows {
        let mut days: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
        for event in self.events.values() {
            days.entry(moment(event.at_micros).date().to_string()).or_default().push(event);
        }
        let row = |(day, events): (String, Vec<&Event>)| {
            let users = self.distinct(events.iter().copied(), |event| &event.user_id);
            let sessions = self.distinct(events.iter().copied(), |event| &event.session_id);
            let purchases = events.iter().filter(|event| event.purchase.is_some()).count();
            vec![
                day,
                events.len().to_string(),
                users.to_string(),
                sessions.to_string(),
                purchases.to_string(),
            ]
        };
        days.into_iter().map(row).collect()
    }

    fn ledger_rows(&self) -> Rows {
        let counts = [
            self.events.len() + self.repeats + self.malformed,
            self.events.len(),
            self.repeats,
            self.malformed,
            0,
        ];
        vec![counts.iter().map(usize::to_string).collect()]
    }
}

async fn same_rows(client: &Client, statement: &str, mut expected: Rows) -> Result<()> {
    let found = client.query(statement, &[]).await?;
    let mut found: Rows = found
        .iter()
        .map(|row| {
            (0..row.len())
                .map(|column| row.get::<_, Option<String>>(column).unwrap_or_default())
                .collect()
        })
        .collect();
    found.sort();
    expected.sort();
    let missing: Vec<_> =
        expected.iter().filter(|row| found.binary_search(row).is_err()).take(3).collect();
    let surplus: Vec<_> =
        found.iter().filter(|row| expected.binary_search(row).is_err()).take(3).collect();
    ensure!(
        found == expected,
        "{} rows, expected are {}; for example missing {missing:?}, surplus {surplus:?}",
        found.len(),
        expected.len()
    );
    Ok(())
}

fn grouped(rows: impl Iterator<Item = (String, Sold)>) -> BTreeMap<String, Sold> {
    let mut groups: BTreeMap<String, Sold> = BTreeMap::new();
    for (name, sold) in rows {
        let group = groups.entry(name).or_default();
        group.sales += sold.sales;
        group.quantity += sold.quantity;
        group.revenue_cents += sold.revenue_cents;
    }
    groups
}

fn sum(values: impl Iterator<Item = i64>) -> i64 {
    values.sum()
}

/// The quotient, half up; both are positive or the dividend is 0.
fn rounded(dividend: i64, divisor: i64) -> i64 {
    if divisor == 0 { 0 } else { (2 * dividend + divisor) / (2 * divisor) }
}

/// A number with just these digits.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or(Value::Null)
}

fn moment(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().naive_utc()
}

fn full(micros: i64) -> String {
    moment(micros).format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}
