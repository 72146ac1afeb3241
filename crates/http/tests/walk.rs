//! Walks every route of every server: nobody comes by one without its role, and a new one cannot be
//! forgotten.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use duto_definition::{Pipeline, Role, parse};
use duto_http::Served;
use duto_http::auth::Guard;
use duto_http::endpoints::Answers;
use duto_http::faults::Faults;
use duto_http::overview::{self, Overlooked, Overview};
use duto_http::routes::{Access, Route};
use duto_http::topics::{self, Browser, ReadingPipeline};
use duto_load::connect::Connector;
use duto_load::pool::Pool;
use duto_log::Log;
use duto_runtime::progress::Progress;
use duto_servers::ScratchFolder;
use duto_servers::shared::TestDatabase;
use duto_stages::Stages;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::wait_for;

/// Hashes of `a reader`, `a sender` and `an operator`.
const FILE: &str = r#"
pipeline: walked
source: { topic: walked }
database: { url: "DATABASE" }
auth:
  keys:
    reader: { hash: "READER", roles: [read] }
    sender: { hash: "SENDER", roles: [ingest] }
    operator: { hash: "OPERATOR", roles: [operate] }
record: { id: BIGINT }
tables:
  walked:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record
ingest:
  POST /things: { status: 202 }
  PUT /things/stored: { stored: true }
endpoints:
  GET /api/things: { rows: SELECT id FROM walked }
  GET /api/things/{id}: { row: "SELECT id FROM walked WHERE id = :id", parameters: { id: { type: BIGINT } } }
dashboard: { title: Walked, panels: [{ kind: number, title: Things, from: /api/things, value: id }] }
"#;

fn pipeline(database: &str) -> Pipeline {
    let hash = |key: &str| duto_definition::auth::written_hash(key);
    let file = FILE.replace("DATABASE", database);
    let file = file
        .replace("READER", &hash("a reader"))
        .replace("SENDER", &hash("a sender"))
        .replace("OPERATOR", &hash("an operator"));
    parse("walked.yaml", &file, &|_| None).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A database, and a log in a folder of its own.
struct Ground {
    database: TestDatabase,
    log: Arc<dyn Log>,
    _folder: ScratchFolder,
}

impl Ground {
    fn create(purpose: &str) -> Self {
        let folder = ScratchFolder::create(purpose).expect("a folder");
        let log = duto_log::open(None, &[], folder.path()).expect("a log");
        let database = TestDatabase::create(purpose).expect("a database");
        Self { database, log, _folder: folder }
    }
}

/// A server with its routes.
struct Walked {
    routes: Vec<Route>,
    router: Router,
}

fn served(pipeline: Pipeline, log: Arc<dyn Log>) -> Walked {
    let stages = Arc::new(Stages::plan(&pipeline).expect("it can be planned"));
    let connector = Connector::new(&pipeline.database, "walk").expect("settings");
    let progress = Arc::new(Progress::default());
    let served = Arc::new(Served {
        file: "walked.yaml".to_owned(),
        guard: Guard::new([&pipeline.auth]).expect("rules"),
        stages,
        changes: progress.changes.clone(),
        progress,
        readers: Pool::new(connector.read_only()).expect("a pool"),
        pool: Pool::new(connector).expect("a pool"),
        answers: Answers::default(),
        faults: Faults::default(),
        stop: CancellationToken::new(),
        producer: log.producer().expect("a producer").into(),
        log,
        pipeline,
    });
    let routes = duto_http::routes(&served).list().cloned().collect();
    Walked { routes, router: duto_http::router(served) }
}

fn browser(pipeline: &Pipeline, log: Arc<dyn Log>) -> Walked {
    let guard = Guard::new([&pipeline.auth]).expect("rules");
    let producer = log.producer().expect("a producer").into();
    let stages = Arc::new(Stages::plan(pipeline).expect("it can be planned"));
    let reading = ReadingPipeline::new("walked.yaml".to_owned(), pipeline.clone(), stages);
    let readings = vec![reading.expect("settings")];
    let browser = Arc::new(Browser::new(log, producer, readings, CancellationToken::new()));
    let address = "127.0.0.1:9030".parse().expect("an address");
    let routes = topics::routes(guard.as_ref()).list().cloned().collect();
    Walked { routes, router: topics::router(browser, address, guard.as_ref()) }
}

fn overlooked(pipeline: &Pipeline) -> Walked {
    let guard = Guard::new([&pipeline.auth]).expect("rules");
    let overlooked = Overlooked {
        file: "walked.yaml".to_owned(),
        pipeline: pipeline.clone(),
        progress: Arc::default(),
    };
    let overview = Overview { log: "embedded", topics: None, pipelines: vec![overlooked] };
    let routes = overview::routes(guard.as_ref()).list().cloned().collect();
    Walked { routes, router: overview::router(overview, guard.as_ref()) }
}

async fn asked(router: &Router, route: &Route, key: Option<&str>) -> StatusCode {
    let path = route.path.replace("{*name}", "page.js").replace("{topic}", "walked");
    let path = path.replace("{partition}", "0").replace("{offset}", "0").replace("{id}", "1");
    let mut request =
        Request::builder().method(&route.method).uri(path).header(header::HOST, "localhost:9030");
    request = request.header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request.body(Body::from("{\"id\": 1}")).expect("a request");
    // A stream is answered with its head at once.
    router.clone().oneshot(request).await.expect("an answer").status()
}

fn key_of(role: Role) -> &'static str {
    match role {
        Role::Read => "a reader",
        Role::Ingest => "a sender",
        Role::Operate => "an operator",
    }
}

async fn walk(walked: &Walked) {
    for route in &walked.routes {
        let told = format!("{} {}", route.method, route.path);
        let without = asked(&walked.router, route, None).await;
        match route.access {
            Access::Open => {
                assert!(["/livez", "/readyz"].contains(&route.path.as_str()), "{told} is open");
                assert_ne!(without, StatusCode::UNAUTHORIZED, "{told}");
            }
            Access::Unlocks => assert_eq!(
                (without, route.path.as_str()),
                (StatusCode::UNAUTHORIZED, "/duto/sign-in")
            ),
            Access::Needs(role) => {
                assert_eq!(without, StatusCode::UNAUTHORIZED, "{told} without a key");
                assert_eq!(
                    asked(&walked.router, route, Some("a guess")).await,
                    StatusCode::UNAUTHORIZED,
                    "{told} with a wrong key"
                );
                for other in Role::ALL.into_iter().filter(|other| *other != role) {
                    assert_eq!(
                        asked(&walked.router, route, Some(key_of(other))).await,
                        StatusCode::FORBIDDEN,
                        "{told} as {other:?}"
                    );
                }
                let with = asked(&walked.router, route, Some(key_of(role))).await;
                assert!(
                    with != StatusCode::UNAUTHORIZED && with != StatusCode::FORBIDDEN,
                    "{told} as {role:?}: {with}"
                );
            }
        }
    }
}

#[test]
fn nobody_comes_by_a_route_without_its_role() {
    wait_for(async {
        let Ground { database, log, .. } = &Ground::create("walk");
        let pipeline = pipeline(&database.url());
        let of_pipeline = served(pipeline.clone(), log.clone());
        // All that the file declares, and all of ours.
        for path in [
            "/",
            "/docs",
            "/metrics",
            "/openapi.json",
            "/duto/live",
            "/health",
            "/things",
            "/api/things/{id}",
            "/duto/session",
            "/duto/audit",
            "/duto/audit/entries",
        ] {
            assert!(
                of_pipeline.routes.iter().any(|route| route.path == path),
                "{path} is not a route"
            );
        }
        for walked in [of_pipeline, browser(&pipeline, log.clone()), overlooked(&pipeline)] {
            walk(&walked).await;
        }
    });
}

/// Every route of every server has a bucket of its own, but those that tell whether it lives.
#[test]
fn every_route_has_its_rate() {
    wait_for(async {
        let Ground { database, log, .. } = &Ground::create("walk_limits");
        let mut pipeline = pipeline(&database.url());
        pipeline.http.limits.rate = Some(1);
        pipeline.http.limits.burst = 2;
        let walked = [
            served(pipeline.clone(), log.clone()),
            browser(&pipeline, log.clone()),
            overlooked(&pipeline),
        ];
        for Walked { routes, router } in walked {
            for route in &routes {
                let told = format!("{} {}", route.method, route.path);
                let mut statuses = Vec::new();
                for _ in 0..5 {
                    statuses.push(asked(&router, route, None).await);
                }
                let is_limited = statuses.contains(&StatusCode::TOO_MANY_REQUESTS);
                assert_eq!(is_limited, route.access != Access::Open, "{told}: {statuses:?}");
            }
        }
    });
}

#[test]
fn without_rules_everybody_is_let_in() {
    wait_for(async {
        let Ground { database, log, .. } = &Ground::create("walk_open");
        let open = Pipeline { auth: duto_definition::Auth::default(), ..pipeline(&database.url()) };
        let walked = served(open, log.clone());
        assert!(walked.routes.iter().all(|route| !route.path.starts_with("/duto/sign")));
        for route in &walked.routes {
            let status = asked(&walked.router, route, None).await;
            assert!(
                status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
                "{} {}: {status}",
                route.method,
                route.path
            );
        }
    });
}
