//! AT TIME ZONE from the year 1 to 9999, there and back, with every gap and overlap of some years.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use duto_servers::shared::TestDatabase;
use duto_sql::{cast, plan_expression, recompute};

use super::{connect, wait_for};

const ZONES: &[&str] = &[
    "America/Sao_Paulo",
    "America/New_York",
    "America/Los_Angeles",
    "America/Caracas",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Moscow",
    "Europe/Lisbon",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Etc/GMT+3",
    "UTC",
];

/// Every hour's half in the months in which clocks change, and a day of each month of many years.
fn moments() -> Vec<String> {
    let mut moments = Vec::new();
    for year in [2011, 2014, 2018, 2024, 2037, 2099, 2100, 2152] {
        for month in [3, 4, 9, 10, 11, 12] {
            let days = if [4, 9, 11].contains(&month) { 30 } else { 31 };
            moments.extend((1..=days).flat_map(move |day| {
                (0..24).map(move |hour| format!("{year:04}-{month:02}-{day:02} {hour:02}:30:00"))
            }));
        }
    }
    for year in [
        1, 99, 1582, 1883, 1900, 1914, 1918, 1941, 1945, 1969, 1970, 1978, 2000, 2038, 2101, 2400,
        2401, 4000, 9998, 9999,
    ] {
        moments.extend((1..=12).flat_map(move |month| {
            [1, 14, 28].map(move |day| format!("{year:04}-{month:02}-{day:02} 12:34:56.789"))
        }));
    }
    moments
}

fn here(expression: &str, batch: &RecordBatch) -> Vec<String> {
    let select = plan_expression(expression, &batch.schema())
        .unwrap_or_else(|problems| panic!("{expression}: {problems:?}"));
    let output = select.run(batch, 0);
    assert!(output.failed.is_empty(), "{expression}: {:?}", output.failed.first());
    let texts = cast(&output.columns[0], &DataType::Utf8).expect("texts");
    texts.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

#[test]
fn zones_are_those_of_postgresql_in_every_year() {
    wait_for(async {
        let database = TestDatabase::create("rollup_zones").expect("a database");
        let client = connect(&database.url()).await;
        let moments = moments();
        let insert = "CREATE TABLE t AS SELECT place, moment::timestamp AS local,
            moment::timestamptz AS at FROM unnest($1::text[]) WITH ORDINALITY AS u (moment, place)";
        client.execute(insert, &[&moments]).await.expect("moments");
        let texts: ArrayRef = Arc::new(StringArray::from(moments));
        let types = [("local", None), ("at", Some("UTC".into()))]
            .map(|(name, zone)| (name, DataType::Timestamp(TimeUnit::Microsecond, zone)));
        let schema = Schema::new(
            types
                .iter()
                .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
                .collect::<Vec<_>>(),
        );
        let columns =
            types.iter().map(|(_, data_type)| cast(&texts, data_type).expect("moments")).collect();
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns).expect("a batch");
        let mut differing = Vec::new();
        for zone in ZONES {
            for expression in
                [format!("local AT TIME ZONE '{zone}'"), format!("at AT TIME ZONE '{zone}'")]
            {
                let sql = recompute(&expression, &schema).expect("an expression").sql;
                let rows = client
                    .query(&format!("SELECT ({sql})::text, at::text FROM t ORDER BY place"), &[])
                    .await
                    .expect("answers");
                let ours = here(&expression, &batch);
                let unlike = rows
                    .iter()
                    .zip(&ours)
                    .filter(|(row, ours)| row.get::<_, &str>(0) != ours.as_str());
                let told: Vec<String> = unlike
                    .map(|(row, ours)| {
                        format!(
                            "{expression} of {}: here {ours}, in PostgreSQL {}",
                            row.get::<_, &str>(1),
                            row.get::<_, &str>(0)
                        )
                    })
                    .collect();
                differing.extend(
                    told.iter().take(3).map(|first| format!("{first} ({} in all)", told.len())),
                );
            }
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    });
}
