//! Public tools against every endpoint and page of every server, with a key and without one: a
//! fuzzer that reads documents (schemathesis), and one that injects SQL (sqlmap).

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_definition::auth::written_hash;
use duto_http::routes::Route;
use duto_servers::shared::TestDatabase;
use duto_servers::{cache_folder, free_port};
use duto_tests::events::Events;
use duto_tests::http::{request_with, wait_until_it_answers, wait_until_ready};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::Message;
use duto_tests::pipeline::{Settings, TestPipeline, root};
use duto_tests::products::{Applications, products};
use duto_tests::scale::scale;
use duto_tests::verify::connect;
use duto_tests::worker::Worker;
use duto_tests::{cut_streams, routes};
use serde_json::{Map, Value, json};

/// So often something must be found to be there.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: &str = "a key of somebody who may do everything";

/// A server under attack.
struct Target {
    name: &'static str,
    port: u16,
    /// The same, with streams that end soon.
    cut_port: u16,
    /// What it serves itself, if it does.
    document: Option<Value>,
    /// Everything that it answers to.
    routes: Vec<Route>,
    topic: String,
    program: Worker,
}

/// Guards a pipeline's file, whatever it had before.
fn guard(pipeline: &TestPipeline) -> Result<()> {
    let text = std::fs::read_to_string(&pipeline.file)?;
    let mut is_auth = false;
    let others = text.lines().filter(|line| {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            is_auth = line.starts_with("auth:");
        }
        !is_auth
    });
    let mut guarded = others.collect::<Vec<_>>().join("\n");
    write!(
        guarded,
        "\nauth: {{ keys: {{ all: {{ hash: \"{}\", roles: [read, ingest, operate] }} }} }}\n",
        written_hash(KEY)
    )?;
    std::fs::write(&pipeline.file, guarded)?;
    Ok(())
}

fn bearer() -> String {
    format!("Bearer {KEY}")
}

fn served_document(port: u16) -> Result<Value> {
    let answer = request_with(port, "GET", "/openapi.json", &[("Authorization", &bearer())], "")?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(serde_json::from_str(&answer.body)?)
}

impl Target {
    fn of(name: &'static str, pipeline: &TestPipeline, topic: &str, port: u16) -> Result<Target> {
        guard(pipeline)?;
        let program = Worker::start(pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
        wait_until_ready(port).with_context(|| program.tail())?;
        Ok(Target {
            name,
            port,
            cut_port: cut_streams::start(port)?,
            document: Some(served_document(port)?),
            routes: routes::of_pipeline(pipeline)?,
            topic: topic.to_owned(),
            program,
        })
    }

    fn of_topics(pipeline: &TestPipeline, topic: &str) -> Result<Target> {
        let port = free_port()?;
        let program = Worker::topics(pipeline, port)?;
        wait_until_it_answers(port)?;
        Ok(Target {
            name: "topics",
            port,
            cut_port: cut_streams::start(port)?,
            document: None,
            routes: routes::of_topic_browser(),
            topic: topic.to_owned(),
            program,
        })
    }

    /// A document of everything: what is served with its schemas, and the rest with what may be
    /// asked of it.
    fn everything(&self) -> Value {
        let mut document = self.document.clone().unwrap_or_else(|| {
            json!({ "openapi": "3.1.0", "info": { "title": self.name, "version": "1" }, "paths": {} })
        });
        let paths = &mut document["paths"];
        for route in &self.routes {
            let path = route.path.replace("{*", "{");
            let method = route.method.as_str().to_lowercase();
            if paths[&path][&method].is_null() {
                paths[&path][&method] = self.operation(&path, &method);
            }
        }
        document
    }

    fn operation(&self, path: &str, method: &str) -> Value {
        let text = json!({ "type": "string" });
        let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut parameters: Vec<Value> = in_path
            .map(|name| {
                let schema = match name {
                    "topic" => json!({ "anyOf": [{ "enum": [self.topic] }, { "type": "string", "minLength": 1 }] }),
                    "partition" | "offset" => json!({ "anyOf": [{ "enum": [0, 1] }, { "type": "integer" }] }),
                    _ => json!({ "type": "string", "minLength": 1 }),
                };
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        let number = json!({ "type": "integer" });
        let asked: &[(&str, &Value)] = match path.rsplit('/').next() {
            Some("messages") => &[
                ("partition", &number),
                ("before", &text),
                ("after", &text),
                ("offset", &number),
                ("time", &number),
                ("limit", &number),
            ],
            Some("search") => &[
                ("key", &text),
                ("text", &text),
                ("partition", &number),
                ("before", &text),
                ("matches", &number),
                ("scanned", &number),
            ],
            Some("follow") => {
                &[("key", &text), ("text", &text), ("partition", &number), ("after", &text)]
            }
            Some("outcomes") => &[("at", &text)],
            _ => &[("q", &text)],
        };
        parameters.extend(asked.iter().map(
            |(name, schema)| json!({ "name": name, "in": "query", "required": false, "schema": schema }),
        ));
        let mut operation = json!({ "parameters": parameters, "responses": { "default": { "description": "anything" } } });
        if method != "get" {
            let fields = json!({ "type": "object", "properties": { "payload": text, "key": text, "partition": number } });
            let form = json!({ "type": "object", "properties": { "key": text, "next": text } });
            operation["requestBody"] = if path.contains("sign") {
                json!({ "content": { "application/x-www-form-urlencoded": { "schema": form } } })
            } else {
                json!({ "content": { "application/json": { "schema": fields } } })
            };
        }
        operation
    }

    /// The fuzzer over a document; what it finds is an error.
    fn fuzz(
        &self,
        folder: &Path,
        document: &Value,
        port: u16,
        with_key: bool,
        checks: &str,
    ) -> Result<()> {
        let what = if with_key { "with a key" } else { "without one" };
        let file = folder.join(format!("{}-{port}-{with_key}.json", self.name));
        std::fs::write(&file, document.to_string())?;
        let mut command = politely(&tool("schemathesis")?);
        command
            .arg("--config-file")
            .arg(root().join("tests/schemathesis.toml"))
            .arg("run")
            .arg(&file);
        command.args([
            "--url",
            &format!("http://127.0.0.1:{port}"),
            "--checks",
            checks,
            "--no-color",
            "--seed",
            "1",
        ]);
        command.args([
            "--max-examples",
            &scale(6, 100).to_string(),
            "--phases",
            "examples,coverage,fuzzing",
        ]);
        command.args(["--generation-database", "none", "--workers", "1", "--warnings", "off"]);
        if with_key {
            command.args(["--header", &format!("Authorization:{}", bearer())]);
        }
        let output = command.current_dir(folder).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{} {what}: {said}{}\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr),
            self.program.tail()
        );
        ensure!(said.contains("passed"), "{} {what}: nothing was asked: {said}", self.name);
        Ok(())
    }

    /// SQL in every parameter, and in every field of every body. Returns how many of them were
    /// tried.
    fn inject(&self, folder: &Path) -> Result<usize> {
        // Of a body that may be one record or several it takes one.
        let mut document = self.everything();
        for operation in operations(&mut document) {
            if let Some(content) = operation.pointer_mut("/requestBody/content") {
                content.as_object_mut().context("content")?.remove("application/x-ndjson");
                if let Some(schema) = content.pointer("/application~1json/schema/oneOf/0").cloned()
                {
                    content["application/json"]["schema"] = schema;
                }
            }
        }
        let file = folder.join(format!("{}-injected.json", self.name));
        std::fs::write(&file, document.to_string())?;
        // Where an answer changes by itself, such as a counter's, the tool may take chance for an
        // injection: one that is there is found each time.
        let mut said = String::new();
        for _ in 0..TRIES {
            let output = sqlmap(&folder.join(format!("sqlmap-{}", self.name)))?
                .arg(format!("--openapi={}", file.display()))
                .arg(format!("--openapi-base=http://127.0.0.1:{}", self.cut_port))
                .args(["-H", &format!("Authorization: {}", bearer())])
                .output()?;
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            if !is_injected(&said) {
                break;
            }
        }
        ensure!(!is_injected(&said), "{}: {said}\n{}", self.name, self.program.tail());
        let tried = said.matches("does not seem to be injectable").count();
        ensure!(tried > 0, "{}: nothing was tried: {said}", self.name);
        Ok(tried)
    }
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.flat_map(|item| item.as_object_mut().into_iter().flat_map(Map::values_mut))
}

fn tool(name: &str) -> Result<PathBuf> {
    let program = cache_folder()?.join("test-venv/bin").join(name);
    ensure!(program.is_file(), "{} is not there: scripts/setup installs it", program.display());
    Ok(program)
}

/// Behind everything else that wants the CPU: other tests watch the clock.
fn politely(program: &Path) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "15"]).arg(program);
    command
}

fn sqlmap(folder: &Path) -> Result<Command> {
    let mut command = politely(&tool("sqlmap")?);
    command.args([
        "--batch",
        "--disable-coloring",
        "--flush-session",
        "--dbms=PostgreSQL",
        "--skip-waf",
        "--technique=BEUS",
    ]);
    command.args([
        "--threads=4",
        "--timeout=10",
        "--retries=0",
        "--ignore-code=*",
        "--answers=redirect=N",
        "--no-logging",
    ]);
    command.arg(format!("--output-dir={}", folder.display()));
    // It keeps its settings under the home folder.
    command.env("HOME", folder).env("XDG_DATA_HOME", folder);
    Ok(command)
}

fn is_injected(said: &str) -> bool {
    said.contains("identified the following injection point") || said.contains("is vulnerable")
}

/// What duto is not: a server that writes what it is asked for into the text of its statement.
/// Returns its port; it ends with the process.
async fn careless_server(database_url: &str) -> Result<u16> {
    let client = connect(database_url).await?;
    client
        .batch_execute(
            "CREATE TABLE open (id BIGINT); INSERT INTO open SELECT generate_series(1, 20)",
        )
        .await?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = runtime.block_on(careless_answer(stream, &client));
        }
    });
    Ok(port)
}

async fn careless_answer(mut stream: TcpStream, client: &tokio_postgres::Client) -> Result<()> {
    use std::io::{BufRead, BufReader, Write as _};
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().context("a request")??;
    while !lines.next().context("a head")??.is_empty() {}
    let id =
        asked.split("id=").nth(1).and_then(|rest| rest.split([' ', '&']).next()).unwrap_or("0");
    let id = percent_decoded(id);
    let body = match client.simple_query(&format!("SELECT id FROM open WHERE id = {id}")).await {
        Ok(rows) => format!("{rows:?}"),
        Err(error) => format!("{error:?}"),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

fn percent_decoded(text: &str) -> String {
    let (mut decoded, bytes, mut at) = (Vec::new(), text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn public_tools_find_nothing_at_any_server() -> Result<()> {
    let log = |purpose: &str| TestLog::create(LogKind::Kafka, purpose, 2);
    let (sales_log, events_log) = (log("exposed-sales")?, log("exposed-events")?);
    let (tracking_log, products_log) = (log("exposed-tracking")?, log("exposed-products")?);
    let databases = ["sales", "events", "tracking", "products", "careless"];
    let databases = databases.map(|name| TestDatabase::create(&format!("exposed_{name}")));
    let [sales_db, events_db, tracking_db, products_db, careless_db] = databases;
    let (sales_db, events_db, tracking_db, products_db) =
        (sales_db?, events_db?, tracking_db?, products_db?);
    let settings = Settings::default();
    let sales = TestPipeline::sales(&sales_log, &sales_db.url(), &settings)?;
    let ecommerce = TestPipeline::ecommerce(&events_log, &events_db.url(), &settings)?;
    let logistics = TestPipeline::logistics(&tracking_log, &tracking_db.url(), &settings)?;
    let mut applications = Applications::new(&products_log, &products_db.url())?;
    let authorization = ("PRODUCTS_API_AUTHORIZATION".to_owned(), bearer());
    applications.scheduler.environment.push(authorization);
    // Something to find.
    events_log.send(&Events::new(7, chrono::Utc::now().timestamp_micros()).take(300))?;
    products_log.send(&products(60))?;
    let order = |number: i64| {
        Message {
        key: number.to_string(),
        payload: json!({"order_number": number, "order_items": [{"item_id": 1, "qty": 2, "value_unit": 1.5}]}).to_string().into_bytes(),
        meaning: (),
    }
    };
    sales_log.send(&(1..=50).map(order).collect::<Vec<_>>())?;

    let targets = [
        Target::of("sales", &sales, &sales_log.topic, free_port()?)?,
        Target::of("ecommerce", &ecommerce, &events_log.topic, free_port()?)?,
        Target::of("logistics", &logistics, &tracking_log.topic, free_port()?)?,
        Target::of("products", &applications.api, &products_log.topic, applications.api_port)?,
        Target::of(
            "scheduler",
            &applications.scheduler,
            &products_log.topic,
            applications.scheduler_port,
        )?,
        Target::of_topics(&sales, &sales_log.topic)?,
    ];
    let folder = sales_log.folder.path();
    // The tool finds what is there to be found.
    let careless_db = careless_db?;
    let careless = careless_server(&careless_db.url()).await?;
    let tried = tokio::task::block_in_place(|| -> Result<usize> {
        std::thread::scope(|scope| {
            let control = scope.spawn(|| -> Result<()> {
                let output = sqlmap(&folder.join("sqlmap-control"))?
                    .args(["-u", &format!("http://127.0.0.1:{careless}/?id=1")])
                    .output()?;
                let said = String::from_utf8_lossy(&output.stdout);
                ensure!(is_injected(&said), "sqlmap does not find what is open: {said}");
                Ok(())
            });
            let attacks: Vec<_> =
                targets.iter().map(|target| scope.spawn(move || attack(target, folder))).collect();
            let mut tried = 0;
            for one in attacks {
                tried += one.join().expect("no attack panics")?;
            }
            control.join().expect("it does not panic")?;
            Ok(tried)
        })
    })?;
    println!("sqlmap tried {tried} parameters");
    for target in targets {
        let name = target.name;
        ensure!(target.program.said("panicked") == 0, "{name} panicked: {}", target.program.tail());
        ensure!(target.program.stop(PATIENCE)?.success(), "{name} did not end cleanly");
    }
    // Nothing but rows came in.
    for (database, table) in
        [(&sales_db, "sales"), (&events_db, "events"), (&products_db, "products")]
    {
        let client = connect(&database.url()).await?;
        let count: i64 =
            client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
        ensure!(count > 0, "{table} is empty");
        let tables: i64 = client
            .query_one("SELECT count(*) FROM pg_class WHERE relname LIKE 'sqlmap%'", &[])
            .await?
            .get(0);
        ensure!(tables == 0, "sqlmap made a table in the database of {table}");
    }
    Ok(())
}

fn attack(target: &Target, folder: &Path) -> Result<usize> {
    if let Some(document) = &target.document {
        target.fuzz(folder, document, target.port, true, "all")?;
    }
    let everything = target.everything();
    target.fuzz(folder, &everything, target.cut_port, true, "not_a_server_error")?;
    target.fuzz(folder, &everything, target.cut_port, false, "not_a_server_error")?;
    target.inject(folder)
}
