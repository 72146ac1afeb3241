//! A table in pieces of time on plain PostgreSQL: made ahead, for late rows, and never for a date
//! that cannot be meant.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{Datelike, Months, Utc};
use duto_tests::pipeline::Settings;
use duto_tests::tracking::{HEADING, Trackings, file_of};
use duto_tests::tracking_model::TrackingModel;
use duto_tests::worker::{Worker, catch_up, command};

use crate::logistics::{PATIENCE, Tracked};

const PIECES: &str =
    "SELECT c.relname::text, coalesce(pg_get_expr(c.relpartbound, c.oid), '') FROM pg_inherits i
     JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'eventos_rastreamento'::regclass ORDER BY 1";

fn settings(batch_records: usize) -> Settings {
    Settings { batch_records, ..Settings::default() }
}

async fn pieces(tracked: &Tracked) -> Result<Vec<(String, String)>> {
    Ok(tracked
        .client
        .query(PIECES, &[])
        .await?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect())
}

/// The pieces of now and of the next two months.
fn ahead() -> Vec<String> {
    let month = |months| {
        Utc::now()
            .date_naive()
            .with_day(1)
            .and_then(|day| day.checked_add_months(Months::new(months)))
    };
    (0..3)
        .filter_map(|months| {
            Some(format!("eventos_rastreamento_{}", month(months)?.format("m%Y%m")))
        })
        .collect()
}

/// A file of one line a moment.
fn moments(moments: &[&str]) -> String {
    let line = |(id, moment): (usize, &&str)| format!("{id},Natal,Acre,ENTREGUE,{moment}\n");
    moments.iter().enumerate().map(line).fold(format!("{HEADING}\n"), |file, line| file + &line)
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_made_ahead_and_for_late_rows_but_not_for_far_ones() -> Result<()> {
    let tracked = Tracked::create("pieces", &settings(100)).await?;
    let this_year = Utc::now().year();
    let (late, first) = (
        format!("{}-03-31T23:59:59.999999Z", this_year - 3),
        format!("{}-04-01T00:00:00Z", this_year - 3),
    );
    // A zone moves a moment into another month.
    let zoned = format!("{}-05-31T22:00:00-03:00", this_year - 3);
    let far = [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2199-01-01T00:00:00Z",
    ];
    let all: Vec<&str> = [late.as_str(), &first, &zoned].into_iter().chain(far).collect();
    let figures = tracked.loaded(&tracked.write("moments.csv", moments(&all))?)?;
    ensure!(figures["stored"] == 7 && figures["rejected"] == 0, "{figures}");
    let names: Vec<String> = pieces(&tracked).await?.into_iter().map(|(name, _)| name).collect();
    let mut expected: Vec<String> = [3, 4, 6]
        .iter()
        .map(|month| format!("eventos_rastreamento_m{}{month:02}", this_year - 3))
        .collect();
    expected.extend(ahead());
    expected.push("eventos_rastreamento_default".to_owned());
    expected.sort();
    ensure!(names == expected, "{names:?}, expected are {expected:?}");
    for (piece, rows) in [
        (format!("eventos_rastreamento_m{}03", this_year - 3), 1_i64),
        ("eventos_rastreamento_default".to_owned(), 4),
    ] {
        let found: i64 = tracked.one(&format!("SELECT count(*) FROM ONLY {piece}")).await?;
        ensure!(found == rows, "{piece} has {found} rows");
    }
    // A piece has the whole's key, index and foreign key.
    let keys: i64 = tracked
        .one(&format!(
            "SELECT count(*) FROM pg_constraint
                WHERE conrelid = 'eventos_rastreamento_m{}03'::regclass AND contype IN ('p', 'f')",
            this_year - 3
        ))
        .await?;
    let indexes: i64 = tracked
        .one(&format!(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'eventos_rastreamento_m{}03'",
            this_year - 3
        ))
        .await?;
    ensure!((keys, indexes) == (2, 2), "{keys} keys and {indexes} indexes");
    tracked.verify_rollups()
}

/// The direct way, and the staged one once keys repeat.
#[tokio::test(flavor = "multi_thread")]
async fn both_ways_lead_into_the_pieces() -> Result<()> {
    let tracked = Tracked::create("ways", &settings(500)).await?;
    let records = Trackings::new(41, 2_000).take(6_000);
    // One after the other: the second file repeats most of the first, and the stream all of both.
    tracked.loaded(&tracked.write("first.csv", file_of(&records[..4_000]))?)?;
    let second = tracked.loaded(&tracked.write("second.csv", file_of(&records[1_000..]))?)?;
    ensure!(second["repeated"].as_i64() > Some(2_500), "{second}");
    tracked.log.send(&records.iter().map(|record| record.message.clone()).collect::<Vec<_>>())?;
    catch_up(&tracked.pipeline, PATIENCE)?;
    TrackingModel::of(&records).compare(&tracked.client).await?;
    let in_default: i64 =
        tracked.one("SELECT count(*) FROM ONLY eventos_rastreamento_default").await?;
    ensure!(in_default == 0, "{in_default} rows are in the default partition");
    tracked.verify_rollups()
}

/// A row that PostgreSQL refuses is its own piece's affair: the reject names the line, and its
/// neighbours are stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_costs_its_line() -> Result<()> {
    let tracked = Tracked::create("refused", &settings(100)).await?;
    let (_, ddl, _) =
        command(&tracked.pipeline, &["ddl", &tracked.pipeline.file.display().to_string()])?;
    let refuse = "ALTER TABLE eventos_rastreamento ADD CONSTRAINT no_second_of_may CHECK
        (data_evento <> '2025-05-02T00:00:00Z')";
    tracked.client.batch_execute(&format!("{ddl}; {refuse}")).await?;
    let lines = ["2025-05-01T00:00:00Z", "2025-05-02T00:00:00Z", "2025-05-03T00:00:00Z"];
    let figures = tracked.loaded(&tracked.write("refused.csv", moments(&lines))?)?;
    ensure!(figures["stored"] == 2 && figures["rejected"] == 1, "{figures}");
    let rejected: String = tracked
        .one(r#"SELECT "offset" || ' ' || rule || ' ' || sqlstate FROM duto.reject"#)
        .await?;
    ensure!(rejected == "3 no_second_of_may 23514", "{rejected}");
    Ok(())
}

/// Columns that the table has beside those of the file, which PostgreSQL computes: a row keeps them
/// when it moves.
#[tokio::test(flavor = "multi_thread")]
async fn computed_columns_move_too() -> Result<()> {
    let tracked = Tracked::create("computed", &settings(100)).await?;
    let (_, ddl, _) =
        command(&tracked.pipeline, &["ddl", &tracked.pipeline.file.display().to_string()])?;
    let version: i32 = tracked.one("SELECT current_setting('server_version_num')::int").await?;
    // A table in pieces has identities from PostgreSQL 17 on.
    let identity =
        if version >= 170_000 { "bigint GENERATED ALWAYS AS IDENTITY" } else { "bigint" };
    let columns = format!(
        "ALTER TABLE eventos_rastreamento ADD COLUMN minuto int GENERATED ALWAYS AS (extract(minute
         FROM data_evento AT TIME ZONE 'UTC')::int) STORED,
         ADD COLUMN numero {identity}"
    );
    tracked.client.batch_execute(&format!("{ddl}; {columns}")).await?;
    let mut reader = duto_tests::verify::connect(&tracked.database.url()).await?;
    let reading = reader.transaction().await?;
    reading.query("SELECT count(*) FROM eventos_rastreamento", &[]).await?;
    tracked.loaded(
        &tracked.write("first.csv", moments(&["2025-02-01T00:07:00Z", "2025-02-02T00:08:00Z"]))?,
    )?;
    let rows = "SELECT string_agg(minuto || ':' || coalesce(numero::text, ''), ' '
        ORDER BY data_evento) FROM eventos_rastreamento";
    let before: String = tracked.one(rows).await?;
    ensure!(before.starts_with("7:"), "{before}");
    reading.commit().await?;
    tracked.loaded(&tracked.write("second.csv", moments(&["2025-02-01T00:07:00Z"]))?)?;
    let in_default: i64 =
        tracked.one("SELECT count(*) FROM ONLY eventos_rastreamento_default").await?;
    let after: String = tracked.one(rows).await?;
    ensure!(
        in_default == 0 && after == before,
        "{in_default} rows are in the default partition; {before} became {after}"
    );
    Ok(())
}

/// Somebody reads the table for long, so that no piece can be made: the rows go to the default
/// partition, and move when it can.
#[tokio::test(flavor = "multi_thread")]
async fn no_load_waits_for_a_piece() -> Result<()> {
    let tracked = Tracked::create("waits", &settings(100)).await?;
    tracked.loaded(&tracked.write("first.csv", moments(&["2025-01-01T00:00:00Z"]))?)?;
    let mut reader = duto_tests::verify::connect(&tracked.database.url()).await?;
    let reading = reader.transaction().await?;
    reading.query("SELECT count(*) FROM eventos_rastreamento", &[]).await?;
    let lines = ["2025-02-01T00:00:00Z", "2025-02-02T00:00:00Z", "2025-03-03T00:00:00Z"];
    let figures = tracked.loaded(&tracked.write("second.csv", moments(&lines))?)?;
    ensure!(figures["records"] == 3 && figures["rejected"] == 0, "{figures}");
    let in_default: i64 =
        tracked.one("SELECT count(*) FROM ONLY eventos_rastreamento_default").await?;
    ensure!(in_default == 3, "{in_default} rows are in the default partition");
    reading.commit().await?;
    let figures = tracked.loaded(
        &tracked.write("third.csv", moments(&["2025-02-01T00:00:00Z", "2025-02-28T00:00:00Z"]))?,
    )?;
    ensure!(figures["records"] == 2, "{figures}");
    let counts: String = tracked
        .one(
            "SELECT (SELECT count(*) FROM ONLY eventos_rastreamento_m202502) || ' ' || (SELECT
            count(*) FROM ONLY eventos_rastreamento_default) || ' ' || (SELECT count(*)
            FROM eventos_rastreamento)",
        )
        .await?;
    ensure!(counts == "3 1 5", "in February, in the default partition and in all are {counts}");
    tracked.verify_rollups()
}

/// A table in one piece is never changed silently; what is told makes pieces of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_one_piece_is_an_error_that_says_what_to_do() -> Result<()> {
    let tracked = Tracked::create("one_piece", &settings(100)).await?;
    let plain =
        "CREATE TABLE pacotes (id_pacote int PRIMARY KEY, origem text NOT NULL, destino text
         NOT NULL, data_criacao timestamptz DEFAULT now());
         CREATE TABLE eventos_rastreamento (id_pacote int NOT NULL REFERENCES pacotes,
         status_rastreamento text NOT NULL, data_evento timestamptz NOT NULL,
             PRIMARY KEY (id_pacote, data_evento));
         CREATE INDEX idx_eventos_id_pacote ON eventos_rastreamento (id_pacote);
         INSERT INTO pacotes VALUES (1, 'Natal', 'Acre'); INSERT INTO eventos_rastreamento
         VALUES (1, 'ENTREGUE', '2025-10-12T08:15:00Z')";
    tracked.client.batch_execute(plain).await?;
    let file =
        tracked.write("moments.csv", moments(&["2025-10-12T08:15:00Z", "2025-10-13T08:15:00Z"]))?;
    let (code, _, error) = tracked.load(&file)?;
    ensure!(
        code == 1 && error.contains("is there in one piece") && error.contains("ATTACH PARTITION"),
        "{code}: {error}"
    );
    let kind: String = tracked
        .one("SELECT relkind::text FROM pg_class WHERE relname = 'eventos_rastreamento'")
        .await?;
    ensure!(kind == "r", "the table was changed");
    let statements = error.split_once("made again:\n").context("the statements")?.1;
    let next_month = Utc::now()
        .date_naive()
        .with_day(1)
        .and_then(|day| day.checked_add_months(Months::new(1)))
        .context("a month")?;
    tracked
        .client
        .batch_execute(&statements.replace("'...'", &format!("'{next_month}'")))
        .await
        .with_context(|| statements.to_owned())?;
    let figures = tracked.loaded(&file)?;
    ensure!(figures["stored"] == 2 && figures["rejected"] == 0, "{figures}");
    let rows: i64 = tracked.one("SELECT count(*) FROM eventos_rastreamento").await?;
    ensure!(rows == 3, "{rows} rows");
    let names: Vec<String> = pieces(&tracked).await?.into_iter().map(|(name, _)| name).collect();
    let expected: Vec<String> =
        ["eventos_rastreamento_before".to_owned(), "eventos_rastreamento_default".to_owned()]
            .into_iter()
            .chain(ahead().split_off(1))
            .collect();
    ensure!(names == expected, "{names:?}, expected are {expected:?}");
    tracked
        .client
        .batch_execute(
            "DROP TABLE eventos_rastreamento; CREATE TABLE \
        eventos_rastreamento (id_pacote int, status_rastreamento text, data_evento timestamptz) \
        PARTITION BY LIST (id_pacote)",
        )
        .await?;
    let (code, _, error) = tracked.load(&file)?;
    ensure!(
        code == 1
            && error.contains(
                "is partitioned by LIST (id_pacote), but the pipeline file \
            says by RANGE (data_evento)"
            ),
        "{code}: {error}"
    );
    Ok(())
}

/// Several lanes at once need the same piece, and others write while it is made.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_make_a_piece_once() -> Result<()> {
    let tracked = Tracked::create("lanes", &Settings { workers: 4, ..settings(50) }).await?;
    let records = Trackings::new(42, 500).take(5_000);
    let model = TrackingModel::of(&records);
    tracked.log.send(&records.iter().map(|record| record.message.clone()).collect::<Vec<_>>())?;
    let worker = Worker::start(&tracked.pipeline, &["--only", "worker"])?;
    let loaded = format!("SELECT coalesce(sum(records), 0) = {} FROM duto.batch", records.len());
    duto_tests::wait::wait_for(&tracked.client, &loaded, Duration::from_secs(120))
        .await
        .with_context(|| worker.tail())?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    model.compare(&tracked.client).await?;
    let in_default: i64 =
        tracked.one("SELECT count(*) FROM ONLY eventos_rastreamento_default").await?;
    ensure!(in_default == 0, "{in_default} rows are in the default partition");
    Ok(())
}
