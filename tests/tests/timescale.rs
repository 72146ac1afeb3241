//! The real TimescaleDB makes a hypertable of our DDL, and answers the dashboard's queries on rows
//! that are inserted. Rows are not copied here: this server cannot.

use anyhow::{Context, Result, ensure};
use duto_definition::{Pipeline, SslMode, parse};
use duto_load::connect::{Connection, Connector};
use duto_load::ensure::ensure as ensure_tables;
use duto_load::partitions::Partitions;
use duto_load::register::register;
use duto_load::rollups::RollupTargets;
use duto_load::target::Target;
use duto_load::time_partition::Keeper;
use duto_stages::Stages;
use duto_tests::pipeline::root;
use duto_tests::timescale::Timescale;
use duto_tests::tracking::{TrackingMeaning, Trackings};
use duto_tests::tracking_model::TrackingModel;
use serde_json::Value;

/// The logistics pipeline on this server.
fn pipeline(server: &Timescale) -> Result<Pipeline> {
    let text = std::fs::read_to_string(root().join("pipelines/logistics/pipeline.yaml"))?;
    let environment = |name: &str| (name == "TIMESCALE_DATABASE_URL").then(|| server.url());
    parse("pipeline.yaml", &text, &environment).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

async fn connect(pipeline: &Pipeline) -> Result<(Connector, Connection)> {
    let connector = Connector::new(&pipeline.database, "timescale test")?;
    let connection = connector.connect().await?;
    Ok((connector, connection))
}

const HYPERTABLE: &str = "SELECT h.hypertable_name::text, d.column_name::text,
     d.time_interval::text, h.num_chunks
     FROM timescaledb_information.hypertables h
     JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)";

/// Tables, rollups and views, as a worker's start makes them.
async fn make(pipeline: &Pipeline, by: &Connector, on: &mut Connection) -> Result<Stages> {
    let stages = Stages::plan(pipeline).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    ensure_tables(on, pipeline, None).await?;
    register(on, by, pipeline, &RollupTargets::new(stages.rollups())).await?;
    Ok(stages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hypertable_is_made_and_the_dashboard_is_answered() -> Result<()> {
    let server = Timescale::start()?;
    let pipeline = pipeline(&server)?;
    // What the URL says of TLS is a setting beside it.
    let (url, mode) = (server.url(), pipeline.database.tls.mode);
    ensure!(
        pipeline.database.url.as_deref() == url.strip_suffix("?sslmode=disable")
            && mode == SslMode::Disable,
        "TIMESCALE_DATABASE_URL is not honoured"
    );
    let (by, mut on) = connect(&pipeline).await?;
    on.client.batch_execute("CREATE EXTENSION timescaledb").await?;
    let stages = make(&pipeline, &by, &mut on).await?;
    let row = on.client.query_one(HYPERTABLE, &[]).await?;
    let found: (String, String, String) = (row.get(0), row.get(1), row.get(2));
    ensure!(
        found == ("eventos_rastreamento".into(), "data_evento".into(), "30 days".into()),
        "{found:?}"
    );
    // A second start finds everything as it is.
    make(&pipeline, &by, &mut on).await?;

    // Late, far-future and ordinary rows, by the load's own statement but without its COPY.
    let records = Trackings::new(51, 100).take(1_500);
    let target = Target::new(
        &pipeline,
        stages.written(),
        stages.rollups(),
        "c".into(),
        "t".into(),
        "w".into(),
    );
    on.client
        .batch_execute(
            "INSERT INTO pacotes VALUES (100000, 'a', 'b'); INSERT INTO
        eventos_rastreamento VALUES (100000, 'x', '1970-01-01'), (100000, 'y',
        '9999-12-31')",
        )
        .await?;
    for record in &records {
        let TrackingMeaning::Event(tracking) = &record.message.meaning else { continue };
        let statement = format!(
            "{}; {}; INSERT INTO {packages} VALUES ({id}, '{from}', '{to}', 0); INSERT INTO \
                {events} VALUES ({id}, '{status}', to_timestamp({at} / 1000000.0), 0)",
            target.tables[0].create_stage,
            target.tables[1].create_stage,
            packages = target.tables[0].stage,
            events = target.tables[1].stage,
            id = tracking.id,
            from = tracking.from,
            to = tracking.to,
            status = tracking.status,
            at = tracking.at_micros,
        );
        on.client.batch_execute(&format!("BEGIN; {statement}")).await?;
        for table in &target.tables {
            on.client.query(&table.insert, &[]).await.with_context(|| table.insert.clone())?;
            let swallowed: i64 = on.client.query_one(&table.swallowed, &[]).await?.get(0);
            ensure!(swallowed == 0, "a row was swallowed");
        }
        on.client.batch_execute("COMMIT").await?;
    }
    on.client
        .batch_execute(
            "DELETE FROM eventos_rastreamento WHERE id_pacote = 100000; DELETE
            FROM pacotes WHERE id_pacote = 100000",
        )
        .await?;
    let chunks: i64 = on.client.query_one(HYPERTABLE, &[]).await?.get(3);
    ensure!(chunks >= 3, "{chunks} chunks");
    let model = TrackingModel::of(&records);
    model.compare(&on.client).await?;

    // What the load would have counted, counted from the rows.
    for rollup in &target.rollups.rollups {
        let clear: String =
            rollup.tables.iter().map(|table| format!("DELETE FROM {table};")).collect();
        on.client.batch_execute(&format!("{clear} {}", rollup.fill)).await?;
    }
    let mut answers = Vec::new();
    for query in stages.queries().endpoints.iter().filter(|query| query.order.is_empty()) {
        let text: String = on
            .client
            .query_one(&query.statement, &[])
            .await
            .with_context(|| query.statement.clone())?
            .get(0);
        answers.push(serde_json::from_str::<Value>(&text)?);
    }
    let [statuses, mean, total] = answers.as_slice() else {
        anyhow::bail!("{} endpoints without parameters", answers.len())
    };
    model.compare_statuses(statuses)?;
    model.compare_mean(mean)?;
    model.compare_total(total)?;
    model.compare_plain_sql(&on.client, statuses, mean).await?;
    let plan: Vec<String> = on
        .client
        .query(
            "EXPLAIN SELECT * FROM eventos_rastreamento WHERE data_evento > '2025-10-01' AND \
            data_evento < '2025-10-05'",
            &[],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    ensure!(plan.iter().any(|line| line.contains("_hyper_")), "{plan:?}");
    // Nothing is made by hand where TimescaleDB makes it.
    let mut partitions = Partitions::new(&pipeline, stages.written());
    let batch = stages
        .prepare(
            duto_ground::batch::Batch::default(),
            Vec::new(),
            &duto_stages::prepared::Verdicts::default(),
        )
        .0;
    partitions.make_for(&on, &batch).await?;
    Ok(())
}

/// The script of `duto ddl --timescaledb` makes what a start would, and a table in one piece is an
/// error that says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_makes_it_too_and_a_plain_table_is_told() -> Result<()> {
    let server = Timescale::start()?;
    let pipeline = pipeline(&server)?;
    let (by, mut on) = connect(&pipeline).await?;
    on.client.batch_execute("CREATE EXTENSION timescaledb").await?;
    let stages = Stages::plan(&pipeline).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let rollups = RollupTargets::new(stages.rollups());
    let script = duto_load::script::script(&pipeline, &rollups, Keeper::TimescaleDb);
    on.client.batch_execute(&script).await.with_context(|| script.clone())?;
    make(&pipeline, &by, &mut on).await?;
    // From here on there are two hypertables less, and a table in one piece.
    on.client
        .batch_execute(
            "DROP TABLE eventos_rastreamento CASCADE;
             CREATE TABLE eventos_rastreamento (id_pacote int NOT NULL REFERENCES pacotes, \
                status_rastreamento text NOT NULL, data_evento timestamptz NOT NULL,
                 PRIMARY KEY (id_pacote, data_evento));
             INSERT INTO pacotes VALUES (1, 'Natal', 'Acre'); INSERT INTO eventos_rastreamento \
                VALUES (1, 'ENTREGUE', '2025-10-12T08:15:00Z')",
        )
        .await?;
    let told = ensure_tables(&mut on, &pipeline, None)
        .await
        .expect_err("a table in one piece")
        .to_string();
    ensure!(
        told.contains("is there in one piece") && told.contains("migrate_data => TRUE"),
        "{told}"
    );
    let statements = told.split_once("or run:\n").context("the statements")?.1;
    on.client.batch_execute(statements).await.with_context(|| statements.to_owned())?;
    ensure_tables(&mut on, &pipeline, None).await?;
    let rows: i64 =
        on.client.query_one("SELECT count(*) FROM eventos_rastreamento", &[]).await?.get(0);
    ensure!(rows == 1, "{rows} rows");
    Ok(())
}
