//! Tracking events of the logistics topic and of its files: good ones, bad ones and repeats, each
//! with what it says.

use chrono::{DateTime, SecondsFormat};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::orders::Message;

/// What a carrier says of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    pub id: i32,
    pub from: String,
    pub to: String,
    pub status: &'static str,
    /// Since 1970, UTC.
    pub at_micros: i64,
}

/// What a message is by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackingMeaning {
    Event(Tracking),
    Bad,
}

/// A record in both of its forms, which mean the same.
#[derive(Debug, Clone)]
pub struct Record {
    pub message: Message<TrackingMeaning>,
    /// A line of a file, without its end.
    pub line: String,
}

pub const HEADING: &str = "id_pacote,origem,destino,status_rastreamento,data_atualizacao";
/// One per cent is bad.
const BAD_PERCENT: u32 = 1;
const HOUR_MICROS: i64 = 3_600_000_000;
const STATUSES: [&str; 7] = [
    "ENTREGUE",
    "EM TRÂNSITO",
    "EM ROTA DE ENTREGA",
    "EXTRAVIADO",
    "CANCELADO",
    "AGUARDANDO RETIRADA",
    "ALGO \"NOVO\"",
];
const CITIES: [&str; 6] =
    ["Natal", "Paraíba", "Acre", "Santos, SP", "São José dos \"Campos\"", "Rondônia"];

/// Makes records of so many packages. Each package's records come at few moments, so that many are
/// the second of a moment.
pub struct Trackings {
    random: StdRng,
    packages: i32,
    from_micros: i64,
    bad: usize,
}

impl Trackings {
    pub fn new(seed: u64, packages: i32) -> Self {
        // The first of October 2025.
        Self {
            random: StdRng::seed_from_u64(seed),
            packages,
            from_micros: 1_759_276_800_000_000,
            bad: 0,
        }
    }

    pub fn take(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Record {
        if self.random.random_range(0..100) < BAD_PERCENT {
            return self.bad();
        }
        let tracking = self.tracking();
        let time = self.time(tracking.at_micros);
        let id = self.id(tracking.id);
        let values = [
            id.as_str(),
            &self.padded(&tracking.from),
            &self.padded(&tracking.to),
            tracking.status,
            &time,
        ];
        record(&values, tracking.id, TrackingMeaning::Event(tracking.clone()))
    }

    fn tracking(&mut self) -> Tracking {
        let id = self.random.random_range(1..=self.packages);
        let hour = self.random.random_range(0..400_i64);
        Tracking {
            id,
            from: self.city(),
            to: self.city(),
            status: STATUSES[self.random.random_range(0..STATUSES.len())],
            // Half of them on the hour, so that moments meet.
            at_micros: self.from_micros
                + hour * HOUR_MICROS
                + if hour % 2 == 0 { 0 } else { self.random.random_range(0..HOUR_MICROS) },
        }
    }

    fn city(&mut self) -> String {
        CITIES[self.random.random_range(0..CITIES.len())].to_owned()
    }

    /// Blanks around it do not count.
    fn padded(&mut self, text: &str) -> String {
        if self.random.random_bool(0.1) { format!("  {text}\t") } else { text.to_owned() }
    }

    fn id(&mut self, id: i32) -> String {
        match self.random.random_range(0..10) {
            0 => format!("{id:08}"),
            1 => format!("{id}.0"),
            _ => id.to_string(),
        }
    }

    fn time(&mut self, at_micros: i64) -> String {
        let utc = DateTime::from_timestamp_micros(at_micros).unwrap_or_default();
        match self.random.random_range(0..3) {
            0 => utc.to_rfc3339_opts(SecondsFormat::Micros, true),
            1 => utc.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            _ => {
                let zone = chrono::FixedOffset::west_opt(3 * 3_600).expect("a zone");
                utc.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Micros, false)
            }
        }
    }

    fn bad(&mut self) -> Record {
        self.bad += 1;
        let Tracking { id, from, to, status, at_micros } = self.tracking();
        let (number, time) = (id.to_string(), self.time(at_micros));
        let values: [&str; 5] = match self.bad % 8 {
            0 => ["", &from, &to, status, &time],
            1 => ["1333x", &from, &to, status, &time],
            2 => [&number, "", &to, status, &time],
            3 => [&number, &from, "   ", status, &time],
            4 => [&number, &from, &to, "", &time],
            5 => [&number, &from, &to, status, "1760000000"],
            6 => [&number, &from, &to, status, "13/10/2025"],
            _ => ["3000000000", &from, &to, status, &time],
        };
        record(&values, id, TrackingMeaning::Bad)
    }
}

/// Both forms of these values. An empty one is nothing in a file, and null in JSON.
fn record(values: &[&str; 5], id: i32, meaning: TrackingMeaning) -> Record {
    let json = |value: &str| {
        if value.is_empty() {
            "null".to_owned()
        } else {
            serde_json::Value::from(value).to_string()
        }
    };
    let pairs: Vec<String> = HEADING
        .split(',')
        .zip(values)
        .map(|(name, value)| format!("\"{name}\": {}", json(value)))
        .collect();
    let payload = format!("{{{}}}", pairs.join(", ")).into_bytes();
    let quoted = |value: &&str| {
        if value.contains([',', '"']) {
            format!("\"{}\"", value.replace('"', "\"\""))
        } else {
            (*value).to_owned()
        }
    };
    let line = values.iter().map(quoted).collect::<Vec<_>>().join(",");
    Record { message: Message { key: id.to_string(), payload, meaning }, line }
}

/// A whole file of these records.
pub fn file_of(records: &[Record]) -> String {
    let lines: Vec<&str> =
        std::iter::once(HEADING).chain(records.iter().map(|record| record.line.as_str())).collect();
    lines.join("\n") + "\n"
}
