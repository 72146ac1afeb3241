//! Windows of rollups: any stretch of time is what a count over the table gives, whatever its
//! edges, with late rows, after a back-fill and while fine counters are pruned, or it is refused.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use duto_definition::{Pipeline, parse};
use duto_load::connect::Connector;
use duto_load::grains;
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{request, wait_until_ready};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::Message;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::small::Small;
use duto_tests::verify::connect;
use duto_tests::worker::{Worker, catch_up, command};
use rand::RngExt;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const TABLES: &str = "record: { id: BIGINT, kind: TEXT, amount?: NUMERIC, at?: TIMESTAMPTZ }
tables:
  readings:
    columns: { id: BIGINT PRIMARY KEY, kind: TEXT NOT NULL, amount: \"NUMERIC(10,2)\", at: \
    TIMESTAMPTZ }
    repeat: ignore
    select: SELECT id, kind, CAST(amount AS NUMERIC(10,2)) AS amount, at FROM record
";
const ROLLUPS: &str = "rollups:
  activity:
    from: readings
    over: at
    grains: { second: 3h, minute: 2d, hour: 20d, day: forever }
    by: [kind]
    measures:
      readings: count(*)
      paid: count(*) FILTER (WHERE amount > 50)
      total: sum(amount)
      least: min(amount)
      most: max(amount)
      newest: last(amount ORDER BY at)
  everything: { from: readings, over: at, grains: { second: 3h, minute: 2d, hour: 20d, day: \
    forever }, by: [], measures: { n: count(*) } }
";
/// The same figures over the table, with `{within}` in the place of the condition.
const COUNTED: &str = "SELECT kind, count(*), count(*) FILTER (WHERE amount > 50), sum(amount),
     min(amount), max(amount),
     (array_agg(amount ORDER BY at DESC, amount DESC NULLS LAST))[1] FROM readings WHERE {within}
     GROUP BY kind";

fn record(id: i64, at: i64) -> String {
    let kind = ["heat", "light", "noise"][id.rem_euclid(3) as usize];
    let amount =
        if id % 7 == 0 { "null".to_owned() } else { format!("{}.{:02}", id % 100, id % 89) };
    format!(r#"{{"id": {id}, "kind": "{kind}", "amount": {amount}, "at": "{}"}}"#, moment(at))
}

fn moment(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

/// Whether a window is what the table says: the rows in which the two differ.
async fn difference(small: &Small, from: i64, to: i64) -> Result<Vec<String>> {
    let (from, to) = (moment(from), moment(to));
    let within = format!(
        "at >= date_trunc('second', timestamptz '{from}') AND at < date_trunc('second', \
            timestamptz '{to}')"
    );
    let counted = COUNTED.replace("{within}", &within);
    let window = format!("SELECT * FROM activity('{from}', '{to}')");
    let whole = format!(
        "SELECT n FROM everything('{from}', '{to}') EXCEPT SELECT count(*) FROM readings
            WHERE {within}"
    );
    let mut rows = small
        .rows(&format!("({window} EXCEPT ALL {counted}) UNION ALL ({counted} EXCEPT ALL {window})"))
        .await?;
    rows.extend(small.rows(&whole).await?);
    Ok(rows)
}

/// Asks for windows with edges of every kind within the time that seconds are kept, and for older
/// ones of whole minutes, hours and days.
async fn compare(small: &Small, now: i64, windows: usize) -> Result<()> {
    let mut random = rand::rng();
    let mut edge = |reach: i64, unit: i64| {
        let at = now - random.random_range(-MINUTE..reach);
        let off = [0, 0, 1, -1, SECOND, -SECOND, 500_000][random.random_range(0..7)];
        let edge = match random.random_range(0..4) {
            0 => at - at.rem_euclid(unit),
            1 if unit < MINUTE => at - at.rem_euclid(MINUTE) + off,
            2 if unit < MINUTE => at - at.rem_euclid(HOUR) + off,
            _ => at - at.rem_euclid(unit.min(SECOND)),
        };
        if edge < now - reach { at } else { edge }
    };
    for _ in 0..windows {
        for (reach, unit) in [
            (3 * HOUR - 5 * MINUTE, 1),
            (2 * DAY - HOUR, MINUTE),
            (20 * DAY - DAY, HOUR),
            (60 * DAY, DAY),
        ] {
            let cut = |at: i64| if unit == 1 { at } else { at - at.rem_euclid(unit) };
            let (one, other) = (cut(edge(reach, unit)), cut(edge(reach, unit)));
            let (from, to) = (one.min(other), one.max(other));
            // What is older than seconds are kept needs an edge at a whole minute at both ends, and
            // so on: `cut` makes both whole.
            let differing = difference(small, from, to).await?;
            ensure!(differing.is_empty(), "from {} to {}: {differing:?}", moment(from), moment(to));
        }
        // An old beginning at a whole day, an end at this second.
        let end = now - random_within(SECOND * 90);
        let old = now - random_within(60 * DAY);
        let differing = difference(small, old - old.rem_euclid(DAY), end).await?;
        ensure!(
            differing.is_empty(),
            "from the day of {} to {}: {differing:?}",
            moment(old),
            moment(end)
        );
    }
    Ok(())
}

fn random_within(micros: i64) -> i64 {
    rand::rng().random_range(0..micros)
}

fn records(first: i64, count: i64, now: i64) -> Vec<String> {
    let mut records: Vec<String> = (first..first + count)
        .map(|id| {
            let reach = [MINUTE, HOUR, 3 * HOUR, 2 * DAY, 20 * DAY, 60 * DAY][(id % 6) as usize];
            // Every fifth stands at the very start of a second, a minute or an hour.
            let at = now + MINUTE - random_within(reach + MINUTE);
            let unit = [1, 1, SECOND, MINUTE, HOUR][(id % 5) as usize];
            record(id, at - at.rem_euclid(unit))
        })
        .collect();
    records.push(format!(r#"{{"id": {}, "kind": "heat", "amount": 1}}"#, first + count));
    records
}

fn pipeline_of(test: &TestPipeline) -> Result<Pipeline> {
    let variable = |name: &str| {
        test.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    parse("small.yaml", &std::fs::read_to_string(&test.file)?, &variable)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// What `duto rollups verify` says, and whether all is right.
fn verify(small: &Small) -> Result<(bool, String)> {
    let (code, said, error) = command(
        &small.pipeline,
        &["rollups", "verify", &small.pipeline.file.display().to_string()],
    )?;
    Ok((code == 0, said + &error))
}

fn ensure_right(small: &Small) -> Result<()> {
    let (is_right, said) = verify(small)?;
    ensure!(is_right, "{said}");
    Ok(())
}

async fn prune(test: &TestPipeline) -> Result<u64> {
    let pipeline = pipeline_of(test)?;
    let connector = Connector::new(&pipeline.database, "windows test")?;
    Ok(grains::prune(&connector.connect().await?, &pipeline.rollups, &AtomicBool::new(false))
        .await?)
}

async fn refusal(small: &Small, query: &str) -> Result<String> {
    let error = small
        .client
        .simple_query(query)
        .await
        .err()
        .with_context(|| format!("{query} is not refused"))?;
    let error = error.as_db_error().context("an error of the database")?;
    Ok(format!("{} {} {}", error.code().code(), error.message(), error.hint().unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn any_window_is_what_the_table_says_or_is_refused() -> Result<()> {
    let small = Small::create("windows", &format!("{TABLES}{ROLLUPS}"), "").await?;
    let now = Utc::now().timestamp_micros();
    small.send(records(0, 3_000, now).iter().map(String::as_str))?;
    small.load()?;
    compare(&small, now, 40).await?;
    ensure_right(&small)?;

    // Late rows, into buckets that are there and into those of grains that are not kept so far
    // back.
    small.send(records(10_000, 2_000, now).iter().map(String::as_str))?;
    small.load()?;
    compare(&small, now, 20).await?;
    let too_fine = "SELECT count(*) FROM duto.rollup_activity r
        JOIN duto.grains_activity g USING (duto_grain) WHERE duto_start < kept_from";
    small.expect(too_fine, &["0"]).await?;
    // The whole history, with the rows that have no time.
    small.expect("SELECT sum(readings) FROM activity", &["5002"]).await?;
    small.expect("SELECT n FROM everything", &["5002"]).await?;
    small.expect("SELECT n FROM everything('-infinity', 'infinity')", &["5000"]).await?;
    small.expect("SELECT * FROM activity(now(), now() - interval '1 day')", &[]).await?;
    small.expect("SELECT * FROM everything(now(), now() - interval '1 day')", &["0"]).await?;

    // A time without a zone is UTC, whatever the session's zone.
    small.client.batch_execute("SET TimeZone = 'America/Sao_Paulo'").await?;
    let differing = difference(&small, now - HOUR, now).await?;
    ensure!(differing.is_empty(), "in another zone: {differing:?}");
    let at_utc = |micros| moment(micros).trim_end_matches('Z').to_owned();
    let of_plain = format!(
        "SELECT n FROM everything(timestamp '{}', timestamp '{}')",
        at_utc(now - HOUR),
        at_utc(now)
    );
    let of_zoned = small
        .rows(&format!("SELECT n FROM everything('{}', '{}')", moment(now - HOUR), moment(now)))
        .await?;
    small.expect(&of_plain, &of_zoned.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    small.client.batch_execute("SET TimeZone = 'UTC'").await?;

    for (query, told) in [
        (
            "SELECT * FROM activity(date_trunc('minute', now()) - interval '5 hours 1 second',
                now())",
            "22023 activity keeps each second for 3h",
        ),
        (
            "SELECT * FROM activity(date_trunc('hour', now()) - interval '3 days 1 minute', now())",
            "22023 activity keeps each minute for 2d",
        ),
        (
            "SELECT * FROM everything(date_trunc('day', now()) - interval '30 days 1 hour', now())",
            "22023 everything keeps each hour for 20d",
        ),
        // The end of a window in the past needs its seconds too.
        (
            "SELECT * FROM activity(timestamp '2020-01-01', timestamp '2020-01-01 00:00:01')",
            "whole minute",
        ),
        ("SELECT * FROM activity(NULL, now())", "22004 a window of activity needs both its times"),
    ] {
        let refused = refusal(&small, query).await?;
        ensure!(refused.contains(told), "{query} is refused by {refused:?}, expected is {told:?}");
    }

    // An hour passes: the seconds of the first of the three are not kept any more.
    small
        .client
        .batch_execute(
            "UPDATE duto.grains_activity SET kept = interval '2 hours' WHERE duto_grain = 1",
        )
        .await?;
    small
        .expect(
            &format!(
                "SELECT count(*) > 50 FROM duto.rollup_activity WHERE duto_grain = 1
                AND duto_start < '{}'",
                at_utc(now - 2 * HOUR)
            ),
            &["t"],
        )
        .await?;
    ensure!(prune(&small.pipeline).await? > 0, "nothing was pruned");
    small.expect(too_fine, &["0"]).await?;
    let odd = now - 2 * HOUR - 10 * MINUTE - (now - 10 * MINUTE).rem_euclid(MINUTE) + SECOND;
    let refused =
        refusal(&small, &format!("SELECT * FROM activity('{}', '{}')", moment(odd), moment(now)))
            .await?;
    ensure!(refused.contains("keeps each second"), "{refused}");
    // A row that comes for a pruned second is in its minute.
    let late = odd - SECOND;
    small.send([record(50_000, late).as_str()])?;
    small.load()?;
    small.expect(too_fine, &["0"]).await?;
    for (from, to) in [
        (late, late + MINUTE),
        (late, now),
        (now - HOUR - 7 * SECOND, now),
        (now - now.rem_euclid(DAY) - 3 * DAY, now),
    ] {
        let differing = difference(&small, from, to).await?;
        ensure!(differing.is_empty(), "from {} to {}: {differing:?}", moment(from), moment(to));
    }
    ensure_right(&small)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_declared_on_a_full_table_are_filled_changed_and_taken_away() -> Result<()> {
    let small = Small::create("window_fill", TABLES, "").await?;
    let bare = std::fs::read_to_string(&small.pipeline.file)?;
    let now = Utc::now().timestamp_micros();
    small.send(records(0, 3_000, now).iter().map(String::as_str))?;
    small.load()?;
    std::fs::write(
        &small.pipeline.file,
        format!(
            "{bare}{ROLLUPS}views:\n  lately: SELECT * FROM everything(now() - interval '1 hour', \
                now())\n"
        ),
    )?;
    small.send(records(10_000, 500, now).iter().map(String::as_str))?;
    small.load()?;
    let deadline = Instant::now() + PATIENCE;
    while small.rows("SELECT count(*) FROM duto.rollup WHERE state = 'ready'").await? != ["2"] {
        ensure!(Instant::now() < deadline, "the rollups are not filled");
        small.load()?;
    }
    compare(&small, now, 20).await?;
    ensure_right(&small)?;
    ensure!(small.rows("SELECT n > 100 FROM lately").await? == ["t"], "a view reads the window");

    // A wrong bucket is found, also where the whole history is right.
    small
        .client
        .batch_execute(
            "UPDATE duto.rollup_activity SET readings = readings + 1
        WHERE duto_grain = 60 AND kind = 'heat'",
        )
        .await?;
    let (is_right, said) = verify(&small)?;
    ensure!(!is_right && said.contains("activity") && said.contains("heat"), "{said}");

    // Somebody's own function of the same name stays when ours goes.
    small
        .client
        .batch_execute(
            "CREATE FUNCTION activity(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1'",
        )
        .await?;
    std::fs::write(&small.pipeline.file, &bare)?;
    small.load()?;
    small
        .expect(
            "SELECT proname, pronargs FROM pg_proc WHERE proname IN ('activity', 'everything')",
            &["activity 1"],
        )
        .await?;
    small
        .expect(
            "SELECT count(*) FROM pg_class WHERE relnamespace IN ('public'::regnamespace,
        'duto'::regnamespace) AND relname ~ 'activity|everything'",
            &["0"],
        )
        .await
}

/// Events around the edges of the last minute and of the last 24 hours, and in the time between.
fn events(now: i64) -> Vec<Message<()>> {
    let around = |at: i64| {
        (0..240).map(move |step| at - 60 * SECOND + step * 500_000 + random_within(400_000))
    };
    let between = (0..2_000).map(|_| now - random_within(25 * HOUR));
    let times = around(now).chain(around(now - DAY)).chain(around(now - MINUTE)).chain(between);
    let types = ["page_view", "add_to_cart", "remove_from_cart", "purchase", "search"];
    let message = |(number, at): (usize, i64)| {
        let event_type = types[number % 5];
        let payload = format!(
            r#"{{"event_id": "e{number}", "event_type": "{event_type}", "timestamp": "{}", "user_id": "u{}", "session_id": "s", "quantity": 1,
                 "product": {{"id": "P1", "name": "N", "category": "C", "price": 10}}, "total_amount": {}.{:02}, "payment_method": "paypal"}}"#,
            moment(at),
            number % 17,
            number % 300,
            number % 100
        );
        Message { key: format!("u{}", number % 17), payload: payload.into_bytes(), meaning: () }
    };
    times.enumerate().map(message).collect()
}

/// What the endpoints must say at this second, from the tables.
const COUNTS: &str = "SELECT json_build_object(
     'events_24h', (SELECT count(*) FROM events WHERE timestamp >= s - interval '24 hours'
     AND timestamp < s),
     'revenue_24h', (SELECT coalesce(sum(total_amount), 0) FROM transactions
     WHERE timestamp >= s - interval '24 hours' AND timestamp < s),
     'types', (SELECT coalesce(json_agg(json_build_object('type', event_type, 'count', n)
     ORDER BY n DESC, event_type), '[]') FROM
         (SELECT event_type, count(*) AS n FROM events WHERE timestamp >= s - interval '24 hours'
     AND timestamp < s GROUP BY event_type) t),
     'events_per_minute', (SELECT count(*) FROM events WHERE timestamp >= s - interval '60 seconds'
     AND timestamp < s),
     'purchases_per_minute', (SELECT count(*) FROM events WHERE event_type = 'purchase'
     AND timestamp >= s - interval '60 seconds' AND timestamp < s),
     'revenue_per_minute', (SELECT coalesce(sum(total_amount), 0) FROM transactions
     WHERE timestamp >= s - interval '60 seconds' AND timestamp < s)
   )::text FROM (SELECT to_timestamp($1::bigint) AT TIME ZONE 'UTC' AS s) moment";

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_the_last_day_and_minute_are_right_to_the_second() -> Result<()> {
    let database = TestDatabase::create("moments")?;
    let log = TestLog::create(LogKind::Embedded, "moments", 4)?;
    let pipeline = TestPipeline::ecommerce(
        &log,
        &database.url(),
        &Settings { batch_records: 500, ..Settings::default() },
    )?;
    log.send(&events(Utc::now().timestamp_micros()))?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    let port = free_port()?;
    let server =
        Worker::start(&pipeline, &["--only", "serve", "--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_ready(port)?;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(random_within(1_200) as u64)).await;
        for path in ["/api/metrics/summary", "/api/metrics/event-types", "/api/metrics/realtime"] {
            // An answer that reads the clock is kept for a second.
            let before = Utc::now().timestamp() - 1;
            let (status, body) = request(port, "GET", path, "")?;
            let after = Utc::now().timestamp();
            ensure!(status == 200, "{path}: {status}: {body}\n{}", server.tail());
            let found: Value = serde_json::from_str(&body)?;
            // The answer to realtime says its own moment.
            let own = found["timestamp"]
                .as_str()
                .map(DateTime::parse_from_rfc3339)
                .transpose()?
                .map(|at| at.timestamp());
            let moments = own.map_or(before..=after, |own| own..=own);
            let mut expected = Vec::new();
            for second in moments {
                let counts: String = client.query_one(COUNTS, &[&second]).await?.get(0);
                expected.push(serde_json::from_str::<Value>(&counts)?);
            }
            let is_right = |counts: &Value| match path {
                "/api/metrics/event-types" => found == counts["types"],
                "/api/metrics/summary" => ["events_24h", "revenue_24h"]
                    .iter()
                    .all(|name| same(&found[*name], &counts[*name])),
                _ => ["events_per_minute", "purchases_per_minute", "revenue_per_minute"]
                    .iter()
                    .all(|name| same(&found[*name], &counts[*name])),
            };
            ensure!(
                expected.iter().any(is_right),
                "{path} answers {found}, the tables say {expected:?}"
            );
        }
    }
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}

/// Equal numbers, however many zeros follow.
fn same(one: &Value, other: &Value) -> bool {
    one.as_f64().is_some() && one.as_f64() == other.as_f64()
}
