//! Random walks. A seed always makes the same one.

mod changes; // a file that becomes another one
mod expression; // SQL over a record or a row
mod known; // faults that walks go around for now
mod record_shape; // the declared record
mod records; // what producers send
mod requests; // what callers post
mod rollups; // figures, views and messages
mod somebody; // tables that somebody made beforehand
mod steps; // what happens
mod tables; // where rows go

pub use known::{Known, avoids};
use serde_json::{Map, Value as Json, json};

use crate::chance::Chance;
use crate::ground::{PARTITIONS, TOPIC};
use crate::log_file::WALK_KEY;
use crate::walk::{Step, Walk};

/// The walk of a seed.
pub fn walk(seed: u64) -> Walk {
    let mut chance = Chance::new(seed);
    let partitions = if chance.percent(60) { 1 } else { *chance.pick(&PARTITIONS) };
    let shape = record_shape::shape(&mut chance);
    let requests = chance.percent(8);
    let tables = tables::tables(&mut chance, &shape, partitions);
    let mut pipeline = Map::new();
    pipeline.insert("pipeline".to_owned(), json!("walk"));
    pipeline.insert("source".to_owned(), json!({ "topic": TOPIC, "partitions": partitions }));
    pipeline.insert(
        "database".to_owned(),
        json!({
            "url": "${WALK_DATABASE_URL}", "retries": "forever", "connect_timeout": "3s", "statement_timeout": "10s",
            "lock_timeout": "1s", "retry_backoff": "5ms", "retry_backoff_max": "50ms",
        }),
    );
    pipeline.insert(
        "batch".to_owned(),
        json!({
            "max_records": *chance.pick(&[1, 2, 3, 7, 20, 10_000, 10_000]),
            "workers": chance.between(1, 3),
            "linger": *chance.pick(&["0ms", "2ms"]),
        }),
    );
    // By the seed, so that the walks of before stay as they were.
    if seed % 4 == 3 {
        let outbox = seed % 8 == 7;
        pipeline.insert("encryption".to_owned(), json!({ "keys": WALK_KEY, "outbox": outbox }));
    }
    if chance.percent(40) {
        pipeline.insert("text".to_owned(), record_shape::cleaning(&mut chance));
    }
    pipeline.insert("record".to_owned(), shape.declared.clone());
    if chance.percent(30) {
        pipeline.insert("checks".to_owned(), tables::checks(&mut chance, &shape));
    }
    if tables.once {
        pipeline.insert("once".to_owned(), json!({ "by": "id", "in": tables.declared[0].0 }));
    }
    let declared: Map<String, Json> =
        tables.declared.iter().map(|(name, table)| (name.clone(), table.clone())).collect();
    pipeline.insert("tables".to_owned(), Json::Object(declared));
    rollups::add(&mut chance, &tables, &mut pipeline);
    let beforehand = somebody::beforehand(&mut chance, &tables);
    if requests {
        let (ingest, steps) = requests::requests(&mut chance, &shape);
        pipeline.insert("ingest".to_owned(), ingest);
        return Walk { pipeline: Json::Object(pipeline), beforehand, steps };
    }
    let mut steps = steps::steps(&mut chance, &shape, &tables, partitions, &beforehand);
    let pipeline = Json::Object(pipeline);
    if chance.percent(12)
        && let Some(changed) = changes::changed(&mut chance, &pipeline, &tables)
    {
        steps.push(Step::Change(changed));
        steps.push(Step::Send(records::records(&mut chance, &shape.declared, partitions, 10, 40)));
        steps.push(Step::Run);
    }
    Walk { pipeline, beforehand, steps }
}
