//! The server on a real socket: TLS, time limits, other origins, and how many requests one caller
//! may send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use duto_definition::auth::sha256;
use duto_definition::{ApiKey, Auth, Http, Limits, Role};
use duto_http::auth::{self, Guard};
use duto_http::routes::Routes;
use duto_servers::{ScratchFolder, TestAuthority};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::{SslConnector, SslMethod};
use tokio_util::sync::CancellationToken;

use super::wait_for;

/// A server until the test is over.
struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Serving {
    async fn start(http: Http) -> Self {
        let router = router(&http);
        Self::of(router, http).await
    }

    async fn of(router: Router, http: Http) -> Self {
        let listener = duto_http::bind("127.0.0.1:0").await.expect("an address");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let ended =
            tokio::spawn(async move { duto_http::serve(listener, router, &http, stopped).await });
        Self { address, stop, ended }
    }

    /// Sends bytes; answers what came until the server closed the connection or this time passed.
    fn told(&self, sent: &[u8], patience: Duration) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(patience)).expect("a timeout");
        stream.write_all(sent).expect("sent");
        let (mut told, mut piece) = (Vec::new(), [0; 4096]);
        let began = Instant::now();
        while began.elapsed() < patience {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(read) => told.extend_from_slice(&piece[..read]),
            }
        }
        String::from_utf8_lossy(&told).to_lowercase()
    }

    fn get(&self, path: &str, more: &str) -> String {
        self.told(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n").as_bytes(),
            Duration::from_secs(20),
        )
    }

    async fn end(self) {
        self.stop.cancel();
        let ended =
            tokio::time::timeout(Duration::from_secs(20), self.ended).await.expect("it ends");
        ended.expect("no panic").expect("no error");
    }
}

/// Some routes of every kind.
fn router(http: &Http) -> Router {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        "late"
    };
    let routes: Routes<()> = Routes::new()
        .open("/livez", || async { "ok" })
        .get(Role::Read, "/limited", || async { "here" })
        .get(Role::Read, "/slow", slow)
        .on(Method::POST, Role::Ingest, "/things", |body: String| async move { body }, 1024);
    routes.into_router(None, &http.limits).with_state(())
}

/// The protocol that was agreed on and the subject of the certificate that was shown.
fn handshake(
    address: SocketAddr,
    authority: &Path,
) -> Result<(Option<String>, String, String), String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("TLS");
    builder.set_ca_file(authority).expect("the authority");
    builder.set_alpn_protos(b"\x02h2\x08http/1.1").expect("protocols");
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    let stream = builder.build().connect("localhost", stream).map_err(|error| error.to_string())?;
    let protocol = stream
        .ssl()
        .selected_alpn_protocol()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let shown = stream.ssl().peer_certificate().expect("a certificate");
    let serial = shown
        .serial_number()
        .to_bn()
        .and_then(|number| number.to_hex_str().map(|hex| hex.to_string()))
        .expect("a serial number");
    Ok((protocol, stream.ssl().version_str().to_owned(), serial))
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    wait_for(async {
        let folder = ScratchFolder::create("http_tls").expect("a folder");
        let authority = TestAuthority::create().expect("an authority");
        let root = folder.path().join("root.pem");
        std::fs::write(&root, authority.certificate().expect("PEM")).expect("a file");
        let (certificate, key) = authority
            .sign("localhost")
            .expect("a certificate")
            .write(folder.path(), "own")
            .expect("files");
        let tls = Some((certificate.display().to_string(), key.display().to_string()));
        let serving = Serving::start(Http { tls, ..Http::default() }).await;
        let address = serving.address;
        let shown = || tokio::task::block_in_place(|| handshake(address, &root));
        let (protocol, version, first) = shown().expect("a handshake");
        assert_eq!(protocol.as_deref(), Some("h2"));
        assert!(["TLSv1.2", "TLSv1.3"].contains(&version.as_str()), "{version}");
        // Who speaks in clear text is not answered in it.
        let plain = tokio::task::block_in_place(|| serving.get("/livez", ""));
        assert!(!plain.contains("200 ok"), "{plain}");

        authority
            .sign("localhost")
            .expect("a certificate")
            .write(folder.path(), "own")
            .expect("files");
        let began = Instant::now();
        while shown().expect("a handshake").2 == first {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the old certificate is still shown"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // One that cannot be used leaves the one that can.
        std::fs::write(&certificate, "nothing").expect("a file");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(shown().is_ok());
        serving.end().await;
    });
}

#[test]
fn a_caller_beyond_its_rate_is_told_when_to_come_again() {
    wait_for(async {
        let limits = Limits { rate: Some(1), burst: 3, ..Limits::default() };
        let serving = Serving::start(Http { limits, ..Http::default() }).await;
        tokio::task::block_in_place(|| {
            for left in ["2", "1", "0"] {
                let told = serving.get("/limited", "");
                assert!(
                    told.starts_with("http/1.1 200")
                        && told.contains(&format!("ratelimit-remaining: {left}")),
                    "{told}"
                );
            }
            let told = serving.get("/limited", "");
            assert!(told.starts_with("http/1.1 429") && told.contains("retry-after: 1"), "{told}");
            // Another route has a bucket of its own, and whether the process lives is always told.
            let other = "POST /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: \
                1\r\n\r\n1";
            assert!(
                serving.told(other.as_bytes(), Duration::from_secs(20)).starts_with("http/1.1 200")
            );
            (0..10).for_each(|_| assert!(serving.get("/livez", "").starts_with("http/1.1 200")));
        });
        serving.end().await;
    });
}

#[test]
fn slow_callers_are_cut_off() {
    wait_for(async {
        let timeouts = (Duration::from_millis(1000), Duration::from_millis(700));
        let limits =
            Limits { request_timeout: timeouts.0, header_timeout: timeouts.1, ..Limits::default() };
        let serving = Serving::start(Http { limits, ..Http::default() }).await;
        tokio::task::block_in_place(|| {
            let began = Instant::now();
            // A head that never ends, a body that never comes, an answer that takes too long.
            serving.told(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: ", Duration::from_secs(20));
            assert!(began.elapsed() < Duration::from_secs(10), "the head: {:?}", began.elapsed());
            let began = Instant::now();
            let body = b"POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nConnection: \
                close\r\n\r\nstart";
            let told = serving.told(body, Duration::from_secs(20));
            assert!(
                began.elapsed() < Duration::from_secs(10) && told.starts_with("http/1.1 4"),
                "the body: {told}"
            );
            let told = serving.get("/slow", "");
            assert!(told.starts_with("http/1.1 408"), "{told}");
            // More than the route takes.
            let much = "POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nConnection: \
                    close\r\n\r\n"
                .to_owned()
                + &"x".repeat(5000);
            let told = serving.told(much.as_bytes(), Duration::from_secs(20));
            assert!(told.starts_with("http/1.1 413"), "{told}");
        });
        serving.end().await;
    });
}

#[test]
fn pages_of_other_origins_ask_first() {
    wait_for(async {
        let serving = Serving::start(Http {
            origins: vec!["https://shop.example".into()],
            ..Http::default()
        })
        .await;
        let closed = Serving::start(Http::default()).await;
        tokio::task::block_in_place(|| {
            let preflight = |serving: &Serving, origin: &str| {
                let more = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: \
                    authorization,content-type\r\n";
                let sent = format!(
                    "OPTIONS /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: \
                        {origin}\r\n{more}\r\n"
                );
                serving.told(sent.as_bytes(), Duration::from_secs(20))
            };
            let told = preflight(&serving, "https://shop.example");
            assert!(
                told.starts_with("http/1.1 200")
                    && told.contains("access-control-allow-origin: https://shop.example"),
                "{told}"
            );
            assert!(
                told.contains("authorization") && !told.contains("allow-credentials"),
                "{told}"
            );
            for other in
                ["https://evil.example", "https://shop.example.evil", "null", "http://shop.example"]
            {
                assert!(
                    !preflight(&serving, other).contains("access-control-allow-origin"),
                    "{other}"
                );
            }
            assert!(!preflight(&closed, "https://shop.example").contains("access-control"));
            let told = closed.get("/limited", "");
            for wanted in [
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: same-origin",
                "cross-origin-resource-policy: same-origin",
                "content-security-policy: default-src 'none'",
            ] {
                assert!(told.contains(wanted), "{wanted}: {told}");
            }
            assert!(!told.contains("strict-transport-security"), "{told}");
        });
        serving.end().await;
        closed.end().await;
    });
}

async fn over_http_2(
    address: SocketAddr,
    authority: &Path,
    request: Request<Body>,
) -> Response<Incoming> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("TLS");
    builder.set_ca_file(authority).expect("the authority");
    builder.set_alpn_protos(b"\x02h2").expect("a protocol");
    let configured = builder.build().configure().expect("TLS");
    let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let ssl = configured.into_ssl("localhost").expect("TLS");
    let mut stream = tokio_openssl::SslStream::new(ssl, stream).expect("TLS");
    Pin::new(&mut stream).connect().await.expect("a handshake");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// A browser speaks HTTP/2 where TLS is, and there the host is no header.
#[test]
fn people_sign_in_over_http_2() {
    wait_for(async {
        let folder = ScratchFolder::create("http_2").expect("a folder");
        let authority = TestAuthority::create().expect("an authority");
        let signed = authority.sign("localhost").expect("a certificate");
        let (certificate, key) = signed.write(folder.path(), "own").expect("files");
        let tls = Some((certificate.display().to_string(), key.display().to_string()));
        let reader = ApiKey {
            name: "reader".to_owned(),
            hash: sha256(b"a key"),
            roles: [Role::Read].into_iter().collect(),
        };
        let auth = Auth { keys: vec![reader], ..Auth::default() };
        let guard = Guard::new([&auth]).expect("rules");
        let routes: Routes<()> = auth::routes(guard.as_ref());
        let router = routes.into_router(guard.as_ref(), &Limits::default()).with_state(());
        let serving = Serving::of(router, Http { tls, ..Http::default() }).await;
        let root = folder.path().join("root.pem");
        std::fs::write(&root, authority.certificate().expect("PEM")).expect("a file");
        let server = format!("https://localhost:{}", serving.address.port());
        let send = async |path: &str, origin: &str, cookie: &str| {
            let request = Request::post(format!("{server}{path}"))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, origin)
                .header(header::COOKIE, cookie)
                .body(Body::from("key=a+key&next=/"))
                .expect("a request");
            let answer = over_http_2(serving.address, &root, request).await;
            let cookie = answer.headers().get(header::SET_COOKIE);
            let cookie = cookie.map_or("", |cookie| cookie.to_str().expect("text")).to_owned();
            (answer.status().as_u16(), cookie)
        };
        assert_eq!(send("/duto/sign-in", "https://evil.example", "").await.0, 403);
        let (status, cookie) = send("/duto/sign-in", &server, "").await;
        assert_eq!(status, 303);
        assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let session = cookie.split(';').next().unwrap_or_default();
        assert_eq!(send("/duto/sign-out", "https://evil.example", session).await.0, 403);
        assert_eq!(send("/duto/sign-out", &server, session).await.0, 303);
        serving.end().await;
    });
}
