//! Who may ask. The browser of a person who visits some other page must not become that page's
//! hand: neither send records here, nor, under a name that was made to point at this host, read
//! what is in the log.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::refusal::Refusal;
use crate::auth::is_of_host;

/// Lets a request pass, or answers why not.
pub async fn guard(State(listens_on): State<SocketAddr>, request: Request, next: Next) -> Response {
    let is_form = matches!(request.uri().path(), "/duto/sign-in" | "/duto/sign-out");
    if let Err(refusal) = allowed(listens_on.ip(), request.method(), request.headers(), is_form) {
        return refusal.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    response
}

/// A server that listens on this host alone is asked by one of its names; one that changes
/// something is asked in JSON, which another page cannot send without asking first, and from its
/// own page or from none.
fn allowed(
    listens_on: IpAddr,
    method: &Method,
    headers: &HeaderMap,
    is_form: bool,
) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if listens_on.is_loopback() && !is_this_host(name_of(host)) {
        let error = format!(
            "this server answers to localhost and 127.0.0.1, not to `{host}`: ask by one of them, \
                or start it with --listen and an address of the network"
        );
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error));
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    if let Some(origin) = text(header::ORIGIN)
        && !is_of_host(origin, host)
    {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("a page of {origin} may not send records here"),
        ));
    }
    let media_type =
        text(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !is_form && !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON, with Content-Type: application/json",
        ));
    }
    Ok(())
}

/// A host header without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_this_host(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(listens_on: &str, method: Method, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        allowed(listens_on.parse().unwrap(), &method, &map, false)
            .err()
            .map_or(200, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn only_names_of_this_host_are_answered() {
        for (host, expected) in [
            ("127.0.0.1:9030", 200),
            ("localhost:9030", 200),
            ("LOCALHOST", 200),
            ("[::1]:9030", 200),
            ("evil.example:9030", 421),
            ("localhost.evil.example", 421),
            ("10.0.0.1:9030", 421),
            ("", 421),
        ] {
            assert_eq!(status("127.0.0.1", Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status("0.0.0.0", Method::GET, &[("host", "browser.example:9030")]), 200);
    }

    #[test]
    fn a_change_comes_from_the_own_page_in_json() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "localhost:9030");
        let post = |headers: &[(&str, &str)]| status("127.0.0.1", Method::POST, headers);
        assert_eq!(post(&[host, json]), 200);
        assert_eq!(post(&[host, json, ("origin", "http://localhost:9030")]), 200);
        assert_eq!(post(&[host, json, ("origin", "http://localhost:8080")]), 403);
        assert_eq!(post(&[host, json, ("origin", "https://evil.example")]), 403);
        assert_eq!(post(&[host, json, ("origin", "null")]), 403);
        assert_eq!(post(&[host]), 415);
        assert_eq!(post(&[host, ("content-type", "text/plain")]), 415);
        assert_eq!(post(&[host, ("content-type", "application/x-www-form-urlencoded")]), 415);
    }
}
