//! How a server meets the network: TLS, time limits, headers that browsers obey, and pages of other
//! origins.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware;
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_openssl::{OpenSSLAcceptor, OpenSSLConfig};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use duto_definition::Http;

/// A certificate that was renewed is used within this time.
const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(5);
/// Requests that are open when the server is told to stop are given so long.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long a browser keeps the answer to its question whether it may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Binds the address now, so that a port that is taken is an error before anything starts.
pub async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

/// Serves until `stop` ends, then finishes the requests that are open.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    http: &Http,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = listener.into_std().context("taking the listener over")?;
    let handle: Handle<SocketAddr> = Handle::new();
    let stopping = handle.clone();
    let router = exposed(router, http);
    let header_timeout = http.limits.header_timeout;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let watched = tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(LAST_REQUESTS));
    });
    let mut server = axum_server::from_tcp(listener)
        .context("serving HTTP")?
        .handle(handle)
        .first_request_timeout(header_timeout);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(header_timeout);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20));
    let served = match &http.tls {
        None => server.serve(service).await,
        Some((certificate, key)) => {
            let tls = Certificate::read(certificate, key)?;
            let acceptor = OpenSSLAcceptor::new(tls.config.clone());
            let renewing = tokio::spawn(tls.renew());
            let served = server.acceptor(acceptor).serve(service).await;
            renewing.abort();
            served
        }
    };
    watched.abort();
    served.context("serving HTTP")
}

/// The certificate that is shown, and where it comes from.
struct Certificate {
    config: OpenSSLConfig,
    files: [String; 2],
    written: [Option<SystemTime>; 2],
}

impl Certificate {
    fn read(certificate: &str, key: &str) -> anyhow::Result<Self> {
        let config = OpenSSLConfig::from_pem_chain_file(certificate, key).with_context(|| {
            format!("http.tls: {certificate} and {key} are no certificate and its key in PEM")
        })?;
        let files = [certificate.to_owned(), key.to_owned()];
        Ok(Self { config, written: files.each_ref().map(|file| written_at(file)), files })
    }

    /// Reads the files again when they change. One that cannot be used leaves what there is.
    async fn renew(mut self) {
        loop {
            tokio::time::sleep(LOOK_AT_CERTIFICATE).await;
            let written = self.files.each_ref().map(|file| written_at(file));
            if written == self.written {
                continue;
            }
            match self.config.reload_from_pem_chain_file(&self.files[0], &self.files[1]) {
                Ok(()) => {
                    self.written = written;
                    tracing::info!(certificate = self.files[0], "the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(certificate = self.files[0], %error, "the changed certificate \
                        cannot be used: the old one stays")
                }
            }
        }
    }
}

fn written_at(file: &str) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|about| about.modified()).ok()
}

/// The router as the network sees it.
fn exposed(router: Router, http: &Http) -> Router {
    let by_tls = http.tls.is_some();
    let limits = &http.limits;
    let router = router.layer(RequestBodyTimeoutLayer::new(limits.request_timeout)).layer(
        TimeoutLayer::with_status_code(
            axum::http::StatusCode::REQUEST_TIMEOUT,
            limits.request_timeout,
        ),
    );
    let router = if http.origins.is_empty() { router } else { router.layer(cors(&http.origins)) };
    let allows_others = !http.origins.is_empty();
    router
        .layer(middleware::map_request(move |request: Request| async move {
            as_over_http1(request, by_tls)
        }))
        .layer(middleware::map_response(move |response: Response| async move {
            with_headers(response, by_tls, allows_others)
        }))
}

/// HTTP/2 has the host in the address, where HTTP/1.1 has a header; and whether TLS is spoken is
/// told as a server in front of us would tell it.
fn as_over_http1(mut request: Request, by_tls: bool) -> Request {
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = authority.and_then(|authority| HeaderValue::from_str(&authority).ok());
    if let Some(host) = host {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    if by_tls {
        let https = HeaderValue::from_static("https");
        request.headers_mut().insert("x-forwarded-proto", https);
    }
    request
}

/// Pages of these origins may ask, with a key in the header; a cookie of ours is never theirs to
/// use.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let seen = [
        "etag",
        "x-duto-as-of",
        "x-duto-position",
        "retry-after",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers(seen.map(HeaderName::from_static))
        .max_age(PREFLIGHT_AGE)
}

/// What every answer tells a browser, unless its handler said more.
fn with_headers(mut response: Response, by_tls: bool, allows_others: bool) -> Response {
    let headers = response.headers_mut();
    let mut usual = vec![
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    let resources = if allows_others { "cross-origin" } else { "same-origin" };
    usual.push((HeaderName::from_static("cross-origin-resource-policy"), resources));
    if by_tls {
        usual.push((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
    for (name, value) in usual {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
