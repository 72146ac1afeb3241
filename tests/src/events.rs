//! Events for the e-commerce topic: good ones, malformed ones and repeats, each with what it says.

use chrono::{DateTime, SecondsFormat};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::orders::Message;

/// What a visitor did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: String,
    pub event_type: &'static str,
    /// Since 1970, UTC.
    pub at_micros: i64,
    pub user_id: String,
    pub session_id: String,
    pub product: Option<Product>,
    pub purchase: Option<Purchase>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: String,
    /// As it is stored: trimmed, without NUL, cut.
    pub name: String,
    pub category: String,
    pub price_cents: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    pub quantity: i64,
    /// As it is stored: rounded half up.
    pub total_cents: i64,
    pub payment: &'static str,
}

/// What a message is by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventMeaning {
    /// It is stored unless its id was stored before.
    Event(Box<Event>),
    Malformed,
}

/// One per cent is malformed, two per cent are repeats, of which every second says something else
/// than the first.
const MALFORMED_PERCENT: u32 = 1;
const REPEAT_PERCENT: u32 = 2;
const USERS: u32 = 100;
const HOUR_MICROS: i64 = 3_600_000_000;
const TYPES: [&str; 5] = ["page_view", "add_to_cart", "remove_from_cart", "purchase", "search"];
const PAYMENTS: [&str; 5] = ["credit_card", "debit_card", "paypal", "crypto", "bank_transfer"];
const CATALOGUE: [(&str, &str, i64); 10] = [
    ("Laptop Dell XPS 15", "Electronics", 129_999),
    ("iPhone 15 Pro", "Electronics", 99_999),
    ("Sony WH-1000XM5", "Electronics", 39_999),
    ("Kindle Paperwhite", "Electronics", 13_999),
    ("Nike Air Max", "Fashion", 12_999),
    ("Levi's 501 Jeans", "Fashion", 8_999),
    ("The Great Gatsby Book", "Books", 1_499),
    ("Yoga Mat Premium", "Sports", 4_999),
    ("Coffee Maker Deluxe", "Home", 7_999),
    ("Gaming Chair RGB", "Furniture", 29_999),
];

/// A key and its value as JSON.
type Pairs = Vec<(&'static str, String)>;

/// Makes messages of the last 30 hours.
pub struct Events {
    random: StdRng,
    now_micros: i64,
    made: Vec<(String, String)>,
    malformed: usize,
}

impl Events {
    pub fn new(seed: u64, now_micros: i64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), now_micros, made: Vec::new(), malformed: 0 }
    }

    pub fn take(&mut self, count: usize) -> Vec<Message<EventMeaning>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Message<EventMeaning> {
        let roll = self.random.random_range(0..100);
        if roll < MALFORMED_PERCENT {
            return self.malformed();
        }
        if roll < MALFORMED_PERCENT + REPEAT_PERCENT && !self.made.is_empty() {
            return self.repeat();
        }
        let user_id = format!("USER{:03}", self.random.random_range(1..=USERS));
        let event_id = format!("{:032x}", self.random.random::<u128>());
        self.made.push((event_id.clone(), user_id.clone()));
        let event = self.event(event_id, user_id);
        self.message(event)
    }

    /// The id of an earlier event: of one just before, which is in the same batch, or of any. The
    /// rest is made anew.
    fn repeat(&mut self) -> Message<EventMeaning> {
        let from =
            if self.random.random_bool(0.5) { self.made.len().saturating_sub(20) } else { 0 };
        let (event_id, user_id) =
            self.made[self.random.random_range(from..self.made.len())].clone();
        let event = self.event(event_id, user_id);
        self.message(event)
    }

    fn event(&mut self, event_id: String, user_id: String) -> Event {
        let event_type = TYPES[self.random.random_range(0..TYPES.len())];
        let purchase = (event_type == "purchase").then(|| Purchase {
            quantity: self.random.random_range(1..=5),
            total_cents: self.random.random_range(1_000..=500_000),
            payment: PAYMENTS[self.random.random_range(0..PAYMENTS.len())],
        });
        let product =
            (purchase.is_some() || self.random.random_bool(0.9)).then(|| self.product(&user_id));
        Event {
            event_id,
            event_type,
            at_micros: self.now_micros - self.random.random_range(0..30 * HOUR_MICROS),
            session_id: format!("session-{user_id}-{}", self.random.random_range(0..50)),
            user_id,
            product,
            purchase,
        }
    }

    /// Mostly one of the catalogue, the same whoever says it. The others are one user's own, and
    /// called otherwise every time: the first stays.
    fn product(&mut self, user_id: &str) -> Product {
        if self.random.random_bool(0.9) {
            let place = self.random.random_range(0..CATALOGUE.len());
            let (name, category, price_cents) = CATALOGUE[place];
            return Product {
                id: format!("PROD{:03}", place + 1),
                name: name.into(),
                category: category.into(),
                price_cents,
            };
        }
        let (number, version) =
            (self.random.random_range(0..3), self.random.random_range(0..1_000));
        let mut name = format!("Própria {version} de {user_id}");
        if version % 50 == 0 {
            name = format!("{name} {}", "ç".repeat(300)).chars().take(255).collect();
        }
        let price_cents = self.random.random_range(100..100_000);
        Product {
            id: format!("P-{user_id}-{number}"),
            name,
            category: "Própria".into(),
            price_cents,
        }
    }

    fn message(&mut self, event: Event) -> Message<EventMeaning> {
        let pairs = self.pairs(&event);
        Message {
            key: event.user_id.clone(),
            payload: object(&pairs).into_bytes(),
            meaning: EventMeaning::Event(Box::new(event)),
        }
    }

    fn pairs(&mut self, event: &Event) -> Pairs {
        let mut pairs: Pairs = vec![
            ("event_id", text(&event.event_id)),
            ("event_type", text(event.event_type)),
            ("timestamp", text(&self.time(event.at_micros))),
            ("user_id", text(&format!("  {}\t", event.user_id))),
            ("session_id", text(&event.session_id)),
            ("ip_address", text("192.168.0.10")),
            ("unknown", "{\"anything\": [1, null]}".to_owned()),
        ];
        if let Some(Product { id, name, category, price_cents }) = &event.product {
            let (id, category) = (text(id), text(category));
            // What follows the 255th character is cut, and a NUL is removed.
            let name = if name.chars().count() == 255 {
                format!("{name} and so on")
            } else {
                name.clone()
            };
            let name = text(&name).replacen(' ', "\\u0000 ", 1);
            pairs.push((
                "product",
                format!(
                    r#"{{"id": {id}, "name": {name}, "category": {category}, "price": {}}}"#,
                    decimal(*price_cents)
                ),
            ));
        }
        match event.event_type {
            "page_view" => pairs.push(("page_url", text(&"/home".repeat(100)))),
            "search" => pairs.push(("results_count", "7.0".to_owned())),
            "add_to_cart" => pairs.push(("quantity", "2".to_owned())),
            _ => {}
        }
        if let Some(Purchase { quantity, total_cents, payment }) = &event.purchase {
            // Half a cent below the stored total, which rounds up to it.
            let total = if self.random.random_bool(0.1) {
                format!("{}.{:02}5", (total_cents - 1) / 100, (total_cents - 1) % 100)
            } else {
                decimal(*total_cents)
            };
            pairs.extend([
                ("quantity", quantity.to_string()),
                ("total_amount", total),
                ("payment_method", text(payment)),
            ]);
            pairs.push((
                "shipping_address",
                r#"{"street": "Rua das Flores, 10", "city": "São Paulo", "country": "Brazil"}"#
                    .to_owned(),
            ));
        }
        pairs
    }

    /// One moment, in one of the ways in which producers write it.
    fn time(&mut self, at_micros: i64) -> String {
        let utc = DateTime::from_timestamp_micros(at_micros).unwrap_or_default();
        match self.random.random_range(0..3) {
            0 => utc.to_rfc3339_opts(SecondsFormat::Micros, true),
            1 => utc.naive_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            _ => {
                let zone = chrono::FixedOffset::west_opt(3 * 3_600)
                    .unwrap_or_else(|| chrono::FixedOffset::east_opt(0).expect("UTC"));
                utc.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Micros, false)
            }
        }
    }

    fn malformed(&mut self) -> Message<EventMeaning> {
        self.malformed += 1;
        let user_id = format!("USER{:03}", self.random.random_range(1..=USERS));
        let mut event = self.event(format!("bad-{}", self.malformed), user_id.clone());
        event.event_type = "purchase";
        event.purchase = Some(Purchase { quantity: 1, total_cents: 100, payment: "paypal" });
        event.product = Some(self.product(&user_id));
        let mut pairs = self.pairs(&event);
        let mut set = |name: &'static str, value: &str| {
            pairs
                .iter_mut()
                .filter(|pair| pair.0 == name)
                .for_each(|pair| pair.1 = value.to_owned())
        };
        match self.malformed % 16 {
            0 => set("event_type", "\"refund\""),
            1 => set("event_id", &text(&"x".repeat(97))),
            2 => set("event_id", &text(&"x".repeat(101))),
            3 => set("timestamp", "\"yesterday\""),
            4 => set("timestamp", "1700000000"),
            5 => set("user_id", "\"   \""),
            6 => set("quantity", "0"),
            7 => set("quantity", "true"),
            8 => set("total_amount", "100000000.00"),
            9 => set("total_amount", "null"),
            10 => set("payment_method", "\"cash\""),
            11 => set("product", r#"{"name": "no id", "category": "x", "price": 1}"#),
            12 => set("product", r#"{"id": "a", "name": "b", "category": "c", "price": -1}"#),
            13 => pairs.retain(|pair| pair.0 != "session_id"),
            14 => pairs.push(("user_id", "\"USER001\"".to_owned())),
            _ => pairs.retain(|pair| pair.0 != "product"),
        }
        Message {
            key: user_id,
            payload: object(&pairs).into_bytes(),
            meaning: EventMeaning::Malformed,
        }
    }
}

fn object(pairs: &Pairs) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Cents as an amount.
pub fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
