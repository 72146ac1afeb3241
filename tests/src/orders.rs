//! Orders for the sales topic, good ones, malformed ones and repeats, each with what must become of
//! it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A message, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<M = Meaning> {
    /// Repeats have the key of the order that they repeat, so that they come after it in the same
    /// partition.
    pub key: String,
    pub payload: Vec<u8>,
    pub meaning: M,
}

/// What a message is by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A good order with this number and total. It is stored unless the number was stored before.
    Order {
        number: i64,
        total: String,
    },
    Malformed,
}

/// The share of malformed messages and of repeats, in per cent.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    pub malformed_percent: u32,
    pub repeat_percent: u32,
}

/// One per cent malformed, two per cent repeats.
pub const USUAL_MIX: Mix = Mix { malformed_percent: 1, repeat_percent: 2 };

/// Makes messages; order numbers go upwards from 1.
pub struct Orders {
    random: StdRng,
    next_number: i64,
    malformed: usize,
    mix: Mix,
}

impl Orders {
    pub fn new(seed: u64, mix: Mix) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next_number: 1, malformed: 0, mix }
    }

    pub fn take(&mut self, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Message {
        let roll = self.random.random_range(0..100);
        if roll < self.mix.malformed_percent {
            self.malformed += 1;
            let payload = malformed(self.malformed, self.next_number);
            return Message {
                key: format!("bad-{}", self.malformed),
                payload,
                meaning: Meaning::Malformed,
            };
        }
        if roll < self.mix.malformed_percent + self.mix.repeat_percent && self.next_number > 1 {
            let number = self.random.random_range(1..self.next_number);
            return self.order(number);
        }
        self.next_number += 1;
        self.order(self.next_number - 1)
    }

    fn order(&mut self, number: i64) -> Message {
        let mut cents = 0_i64;
        let items: Vec<String> = (0..self.random.random_range(1..=5))
            .map(|item_id| {
                let (quantity, unit_cents) =
                    (self.random.random_range(1..=5), self.random.random_range(1_000..=50_000));
                cents += quantity * unit_cents;
                format!(
                    r#"{{"item_id": {item_id}, "qty": {quantity}, "value_unit": {}.{:02}}}"#,
                    unit_cents / 100,
                    unit_cents % 100
                )
            })
            .collect();
        let payload =
            format!(r#"{{"order_number": {number}, "order_items": [{}]}}"#, items.join(", "))
                .into_bytes();
        let total = format!("{}.{:02}", cents / 100, cents % 100);
        Message { key: number.to_string(), payload, meaning: Meaning::Order { number, total } }
    }
}

/// The kinds of malformed messages, one after the other.
pub const MALFORMED_KINDS: usize = 20;

fn malformed(turn: usize, number: i64) -> Vec<u8> {
    let item = r#"{"item_id": 1, "qty": 1, "value_unit": 10.00}"#;
    let with_items = |items: &str| {
        format!(r#"{{"order_number": {number}, "order_items": {items}}}"#).into_bytes()
    };
    match turn % MALFORMED_KINDS {
        0 => b"not JSON".to_vec(),
        1 => Vec::new(),
        2 => br#"{"wrong_field": "no_order_number"}"#.to_vec(),
        3 => format!(r#"{{"order_number": {number}}}"#).into_bytes(),
        4 => with_items(r#"[{"qty": true, "value_unit": 1.0}]"#),
        5 => with_items(r#"[{"qty": -1, "value_unit": 1.0}]"#),
        6 => with_items(r#"[{"qty": 1, "value_unit": -0.01}]"#),
        7 => with_items(r#"[{"qty": 1, "value_unit": 1e400}]"#),
        8 => with_items(r#"[{"qty": 2.5, "value_unit": 1.0}]"#),
        9 => with_items(r#"[{"qty": 1, "value_unit": 100000000.00}]"#),
        10 => with_items(&format!("[{item}")),
        11 => with_items(&format!("[{item}, null]")),
        12 => format!(r#"{{"order_number": "{number}", "order_items": [{item}]}}"#).into_bytes(),
        13 => format!(
            r#"{{"order_number": {number}, "order_number": {number}, "order_items": [{item}]}}"#
        )
        .into_bytes(),
        14 => format!(r#"{{"order_number": 9223372036854775808, "order_items": [{item}]}}"#)
            .into_bytes(),
        15 => [&b"{\"order_number\": 1, \"order_items\": [], \"note\": \""[..], b"\xff\xfe\"}"]
            .concat(),
        16 => "[".repeat(10_000).into_bytes(),
        17 => {
            format!("[{}]", String::from_utf8_lossy(&with_items(&format!("[{item}]")))).into_bytes()
        }
        18 => format!(r#"{{"order_number": {number}, "order_items": [{item}], "note": "\ud800"}}"#)
            .into_bytes(),
        _ => [&with_items(&format!("[{item}]"))[..], b" trailing"].concat(),
    }
}
