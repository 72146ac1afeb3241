//! The logistics pipeline: the stream and files give the same tables, each file once; pages and
//! plain SQL say what a sequential model says.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{EventStream, request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline, root};
use duto_tests::scale::scale;
use duto_tests::tracking::{Record, Trackings, file_of};
use duto_tests::tracking_model::TrackingModel;
use duto_tests::verify::connect;
use duto_tests::worker::{Worker, catch_up, command};
use rand::RngExt;
use serde_json::Value;
use tokio_postgres::Client;

pub const PATIENCE: Duration = Duration::from_secs(600);
const BAD_DATA: i32 = 65;

/// The pipeline on a database and an embedded log of the test's own.
pub struct Tracked {
    pub database: TestDatabase,
    pub log: TestLog,
    pub pipeline: TestPipeline,
    pub client: Client,
}

impl Tracked {
    pub async fn create(purpose: &str, settings: &Settings) -> Result<Tracked> {
        let database = TestDatabase::create(purpose)?;
        let log = TestLog::create(LogKind::Embedded, purpose, 4)?;
        let pipeline = TestPipeline::logistics(&log, &database.url(), settings)?;
        let client = connect(&database.url()).await?;
        Ok(Tracked { database, log, pipeline, client })
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.log.folder.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// `duto load` of a file; answers the exit code, what it printed and what it complained of.
    pub fn load(&self, file: &Path) -> Result<(i32, String, String)> {
        let (pipeline, file) =
            (self.pipeline.file.display().to_string(), file.display().to_string());
        command(&self.pipeline, &["load", &pipeline, &file, "--json"])
    }

    /// A load that must succeed; its figures.
    pub fn loaded(&self, file: &Path) -> Result<Value> {
        let (code, said, error) = self.load(file)?;
        ensure!(code == 0, "the load ended with {code}: {said}{error}");
        serde_json::from_str(&said).with_context(|| said)
    }

    pub async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(
        &self,
        statement: &str,
    ) -> Result<T> {
        Ok(self
            .client
            .query_one(statement, &[])
            .await
            .with_context(|| statement.to_owned())?
            .get(0))
    }

    /// The endpoints and plain SQL against the model.
    pub async fn compare_answers(&self, model: &TrackingModel) -> Result<()> {
        let port = free_port()?;
        let server = Worker::start(
            &self.pipeline,
            &["--only", "serve", "--listen", &format!("127.0.0.1:{port}")],
        )?;
        wait_until_it_answers(port)?;
        let ask = |path: &str| -> Result<Value> {
            let (status, body) = request(port, "GET", path, "")?;
            ensure!(status == 200, "{path}: {status}: {body}\n{}", server.tail());
            Ok(serde_json::from_str(&body)?)
        };
        let (statuses, mean) = (ask("/api/pacotes/status")?, ask("/api/pacotes/entrega")?);
        model.compare_statuses(&statuses)?;
        model.compare_mean(&mean)?;
        model.compare_total(&ask("/api/pacotes/total")?)?;
        model.compare_plain_sql(&self.client, &statuses, &mean).await?;
        ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
        Ok(())
    }

    pub fn verify_rollups(&self) -> Result<()> {
        let (code, said, error) = command(
            &self.pipeline,
            &["rollups", "verify", &self.pipeline.file.display().to_string()],
        )?;
        ensure!(code == 0, "{said}{error}");
        Ok(())
    }

    /// The ledger's ranges of a file's lines follow each other, and their counts add up.
    pub async fn compare_ledger(&self, model: &TrackingModel, lines: i64) -> Result<()> {
        let statement = "SELECT from_offset, to_offset, records, stored, repeated, rejected
            FROM duto.batch WHERE topic LIKE 'file:%' ORDER BY id";
        let mut at = 1;
        let mut counts = [0_i64; 4];
        for row in self.client.query(statement, &[]).await? {
            ensure!(
                row.get::<_, i64>(0) == at,
                "a batch begins at line {}, the one before ended at {at}",
                row.get::<_, i64>(0)
            );
            at = row.get(1);
            counts
                .iter_mut()
                .zip(2..)
                .for_each(|(count, column)| *count += i64::from(row.get::<_, i32>(column)));
        }
        ensure!(at == lines + 1, "the ledger ends at line {at} of {lines}");
        let stored = model.records() - model.repeats - model.bad;
        let expected =
            [model.records(), stored, model.repeats, model.bad].map(|count| count as i64);
        ensure!(
            counts == expected,
            "records, stored, repeated and rejected are {counts:?}, expected are {expected:?}"
        );
        Ok(())
    }
}

fn settings(batch_records: usize) -> Settings {
    Settings { batch_records, ..Settings::default() }
}

fn model_of(records: &[Record]) -> TrackingModel {
    TrackingModel::of(records)
}

/// Everything in both tables but `data_criacao`, as one digest.
const DIGEST: &str = "SELECT (SELECT count(*) || ' ' || coalesce(sum(hashtextextended(p::text,
     1)::numeric), 0) FROM (SELECT id_pacote, origem, destino FROM pacotes) p)
     || ' ' || (SELECT count(*) || ' ' || coalesce(sum(hashtextextended(e::text, 1)::numeric), 0)
     FROM eventos_rastreamento e)";

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_and_a_file_give_equal_tables() -> Result<()> {
    let count = scale(50_000, 2_000_000);
    let records = Trackings::new(31, (count / 12) as i32).take(count);
    let model = model_of(&records);
    let (streamed, filed) = (
        Tracked::create("streamed", &settings(10_000)).await?,
        Tracked::create("filed", &settings(10_000)).await?,
    );
    let messages: Vec<_> = records.iter().map(|record| record.message.clone()).collect();
    for part in messages.chunks(100_000) {
        streamed.log.send(part)?;
    }
    let began = Instant::now();
    catch_up(&streamed.pipeline, PATIENCE)?;
    let streaming = began.elapsed();
    let file = filed.write("eventos.csv", file_of(&records))?;
    let began = Instant::now();
    let figures = filed.loaded(&file)?;
    println!("{count} records: the stream took {streaming:?}, the file {:?}", began.elapsed());
    ensure!(
        figures["records"] == count
            && figures["rejected"] == model.bad
            && figures["repeated"] == model.repeats,
        "{figures}"
    );
    let (one, other): (String, String) = (streamed.one(DIGEST).await?, filed.one(DIGEST).await?);
    ensure!(one == other, "the tables differ: {one} and {other}");
    for tracked in [&streamed, &filed] {
        model.compare(&tracked.client).await?;
        ensure!(
            tracked.one::<i64>("SELECT count(*) FROM duto.reject").await? == model.bad as i64,
            "every bad record is a reject"
        );
        tracked.verify_rollups()?;
        tracked.compare_answers(&model).await?;
    }
    filed.compare_ledger(&model, count as i64 + 1).await
}

/// Rejects keep their line's number and bytes.
async fn compare_rejects(tracked: &Tracked, records: &[Record]) -> Result<()> {
    let rows = tracked
        .client
        .query(r#"SELECT "offset", payload FROM duto.reject ORDER BY 1"#, &[])
        .await?;
    let found: Vec<(i64, String)> = rows
        .iter()
        .map(|row| (row.get(0), String::from_utf8_lossy(&row.get::<_, Vec<u8>>(1)).into_owned()))
        .collect();
    let is_bad = |record: &Record| {
        matches!(record.message.meaning, duto_tests::tracking::TrackingMeaning::Bad)
    };
    let expected: Vec<(i64, String)> = (2..)
        .zip(records)
        .filter(|(_, record)| is_bad(record))
        .map(|(line, record)| (line, record.line.clone()))
        .collect();
    ensure!(found == expected, "rejected are {found:?}, expected are {expected:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_twice_changes_nothing() -> Result<()> {
    let tracked = Tracked::create("twice", &settings(500)).await?;
    let records = Trackings::new(32, 300).take(3_000);
    let model = model_of(&records);
    let file = tracked.write("eventos.csv", file_of(&records))?;
    let first = tracked.loaded(&file)?;
    ensure!(first["status"] == "loaded", "{first}");
    model.compare(&tracked.client).await?;
    compare_rejects(&tracked, &records).await?;
    let everything = format!(
        "{DIGEST} || (SELECT count(*) || ' ' || sum(id) FROM duto.batch) || (SELECT count(*) || \
            max(last_at)::text FROM duto.reject) || (SELECT string_agg(ctid::text, ',') FROM \
            pacotes)"
    );
    let before: String = tracked.one(&everything).await?;
    // Also under another name.
    for name in ["eventos.csv", "outro.csv"] {
        let file = tracked.write(name, file_of(&records))?;
        let again = tracked.loaded(&file)?;
        ensure!(
            again["status"] == "loaded before"
                && again["records"] == 3_000
                && again["stored"] == first["stored"],
            "{again}"
        );
        let after: String = tracked.one(&everything).await?;
        ensure!(before == after, "{name}: {before} became {after}");
    }
    // A file with one line more is another file: what is there counts as repeated.
    let longer = tracked.write(
        "longer.csv",
        file_of(&records) + "900001,Natal,Acre,CANCELADO,2025-10-12T00:00:00Z\n",
    )?;
    let figures = tracked.loaded(&longer)?;
    ensure!(figures["stored"] == 1 && figures["records"] == 3_001, "{figures}");
    let (code, said, _) = command(
        &tracked.pipeline,
        &["rejects", "ls", &tracked.pipeline.file.display().to_string()],
    )?;
    ensure!(code == 0 && said.contains("file:line") && said.contains("longer.csv:"), "{said}");
    tracked.verify_rollups()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let tracked = Tracked::create("killed", &settings(200)).await?;
    let records = Trackings::new(33, 4_000).take(scale(40_000, 200_000));
    let model = model_of(&records);
    let file = tracked.write("eventos.csv", file_of(&records))?;
    let (pipeline, path) =
        (tracked.pipeline.file.display().to_string(), file.display().to_string());
    let mut kills = 0;
    while kills < 200 {
        let mut child = std::process::Command::new(duto_tests::worker::program()?)
            .args(["load", &pipeline, &path])
            .envs(tracked.pipeline.environment.iter().cloned())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let until = Instant::now() + Duration::from_millis(rand::rng().random_range(200..1_500));
        while child.try_wait()?.is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "the load ended with {status}");
            break;
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
    }
    ensure!(kills > 0, "it was never killed");
    let last = tracked.loaded(&file)?;
    ensure!(last["status"] == "loaded before" || last["status"] == "loaded", "{last}");
    model.compare(&tracked.client).await?;
    compare_rejects(&tracked, &records).await?;
    tracked.compare_ledger(&model, records.len() as i64 + 1).await?;
    tracked.verify_rollups()
}

/// The one that came later takes over; both together write what one would.
#[tokio::test(flavor = "multi_thread")]
async fn two_loads_of_one_file_write_it_once() -> Result<()> {
    let tracked = Tracked::create("both", &settings(100)).await?;
    let records = Trackings::new(34, 2_000).take(20_000);
    let model = model_of(&records);
    let file = tracked.write("eventos.csv", file_of(&records))?;
    let (pipeline, path) =
        (tracked.pipeline.file.display().to_string(), file.display().to_string());
    let start = || {
        std::process::Command::new(duto_tests::worker::program()?)
            .args(["load", &pipeline, &path, "--json"])
            .envs(tracked.pipeline.environment.iter().cloned())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("starting a load")
    };
    let first = start()?;
    duto_tests::wait::wait_for(&tracked.client, "SELECT count(*) > 0 FROM duto.batch", PATIENCE)
        .await?;
    let second = start()?;
    let (first, second) = (first.wait_with_output()?, second.wait_with_output()?);
    let said = String::from_utf8_lossy(&first.stdout).into_owned();
    let taken_over = first.status.code() == Some(1) && said.contains("taken over");
    ensure!(
        taken_over || first.status.success(),
        "the first load ended with {}: {said}",
        first.status
    );
    ensure!(second.status.success(), "the second load ended with {}", second.status);
    model.compare(&tracked.client).await?;
    tracked.compare_ledger(&model, records.len() as i64 + 1).await
}

/// Nothing of a file that cannot be loaded as a whole is stored, and it is said why.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_a_clear_error() -> Result<()> {
    let tracked = Tracked::create("bad_file", &settings(100)).await?;
    let heading = duto_tests::tracking::HEADING;
    let line = "1333,Natal,Paraíba,ENTREGUE,2025-10-13T17:40:00Z";
    let latin1: Vec<u8> =
        format!("{heading}\n{line}\n").chars().map(|character| character as u8).collect();
    for (name, bytes, told) in [
        ("empty.csv", Vec::new(), "it is empty"),
        ("blank.csv", b"\n\r\n  \n".to_vec(), "it is empty"),
        ("heading.csv", format!("{heading}\n\n").into_bytes(), "a heading and no line below it"),
        (
            "latin1.csv",
            latin1,
            "line 2 is not UTF-8 (byte 0xed); in Latin-1 it would be \"1333,Natal,Paraíba",
        ),
        (
            "columns.csv",
            b"id_pacotes,origem,destino\n1,a,b\n".to_vec(),
            "it has no column id_pacote; \"id_pacotes\" is near",
        ),
        (
            "columns.csv",
            b"id_pacotes,origem,destino\n1,a,b\n".to_vec(),
            "it has no column data_atualizacao",
        ),
        (
            "semicolons.csv",
            format!("{heading}\n{line}\n").replace(',', ";").into_bytes(),
            "declare `delimiter: \";\"`",
        ),
    ] {
        let file = tracked.write(name, bytes)?;
        let (code, _, error) = tracked.load(&file)?;
        ensure!(
            code == BAD_DATA && error.contains(told) && error.contains(name),
            "{name}: {code}: {error}"
        );
    }
    let (code, _, error) = tracked.load(Path::new("/nowhere/eventos.csv"))?;
    ensure!(
        code == BAD_DATA && error.contains("/nowhere/eventos.csv: there is no such file"),
        "{code}: {error}"
    );
    let (code, _, error) = tracked.load(tracked.log.folder.path())?;
    ensure!(code == BAD_DATA && error.contains("it is a folder"), "{code}: {error}");
    let nothing: bool = tracked
        .one("SELECT to_regclass('duto.batch') IS NULL AND to_regclass('pacotes') IS NULL")
        .await?;
    ensure!(nothing, "something was written");
    Ok(())
}

/// The traps: nulls, quoted commas, other line ends, another order of the columns, another
/// encoding.
#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_many_forms() -> Result<()> {
    let tracked = Tracked::create("forms", &settings(100)).await?;
    let text = "\u{feff}data_atualizacao,status_rastreamento,id_pacote,transportadora,destino,origem\r\n\
                2025-10-12T08:15:00Z,ENTREGUE,1,x,\"Santos, SP\",\"São \"\"Paulo\"\"\"\r\n\
                2025-10-12T08:15:00Z,ENTREGUE,2,x,Natal,nan\r\n\
                2025-10-12T08:15:00Z,ENTREGUE,,x,Natal,Acre\r\n\
                \r\n\
                2025-10-12T08:15:00Z,ENTREGUE,3,\"two\r\nlines\",Natal,Acre\r\n\
                2025-10-12T08:15:00Z,ENTREGUE,4,x,Natal\r\n\
                2025-10-12T08:15:00Z,\"ENTREGUE,5,x,Natal,Acre\r\n\
                2025-10-12T08:15:00Z, NULL ,6,x,Natal,Acre\r\n\
                ,ENTREGUE,7,x,Natal,Acre\r\n\
                2025-10-12T08:15:00Z,ENTREGUE,8,x,Natal,Acre";
    let file = tracked.write("forms.csv", text)?;
    let figures = tracked.loaded(&file)?;
    ensure!(
        figures["records"] == 9 && figures["stored"] == 3 && figures["rejected"] == 6,
        "{figures}"
    );
    let rows = tracked
        .client
        .query("SELECT id_pacote, origem, destino FROM pacotes ORDER BY 1", &[])
        .await?;
    let found: Vec<(i32, String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [(1, "São \"Paulo\"", "Santos, SP"), (3, "Acre", "Natal"), (8, "Acre", "Natal")];
    ensure!(
        found == expected.map(|(id, from, to)| (id, from.to_owned(), to.to_owned())),
        "{found:?}"
    );
    let rows =
        tracked.client.query(r#"SELECT "offset", reason FROM duto.reject ORDER BY 1"#, &[]).await?;
    let found: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        (3, "origem must not be null"),
        (4, "id_pacote must not be null"),
        (8, "the line has 5 values, the heading has 6"),
        (9, "a quote is opened on the line and never closed"),
        (10, "status_rastreamento must not be null"),
        (11, "data_atualizacao must not be null"),
    ];
    ensure!(found == expected.map(|(line, reason)| (line, reason.to_owned())), "{found:?}");
    let id: i64 = tracked.one(r#"SELECT id FROM duto.reject WHERE "offset" = 8"#).await?;
    let pipeline = tracked.pipeline.file.display().to_string();
    let (code, said, _) =
        command(&tracked.pipeline, &["rejects", "show", &pipeline, &id.to_string()])?;
    ensure!(
        code == 0 && said.contains("forms.csv") && said.contains("id_pacote,transportadora"),
        "{said}"
    );

    let declared = Settings {
        replace: vec![(
            "files:".to_owned(),
            "files:\n  encoding: latin1\n  delimiter: \";\"\n  headings: { origem: Cidade }"
                .to_owned(),
        )],
        ..settings(100)
    };
    let latin1 = Tracked::create("latin1", &declared).await?;
    let text = "id_pacote;Cidade;destino;status_rastreamento;data_atualizacao\n1;São \
        Paulo;Paraíba;EM TRÂNSITO;2025-10-12T08:15:00Z\n";
    let file = latin1
        .write("latin1.csv", text.chars().map(|character| character as u8).collect::<Vec<u8>>())?;
    latin1.loaded(&file)?;
    let row: String = latin1
        .one(
            "SELECT origem || ' ' || destino || ' ' || (SELECT status_rastreamento
            FROM eventos_rastreamento) FROM pacotes",
        )
        .await?;
    ensure!(row == "São Paulo Paraíba EM TRÂNSITO", "{row}");
    Ok(())
}

/// What was rejected for the table's sake comes again with the whole file.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_be_read_again() -> Result<()> {
    let tracked = Tracked::create("again", &settings(50)).await?;
    let pipeline = tracked.pipeline.file.display().to_string();
    let (_, ddl, _) = command(&tracked.pipeline, &["ddl", &pipeline])?;
    tracked
        .client
        .batch_execute(&format!(
            "{ddl}; ALTER TABLE eventos_rastreamento ADD CONSTRAINT refused CHECK \
                (status_rastreamento <> 'CANCELADO')"
        ))
        .await?;
    let records = Trackings::new(35, 500).take(1_000);
    let model = model_of(&records);
    let file = tracked.write("eventos.csv", file_of(&records))?;
    let first = tracked.loaded(&file)?;
    let refused: i64 = tracked
        .one(
            "SELECT count(*) FROM duto.reject WHERE sqlstate = '23514' AND rule = 'refused'
            AND status = 'open'",
        )
        .await?;
    ensure!(refused > 10, "{refused} lines were refused by the constraint: {first}");
    tracked
        .client
        .batch_execute("ALTER TABLE eventos_rastreamento DROP CONSTRAINT refused")
        .await?;
    let path = file.display().to_string();
    let (code, said, error) =
        command(&tracked.pipeline, &["load", &pipeline, &path, "--again", "--json"])?;
    ensure!(code == 0, "{said}{error}");
    let again: Value = serde_json::from_str(&said)?;
    ensure!(
        again["status"] == "loaded" && again["records"] == 1_000 && again["rejected"] == model.bad,
        "{again}"
    );
    let open: i64 = tracked.one("SELECT count(*) FROM duto.reject WHERE status = 'open'").await?;
    ensure!(open == model.bad as i64, "{open} rejects are open, expected are {}", model.bad);
    let events: i64 = tracked.one("SELECT count(*) FROM eventos_rastreamento").await?;
    ensure!(events == (model.records() - model.repeats - model.bad) as i64, "{events} events");
    tracked.verify_rollups()
}

/// What a file brings is on an open page, though another process loads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_of_a_file() -> Result<()> {
    let tracked = Tracked::create("heard_file", &settings(100)).await?;
    let port = free_port()?;
    let server = Worker::start(&tracked.pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    let event = r#"{"id_pacote": 7, "origem": "Natal", "destino": "Acre", "status_rastreamento": "ENTREGUE", "data_atualizacao": "2025-10-12T08:15:00Z"}"#;
    let (status, body) = request(port, "POST", "/eventos", event)?;
    ensure!(status == 202, "{status}: {body}");
    for (body, told) in [
        ("not JSON", "not JSON"),
        (r#"{"id_pacote": 7}"#, "origem is missing"),
        (
            r#"{"id_pacote": 7, "origem": "a", "destino": "b", "status_rastreamento": "c", "data_atualizacao": 20251012}"#,
            "data_atualizacao must be a time",
        ),
        (
            r#"{"id_pacote": "x", "origem": " ", "destino": null, "status_rastreamento": "c", "data_atualizacao": "2025-10-12"}"#,
            "destino must not be null",
        ),
    ] {
        let (status, answer) = request(port, "POST", "/eventos", body)?;
        ensure!(status == 422 && answer.contains(told), "{body}: {status}: {answer}");
    }
    let total = |wanted: i64| -> Result<bool> {
        let (status, body) = request(port, "GET", "/api/pacotes/total", "")?;
        Ok(status == 200 && serde_json::from_str::<Value>(&body)?["total_pacotes"] == wanted)
    };
    duto_tests::wait::wait_until("the package of the stream", PATIENCE, || {
        total(1).unwrap_or(false)
    })
    .await?;
    let mut stream = EventStream::open(port, "/duto/live")?;
    stream.next("hello")?;
    let figures = tracked.loaded(&root().join("pipelines/logistics/eventos.csv"))?;
    ensure!(figures["stored"] == 3, "{figures}");
    loop {
        let changed: Value = serde_json::from_str(&stream.next("changed")?)?;
        ensure!(
            changed["sources"]
                .as_array()
                .is_some_and(|sources| sources.contains(&"/api/pacotes/total".into())),
            "{changed}"
        );
        if total(3)? {
            break;
        }
    }
    for (path, expected) in [
        (
            "/api/pacotes/entrega",
            r#"{"tempo_medio_entrega":"16:42:30","segundos":60150.000,"pacotes_entregues":2}"#,
        ),
        (
            "/api/pacotes/1333/eventos",
            r#"[{"data_evento":"2025-10-13T17:40:00+00:00","status_rastreamento":"ENTREGUE"}, 
 {"data_evento":"2025-10-12T08:15:00+00:00","status_rastreamento":"AGUARDANDO RETIRADA"}]"#,
        ),
        (
            "/api/pacotes/1411",
            r#"{"id_pacote":1411,"origem":"Acre","destino":"Rondônia","status_atual":"EXTRAVIADO","primeiro_evento":"2025-10-12T14:30:00+00:00","ultima_entrega":null}"#,
        ),
    ] {
        let (status, body) = request(port, "GET", path, "")?;
        let (body, expected): (Value, Value) =
            (serde_json::from_str(&body)?, serde_json::from_str(expected)?);
        ensure!(status == 200 && body == expected, "{path}: {status}: {body}");
    }
    ensure!(request(port, "GET", "/api/pacotes/99999", "")?.0 == 404, "there is no such package");
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}

/// The example of the contract, and what is said where nothing is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_contract() -> Result<()> {
    let tracked = Tracked::create("example", &settings(100)).await?;
    let lines = std::fs::read_to_string(root().join("pipelines/logistics/eventos.csv"))?;
    let (undelivered, _) = lines.rsplit_once("1333,").context("the delivery")?;
    tracked.loaded(&tracked.write("undelivered.csv", undelivered)?)?;
    let port = free_port()?;
    let server = Worker::start(
        &tracked.pipeline,
        &["--only", "serve", "--listen", &format!("127.0.0.1:{port}")],
    )?;
    wait_until_it_answers(port)?;
    let ask = |path: &str| -> Result<Value> {
        Ok(serde_json::from_str(&request(port, "GET", path, "")?.1)?)
    };
    let nothing = ask("/api/pacotes/entrega")?;
    ensure!(
        nothing["tempo_medio_entrega"].is_null() && nothing["pacotes_entregues"] == 0,
        "{nothing}"
    );
    tracked.loaded(&root().join("pipelines/logistics/eventos.csv"))?;
    duto_tests::wait::wait_until("the delivery", PATIENCE, || {
        ask("/api/pacotes/entrega").is_ok_and(|answer| answer["pacotes_entregues"] == 1)
    })
    .await?;
    let mean = ask("/api/pacotes/entrega")?;
    ensure!(mean["tempo_medio_entrega"] == "1 day 09:25:00", "{mean}");
    let statuses = ask("/api/pacotes/status")?;
    let expected: Value = serde_json::from_str(
        r#"[{"status":"ENTREGUE","pacotes":1,"percentual":50.00},{"status":"EXTRAVIADO","pacotes":1,"percentual":50.00}]"#,
    )?;
    ensure!(statuses == expected, "{statuses}");
    ensure!(ask("/api/pacotes/total")?["total_pacotes"] == 2, "two packages");
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}

/// Generated packages begin, go on and end as packages do.
#[tokio::test(flavor = "multi_thread")]
async fn generated_packages_are_plausible() -> Result<()> {
    let tracked = Tracked::create("generated", &settings(1_000)).await?;
    let (pipeline, folder) = (
        tracked.pipeline.file.display().to_string(),
        tracked.pipeline.log_folder.display().to_string(),
    );
    let arguments = [
        "generate",
        &pipeline,
        "--rate",
        "0",
        "--count",
        "3000",
        "--bad",
        "2%",
        "--seed",
        "5",
        "--log-folder",
        &folder,
    ];
    let (code, said, error) = command(&tracked.pipeline, &arguments)?;
    ensure!(code == 0, "{said}{error}");
    catch_up(&tracked.pipeline, PATIENCE)?;
    let delivered: i64 = tracked
        .one("SELECT count(*) FROM situacao_dos_pacotes WHERE ultima_entrega IS NOT NULL")
        .await?;
    ensure!(delivered > 200, "{delivered} packages are delivered");
    // Whatever came behind a delivery is a mistake of the generator's, but for what a bad record
    // left out.
    let after: i64 = tracked
        .one(
            "SELECT count(*) FROM situacao_dos_pacotes WHERE ultima_entrega IS NOT NULL
            AND status_atual <> 'ENTREGUE'",
        )
        .await?;
    ensure!(after == 0, "{after} packages went on behind their delivery");
    let days: f64 = tracked
        .one(
            "SELECT (extract(epoch FROM tempo_medio_entrega) / 86400)::float8
        FROM tempo_medio_de_entrega",
        )
        .await?;
    ensure!((0.5..8.0).contains(&days), "a delivery takes {days} days");
    Ok(())
}
